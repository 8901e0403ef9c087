"""Client-side caching (CLIENT TRACKING): who has read which key, and is told when it changes.

Reads are noted by a witness of the commands of sessions that track, writes heard from
``keyspace.interest``; both only while somebody tracks. A read is noted before the locks of its keys
are released, and who writes them needs those: so no write comes in between a read and its note.

An invalidation is left in the client's mailbox at once, in the middle of the writing batch: it says
no more than that a key is to be read again, which has to wait for that batch's commit. Should that
fail, the client has read once too often. So each invalidation is there before any later read of the
client's own, be it of the same batch. Broadcasts are gathered by batch, and wait for its commit.

Keys are tracked by name, whatever the database, as in Redis. Knows no command.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import merge
from typing import Any

from tendis_py.resp.replies import ENCODERS, Encoded, Push
from tendis_py.services.clients import Clients
from tendis_py.services.pushes import leave
from tendis_py.services.tracking_table import TrackingTable
from tendis_py.session import Session, Tracking
from tendis_py.storage.changes import Change, Interest, Release
from tendis_py.storage.pacing import ITEMS_AT_ONCE

CHANNEL = b"__redis__:invalidate"
"""On which a RESP2 client is told that has subscribed, if it is told in another's place."""

_ALL = {protocol: Encoded(ENCODERS[protocol][type(None)](None)) for protocol in (2, 3)}
"""Instead of keys: all keys, in the protocol of the client that tracks."""

Witness = Callable[[Any, Any, list[bytes], bool], None]
Author = Session | None


class KeyTracking:
    """``attend`` has a witness be told of every command that has run, or no longer; ``limit()`` is
    for how many keys there is room. Any thread may call any method."""

    def __init__(
        self,
        clients: Clients,
        interest: Interest,
        attend: Callable[[Witness, bool], None],
        limit: Callable[[], int],
    ) -> None:
        self._clients = clients
        self._interest = interest
        self._attend = attend
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._table = TrackingTable(limit, clients.sessions.__contains__)
        self._prefixes: dict[bytes, dict[int, Session]] = {}
        self._lengths: list[int] = []
        """Of the prefixes, each once, in order."""
        self._gathering: dict[int, _Broadcast] = {}
        """By thread: of the batch that runs there, or of an earlier one."""
        clients.on_leave.append(self._leave)

    # Who tracks

    def start(self, session: Session, tracking: Tracking) -> None:
        """Track keys for ``session``, whose own thread this is, as ``tracking`` says; prefixes are
        added to those it has."""
        with self._lock:
            before = session.tracking
            if before is not None:
                tracking.prefixes |= before.prefixes
                tracking.caching = before.caching
                self._stop_redirect(before)
            self._clients.keep_mailbox(session)
            session.tracking = tracking
            target = self._clients.sessions.get(tracking.redirect)
            if target is not None:
                self._clients.keep_mailbox(target, redirects=1)
            for prefix in tracking.prefixes:
                self._prefixes.setdefault(prefix, {})[session.id] = session
            self._index_prefixes()
            self._sessions[session.id] = session
            self._look()
        session.compile_gates()
        if session.id not in self._clients.sessions:  # it was killed meanwhile
            self.stop(session)

    def stop(self, session: Session) -> None:
        """Track nothing for ``session`` any more. What it has read before is still noted, as in
        Redis, in case that it begins again."""
        free = None
        with self._lock:
            tracking, session.tracking = session.tracking, None
            if tracking is not None:
                self._stop_redirect(tracking)
                for prefix in tracking.prefixes:
                    readers = self._prefixes[prefix]
                    readers.pop(session.id, None)
                    if not readers:
                        del self._prefixes[prefix]
                self._index_prefixes()
                self._sessions.pop(session.id, None)
                free = self._look()
        self._clients.drop_mailbox(session)
        if free is not None:
            free()

    def _leave(self, session: Session) -> None:
        if session.mailbox is not None:
            self.stop(session)

    def _stop_redirect(self, tracking: Tracking) -> None:
        target = self._clients.sessions.get(tracking.redirect)
        if target is not None:
            self._clients.keep_mailbox(target, redirects=-1)

    def _index_prefixes(self) -> None:
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def _look(self) -> Callable[[], None] | None:
        """Hear of reads and writes, or no longer: then what was noted is forgotten, for writes that
        are not heard would make it wrong."""
        tracks = bool(self._sessions)
        self._attend(self.note, tracks)
        if tracks:
            self._interest.listen(self._changed)
            return None
        self._interest.forget(self._changed)
        return self._table.take_all()

    # Reading

    def note(self, ctx: Any, command: Any, request: list[bytes], waits: bool) -> None:
        """``command`` has just run, or has found that it ``waits``: note what it has read, if its
        client tracks. A script has read nothing itself; what it runs has."""
        session: Session = ctx.session
        tracking = session.tracking
        if tracking is None:
            return
        if tracking.broadcasts:
            return
        if ctx.tx.undo:
            self._look_at_unit(tracking, ctx.tx)
        if (
            "readonly" not in command.flags
            or command.apart
            or (tracking.mode and tracking.caching != (tracking.mode == "optin"))
        ):
            return
        with self._lock:
            for key in command.keys_in(request):
                if key in tracking.written and key not in tracking.told:
                    # Written before by the same unit of work, at whose end it is heard of: by then
                    # it would seem that it was read before.
                    self._invalidate(key, session)
                    tracking.told.add(key)
                self._table.add(key, session.id)
            self._evict()

    def _look_at_unit(self, tracking: Tracking, tx: Any) -> None:
        """See what the unit of work has written since the last look."""
        if tracking.seen > tx.mark():
            tracking.begin()
        keys = {key for _, key in tx.changed_since(tracking.seen)}
        tracking.written |= keys
        tracking.told -= keys
        tracking.seen = tx.mark()

    def limit_changed(self) -> None:
        """There may be room for fewer keys than before."""
        with self._lock:
            self._evict()

    def _evict(self) -> None:
        for key, ids in self._table.evict():
            self._tell_all(key, ids, None)

    # Writing

    def _changed(self, change: Change, outgoing: list[Release]) -> None:
        author = change.author if isinstance(change.author, Session) else None
        tracking = None if author is None else author.tracking
        told = () if tracking is None else tracking.told
        if self._prefixes:
            self._gather(change, author, outgoing)
        if not len(self._table):
            return
        for start in range(0, len(change.keys), ITEMS_AT_ONCE):
            with self._lock:  # others get it in between
                for _, key in change.keys[start : start + ITEMS_AT_ONCE]:
                    if key not in told:
                        self._invalidate(key, author)

    def flushed(self, ctx: Any, *, at_once: bool) -> None:
        """All keys of some database are gone. Whoever did it is told before the reply if
        ``at_once``, and else after it, as all others are."""
        if not self._sessions:
            return
        told = () if ctx.session.tracking is None else ctx.session.tracking.told
        with self._lock:
            for _, key in ctx.tx.changed_since(0):  # by the same EXEC, before
                if key not in told:
                    self._invalidate(key, ctx.session)
            free = self._table.take_all()
            for session in self._sessions.values():
                if session.tracking is not None:
                    self._tell(session, session.tracking, _ALL[session.protocol])
        own = ctx.session
        if at_once and own.mailbox is not None and (unasked := own.mailbox.payload(own.protocol)):
            ctx.replies.append(unasked)
        free()

    def _invalidate(self, key: bytes, author: Author) -> None:
        ids = self._table.pop(key)
        if ids:
            self._tell_all(key, ids, author)

    def _tell_all(self, key: bytes, ids: Iterable[int], author: Author) -> None:
        keys = _keys([key])
        for id_ in ids:
            session = self._clients.sessions.get(id_)
            tracking = None if session is None else session.tracking
            if session is None or tracking is None or tracking.broadcasts:
                continue
            if not (tracking.noloop and session is author):
                self._tell(session, tracking, keys)

    def _tell(self, session: Session, tracking: Tracking, keys: Encoded) -> None:
        """Tell ``session``, or who is told in its place. One that speaks RESP2 can't be told
        anything, unless it has subscribed and is told in another's place."""
        in_resp2 = b""
        if tracking.redirect:
            target = self._clients.sessions.get(tracking.redirect)
            if target is None:
                tracking.broken = True
                leave(session, (b"", _push(b"tracking-redir-broken", tracking.redirect)))
                return
            session = target
            if session.kind == "pubsub":
                in_resp2 = b"".join((_ON_CHANNEL, keys))
        leave(session, (in_resp2, _push(b"invalidate", keys)))

    # Broadcasting

    def _gather(self, change: Change, author: Author, outgoing: list[Release]) -> None:
        """Keep the keys that somebody is to hear of once the batch is committed, and after all else
        that follows from that; by the prefixes that there are now, as Redis does."""
        found = [(place, prefix) for place in change.keys for prefix in self._prefixes_of(place[1])]
        if not found:
            return
        thread = threading.get_ident()
        broadcast = self._gathering.get(thread)
        if broadcast is None or broadcast.outgoing is not outgoing:
            broadcast = self._gathering[thread] = _Broadcast(outgoing)
            outgoing.append(lambda: outgoing.append(partial(self._send, broadcast)))
        for place, prefix in found:
            readers = self._prefixes.get(prefix)
            if readers is None:  # the last one has left meanwhile
                continue
            gathered = broadcast.gathered.get(prefix)
            if gathered is None or gathered[0] is not readers:
                gathered = broadcast.gathered[prefix] = readers, {}
            gathered[1][place[1]] = None if place in change.expired else author

    def _prefixes_of(self, key: bytes) -> Iterator[bytes]:
        """Those of ``key`` that somebody hears of."""
        for length in self._lengths:
            if length > len(key):
                return
            prefix = key[:length]
            if prefix in self._prefixes:
                yield prefix

    def _send(self, broadcast: _Broadcast) -> None:
        for prefix in sorted(broadcast.gathered):
            readers, authors = broadcast.gathered[prefix]
            with self._lock:
                sessions = list(readers.values())
            if self._prefixes.get(prefix) is readers:
                self._send_to(sessions, list(_in_order(list(authors))), authors)
        if self._gathering.get(threading.get_ident()) is broadcast:
            del self._gathering[threading.get_ident()]

    def _send_to(
        self, sessions: Iterable[Session], keys: list[bytes], authors: dict[bytes, Author]
    ) -> None:
        everything = _keys(keys)
        for session in sessions:
            tracking = session.tracking
            if tracking is None:
                continue
            if not tracking.noloop:
                self._tell(session, tracking, everything)
            elif others := [key for key in keys if authors[key] is not session]:
                self._tell(session, tracking, _keys(others))

    # Figures

    @property
    def clients(self) -> int:
        """How many track."""
        return len(self._sessions)

    @property
    def keys(self) -> int:
        """How many keys somebody may keep."""
        return len(self._table)

    @property
    def items(self) -> int:
        """How many such pairs of a key and a client there are."""
        return self._table.items

    @property
    def prefixes(self) -> int:
        """How many prefixes somebody hears of."""
        return len(self._prefixes)


class _Broadcast:
    """Keys that a batch has changed, by the prefix that they begin with. They are sent by an entry
    of ``outgoing``."""

    __slots__ = ("gathered", "outgoing")

    def __init__(self, outgoing: list[Release]) -> None:
        self.outgoing = outgoing
        self.gathered: dict[bytes, tuple[dict[int, Session], dict[bytes, Author]]] = {}
        """Prefix → who hears of it, and keys, each with who has changed it last; None: nobody."""


def _keys(keys: list[bytes]) -> Encoded:
    parts = [b"*%d\r\n" % len(keys)]
    parts += [b"$%d\r\n%b\r\n" % (len(key), key) for key in keys]
    return Encoded(b"".join(parts))


def _in_order(keys: list[bytes]) -> Iterable[bytes]:
    """``keys``, sorted without holding the GIL for long."""
    if len(keys) <= ITEMS_AT_ONCE:
        return sorted(keys)
    starts = range(0, len(keys), ITEMS_AT_ONCE)
    return merge(*[sorted(keys[start : start + ITEMS_AT_ONCE]) for start in starts])


def _push(kind: bytes, value: Any) -> bytes:
    return bytes(ENCODERS[3][Push](Push([kind, value])))


_ON_CHANNEL = b"*3\r\n$7\r\nmessage\r\n$%d\r\n%b\r\n" % (len(CHANNEL), CHANNEL)
