"""The registry of connected clients, their limit, and CLIENT PAUSE. Knows no command."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from tendis_py.resp.requests import Request
from tendis_py.session import Session

Concerns = Callable[[Session, Request, bool], bool]
"""Session, request, whether only writes are paused → whether a pause is for this request."""


class Pause:
    """CLIENT PAUSE: for a time all commands wait, or those that may write.

    It is enforced where commands run, before each of them; reactors keep what was not run, and
    have it run when the pause is over. Any thread may call any method.
    """

    __slots__ = ("_concerns", "_lock", "_on_end", "until", "writes_only")

    def __init__(self, concerns: Concerns) -> None:
        self._concerns = concerns
        self._lock = threading.Lock()
        self._on_end: list[Callable[[], None]] = []
        self.writes_only = False
        self.until = 0.0
        """Its end (monotonic seconds); 0 when there surely is no pause, as a quick test."""

    def start(self, seconds: float, *, writes_only: bool) -> None:
        """Pause, or prolong: the later end and the stricter kind of two pauses count."""
        until = monotonic() + seconds
        with self._lock:
            if self.remaining > 0:
                until = max(until, self.until)
                writes_only = writes_only and self.writes_only
            self.writes_only = writes_only
            self.until = until

    def end(self) -> None:
        """End it now, and tell those who asked to be told."""
        with self._lock:
            self.until = 0.0
        for callback in self._on_end:
            callback()

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in whatever thread, whenever ``end`` is called. A pause that ends in
        its time is not announced: see ``remaining``."""
        self._on_end.append(callback)

    @property
    def remaining(self) -> float:
        """Seconds to its end, 0 when there is no pause."""
        until = self.until
        return max(0.0, until - monotonic()) if until else 0.0

    def holds(self, session: Session, request: Request) -> bool:
        """Whether this request of ``session`` has to wait now."""
        until = self.until
        if not until:
            return False
        if monotonic() >= until:
            self._expire(until)
            return False
        return self._concerns(session, request, self.writes_only)

    def _expire(self, until: float) -> None:
        with self._lock:
            if self.until == until:
                self.until = 0.0


class Clients:
    """Sessions by id. ``admit`` hands out at most ``limit()`` places."""

    def __init__(self, limit: Callable[[], int], pause: Pause) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._places = 0
        self.sessions: dict[int, Session] = {}
        self.pause = pause
        self.peak = 0
        self.accepted = 0
        self.rejected = 0

    def admit(self) -> bool:
        """Take a place for a new connection; False (and counted) when there is none."""
        with self._lock:
            self.accepted += 1
            if self._places >= self._limit():
                self.rejected += 1
                return False
            self._places += 1
            self.peak = max(self.peak, self._places)
            return True

    def release(self) -> None:
        """Give a place back that no session came to use."""
        with self._lock:
            self._places -= 1

    def add(self, session: Session) -> None:
        self.sessions[session.id] = session

    def remove(self, session: Session) -> bool:
        """Forget a session and give its place back; False when that has been done before."""
        if self.sessions.pop(session.id, None) is None:
            return False
        self.release()
        return True

    def kill(self, session: Session) -> bool:
        """Have another client's connection closed: it runs no further command, and is not listed
        from now on. False when it had gone already."""
        if not self.remove(session):
            return False
        session.closing = True
        session.peer.close()
        return True

    def all(self) -> list[Session]:
        """The connected sessions, oldest first."""
        return sorted(self.sessions.copy().values(), key=lambda session: session.id)

    def __len__(self) -> int:
        return len(self.sessions)
