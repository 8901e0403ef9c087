"""Conditions on the string that a key holds: that it is, or is not, a value or one of a digest.

The digest is XXH3's of 64 bits in hexadecimal, as Redis 8.4 has it: DIGEST "returns the XXH3 hash
of a string value" (digest.json), "always exactly 16 hex characters with leading zeros" (its tests).
Long strings are looked at part by part. Knows no RESP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import xxhash

from tendis_py.errors import DIGEST_LENGTH, ReplyError
from tendis_py.pieces import Text
from tendis_py.storage.codec import Row
from tendis_py.storage.database import Database
from tendis_py.types.string import fragments
from tendis_py.types.string.values import checked, put_if

_DIGEST_SIZE = 16


@dataclass(frozen=True, slots=True)
class Match:
    """IFEQ, IFNE, IFDEQ or IFDNE: the string equals ``operand``, or its digest does, or not."""

    operand: bytes
    by_digest: bool
    wants_equal: bool

    def holds(self, db: Database, row: Row | None) -> bool:
        """Of a string, or of a key that is not there: it equals nothing. WRONGTYPE for others.

        Of a digest only the length is looked at, and only where it is compared, as Redis does.
        Ask before anything is written.
        """
        if checked(row) is None:
            return not self.wants_equal
        assert row is not None
        if not self.by_digest:
            return equals(db, row, self.operand) is self.wants_equal
        if len(self.operand) != _DIGEST_SIZE:
            raise ReplyError(DIGEST_LENGTH)
        return (digest(db, row) == self.operand.lower()) is self.wants_equal


def put_matching(
    db: Database,
    key: bytes,
    value: Text,
    match: Match,
    *,
    expire_at: int = 0,
    keep_expiry: bool = False,
) -> bool:
    """``put_if`` what is there matches; whether that was done."""
    return match.holds(db, db.peek(key)) and put_if(
        db, key, value, expire_at=expire_at, keep_expiry=keep_expiry
    )


def equals(db: Database, row: Row, value: bytes) -> bool:
    """Whether the string whose row this is has these bytes."""
    if fragments.size(row) != len(value):
        return False
    return _begins_with(value, fragments.in_order(db, row))


def _begins_with(value: bytes, parts: Iterable[bytes]) -> bool:
    at = 0
    for part in parts:
        if not value.startswith(part, at):
            return False
        at += len(part)
    return True


def digest(db: Database, row: Row) -> bytes:
    """Of the string whose row this is: 16 digits, in lower case."""
    found = xxhash.xxh3_64()
    for part in fragments.in_order(db, row):
        found.update(part)
    return found.hexdigest().encode()
