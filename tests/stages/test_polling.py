"""Waiting for sockets: awake while that pays, asleep otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.stages import polling
from tendis_py.stages.polling import AWAKE_NS, MOST_SKIPS, Poller

STEP_NS = 10_000


class FakeEpoll:
    """Looks and sleeps are noted; every look takes STEP_NS. ``comes``: after how many looks there
    is an event."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.looks = self.sleeps = 0
        self.comes: int | None = None
        monkeypatch.setattr(polling, "perf_counter_ns", lambda: self.now)

    def poll(self, seconds: float, most: int) -> list[tuple[int, int]]:
        self.now += STEP_NS
        if seconds:
            self.sleeps += 1
            return []
        self.looks += 1
        return [(1, 1)] if self.looks == self.comes else []


@pytest.fixture
def epoll(monkeypatch: pytest.MonkeyPatch) -> FakeEpoll:
    return FakeEpoll(monkeypatch)


@pytest.fixture
def poller(epoll: FakeEpoll) -> Poller:
    fake: Any = epoll
    return Poller(fake)


def test_what_comes_soon_is_met_awake(epoll: FakeEpoll, poller: Poller) -> None:
    epoll.comes = 3
    assert poller.wait(1.0, 10) == [(1, 1)]
    assert (epoll.looks, epoll.sleeps) == (3, 0)


def test_nobody_looks_for_long(epoll: FakeEpoll, poller: Poller) -> None:
    assert poller.wait(1.0, 10) == []
    assert epoll.looks <= AWAKE_NS // STEP_NS
    assert epoll.sleeps == 1


def test_looking_in_vain_becomes_rare(epoll: FakeEpoll, poller: Poller) -> None:
    for _ in range(10 * MOST_SKIPS):
        poller.wait(1.0, 10)
    before = epoll.looks
    for _ in range(10 * MOST_SKIPS):
        poller.wait(1.0, 10)
    assert epoll.looks - before <= 11 * (AWAKE_NS // STEP_NS)


def test_looking_that_pays_goes_on(epoll: FakeEpoll, poller: Poller) -> None:
    for _ in range(10 * MOST_SKIPS):
        poller.wait(1.0, 10)
    sleeps = epoll.sleeps
    for _ in range(MOST_SKIPS + 1):  # it is tried again before long
        epoll.comes = epoll.looks + 1
        poller.wait(1.0, 10)
    sleeps = epoll.sleeps
    for _ in range(100):
        epoll.comes = epoll.looks + 1
        assert poller.wait(1.0, 10)
    assert epoll.sleeps == sleeps
