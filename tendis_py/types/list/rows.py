"""The two shapes of a list: packed in its meta row, or a row for each element.

``Packed`` and ``Span`` are what ``row.value`` is; ``ListRows`` reads a large list's rows. Which
shape a list has is what Redis says of it: ``listpack`` is packed, ``quicklist`` has rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice

from tendis_py.storage.codec import (
    LIST,
    Collection,
    CollectionRow,
    Row,
    pack_items,
    register,
    unpack_items,
)
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements, VersionWriter
from tendis_py.types import listpack
from tendis_py.types.list.keys import MIDDLE, number_of, position, positions

FEW = 1024
"""Rows that are got one by one rather than by iteration, and removed one by one rather than as a
range."""
_PART = 128

_LISTPACK, _QUICKLIST = range(2)
_SIZE = struct.Struct(">I")
_SPAN = struct.Struct(">QQ?Q")


class Packed:
    """A small list: its elements, and the bytes they take as a listpack. Never changed."""

    __slots__ = ("items", "size")

    def __init__(self, items: list[bytes], size: int) -> None:
        self.items = items
        self.size = size


class Span:
    """Where the rows of a large list are. Never changed.

    All have ``head`` <= key < ``tail``; when ``dense``, they are just these positions. ``size`` is
    the bytes they would take as a listpack, or 0 when that is not known.
    """

    __slots__ = ("dense", "head", "size", "tail")

    def __init__(self, head: int, tail: int, dense: bool, size: int) -> None:
        self.head = head
        self.tail = tail
        self.dense = dense
        self.size = size

    def resized(self, change: int) -> int:
        """``size`` after it changed by so much."""
        return self.size and self.size + change


def _pack(row: CollectionRow) -> bytes:
    value = row.value
    if row.version:
        return _SPAN.pack(value.head, value.tail, value.dense, value.size)
    return _SIZE.pack(value.size) + pack_items(value.items)


def _unpack(raw: bytes, row: CollectionRow) -> Packed | Span:
    if row.version:
        return Span(*_SPAN.unpack(raw))
    return Packed(unpack_items(raw, _SIZE.size), _SIZE.unpack_from(raw)[0])


register(LIST, Collection(encodings=("listpack", "quicklist"), pack=_pack, unpack=_unpack))


def packed_row(items: list[bytes], size: int, expire_at: int = 0) -> CollectionRow:
    """A small list."""
    return CollectionRow(LIST, Packed(items, size), len(items), expire_at=expire_at)


def row_with_rows(
    db: Database, values: Iterable[bytes], size: int, expire_at: int = 0
) -> CollectionRow:
    """A large list of ``values``, whose rows are written; its row is still to be put."""
    writer = VersionWriter(db.tx)
    tail = MIDDLE
    for value in values:
        writer.add(position(tail), value)
        tail += 1
    span = Span(MIDDLE, tail, True, size)
    return CollectionRow(
        LIST,
        span,
        tail - MIDDLE,
        version=writer.finish(),
        encoding=_QUICKLIST,
        expire_at=expire_at,
    )


class ListRows:
    """The elements of a large list, by rank."""

    __slots__ = ("count", "elements", "span")

    def __init__(self, db: Database, row: CollectionRow) -> None:
        self.elements = Elements(db.tx, row.version)
        self.span: Span = row.value
        self.count = row.count

    def key(self, rank: int) -> bytes:
        """The key of the element of that rank, 0 <= rank < count."""
        if self.span.dense:
            return position(self.span.head + rank)
        self.elements.ensure_ends(self.count)
        return self.elements.select(rank)

    def keys(self, first: int, stop: int) -> list[bytes]:
        """The keys of the elements of these ranks."""
        if stop - first == 1:
            return [self.key(first)]
        if self.span.dense:
            return positions(self.span.head + first, self.span.head + stop)
        self.elements.ensure_ends(self.count)
        return list(islice(self.elements.ranked(first), stop - first))

    def get_many(self, keys: list[bytes]) -> list[bytes]:
        """The values of keys that are there."""
        if len(keys) == 1:
            return [self.elements.get(keys[0])]  # type: ignore[list-item]
        return self.elements.get_many(keys)  # type: ignore[return-value]

    def part(self, first: int, stop: int) -> list[bytes]:
        """The values of the elements of these ranks."""
        if not self.span.dense:
            return self.get_many(self.keys(first, stop))
        head, elements = self.span.head, self.elements
        keys = positions(head + first, head + stop, elements.prefix)
        return elements.get_rows(keys)  # type: ignore[return-value]

    def items(self, first: int = 0, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) in order, from rank ``first`` on; all when in reverse. To be taken before
        anything is written."""
        if self.count - first <= FEW and (self.span.dense or self.elements.reaches(first)):
            return self._few_items(self.keys(first, self.count), reverse)
        lower = self.key(first) if first else position(self.span.head)
        return self.elements.items(lower, position(self.span.tail), reverse=reverse)

    def _few_items(self, keys: list[bytes], reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """From the cache, without an iteration of the database."""
        if reverse:
            keys.reverse()
        for at in range(0, len(keys), _PART):
            part = keys[at : at + _PART]
            yield from zip(part, self.get_many(part), strict=True)

    def values(self, first: int = 0, *, reverse: bool = False) -> Iterator[bytes]:
        """As ``items``, without the keys."""
        for _, value in self.items(first, reverse=reverse):
            yield value

    # Writing: each returns the span afterwards

    def push(self, values: list[bytes], *, left: bool) -> Span:
        """Add elements, one after the other, at an end."""
        span, number = self.span, len(values)
        first = span.head - number if left else span.tail
        if number == 1:
            self.elements.add(position(first), values[0])
        else:
            keys = positions(first, first + number)
            in_order = reversed(values) if left else values
            self.elements.add_many(dict(zip(keys, in_order, strict=True)))
        size = span.resized(listpack.entries_size(values))
        if left:
            return Span(first, span.tail, span.dense, size)
        return Span(span.head, first + number, span.dense, size)

    def remove_end(self, keys: list[bytes], values: list[bytes], *, left: bool) -> Span:
        """Remove what stands at an end: ``keys`` with ``values``, in order from left to right."""
        if len(keys) == 1:
            self.elements.remove(keys[0])
        else:
            self.elements.remove_many(keys)
        span = self.span
        size = span.resized(-listpack.entries_size(values))
        if span.dense:
            if left:
                return Span(span.head + len(keys), span.tail, True, size)
            return Span(span.head, span.tail - len(keys), True, size)
        # Elements inserted after the position of the outermost key may be left, on either side.
        if left:
            return Span(number_of(keys[-1]), span.tail, False, size)
        return Span(span.head, number_of(keys[0]) + 1, False, size)

    def keep_only(self, first: int, stop: int, size: int = 0) -> Span:
        """Remove whatever has not these ranks, of which there are some, in constant time. The rest
        takes ``size`` bytes, if that is known."""
        span = self.span
        lower, upper = self.key(first), self.key(stop - 1)
        if first > 0:
            self.elements.remove_range(position(span.head), lower)
        if stop < self.count:
            self.elements.remove_range(upper + b"\0", position(span.tail))
        return Span(number_of(lower), number_of(upper) + 1, span.dense, size)


def keep(db: Database, key: bytes, row: CollectionRow, old: Row, *, edits: int = 1) -> None:
    """Write the row of a large list that may have shrunk; packed, if Redis would do that."""
    limit = db.limits.list_max_listpack_size
    span: Span = row.value
    size = span.size or listpack.least_size(row.count)
    if listpack.fits_again(limit, size, row.count):
        items = list(ListRows(db, row).values())
        size = span.size or listpack.EMPTY + listpack.entries_size(items)
        if listpack.fits_again(limit, size, row.count):
            row = packed_row(items, size, row.expire_at)
        else:
            row = row.changed(value=Span(span.head, span.tail, span.dense, size))
    db.put(key, row, old, edits=edits)
