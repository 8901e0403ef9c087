"""Listpacks, in which Redis keeps small collections, as bytes (listpack.c).

A head of 6 bytes (their number in all, the number of entries), entries, a last byte. An entry ends
with its own length. What an entry is, an integer or a string, Redis decides by its text alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tendis_py.numbers import strict_integer
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.source import Source

_HEAD_SIZE = 6
_END = 0xFF
_MANY = 0xFFFF
"""Stands in the head where there are so many entries, or more."""
_LONGEST_INTEGER = 20
_FIRST_OF_INTEGERS = frozenset(b"-0123456789")
_SIZES = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
"""Bytes of the integers after each first byte."""
_BACK_BOUNDS = (128, 16383, 2097151, 268435455)
"""From each of these on the length at an entry's end takes a byte more."""

Entry = bytes | int


# Reading


def entries(source: Source) -> Iterator[Entry]:
    """The entries of the listpack that ``source`` is, to its end. CorruptError where it contradicts
    itself: what came before that is not to be used either."""
    size, number = source.left, 0
    if int.from_bytes(source.read(4), "little") != size:
        raise CorruptError("listpack: its length")
    expected = int.from_bytes(source.read(2), "little")
    read, byte = source.read, source.byte
    while (first := byte()) != _END:
        entry: Entry
        if first < 0x80:
            entry, taken = first, 1
        elif first < 0xC0:
            taken = 1 + (first & 0x3F)
            entry = read(taken - 1)
        elif first < 0xE0:
            entry, taken = (first & 0x1F) << 8 | byte(), 2
            if entry >= 1 << 12:
                entry -= 1 << 13
        elif first < 0xF0:
            taken = 2 + ((first & 0x0F) << 8 | byte())
            entry = read(taken - 2)
        elif first == 0xF0:
            taken = 5 + int.from_bytes(read(4), "little")
            entry = read(taken - 5)
        elif first in _SIZES:
            taken = 1 + _SIZES[first]
            entry = int.from_bytes(read(taken - 1), "little", signed=True)
        else:
            raise CorruptError("listpack: an entry")
        if taken < 128:
            if byte() != taken:
                raise CorruptError("listpack: an entry's length")
        else:
            back = _back(taken)
            if read(len(back)) != back:
                raise CorruptError("listpack: an entry's length")
        number += 1
        yield entry
    source.end()
    if expected not in (number, _MANY):
        raise CorruptError("listpack: its number of entries")


def _back(size: int) -> bytes:
    """The length at the end of an entry of ``size`` bytes, which is read backwards."""
    if size < 128:
        return bytes([size])
    more = sum(size >= bound for bound in _BACK_BOUNDS)
    digits = [size >> 7 * more]
    digits += [size >> 7 * at & 0x7F | 0x80 for at in range(more - 1, -1, -1)]
    return bytes(digits)


def text(entry: Entry) -> bytes:
    return entry if isinstance(entry, bytes) else b"%d" % entry


def texts(source: Source) -> Iterator[bytes]:
    """As ``entries``, integers as they are spelled."""
    for entry in entries(source):
        yield entry if isinstance(entry, bytes) else b"%d" % entry


# Writing


def pack(values: Iterable[Entry]) -> bytes:
    """A listpack of these, all of which are in memory: for few."""
    parts = [encode(value) for value in values]
    size = _HEAD_SIZE + sum(map(len, parts)) + 1
    head = size.to_bytes(4, "little") + min(len(parts), _MANY).to_bytes(2, "little")
    return head + b"".join(parts) + b"\xff"


def encode(value: Entry) -> bytes:
    """An entry, its own length included."""
    if type(value) is int:
        return _integer(value)
    assert isinstance(value, bytes)
    size = len(value)
    if 0 < size <= _LONGEST_INTEGER and value[0] in _FIRST_OF_INTEGERS:
        number = strict_integer(value)
        if number is not None:
            return _integer(number)
    if size < 64:
        packed = bytes([0x80 | size]) + value
    elif size < 4096:
        packed = bytes((0xE0 | size >> 8, size & 0xFF)) + value
    else:
        packed = b"\xf0" + size.to_bytes(4, "little") + value
    return packed + _back(len(packed))


def _integer(value: int) -> bytes:
    if 0 <= value < 128:
        return bytes((value, 1))
    if -(1 << 12) <= value < 1 << 12:
        value &= 0x1FFF
        return bytes((0xC0 | value >> 8, value & 0xFF, 2))
    bits = (value if value >= 0 else ~value).bit_length()
    first, size = next((first, size) for first, size in _SIZES.items() if bits < 8 * size)
    return bytes([first]) + value.to_bytes(size, "little", signed=True) + bytes([size + 1])
