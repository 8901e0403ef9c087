"""Whoever wants keys that are another's waits, and nobody else does: not those of the same turn,
nor those whose reactor or executor would have waited."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.server import Server
from tendis_py.storage.cache import _Unwritten
from tendis_py.storage.locks import Claim
from tests.support.embedded import config_for, embedded
from tests.support.resp import SECONDS, RawClient, decode, encode_request
from tests.support.servers import HOST, MODELS, wait_until

WITH_LOCKS = [name for name in MODELS if name not in ("redis", "redis-io")]
CLIENTS = 30


@contextlib.contextmanager
def held(server: Server, keys: set[bytes] | None) -> Iterator[None]:
    """Keys are another's, as a slow command's."""
    claim = Claim(keys)
    assert server.keyspace.locks.ask(claim)
    try:
        yield
    finally:
        server.keyspace.locks.release(claim)


@contextlib.contextmanager
def clients_of(server: Server, number: int) -> Iterator[list[RawClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawClient((HOST, server.port))) for _ in range(number)]


@pytest.mark.parametrize("model", WITH_LOCKS)
def test_only_those_wait_who_want_the_same(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        clients_of(server, CLIENTS) as waiting,
        clients_of(server, CLIENTS) as others,
    ):
        locks = server.keyspace.locks
        waiting[0].command("MSET", "held", "0", "other", "0")
        with held(server, {b"held"}):
            for number, client in enumerate(waiting):
                client.request("INCR", "held")
                others[number].request("INCR", "other")
            assert sorted(int(client.reply()[1:]) for client in others) == [*range(1, CLIENTS + 1)]
            wait_until(lambda: locks.statistics().waiting == CLIENTS, "the others wait")
            for client in others:
                client.request("SET", f"own:{id(client)}", "v")
                client.request("MGET", "other", f"own:{id(client)}")
                client.request("PING")
            for client in others:
                assert client.reply() == b"+OK\r\n"
                assert client.reply() == b"*2\r\n$2\r\n30\r\n$1\r\nv\r\n"
                assert client.reply() == b"+PONG\r\n"
            assert not any(client.has_more() for client in waiting)
        assert sorted(int(client.reply()[1:]) for client in waiting) == [*range(1, CLIENTS + 1)]
        found = locks.statistics()
        assert found.waiting == 0
        assert found.contended >= CLIENTS


@pytest.mark.parametrize("model", WITH_LOCKS)
def test_who_wants_all_keys_waits_for_all_before(tmp_path: Path, model: str) -> None:
    """And those who come after it wait for it, in order."""
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        clients_of(server, 3) as (first, flusher, last),
    ):
        locks = server.keyspace.locks
        with held(server, {b"held"}):
            first.request("SET", "held", "1")
            wait_until(lambda: locks.statistics().waiting == 1, "it waits")
            flusher.request("FLUSHALL")
            wait_until(lambda: locks.statistics().waiting == 2, "it waits")
            last.request("SET", "new", "1")
            wait_until(lambda: locks.statistics().waiting == 3, "it waits")
        for client in (first, flusher, last):
            assert client.reply() == b"+OK\r\n"
        assert last.value("KEYS", "*") == [b"new"]


@pytest.mark.parametrize("model", WITH_LOCKS)
def test_who_goes_meanwhile_is_no_trouble(tmp_path: Path, model: str) -> None:
    """What it has asked for runs all the same, as of anybody who goes before the reply."""
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        clients_of(server, 1) as (staying,),
    ):
        locks = server.keyspace.locks
        with held(server, {b"held"}), RawClient((HOST, server.port)) as leaving:
            leaving.request("INCR", "held")
            wait_until(lambda: locks.statistics().waiting == 1, "it waits")
        assert staying.value("INCR", "held") in (1, 2)
        wait_until(lambda: staying.value("GET", "held") == b"2", "both have run")
        wait_until(lambda: locks.statistics().held == 0, "nobody holds anything")


@pytest.mark.parametrize("model", WITH_LOCKS)
@pytest.mark.parametrize("command", ["MGET", "EXISTS", "TOUCH", "SINTERCARD"])
def test_who_reads_many_keys_keeps_nobody_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, command: str
) -> None:
    """It reads them as they were when it began."""
    names = [f"key:{number}" for number in range(3000)]
    reading, written = threading.Event(), threading.Event()
    get = _Unwritten.get

    def slow_get(self: _Unwritten, key: bytes) -> Any:
        reading.set()
        assert written.wait(SECONDS)
        return get(self, key)

    monkeypatch.setattr(_Unwritten, "get", slow_get)
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        clients_of(server, 17) as (reader, *others),
    ):
        if command == "SINTERCARD":
            for name in names:
                others[0].send(encode_request([b"SADD", name.encode(), b"a"]))
            assert {others[0].reply() for _ in names} == {b":1\r\n"}
            reader.request(command, len(names), *names)
        else:
            assert others[0].command("MSET", *[word for name in names for word in (name, "old")])
            reader.request(command, *names)
        wait_until(reading.is_set, "it reads")
        writer = next(one for one in others if _shares_no_thread(server, reader, one))
        assert writer.command("DEL", names[0]) == b":1\r\n"
        assert writer.command("SET", names[1], "new") == b"+OK\r\n"
        assert writer.command("GET", names[1]) == b"$3\r\nnew\r\n"
        written.set()
        answer = decode(reader.reply())
        expected: Any = [b"old"] * len(names) if command == "MGET" else len(names)
        assert answer == (1 if command == "SINTERCARD" else expected)
        assert writer.value("EXISTS", *names[:5]) == 4


def _shares_no_thread(server: Server, one: RawClient, other: RawClient) -> bool:
    """In models without a slow lane a reactor's other clients wait, whatever they ask."""
    if server.slow_queue is not None:
        return True
    threads = {
        connection.session.address.rpartition(":")[2]: connection.thread
        for reactor in server.reactors
        for connection in list(reactor.connections.values())
    }
    return threads[str(one.socket.getsockname()[1])] != threads[str(other.socket.getsockname()[1])]
