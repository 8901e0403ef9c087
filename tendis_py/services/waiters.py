"""Clients that wait for keys: BLPOP and its kin, XREAD BLOCK. Knows no command and no stage.

A request that has to wait is registered by the thread that has run it in vain, while it holds the
locks of its keys: nothing can come in between. Who changes a key runs again what waits for it, in
order of arrival, in the same batch, if it holds all keys that takes; else the waiting client's own
reactor has it run again. Timeouts, CLIENT UNBLOCK and a client's end compete with that: whoever
takes a Wait first has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from itertools import islice
from typing import Any

from tendis_py.resp.replies import Payload
from tendis_py.session import Session
from tendis_py.storage.changes import Interest, Place

_SOME = 64


class State(Enum):
    """WAITING: to be had. TAKEN: somebody tries to serve it, or has, and has not committed.
    OVER: it is answered, or its client has gone."""

    WAITING = "waiting"
    TAKEN = "taken"
    OVER = "over"


class Wait:
    """One client's request that waits for ``places`` to get ready.

    ``kind``: the type that a key has to have for the request to be tried again (``Row.type``);
    ``if_gone``: it is tried whatever the key is now, for its answer may be an error.
    ``deadline`` in monotonic seconds. ``timed_out`` is the encoded reply to a wait in vain.
    ``claims``: all keys to hold while it runs. ``alike``: where one is tried in vain, so are those
    behind it that are equal in this; None: that tells nothing. ``is_worth_it(ctx)``: whether there
    is anything to be tried, which takes less than to try.
    """

    __slots__ = (
        "alike",
        "claims",
        "command",
        "deadline",
        "ending",
        "if_gone",
        "is_nudged",
        "is_worth_it",
        "kind",
        "places",
        "request",
        "session",
        "state",
        "timed_out",
    )

    def __init__(
        self,
        session: Session,
        command: Any,
        request: list[Any],
        places: tuple[Place, ...],
        *,
        kind: int,
        if_gone: bool,
        deadline: float,
        timed_out: Payload,
        claims: frozenset[bytes],
        alike: Any = None,
        is_worth_it: Callable[[Any], bool] | None = None,
    ) -> None:
        self.session = session
        self.command = command
        self.request = request
        self.places = places
        self.kind = kind
        self.if_gone = if_gone
        self.deadline = deadline
        self.timed_out = timed_out
        self.claims = claims
        self.alike = alike
        self.is_worth_it = is_worth_it
        self.state = State.WAITING
        self.ending: Payload | None = None
        """What to answer should it not be served: its time is up, or CLIENT UNBLOCK was said."""
        self.is_nudged = False
        """Whether its reactor is to run it again."""


class _Line(dict[Wait, None]):
    """Who waits for one place, in order of arrival."""

    __slots__ = ("if_gone",)

    def __init__(self) -> None:
        super().__init__()
        self.if_gone = 0
        """How many of them it concerns that the key is gone."""


class Waiters:
    """Any thread may call any method."""

    def __init__(self, interest: Interest) -> None:
        self._interest = interest
        self._lock = threading.Lock()
        self._lines: dict[Place, _Line] = {}
        self._waits: dict[bytes, int] = {}
        """How many wait for a key, of whatever database."""
        self.sessions: dict[Session, Wait] = {}

    @property
    def places(self) -> int:
        """How many keys are waited for."""
        return len(self._lines)

    @property
    def places_if_gone(self) -> int:
        """How many of those by somebody whom it concerns that the key is gone."""
        with self._lock:
            return sum(line.if_gone > 0 for line in self._lines.values())

    def add(self, wait: Wait) -> None:
        with self._lock:
            for place in wait.places:
                line = self._lines.get(place)
                if line is None:
                    line = self._lines[place] = _Line()
                line[wait] = None
                line.if_gone += wait.if_gone
                self._waits[place[1]] = self._waits.get(place[1], 0) + 1
            if not self.sessions:
                self._interest.ask(self, True)
            self.sessions[wait.session] = wait

    def waited_for(self, places: Iterable[Place], databases: Collection[int]) -> list[Place]:
        """Those of ``places``, and of whatever is in these databases, that somebody waits for."""
        with self._lock:
            found = [place for place in places if place in self._lines]
            if databases:
                found += [place for place in self._lines if place[0] in databases]
        return found

    def next_for(self, place: Place, kind: int | None, tried: set[Wait]) -> list[Wait]:
        """The first of those who wait for ``place``, which is of type ``kind`` now (None: there is
        no key), but for those that were ``tried``."""
        with self._lock:
            line = self._lines.get(place)
            if line is None or (kind is None and not line.if_gone):
                return []
            candidates = (
                wait
                for wait in line
                if wait.state is State.WAITING
                and (wait.kind == kind or wait.if_gone)
                and wait not in tried
            )
            return list(islice(candidates, _SOME))

    def widen(self, keys: set[bytes]) -> set[bytes]:
        """``keys``, and what else it takes to serve whom a change of them may concern, and so
        on."""
        with self._lock:
            if self._waits.keys().isdisjoint(keys):
                return keys
            found, todo = set(keys), list(keys & self._waits.keys())
            databases = {index for index, _ in self._lines}
            while todo:
                key = todo.pop()
                for index in databases:
                    for wait in self._lines.get((index, key), ()):
                        more = wait.claims - found
                        found |= more
                        todo += more & self._waits.keys()
        return found

    # One of them

    def take(self, wait: Wait) -> bool:
        """Whether the caller has it now, who is to ``end`` it or to ``give_back``."""
        with self._lock:
            if wait.state is not State.WAITING:
                return False
            wait.state = State.TAKEN
            return True

    def give_back(self, wait: Wait) -> bool:
        """It could not be served, and waits on in its place; False if it was to end meanwhile: it
        has, and ``wait.ending`` is to be answered."""
        with self._lock:
            wait.is_nudged = False
            if wait.ending is None:
                wait.state = State.WAITING
                return True
            self._remove(wait)
            return False

    def end(self, wait: Wait) -> None:
        """It is over: it is answered."""
        with self._lock:
            self._remove(wait)

    def finish(self, wait: Wait, ending: Payload) -> bool:
        """End it, unless somebody tries to serve it just now: then ``ending`` is the answer if
        that is in vain. Whether it is over, and nobody else will answer."""
        with self._lock:
            if wait.state is not State.OVER:
                wait.ending = ending
            if wait.state is not State.WAITING:
                return False
            self._remove(wait)
        if wait.is_nudged:  # what it was to be run for may be for those behind it
            for place in wait.places:
                for other in self.next_for(place, wait.kind, set()):
                    self.run_again(other)
        return True

    def leave(self, session: Session) -> None:
        """The client has gone."""
        wait = self.sessions.get(session)
        if wait is not None:
            self.finish(wait, b"")

    def run_again(self, wait: Wait) -> None:
        """Have its own reactor run it."""
        with self._lock:
            if wait.is_nudged or wait.state is not State.WAITING:
                return
            wait.is_nudged = True
        peer = wait.session.peer
        peer.home.run_again(peer)

    def _remove(self, wait: Wait) -> None:
        if wait.state is State.OVER:
            return
        wait.state = State.OVER
        for place in wait.places:
            line = self._lines[place]
            del line[wait]
            line.if_gone -= wait.if_gone
            if not line:
                del self._lines[place]
            left = self._waits.pop(place[1]) - 1
            if left:
                self._waits[place[1]] = left
        if self.sessions.get(wait.session) is wait:
            del self.sessions[wait.session]
        if not self.sessions:
            self._interest.ask(self, False)
