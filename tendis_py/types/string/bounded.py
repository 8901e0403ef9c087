"""Counting within bounds: INCREX on integers, and on long doubles. No RESP, no RocksDB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tendis_py.errors import (
    APPLIED_INFINITE,
    APPLIED_OVERFLOW,
    NOT_FLOAT,
    NOT_INTEGER,
    VALUE_INFINITE,
    ReplyError,
)
from tendis_py.numbers import INT64_MAX, INT64_MIN, strict_integer
from tendis_py.storage.codec import NATURAL, TEXT, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.types import long_double
from tendis_py.types.long_double import LongDouble
from tendis_py.types.string.values import checked

Number = TypeVar("Number", int, LongDouble)

Deadlines = Callable[[int], int]
"""The deadline of a key (0: none) → the one it has from now on."""


@dataclass(frozen=True, slots=True)
class Step(Generic[Number]):
    """What to add, and between which bounds, both included, the sum has to lie; ``saturates``: one
    that does not becomes the bound that it is beyond."""

    by: Number
    low: Number
    high: Number
    saturates: bool

    def onto(self, number: Number) -> Number | None:
        """The sum; None where it is out of bounds."""
        found = number + self.by
        if self.low <= found <= self.high:
            return found
        if not self.saturates:
            return None
        return self.high if self.low <= found else self.low


def step_integer(
    db: Database, key: bytes, step: Step[int], deadlines: Deadlines
) -> tuple[int, int]:
    """Take a step from the integer that the string spells, 0 where there is none: what it is now,
    and what was added. Nothing changes, not even the deadline, where the step is refused."""
    old = checked(db.peek(key))
    number = 0 if old is None else None if old.version else strict_integer(old.value)
    if number is None:
        raise ReplyError(NOT_INTEGER)
    found = step.onto(number)
    if found is None:
        return number, 0
    if not INT64_MIN <= found - number <= INT64_MAX:
        raise ReplyError(APPLIED_OVERFLOW)
    _store(db, key, b"%d" % found, NATURAL, old, deadlines)
    return found, found - number


def step_real(
    db: Database, key: bytes, step: Step[LongDouble], deadlines: Deadlines
) -> tuple[LongDouble, LongDouble]:
    """As ``step_integer``, with any number."""
    old = checked(db.peek(key))
    if old is not None and old.version:
        raise ReplyError(NOT_FLOAT)
    number = long_double.parse(b"0" if old is None else old.value)
    if number is None:
        raise ReplyError(NOT_FLOAT)
    if number.infinite:
        raise ReplyError(VALUE_INFINITE)
    found = step.onto(number)
    if found is None:
        return number, long_double.ZERO
    applied = found - number
    if applied.infinite:
        raise ReplyError(APPLIED_INFINITE)
    _store(db, key, bytes(found), TEXT, old, deadlines)
    return found, applied


def _store(
    db: Database, key: bytes, text: bytes, form: int, old: Row | None, deadlines: Deadlines
) -> None:
    """The key is gone at once if its deadline has passed."""
    deadline = deadlines(0 if old is None else old.expire_at)
    if not deadline or deadline > db.now:
        db.put(key, StringRow(text, deadline, form), old)
    elif old is not None:
        db.delete(key, old)
