"""What one batch has written and not committed, and reading through it.

Writes collect in overlays, one per column family, that reads look into first; an iteration merges
what it must. Every write notes what it has overwritten. Whoever uses this holds the locks of its
keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import Any

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import Held, stored
from tendis_py.storage.counters import KeyspaceCounters
from tendis_py.storage.families import GARBAGE, META, ROWS
from tendis_py.storage.key_rows import MISSING
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.pacing import Pace

_first = itemgetter(0)

Undo = tuple[dict[Any, Any], Any, Any, int, int, int, int]
"""Overlay, key, value before (or lists of both), namespace and the changes of its two counters,
changes counted."""


class Overlay:
    """Not thread-safe: one per executing thread."""

    def __init__(self, keyspace: Keyspace, counters: KeyspaceCounters) -> None:
        self.keyspace = keyspace
        self.counters = counters
        self.pace = Pace(keyspace)
        self.fast_rows = 0
        """What a command may take before it has to go to the slow lane (``admit``), in rows; 0
        where there is no other lane to go to."""
        self.in_passing = False
        """Whether nobody is about to ask for what this batch reads and writes: the cache is not to
        have it. For background jobs; until the next commit."""
        self.many_bytes = False
        """Whether what was written is too long for one write, however few rows it is."""
        self.meta: dict[bytes, Held] = {}
        self.deleted: list[bytes] = []
        """Keys of rows that were made ABSENT; some of them may be there again."""
        self.families: dict[int, dict[bytes, bytes | None]] = {
            family: {} for family in range(ROWS, GARBAGE + 1)
        }
        self.ranges: dict[tuple[int, bytes, bytes], bool] = {}
        """Ranges to delete (family, from, below), before the overlays apply."""
        self.undo: list[Undo] = []
        """What the unit of work has overwritten. A unit is a command, or several that are done
        together or not at all; ``Transaction.end_unit`` clears this."""

    def settle(self) -> bool:
        """Whether an iteration of RocksDB's finds all that was written."""
        return not (self.meta or any(self.families.values()) or self.ranges)

    def admit(self, rows: int) -> None:
        """To be called, before anything is written, by a command about to read or write this many
        rows: TooLargeError sends it to the slow lane if that is too much for the fast one."""
        if self.fast_rows and rows > self.fast_rows:
            raise TooLargeError

    def meet_gap(self) -> None:
        """To be called where an iteration has met so much that was deleted that it takes a while:
        TooLargeError sends a command to the slow lane. A job goes on."""
        if self.fast_rows and not self.in_passing:
            raise TooLargeError

    def get(self, family: int, key: bytes) -> bytes | None:
        overlay = self.families[family]
        if key in overlay:
            return overlay[key]
        if self.ranges and self._in_deleted_range(family, key):
            return None
        if family != ROWS:
            return self.keyspace.engine.get(family, key)
        cache = self.keyspace.cache
        value: bytes | None = cache.young.get(key)
        if value is None:
            value = cache.recall(key)
            if value is None:
                value = self.keyspace.engine.get(ROWS, key)
                self.counters.rows_read += 1
                if value is not None:
                    cache.add(key, value)
        return value

    def get_many(self, family: int, keys: list[bytes]) -> list[bytes | None]:
        """The values of ``keys``; what no cache has is read by list, with the GIL released."""
        if self.ranges:
            return [self.get(family, key) for key in keys]
        if family != ROWS:
            return self._read_many(family, keys)
        overlay = self.families[ROWS]
        cache = self.keyspace.cache
        found: list[bytes | None] = list(map(cache.young.get, keys))
        if overlay:
            found = list(map(overlay.get, keys, found))
        if not all(found) and None in found:  # the first alone is twice as fast
            wanted = [
                key
                for key, value in zip(keys, found, strict=True)
                if value is None and key not in overlay
            ]
            read = self._read_uncached(wanted)
            found = [
                read.get(key) if value is None else value
                for key, value in zip(keys, found, strict=True)
            ]
        return found

    def _read_uncached(self, keys: list[bytes]) -> dict[bytes, bytes | None]:
        """The values of ROWS that are not in the young generation of the cache; they will be."""
        cache = self.keyspace.cache
        read: dict[bytes, bytes | None] = {}
        if cache.old:
            read = {key: value for key in keys if (value := cache.recall(key)) is not None}
            keys = [key for key in keys if key not in read]
        if not keys:
            return read
        stored = dict(zip(keys, self.keyspace.engine.get_many(ROWS, keys), strict=True))
        self.counters.rows_read += len(keys)
        for key, value in stored.items():
            if value is not None:
                cache.add(key, value)
        return read | stored

    def _read_many(self, family: int, keys: list[bytes]) -> list[bytes | None]:
        overlay = self.families[family]
        if not overlay:
            return self.keyspace.engine.get_many(family, keys) if keys else []
        wanted = [key for key in keys if key not in overlay]
        values = dict(zip(wanted, self.keyspace.engine.get_many(family, wanted), strict=True))
        return [overlay[key] if key in overlay else values[key] for key in keys]

    def put(self, family: int, key: bytes, value: bytes | None) -> None:
        """Write a row; None deletes it."""
        overlay = self.families[family]
        self.undo.append((overlay, key, overlay.get(key, MISSING), 0, 0, 0, 0))
        overlay[key] = value

    def put_many(self, family: int, rows: dict[bytes, bytes | None]) -> None:
        """As ``put`` for each, at a fraction of the cost."""
        overlay = self.families[family]
        keys = list(rows)
        before: list[Any] = [MISSING] * len(keys)
        if overlay:
            before = list(map(overlay.get, keys, before))
        self.undo.append((overlay, keys, before, 0, 0, 0, 0))
        overlay.update(rows)

    def delete_range(self, family: int, lower: bytes, upper: bytes | None) -> None:
        """Delete rows with lower <= key < upper, in constant time. They may be written again."""
        assert upper is not None
        if lower >= upper:
            return  # RocksDB would refuse the whole batch
        place = (family, lower, upper)
        self.undo.append((self.ranges, place, self.ranges.get(place, MISSING), 0, 0, 0, 0))
        self.ranges[place] = True
        for key in self._overlaid(family, lower, upper):
            self.put(family, key, None)

    def rows(
        self, family: int, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with lower <= key < upper in order: as they are now, this batch's writes included,
        whatever the command writes from now on."""
        scattered = self._scattered(family)
        engine_rows = self.keyspace.engine.items(
            family, lower, upper, reverse=reverse, on_gap=self.meet_gap
        )
        on_disk = self.pace.over(engine_rows)
        if not scattered:
            return on_disk
        changed = self._overlaid(family, lower, upper)
        ranges = [(low, high) for place, low, high in self.ranges if place == family]
        if not changed and not ranges:
            return on_disk
        written = ((key, self._overlay_row(family, key)) for key in changed)
        own = [(key, value) for key, value in written if value is not None]
        found = _without(on_disk, set(changed), ranges)
        if not own:
            return found
        return merge(own[::-1] if reverse else own, found, key=_first, reverse=reverse)

    def row_keys(
        self, family: int, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[bytes]:
        """As ``rows``, without the values."""
        if self._scattered(family):
            return map(_first, self.rows(family, lower, upper, reverse=reverse))
        keys = self.keyspace.engine.keys(
            family, lower, upper, reverse=reverse, on_gap=self.meet_gap
        )
        return self.pace.over(keys)

    def _scattered(self, family: int) -> bool:
        """Whether some rows of ``family`` are not where an engine iteration would find them. What
        complete units of work have written is committed instead: a merge costs more."""
        overlay = self.meta if family == META else self.families[family]
        return bool(overlay or self.ranges) and not self.settle()

    def _overlaid(self, family: int, lower: bytes, upper: bytes | None) -> list[bytes]:
        overlay = self.meta if family == META else self.families[family]
        return sorted(key for key in overlay if lower <= key and (upper is None or key < upper))

    def _overlay_row(self, family: int, key: bytes) -> bytes | None:
        return stored(self.meta[key]) if family == META else self.families[family][key]

    def _in_deleted_range(self, family: int, key: bytes) -> bool:
        return any(place == family and low <= key < high for place, low, high in self.ranges)


def _without(
    rows: Iterator[tuple[bytes, bytes]], keys: set[bytes], ranges: list[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    """Those of the engine's rows that the batch has neither written nor deleted."""
    if not ranges:
        return (row for row in rows if row[0] not in keys)
    return (
        row
        for row in rows
        if row[0] not in keys and not any(low <= row[0] < high for low, high in ranges)
    )
