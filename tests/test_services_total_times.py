"""Histograms of total times, asked for while a reactor records."""

from __future__ import annotations

import sys
import threading
from itertools import pairwise

from tendis_py.services.histogram import SUM, count
from tendis_py.services.total_times import FOLD_AFTER, TotalTimes


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_each_request_counts_once_however_often_is_asked() -> None:
    """A counter that fell would be a restart to Prometheus."""
    get, times, batches = Named("get"), TotalTimes(), 400 * FOLD_AFTER
    seen = [0]
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            seen.append(count(times.buckets().get(get, [])))

    asking = threading.Thread(target=ask)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        asking.start()
        for _ in range(batches):
            times.record(1500, 500, [get] * 40, [(get, 1, 1000)])
    finally:
        is_over.set()
        asking.join(10)
        sys.setswitchinterval(interval)
    assert all(before <= after for before, after in pairwise(seen))
    buckets = times.buckets()[get]
    assert (count(buckets), buckets[SUM]) == (41 * batches, 40_500 * batches)
