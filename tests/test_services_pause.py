"""CLIENT PAUSE as the gate asks it, without waiting."""

from __future__ import annotations

import pytest

from tendis_py.services.clock import ManualClock
from tendis_py.services.global_gates import GlobalGates
from tendis_py.services.pause import Pause


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def pause(clock: ManualClock) -> Pause:
    return Pause(GlobalGates(), clock)


def holds(pause: Pause, name: bytes = b"GET") -> bool:
    return pause.holds(writes=name == b"SET")


def test_no_pause_holds_nothing(pause: Pause) -> None:
    assert not holds(pause)
    assert pause.remaining == 0


def test_a_pause_ends_in_its_time(pause: Pause, clock: ManualClock) -> None:
    pause.start(5, writes_only=False)
    clock.advance(4.9)
    assert holds(pause)
    assert pause.remaining == pytest.approx(0.1)
    clock.advance(0.1)
    assert pause.remaining == 0
    assert not holds(pause)
    assert pause.until == 0, "the quick test is quick again"


def test_a_pause_of_writes_lets_reads_through(pause: Pause) -> None:
    pause.start(5, writes_only=True)
    assert holds(pause, b"SET")
    assert not holds(pause, b"GET")


def test_the_stricter_of_two_pauses_counts(pause: Pause) -> None:
    pause.start(5, writes_only=False)
    pause.start(5, writes_only=True)
    assert holds(pause, b"GET")


def test_a_pause_of_writes_becomes_one_of_all(pause: Pause) -> None:
    pause.start(5, writes_only=True)
    pause.start(5, writes_only=False)
    assert holds(pause, b"GET")


def test_the_later_end_of_two_pauses_counts(pause: Pause, clock: ManualClock) -> None:
    pause.start(5, writes_only=False)
    pause.start(1, writes_only=False)
    clock.advance(4)
    assert holds(pause)


def test_a_past_pause_does_not_make_the_next_one_stricter(pause: Pause, clock: ManualClock) -> None:
    pause.start(5, writes_only=False)
    clock.advance(6)
    pause.start(5, writes_only=True)
    assert not holds(pause, b"GET")


def test_the_end_is_announced(pause: Pause) -> None:
    told: list[bool] = []
    pause.on_end(lambda: told.append(holds(pause)))
    pause.start(5, writes_only=False)
    pause.end()
    assert told == [False], "told once, and after the end"
