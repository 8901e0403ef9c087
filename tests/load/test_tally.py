"""Latencies that were counted, and the figures made of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.load.outcome import figures, histograms_of
from tendis_py.load.tally import Tally, by_kind, coarse_us


@given(st.integers(0, 10**10))
def test_little_is_lost_of_a_latency(us: int) -> None:
    coarse = coarse_us(us)
    assert coarse <= us
    assert us - coarse <= us / 1000
    assert us >= 2048 or coarse == us


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_order_is_kept(one: int, other: int) -> None:
    assert (coarse_us(one) <= coarse_us(other)) or one > other


def test_kinds_are_kept_apart() -> None:
    tally = Tally()
    tally.record(5, [1, 0, 1])
    tally.record(7, [1])
    tally.record_each(10_000, [(1_000, 4_000, 2)])
    tally.fold()
    assert sorted(by_kind(tally.latencies)) == [(0, 5, 1), (1, 5, 2), (1, 7, 1), (2, 9, 1)]
    assert list(by_kind(tally.services)) == [(2, 6, 1)]


def test_a_second_tells_of_itself_only() -> None:
    tally = Tally()
    for us in range(1, 101):
        tally.record(us, [0])
    tally.error("ERR no")
    tally.end_stretch(1.0, 2.5)
    tally.end_stretch(0.5, 0.0)
    first, second = tally.course
    assert (first.requests, first.errors, first.p50_us, first.p99_us) == (100, 1, 50, 99)
    assert (first.max_us, first.behind_ms) == (100, 2.5)
    assert (second.seconds, second.requests, second.errors, second.max_us) == (0.5, 0, 0, 0)
    assert tally.latencies.total() == 100


def test_errors_are_counted_by_code_with_the_first_as_it_came() -> None:
    tally = Tally()
    for message in ("WRONGTYPE one", "ERR two", "WRONGTYPE three"):
        tally.error(message)
    found = {code: (error.count, error.example) for code, error in tally.errors.items()}
    assert found == {"WRONGTYPE": (2, "WRONGTYPE one"), "ERR": (1, "ERR two")}
    assert tally.failed == 3


def test_histograms_are_of_each_command_and_of_all() -> None:
    tally = Tally()
    for us in (100, 200, 300, 4_000_000_000):
        tally.record(us, [0, 1])
    tally.fold()
    found = histograms_of(tally.latencies, ["GET", "SET", "DEL"])
    assert set(found) == {"GET", "SET", "all"}
    assert figures(found["all"])["count"] == 8
    assert figures(found["GET"])["p50"] == pytest.approx(200, rel=0.001)
    assert figures(found["GET"])["max"] == pytest.approx(3.6e9, rel=0.001)
    assert figures(histograms_of(type(tally.latencies)(), [])["all"])["p99"] == 0
