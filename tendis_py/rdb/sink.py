"""Numbers and strings as RDB spells them; the other side of ``source``."""

from __future__ import annotations

import struct

from tendis_py.numbers import strict_integer
from tendis_py.rdb.formats import ENCODED, INT8, INT16, INT32

_FIRST_OF_INTEGERS = frozenset(b"-0123456789")
_LONGEST_INTEGER = 11
_SHORT = [bytes([number]) for number in range(64)]

number = struct.Struct("<q").pack
"""8 bytes with a sign: a time in ms."""
double = struct.Struct("<d").pack


def length(value: int) -> bytes:
    """A number below 2 ** 64."""
    if value < 64:
        return _SHORT[value]
    if value < 1 << 14:
        return bytes((0x40 | value >> 8, value & 0xFF))
    if value < 1 << 32:
        return b"\x80" + value.to_bytes(4, "big")
    return b"\x81" + value.to_bytes(8, "big")


def string(value: bytes) -> bytes:
    """A string; shorter where it spells an integer of 32 bits."""
    size = len(value)
    if 0 < size <= _LONGEST_INTEGER and value[0] in _FIRST_OF_INTEGERS:
        integer = strict_integer(value)
        if integer is not None and -(1 << 31) <= integer < 1 << 31:
            return _integer(integer)
    return length(size) + value


def _integer(value: int) -> bytes:
    bits = (value if value >= 0 else ~value).bit_length()
    encoding, size = (INT8, 1) if bits < 8 else (INT16, 2) if bits < 16 else (INT32, 4)
    return bytes([ENCODED | encoding]) + value.to_bytes(size, "little", signed=True)
