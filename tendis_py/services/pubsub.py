"""Who is subscribed to which channel and pattern, and whom a message is for.

Any thread may call any method. What a session is subscribed to changes only while its own batch
runs, and when it leaves; so a reactor that finds its connection idle looks at
``Session.subscriptions`` without a lock. Knows no command and no socket.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from itertools import islice
from typing import Any

from tendis_py.glob import literal_prefix
from tendis_py.pieces import Pieces
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import Push
from tendis_py.services.backlog import Backlog
from tendis_py.services.clients import Clients
from tendis_py.services.pattern_index import Matches, PatternIndex, channel_glob
from tendis_py.services.pushes import Group, grouped, send
from tendis_py.session import Session
from tendis_py.storage.changes import Release

BY_KEY, BY_EVENT = b"__keyspace@", b"__keyevent@"
"""What the channels of keyspace notifications begin with."""

_NAMES_AT_ONCE = 512
"""That a session (un)subscribes from before others have a turn at the lock."""

_MANY_NAMES = 4096
"""That take a thread of their own to be forgotten when a client goes, some 10 ms."""


class Kind(Enum):
    """What can be subscribed to, by the field of ``Subscriptions`` that has it."""

    CHANNEL = "channels"
    PATTERN = "patterns"
    SHARD_CHANNEL = "shard_channels"


class Subscriptions:
    """Of one session: names, in the order they came. It has at least one, or the session has
    None instead."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    def of(self, kind: Kind) -> dict[bytes, None]:
        names: dict[bytes, None] = getattr(self, kind.value)
        return names

    def counted_with(self, kind: Kind) -> int:
        """What a confirmation says: channels and patterns together, shard channels by
        themselves."""
        if kind is Kind.SHARD_CHANNEL:
            return len(self.shard_channels)
        return len(self.channels) + len(self.patterns)

    def __len__(self) -> int:
        return len(self.channels) + len(self.patterns) + len(self.shard_channels)


_NONE = Subscriptions()
"""Of sessions that have none. Nobody writes to it."""


class ChannelMessage(Message):
    """What those are told who are subscribed to ``name``."""

    __slots__ = ("_kind", "_name")

    def __init__(self, kind: Kind, name: bytes, push: Push) -> None:
        super().__init__(push)
        self._kind = kind.value
        self._name = name

    def is_for(self, session: Session) -> bool:
        """Whether it is still subscribed: it may have read that it is not any more, and nothing may
        come after that."""
        subscriptions = session.subscriptions
        return subscriptions is not None and self._name in getattr(subscriptions, self._kind)


class _Audience:
    """The sessions subscribed to one name. What they are told goes to the same tuples of peers as
    long as they stay the same: 10,000 of them cost a publisher no more than one."""

    __slots__ = ("_groups", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self._groups: Sequence[Group] | None = None

    def add(self, session: Session) -> None:
        self.sessions[session] = None
        self._groups = None

    def remove(self, session: Session) -> None:
        del self.sessions[session]
        self._groups = None

    def groups(self, but: Session | None) -> Sequence[Group]:
        if but is not None and but in self.sessions:
            return grouped(one for one in self.sessions if one is not but)
        if self._groups is None:
            self._groups = grouped(self.sessions)
        return self._groups


class PubSub:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._audiences: dict[Kind, dict[bytes, _Audience]] = {kind: {} for kind in Kind}
        self._index = PatternIndex()
        self.backlog = Backlog()
        self.clients = 0
        """How many sessions are subscribed to anything."""
        self.heard = False
        """Whether anybody is subscribed to channels or patterns: else nothing need be published."""
        self.heard_from = {BY_KEY: 0, BY_EVENT: 0}
        """To how many names somebody is subscribed that may be channels which begin so: channels
        that a server publishes to all the time are not looked for in vain."""
        clients.on_leave.append(self._forget)

    # Subscribing, for the thread that runs the session's batch

    def subscribe(self, session: Session, kind: Kind, names: Iterable[bytes]) -> list[int]:
        """Add ``names``; to how many the session is subscribed after each."""
        counts: list[int] = []
        for part in _parts(names):
            patterns = self._read(part) if kind is Kind.PATTERN else {}
            with self._lock:
                subscriptions = self._begin(session)
                if subscriptions is None:
                    counts += [0] * len(part)
                    continue
                own = subscriptions.of(kind)
                for name in part:
                    if name not in own:
                        own[name] = None
                        self._join(kind, name, session, patterns)
                    counts.append(subscriptions.counted_with(kind))
                self._look()
        return counts

    def unsubscribe(self, session: Session, kind: Kind, names: Iterable[bytes]) -> list[int]:
        """Take ``names`` away, as far as they are there; to how many the session is subscribed
        after each."""
        counts: list[int] = []
        for part in _parts(names):
            with self._lock:
                subscriptions = session.subscriptions or _NONE
                own = subscriptions.of(kind)
                for name in part:
                    if name in own:
                        del own[name]
                        self._part(kind, name, session)
                    counts.append(subscriptions.counted_with(kind))
                self._end(session)
                self._look()
        return counts

    def _begin(self, session: Session) -> Subscriptions | None:
        """The session's subscriptions; None when it has left, and will not do so again."""
        subscriptions: Subscriptions | None = session.subscriptions
        if subscriptions is None and self._clients.sessions.get(session.id) is session:
            subscriptions = session.subscriptions = Subscriptions()
            session.kind = "pubsub"
            session.compile_gates()
            self.clients += 1
        return subscriptions

    def _end(self, session: Session) -> None:
        if session.subscriptions is not None and not session.subscriptions:
            session.subscriptions = None
            session.kind = "normal"
            session.compile_gates()
            self.clients -= 1

    def _read(self, patterns: list[bytes]) -> dict[bytes, Matches]:
        """Those that are new, compiled: that may take a while, and needs no lock."""
        known = self._audiences[Kind.PATTERN]
        return {one: channel_glob(one) for one in patterns if one not in known}

    def _join(
        self, kind: Kind, name: bytes, session: Session, patterns: dict[bytes, Matches]
    ) -> None:
        audiences = self._audiences[kind]
        audience = audiences.get(name)
        if audience is None:
            audience = audiences[name] = _Audience()
            self._count_beginnings(kind, name, 1)
            if kind is Kind.PATTERN:  # which may have been known a moment ago
                self._index.add(name, patterns.get(name) or channel_glob(name))
        audience.add(session)

    def _part(self, kind: Kind, name: bytes, session: Session) -> None:
        audiences = self._audiences[kind]
        audience = audiences[name]
        audience.remove(session)
        if not audience.sessions:
            del audiences[name]
            self._count_beginnings(kind, name, -1)
            if kind is Kind.PATTERN:
                self._index.remove(name)

    def _count_beginnings(self, kind: Kind, name: bytes, change: int) -> None:
        if kind is Kind.SHARD_CHANNEL:
            return
        literal = literal_prefix(name) if kind is Kind.PATTERN else name
        for start in self.heard_from:
            if literal.startswith(start) or (
                kind is Kind.PATTERN and start.startswith(literal) and literal != name
            ):
                self.heard_from[start] += change

    def _look(self) -> None:
        self.heard = bool(self._audiences[Kind.CHANNEL] or self._audiences[Kind.PATTERN])

    def _forget(self, session: Session) -> None:
        with self._lock:  # or a SUBSCRIBE that is under way might see the session and not be seen
            subscriptions, session.subscriptions = session.subscriptions, None
            if subscriptions is None:
                return
            self.clients -= 1
        forget = partial(self._take_out, session, subscriptions)
        if len(subscriptions) > _MANY_NAMES and session.id not in self._clients.sessions:
            threading.Thread(target=forget).start()  # it was closed by a thread that serves others
        else:
            forget()

    def _take_out(self, session: Session, subscriptions: Subscriptions) -> None:
        for kind in Kind:
            for part in _parts(subscriptions.of(kind)):
                with self._lock:
                    for name in part:
                        self._part(kind, name, session)
                    self._look()

    # Publishing

    def publish(
        self,
        outgoing: list[Release],
        channel: bytes,
        text: bytes | Pieces,
        me: Session | None = None,
    ) -> tuple[int, list[Message]]:
        """Have ``text`` sent, once ``outgoing`` is released, to those who are subscribed to
        ``channel`` now, but not to ``me``: to how many sessions and patterns in all, and what
        ``me`` is to be told."""
        if not self.heard:
            return 0, []
        receivers = 0
        own: list[Message] = []
        with self._lock:
            for message, audience in self._heard_by(channel, text):
                receivers += len(audience.sessions)
                self._send(outgoing, message, audience, me, own)
        return receivers, own

    def publish_to_shard(
        self,
        outgoing: list[Release],
        channel: bytes,
        text: bytes | Pieces,
        me: Session | None = None,
    ) -> tuple[int, list[Message]]:
        """As ``publish``, to a shard channel."""
        own: list[Message] = []
        with self._lock:
            audience = self._audiences[Kind.SHARD_CHANNEL].get(channel)
            if audience is None:
                return 0, own
            push = Push([b"smessage", channel, text])
            message = ChannelMessage(Kind.SHARD_CHANNEL, channel, push)
            self._send(outgoing, message, audience, me, own)
            return len(audience.sessions), own

    def _heard_by(
        self, channel: bytes, text: bytes | Pieces
    ) -> Iterator[tuple[ChannelMessage, _Audience]]:
        audience = self._audiences[Kind.CHANNEL].get(channel)
        if audience is not None:
            push = Push([b"message", channel, text])
            yield ChannelMessage(Kind.CHANNEL, channel, push), audience
        patterns = self._audiences[Kind.PATTERN]
        if patterns:
            for pattern in self._index.matching(channel):
                push = Push([b"pmessage", pattern, channel, text])
                yield ChannelMessage(Kind.PATTERN, pattern, push), patterns[pattern]

    def _send(
        self,
        outgoing: list[Release],
        message: Message,
        audience: _Audience,
        me: Session | None,
        own: list[Message],
    ) -> None:
        if self.backlog.full and me is not None:
            self.backlog.publishers.add(me)
        groups = audience.groups(me)
        if groups:
            outgoing.append(partial(send, message, groups))
        if me in audience.sessions:
            own.append(message)

    # Telling

    def names(self, kind: Kind) -> list[bytes]:
        """Those that somebody is subscribed to."""
        with self._lock:
            return list(self._audiences[kind])

    def count(self, kind: Kind) -> int:
        """How many names somebody is subscribed to."""
        return len(self._audiences[kind])

    def subscribers(self, kind: Kind, names: Collection[bytes]) -> list[int]:
        """How many sessions are subscribed to each of ``names``."""
        with self._lock:
            found = map(self._audiences[kind].get, names)
            return [0 if audience is None else len(audience.sessions) for audience in found]


def _parts(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(names)
    while part := list(islice(left, _NAMES_AT_ONCE)):
        yield part


def figures(session: Session) -> tuple[int, int, int]:
    """To how many channels, patterns and shard channels a session is subscribed."""
    one: Any = session.subscriptions or _NONE
    return len(one.channels), len(one.patterns), len(one.shard_channels)
