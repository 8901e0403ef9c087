"""Open loop: when requests arrive, whether or not the server keeps up.

The times are fixed by the rate alone, so that a request that could not be sent in time is measured
from when it was due (no "coordinated omission"). Pure: knows no clock and no socket. Times in ns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, islice
from random import Random

ARRIVALS = ("poisson", "constant")
_CHUNK = 256
_SECOND = 1_000_000_000


def constant(rate: float) -> Iterator[int]:
    """Offsets from the beginning, at equal distances."""
    return (int(number * _SECOND / rate) for number in count())


def poisson(rate: float, random: Random) -> Iterator[int]:
    """Offsets as of many clients who know nothing of one another: exponential gaps."""
    at = 0.0
    mean = _SECOND / rate
    while True:
        at -= mean * math.log(1.0 - random.random())
        yield int(at)


class Schedule:
    """Arrivals from ``start`` on. However far behind, it holds no more than was asked to look
    at."""

    def __init__(self, offsets: Iterator[int], start: int) -> None:
        self._offsets = offsets
        self._start = start
        self._dues: list[int] = []
        self._at = 0
        self._extend(1)

    @property
    def next_due(self) -> int:
        """When the first that was not taken is due, or was."""
        return self._dues[self._at]

    def due(self, now: int, most: int) -> int:
        """How many have arrived and were not taken; ``most`` at the most."""
        self._extend(most)
        dues, at = self._dues, self._at
        end = min(at + most, len(dues))
        if dues[end - 1] <= now:
            return end - at
        amount = 0
        while dues[at + amount] <= now:
            amount += 1
        return amount

    def take(self, amount: int) -> list[int]:
        """When the next ``amount`` are due."""
        self._extend(amount + 1)
        start = self._at
        self._at = start + amount
        return self._dues[start : self._at]

    def _extend(self, amount: int) -> None:
        if self._at + amount <= len(self._dues):
            return
        del self._dues[: self._at]
        self._at = 0
        start = self._start
        wanted = max(amount - len(self._dues), _CHUNK)
        self._dues += [start + offset for offset in islice(self._offsets, wanted)]
