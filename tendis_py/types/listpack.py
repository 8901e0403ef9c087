"""What a list would take as a listpack, and when Redis keeps it as one: from listpack.c and
quicklist.c of Redis. Knows no rows.

``limit`` is list-max-listpack-size: at least 0 for a number of elements, -1 to -5 for 4 to 64 kb.
"""

from __future__ import annotations

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

_INTEGER_SIZES = ((1 << 12, 2), (1 << 15, 3), (1 << 23, 4), (1 << 31, 5))
"""Those from -bound to below it take that many bytes."""
_FIRST_OF_INTEGERS = frozenset([b"-", *(b"%d" % digit for digit in range(10))])
_STRING_HEADS = ((1 << 6, 1), (1 << 12, 2))
_BACKWARD_SIZES = ((128, 1), (16383, 2), (2097151, 3), (268435455, 4))


def entry_size(value: bytes) -> int:
    """Bytes that ``value`` takes in a listpack."""
    size = len(value)
    if size < 64 and value[:1] not in _FIRST_OF_INTEGERS:
        return size + 2
    number = strict_integer(value) if size <= 20 else None
    if number is None:
        if size < 64:
            return size + 2
        size += _size_below(_STRING_HEADS, size, 5)
    elif 0 <= number < 128:
        return 2
    else:
        size = next((size for bound, size in _INTEGER_SIZES if -bound <= number < bound), 9)
    return size + _size_below(_BACKWARD_SIZES, size, 5)


def _size_below(sizes: tuple[tuple[int, int], ...], number: int, otherwise: int) -> int:
    return next((size for bound, size in sizes if number < bound), otherwise)


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
