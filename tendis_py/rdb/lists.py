"""Lists as RDB has them."""

from __future__ import annotations

from collections.abc import Iterator

from tendis_py.rdb import formats, listpack, sink
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.older import ziplist
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.types.collection import admitted
from tendis_py.types.list import elements as lists

READS = frozenset(
    {formats.LIST, formats.LIST_ZIPLIST, formats.LIST_QUICKLIST, formats.LIST_QUICKLIST_2}
)


def write(db: Database, row: Row) -> Iterator[bytes]:
    """A small one as the listpack it would be in Redis. A large one element by element: how it is
    divided into nodes is up to who reads it."""
    assert isinstance(row, CollectionRow)
    if row.version:
        yield bytes([formats.LIST]) + sink.length(row.count)
        yield from map(sink.string, lists.items(db, row))
        return
    packed = listpack.pack(lists.items(db, row))
    head = bytes([formats.LIST_QUICKLIST_2, 1, formats.PACKED_NODE])
    yield head + sink.length(len(packed)) + packed


def read(db: Database, source: Source, form: int) -> Row:
    large = form == formats.LIST_ZIPLIST
    if large:
        found = ziplist(source.inner())
    elif form == formats.LIST:
        found = (source.string() for _ in range(source.length()))
    else:
        number = source.length()
        large = number > 1
        found = _of_nodes(source, number, form == formats.LIST_QUICKLIST_2)
    row = lists.row_of(db, admitted(db, found), large=large)
    if not row.count:
        raise CorruptError("empty")
    return row


def _of_nodes(source: Source, number: int, kinds: bool) -> Iterator[bytes]:
    """The elements of so many nodes: listpacks and long elements if they are of ``kinds``, else
    ziplists."""
    for _ in range(number):
        kind = source.length() if kinds else formats.PACKED_NODE
        if kind == formats.PLAIN_NODE:
            element = source.string()
            if not element:
                raise CorruptError("quicklist: a node")
            yield element
        elif kind == formats.PACKED_NODE:
            yield from (listpack.texts if kinds else ziplist)(source.inner())
        else:
            raise CorruptError("quicklist: a node")
