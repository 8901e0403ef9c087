"""Which keys requests are about, by a sample: shares of what is recent, and OBJECT FREQ."""

from __future__ import annotations

from time import perf_counter_ns

import pytest

from tendis_py.services.key_sampler import WINDOW_NS, KeySampler, Recent


def test_shares_are_of_all_requests() -> None:
    recent = Recent()
    assert recent.shares(5, 0) == []
    for key, weight in ((b"a", 60), (b"b", 10), (None, 30)):
        recent.add(key, weight, 0)
    assert recent.shares(5, 0) == [(b"a", 0.6), (b"b", 0.1)]
    assert recent.shares(1, 0) == [(b"a", 0.6)]


def test_what_is_not_recent_does_not_count() -> None:
    recent = Recent()
    recent.add(b"old", 50, 1)
    recent.add(b"new", 50, WINDOW_NS + 1)
    assert dict(recent.shares(5, 2 * WINDOW_NS)) == {b"old": 0.5, b"new": 0.5}
    recent.add(b"newer", 150, 2 * WINDOW_NS + 1)
    assert dict(recent.shares(5, 2 * WINDOW_NS + 2)) == {b"new": 0.25, b"newer": 0.75}
    assert recent.shares(5, 9 * WINDOW_NS) == []


def test_keys_are_shown_as_text() -> None:
    sampler = KeySampler()
    now = perf_counter_ns()
    sampler.note(b"\xff\x1b[2J\n", 3, now)
    assert sampler.hot() == [("\\xff\\x1b[2J\\n", 1.0)]
    sampler.note_wait(b"k", 1000, now)
    sampler.note_wait(None, 1000, now)
    assert sampler.contended() == [("k", 0.5)]


@pytest.mark.parametrize(
    ("uses", "idle", "frequency"),
    [(0, 0, 5), (0, 9, 0), (1, 0, 6), (11, 0, 6), (12, 0, 7), (460, 4, 11), (10**9, 0, 255)],
)
def test_frequency(uses: int, idle: int, frequency: int) -> None:
    sampler = KeySampler()
    sampler.note(b"k", uses, 1)
    assert sampler.frequency(b"k", idle) == frequency


def test_reset() -> None:
    sampler = KeySampler()
    now = perf_counter_ns()
    sampler.note(b"k", 12, now)
    sampler.note_wait(b"k", 5, now)
    sampler.reset()
    assert sampler.hot() == sampler.contended() == []
    assert sampler.frequency(b"k", 0) == 7
