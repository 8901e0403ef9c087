"""Sorted integers: different unsigned 64-bit integers under a key, in order. A type of Kvrocks'.

Small, they are a tuple in the meta row. Large, each is the key of a row without a value: its 8
bytes, big-endian, whose order is that of the numbers. When they get large is what makes a set of
integers a ``hashtable``. Values in, values out; no RESP, no RocksDB.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice

from tendis_py.storage.codec import SORTEDINT, Collection, CollectionRow, register
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements, VersionWriter
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import collection
from tendis_py.types.collection import admitted, elements, first_times, keep
from tendis_py.types.shards import Shards, distinct

INTSET, SKIPLIST = range(2)

END = 1 << 64
"""All integers are below."""
_NEAR = 512
"""Integers that are walked over rather than to build an order index for."""

INTEGER_SIZE = 8
_element = struct.Struct(">Q").pack
"""The key of an integer's row. ``int.from_bytes`` reads it back."""


def _pack(row: CollectionRow) -> bytes:
    return b"" if row.version else struct.pack(f">{len(row.value)}Q", *row.value)


def _unpack(raw: bytes, row: CollectionRow) -> tuple[int, ...] | None:
    return None if row.version else struct.unpack(f">{row.count}Q", raw)


register(SORTEDINT, Collection(("intset", "skiplist"), _pack, _unpack))


# Reading


def find(db: Database, key: bytes) -> CollectionRow | None:
    """The integers at ``key``, for a command that reads. ReplyError when it is of another type."""
    return collection.find(db, key, SORTEDINT)


def contains_many(db: Database, row: CollectionRow, wanted: Sequence[int]) -> list[bool]:
    """Whether each of ``wanted`` is there."""
    if not row.version:
        return [_is_in(row.value, number) for number in wanted]
    db.tx.admit(len(wanted))
    rows = elements(db, row)
    found: list[bool] = []
    for cut in db.tx.pace.cuts(len(wanted)):
        found += _are_in(rows, list(map(_element, wanted[cut])))
    return found


def _is_in(numbers: tuple[int, ...], number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _are_in(rows: Elements, wanted: list[bytes]) -> list[bool]:
    if len(wanted) == 1:  # the hot path
        return [rows.get(wanted[0]) is not None]
    return [value is not None for value in rows.get_many(wanted)]


def numbers(db: Database, row: CollectionRow) -> Iterator[int]:
    """All of them, in order."""
    return map(int.from_bytes, elements(db, row).keys()) if row.version else iter(row.value)


def select(
    db: Database,
    row: CollectionRow,
    low: int = 0,
    end: int = END,
    *,
    reverse: bool = False,
    offset: int = 0,
    limit: int = 0,
) -> Iterator[int]:
    """Those from ``low`` to before ``end`` in order, or backwards if ``reverse``: ``limit`` of them
    (0: all) from the ``offset``-th on, which count from where the range begins."""
    stop = offset + limit if limit else END
    if not row.version:
        first, last = bisect_left(row.value, low), bisect_left(row.value, end)
        ranks = range(first, last)[:: -1 if reverse else 1]
        return (row.value[rank] for rank in ranks[offset:stop])
    if low >= end:
        return iter(())
    rows = elements(db, row)
    lower, upper = _element(low), None if end == END else _element(end)
    if offset <= _NEAR and not rows.has_order:
        walked = rows.between(lower, upper, reverse=reverse)
        return map(int.from_bytes, admitted(db, islice(walked, offset, min(stop, row.count))))
    ranks = range(rows.rank(lower), row.count if upper is None else rows.rank(upper))
    ranks = ranks[:: -1 if reverse else 1][offset:stop]
    if not ranks:
        return iter(())
    db.tx.admit(len(ranks))
    return map(int.from_bytes, islice(rows.ranked(ranks[0], reverse=reverse), len(ranks)))


# Writing


def add(db: Database, key: bytes, new: Sequence[int]) -> int:
    """Add integers; how many were not there."""
    row = collection.peek(db, key, SORTEDINT)
    if row is not None and row.version:
        return _add_rows(db, key, row, new)
    db.tx.admit(len(new))
    most = db.limits.set_max_intset_entries
    before: tuple[int, ...] = () if row is None else row.value
    if len(new) > max(most, ITEMS_AT_ONCE):
        cuts = db.tx.pace.cuts(len(new))
        known: Shards[None] = Shards()
        coming = chain.from_iterable(map(_element, new[cut]) for cut in cuts)
        made = _large(db, distinct(chain(map(_element, before), coming), known))
        known.clear()
    else:
        merged = _merged(before, new)
        if len(merged) > most:
            made = _large(db, map(_element, merged))
        else:
            made = CollectionRow(SORTEDINT, merged, len(merged), encoding=INTSET)
    added = made.count - len(before)
    if added or made.version:
        made.expire_at = 0 if row is None else row.expire_at
        db.put(key, made, row, edits=added)
    return added


def _merged(before: tuple[int, ...], new: Sequence[int]) -> tuple[int, ...]:
    if len(new) > 1:
        return tuple(sorted({*before, *new}))
    if _is_in(before, new[0]):
        return before
    at = bisect_left(before, new[0])
    return (*before[:at], *new, *before[at:])


def _large(db: Database, found: Iterable[bytes]) -> CollectionRow:
    """The row of large ones, whose elements, each given once, are written."""
    writer = VersionWriter(db.tx)
    count = 0
    for element in found:
        writer.add(element)
        count += 1
    return CollectionRow(SORTEDINT, None, count, version=writer.finish(), encoding=SKIPLIST)


def _add_rows(db: Database, key: bytes, row: CollectionRow, new: Sequence[int]) -> int:
    db.tx.admit(len(new))
    if len(new) > ITEMS_AT_ONCE:
        return sum(add(db, key, new[cut]) for cut in db.tx.pace.cuts(len(new)))
    return len(_add_absent(db, key, row, list(map(_element, new))))


def _add_absent(db: Database, key: bytes, row: CollectionRow, new: list[bytes]) -> list[bytes]:
    """Add elements to large ones; those that were not there."""
    rows = elements(db, row)
    different = list(dict.fromkeys(new))
    there = _are_in(rows, different)
    absent = [element for element, known in zip(different, there, strict=True) if not known]
    if not absent:
        return absent
    if len(absent) == 1:
        rows.add(absent[0])
    else:
        rows.add_many(dict.fromkeys(absent, b""))
    added = len(absent)
    db.put(key, row.with_elements(None, row.count + added), row, edits=added)
    return absent


def add_run(db: Database, key: bytes, new: list[int]) -> list[int] | None:
    """What ``add`` of each of ``new`` by itself returns; None, and nothing is done, unless they are
    large."""
    row = collection.peek(db, key, SORTEDINT)
    if row is None or not row.version:
        return None
    wanted = list(map(_element, new))
    return first_times(wanted, set(_add_absent(db, key, row, wanted)))


def remove(db: Database, key: bytes, unwanted: Sequence[int]) -> int:
    """Remove integers; how many were there."""
    row = collection.peek(db, key, SORTEDINT)
    if row is None:
        return 0
    db.tx.admit(len(unwanted))
    if len(unwanted) > ITEMS_AT_ONCE:
        return sum(remove(db, key, unwanted[cut]) for cut in db.tx.pace.cuts(len(unwanted)))
    different = list(dict.fromkeys(unwanted))
    present = list(compress(different, contains_many(db, row, different)))
    if not present:
        return 0
    value: tuple[int, ...] | None = None
    if not row.version:
        value = tuple(sorted(set(row.value).difference(present)))
    elif len(present) < row.count:
        elements(db, row).remove_many(list(map(_element, present)))
    keep(db, key, row.with_elements(value, row.count - len(present)), row, edits=len(present))
    return len(present)
