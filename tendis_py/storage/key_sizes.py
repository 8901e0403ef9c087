"""How many keys of each type there are of each size, for INFO keysizes.

Counted when asked, by a scan of the meta rows. Redis counts along with each write; here that would
be 30 to 50 ns a string, of 2.2 µs, to compare old lengths with new ones, and up to 250 counters a
database that each commit has to keep on disk beside DBSIZE's. So a large database is sampled, and
what took long to count is remembered for ten times as long. Knows rows and databases, no commands.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tendis_py.storage.codec import NAMESPACE_SIZE, STRING, decode, stored_length, stored_type
from tendis_py.storage.database import Database
from tendis_py.storage.families import META
from tendis_py.storage.random_key import random_key

SCANNED_KEYS = 50_000
"""A database of more keys is sampled: some 50 ms on the slow lane."""
SCANNED_BYTES = 64 * 1024 * 1024
_SPOTS = 200
_REMEMBERED_SECONDS = 0.005
_REMEMBERED_TIMES = 10

Sizes = Counter[tuple[int, int]]
"""(type, largest power of two that is not more than the size; 0 for empty strings) → keys."""


@dataclass(frozen=True, slots=True)
class _Counted:
    sizes: Sizes
    valid_until: float


class KeySizes:
    """Of one keyspace, for all threads."""

    def __init__(self) -> None:
        self._counted: dict[int, _Counted] = {}
        """By namespace."""

    def work(self, db: Database) -> int:
        """How many rows ``of`` is going to read."""
        return 0 if self._remembered(db) else min(db.counts().keys, SCANNED_KEYS)

    def of(self, db: Database) -> Sizes:
        """Sizes of strings in bytes, of collections in elements."""
        remembered = self._remembered(db)
        if remembered is not None:
            return remembered.sizes
        began = time.monotonic()
        sizes = _count(db)
        now = time.monotonic()
        if now - began > _REMEMBERED_SECONDS:
            valid = {space: it for space, it in self._counted.items() if it.valid_until > now}
            valid[db.namespace] = _Counted(sizes, now + (now - began) * _REMEMBERED_TIMES)
            self._counted = valid
        return sizes

    def _remembered(self, db: Database) -> _Counted | None:
        counted = self._counted.get(db.namespace)
        return counted if counted is not None and counted.valid_until > time.monotonic() else None


def _count(db: Database) -> Sizes:
    """Exact, but for a database that is sampled: then what was seen stands for all."""
    keys = db.counts().keys
    sizes: Sizes = Counter()
    seen = 0
    rows = SomeRows(db)
    for _, raw in rows:
        size = size_of(raw)
        sizes[stored_type(raw), 1 << size.bit_length() >> 1] += 1
        seen += 1
    if not rows.are_all and seen < keys:
        return Counter({which: round(count * keys / seen) for which, count in sizes.items()})
    return sizes


class SomeRows:
    """(user key, raw meta row) of all keys; of a database that is too large for that, of keys at
    random places. ``are_all`` is known once they have been gone through."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.are_all = db.counts().keys <= SCANNED_KEYS

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        read = 0
        for key, raw in self._db.rows() if self.are_all else _sample(self._db):
            yield key, raw
            read += len(raw)
            if read > SCANNED_BYTES:
                self.are_all = False
                return


def size_of(raw: bytes) -> int:
    """Bytes of a string, elements of a collection."""
    if stored_type(raw) != STRING:
        return stored_length(raw)
    row = decode(raw)
    return int(row.value) if row.version else len(row.value)


def _sample(db: Database) -> Iterator[tuple[bytes, bytes]]:
    """Rows of keys that stand beside each other, at random places."""
    db.tx.settle()
    engine = db.tx.keyspace.engine
    for _ in range(_SPOTS):
        place = random_key(engine, META, db.prefix)
        if place is None:
            return
        rows = db.rows(start=place[NAMESPACE_SIZE:])
        yield from islice(rows, SCANNED_KEYS // _SPOTS)
