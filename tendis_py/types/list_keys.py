"""Keys of a large list's rows: positions, and keys between any two others.

Elements pushed at an end get the position next to it, 8 bytes that count from MIDDLE. An element
inserted between two others gets the position before it and more digits of 4 bytes. Knows neither
lists nor storage.
"""

from __future__ import annotations

import struct

POSITION_BYTES = 8
MIDDLE = 1 << 63
"""The position of a new list's first element."""

_DIGIT_BYTES = 4
_POSITION_DIGITS = POSITION_BYTES // _DIGIT_BYTES
_BASE = 1 << 32
_STEP = 1 << 12
"""How far from its neighbour a new digit is put: half a million elements inserted one beside the
other take one digit, and twelve cuts fit into a gap."""


position = struct.Struct(">Q").pack
"""The key of a position."""


def positions(first: int, stop: int) -> list[bytes]:
    """The keys of ``range(first, stop)``; 0.1 µs each."""
    return list(map(position, range(first, stop)))


def number_of(key: bytes) -> int:
    """The position that ``key`` is, or that it comes after."""
    return int.from_bytes(key[:POSITION_BYTES], "big")


def between(low: bytes, high: bytes) -> bytes:
    """A key with low < key < high, for two keys that are positions or were made here.

    No digit after a position ends the key with 0, so that there is always something in between.
    """
    lower, upper = _digits(low), _digits(high)
    same = 0
    while same < len(lower) and lower[same] == upper[same]:
        same += 1
    if same == len(lower):  # ``high`` is what follows ``low`` and more
        return _key(lower + _before(upper[same:]))
    room = upper[same] - lower[same]
    if same >= _POSITION_DIGITS and room > 1:
        return _key([*lower[:same], lower[same] + min(_STEP, room // 2)])
    kept = max(same + 1, _POSITION_DIGITS)
    return _key(lower[:kept] + _after(lower[kept:]))


def _before(digits: list[int]) -> list[int]:
    """Digits that come before ``digits``, of which the last is not 0."""
    zeros = 0
    while digits[zeros] == 0:
        zeros += 1
    digit = digits[zeros]
    if digit == 1:
        return [0] * (zeros + 1) + [_BASE // 2]
    return [0] * zeros + [digit - min(_STEP, digit // 2)]


def _after(digits: list[int]) -> list[int]:
    """Digits that come after ``digits``, and any that begin with them."""
    full = 0
    while full < len(digits) and digits[full] == _BASE - 1:
        full += 1
    if full == len(digits):
        return [*digits, _BASE // 2]
    digit = digits[full]
    return [*digits[:full], digit + min(_STEP, (_BASE - digit) // 2)]


def _digits(key: bytes) -> list[int]:
    return list(struct.unpack(f">{len(key) // _DIGIT_BYTES}I", key))


def _key(digits: list[int]) -> bytes:
    return struct.pack(f">{len(digits)}I", *digits)
