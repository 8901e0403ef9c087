"""Strings: bytes under a key. Values in, values out; no RESP, no RocksDB."""

from __future__ import annotations

from tendis_py.errors import wrong_type
from tendis_py.storage.codec import STRING, Row, StringRow
from tendis_py.storage.transaction import Database


def checked(row: Row | None) -> StringRow | None:
    """``row`` if it is a string or absent, else WRONGTYPE."""
    if row is not None and row.type != STRING:
        raise wrong_type()
    return row  # type: ignore[return-value]


def get(db: Database, key: bytes) -> bytes | None:
    row = db.find(key)
    if row is None:
        return None
    if row.type != STRING:
        raise wrong_type()
    value: bytes = row.value
    return value


def put(db: Database, key: bytes, value: bytes) -> None:
    """Set ``key`` to ``value``, whatever it held before; it does not expire."""
    db.put(key, StringRow(value), db.peek(key))
