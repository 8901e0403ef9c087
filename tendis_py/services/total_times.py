"""How long requests took in all, by command: from the moment their bytes were read to the moment
their replies were sent, as far as the sockets took them.

That is known of a batch once it is written, so it costs the loops that run requests no more than to
keep a list of the commands; the histograms are made of many batches at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from tendis_py.services.counters import CommandBuckets, Named
from tendis_py.services.histogram import SUM, Buckets, bucket_of

FOLD_AFTER = 64
"""Batches, as in ``stages``."""

Several = tuple[Named, int, int]
"""A command, how many requests of it, and when they were read (perf_counter_ns)."""

Written = tuple[int, int, Sequence[Named], Sequence[Several]]
"""When a batch was written, when it was read, the commands that ran and were read then, others."""


class TotalTimes:
    """Of the requests that one reactor answers. Its thread records, any thread may ask: whoever has
    the lock folds, so that each request counts once, and the reactor never waits."""

    __slots__ = ("_batches", "_buckets", "_lock")

    def __init__(self) -> None:
        self._buckets = CommandBuckets()
        self._batches: deque[Written] = deque()
        self._lock = threading.Lock()

    def record(
        self, written: int, read: int, ran: Sequence[Named], others: Sequence[Several]
    ) -> None:
        """The replies of a batch were sent."""
        batches = self._batches
        batches.append((written, read, ran, others))
        if len(batches) >= FOLD_AFTER and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def buckets(self) -> dict[Named, Buckets]:
        """Command → a copy of its histogram."""
        with self._lock:
            self._fold()
            return {command: buckets.copy() for command, buckets in self._buckets.items()}

    def _fold(self) -> None:
        batches = self._batches
        _fold([batches.popleft() for _ in range(len(batches))], self._buckets)


def _fold(batches: Iterable[Written], all_buckets: CommandBuckets) -> None:
    for written, read, ran, others in batches:
        elapsed = written - read
        bucket = bucket_of(elapsed)
        if len(ran) == 1:
            buckets = all_buckets[ran[0]]
            buckets[bucket] += 1
            buckets[SUM] += elapsed
        elif ran:
            counts: dict[Named, int] = {}
            for command in ran:
                counts[command] = counts.get(command, 0) + 1
            for command, times in counts.items():
                buckets = all_buckets[command]
                buckets[bucket] += times
                buckets[SUM] += elapsed * times
        for command, times, since in others:
            elapsed = written - since
            buckets = all_buckets[command]
            buckets[bucket_of(elapsed)] += times
            buckets[SUM] += elapsed * times
