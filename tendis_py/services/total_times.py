"""How long requests took in all, by command: from the moment their bytes were read to the moment
their replies were sent, as far as the sockets took them.

That is known of a batch once it is written, so it costs the loops that run requests no more than to
keep a list of the commands; the histograms are made of many batches at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tendis_py.services.counters import CommandBuckets, Named
from tendis_py.services.histogram import SUM, bucket_of

FEW = 4
"""Different commands whose number is sooner found by looking for each."""

Several = tuple[Named, int, int]
"""A command, how many requests of it, and when they were read (perf_counter_ns)."""

Written = tuple[int, int, Sequence[Named], Sequence[Several]]
"""When a batch was written, when it was read, the commands that ran and were read then, others."""


def count_totals(all_buckets: CommandBuckets, batches: Iterable[Written]) -> None:
    """Record the requests of ``batches``."""
    for written, read, ran, others in batches:
        elapsed = written - read
        if len(ran) == 1:
            buckets = all_buckets[ran[0]]
            buckets[bucket_of(elapsed)] += 1
            buckets[SUM] += elapsed
        elif ran:
            bucket = bucket_of(elapsed)
            different = set(ran)
            if len(different) <= FEW:
                counts = {command: ran.count(command) for command in different}
            else:
                counts = Counter(ran)
            for command, times in counts.items():
                buckets = all_buckets[command]
                buckets[bucket] += times
                buckets[SUM] += elapsed * times
        for command, times, since in others:
            elapsed = written - since
            buckets = all_buckets[command]
            buckets[bucket_of(elapsed)] += times
            buckets[SUM] += elapsed * times
