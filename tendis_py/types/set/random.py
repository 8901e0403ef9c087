"""Random members of sets, looked at or popped. No RESP, no RocksDB. ``pop`` is the hot path."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import compress

from tendis_py.storage.codec import SET, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types import collection
from tendis_py.types.collection import elements, lots
from tendis_py.types.set.members import (
    INTSET,
    LISTPACK,
    Draft,
    large_row,
    members,
    remove_present,
    row_of,
)

_FEW_DRAWS = 1000
"""Up to how many random members are looked up one by one; more are met on a walk over the set."""
_DRAWS_AT_ONCE = 1 << 18
_SPARED = 5
"""When Redis pops this many times as many members as it leaves, it makes a new set of those left
(SPOP_MOVE_STRATEGY_MUL), whose encoding may be another."""


def random_member(db: Database, row: CollectionRow) -> bytes:
    """Any of the members, each with the same chance."""
    if row.version:
        return elements(db, row).select(random.randrange(row.count))
    if row.encoding == INTSET:
        return b"%d" % random.choice(row.value)
    known: list[bytes] = list(row.value)
    return random.choice(known)


def sample(db: Database, row: CollectionRow, count: int) -> list[bytes]:
    """``count`` different members drawn at random; all when there are fewer."""
    count = min(count, row.count)
    if row.version and count <= _FEW_DRAWS:
        db.tx.admit(count)
        return elements(db, row).random(count)
    db.tx.admit(row.count)
    return list(compress(members(db, row), lots(row.count, count)))


def draws(db: Database, row: CollectionRow, count: int) -> Iterator[bytes]:
    """``count`` members drawn at random, each from all."""
    few = count <= _FEW_DRAWS
    collection.admit_draws(db, count)
    db.tx.admit(count if few else max(count, row.count))
    if not row.version:
        known = list(members(db, row))
        return (random.choice(known) for _ in range(count))
    if few:
        return iter([random_member(db, row) for _ in range(count)])
    return _many_draws(db, row, count)


def _many_draws(db: Database, row: CollectionRow, count: int) -> Iterator[bytes]:
    while count:
        number = min(count, _DRAWS_AT_ONCE)
        times = [0] * row.count
        for at in random.choices(range(row.count), k=number):
            times[at] += 1
        drawn = [
            member
            for member, often in zip(members(db, row), times, strict=True)
            for _ in range(often)
        ]
        random.shuffle(drawn)
        yield from drawn
        count -= number


def pop(db: Database, key: bytes) -> bytes | None:
    """Remove a random member; None when there is no such set."""
    row = collection.peek(db, key, SET)
    if row is None:
        return None
    if row.version and row.count > 1:
        return _pop_rows(db, key, row, 1)[0]
    member = random_member(db, row)
    remove_present(db, key, row, [member])
    return member


def pop_run(db: Database, key: bytes, times: int) -> list[bytes] | list[None] | None:
    """What ``pop`` returns that many times; None, and nothing is done, where the set is small or
    would not outlive it."""
    row = collection.peek(db, key, SET)
    if row is None:
        return [None] * times
    if not row.version or row.count <= times:
        return None
    return _pop_rows(db, key, row, times)


def _pop_rows(db: Database, key: bytes, row: CollectionRow, count: int) -> list[bytes]:
    """Remove random members of a large set, not all."""
    popped = elements(db, row).take_random(count)
    db.put(key, row.with_elements(None, row.count - count), row, edits=count)
    return popped


def pop_many(db: Database, key: bytes, count: int) -> list[bytes]:
    """Remove ``count`` different random members, or all when there are fewer."""
    row = collection.peek(db, key, SET)
    if row is None or not count:
        return []
    if count >= row.count:
        db.tx.admit(row.count)
        found = list(members(db, row))
        db.delete(key, row, edits=row.count)
        return found
    left = row.count - count
    stays = left * _SPARED > count
    if stays and (count < left or not row.version):
        taken = sample(db, row, count)
        remove_present(db, key, row, taken)
        return taken
    db.tx.admit(row.count)
    mask = bytearray(lots(row.count, left))
    found = list(members(db, row))
    spared = compress(found, mask)
    if stays:
        new = large_row(db, spared, row.expire_at)
    else:
        draft = Draft(db.limits, INTSET if row.encoding == INTSET else LISTPACK)
        new = row_of(db, spared, draft, expire_at=row.expire_at)
    db.put(key, new, row, edits=count)
    return [member for member, keep_it in zip(found, mask, strict=True) if not keep_it]
