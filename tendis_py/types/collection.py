"""What hashes, lists, sets, sorted sets, streams and sorted integers have in common: finding and
keeping their rows.

A small collection is whole in its meta row (``row.version`` 0) as an immutable-by-convention
Python value; a large one has its elements in rows of their own (``elements``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

from tendis_py.errors import VALUE_RANGE, ReplyError, wrong_type
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements
from tendis_py.storage.families import ROWS

T = TypeVar("T")

MAX_DRAWS = 1 << 24


def admit_draws(db: Database, count: int) -> None:
    """To be called before ``count`` elements are drawn, each from all. Redis knows no bound, and
    makes a reply without end until memory is: more than MAX_DRAWS are refused."""
    if count > MAX_DRAWS:
        raise ReplyError(VALUE_RANGE)
    db.tx.admit(count)


def admitted(db: Database, found: Iterator[T]) -> Iterator[T]:
    """``found``, unless they are too many for the fast lane."""
    if not db.tx.fast_rows:
        return found
    few = list(islice(found, db.tx.fast_rows + 1))
    db.tx.admit(len(few))
    return iter(few)


def lots(size: int, count: int) -> Iterator[bool]:
    """Which ``count`` of ``size`` are drawn at random, each choice with the same chance: True or
    False for one after the other. (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S; no
    set of millions, as ``random.sample`` makes it.)"""
    draw = random.random
    for left in range(size, 0, -1):
        chosen = draw() * left < count
        count -= chosen
        yield chosen


def checked(row: Row | None, type_: int) -> CollectionRow | None:
    """``row`` if it is of ``type_`` or absent, else WRONGTYPE."""
    if row is not None and row.type != type_:
        raise wrong_type()
    return row  # type: ignore[return-value]


def find(db: Database, key: bytes, type_: int) -> CollectionRow | None:
    """The row of ``key`` for a command that reads. ReplyError when it is of another type."""
    return checked(db.find(key), type_)


def peek(db: Database, key: bytes, type_: int) -> CollectionRow | None:
    """The row of ``key`` for a command that writes. ReplyError when it is of another type."""
    return checked(db.peek(key), type_)


def elements(db: Database, row: CollectionRow, family: int = ROWS) -> Elements:
    """The elements of a large collection."""
    return Elements(db.tx, row.version, family)


def first_times(names: list[bytes], new: set[bytes]) -> list[int]:
    """For each of ``names``, 1 where it is the first time that one of ``new`` comes; else 0."""
    if not new or len(new) == len(names):
        return [int(bool(new))] * len(names)
    counts = []
    left = set(new)
    for name in names:
        counts.append(int(name in left))
        left.discard(name)
    return counts


def keep(db: Database, key: bytes, row: CollectionRow, old: Row | None, *, edits: int = 1) -> None:
    """Write ``row``, or delete the key when nothing is left in it; ``old`` is what the key held.
    ``edits`` as in ``Database.put``."""
    if row.count:
        db.put(key, row, old, edits=edits)
    elif old is not None:
        db.delete(key, old, edits=edits)
