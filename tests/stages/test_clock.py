"""What a running server does when its time comes, in every threading model, with a clock that the
tests move. Its threads look around of themselves every few minutes only: what happens, happens
because they were woken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.server import Server
from tendis_py.services.clock import ManualClock
from tests.support.embedded import RARELY, config_for, embedded, wait_until_idle
from tests.support.resp import Disconnected, RawClient
from tests.support.servers import HOST, MODELS, wait_until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Server]:
    config = config_for(tmp_path, threading_model=request.param)
    config.hz = RARELY
    with embedded(config, clock) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


def test_a_key_lives_until_the_clock_is_moved(
    server: Server, client: RawClient, clock: ManualClock
) -> None:
    server.services.active_expiry = False
    client.command("SET", "k", "v", "PX", "10")
    client.command("HSET", "h", "f", "v", "other", "v")
    client.command("HPEXPIRE", "h", "10", "FIELDS", "1", "f")
    assert client.value("PTTL", "k") == 10
    clock.advance(0.009)
    assert client.value("PTTL", "k") == 1
    assert client.value("HGETALL", "h") == [b"f", b"v", b"other", b"v"]
    clock.advance(0.002)
    assert client.value("DBSIZE") == 2, "nobody has asked for it"
    assert client.value("GET", "k") is None
    assert client.value("HGETALL", "h") == [b"other", b"v"]


def test_keys_are_swept_that_nobody_asks_for(client: RawClient, clock: ManualClock) -> None:
    for number in range(300):
        client.command("SET", f"k{number}", "v", "EX", 60 if number < 290 else 600)
    clock.advance(61)
    wait_until(lambda: client.value("DBSIZE") == 10, "the sweep was woken")


def test_a_pause_ends_in_its_time(server: Server, client: RawClient, clock: ManualClock) -> None:
    assert client.command("CLIENT", "PAUSE", 60_000, "WRITE") == b"+OK\r\n"
    with RawClient((HOST, server.port)) as writer:
        writer.send(b"SET k v\r\n")
        held = [reactor.connections.parking for reactor in server.reactors]
        wait_until(lambda: any(held), "it is held back")
        clock.advance(20)
        assert client.value("GET", "k") is None
        assert any(held)
        wait_until_idle(server)
        clock.advance(41)
        assert writer.reply() == b"+OK\r\n"
    assert client.value("GET", "k") == b"v"


def test_idle_clients_are_closed(server: Server, client: RawClient, clock: ManualClock) -> None:
    client.command("CONFIG", "SET", "timeout", 100)
    with RawClient((HOST, server.port)) as idle:
        idle.command("PING")
        clock.advance(60)
        assert client.command("PING") == b"+PONG\r\n"
        wait_until_idle(server)
        clock.advance(60)
        with pytest.raises((Disconnected, ConnectionError)):
            idle.reply()
        assert client.command("PING") == b"+PONG\r\n"


def test_a_client_that_reads_nothing_is_closed(
    server: Server, client: RawClient, clock: ManualClock
) -> None:
    limit = "normal 0 1mb 60"
    client.command("CONFIG", "SET", "client-output-buffer-limit", limit)
    client.command("SET", "large", b"x" * (16 << 20))
    with RawClient((HOST, server.port)) as idle:
        idle.send(b"GET large\r\n")
        wait_until(lambda: _unsent(server) > 1 << 20, "its reply waits")
        clock.advance(1)  # the limit's time begins when the server first looks
        wait_until(lambda: _over_limit(server), "the server looked")
        clock.advance(59)
        assert _unsent(server)
        wait_until_idle(server)
        clock.advance(3)
        wait_until(lambda: not _unsent(server), "it is closed")
        assert len(idle.until_closed()) < 16 << 20
    assert server.services.stats.totals().output_limit_closed == 1


def _unsent(server: Server) -> int:
    return sum(session.peer.output_bytes for session in server.services.clients.all())


def _over_limit(server: Server) -> bool:
    return any(
        connection.soft_limit_since
        for reactor in server.reactors
        for connection in list(reactor.connections.values())
    )


def test_whatever_tells_the_time_tells_the_same(
    server: Server, client: RawClient, clock: ManualClock
) -> None:
    began = clock.now_seconds()
    client.command("SET", "k", "v")
    with RawClient((HOST, server.port)) as other:
        other.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
        clock.advance(1000)
        client.command("PING")
        assert int(client.value("TIME")[0]) == began + 1000
        assert client.value("OBJECT", "IDLETIME", "k") == 1000
        assert client.value("SLOWLOG", "GET", "1")[0][1] == began + 1000
        assert client.value("LASTSAVE") == began
        client.command("SAVE")
        assert client.value("LASTSAVE") == began + 1000
        assert b"uptime_in_seconds:1000\r\n" in client.value("INFO", "server")
        first, second = client.value("CLIENT", "LIST").splitlines()
        assert b" age=1000 idle=0 " in first
        assert b" age=1000 idle=1000 " in second
        assert client.value("CLIENT", "KILL", "MAXAGE", 1001) == 0
        assert client.value("CLIENT", "KILL", "MAXAGE", 1000) == 1


def test_a_server_that_has_ended_is_not_told(tmp_path: Path, clock: ManualClock) -> None:
    with embedded(config_for(tmp_path), clock):
        clock.advance(1)
    clock.advance(1)
