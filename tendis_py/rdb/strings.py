"""Strings as RDB has them."""

from __future__ import annotations

from collections.abc import Iterator

from tendis_py.rdb import formats, sink
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import Row
from tendis_py.storage.database import Database
from tendis_py.types.string import fragments

READS = frozenset({formats.STRING})


def write(db: Database, row: Row) -> Iterator[bytes]:
    yield bytes([formats.STRING])
    if not row.version:
        yield sink.string(row.value)
    else:
        yield sink.length(fragments.size(row))
        yield from fragments.in_order(db, row)


def read(db: Database, source: Source, form: int) -> Row:
    return fragments.row_of_parts(db, *source.text())
