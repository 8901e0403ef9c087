"""When requests arrive in an open loop."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tendis_py.load.schedule import Schedule, constant, poisson

SECOND = 1_000_000_000


def test_constant_arrivals_keep_their_distance_for_ever() -> None:
    offsets = list(islice(constant(3.0), 300_001))
    assert offsets[:4] == [0, SECOND // 3, 2 * SECOND // 3, SECOND]
    assert abs(offsets[-1] - 100_000 * SECOND) <= 1


def test_poisson_arrivals_come_at_the_rate_and_know_nothing_of_one_another() -> None:
    amount, rate = 40_000, 1_000.0
    offsets = list(islice(poisson(rate, Random(1)), amount))
    assert abs(offsets[-1] / SECOND * rate / amount - 1) < 4 / math.sqrt(amount)
    per_tick = [0] * (amount // 4)
    for offset in offsets:
        tick = offset * 250 // SECOND  # of four arrivals
        if tick < len(per_tick) * 0.9:
            per_tick[tick] += 1
    counted = per_tick[: int(len(per_tick) * 0.9)]
    mean = sum(counted) / len(counted)
    variance = sum((count - mean) ** 2 for count in counted) / len(counted)
    assert abs(variance / mean - 1) < 4 * math.sqrt(2 / len(counted))


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 600), st.integers(0, 600))))
def test_a_schedule_gives_every_arrival_once_and_none_early(
    steps: list[tuple[int, int, int]],
) -> None:
    gap = 7
    schedule = Schedule((gap * number for number in range(10**9)), start=100)
    now = 0
    taken: list[int] = []
    for passed, most, wanted in steps:
        now += passed
        due = schedule.due(now, most)
        arrived = max(0, (now - 100) // gap + 1) - len(taken)
        assert due == min(arrived, most)
        assert schedule.next_due == 100 + gap * len(taken)
        taken += schedule.take(min(due, wanted))
    assert taken == [100 + gap * number for number in range(len(taken))]


def test_a_backlog_takes_no_memory() -> None:
    schedule = Schedule(constant(1e9), start=0)
    assert schedule.due(10**12, 1_000) == 1_000
    assert schedule.next_due == 0
    assert all(later >= earlier for earlier, later in pairwise(schedule.take(1_000)))
