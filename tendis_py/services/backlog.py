"""Messages that have been published and not been handed to the sockets of their subscribers.

Sending to thousands takes longer than publishing. So that what waits stays bounded, whoever
publishes while there is too much of it is not read any more, until there is half of it left; nobody
else has to wait. Any thread may call any method. Knows no sockets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tendis_py.session import Session


class Backlog:
    __slots__ = ("_lock", "_on_end", "_over", "full", "publishers")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: set[object] = set()
        self._on_end: list[Callable[[], None]] = []
        self.full = False
        self.publishers: set[Session] = set()
        """Who has published while it was ``full``."""

    def on_end(self, call: Callable[[], None]) -> None:
        """Have ``call`` called whenever publishers may go on."""
        self._on_end.append(call)

    def set(self, thread: object, over: bool) -> None:
        """Whether too much waits in an I/O thread, by whatever object stands for it."""
        with self._lock:
            if over:
                self._over.add(thread)
            else:
                self._over.discard(thread)
            ends = self.full and not self._over
            self.full = bool(self._over)
            if ends:
                self.publishers.clear()
        if ends:
            for call in self._on_end:
                call()
