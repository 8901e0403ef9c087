"""Strings: bytes under a key. Values in, values out; no RESP, no RocksDB.

``get`` and ``put`` are the hot path. A ``limit`` is the longest string allowed, in bytes. A long
string that was edited in place is in fragments (fragments.py): its row has a version, and its
length for a value.
"""

from __future__ import annotations

from typing import Any

from tendis_py.errors import STRING_TOO_LONG, ReplyError, wrong_type
from tendis_py.numbers import strict_integer
from tendis_py.pieces import Text
from tendis_py.storage.codec import RAW, STRING, TEXT, AbsentRow, Held, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.string import fragments
from tendis_py.types.string.fragments import LONG_BYTES

_EMBEDDED_BYTES = 64
"""Redis 8.2 allocates object, deadline, key and value together when they fit into this (kvobjSet
in object.c)."""
_OBJECT_BYTES = 16 + 3 + 4
"""The object itself, and what key and value take besides their bytes."""
_DEADLINE_BYTES = 8


def checked(row: Row | None) -> Row | None:
    """``row`` if it is a string, whole or in fragments, or absent; else WRONGTYPE."""
    if row is not None and row.type != STRING:
        raise wrong_type()
    return row


def encoding(key: bytes, row: StringRow) -> str:
    """What OBJECT ENCODING says of the string at ``key``: ``int``, ``embstr`` or ``raw``."""
    if row.form == RAW:
        return "raw"
    value = row.value
    if row.form != TEXT and strict_integer(value) is not None:
        return "int"
    taken = _OBJECT_BYTES + len(key) + len(value) + (_DEADLINE_BYTES if row.expire_at else 0)
    return "embstr" if taken <= _EMBEDDED_BYTES else "raw"


# Reading


def get(db: Database, key: bytes) -> Text | None:
    value = db.find_bare(key)
    if value is not None:
        return value
    row = checked(db.find(key))
    return None if row is None else text(db, row)


def text(db: Database, row: Row) -> Text:
    """The string whose row this is."""
    return fragments.text(db, row, 0, row.value) if row.version else row.value


_WHOLE = frozenset((bytes, StringRow, AbsentRow))


def get_run(db: Database, keys: list[bytes]) -> list[Any] | None:
    """The strings of ``keys``; None when one is of another type or in fragments."""
    bare = db.find_all_bare(keys)
    if bare is not None:
        return bare
    found = db.find_many(keys)
    if not _WHOLE.issuperset(map(type, found)):
        return None
    return [what if isinstance(what, bytes) else what.value for what in found]


def get_many(db: Database, keys: list[bytes]) -> list[Text | None]:
    """The strings of ``keys``; None for an absent key and for one of another type."""
    db.tx.admit(len(keys))
    found: list[Held] = []
    for cut in db.tx.pace.cuts(len(keys)):
        found += db.find_many(keys[cut])
    rows = [row for row in found if not isinstance(row, bytes)]
    if not rows:
        return found  # type: ignore[return-value]
    db.tx.admit(sum(fragments.work(row, 0, row.value) for row in rows if _in_fragments(row)))
    return [what if isinstance(what, bytes) else _any_text(db, what) for what in found]


def _in_fragments(row: Row) -> bool:
    return row.type == STRING and row.version != 0


def _any_text(db: Database, row: Row) -> Text | None:
    return text(db, row) if row.type == STRING else None


def length(db: Database, key: bytes) -> int:
    """How many bytes the string has; 0 when there is none."""
    row = checked(db.find(key))
    return 0 if row is None else fragments.size(row)


def part(db: Database, key: bytes, first: int, last: int) -> Text:
    """The bytes from ``first`` to ``last``, both included; negative ones count from the end. One
    that lies before the start stands for the start, unless ``first`` comes after ``last``."""
    row = checked(db.find(key))
    if row is None or (first < 0 and last < 0 and first > last):
        return b""
    size = fragments.size(row)
    first = max(first + size, 0) if first < 0 else first
    last = max(last + size, 0) if last < 0 else last
    return fragments.text(db, row, first, last + 1)


# Writing


def put(db: Database, key: bytes, value: Text) -> None:
    """Set ``key`` to ``value``, whatever it held before; it does not expire."""
    if len(value) > LONG_BYTES:
        db.put(key, fragments.row_for(db, value), db.peek(key))
    else:
        db.set(key, bytes(value))


def put_all(db: Database, keys: list[bytes], values: list[bytes]) -> None:
    """``put`` many, a value for each key; fast where the keys are new, or strings without a
    deadline."""
    db.tx.admit(len(keys))
    for cut in db.tx.pace.cuts(len(keys)):
        if max(map(len, values[cut]), default=0) > LONG_BYTES:
            for key, value in zip(keys[cut], values[cut], strict=True):
                put(db, key, value)
        else:
            db.set_all(keys[cut], values[cut])


def put_if(
    db: Database,
    key: bytes,
    value: Text,
    *,
    exists: bool | None = None,
    expire_at: int = 0,
    keep_expiry: bool = False,
) -> bool:
    """Set ``key``, with a deadline or the one it has; whether that was done.

    ``exists``, where given, is the condition that the key be there, or not be there. A deadline
    in the past is kept like any other: the key is gone for whoever looks next.
    """
    old = db.peek(key)
    if exists is not None and exists is (old is None):
        return False
    if keep_expiry and old is not None:
        expire_at = old.expire_at
    db.put(key, fragments.row_for(db, value, expire_at), old)
    return True


def put_all_if(
    db: Database,
    keys: list[bytes],
    values: list[bytes],
    *,
    exists: bool | None = None,
    expire_at: int = 0,
    keep_expiry: bool = False,
) -> bool:
    """``put_if`` all, or none when one of the keys does not meet the condition; whether that was
    done."""
    db.tx.admit(len(keys))
    if exists is not None:
        for cut in db.tx.pace.cuts(len(keys)):
            db.load(keys[cut])
            if any((db.peek(key) is None) is exists for key in keys[cut]):
                return False
    if not expire_at and not keep_expiry:
        put_all(db, keys, values)
        return True
    for cut in db.tx.pace.cuts(len(keys)):
        db.load(keys[cut])
        for key, value in zip(keys[cut], values[cut], strict=True):
            put_if(db, key, value, expire_at=expire_at, keep_expiry=keep_expiry)
    return True


def take(db: Database, key: bytes) -> Text | None:
    """Delete ``key`` and return what it held."""
    row = checked(db.find(key))
    if row is None:
        return None
    value = text(db, row)
    db.delete(key, row)
    return value


def set_deadline(db: Database, key: bytes, row: Row, deadline: int) -> None:
    """Have ``key``, whose row was just found, expire at ``deadline`` (ms), or never when that is
    0. One that has passed deletes it now."""
    if deadline and deadline <= db.now:
        db.delete(key, row)
    elif deadline or row.expire_at:
        db.put(key, row.with_expiry(deadline), row)


def append(db: Database, key: bytes, suffix: Text, limit: int) -> int:
    """Extend the string, or create it; the new length."""
    old = checked(db.peek(key))
    if old is None:
        db.put(key, fragments.row_for(db, suffix), None)
        return len(suffix)
    before = fragments.size(old)
    size = before + len(suffix)
    if size > limit:
        raise ReplyError(STRING_TOO_LONG)
    if size <= fragments.WHOLE_BYTES:
        db.put(key, StringRow(old.value + bytes(suffix), old.expire_at, RAW), old)
    else:
        _lay(db, key, old, before, suffix)
    return size


def overwrite(db: Database, key: bytes, offset: int, piece: Text, limit: int) -> int:
    """Lay ``piece`` over the string at ``offset``, after zero bytes where it was shorter; the new
    length. An empty piece changes nothing."""
    old = checked(db.peek(key))
    size = 0 if old is None else fragments.size(old)
    if not piece:
        return size
    if offset + len(piece) > limit:
        raise ReplyError(STRING_TOO_LONG)
    return _lay(db, key, old, offset, piece)


def _lay(db: Database, key: bytes, old: Row | None, offset: int, piece: Text) -> int:
    draft = fragments.Draft(db, key, old)
    draft.write(offset, piece)
    draft.save()
    return draft.size
