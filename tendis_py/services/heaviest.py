"""Which keys have the most weight, of ever so many, in bounded memory. Knows not what is weighed.

After Misra and Gries (1982), in batches as Anderson et al. do it (2017): beyond twice the keys that
are to stay, all lose what the heaviest of the others has. So a weight is never too large, and by
``total / (keep + 1)`` too small at the most; where there were few keys it is exact.
"""

from __future__ import annotations

from heapq import nlargest
from operator import itemgetter

LONGEST_KEY = 4096
"""Bytes of a key that is remembered: longer ones count for the total only."""


class Heaviest:
    """Not thread-safe."""

    __slots__ = ("_keep", "_weights", "total")

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._weights: dict[bytes, int] = {}
        self.total = 0
        """All that was added."""

    def add(self, key: bytes, weight: int) -> None:
        self.total += weight
        if len(key) > LONGEST_KEY:
            return
        weights = self._weights
        weights[key] = weights.get(key, 0) + weight
        if len(weights) > 2 * self._keep:
            self._take_from_all(sorted(weights.values(), reverse=True)[self._keep])

    def _take_from_all(self, weight: int) -> None:
        self._weights = {
            key: found - weight for key, found in self._weights.items() if found > weight
        }

    def set(self, key: bytes, weight: int) -> None:
        """Let ``key`` have so much."""
        self.add(key, weight - self.weight(key))

    def weight(self, key: bytes) -> int:
        """What ``key`` has at least."""
        return self._weights.get(key, 0)

    def top(self, count: int) -> list[tuple[bytes, int]]:
        """The heaviest, with what each has at least, the heaviest first."""
        found = ((key, weight) for key, weight in self._weights.items() if weight)
        return nlargest(count, found, key=itemgetter(1))

    def halve(self) -> None:
        """Let everything count half."""
        self.total //= 2
        self._weights = {key: weight // 2 for key, weight in self._weights.items() if weight > 1}
