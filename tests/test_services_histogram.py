"""Histograms of durations: how far off they may be, and what adding and taking away gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.services.histogram import (
    LINEAR,
    SUM,
    WAIT,
    Buckets,
    below,
    bucket_of,
    count,
    durations,
    mean_ns,
    merge,
    minus,
    new_buckets,
    percentiles_ns,
    record,
    record_all,
    record_each,
    upper_ns,
)
from tendis_py.services.observation import Durations

DURATIONS = st.lists(
    st.one_of(st.integers(0, 70_000), st.integers(0, 10**7), st.integers(0, 10**12)), max_size=200
)
PERCENTS = [0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 100.0]


def recorded(times: list[int]) -> Buckets:
    buckets = new_buckets()
    for ns in times:
        record(buckets, ns)
    return buckets


def test_nothing_recorded() -> None:
    buckets = new_buckets()
    assert count(buckets) == 0
    assert mean_ns(buckets) == 0.0
    assert percentiles_ns(buckets, PERCENTS) == [0] * len(PERCENTS)
    assert merge([]) == buckets


@pytest.mark.parametrize("bucket", [0, 1, LINEAR - 1, LINEAR, LINEAR + 31, LINEAR + 32, SUM - 2])
def test_a_bucket_ends_where_the_next_begins(bucket: int) -> None:
    end = upper_ns(bucket)
    assert bucket_of(end - 1) == bucket
    assert bucket_of(end) == bucket + 1


def test_what_is_too_long_is_in_the_last_bucket() -> None:
    assert bucket_of(10**18) == SUM - 1


@given(DURATIONS)
def test_percentiles_are_close(times: list[int]) -> None:
    found = percentiles_ns(recorded(times), PERCENTS)
    ordered = sorted(times)
    for percent, ns in zip(PERCENTS, found, strict=True):
        if not ordered:
            assert ns == 0
            continue
        rank = max(1.0, len(ordered) * percent / 100)
        exact = ordered[min(len(ordered), -int(-rank // 1)) - 1]
        assert exact < ns <= max(exact * 33 / 32, exact + 16) + 1


@given(DURATIONS)
def test_count_and_mean_are_exact(times: list[int]) -> None:
    buckets = recorded(times)
    assert count(buckets) == len(times)
    assert mean_ns(buckets) == pytest.approx(sum(times) / max(1, len(times)))


def test_what_there_is_to_say() -> None:
    said = durations(recorded([*[1_000] * 98, 50_000, 7_000_000]))
    assert (said.count, said.sum_ns) == (100, 7_148_000)
    assert said.p50_ns == said.p90_ns == pytest.approx(1_000, rel=0.05)
    assert said.p99_ns == pytest.approx(50_000, rel=0.05)
    assert said.p999_ns == said.max_ns == pytest.approx(7_000_000, rel=0.05)
    assert durations(new_buckets()) == Durations()


@given(DURATIONS, DURATIONS)
def test_merging_is_recording_both(first: list[int], second: list[int]) -> None:
    one, other = recorded(first), recorded(second)
    both = merge([one, new_buckets(), other])
    assert both == recorded(first + second)
    assert minus(both, one) == other


@given(DURATIONS)
def test_recording_some_at_once(times: list[int]) -> None:
    buckets = new_buckets()
    record_each(buckets, times, [3] * len(times))
    assert buckets == recorded([*times, *times, *times])
    buckets = new_buckets()
    record_all(buckets, times)
    assert buckets == recorded(times)


def test_merging_copies() -> None:
    buckets = recorded([5])
    merged = merge([buckets])
    record(buckets, 5)
    buckets[WAIT] += 7
    assert merged == recorded([5])


@given(DURATIONS)
def test_below_is_exact_at_powers_of_two(times: list[int]) -> None:
    limits = [1024 << power for power in range(20)]
    exact = [sum(ns < limit for ns in times) for limit in limits]
    assert below(recorded(times), limits) == exact
