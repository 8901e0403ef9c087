"""Messages that nobody asked for: from any thread, whole, and in order with the replies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import StorageError
from tendis_py.pieces import Pieces
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import NO_REPLY, OK, Push
from tendis_py.server import Server
from tendis_py.services.pushes import deliver
from tendis_py.session import Session
from tendis_py.types.string import values as strings
from tests.support.embedded import config_for, embedded
from tests.support.load import together
from tests.support.resp import SECONDS, RawClient, encode_request
from tests.support.servers import HOST, MODELS, wait_until


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as running:
        yield running


def client_of(server: Server, protocol: int = 3) -> RawClient:
    return RawClient((HOST, server.port), protocol=protocol)


def session_of(server: Server, client: RawClient) -> Session:
    return server.services.clients.sessions[client.value("CLIENT", "ID")]


def message(text: bytes) -> Message:
    return Message(Push([b"news", text]))


def on_wire(text: bytes, protocol: int = 3) -> bytes:
    return message(text).payload(protocol)


def tells_all(ctx: Context, args: list[bytes]) -> Any:
    """APPEND key text: writes, and tells everybody, its own client included."""
    strings.put(ctx.db, args[1], args[2])
    ctx.push(message(args[2]), ctx.services.clients.all())
    return NO_REPLY if args[2] == b"quiet" else OK


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY.commands["append"], "handler", tells_all)


def test_a_message_is_encoded_once_a_protocol() -> None:
    one = message(b"x")
    assert one.payload(3) == b">2\r\n$4\r\nnews\r\n$1\r\nx\r\n"
    assert one.payload(2) == b"*2\r\n$4\r\nnews\r\n$1\r\nx\r\n"
    assert one.payload(3) is one.payload(3)


def test_a_message_is_about_as_long_as_it_looks() -> None:
    for text in (b"", b"x" * 1000, Pieces([b"x" * 1000])):
        one = Message(Push([b"news", [b"y"], 5, text]))
        assert abs(one.size - len(one.payload(3))) < 30


def test_each_gets_it_in_its_own_protocol(server: Server) -> None:
    with client_of(server, 2) as old, client_of(server) as new:
        deliver(message(b"x"), [session_of(server, one) for one in (old, new)])
        assert (old.reply(), new.reply()) == (on_wire(b"x", 2), on_wire(b"x"))


def test_the_own_message_comes_at_its_place(server: Server, telling: None) -> None:
    with client_of(server) as client, client_of(server) as other:
        other.command("PING")
        lines = b"PING|APPEND k a|GET k|APPEND k quiet|GET k|CLIENT REPLY SKIP|APPEND k b|GET k"
        client.send(b"".join(encode_request(line.split()) for line in lines.split(b"|")))
        expected = [
            *(b"+PONG\r\n", on_wire(b"a"), b"+OK\r\n", b"$1\r\na\r\n"),
            *(on_wire(b"quiet"), b"$5\r\nquiet\r\n", on_wire(b"b"), b"$1\r\nb\r\n"),
        ]
        assert [client.reply() for _ in expected] == expected
        assert [other.reply() for _ in range(3)] == [
            on_wire(b"a"),
            on_wire(b"quiet"),
            on_wire(b"b"),
        ]


def test_others_hear_of_it_once_it_is_committed(
    server: Server, telling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = server.keyspace.engine

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("no space left on device")

    with client_of(server) as client, client_of(server) as other:
        other.command("PING")
        with monkeypatch.context() as patch:
            patch.setattr(engine, "write_batch", refuse)
            client.send(encode_request([b"APPEND", b"k", b"lost"]))
            assert client.reply() == on_wire(b"lost"), "pushes are no replies"
            assert b"no space left" in client.reply()
        assert client.command("APPEND", "k", "kept") == on_wire(b"kept")
        assert client.reply() == b"+OK\r\n"
        assert other.reply() == on_wire(b"kept")


def test_who_is_busy_gets_its_replies_first(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that comes while a batch is under way waits for its replies."""
    runs, go_on = threading.Event(), threading.Event()

    def handler(ctx: Context, args: list[bytes]) -> Any:
        runs.set()
        assert go_on.wait(SECONDS)
        return OK

    monkeypatch.setattr(REGISTRY.commands["append"], "handler", handler)
    with client_of(server) as client:
        session = session_of(server, client)
        client.send(encode_request([b"APPEND", b"k", b"v"]) + encode_request([b"PING"]))
        assert runs.wait(SECONDS)
        for text in (b"1", b"2"):
            deliver(message(text), [session])
        go_on.set()
        replies = [client.reply() for _ in range(4)]
        assert replies == [b"+OK\r\n", b"+PONG\r\n", on_wire(b"1"), on_wire(b"2")]


def test_any_thread_may_push_under_load(server: Server) -> None:
    """Every frame is whole, every message comes, those of one thread in order."""
    with client_of(server) as client:
        session = session_of(server, client)

        def push(name: int) -> None:
            for number in range(100):
                deliver(message(b"%d:%d" % (name, number)), [session])

        threads = [threading.Thread(target=push, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        got: list[bytes] = []
        pongs = 0
        for _ in range(200):
            client.send(encode_request([b"PING"]))
            while not (reply := client.reply()).startswith(b"+"):
                got.append(reply)
            pongs += 1
        while len(got) < 300:
            got.append(client.reply())
        for thread in threads:
            thread.join(SECONDS)
        assert pongs == 200
        for name in range(3):
            own = [one for one in got if b"%d:" % name in one]
            assert own == [on_wire(b"%d:%d" % (name, number)) for number in range(100)]


def test_who_has_gone_gets_nothing(server: Server) -> None:
    with client_of(server) as client, client_of(server) as other:
        session, stays = session_of(server, client), session_of(server, other)
        client.socket.close()
        wait_until(lambda: session.id not in server.services.clients.sessions, "it is gone")
        deliver(message(b"x"), [session, stays])
        assert other.reply() == on_wire(b"x")
        assert not any(reactor.deliveries.late for reactor in server.reactors)


def test_a_client_that_is_closed_while_messages_wait_leaves_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, go_on = threading.Event(), threading.Event()

    def handler(ctx: Context, args: list[bytes]) -> Any:
        runs.set()
        assert go_on.wait(SECONDS)
        ctx.session.closing = True
        return OK

    monkeypatch.setattr(REGISTRY.commands["append"], "handler", handler)
    with client_of(server) as client:
        session = session_of(server, client)
        client.send(encode_request([b"APPEND", b"k", b"v"]))
        assert runs.wait(SECONDS)
        deliver(message(b"1"), [session])
        go_on.set()
        assert client.until_closed().startswith(b"+OK\r\n")

    def work(other: RawClient) -> None:
        other.command("PING")

    together((HOST, server.port), *[work] * 4)
    wait_until(
        lambda: not any(reactor.deliveries.late for reactor in server.reactors), "nothing is left"
    )


def test_each_kind_of_client_has_its_output_limit(server: Server) -> None:
    """The messages pile up: the client does not read."""
    server.config.assign(["client-output-buffer-limit", "pubsub", "1mb", "0", "0"])
    with client_of(server) as client, client_of(server) as other:
        sessions = [session_of(server, one) for one in (client, other)]
        sessions[0].kind = "pubsub"
        assert b"id=%d " % sessions[0].id in other.value("CLIENT", "LIST", "TYPE", "PUBSUB")
        text = b"x" * 100_000

        def pushed() -> bool:
            deliver(message(text), sessions)
            return sessions[0].id not in server.services.clients.sessions

        wait_until(pushed, "it is closed for its limit")
        assert sessions[1].id in server.services.clients.sessions
        client.until_closed()
