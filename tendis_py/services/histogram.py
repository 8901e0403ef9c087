"""Durations in buckets: cheap to record, read as percentiles.

Linear up to 8 µs in steps of 16 ns (one shift, no branch on the hot path), 32 buckets per power of
two above that: at most 3.2 % off, or 16 ns. Knows nothing of what is measured.

Recording is one thread's; any thread may read: a copy of a list is taken in one go.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate
from operator import add, mul, sub

from tendis_py.services.observation import Durations

LINEAR = 512
SHIFT = 4
_FINE = 5
"""Above the linear part, bits of a duration below its highest that tell buckets apart."""
_FIRST = LINEAR.bit_length() - 1
_BASE = LINEAR - ((_FIRST + 2) << _FINE)
_POWERS = 30
"""Longer than 2.4 hours is as long as that."""
_TAIL = _POWERS << _FINE
SUM = LINEAR + _TAIL
"""Index of the sum of all durations in ns."""
WAIT = SUM + 1
"""Index of a second sum, for the time before the work began, in ns."""
SIZE = WAIT + 1

Buckets = list[int]

_PERCENTS = (50, 90, 99, 99.9, 100)


def new_buckets() -> Buckets:
    return [0] * SIZE


def tail_bucket(step: int) -> int:
    """The bucket of a duration of ``step`` (ns >> SHIFT) >= LINEAR."""
    bits = step.bit_length()
    bucket = _BASE + (bits << _FINE) + (step >> (bits - _FINE - 1))
    return bucket if bucket < SUM else SUM - 1


def bucket_of(ns: int) -> int:
    step = ns >> SHIFT
    return step if step < LINEAR else tail_bucket(step)


def record(buckets: Buckets, ns: int) -> None:
    """Count one duration. (The dispatcher has this inline.)"""
    step = ns >> SHIFT
    buckets[step if step < LINEAR else tail_bucket(step)] += 1
    buckets[SUM] += ns


def record_all(buckets: Buckets, durations: Sequence[int]) -> None:
    """Count each of ``durations``, in ns. (As ``record`` does, in a third of the time.)"""
    buckets[SUM] += sum(durations)
    for ns in durations:
        step = ns >> SHIFT
        if step >= LINEAR:  # as tail_bucket has it
            bits = step.bit_length()
            step = _BASE + (bits << _FINE) + (step >> (bits - _FINE - 1))
            if step >= SUM:
                step = SUM - 1
        buckets[step] += 1


def record_each(buckets: Buckets, durations: Sequence[int], times: Sequence[int]) -> None:
    """Count each of ``durations``, in ns, as often as ``times`` says."""
    buckets[SUM] += sum(map(mul, durations, times))
    for ns, often in zip(durations, times, strict=True):
        step = ns >> SHIFT
        if step >= LINEAR:
            bits = step.bit_length()
            step = _BASE + (bits << _FINE) + (step >> (bits - _FINE - 1))
            if step >= SUM:
                step = SUM - 1
        buckets[step] += often


def upper_ns(bucket: int) -> int:
    """The longest duration of a bucket in ns, exclusive."""
    if bucket < LINEAR:
        return (bucket + 1) << SHIFT
    power, part = divmod(bucket - LINEAR, 1 << _FINE)
    return ((1 << _FINE) + part + 1) << (power + _FIRST - _FINE + SHIFT)


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
    """For each percentage the duration in ns that so many do not exceed, 100 being the longest; 0
    when nothing was recorded."""
    return _percentiles_ns(list(accumulate(buckets[:SUM])), percents)


def _percentiles_ns(running: list[int], percents: Sequence[float]) -> list[int]:
    total = running[-1]
    if not total:
        return [0] * len(percents)
    return [upper_ns(bisect_left(running, max(1, total * percent / 100))) for percent in percents]


def durations(buckets: Buckets) -> Durations:
    """What there is to say of a histogram."""
    if not (buckets[SUM] or buckets[0]):
        return Durations()
    running = list(accumulate(buckets[:SUM]))
    return Durations(running[-1], buckets[SUM], *_percentiles_ns(running, _PERCENTS))


def mean_ns(buckets: Buckets) -> float:
    total = count(buckets)
    return buckets[SUM] / total if total else 0.0


def below(buckets: Buckets, limits_ns: Sequence[int]) -> list[int]:
    """How many durations are less than each limit. Exact where a limit is 1024 << n."""
    running = [0, *accumulate(buckets[:SUM])]
    return [running[bucket_of(limit)] for limit in limits_ns]
