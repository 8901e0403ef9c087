"""A write-through cache of decoded meta rows and of collections' elements, bounded in bytes.

Two generations instead of a list in access order: a hit in the young one costs a dict lookup and
nothing else (0.04 µs). When the young generation holds half of the limit it becomes the old one;
what is asked for again moves back, the rest is dropped with the generation. Knows only rows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from tendis_py.storage.codec import Row

_ENTRY_BYTES = 280
"""About what an entry takes besides its value: key object, place in a dict, row object."""

_ELEMENT_BYTES = 180
"""The same for an element's value, which is bytes."""

_DISCARD_PER_STEP = 2000


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """``entries`` and ``bytes`` held now, ``limit`` in bytes, ``rotations`` since the start."""

    entries: int
    bytes: int
    limit: int
    rotations: int


class RowCache:
    """Meta key → row, and element key (version, element) → value: versions have their highest bit
    set, namespaces don't. Callers hold the key's lock, so that nothing stale can be put in."""

    __slots__ = (
        "_discarding",
        "_old_bytes",
        "_rotations",
        "_trimming",
        "limit",
        "old",
        "young",
        "young_bytes",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.young: dict[bytes, Any] = {}
        self.old: dict[bytes, Any] = {}
        self._discarding: dict[bytes, Any] = {}
        self.young_bytes = 0
        self._old_bytes = 0
        self._rotations = 0
        self._trimming = threading.Lock()

    def recall(self, key: bytes) -> Any:
        """The row or value if the old generation has it; it becomes young again."""
        row = self.old.pop(key, None)
        if row is not None:
            self.add(key, row)
        return row

    def add(self, key: bytes, row: Row | bytes) -> None:
        self.young[key] = row
        self.young_bytes += _ENTRY_BYTES + (len(row) if isinstance(row, bytes) else row.size())

    def update(self, rows: dict[bytes, Row], added_bytes: int) -> None:
        """Add many; ``added_bytes`` is the sum of their sizes. Overwritten rows count twice until
        the generation turns, which only makes it turn earlier."""
        self.young.update(rows)
        self.young_bytes += added_bytes + _ENTRY_BYTES * len(rows)

    def update_values(self, values: dict[bytes, bytes | None]) -> None:
        """Add the values of elements; those that are None leave."""
        young, old = self.young, self.old
        added = 0
        for key, value in values.items():
            if value is None:
                young.pop(key, None)
                old.pop(key, None)
            else:
                young[key] = value
                added += len(value) + _ELEMENT_BYTES
        self.young_bytes += added

    def forget(self, key: bytes) -> None:
        self.young.pop(key, None)
        self.old.pop(key, None)

    def clear(self) -> None:
        self._discarding = {}
        self.young, self.old = {}, {}
        self.young_bytes = self._old_bytes = 0

    def trim(self) -> None:
        """Keep to the limit. Called once a batch: freeing a whole generation at a time would hold
        the GIL for tens of milliseconds, so it goes in steps."""
        if not self._trimming.acquire(blocking=False):
            return  # another thread is at it
        try:
            discarding = self._discarding
            if discarding:
                pop = discarding.popitem
                for _ in range(min(_DISCARD_PER_STEP, len(discarding))):
                    pop()
            if self.young_bytes * 2 > self.limit:
                self._turn()
        finally:
            self._trimming.release()

    def _turn(self) -> None:
        self._discarding.clear()
        self._discarding, self.old, self.young = self.old, self.young, {}
        self._old_bytes, self.young_bytes = self.young_bytes, 0
        self._rotations += 1

    def statistics(self) -> CacheStatistics:
        return CacheStatistics(
            entries=len(self.young) + len(self.old),
            bytes=self.young_bytes + self._old_bytes,
            limit=self.limit,
            rotations=self._rotations,
        )
