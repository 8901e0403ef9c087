"""Integers as Redis spells them. Knows nothing of the rest of the package."""

from __future__ import annotations

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1


def strict_integer(digits: bytes | bytearray) -> int | None:
    """A signed 64-bit decimal in its one canonical spelling, else None (Redis' string2ll)."""
    try:
        value = int(digits) if len(digits) <= 20 else None
    except ValueError:
        return None
    if value is None or b"%d" % value != digits or not INT64_MIN <= value <= INT64_MAX:
        return None
    return value
