"""The way back: executed batches on their way to the reactor that owns their connections."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tendis_py.resp.messages import Message

if TYPE_CHECKING:
    from tendis_py.stages.connection import Connection
    from tendis_py.stages.work import Batch

Call = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message, and the reactor's connections that it is for, at least one."""

    message: Message
    connections: Sequence[Connection]


@dataclass(frozen=True, slots=True)
class ResponseStatistics:
    """``depth`` entries waiting for the reactor, ``peak`` at the most when it took them; ``posted``
    and ``wakeups`` since the start."""

    depth: int
    peak: int
    posted: int
    wakeups: int


class ResponseQueue:
    """One per reactor: any thread posts, the reactor drains. ``fd`` is readable (an eventfd) from
    the first post after a drain on, unless the reactor is ``awake``: then it looks by itself.
    Besides batches it carries calls that must run in the
    reactor's thread (a new socket, a connection to close), and deliveries."""

    __slots__ = (
        "_closed",
        "_peak",
        "_posted",
        "_signalled",
        "_wakeups",
        "_writing",
        "entries",
        "fd",
    )

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.entries: deque[Batch | Delivery | Call] = deque()
        self._signalled = False
        self._writing = threading.Lock()
        self._closed = False
        self._posted = self._peak = 0
        self._wakeups = 0

    def post(self, entry: Batch | Delivery | Call) -> None:
        self.entries.append(entry)
        self._posted += 1
        if not self._signalled:
            self._signal()

    def _signal(self) -> None:
        self._signalled = True
        with self._writing:
            if not self._closed:
                os.eventfd_write(self.fd, 1)

    def awake(self) -> None:
        """The reactor has a turn, and will look before it ``rests``."""
        self._signalled = True

    def rest(self) -> None:
        """The reactor waits for its sockets: ``fd`` tells it of what is posted from now on, and of
        what it has not taken."""
        self._signalled = False
        if self.entries:
            self._signal()

    def drain(self) -> Iterator[Batch | Delivery | Call]:
        """Take what has been posted, oldest first; to be called when ``fd`` is readable, in a turn.
        What is not taken yet is still in the queue, for ``deliveries``."""
        os.eventfd_read(self.fd)
        self._wakeups += 1
        return self.take()

    def take(self) -> Iterator[Batch | Delivery | Call]:
        """As ``drain``, of what is there without having waited for it."""
        entries = self.entries
        depth = len(entries)
        self._peak = max(self._peak, depth)
        for _ in range(depth):
            if not entries:
                return
            yield entries.popleft()

    def deliveries(self) -> Iterator[Delivery]:
        """Take the deliveries that nothing else was posted before."""
        entries = self.entries
        while entries and isinstance(entries[0], Delivery):
            delivery = entries.popleft()
            assert isinstance(delivery, Delivery)
            yield delivery

    def close(self) -> None:
        with self._writing:  # a late post must not write to a file descriptor of somebody else
            self._closed = True
            os.close(self.fd)

    def reset_peak(self) -> None:
        """Forget what was there before."""
        self._peak = len(self.entries)

    def statistics(self) -> ResponseStatistics:
        return ResponseStatistics(len(self.entries), self._peak, self._posted, self._wakeups)
