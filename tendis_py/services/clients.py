"""The registry of connected clients, their limit, and CLIENT PAUSE."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from tendis_py.resp.requests import Request
from tendis_py.session import Session


class Pause:
    """CLIENT PAUSE: until ``until`` (monotonic seconds) all commands, or those that write, wait.

    ``is_write`` tells whether a request may write.
    """

    __slots__ = ("_is_write", "_until", "writes_only")

    def __init__(self, is_write: Callable[[Request], bool]) -> None:
        self._is_write = is_write
        self._until = 0.0
        self.writes_only = False

    def start(self, seconds: float, *, writes_only: bool) -> None:
        """Pause, or prolong; a pause of all commands is not weakened by one of writes."""
        until = monotonic() + seconds
        if not self.active:
            self._until, self.writes_only = until, writes_only
            return
        self._until = max(self._until, until)
        self.writes_only = self.writes_only and writes_only

    def end(self) -> None:
        self._until = 0.0

    @property
    def active(self) -> bool:
        return self._until > 0 and monotonic() < self._until

    def holds(self, requests: list[Request]) -> bool:
        """Whether the first of these requests has to wait now."""
        return not self.writes_only or self._is_write(requests[0])


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

    def remove(self, session: Session) -> None:
        if self.sessions.pop(session.id, None) is not None:
            self.release()

    def all(self) -> list[Session]:
        """The connected sessions, oldest first."""
        return sorted(self.sessions.copy().values(), key=lambda session: session.id)

    def __len__(self) -> int:
        return len(self.sessions)
