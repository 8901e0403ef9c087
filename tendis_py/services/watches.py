"""WATCH: who wants EXEC to find which keys unchanged. Knows no command.

A watched key that changes makes its watchers stale at once, in the thread that has changed it and
while the key is locked: an EXEC later in the same batch sees it. That a key expires is no change
that anybody hears of in time; EXEC looks itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from enum import Enum

from tendis_py.session import Session
from tendis_py.storage.changes import Change, Interest, Place, Release


class Seen(Enum):
    """What there was when a key came to be watched. EXPIRED: a key whose time was over, and that
    goes without being missed."""

    THERE = "there"
    NOT_THERE = "not there"
    EXPIRED = "expired"


class Watches:
    """Any thread may call any method. A session that is stale because of a key watches
    nothing any more, as in Redis."""

    __slots__ = ("_by_place", "_interest", "_lock", "sessions")

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._lock = threading.Lock()
        self._by_place: dict[Place, set[Session]] = {}
        self.sessions: set[Session] = set()
        """Those that watch something."""

    def __len__(self) -> int:
        """How many keys are watched, by somebody."""
        return len(self._by_place)

    def watch(self, session: Session, places: Iterable[tuple[Place, Seen]]) -> None:
        """Have ``session`` watch these places. Their locks are held."""
        with self._lock:
            for place, seen in places:
                session.watched.setdefault(place, seen)
                self._by_place.setdefault(place, set()).add(session)
            if not self.sessions:
                self._interest.listen(self._hear)
            self.sessions.add(session)

    def unwatch(self, session: Session) -> None:
        """Have ``session`` watch nothing, and be stale no more."""
        if session.watched:
            with self._lock:
                self._forget(session)
        session.stale = False

    def _hear(self, change: Change, outgoing: list[Release]) -> None:
        with self._lock:
            for place in change.keys:
                for session in tuple(self._by_place.get(place, ())):
                    if session.watched[place] is Seen.EXPIRED and not change.has(place):
                        session.watched[place] = Seen.NOT_THERE
                    else:
                        session.stale = True
                        self._forget(session)
            if change.databases:
                self._move(change)

    def _move(self, change: Change) -> None:
        """Databases were emptied, or show what another showed: what was there has changed, and what
        is there now."""
        for place, watchers in self._by_place.items():
            if place[0] in change.databases:
                exists = change.has(place)
                for session in watchers:
                    session.stale |= exists or session.watched[place] is Seen.THERE

    def _forget(self, session: Session) -> None:
        for place in session.watched:
            watchers = self._by_place[place]
            watchers.discard(session)
            if not watchers:
                del self._by_place[place]
        session.watched = {}
        self.sessions.discard(session)
        if not self.sessions:
            self._interest.forget(self._hear)
