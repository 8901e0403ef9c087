"""Durations in buckets: cheap to record, read as percentiles.

Linear up to 65 µs in steps of 128 ns (one shift, no branch on the hot path), eight buckets per
power of two above that: at most 12.5 % off. Knows nothing of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

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
    return [sum(column) for column in zip(*parts, strict=True)] or new_buckets()


def count(buckets: Buckets) -> int:
    return sum(buckets[:SUM])


def percentile_ns(buckets: Buckets, percent: float) -> int:
    """The duration in ns that ``percent`` % do not exceed; 0 when nothing was recorded."""
    total = count(buckets)
    if not total:
        return 0
    needed = max(1, total * percent / 100)
    for bucket, running in enumerate(accumulate(buckets[:SUM])):
        if running >= needed:
            return upper_ns(bucket)
    return upper_ns(SUM - 1)


def mean_ns(buckets: Buckets) -> float:
    total = count(buckets)
    return buckets[SUM] / total if total else 0.0
