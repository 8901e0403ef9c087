"""Durations in buckets: cheap to record, read as percentiles.

Linear up to 65 µs in steps of 128 ns (one shift, no branch on the hot path), eight buckets per
power of two above that: at most 12.5 % off. Knows nothing of what is measured.

Recording is one thread's; any thread may read: a copy of a list is taken in one go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate
from operator import add, sub

LINEAR = 512
_SHIFT = 7
_TAIL = 8 * 32
SUM = LINEAR + _TAIL
"""Index of the sum of all durations in ns."""
WAIT = SUM + 1
"""Index of a second sum, for the time before the work began, in ns."""
SIZE = WAIT + 1

Buckets = list[int]


def new_buckets() -> Buckets:
    return [0] * SIZE


def tail_bucket(step: int) -> int:
    """The bucket of a duration of ``step`` (ns >> 7) >= LINEAR."""
    power = step.bit_length() - 1
    return min(LINEAR + (power - 9) * 8 + ((step >> (power - 3)) & 7), SUM - 1)


def bucket_of(ns: int) -> int:
    step = ns >> _SHIFT
    return step if step < LINEAR else tail_bucket(step)


def record(buckets: Buckets, ns: int) -> None:
    """Count one duration. (The dispatcher has this inline.)"""
    step = ns >> _SHIFT
    buckets[step if step < LINEAR else tail_bucket(step)] += 1
    buckets[SUM] += ns


def upper_ns(bucket: int) -> int:
    """The longest duration of a bucket in ns, exclusive."""
    if bucket < LINEAR:
        return (bucket + 1) << _SHIFT
    power, part = divmod(bucket - LINEAR, 8)
    return (8 + part + 1) << (power + 9 - 3 + _SHIFT)


def merge(parts: Iterable[Buckets]) -> Buckets:
    """All parts in one histogram; an empty one when there are none."""
    copies = [part.copy() for part in parts if part[SUM] or part[0]]  # the others are empty
    return reduce(_plus, copies) if copies else new_buckets()


def _plus(first: Buckets, second: Buckets) -> Buckets:
    return list(map(add, first, second))


def minus(buckets: Buckets, earlier: Buckets) -> Buckets:
    """What was recorded since ``earlier``, a copy of the same histogram."""
    return list(map(sub, buckets, earlier))


def count(buckets: Buckets) -> int:
    return sum(buckets[:SUM])


def percentiles_ns(buckets: Buckets, percents: Sequence[float]) -> list[int]:
    """For each percentage the duration in ns that so many do not exceed; 0 when nothing was
    recorded."""
    running = list(accumulate(buckets[:SUM]))
    total = running[-1]
    if not total:
        return [0] * len(percents)
    return [upper_ns(bisect_left(running, max(1, total * percent / 100))) for percent in percents]


def mean_ns(buckets: Buckets) -> float:
    total = count(buckets)
    return buckets[SUM] / total if total else 0.0


def below(buckets: Buckets, limits_ns: Sequence[int]) -> list[int]:
    """How many durations are less than each limit. Exact where a limit is 1024 << n."""
    running = [0, *accumulate(buckets[:SUM])]
    return [running[bucket_of(limit)] for limit in limits_ns]
