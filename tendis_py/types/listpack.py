"""What a list would take as a listpack, and when Redis keeps it as one: from listpack.c and
quicklist.c of Redis. Knows no rows.

``limit`` is list-max-listpack-size: at least 0 for a number of elements, -1 to -5 for 4 to 64 kb.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from tendis_py.numbers import strict_integer

EMPTY = 7
"""Bytes of a listpack without entries: its head and its end."""

_SAFE_BYTES = 8192
"""What a node may take when the limit is a number of elements."""
_ENTRY_OVERHEAD = 7
"""What an entry of _SAFE_BYTES takes besides its bytes."""
_LEAST_ENTRY = 2
_MOST_OVERHEAD = 10
"""What an entry takes at the most besides its bytes."""

_INTEGER_SIZES = (*[3] * 13, *[4] * 3, *[5] * 8, *[6] * 8, *[10] * 33)
"""By how many bits they have besides the sign, from 0 to 64: what integers take at the most."""
_FIRST_OF_INTEGERS = frozenset([b"-", *(b"%d" % digit for digit in range(10))])
_LONGEST_INTEGER = 20
_SHORT_STRINGS, _MIDDLING_STRINGS = 1 << 6, 1 << 12
"""Below these lengths, the head of a string takes one byte, or two; else it takes five."""
_BACKWARD_BOUNDS = (128, 16383, 2097151, 268435455)
"""An entry's size, again at its end, takes a byte more from each of these on."""


def entry_size(value: bytes) -> int:
    """Bytes that ``value`` takes in a listpack."""
    size = len(value)
    if size <= _LONGEST_INTEGER and value[:1] in _FIRST_OF_INTEGERS:
        number = strict_integer(value)
        if number is not None:
            return integer_size(number)
    if size < _SHORT_STRINGS:
        return size + 2
    size += 2 if size < _MIDDLING_STRINGS else 5
    return size + 1 + bisect_right(_BACKWARD_BOUNDS, size)


def integer_size(number: int) -> int:
    """Bytes that ``number`` takes in a listpack."""
    if 0 <= number < 128:
        return 2
    return _INTEGER_SIZES[(number if number > 0 else ~number).bit_length()]


def entries_size(values: Iterable[bytes]) -> int:
    return sum(map(entry_size, values))


def most_size(values: list[bytes]) -> int:
    """Bytes that ``values`` take at the most."""
    return sum(map(len, values)) + _MOST_OVERHEAD * len(values)


def exceeds(limit: int, size: int, count: int) -> bool:
    """Whether a listpack of ``size`` bytes and ``count`` elements is to become a quicklist."""
    if limit < 0:
        return size > _byte_limit(limit)
    return size > _SAFE_BYTES or count > (limit or 1)


def fits_again(limit: int, size: int, count: int) -> bool:
    """Whether a quicklist that shrank to what takes ``size`` bytes as a listpack becomes one:
    at half the limit. (Redis asks moreover that it be a single node.)"""
    if limit < 0:
        return size <= _byte_limit(limit) // 2
    safe = _SAFE_BYTES + (EMPTY + _ENTRY_OVERHEAD if count == 1 else 0)
    return count <= (limit or 1) // 2 and size <= safe


def least_size(count: int) -> int:
    """Bytes that so many elements take at least."""
    return EMPTY + _LEAST_ENTRY * count


def _byte_limit(limit: int) -> int:
    return 4096 << min(-limit - 1, 4)
