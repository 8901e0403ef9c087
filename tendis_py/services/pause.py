"""CLIENT PAUSE: for a time all commands wait, or those that may write. Knows no command."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.services.global_gates import GlobalGates, Reason


class Pause:
    """It is enforced by a gate, before each command; reactors park what it holds back, and have it
    tried again when the pause is over. Any thread may call any method."""

    __slots__ = ("_gates", "_lock", "_monotonic", "_on_end", "until", "writes_only")

    def __init__(self, gates: GlobalGates, clock: Clock = REAL_CLOCK) -> None:
        self._gates = gates
        self._monotonic = clock.monotonic
        self._lock = threading.Lock()
        self._on_end: list[Callable[[], None]] = []
        self.writes_only = False
        self.until = 0.0
        """Its end (monotonic seconds); 0 when there surely is no pause."""

    def start(self, seconds: float, *, writes_only: bool) -> None:
        """Pause, or prolong: the later end and the stricter kind of two pauses count."""
        until = self._monotonic() + seconds
        with self._lock:
            if self.remaining > 0:
                until = max(until, self.until)
                writes_only = writes_only and self.writes_only
            self.writes_only = writes_only
            self.until = until
            self._gates.set(Reason.PAUSE, True)

    def end(self) -> None:
        """End it now, and tell those who asked to be told."""
        with self._lock:
            self._clear()
        for callback in self._on_end:
            callback()

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in whatever thread, whenever ``end`` is called. A pause that ends in
        its time is not announced: see ``until``."""
        self._on_end.append(callback)

    @property
    def remaining(self) -> float:
        """Seconds to its end, 0 when there is no pause."""
        until = self.until
        return max(0.0, until - self._monotonic()) if until else 0.0

    def holds(self, *, writes: bool) -> bool:
        """Whether a command has to wait now that may write, or only reads."""
        until = self.until
        if not until:
            return False
        if self._monotonic() >= until:
            self._expire(until)
            return False
        return writes or not self.writes_only

    def _expire(self, until: float) -> None:
        with self._lock:
            if self.until == until:
                self._clear()

    def _clear(self) -> None:
        self.until = 0.0
        self._gates.set(Reason.PAUSE, False)
