"""The expiry sweep: keys are deleted when their time comes, whether or not anybody asks for them.

The ``expires`` column family is ordered by deadline, so what is due is a scan from its start. An
entry that does not match its key's row is stale, and only it is removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from tendis_py.storage.codec import (
    FIELDS_DUE,
    NAMESPACE_SIZE,
    Row,
    deadline_key,
    split_deadline_key,
)
from tendis_py.storage.database import Database
from tendis_py.storage.families import EXPIRES
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 128
"""Keys a job expires at the most: about half a millisecond."""


@dataclass(frozen=True, slots=True)
class Due:
    """``entries``: (deadline in ms, kind, meta key); ``keys``: the user keys to lock."""

    entries: list[tuple[int, int, bytes]]
    keys: set[bytes]


ExpireFields = Callable[[Database, bytes, Row], None]
"""Deletes what is due in a hash, and moves its ``fields_due`` on."""


class Expiry:
    """``expire_fields`` knows the hash type."""

    def __init__(self, keyspace: Keyspace, expire_fields: ExpireFields) -> None:
        self._keyspace = keyspace
        self._expire_fields = expire_fields

    def due(self, now: int) -> Due | None:
        """The next keys whose time has come at Unix time ``now`` in ms; None: there are none."""
        if not self._keyspace.may_expire():
            return None
        after = now + 1
        low_water = self._keyspace.expiry_low_water
        lower = low_water.raise_to(after)
        found = self._keyspace.engine.keys(
            EXPIRES, deadline_key(lower, b""), deadline_key(after, b"")
        )
        entries = [split_deadline_key(raw) for raw in islice(found, SLICE)]
        if not entries:
            return None
        low_water.lower(entries[0][0])
        return Due(entries, {meta_key[NAMESPACE_SIZE:] for _, _, meta_key in entries})

    def expire(self, tx: Transaction, due: Due) -> None:
        """Delete what is still due; a job, run with ``due.keys`` locked."""
        if not self._keyspace.may_expire():
            return
        for deadline, kind, meta_key in due.entries:
            db = tx.database_of(meta_key)
            if db is None or not self._fulfil(db, meta_key[NAMESPACE_SIZE:], deadline, kind):
                tx.put(EXPIRES, deadline_key(deadline, meta_key, kind), None)

    def _fulfil(self, db: Database, key: bytes, deadline: int, kind: int) -> bool:
        """Do what is due; False when the entry is stale, or what was done does not see to its
        end."""
        row = db.peek(key)  # which deletes it if expired
        if row is None:
            return False
        if kind != FIELDS_DUE:
            return row.expire_at == deadline  # the clock was set back
        if row.fields_due != deadline:
            return False
        if deadline <= db.now:
            self._expire_fields(db, key, row)
        return True
