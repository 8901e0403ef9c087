"""Keyspace notifications of a running server, in every threading model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.errors import StorageError
from tendis_py.server import Server
from tests.support.embedded import RARELY, config_for, embedded
from tests.support.load import together
from tests.support.resp import RawClient, decode
from tests.support.servers import HOST, MODELS

NUMBER = 200


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    config = config_for(tmp_path, threading_model=request.param, notify_keyspace_events="KEAnm")
    config.hz = RARELY
    with embedded(config) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


@pytest.fixture
def subscriber(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port), protocol=3) as subscriber:
        subscriber.command("PSUBSCRIBE", "__keyevent@*__:*")
        yield subscriber


def heard(subscriber: RawClient, last: str) -> list[str]:
    """Event and key of each message, up to the ``last``."""
    found: list[str] = []
    while not found or found[-1] != last:
        _, _, channel, key = decode(subscriber.reply()).items
        found.append(f"{channel.decode().partition(':')[2]} {key.decode()}")
    return found


def test_the_sweep_begins_when_something_is_due(client: RawClient, subscriber: RawClient) -> None:
    client.command("SET", "k", "v", "PX", 150)
    assert heard(subscriber, "expired k") == ["new k", "set k", "expire k", "expired k"]
    client.command("HSET", "h", "f", "v")
    client.command("HPEXPIRE", "h", 150, "FIELDS", 1, "f")
    assert heard(subscriber, "del h") == ["new h", "hset h", "hexpire h", "hexpired h", "del h"]


def test_requests_that_come_together_are_told_one_by_one(
    server: Server, subscriber: RawClient
) -> None:
    def push(client: RawClient) -> None:
        for _ in range(NUMBER // 10):
            client.pipeline([[b"INCR", b"n"], [b"LPUSH", b"l", b"v"]] * 10)

    together((HOST, server.port), push, push, push, push)
    with RawClient((HOST, server.port)) as client:
        client.command("DEL", "n")
    counts = Counter(heard(subscriber, "del n"))
    assert counts == {
        "new n": 1,
        "new l": 1,
        "incrby n": 4 * NUMBER,
        "lpush l": 4 * NUMBER,
        "del n": 1,
    }


def test_what_is_not_committed_is_not_told(
    server: Server, client: RawClient, subscriber: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = server.keyspace.engine

    def refuse(*args: Any, **options: Any) -> None:
        raise StorageError("no room")

    client.command("SET", "a", "v")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "write_batch", refuse)
        assert client.command("SET", "b", "v").startswith(b"-ERR storage failure")
    client.command("SET", "c", "v")
    assert heard(subscriber, "set c") == ["new a", "set a", "new c", "set c"]


def test_while_it_is_off_nobody_looks_and_runs_are_taken(server: Server, client: RawClient) -> None:
    services = server.services
    assert services.global_gates.closed
    client.command("CONFIG", "SET", "notify-keyspace-events", "")
    assert not services.global_gates.one_by_one
    assert services.observers == ()
    assert not services.keyspace.notes_events
