"""The latency monitor: what took ``latency-monitor-threshold`` or longer, by event.

As in Redis' latency.c: one sample a second of each event, the worst of that second, 160 of them.
Redis' events that there are here: ``command`` and ``fast-command``; a commit is an ``aof-write``,
and either ``-alone`` or during an fsync, ``-pending-fsync``; ``aof-fsync-always``; a step of the
sweep is an ``expire-cycle``. Nothing forks, rewrites or evicts. Knows no commands.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from tendis_py.services.clock import REAL_CLOCK, Clock

SAMPLES = 160


@dataclass(slots=True)
class Spikes:
    """Of one event: ``samples`` are (Unix second, ms), the oldest first; ``worst`` of all time."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    worst: int = 0

    def add(self, second: int, milliseconds: int) -> None:
        self.worst = max(self.worst, milliseconds)
        if self.samples and self.samples[-1][0] == second:
            milliseconds = max(milliseconds, self.samples.pop()[1])
        self.samples.append((second, milliseconds))


class LatencyMonitor:
    """Thread-safe. ``threshold`` in ms; with 0 nothing is recorded."""

    def __init__(self, threshold: int, clock: Clock = REAL_CLOCK) -> None:
        self._clock = clock
        self.threshold = threshold
        self._lock = threading.Lock()
        self._events: dict[str, Spikes] = {}

    def record(self, event: str, elapsed_ns: int) -> None:
        """``event`` has taken so long, which counts if it reaches the threshold."""
        milliseconds = elapsed_ns // 1_000_000
        if not self.threshold or milliseconds < self.threshold:
            return
        with self._lock:
            spikes = self._events.setdefault(event, Spikes())
            spikes.add(self._clock.now_seconds(), milliseconds)

    def record_write(self, elapsed_ns: int, *, during_fsync: bool) -> None:
        """A commit has taken so long."""
        self.record("aof-write-pending-fsync" if during_fsync else "aof-write-alone", elapsed_ns)
        self.record("aof-write", elapsed_ns)

    def events(self) -> dict[str, Spikes]:
        """A copy of all that was recorded."""
        with self._lock:
            return {
                name: Spikes(spikes.samples.copy(), spikes.worst)
                for name, spikes in self._events.items()
            }

    def reset(self, names: list[str] | None = None) -> int:
        """Forget those events, or all; how many there were."""
        with self._lock:
            wanted = list(self._events) if names is None else [name.lower() for name in names]
            return sum(self._events.pop(name, None) is not None for name in wanted)
