"""A write-through cache of decoded meta rows and of collections' elements, bounded in bytes.

Two generations instead of a list in access order: a hit in the young one costs a dict lookup and
nothing else (0.04 µs). When the young generation holds half of the limit it becomes the old one;
what is asked for again moves back, the rest is dropped with the generation. Knows only rows.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, cast

from tendis_py.storage.codec import ABSENT, Held, held_bytes

_ENTRY_BYTES = 128
"""About what an entry takes besides the bytes of key and value: two objects, a place in a dict."""

_BARE = {bytes}

USE_SLOTS = 1 << 20

_DISCARD_PER_STEP = 2000

_HOLLOW_BYTES = 1 << 20
_HOLLOW_ENTRY_BYTES = 1000
"""The tables of dicts that use more of that for an entry than this, ten times the usual."""

ABSENT_KEPT = 4096
"""So many deleted keys are remembered not to be there: a lock that comes and goes, not a million
that are gone."""


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
        "_deleted",
        "_discarding",
        "_old_bytes",
        "_rotations",
        "_trimming",
        "cleared_at",
        "limit",
        "old",
        "uses",
        "young",
        "young_bytes",
    )

    def __init__(self, limit: int, now: int = 0) -> None:
        self.uses = array("I", [now]) * USE_SLOTS
        """When a key was last used, in Unix seconds, at ``hash(key) % USE_SLOTS``; at the earliest
        ``now``, when the server started. For OBJECT IDLETIME alone, hence approximate: keys that
        share a slot look as recent as the latest of them."""
        self.limit = limit
        self.young: dict[bytes, Any] = {}
        self.old: dict[bytes, Any] = {}
        self._discarding: list[dict[bytes, Any]] = []
        self._deleted: deque[bytes] = deque()
        self.cleared_at = 0
        """No element is held of a version below this one."""
        self.young_bytes = 0
        self._old_bytes = 0
        self._rotations = 0
        self._trimming = threading.Lock()

    def recall(self, key: bytes) -> Any:
        """The row or value if the old generation has it; it becomes young again."""
        row = self.old.pop(key, None)
        if row is not None:
            size = _ENTRY_BYTES + len(key) + held_bytes(row)
            self.young[key] = row
            self.young_bytes += size
            self._old_bytes -= size
        return row

    def add(self, key: bytes, what: Held) -> None:
        """Add what the young generation does not have."""
        self.young[key] = what
        self.young_bytes += _ENTRY_BYTES + len(key) + held_bytes(what)

    def growth(self, rows: dict[bytes, Held]) -> int:
        """How many bytes more the young generation will hold after ``update``. A commit asks before
        it writes: what reading these entries costs is cache misses, and RocksDB makes new ones."""
        before, after = list(map(self.young.get, rows)), rows.values()
        if before.count(None) == len(before):
            return _total_bytes(rows, after)
        if set(map(type, before)) == _BARE == set(map(type, after)):
            return sum(map(len, after)) - sum(map(len, before))  # type: ignore[arg-type]
        return _total_bytes(rows, after) - _total_bytes(rows, before)

    def update(self, rows: dict[bytes, Held], growth: int) -> None:
        """Add or replace many, whose ``growth`` was asked for."""
        self.young.update(rows)
        self.young_bytes += growth

    def update_values(self, values: dict[bytes, bytes | None]) -> None:
        """Add or replace the values of elements; those that are None leave."""
        young, old = self.young, self.old
        added = 0
        for key, value in values.items():
            size = _ENTRY_BYTES + len(key)
            if value is None:
                before = young.pop(key, None)
                if old and (outdated := old.pop(key, None)) is not None:
                    self._old_bytes -= len(outdated) + size
            else:
                before = young.get(key)
                young[key] = value
                added += len(value) + size
            if before is not None:
                added -= len(before) + size
        self.young_bytes += added

    def drop(self, keys: Collection[bytes]) -> int:
        """Drop rows, or elements, whichever of them there are; how many there were. No lock is
        needed: the old generation goes first, lest what is outdated there be found."""
        young, old = self.young, self.old
        dropped = 0
        if old:
            gone = {key: what for key in keys if (what := old.pop(key, None)) is not None}
            dropped = len(gone)
            fewer = _total_bytes(gone, gone.values())
            self._old_bytes -= fewer  # in a step of its own: others change the figure, too
        gone = {key: what for key in keys if (what := young.pop(key, None)) is not None}
        fewer = _total_bytes(gone, gone.values())
        self.young_bytes -= fewer
        return dropped + len(gone)

    def note_deleted(self, keys: Iterable[bytes]) -> None:
        """These rows have become ABSENT, and are dropped as such in time (``drop_deleted``)."""
        self._deleted.extend(keys)

    def drop_deleted(self) -> bool:
        """Drop some of the rows that were deleted the longest ago, where more than ABSENT_KEPT
        are; whether there are more. One thread's business."""
        deleted = self._deleted
        excess = min(len(deleted) - ABSENT_KEPT, _DISCARD_PER_STEP)
        if excess <= 0:
            return False
        keys = [deleted.popleft() for _ in range(excess)]
        self.drop([key for key, row in zip(keys, self.look(keys), strict=True) if row is ABSENT])
        return len(deleted) > ABSENT_KEPT

    def look(self, keys: list[bytes]) -> list[Held | None]:
        """What is held of ``keys``, which count as little used as before."""
        return list(map(self.young.get, keys, map(self.old.get, keys)))

    def forget(self, key: bytes) -> None:
        """Drop an element."""
        self.update_values({key: None})

    def clear(self, version: int = 0) -> None:
        """Hold nothing any more. The memory comes back in steps (``trim``). The caller holds all
        keys, and no collection of a version below ``version`` is left."""
        with self._trimming:
            self._deleted.clear()
            self.cleared_at = version
            self._discarding += [self.old, self.young]
            self.young, self.old = {}, {}
            self.young_bytes = self._old_bytes = 0

    @property
    def is_discarding(self) -> bool:
        """Whether there is memory to give back: ``trim`` again."""
        return bool(self._discarding)

    def trim(self) -> None:
        """Keep to the limit. Called once a batch: freeing a whole generation at a time would hold
        the GIL for tens of milliseconds, so it goes in steps."""
        if not self._trimming.acquire(blocking=False):
            return  # another thread is at it
        try:
            if self._discarding:
                self._discard()
            if self.young_bytes * 2 > self.limit:
                self._turn()
        finally:
            self._trimming.release()

    def turn_if_hollow(self) -> None:
        """A dict does not shrink when entries are dropped: let generations that were large and have
        next to nothing left turn, twice to be gone. What is not asked for in between is lost."""
        entries = len(self.young) + len(self.old)
        tables = sys.getsizeof(self.young) + sys.getsizeof(self.old)
        if tables > _HOLLOW_BYTES and entries * _HOLLOW_ENTRY_BYTES < tables:
            with self._trimming:
                if not self._discarding:
                    self._turn()

    def _discard(self) -> None:
        discarding = self._discarding[-1]
        pop = discarding.popitem
        for _ in range(min(_DISCARD_PER_STEP, len(discarding))):
            pop()
        if not discarding:
            self._discarding.pop()

    def _turn(self) -> None:
        self._discarding = [self.old]
        self.old, self.young = self.young, {}
        self._old_bytes, self.young_bytes = self.young_bytes, 0
        self._rotations += 1

    @property
    def bytes(self) -> int:
        """About what is held, without what only waits to be freed."""
        return self.young_bytes + self._old_bytes

    def statistics(self) -> CacheStatistics:
        return CacheStatistics(
            entries=len(self.young) + len(self.old),
            bytes=self.bytes,
            limit=self.limit,
            rotations=self._rotations,
        )


class CacheView(RowCache):
    """What ``cache`` has and had when this was made: nothing in ``written``, where each commit has
    to put its keys from then on, before it lets the cache have its rows. Keeps nothing itself, but
    tells the cache when keys were used."""

    __slots__ = ("written",)

    def __init__(self, cache: RowCache) -> None:
        super().__init__(0)
        self.uses = cache.uses
        self.written: set[bytes] = set()
        self.young = cast(Any, _Unwritten(cache, self.written))

    def add(self, key: bytes, what: Held) -> None:
        """It is not kept."""


class _Unwritten:
    """Looks like the young generation of a cache."""

    __slots__ = ("_cache", "_written")

    def __init__(self, cache: RowCache, written: set[bytes]) -> None:
        self._cache = cache
        self._written = written

    def get(self, key: bytes) -> Any:
        cache = self._cache
        row = cache.young.get(key) or cache.old.get(key)
        return None if key in self._written else row  # in this order


def _total_bytes(keys: Iterable[bytes], entries: Collection[Held | None]) -> int:
    """About what these entries take; a None is none."""
    if set(map(type, entries)) == _BARE:
        heads = _ENTRY_BYTES * len(entries) + sum(map(len, keys))
        return heads + sum(map(len, entries))  # type: ignore[arg-type]
    return sum(
        [
            _ENTRY_BYTES + len(key) + held_bytes(entry)
            for key, entry in zip(keys, entries, strict=True)
            if entry is not None
        ]
    )
