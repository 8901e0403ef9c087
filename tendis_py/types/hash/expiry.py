"""Deadlines of a hash's fields: Unix times in ms. Values in, values out; no RESP, no RocksDB."""

from __future__ import annotations

from tendis_py.storage.codec import HASH, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types import collection
from tendis_py.types.hash.fields import (
    LargeHash,
    SmallHash,
    change,
    deadlines_of,
    open_fields,
    unpack_field,
    visible_fields,
)
from tendis_py.types.keys import Condition

MAX_DEADLINE = 2**46 - 1
"""Redis keeps two of its 48 bits for itself."""

NO_FIELD, NO_DEADLINE, CONDITION_NOT_MET, DONE, DELETED = range(-2, 3)
"""What became of a field, or what there is to say of it."""


def deadlines(db: Database, key: bytes, fields: list[bytes]) -> list[int]:
    """When fields expire; NO_FIELD, NO_DEADLINE."""
    row = collection.find(db, key, HASH)
    if row is None:
        return [NO_FIELD] * len(fields)
    if row.version:
        db.tx.admit(len(fields))
        return _stored_deadlines(db, row, fields)
    present, dated = visible_fields(row, db.now), deadlines_of(row)
    return [dated.get(field, NO_DEADLINE) if field in present else NO_FIELD for field in fields]


def _stored_deadlines(db: Database, row: CollectionRow, fields: list[bytes]) -> list[int]:
    found = []
    for raw in collection.elements(db, row).get_many(fields):
        deadline = NO_FIELD if raw is None else unpack_field(raw).deadline or NO_DEADLINE
        found.append(NO_FIELD if 0 < deadline <= db.now else deadline)
    return found


def expire(
    db: Database, key: bytes, fields: list[bytes], at: int, condition: Condition | None = None
) -> list[int]:
    """Have each of ``fields`` expire, if it exists and the condition holds. A deadline that has
    passed deletes it now."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return [NO_FIELD] * len(fields)
    changing = open_fields(db, key, row, fields)
    changing.allow_deadlines()
    outcomes = []
    for field in fields:
        found = changing.get(field)
        if found is None:
            outcomes.append(NO_FIELD)
        elif condition is not None and not condition(found.deadline, at):
            outcomes.append(CONDITION_NOT_MET)
        else:
            outcomes.append(_expire(changing, field, at, db.now))
    changing.save(sum(outcome in (DONE, DELETED) for outcome in outcomes))
    return outcomes


def _expire(changing: SmallHash | LargeHash, field: bytes, at: int, now: int) -> int:
    if at <= now:
        changing.remove(field)
        return DELETED
    changing.set_deadline(field, at)
    return DONE


def persist(db: Database, key: bytes, fields: list[bytes]) -> list[int]:
    """Take the deadlines of ``fields`` away."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return [NO_FIELD] * len(fields)
    changing = open_fields(db, key, row, fields)
    outcomes = []
    for field in fields:
        found = changing.get(field)
        if found is None:
            outcomes.append(NO_FIELD)
        elif not found.deadline:
            outcomes.append(NO_DEADLINE)
        else:
            changing.set_deadline(field, 0)
            outcomes.append(DONE)
    changing.save(int(DONE in outcomes))
    return outcomes


def get_and_expire(
    db: Database, key: bytes, fields: list[bytes], at: int | None
) -> list[bytes | None]:
    """The values of ``fields``, which get the deadline ``at``, or with None none; one that has
    passed deletes them now."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return [None] * len(fields)
    changing = change(db, key, row, fields)
    changing.allow_deadlines()
    values: list[bytes | None] = []
    edits = 0
    for field in fields:
        found = changing.get(field)
        values.append(None if found is None else found.value)
        if found is None or (at is None and not found.deadline):
            continue
        edits += 1
        if at is not None:
            _expire(changing, field, at, db.now)
        else:
            changing.set_deadline(field, 0)
    changing.save(edits)
    return values


def put_many(
    db: Database,
    key: bytes,
    pairs: list[tuple[bytes, bytes]],
    *,
    exist: bool | None = None,
    at: int | None = None,
    keep: bool = False,
) -> bool:
    """Set fields, with the deadline ``at``, or the one each has (``keep``), or none; whether that
    was done. ``exist``, where given, is the condition that all, or none, of them exist. A deadline
    that has passed deletes what was set."""
    row = collection.peek(db, key, HASH)
    changing = change(db, key, row, [field for field, _ in pairs])
    if exist is not None and any(
        (changing.get(field) is not None) is not exist for field, _ in pairs
    ):
        return False
    changing.expect(len(pairs))
    if at is not None:
        changing.allow_deadlines()
    for field, value in pairs:
        changing.put(field, value, keep=keep or at is not None)
        if at is not None:
            _expire(changing, field, at, db.now)
    changing.save(len(pairs))
    return True
