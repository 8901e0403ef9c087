"""Histograms of what batches took, asked for while a reactor records."""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from tendis_py.services.histogram import SUM, count
from tendis_py.services.stages import FOLD_AFTER, StageTimes


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_each_request_counts_once_however_often_is_asked() -> None:
    """A counter that fell would be a restart to Prometheus."""
    get, times, batches = Named("get"), StageTimes(), 400 * FOLD_AFTER
    batch: Any = SimpleNamespace(
        lane="fast",
        pool="reactor",
        requests=41,
        replies=[None],
        engine_ns=0,
        read=500,
        queued=0,
        taken=0,
        **dict.fromkeys(("started", "executed", "logged", "committed", "replied"), 1200),
        written=1500,
        ran=[get] * 40,
        ran_apart=[(get, 1, 1000)],
    )
    seen = [0]
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            seen.append(count(times.totals().get(get, [])))

    asking = threading.Thread(target=ask)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        asking.start()
        for _ in range(batches):
            times.record(batch)
    finally:
        is_over.set()
        asking.join(10)
        sys.setswitchinterval(interval)
    assert all(before <= after for before, after in pairwise(seen))
    buckets = times.totals()[get]
    assert (count(buckets), buckets[SUM]) == (41 * batches, 40_500 * batches)
