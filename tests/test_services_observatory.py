"""What the server says of itself: true, complete, and counted from the last CONFIG RESETSTAT on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tendis_py.config import Config
from tendis_py.server import Server
from tendis_py.services import Services
from tendis_py.services.clock import ManualClock
from tendis_py.services.observation import CommandFigures
from tendis_py.services.observatory import FRESH_SECONDS, RATE_SECONDS, Observatory
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    keyspace = Keyspace(Engine(tmp_path / "data"), cache_bytes=1 << 16)
    yield Services(Config(), keyspace)
    keyspace.engine.close()


def requests(*lines: str) -> list[list[bytes]]:
    return [line.encode().split() for line in lines]


def commands(server: Server) -> dict[str, CommandFigures]:
    return {one.name: one for one in server.services.observatory.now().commands}


EVERY_WAY = requests(
    *("SET k 1", "GET k", "INCR n", "TTL k", "CONFIG GET maxmemory", "CLIENT GETNAME", "GET k"),
    *("GET", "NOSUCH", "CONFIG NOSUCH", "LPOP k", "MULTI", "SET k 2", "GET k", "GET k", "EXEC"),
)
"""To be run or refused."""


def test_each_call_counts_with_the_time_it_took_in_all(server: Server, client: RawClient) -> None:
    for request in EVERY_WAY:
        client.command(*request)
    client.pipeline(EVERY_WAY)
    client.pipeline(requests(*["GET k"] * 50, *["SET k 3", "INCR n"] * 20))
    calls = {"get": 58, "set": 24, "incr": 22, "config|get": 2, "client|getname": 2, "exec": 2}

    def all_counted() -> bool:
        found = commands(server)
        return all(found[name].total.count == number for name, number in calls.items())

    wait_until(all_counted, "all that was answered to be counted")
    for one in commands(server).values():
        assert one.total.count == one.calls == one.service.count
        if one.calls:
            assert one.total.sum_ns > one.service.sum_ns > 0
            assert 0 < one.total.p50_ns <= one.total.p99_ns <= one.total.max_ns
    assert commands(server)["get"].rejected == 2
    assert commands(server)["lpop"].failed == 2


def test_what_waits_in_a_pipeline_counts_from_when_it_was_read(
    server: Server, client: RawClient
) -> None:
    client.pipeline(requests("DEBUG SLEEP 0.03", "GET k"))
    wait_until(lambda: commands(server)["get"].total.count == 1, "the GET to be counted")
    get = commands(server)["get"]
    assert get.total.sum_ns > 30_000_000 > get.service.sum_ns


def test_a_request_that_ran_fast_and_waited_long_is_in_the_slow_log(
    server: Server, client: RawClient
) -> None:
    client.command("CONFIG", "SET", "slowlog-log-slower-than", -1)
    client.command("CONFIG", "SET", "slowlog-total-slower-than", 20_000)
    client.pipeline(requests("DEBUG SLEEP 0.03", "GET k"))
    client.command("CONFIG", "SET", "slowlog-total-slower-than", -1)
    entries = client.value("SLOWLOG", "STAGES", -1)
    (entry,) = [one for one in entries if one[3] == [b"GET", b"k"]]
    stages = dict(zip(entry[6][::2], entry[6][1::2], strict=True))
    assert entry[2] == stages.pop(b"total") >= 30_000
    assert sum(stages.values()) == pytest.approx(entry[2], abs=len(stages))
    assert all(ns >= 0 for ns in stages.values())
    assert len(client.value("SLOWLOG", "GET", -1)[0]) == 6


def test_few_of_a_batch_are_logged_and_none_twice(server: Server, client: RawClient) -> None:
    client.command("CONFIG", "SET", "slowlog-log-slower-than", 5_000)
    client.command("CONFIG", "SET", "slowlog-total-slower-than", 5_000)
    client.pipeline(requests("DEBUG SLEEP 0.03", *[f"GET k{number}" for number in range(400)]))
    wait_until(lambda: client.value("SLOWLOG", "LEN") > 1, "the GETs to be logged")
    logged = [tuple(entry[3]) for entry in client.value("SLOWLOG", "GET", -1)]
    assert logged.count((b"DEBUG", b"SLEEP", b"0.03")) == 1
    assert len(logged) == len(set(logged)) < 100


def test_resetstat_resets_all_of_it(server: Server, client: RawClient) -> None:
    client.pipeline(EVERY_WAY)
    client.pipeline(requests(*["SET k v"] * 100))
    client.command("CONFIG", "RESETSTAT")
    seen = server.services.observatory.now()
    assert (seen.hits, seen.misses, seen.row_cache_misses, seen.expiry_lag_ms) == (0, 0, 0, 0)
    assert (seen.engine.stalls, seen.engine.stalled_seconds) == (0, 0)
    assert not any(seen.engine.stall_reasons.values())
    assert {one.name for one in seen.commands} <= {"config|resetstat"}
    assert sum(one.all.count for one in seen.stages if one.stage == "execute") <= 1
    for queue in seen.queues:
        assert (queue.refused, queue.paused) == (0, 0)
        assert queue.peak_requests < 10


def test_how_late_the_sweep_is(tmp_path: Path) -> None:
    clock = ManualClock()
    with embedded(config_for(tmp_path), clock) as server, RawClient((HOST, server.port)) as client:
        client.command("CLIENT", "PAUSE", 8_000, "WRITE")
        assert server.services.observatory.now().expiry_lag_ms == 0
        client.command("CLIENT", "UNPAUSE")
        client.command("SET", "k", "v", "PX", 1_000)
        client.command("CLIENT", "PAUSE", 100_000, "WRITE")
        clock.advance(6)
        client.command("CLIENT", "UNPAUSE")
        wait_until(lambda: server.services.observatory.now().expiry_lag_ms > 0, "the sweep")
        assert server.services.observatory.now().expiry_lag_ms == pytest.approx(5_000, abs=1)


def test_an_observation_is_shared_for_a_moment(services: Services) -> None:
    time = [100.0]
    observatory = Observatory(services, lambda: time[0])
    first = observatory.now()
    time[0] += FRESH_SECONDS / 2
    assert observatory.now() is first
    time[0] += FRESH_SECONDS
    assert observatory.now() is not first


def test_rates_are_of_the_last_ten_seconds(services: Services) -> None:
    thread = Thread(services)
    time = [100.0]
    observatory = Observatory(services, lambda: time[0])
    for _ in range(2 * RATE_SECONDS):
        thread.run(*["GET k"] * 30)
        time[0] += 1
        observatory.sample()
    time[0] += 0.5
    seen = observatory.now()
    assert seen.requests_per_second == pytest.approx(30, rel=0.1)
    assert seen.commands[0].per_second == pytest.approx(30, rel=0.1)


def test_what_the_row_cache_did_not_have(services: Services) -> None:
    thread = Thread(services)
    thread.run(*[f"SET k{number} {'v' * 200}" for number in range(1000)])
    services.keyspace.cache.clear()
    services.reset_statistics()
    thread.run("GET k1", "GET k1", "GET k1", "MGET k1 k2 k3", "GET nothing")
    seen = services.observatory.now()
    assert (seen.row_cache_misses, seen.row_cache_hits) == (4, 3)


def test_it_does_not_wait_while_the_folder_is_opened_anew(services: Services) -> None:
    before = services.holdings.now()
    with services.keyspace.engine.kept_open.alone() as alone:
        assert alone
        found: list[object] = []
        in_a_thread(lambda: found.append(services.observatory.now().engine))
    assert found == [before.engine]


def in_a_thread(call: Callable[[], object]) -> None:
    """Do it, within a bounded time."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
