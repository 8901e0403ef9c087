"""What happened over the last WINDOWS seconds, from histograms and counters that only ever grow.

Once a second it is noted what has been added to them; each window is a histogram that gets what is
new and loses what is too old. So windows cost the threads that count nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import sub
from time import perf_counter_ns

from tendis_py.services.histogram import Buckets, merge, minus, new_buckets
from tendis_py.services.observation import WINDOWS
from tendis_py.services.stages import Histograms, Stage, ThreadTimes

RATE_SECONDS = WINDOWS[0]

Added = dict[Stage, list[tuple[int, int]]]
"""Stage → places of its histogram, and by how much they have grown."""


@dataclass(frozen=True, slots=True)
class Work:
    """Of one thread in so many ``ns``; see ``ThreadTimes``."""

    ns: int = 0
    busy_ns: int = 0
    batches: int = 0
    requests: int = 0


class Recent:
    """In any thread. ``histograms`` are asked for as they stand, ``threads`` for what they count
    up."""

    def __init__(
        self,
        histograms: Callable[[], Histograms],
        threads: Sequence[ThreadTimes],
        now: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._read = histograms
        self._threads = threads
        self._now = now
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Nothing has happened before now."""
        with self._lock:
            self._last = self._read()
            self._added: deque[Added] = deque()
            self._windows: dict[int, Histograms] = {seconds: {} for seconds in WINDOWS}
            self._work = deque([self._all_work()], maxlen=RATE_SECONDS + 1)

    def sample(self) -> None:
        """To be called once a second."""
        with self._lock:
            now = self._read()
            added = {
                stage: _added(buckets, self._last.get(stage))
                for stage, buckets in now.items()
                if buckets != self._last.get(stage)
            }
            self._last = now
            self._added.append(added)
            for seconds, window in self._windows.items():
                _add(window, added, 1)
                if len(self._added) > seconds:
                    _add(window, self._added[-1 - seconds], -1)
            if len(self._added) > max(WINDOWS):
                self._added.popleft()
            self._work.append(self._all_work())

    def histograms(self) -> dict[int, Histograms]:
        """Window in seconds → what it has, and what has come since the last sample."""
        with self._lock:
            now = self._read()
            fresh = {
                stage: minus(buckets, self._last[stage]) if stage in self._last else buckets
                for stage, buckets in now.items()
            }
            return {
                seconds: {
                    stage: merge([window[stage], more]) if stage in window else more
                    for stage, more in fresh.items()
                }
                for seconds, window in self._windows.items()
            }

    def work(self) -> dict[str, Work]:
        """Thread → what it has done in the last RATE_SECONDS."""
        with self._lock:
            now, then = self._all_work(), self._work[0]
        return {
            name: Work(
                done.ns - before.ns,
                done.busy_ns - before.busy_ns,
                done.batches - before.batches,
                done.requests - before.requests,
            )
            for name, done in now.items()
            for before in (then.get(name, Work(done.ns)),)
        }

    def _all_work(self) -> dict[str, Work]:
        now = self._now()
        return {
            one.name: Work(now, one.busy_ns, one.batches, one.requests) for one in self._threads
        }


def _added(buckets: Buckets, before: Buckets | None) -> list[tuple[int, int]]:
    grown = map(sub, buckets, before) if before else buckets
    return [(place, count) for place, count in enumerate(grown) if count]


def _add(window: Histograms, added: Added, sign: int) -> None:
    for stage, places in added.items():
        buckets = window.get(stage)
        if buckets is None:
            buckets = window[stage] = new_buckets()
        for place, count in places:
            buckets[place] += sign * count
