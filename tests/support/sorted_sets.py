"""Sorted sets in a ``Store``, for the tests of them."""

from __future__ import annotations

from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.zset import members as zset
from tests.support.store import Store

LONG = b"x" * 65
"""A member too long for a listpack."""


def row_of(db: Database, key: bytes) -> CollectionRow:
    row = zset.find(db, key)
    assert row is not None
    return row


def contents(db: Database, key: bytes) -> list[tuple[bytes, float]]:
    return list(zset.items(db, row_of(db, key)))


def fill(store: Store, key: bytes, count: int) -> None:
    """A large sorted set: member 00005 scores 5."""
    zset.store(store.db, key, ((float(n), b"%05d" % n) for n in range(count)))
    store.commit()
