"""What concerns the requests of every client at once, folded into flags that a run reads once."""

from __future__ import annotations

import threading
from enum import Enum


class Reason(Enum):
    """DISK: writes are refused, since the disk takes none. MONITOR: each request is shown to
    somebody once it has run. NOTIFICATIONS: what each request has done is told
    (``Services.observers``). PAUSE: some requests have to wait (CLIENT PAUSE). SLOWLOG: each
    request has to be timed alone, since fast ones are to be logged, too."""

    DISK = "disk"
    MONITOR = "monitor"
    NOTIFICATIONS = "notifications"
    PAUSE = "pause"
    SLOWLOG = "slowlog"


_GATES = frozenset((Reason.DISK, Reason.MONITOR, Reason.NOTIFICATIONS, Reason.PAUSE))


class GlobalGates:
    """``one_by_one``: requests may not be run together. ``closed``: each has to pass its gates,
    even of sessions that have none of their own. Any thread may call any method."""

    __slots__ = ("_lock", "_reasons", "closed", "one_by_one")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: set[Reason] = set()
        self.closed = False
        self.one_by_one = False

    def set(self, reason: Reason, applies: bool) -> None:
        """Whether ``reason`` applies from now on."""
        with self._lock:
            if applies:
                self._reasons.add(reason)
            else:
                self._reasons.discard(reason)
            self.closed = not _GATES.isdisjoint(self._reasons)
            self.one_by_one = bool(self._reasons)


ALL_CLOSED = GlobalGates()
"""For whoever has to look at each request of some batches only."""
ALL_CLOSED.closed = ALL_CLOSED.one_by_one = True
