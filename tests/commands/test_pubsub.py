"""What pub/sub's commands do within another one, as EXEC runs them: no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config
from tendis_py.resp.messages import Message
from tendis_py.services import Services
from tendis_py.services.pubsub import BY_EVENT, BY_KEY, Kind
from tendis_py.session import Session
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread

MESSAGE = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"


class Peer:
    """A connection, and its own I/O thread."""

    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def __init__(self) -> None:
        self.home = self
        self.told: list[bytes] = []

    def deliver(self, message: Message, peers: Sequence[Any]) -> None:
        self.told.append(bytes(message.payload(3)))


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[Thread]:
    engine = Engine(tmp_path / "db")
    one = Thread(Services(Config(), Keyspace(engine)))
    one.session = Session(Peer())  # type: ignore[arg-type]
    one.dispatcher.services.clients.add(one.session)
    yield one
    engine.close()


def call(thread: Thread, line: str) -> bytes:
    """The reply to a command that another has run."""
    request = line.encode().split()
    command = REGISTRY.find(request)
    assert command is not None
    context = thread.dispatcher.context
    context.enter(thread.session)
    return bytes(context.call(command, request, perf_counter_ns()))


def test_the_own_message_follows_the_whole(thread: Thread) -> None:
    """It is no part of EXEC's reply, in which it would be taken for one of its elements."""
    thread.run("HELLO 3", "SUBSCRIBE a")
    context = thread.dispatcher.context
    assert call(thread, "PUBLISH a x") == b":1\r\n"
    assert [bytes(message.payload(3)) for message in context.later] == [MESSAGE]
    context.later.clear()
    assert thread.run("PUBLISH a x", "PING") == b":1\r\n" + MESSAGE + b"+PONG\r\n"
    assert context.later == []


def test_others_are_told_when_the_batch_is_committed(thread: Thread) -> None:
    peer = Peer()
    other = Session(peer)  # type: ignore[arg-type]
    services = thread.dispatcher.services
    services.clients.add(other)
    services.pubsub.subscribe(other, Kind.CHANNEL, [b"a"])
    assert call(thread, "PUBLISH a x") == b":1\r\n"
    assert peer.told == []
    thread.tx.release()
    assert peer.told == [MESSAGE]
    assert call(thread, "PUBLISH a x") == b":1\r\n"
    thread.tx.release(settled_only=True)
    assert peer.told == [MESSAGE]


def test_confirmations_are_the_reply(thread: Thread) -> None:
    confirmed = (
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
    )
    assert call(thread, "SUBSCRIBE a b") == confirmed
    assert call(thread, "UNSUBSCRIBE b") == b"*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n"


def test_shard_channels_are_not_waited_for_where_nothing_may_wait(thread: Thread) -> None:
    context = thread.dispatcher.context
    context.nested = True
    refused = b"-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n"
    assert call(thread, "SSUBSCRIBE a") == refused
    assert call(thread, "SUBSCRIBE a").startswith(b"*3\r\n$9\r\nsubscribe")
    assert call(thread, "SUNSUBSCRIBE a").startswith(b"*3\r\n$12\r\nsunsubscribe")
    context.nested = False
    assert call(thread, "SSUBSCRIBE a").startswith(b"*3\r\n$10\r\nssubscribe")


@pytest.mark.parametrize(
    ("name", "by_key", "by_event"),
    [
        ("SUBSCRIBE __keyspace@0__:k", 1, 0),
        ("SUBSCRIBE __keyevent@0__:set", 0, 1),
        ("SUBSCRIBE __key", 0, 0),
        ("SUBSCRIBE news", 0, 0),
        ("PSUBSCRIBE *", 1, 1),
        ("PSUBSCRIBE __key*", 1, 1),
        ("PSUBSCRIBE __key", 0, 0),
        ("PSUBSCRIBE __keyspace@*", 1, 0),
        ("PSUBSCRIBE __keyevent@?__:set", 0, 1),
        ("PSUBSCRIBE [_]_keyevent@0__:set", 0, 1),
        ("PSUBSCRIBE *:set", 1, 1),
        ("PSUBSCRIBE new*", 0, 0),
        ("SSUBSCRIBE __keyspace@0__:k", 0, 0),
    ],
)
def test_who_may_hear_of_keys_is_known(
    thread: Thread, name: str, by_key: int, by_event: int
) -> None:
    pubsub = thread.dispatcher.services.pubsub
    call(thread, name)
    assert (pubsub.heard_from[BY_KEY], pubsub.heard_from[BY_EVENT]) == (by_key, by_event)
    command, _, channel = name.partition(" ")
    call(thread, f"{command.replace('SUBSCRIBE', 'UNSUBSCRIBE')} {channel}")
    assert set(pubsub.heard_from.values()) == {0}
