"""The time a server acts by: deadlines of keys, pauses, idle clients, what TIME says.

One ``Clock`` per server, in ``services.clock``. An embedded server may be given another one: tests
move a ``ManualClock`` where they would have to sleep. What is measured (stage stamps, rates), and
what is paced for the machine's sake (fsync once a second, ``shutdown-timeout``), goes by the real
time. Imports nothing of the package; storage, which must not import services, is handed functions.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """``time_ns()`` is Unix time in nanoseconds, ``monotonic()`` seconds since some moment.

    Both are attributes that hold a function, on a real clock that of the ``time`` module itself:
    every batch asks once. From an executor's own attribute ``time_ns() // 1_000_000`` takes 90 ns,
    as ``time.time_ns() // 1_000_000`` takes 85 (the machine of docs/measurements.md, while others
    were busy on it); by ``now_ms``, a method in Python, 116.
    """

    __slots__ = ("monotonic", "time_ns")

    def __init__(
        self,
        time_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.time_ns = time_ns
        self.monotonic = monotonic

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.time_ns() // 1_000_000

    def now_seconds(self) -> int:
        """Unix time in whole seconds."""
        return self.time_ns() // 1_000_000_000

    def on_move(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called whenever somebody moves the clock: for those who wait for a
        moment, and have worked out how long that takes. Returns what takes that back. A real
        clock is never moved."""
        return lambda: None


REAL_CLOCK = Clock()


class ManualClock(Clock):
    """A clock that stands still unless it is moved. Thread-safe.

    It begins at the real time. Because it stands still, "not yet" is certain however slow the
    machine: a key with 10 ms to live lives until ``advance``. Monotonic time begins at a whole
    second, so whole seconds are exact; to reach another deadline, go a little beyond it.
    """

    __slots__ = ("_callbacks", "_lock", "_moved_ns")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._moved_ns = 0
        unix, monotonic = time.time_ns(), int(time.monotonic()) * 10**9
        super().__init__(lambda: unix + self._moved_ns, lambda: (monotonic + self._moved_ns) / 1e9)

    def advance(self, seconds: float) -> None:
        """Move Unix and monotonic time on, then call everybody that ``on_move`` was told of, in
        this thread. ValueError when ``seconds`` is negative: monotonic time does not go back."""
        if seconds < 0:
            raise ValueError(f"a clock does not go back: {seconds}")
        with self._lock:
            self._moved_ns += round(seconds * 1e9)
            callbacks = self._callbacks.copy()
        for callback in callbacks:
            callback()

    def on_move(self, callback: Callable[[], None]) -> Callable[[], None]:
        with self._lock:
            self._callbacks.append(callback)

        def forget() -> None:
            with self._lock:
                self._callbacks.remove(callback)

        return forget
