"""A session of HOTKEYS: what it adds up, and when it is over."""

from __future__ import annotations

import pytest

from tendis_py.services.clock import ManualClock
from tendis_py.services.hotkeys import MOST_KEYS, HotKeys, HotKeysReport


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hotkeys(clock: ManualClock) -> HotKeys:
    return HotKeys(clock)


def report(hotkeys: HotKeys) -> HotKeysReport:
    found = hotkeys.report()
    assert found is not None
    return found


def start(hotkeys: HotKeys, *, count: int = 2, seconds: int = 0, ratio: int = 1) -> bool:
    return hotkeys.start(cpu=True, net=True, count=count, seconds=seconds, ratio=ratio)


def test_time_and_bytes_are_shared_by_the_keys_of_a_command(hotkeys: HotKeys) -> None:
    assert start(hotkeys)
    hotkeys.note([b"a", b"b"], 1000, 50)
    hotkeys.note([b"a"], 300, 20)
    hotkeys.note([b"c"], 100, 30)
    found = report(hotkeys)
    assert found.by_cpu == [(b"a", 800), (b"b", 500)]
    assert found.by_net == [(b"a", 45), (b"c", 30)]
    assert (found.execute_ns, found.net_bytes, found.active) == (1400, 100, True)


def test_only_one_session_at_a_time(hotkeys: HotKeys) -> None:
    assert not hotkeys.stop()
    assert start(hotkeys)
    assert not start(hotkeys)
    assert not hotkeys.reset()
    hotkeys.note([b"a"], 1, 1)
    assert hotkeys.stop()
    hotkeys.note([b"late"], 1, 1)
    assert report(hotkeys).by_cpu == [(b"a", 1)]
    assert start(hotkeys)
    assert report(hotkeys).by_cpu == []
    assert hotkeys.stop()
    assert hotkeys.reset()
    assert hotkeys.report() is None


def test_what_is_over_does_not_change(hotkeys: HotKeys, clock: ManualClock) -> None:
    start(hotkeys, seconds=10)
    clock.advance(10)
    assert not hotkeys.is_on()
    clock.advance(5)
    assert report(hotkeys).duration_ms == 10_000
    assert report(hotkeys) == report(hotkeys)


def test_a_ratio_draws_some_batches(hotkeys: HotKeys) -> None:
    assert not hotkeys.draws()
    start(hotkeys)
    assert all(hotkeys.draws() for _ in range(100))
    hotkeys.stop()
    start(hotkeys, ratio=10)
    assert 0 < sum(hotkeys.draws() for _ in range(1000)) < 400


def test_very_many_keys_are_not_told_apart(hotkeys: HotKeys) -> None:
    start(hotkeys, count=64)
    hotkeys.note([b"%d" % number for number in range(10 * MOST_KEYS)], 10**9, 10**6)
    found = report(hotkeys)
    assert found.execute_ns == 10**9
    assert found.by_cpu is not None
    assert len(found.by_cpu) == 64
