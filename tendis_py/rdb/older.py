"""What Redis kept small collections in before listpacks: ziplists, zipmaps; and its sets of
integers. As bytes, for reading; intsets for writing, too."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.source import Source

_END = 0xFF
_LONG = 254
"""A length byte that says that the length itself follows, in 4 bytes."""
_ZIPLIST_INTEGERS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
"""Bytes of the integers after each first byte."""
_INTSET_CODES = {2: "h", 4: "i", 8: "q"}
_MANY = 0xFFFF
_AT_ONCE = 4096


def ziplist(source: Source) -> Iterator[bytes]:
    """The entries of the ziplist that ``source`` is, to its end, integers as they are spelled."""
    size = source.left
    if int.from_bytes(source.read(4), "little") != size:
        raise CorruptError("ziplist: its length")
    tail = int.from_bytes(source.read(4), "little")
    expected = int.from_bytes(source.read(2), "little")
    number = before = 0
    last = 10  # where the last entry is, and where one that is not there would be
    while (first := source.byte()) != _END:
        last = size - source.left - 1
        if first == _LONG:
            first = int.from_bytes(source.read(4), "little")
        if first != before:
            raise CorruptError("ziplist: the length of the entry before")
        yield _ziplist_entry(source)
        before = size - source.left - last
        number += 1
    source.end()
    if expected not in (number, _MANY) or tail != last:
        raise CorruptError("ziplist: its head")


def _ziplist_entry(source: Source) -> bytes:
    first = source.byte()
    if first < 0x40:
        return source.read(first)
    if first < 0x80:
        return source.read((first & 0x3F) << 8 | source.byte())
    if first == 0x80:
        return source.read(int.from_bytes(source.read(4), "big"))
    if 0xF1 <= first <= 0xFD:
        return b"%d" % (first - 0xF1)
    size = _ZIPLIST_INTEGERS.get(first)
    if size is None:
        raise CorruptError("ziplist: an entry")
    return b"%d" % int.from_bytes(source.read(size), "little", signed=True)


def zipmap(source: Source) -> Iterator[bytes]:
    """Fields and values in turn of the zipmap that ``source`` is, to its end."""
    expected, number = source.byte(), 0
    while (first := source.byte()) != _END:
        yield source.read(_zipmap_length(source, first))
        size = _zipmap_length(source, source.byte())
        unused = source.byte()
        yield source.read(size)
        source.read(unused)
        number += 1
    source.end()
    if expected not in (number, _LONG):
        raise CorruptError("zipmap: its number of fields")


def _zipmap_length(source: Source, first: int) -> int:
    if first < _LONG:
        return first
    if first > _LONG:
        raise CorruptError("zipmap: a length")
    size = int.from_bytes(source.read(4), "little")
    if size < _LONG:
        raise CorruptError("zipmap: a length")
    return size


def intset(source: Source) -> tuple[int, Iterator[int]]:
    """How many integers the intset has that ``source`` is, and all, in order."""
    size = int.from_bytes(source.read(4), "little")
    number = int.from_bytes(source.read(4), "little")
    if size not in _INTSET_CODES or source.left != size * number:
        raise CorruptError("intset: its head")
    return number, _in_order(source, number, size)


def _in_order(source: Source, number: int, size: int) -> Iterator[int]:
    before = None
    while number:
        some = min(number, _AT_ONCE)
        for value in struct.unpack(f"<{some}{_INTSET_CODES[size]}", source.read(some * size)):
            if before is not None and value <= before:
                raise CorruptError("intset: its order")
            yield value
            before = value
        number -= some


def pack_intset(values: Sequence[int]) -> bytes:
    """An intset of integers in order: few."""
    size = next(size for size in _INTSET_CODES if _fits(values, 8 * size - 1))
    head = size.to_bytes(4, "little") + len(values).to_bytes(4, "little")
    return head + struct.pack(f"<{len(values)}{_INTSET_CODES[size]}", *values)


def _fits(values: Sequence[int], bits: int) -> bool:
    return -(1 << bits) <= values[0] and values[-1] < 1 << bits
