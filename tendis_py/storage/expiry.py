"""The expiry sweep: keys are deleted when their time comes, whether or not anybody asks for them.

The ``expires`` column family is ordered by deadline, so what is due is a scan from its start. An
entry that does not match its key's row is stale, and only it is removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from tendis_py.storage.codec import (
    ABSENT,
    FIELDS_DUE,
    KEY_DUE,
    NAMESPACE_SIZE,
    Row,
    StringRow,
    deadline_key,
    decode_held,
    split_deadline_key,
)
from tendis_py.storage.database import Database
from tendis_py.storage.families import EXPIRES, META
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Keys a job expires at the most: about a millisecond."""

MOST_WRITES = 2 * SLICE
"""From so many rows on, a job that removes fields of hashes leaves the rest to the next one."""

Entry = tuple[int, int, bytes]
"""Deadline in ms, kind, meta key."""


@dataclass(frozen=True, slots=True)
class Due:
    """``entries`` of the expiry index, in order; ``keys``: the user keys to lock."""

    entries: list[Entry]
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
        found = self._keyspace.engine.keys(EXPIRES, lower, deadline_key(after, b""))
        raw_entries = list(islice(found, SLICE))
        if not raw_entries:
            return None
        entries = list(map(split_deadline_key, raw_entries))
        low_water.lower_to(entries[0][0], raw_entries[0])
        return Due(entries, {meta_key[NAMESPACE_SIZE:] for _, _, meta_key in entries})

    def expire(self, tx: Transaction, due: Due) -> None:
        """Delete what is still due; a job, run with ``due.keys`` locked. What is too much for one
        job stays for the next."""
        if not self._keyspace.may_expire():
            return
        tx.in_passing = True
        rows = self._rows(tx, due)
        whole: dict[bytes, list[bytes]] = {}
        gone: dict[bytes, bytes | None] = {}
        others: list[Entry] = []
        for entry in due.entries:
            deadline, kind, meta_key = entry
            row = rows[meta_key]
            if kind == KEY_DUE and _is_whole(row) and row.expire_at == deadline <= tx.now:
                whole.setdefault(meta_key[:NAMESPACE_SIZE], []).append(meta_key)
                gone[deadline_key(deadline, meta_key)] = None
            else:
                others.append(entry)
        for meta_keys in whole.values():
            db = tx.database_of(meta_keys[0])
            if db is not None:
                db.remove_expired(meta_keys)
        tx.put_many(EXPIRES, gone)
        begun = len(tx.undo)
        for deadline, kind, meta_key in others:
            db = tx.database_of(meta_key)
            if db is None or not self._fulfil(db, meta_key, rows[meta_key], deadline, kind):
                tx.put(EXPIRES, deadline_key(deadline, meta_key, kind), None)
            if len(tx.undo) - begun > MOST_WRITES:
                break

    def _rows(self, tx: Transaction, due: Due) -> dict[bytes, Row]:
        """The rows of what is due by its meta key, ABSENT included. Read together, with the GIL
        released; the cache does not take in what leaves right away."""
        meta_keys = [meta_key for _, _, meta_key in due.entries]
        held = dict(zip(meta_keys, self._keyspace.cache.look(meta_keys), strict=True))
        unknown = [meta_key for meta_key, what in held.items() if what is None]
        if unknown:
            values = self._keyspace.engine.get_many(META, unknown)
            for meta_key, raw in zip(unknown, values, strict=True):
                held[meta_key] = ABSENT if raw is None else decode_held(raw)
        return {
            meta_key: StringRow(what) if type(what) is bytes else what  # type: ignore[misc]
            for meta_key, what in held.items()
        }

    def _fulfil(self, db: Database, meta_key: bytes, row: Row, deadline: int, kind: int) -> bool:
        """Do what is due; False when the entry is stale, or what was done does not see to its
        end."""
        key = meta_key[NAMESPACE_SIZE:]
        if meta_key in db.tx.meta:  # by another entry of this slice
            found = db.peek(key)
            if found is None:
                return False
            row = found
        if row is ABSENT:
            return False
        if row.expire_at and row.expire_at <= db.now:
            db.expire(meta_key, row)
            return kind == KEY_DUE and row.expire_at == deadline
        if kind != FIELDS_DUE:
            return row.expire_at == deadline  # the clock was set back
        if row.fields_due != deadline:
            return False
        if deadline <= db.now:
            self._expire_fields(db, key, row)
        return True


def _is_whole(row: Row) -> bool:
    """Whether there is nothing more to a key than its row and its deadline."""
    return row is not ABSENT and not row.version and not row.fields_due
