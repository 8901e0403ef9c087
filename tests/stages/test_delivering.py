"""Published messages on their way: in order, shared out over turns, and bounded."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import StorageError
from tendis_py.resp.replies import OK, Push, encode
from tendis_py.server import Server
from tendis_py.services.clock import ManualClock
from tendis_py.session import Session
from tendis_py.stages import delivering
from tendis_py.stages.delivering import Deliveries
from tests.support.embedded import MovedTime, config_for, embedded
from tests.support.resp import SECONDS, RawClient, decode, encode_request
from tests.support.servers import HOST, MODELS, wait_until

MB = 1024 * 1024


@pytest.fixture(params=MODELS)
def moved(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MovedTime]:
    clock = ManualClock()
    with embedded(config_for(tmp_path, threading_model=request.param), clock) as server:
        yield MovedTime(server, clock)


@pytest.fixture
def server(moved: MovedTime) -> Server:
    return moved.server


def client_of(server: Server, protocol: int = 2) -> RawClient:
    return RawClient((HOST, server.port), protocol=protocol)


def subscriber_of(server: Server, channel: str = "a", protocol: int = 2) -> RawClient:
    client = client_of(server, protocol)
    client.command("SUBSCRIBE", channel)
    return client


def session_of(server: Server, client: RawClient) -> Session:
    host, port = client.socket.getsockname()
    sessions = server.services.clients.all()
    [found] = [one for one in sessions if one.address == f"{host}:{port}"]
    return found


def publish(server: Server, *texts: bytes, channel: bytes = b"a") -> None:
    """From this thread, which is none of the server's."""
    for text in texts:
        outgoing: list[Callable[[], None]] = []
        server.services.pubsub.publish(outgoing, channel, text)
        for call in outgoing:
            call()


def message(text: bytes, channel: bytes = b"a") -> list[bytes]:
    return [b"message", channel, text]


def closed_for_output(server: Server) -> int:
    return server.services.stats.totals().output_limit_closed


def limit(server: Server, hard: str, soft: str = "0", seconds: str = "0") -> None:
    server.config.assign(["client-output-buffer-limit", "pubsub", hard, soft, seconds])


class Gate:
    """KEYS waits in its handler until the test lets it go on: on the slow lane, where there is
    one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs, self.go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(REGISTRY.commands["keys"], "handler", self._keys)

    def _keys(self, ctx: Context, args: list[bytes]) -> Any:
        self.runs.set()
        assert self.go_on.wait(SECONDS)
        return OK


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    one = Gate(monkeypatch)
    yield one
    one.go_on.set()


# Order


def test_a_message_comes_before_the_reply_to_a_later_request(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it takes many turns to tell all, and the last ones ask before they are told."""
    monkeypatch.setattr(delivering, "SHARE_NS", 0)
    monkeypatch.setattr(delivering, "AT_ONCE", 1)
    text = b"x" * 500
    with client_of(server) as publisher, ExitStack() as stack:
        subscribers = [stack.enter_context(subscriber_of(server)) for _ in range(40)]
        for asked in (1, 40, 1, 40):  # of those 40 a turn does not take all
            assert publisher.value("PUBLISH", "a", text) == 40
            for client in reversed(subscribers):
                client.send(encode_request([b"PING", text]) * asked)
            for client in subscribers:
                assert decode(client.reply()) == message(text)
                for _ in range(asked):
                    assert decode(client.reply()) == [b"pong", text]


def test_others_have_their_turns_while_many_are_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "SHARE_NS", 0)
    monkeypatch.setattr(delivering, "AT_ONCE", 1)
    with ExitStack() as stack, client_of(server) as other:
        subscribers = [stack.enter_context(subscriber_of(server)) for _ in range(100)]
        before = sum(reactor.turns for reactor in server.reactors)
        publish(server, b"x")
        assert other.command("PING") == b"+PONG\r\n"
        for client in subscribers:
            assert decode(client.reply()) == message(b"x")
        assert sum(reactor.turns for reactor in server.reactors) - before >= 100


def test_messages_to_the_same_go_out_together(server: Server, gate: Gate) -> None:
    """What has gathered while the I/O thread could not send it."""
    with subscriber_of(server) as client, client_of(server) as other:
        other.request("KEYS", "*")
        assert gate.runs.wait(SECONDS)
        texts = [b"%d" % number for number in range(1000)]
        publish(server, *texts, b"x" * 100_000, b"end")
        gate.go_on.set()
        for text in (*texts, b"x" * 100_000, b"end"):
            assert decode(client.reply()) == message(text)


def test_who_is_busy_is_told_afterwards_in_order(server: Server, gate: Gate) -> None:
    with subscriber_of(server, protocol=3) as client:
        client.send(b"KEYS *\r\nHELLO 2\r\n")
        assert gate.runs.wait(SECONDS)
        publish(server, b"1", b"2")
        publish(server, b"other", channel=b"b")
        publish(server, b"3")
        gate.go_on.set()
        replies = [client.reply() for _ in range(5)]
        assert replies[0] == b"+OK\r\n"
        greeted = [reply[:4] for reply in replies].index(b"*14\r")
        told = [Push([*message(b"%d" % number)]) for number in (1, 2, 3)]
        assert replies[1:] == [
            *[encode(one, 3) for one in told[: greeted - 1]],
            replies[greeted],
            *[encode(one, 2) for one in told[greeted - 1 :]],
        ]


@pytest.mark.parametrize("last", ["UNSUBSCRIBE", "RESET"])
def test_nothing_comes_after_the_end(server: Server, gate: Gate, last: str) -> None:
    """It would be taken for the reply to what is asked next."""
    with subscriber_of(server, protocol=3) as client:
        client.send(b"KEYS *\r\n%b\r\n" % last.encode())
        assert gate.runs.wait(SECONDS)
        publish(server, b"lost")
        gate.go_on.set()
        assert client.reply() == b"+OK\r\n"
        while b"message" in (reply := client.reply()):
            pass
        assert b"unsubscribe" in reply or reply == b"+RESET\r\n"
        assert client.command("PING") == b"+PONG\r\n"


def test_what_a_failed_commit_does_to_confirmations(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are true all the same, in RESP2 as well; the message of a batch that failed is not
    sent."""

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("no space left on device")

    with client_of(server) as client, subscriber_of(server) as other:
        with monkeypatch.context() as patch:
            patch.setattr(server.keyspace.engine, "write_batch", refuse)
            requests = (b"SET k v", b"PUBLISH a lost", b"SUBSCRIBE a b", b"PING")
            client.send(b"".join(encode_request(request.split()) for request in requests))
            replies = [client.reply() for _ in range(5)]
        assert [reply[:1] for reply in replies] == [b"-", b"-", b"*", b"*", b"-"]
        assert decode(replies[3]) == [b"subscribe", b"b", 2]
        publish(server, b"sent")
        assert decode(client.reply()) == message(b"sent")
        assert decode(other.reply()) == message(b"sent")


# Bounds


def test_a_slow_subscriber_is_closed(
    moved: MovedTime, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The others get everything, and the publisher waits for nobody."""
    limit(server, "1mb")
    text = b"x" * 100_000
    with client_of(server) as publisher, subscriber_of(server) as slow, subscriber_of(server) as ok:
        address = session_of(server, slow).address
        published = 0
        with caplog.at_level(logging.WARNING):
            while publisher.value("PUBLISH", "a", text) == 2:
                published += 1
                assert decode(ok.reply()) == message(text)
                assert published < 1000
        assert decode(ok.reply()) == message(text)
        assert published > 5
        assert f"Client {address} closed for overcoming of output buffer limits." in caplog.text
        assert closed_for_output(server) == 1
        slow.until_closed()
        assert publisher.value("PUBSUB", "NUMSUB", "a") == [b"a", 1]


def test_a_subscriber_may_be_slow_for_a_while(moved: MovedTime, server: Server) -> None:
    limit(server, "0", "1mb", "10")
    text = b"x" * 100_000
    with client_of(server) as publisher, subscriber_of(server) as slow:
        session = session_of(server, slow)

        def waits() -> bool:
            publisher.command("PUBLISH", "a", text)
            return session.peer.output_bytes > 2 * MB

        wait_until(waits, "more waits than the soft limit allows")
        moved.clock.advance(6)
        for _ in range(2):
            assert publisher.value("PUBLISH", "a", "still there") == 1
        moved.clock.advance(6)
        wait_until(lambda: publisher.value("PUBLISH", "a", "x") == 0, "it is closed")
        assert closed_for_output(server) == 1


@pytest.mark.parametrize("moved", ["tendis", "redis-io"], indirect=True)
def test_who_is_busy_has_the_same_limit(server: Server, gate: Gate) -> None:
    limit(server, "1mb")
    with subscriber_of(server, protocol=3) as client:
        session = session_of(server, client)
        client.request("KEYS", "*")
        assert gate.runs.wait(SECONDS)
        publish(server, *[b"x" * 100_000] * 20)
        wait_until(lambda: session.id not in server.services.clients.sessions, "it is closed")
        assert client.until_closed() == b""
        gate.go_on.set()
    wait_until(lambda: not any(one.deliveries.late for one in server.reactors), "nothing is left")


def test_publishers_wait_while_too_much_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so others; and in the end everything is there."""
    monkeypatch.setattr(delivering, "MOST_MESSAGES", 20)
    may_send = threading.Event()
    go_on = Deliveries.go_on

    def held_back(self: Deliveries, now: float) -> None:
        if may_send.is_set():
            go_on(self, now)

    monkeypatch.setattr(Deliveries, "go_on", held_back)
    backlog = server.services.pubsub.backlog
    with client_of(server) as publisher, client_of(server) as other, ExitStack() as stack:
        subscribers = [stack.enter_context(subscriber_of(server)) for _ in range(20)]
        session = session_of(server, publisher)
        texts = [b"%d" % number for number in range(100)]
        publisher.send(b"".join(encode_request([b"PUBLISH", b"a", text]) for text in texts))
        wait_until(lambda: backlog.full, "more waits than may")
        for _ in texts:
            assert publisher.reply() == b":20\r\n"
        assert publisher.value("PUBLISH", "a", "one more") == 20
        assert backlog.publishers == {session}
        publisher.request("PUBLISH", "a", "end")
        assert other.command("PING") == b"+PONG\r\n"
        assert other.value("PUBSUB", "NUMSUB", "a") == [b"a", 20]
        assert not publisher.has_more()
        may_send.set()
        for client in subscribers:
            for text in (*texts, b"one more", b"end"):
                assert decode(client.reply()) == message(text)
        assert publisher.reply() == b":20\r\n"
        assert not backlog.full
        assert not backlog.publishers


def test_who_is_subscribed_is_never_idle(moved: MovedTime, server: Server) -> None:
    server.config.assign(["timeout", "10"])
    with subscriber_of(server) as subscriber, client_of(server) as idle, client_of(server) as other:
        assert idle.command("PING") == b"+PONG\r\n"
        for _ in range(3):
            assert other.command("PING") == b"+PONG\r\n"
            moved.pass_time(6)
        wait_until(idle.has_more, "it is closed")
        assert idle.until_closed() == b""
        publish(server, b"x")
        assert decode(subscriber.reply()) == message(b"x")
