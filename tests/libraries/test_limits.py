"""limits, which Flask-Limiter and slowapi are built on: each of its windows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    SlidingWindowCounterRateLimiter,
)

from tests.support.servers import HOST, ServerProcess

LIMIT = RateLimitItemPerHour(5)


@pytest.fixture
def storage(server: ServerProcess) -> Iterator[Any]:
    found = storage_from_string(f"redis://{HOST}:{server.port}")
    yield found
    found.storage.close()


@pytest.mark.parametrize(
    "strategy", [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]
)
def test_a_window(storage: Any, strategy: Any) -> None:
    limiter = strategy(storage)
    assert [limiter.hit(LIMIT, "alice") for _ in range(7)] == [True] * 5 + [False] * 2
    assert limiter.hit(LIMIT, "bob", cost=3)
    assert not limiter.test(LIMIT, "bob", cost=3)
    left = limiter.get_window_stats(LIMIT, "bob")
    assert left.remaining == 2
    limiter.clear(LIMIT, "alice")
    assert limiter.hit(LIMIT, "alice")
    assert limiter.hit(RateLimitItemPerMinute(1), "alice")
    assert storage.reset() >= 2
    assert limiter.get_window_stats(LIMIT, "bob").remaining == 5


@pytest.mark.parametrize(
    "strategy", [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter]
)
def test_no_more_are_let_through_than_allowed(storage: Any, strategy: Any) -> None:
    limiter, limit = strategy(storage), RateLimitItemPerHour(40)
    allowed: list[bool] = []

    def ask() -> None:
        allowed.extend(limiter.hit(limit, "all") for _ in range(20))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(allowed), sum(allowed)) == (80, 40)
