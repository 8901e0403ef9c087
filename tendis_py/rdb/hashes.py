"""Hashes as RDB has them, with the deadlines of their fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain

from tendis_py.rdb import formats, listpack, older, sink
from tendis_py.rdb.distinct import Known
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.listpack import Entry
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.types.collection import admitted
from tendis_py.types.hash import fields as hashes

READS = frozenset(
    {
        *(formats.HASH, formats.HASH_ZIPMAP, formats.HASH_ZIPLIST, formats.HASH_LISTPACK),
        *(formats.HASH_METADATA, formats.HASH_METADATA_PRE_GA),
        *(formats.HASH_LISTPACK_EX, formats.HASH_LISTPACK_EX_PRE_GA),
    }
)

Item = tuple[bytes, bytes, int]
"""Field, value, deadline (ms; 0 for none)."""

_LATEST = (1 << 48) - 1
"""The last deadline that Redis takes for a field (EB_EXPIRE_TIME_MAX)."""


def write(db: Database, row: Row) -> Iterator[bytes]:
    """A small one as the listpack it would be in Redis; a large one field by field. Fields that are
    due and not deleted yet are among them, with their deadlines, as in Redis."""
    assert isinstance(row, CollectionRow)
    items = hashes.all_items(db, row)
    if not row.version:
        yield from _packed(row, items)
    elif not row.fields_due:
        yield bytes([formats.HASH]) + sink.length(row.count)
        for field, value, _ in items:
            yield sink.string(field) + sink.string(value)
    else:
        first = row.fields_due
        yield bytes([formats.HASH_METADATA]) + sink.number(first) + sink.length(row.count)
        for field, value, deadline in items:
            after = sink.length(deadline - first + 1 if deadline else 0)
            yield after + sink.string(field) + sink.string(value)


def _packed(row: CollectionRow, items: Iterator[Item]) -> Iterator[bytes]:
    if row.encoding == hashes.LISTPACKEX:
        packed = listpack.pack(part for item in items for part in item)
        yield bytes([formats.HASH_LISTPACK_EX]) + sink.number(row.fields_due)
    else:
        packed = listpack.pack(part for field, value, _ in items for part in (field, value))
        yield bytes([formats.HASH_LISTPACK])
    yield sink.length(len(packed)) + packed


def read(db: Database, source: Source, form: int) -> Row:
    dated = form >= formats.HASH_METADATA_PRE_GA
    longest: float = db.limits.hash_max_listpack_value
    if form in (formats.HASH_METADATA, formats.HASH_METADATA_PRE_GA):
        first = source.number() if form == formats.HASH_METADATA else 1
        items = _with_deadlines(source, source.length(), first)
    elif form == formats.HASH:
        items = ((source.string(), source.string(), 0) for _ in range(source.length()))
    elif form == formats.HASH_ZIPMAP:
        items = _paired(older.zipmap(source.inner()))
    else:
        longest = math.inf
        if form == formats.HASH_LISTPACK_EX:
            source.number()  # the earliest deadline, which the fields tell themselves
        inner = source.inner()
        if dated:
            items = _in_threes(listpack.entries(inner))
        elif form == formats.HASH_LISTPACK:
            items = _paired(listpack.texts(inner))
        else:
            items = _paired(older.ziplist(inner))
    known = Known()
    try:
        return _row(db, _checked(items, known), longest, dated)
    finally:
        known.clear()


def _with_deadlines(source: Source, number: int, first: int) -> Iterator[Item]:
    for _ in range(number):
        after = source.length()
        yield source.string(), source.string(), after and first + after - 1


def _paired(found: Iterator[bytes]) -> Iterator[Item]:
    for field in found:
        value = next(found, None)
        if value is None:
            raise CorruptError("hash: a field without a value")
        yield field, value, 0


def _in_threes(found: Iterator[Entry]) -> Iterator[Item]:
    before = 0
    for field in found:
        value, deadline = next(found, None), next(found, None)
        if value is None or not isinstance(deadline, int):
            raise CorruptError("hash: a deadline")
        if (deadline or _LATEST + 1) < before:
            raise CorruptError("hash: the order of deadlines")
        before = deadline or _LATEST + 1
        yield listpack.text(field), listpack.text(value), deadline


def _checked(items: Iterable[Item], known: Known) -> Iterator[Item]:
    for item in items:
        if not 0 <= item[2] <= _LATEST:
            raise CorruptError("hash: a deadline")
        known.add(item[0])
        yield item


def _row(db: Database, items: Iterator[Item], longest: float, dated: bool) -> Row:
    """A small hash while there are few, and none is longer than ``longest``. Redis puts a field
    before those of the same deadline; a listpack has it done."""
    first: list[Item] = []
    for item in items:
        first.append(item)
        long = max(len(item[0]), len(item[1])) > longest
        if long or len(first) > db.limits.hash_max_listpack_entries:
            writer = hashes.HashWriter(db)
            for field, value, deadline in admitted(db, chain(first, items)):
                writer.add(field, value, deadline)
            return writer.finish()
    if not first:
        raise CorruptError("empty")
    values = {field: value for field, value, _ in first}
    if not dated:
        return hashes.small_row(values)
    deadlines = {field: deadline for field, _, deadline in first if deadline}
    order = list(deadlines) if longest == math.inf else list(reversed(deadlines))
    return hashes.small_row(hashes.dated_in_order(values, deadlines, order))
