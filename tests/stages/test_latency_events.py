"""The latency monitor on a running server whose disk is slow: which events it records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.server import Server
from tendis_py.storage.expiry import Expiry
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until

SLOW_MS = 3


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    config = config_for(tmp_path, threading_model=request.param, latency_monitor_threshold="2")
    with embedded(config) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


def slowed(method: Callable[..., Any]) -> Callable[..., Any]:
    never = threading.Event()

    def do(*arguments: Any, **options: Any) -> Any:
        never.wait(SLOW_MS / 1000)
        return method(*arguments, **options)

    return do


def events(client: RawClient) -> set[bytes]:
    found = client.value("LATENCY", "LATEST")
    assert all(latest >= 2 and worst >= latest for _, _, latest, worst in found)
    return {event for event, *_ in found} - {b"command", b"fast-command", b"expire-cycle"}


def test_a_slow_write(server: Server, client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.command("CONFIG", "SET", "appendfsync", "no")
    engine = server.keyspace.engine
    monkeypatch.setattr(engine, "has_synced", lambda since: False)
    monkeypatch.setattr(engine, "write_batch", slowed(engine.write_batch))
    client.command("GET", "k")
    client.command("LATENCY", "RESET")
    client.command("SET", "k", "v")
    assert events(client) == {b"aof-write", b"aof-write-alone"}
    assert b"data=writeback" in client.command("LATENCY", "DOCTOR")
    client.command("LATENCY", "RESET")
    monkeypatch.setattr(engine, "has_synced", lambda since: True)
    client.command("SET", "k", "v")
    assert events(client) == {b"aof-write", b"aof-write-pending-fsync"}
    assert b"lower the disk contention" in client.command("LATENCY", "DOCTOR")
    assert client.command("LATENCY", "GRAPH", "aof-write").startswith(b"$")


def test_a_slow_fsync(server: Server, client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.command("CONFIG", "SET", "appendfsync", "always")
    engine = server.keyspace.engine
    monkeypatch.setattr(engine, "sync", slowed(engine.sync))
    client.command("SET", "k", "v")
    assert b"aof-fsync-always" in events(client)
    assert b"Your fsync policy is set to 'always'" in client.command("LATENCY", "DOCTOR")
    client.command("CONFIG", "SET", "latency-monitor-threshold", 0)
    client.command("LATENCY", "RESET")
    client.command("SET", "k", "v")
    assert events(client) == set()


def test_a_slow_step_of_the_sweep(client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Expiry, "expire", slowed(Expiry.expire))

    def is_recorded() -> bool:
        client.command("SET", "k", "v", "PX", 1)
        return b"expire-cycle" in client.command("LATENCY", "LATEST")

    wait_until(is_recorded, "the sweep was seen")
