"""Sets as RDB has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from tendis_py.rdb import formats, listpack, older, sink
from tendis_py.rdb.distinct import different
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.types.collection import admitted
from tendis_py.types.set import members as sets

READS = frozenset({formats.SET, formats.SET_INTSET, formats.SET_LISTPACK})


def write(db: Database, row: Row) -> Iterator[bytes]:
    """A small one as Redis keeps it, which goes by the same rules; a large one member by member."""
    assert isinstance(row, CollectionRow)
    if row.version:
        yield bytes([formats.SET]) + sink.length(row.count)
        yield from map(sink.string, sets.members(db, row))
        return
    if row.encoding == sets.INTSET:
        form, packed = formats.SET_INTSET, older.pack_intset(row.value)
    else:
        form, packed = formats.SET_LISTPACK, listpack.pack(row.value)
    yield bytes([form]) + sink.length(len(packed)) + packed


def read(db: Database, source: Source, form: int) -> Row:
    limits = db.limits
    found: Iterator[bytes]
    if form == formats.SET:
        number = source.length()
        found = (source.string() for _ in range(number))
        if number > limits.set_max_intset_entries:
            return _large(db, found)
        return _small(db, found, sets.Draft(limits))
    if form == formats.SET_INTSET:
        number, integers = older.intset(source.inner())
        found = map(listpack.text, integers)
        if number > limits.set_max_intset_entries:
            return _large(db, found)
        return _small(db, found, sets.Draft(limits))
    found = listpack.texts(source.inner())
    first = list(islice(found, limits.set_max_listpack_entries + 1))
    if len(first) > limits.set_max_listpack_entries:
        return _large(db, chain(first, found))
    row = sets.listpack_row(dict.fromkeys(first))
    if row.count < max(len(first), 1):
        raise CorruptError("set: a member twice, or none")
    return row


def _large(db: Database, found: Iterable[bytes]) -> Row:
    with different(found) as members:
        return sets.large_row(db, admitted(db, members))


def _small(db: Database, found: Iterable[bytes], draft: sets.Draft) -> Row:
    for member in found:
        if not draft.add(member):
            raise CorruptError("set: a member twice")
    row = draft.row(db)
    if not row.count:
        raise CorruptError("empty")
    return row
