"""Expiry and reclaiming as a running server does them: nobody asks for the keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.server import Server
from tendis_py.services.clock import ManualClock
from tendis_py.storage.families import EXPIRES, META
from tendis_py.storage.gaps import MOST_SKIPPED
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param), clock) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


def rows(server: Server, family: int) -> int:
    return sum(1 for _ in server.keyspace.engine.keys(family, b"", None))


def test_keys_go_when_their_time_comes(
    server: Server, client: RawClient, clock: ManualClock
) -> None:
    for number in range(300):
        client.command("SET", f"due:{number}", "v", "PX", str(1 + number % 50))
    client.command("SET", "later", "v", "EX", "1000")
    client.command("SET", "never", "v")
    assert server.keyspace.size(0).keys == 302
    clock.advance(0.025)
    wait_until(lambda: server.keyspace.size(0).keys == 152, "half of them are gone")
    clock.advance(0.025)
    wait_until(lambda: server.keyspace.size(0).keys == 2, "all that are due are gone")
    assert rows(server, META) == 2
    assert rows(server, EXPIRES) == 1
    assert client.command("DBSIZE") == b":2\r\n"


def test_a_flushed_database_leaves_the_disk(server: Server, client: RawClient) -> None:
    for number in range(600):
        client.command("SET", str(number), "v", "EX", "1000")
    client.command("FLUSHALL")
    client.command("SET", "new", "v", "EX", "1000")
    wait_until(lambda: rows(server, META) == rows(server, EXPIRES) == 1, "it is gone")
    wait_until(lambda: not list(server.keyspace.dead_namespaces()), "it is gone")
    assert client.command("DBSIZE") == b":1\r\n"


def test_what_was_deleted_is_walked_over_only_once(server: Server, client: RawClient) -> None:
    engine = server.keyspace.engine
    keys = [f"t:{number}" for number in range(3 * MOST_SKIPPED)]
    client.command("MSET", *(word for key in keys for word in (key, "v")))
    client.command("SET", "z", "v")
    client.command("DEL", *keys)
    assert client.command("SCAN", "0", "COUNT", "100") == b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nz\r\n"
    wait_until(lambda: not engine.gaps, "the gap is being compacted away")

    def is_gone() -> bool:
        assert list(engine.keys(META, b"", None))
        return not engine.gaps

    wait_until(is_gone, "the gap is compacted away")
    assert client.command("RANDOMKEY") == b"$1\r\nz\r\n"
    assert client.command("KEYS", "*") == b"*1\r\n$1\r\nz\r\n"


def test_memtables_are_written_out_when_nobody_writes(server: Server, client: RawClient) -> None:
    client.command("SET", "long", "v" * 5_000_000)
    client.command("DEL", "long")
    engine = server.keyspace.engine
    wait_until(lambda: engine.number("size-all-mem-tables") < 1 << 20, "they are written out")
    assert client.command("DBSIZE") == b":0\r\n"


def test_blocks_go_with_the_last_key(server: Server, client: RawClient) -> None:
    engine = server.keyspace.engine
    for first in range(0, 20_000, 2000):
        words = (word for number in range(first, first + 2000) for word in (f"{number}", "v" * 200))
        client.command("MSET", *words)
    engine.flush()
    assert len(list(engine.items(META, b"", None))) == 20_000
    assert engine.block_cache_usage() > 3 << 20
    client.command("FLUSHALL")
    wait_until(lambda: engine.block_cache_usage() <= 1 << 20, "they are gone")


def test_elements_that_are_gone_leave_the_cache_beside_others(
    server: Server, client: RawClient
) -> None:
    """Also while reactors turn all the time."""
    cache = server.keyspace.cache
    members = [f"{number}" for number in range(5000)]
    for first in range(0, 5000, 100):
        client.command("SADD", "gone", *members[first : first + 100])
    client.command("SET", "kept", "v")
    assert cache.statistics().entries > 5000
    client.command("UNLINK", "gone")

    def is_gone() -> bool:
        assert client.command("GET", "kept") == b"$1\r\nv\r\n"
        return cache.statistics().entries < 10

    wait_until(is_gone, "they have left the cache")
