"""Connections to other servers (MIGRATE's): those in use, by whose they are, and some that were of
use a moment ago. Knows neither sockets nor what is said on them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from tendis_py.session import Session

MOST_KEPT = 64
KEPT_SECONDS = 10.0
"""As in Redis."""


class Link(Protocol):
    """One connection, one thread's at a time. Each step but ``abandon`` raises OSError when it
    fails, TimeoutError when it takes longer than ``seconds``."""

    def connect(self, host: bytes, port: int, seconds: float) -> None: ...

    def send(self, parts: Iterable[bytes], seconds: float) -> None:
        """``seconds`` are for each of the pieces that it goes out in."""

    def line(self, seconds: float) -> bytes:
        """What comes next, to the end of its line, which is taken off."""

    def abandon(self) -> None:
        """Have the step under way fail, and all that follow. From any thread."""

    def close(self) -> None: ...


class Target(NamedTuple):
    """What a link is to. ``credentials``: a digest of them, empty for none."""

    host: bytes
    port: int
    database: int
    credentials: bytes


class Links:
    """Those of one server; any thread may call any method."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.new: Callable[[], Link] = _no_network
        """A link that is not connected. Set by the server."""
        self._lock = threading.Lock()
        self._kept: deque[tuple[Target, Link, float]] = deque()
        """Idle ones, each with when it was last of use, in that order."""
        self._used: dict[Session, Link] = {}
        self._closed = False

    def take(self, session: Session, target: Target) -> Link | None:
        """An idle link to ``target`` if there is one, which is the session's from now on."""
        with self._lock:
            for entry in self._kept:
                if entry[0] == target:
                    self._kept.remove(entry)
                    self._used[session] = entry[1]
                    return entry[1]
        return None

    def open(self, session: Session, target: Target, seconds: float) -> Link:
        """A new link to ``target``, which is the session's from now on, connected or not."""
        link = self.new()
        with self._lock:
            self._used[session] = link
            if self._closed:
                link.abandon()
        link.connect(target.host, target.port, seconds)
        return link

    def keep(self, session: Session, target: Target) -> None:
        """The session's link is idle: it may be of use again."""
        with self._lock:
            self._kept.append((target, self._used.pop(session), self._monotonic()))
        self.close_idle()

    def drop(self, session: Session) -> None:
        """Close the session's link, if it has one."""
        with self._lock:
            link = self._used.pop(session, None)
        if link is not None:
            link.close()

    def abandon(self, session: Session) -> None:
        """Have whatever the session does with its link fail: it was killed."""
        with self._lock:
            if session in self._used:
                self._used[session].abandon()

    def close_idle(self) -> None:
        """Close those that nobody has used for long, or that are too many."""
        idle = []
        with self._lock:
            before = self._monotonic() - KEPT_SECONDS
            while self._kept and (
                self._closed or len(self._kept) > MOST_KEPT or self._kept[0][2] <= before
            ):
                idle.append(self._kept.popleft()[1])
        for link in idle:
            link.close()

    def close(self) -> None:
        """Close those that are idle and abandon the others, and all that will be opened."""
        with self._lock:
            self._closed = True
            for link in self._used.values():
                link.abandon()
        self.close_idle()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._kept) + len(self._used)


def _no_network() -> Link:
    raise OSError("no server runs on these services")
