"""The expiry sweep: keys are deleted when their time comes, whether or not anybody asks for them.

The ``expires`` column family is ordered by deadline, so what is due is a scan from its start. An
entry that does not match its key's row is stale, and only it is removed. What can't be read keeps
its entry and is passed over: a key whose time has come is not seen by anybody, deleted or not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from tendis_py.errors import UnreadableError
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
from tendis_py.storage.locks import Claim
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Keys a job expires at the most: about a millisecond."""

MOST_WRITES = 2 * SLICE
"""From so many rows on, a job that removes fields of hashes leaves the rest to the next one."""

MOST_PASSED_OVER = 10_000
"""So many keys that a long claim holds do not keep others from expiring."""

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
        """The next keys whose time has come at Unix time ``now`` in ms, but for those that a long
        claim holds; None: there are none."""
        if not self._keyspace.may_expire():
            return None
        after = now + 1
        low_water = self._keyspace.expiry_low_water
        lower = low_water.raise_to(after)
        found = self._keyspace.engine.keys(EXPIRES, lower, deadline_key(after, b""))
        long = self._keyspace.locks.long_held()
        first: bytes | None = None
        entries: list[Entry] = []
        with contextlib.suppress(UnreadableError):
            for raw in islice(found, SLICE + (MOST_PASSED_OVER if long else 0)):
                first = first or raw
                entry = split_deadline_key(raw)
                if not _is_held(_user_key(entry), long):
                    entries.append(entry)
                    if len(entries) == SLICE:
                        break
        if first is not None:
            low_water.lower_to(split_deadline_key(first)[0], first)
        return Due(entries, set(map(_user_key, entries))) if entries else None

    def next_deadline(self) -> int | None:
        """The earliest of what was not due when it was looked for; None: there is none."""
        lower = self._keyspace.expiry_low_water.position
        with contextlib.suppress(UnreadableError):
            for raw in self._keyspace.engine.keys(EXPIRES, lower, None):
                return split_deadline_key(raw)[0]
        return None

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
        unreadable: list[Entry] = []
        for entry in due.entries:
            deadline, kind, meta_key = entry
            row = rows.get(meta_key)
            if row is None:
                unreadable.append(entry)
            elif kind == KEY_DUE and _is_whole(row) and row.expire_at == deadline <= tx.now:
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
            mark = tx.mark()
            try:
                if db is None or not self._fulfil(db, meta_key, rows[meta_key], deadline, kind):
                    tx.put(EXPIRES, deadline_key(deadline, meta_key, kind), None)
            except UnreadableError:
                tx.rollback_to(mark)
                unreadable.append((deadline, kind, meta_key))
            if len(tx.undo) - begun > MOST_WRITES:
                break
        if unreadable:
            first, last = due.entries[0], max(unreadable)
            self._keyspace.expiry_low_water.raise_past(_raw(first), _raw(last), last[0])

    def _rows(self, tx: Transaction, due: Due) -> dict[bytes, Row]:
        """The rows of what is due by its meta key, ABSENT included, but for what can't be read.
        Read together, with the GIL released; the cache does not take in what leaves right away."""
        meta_keys = [meta_key for _, _, meta_key in due.entries]
        held = dict(zip(meta_keys, self._keyspace.cache.look(meta_keys), strict=True))
        unknown = [meta_key for meta_key, what in held.items() if what is None]
        if unknown:
            for meta_key, raw in self._read(unknown):
                held[meta_key] = ABSENT if raw is None else decode_held(raw)
        return {
            meta_key: StringRow(what) if type(what) is bytes else what  # type: ignore[misc]
            for meta_key, what in held.items()
            if what is not None
        }

    def _read(self, meta_keys: list[bytes]) -> Iterable[tuple[bytes, bytes | None]]:
        """Raw rows with their keys, but for what can't be read."""
        engine = self._keyspace.engine
        try:
            return zip(meta_keys, engine.get_many(META, meta_keys), strict=True)
        except UnreadableError:
            read = []
            for meta_key in meta_keys:
                with contextlib.suppress(UnreadableError):
                    read.append((meta_key, engine.get(META, meta_key)))
            return read

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


def _raw(entry: Entry) -> bytes:
    deadline, kind, meta_key = entry
    return deadline_key(deadline, meta_key, kind)


def _is_whole(row: Row) -> bool:
    """Whether there is nothing more to a key than its row and its deadline."""
    return row is not ABSENT and not row.version and not row.fields_due


def _user_key(entry: Entry) -> bytes:
    return entry[2][NAMESPACE_SIZE:]


def _is_held(key: bytes, claims: list[Claim]) -> bool:
    return any(claim.keys is None or key in claim.keys for claim in claims)
