"""Who hears what, without a socket; patterns beside a loop over all of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.resp.messages import Message
from tendis_py.services.clients import Clients
from tendis_py.services.pattern_index import PatternIndex, channel_glob, literal_suffix
from tendis_py.services.pubsub import Kind, PubSub, figures
from tendis_py.session import Session
from tests.support.servers import wait_until

CHANNEL, PATTERN, SHARD = Kind.CHANNEL, Kind.PATTERN, Kind.SHARD_CHANNEL


class Outlet:
    """An I/O thread that notes what it is to send."""

    def __init__(self) -> None:
        self.delivered: list[tuple[Message, Sequence[Any]]] = []

    def deliver(self, message: Message, peers: Sequence[Any]) -> None:
        self.delivered.append((message, peers))

    def told(self, session: Session) -> list[bytes]:
        """The payloads for a session, but those that are not for it any more."""
        return [
            bytes(message.payload(3))
            for message, peers in self.delivered
            if session.peer in peers and message.is_for(session)
        ]


class Peer:
    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def __init__(self, home: Outlet) -> None:
        self.home = home


class Place:
    """Clients of one I/O thread, and what they are subscribed to."""

    def __init__(self) -> None:
        self.outlet = Outlet()
        self.clients = Clients(lambda: 100)
        self.pubsub = PubSub(self.clients)

    def session(self, outlet: Outlet | None = None) -> Session:
        session: Session = Session(Peer(outlet or self.outlet))  # type: ignore[arg-type]
        self.clients.add(session)
        return session

    def publish(self, channel: bytes, text: bytes, me: Session | None = None) -> int:
        """The number of receivers, the message being sent."""
        outgoing: list[Callable[[], None]] = []
        receivers, self.own = self.pubsub.publish(outgoing, channel, text, me)
        for call in outgoing:
            call()
        return receivers


@pytest.fixture
def place() -> Place:
    return Place()


def test_names_are_counted_each_once(place: Place) -> None:
    pubsub, session = place.pubsub, place.session()
    assert pubsub.subscribe(session, CHANNEL, [b"a", b"b", b"a"]) == [1, 2, 2]
    assert pubsub.subscribe(session, PATTERN, [b"a*"]) == [3]
    assert pubsub.subscribe(session, SHARD, [b"a"]) == [1]
    assert figures(session) == (2, 1, 1)
    assert pubsub.clients == 1
    assert pubsub.unsubscribe(session, CHANNEL, [b"x", b"a", b"a"]) == [3, 2, 2]
    assert pubsub.unsubscribe(session, PATTERN, [b"a*"]) == [1]
    assert pubsub.unsubscribe(session, CHANNEL, [b"b"]) == [0]
    assert session.subscriptions is not None
    assert pubsub.unsubscribe(session, SHARD, [b"a"]) == [0]
    assert session.subscriptions is None
    assert (pubsub.clients, pubsub.heard, session.kind) == (0, False, "normal")
    assert [pubsub.count(kind) for kind in Kind] == [0, 0, 0]


def test_the_session_knows_what_it_may_do(place: Place) -> None:
    session = place.session()
    assert session.plain
    place.pubsub.subscribe(session, CHANNEL, [b"a"])
    assert (session.plain, session.kind) == (False, "pubsub")
    place.pubsub.unsubscribe(session, CHANNEL, [b"a"])
    assert (session.plain, session.kind) == (True, "normal")


def test_nobody_publishes_to_nobody(place: Place) -> None:
    session = place.session()
    assert place.publish(b"a", b"x") == 0
    place.pubsub.subscribe(session, SHARD, [b"a"])
    assert not place.pubsub.heard
    assert place.publish(b"a", b"x") == 0
    assert not place.outlet.delivered


def test_each_io_thread_gets_one_delivery(place: Place) -> None:
    other = Outlet()
    here, there = ([place.session(outlet) for _ in range(5)] for outlet in (place.outlet, other))
    for session in here + there:
        place.pubsub.subscribe(session, CHANNEL, [b"a"])
    assert place.publish(b"a", b"x") == 10
    for outlet, sessions in ((place.outlet, here), (other, there)):
        [(message, peers)] = outlet.delivered
        assert list(peers) == [session.peer for session in sessions]
        assert message.payload(3) == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"


def test_messages_to_the_same_go_to_the_same_object(place: Place) -> None:
    """That is how the I/O thread sees that they may go out together."""
    sessions = [place.session() for _ in range(3)]
    for session in sessions[:2]:
        place.pubsub.subscribe(session, CHANNEL, [b"a"])
    place.publish(b"a", b"1")
    place.publish(b"a", b"2")
    place.pubsub.subscribe(sessions[2], CHANNEL, [b"a"])
    place.publish(b"a", b"3")
    first, second, third = (peers for _, peers in place.outlet.delivered)
    assert first is second
    assert (len(first), len(third)) == (2, 3)


def test_the_own_message_is_handed_back(place: Place) -> None:
    me, other = place.session(), place.session()
    for session in (me, other):
        place.pubsub.subscribe(session, CHANNEL, [b"a"])
    place.pubsub.subscribe(me, PATTERN, [b"*"])
    assert place.publish(b"a", b"x", me) == 3
    assert [message.payload(3)[8:15] for message in place.own] == [b"message", b"pmessag"]
    assert (len(place.outlet.told(other)), place.outlet.told(me)) == (1, [])


@pytest.mark.parametrize("kind", [CHANNEL, PATTERN])
def test_who_has_unsubscribed_gets_nothing_more(place: Place, kind: Kind) -> None:
    """Though the message was on its way: what comes next may be taken for a reply."""
    session, stays = place.session(), place.session()
    for one in (session, stays):
        place.pubsub.subscribe(one, kind, [b"a"])
    place.pubsub.subscribe(session, kind, [b"b"])
    assert place.publish(b"a", b"x") == 2
    place.pubsub.unsubscribe(session, kind, [b"a"])
    assert (len(place.outlet.told(stays)), place.outlet.told(session)) == (1, [])


def test_who_leaves_is_forgotten(place: Place) -> None:
    session, other = place.session(), place.session()
    for one in (session, other):
        for kind in Kind:
            place.pubsub.subscribe(one, kind, [b"a", b"b"])
    place.clients.leave(session)  # as RESET does
    assert session.subscriptions is None
    assert place.pubsub.subscribers(CHANNEL, [b"a", b"b", b"c"]) == [1, 1, 0]
    assert place.pubsub.subscribe(session, CHANNEL, [b"a"]) == [1]
    place.clients.remove(session)
    place.clients.remove(other)
    assert [place.pubsub.names(kind) for kind in Kind] == [[], [], []]
    assert (place.pubsub.clients, place.pubsub.heard) == (0, False)


def test_who_is_gone_subscribes_to_nothing(place: Place) -> None:
    """CLIENT KILL may come from another thread while it runs a SUBSCRIBE."""
    session = place.session()
    place.clients.remove(session)
    assert place.pubsub.subscribe(session, CHANNEL, [b"a"]) == [0]
    assert place.publish(b"a", b"x") == 0
    assert session.subscriptions is None


def test_who_is_killed_while_it_subscribes_is_forgotten(place: Place) -> None:
    """After it was looked up, and before anything was noted."""
    session = place.session()
    killer = threading.Thread(target=place.clients.remove, args=(session,))

    class Sessions(dict[int, Session]):
        def get(self, key: int, default: Any = None) -> Any:
            found = super().get(key, default)
            killer.start()
            wait_until(lambda: key not in self, "it is no client any more")
            return found

    place.clients.sessions = Sessions(place.clients.sessions)
    place.pubsub.subscribe(session, CHANNEL, [b"a"])
    killer.join()
    assert place.pubsub.names(CHANNEL) == []
    assert place.pubsub.clients == 0


def test_very_many_names_are_forgotten_aside(place: Place) -> None:
    """A thread that serves others does not wait for it."""
    session, stays = place.session(), place.session()
    names = [b"%d" % number for number in range(10_000)]
    for one in (session, stays):
        place.pubsub.subscribe(one, CHANNEL, names)
    place.clients.remove(session)
    wait_until(lambda: place.pubsub.subscribers(CHANNEL, names) == [1] * 10_000, "it is forgotten")
    place.clients.leave(stays)  # a RESET is not over before it is done
    assert place.pubsub.names(CHANNEL) == []


def test_nobody_is_left_behind_by_threads(place: Place) -> None:
    sessions = [place.session() for _ in range(8)]
    start = threading.Barrier(9)

    def come_and_go(session: Session) -> None:
        numbers = random.Random(session.id)
        start.wait()
        for _ in range(300):
            kind, name = numbers.choice(list(Kind)), b"%d" % numbers.randrange(4)
            change = numbers.choice((place.pubsub.subscribe, place.pubsub.unsubscribe))
            change(session, kind, [name])

    threads = [threading.Thread(target=come_and_go, args=(one,)) for one in sessions]
    for thread in threads:
        thread.start()
    start.wait()
    for number in range(300):
        place.publish(b"%d" % (number % 4), b"x")
        if number == 150:
            place.clients.remove(sessions[0])
    for thread in threads:
        thread.join()
    for session in sessions:
        place.clients.remove(session)
    assert [place.pubsub.names(kind) for kind in Kind] == [[], [], []]
    assert place.pubsub.clients == 0


# Patterns

texts = st.lists(
    st.sampled_from([b"a", b"b", b"ab", b"*", b"?", b"[ab]", b"[^a]", b"\\", b"\\*", b"[", b"]"]),
    max_size=6,
).map(b"".join)
channels = st.lists(st.sampled_from([b"a", b"b", b"*", b"\\", b"]", b"["]), max_size=6).map(
    b"".join
)


@given(
    patterns=st.lists(texts, unique=True, max_size=60),
    gone=st.sets(st.integers(0, 59)),
    asked=st.lists(channels, min_size=1, max_size=10),
)
def test_the_index_finds_what_a_loop_finds(
    patterns: list[bytes], gone: set[int], asked: list[bytes]
) -> None:
    index = PatternIndex()
    for pattern in patterns:
        index.add(pattern, channel_glob(pattern))
    left = [pattern for at, pattern in enumerate(patterns) if at not in gone]
    for pattern in set(patterns).difference(left):
        index.remove(pattern)
    for channel in asked:
        found = sorted(pattern for pattern in left if channel_glob(pattern)(channel))
        assert sorted(index.matching(channel)) == found, channel


def test_nothing_is_left_of_patterns_that_are_gone() -> None:
    index = PatternIndex()
    patterns = [b"a*", b"a?", b"*b", b"*", b"", b"abc", b"*abc", b"[a]*"]
    for pattern in patterns:
        index.add(pattern, channel_glob(pattern))
    for pattern in patterns:
        index.remove(pattern)
    for shelf in (index._by_beginning, index._by_end):
        assert not shelf.filed
        assert not shelf.lengths


def test_thousands_of_patterns_are_not_asked() -> None:
    asked: list[bytes] = []

    def add(pattern: bytes) -> None:
        matches = channel_glob(pattern)

        def ask(channel: bytes) -> bool:
            asked.append(pattern)
            return matches(channel)

        index.add(pattern, ask)

    index = PatternIndex()
    for number in range(3000):
        add(b"user:%04d:*" % number)
        add(b"*:room:%04d" % number)
    add(b"*")
    assert set(index.matching(b"user:0042:room:0007")) == {b"user:0042:*", b"*:room:0007", b"*"}
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("pattern", "suffix"),
    [
        (b"*abc", b"abc"),
        (b"a?c*abc", b"abc"),
        (b"abc", b""),
        (b"*", b""),
        (b"*a?c", b""),
        (b"[a*bc", b""),
        (b"[*]bc", b""),
        (b"?\\*bc", b"bc"),
        (b"*b\\c", b""),
    ],
)
def test_what_a_match_ends_with(pattern: bytes, suffix: bytes) -> None:
    assert literal_suffix(pattern) == suffix
