"""Rows by key: one key of a logical database at a time, as one thread's transaction sees it.

``find``, ``find_bare`` and ``set`` are the hot path. Whoever writes holds the locks of the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tendis_py.storage.cache import USE_SLOTS
from tendis_py.storage.changes import Expired
from tendis_py.storage.codec import (
    ABSENT,
    FIELDS_DUE,
    KEY_DUE,
    NAMESPACE_SIZE,
    Held,
    Row,
    StringRow,
    deadline_key,
    decode_held,
    held,
    namespace_prefix,
)
from tendis_py.storage.families import EXPIRES, META
from tendis_py.storage.limits import Limits

if TYPE_CHECKING:
    from tendis_py.storage.transaction import Transaction

MISSING: Any = object()
"""Stands in an undo entry for "the overlay did not have the key"."""

USE_MASK = USE_SLOTS - 1


class KeyRows:
    """One logical database within a Transaction: user keys to rows."""

    __slots__ = ("_cache", "_counters", "_overlay", "_uses", "index", "namespace", "prefix", "tx")

    def __init__(self, tx: Transaction, index: int) -> None:
        self.tx = tx
        self.index = index
        self._overlay = tx.meta
        self._counters = tx.counters
        self._cache = tx.keyspace.cache
        self._uses = self._cache.uses
        self.point_to(tx.keyspace.namespaces[index])

    def point_to(self, namespace: int) -> None:
        self.namespace = namespace
        self.prefix = namespace_prefix(namespace)

    @property
    def now(self) -> int:
        """Unix time in ms, the same for the whole batch."""
        return self.tx.now

    @property
    def limits(self) -> Limits:
        """Up to what size a collection stays in its meta row."""
        return self.tx.keyspace.limits

    def find(self, key: bytes) -> Row | None:
        """The row of ``key`` for a reader: counted as hit or miss, and as a use of the key."""
        row = self.inspect(key)
        if row is not None and self.tx.touches:
            self.touch(key)
        return row

    def find_bare(self, key: bytes) -> bytes | None:
        """As ``find`` if the key holds a bare string and is at hand; None may mean anything, and
        nothing has happened."""
        meta_key = self.prefix + key
        what = self._overlay.get(meta_key) or self._cache.young.get(meta_key)
        if type(what) is not bytes:
            return None
        self._counters.hits += 1
        tx = self.tx
        if tx.touches:
            self._uses[hash(meta_key) & USE_MASK] = tx.second
        return what

    def peek(self, key: bytes) -> Row | None:
        """As ``find``, but it leaves no trace: for writers, and for OBJECT and the like."""
        meta_key = self.prefix + key
        what = self._overlay.get(meta_key) or self._cache.young.get(meta_key)
        if what is None:
            what = self._load(meta_key)
        if type(what) is bytes:
            return StringRow(what)
        row: Row = what  # type: ignore[assignment]
        if row.expire_at and row.expire_at <= self.tx.now:
            self.expire(meta_key, row)
            return None
        return row

    def is_there(self, key: bytes) -> bool:
        """Whether there is a key, whatever it holds; one that has expired is not, and stays."""
        meta_key = self.prefix + key
        what = self._overlay.get(meta_key) or self._cache.young.get(meta_key)
        if what is None:
            what = self._load(meta_key)
        if type(what) is bytes:
            return True
        row: Row = what  # type: ignore[assignment]
        return row is not ABSENT and not 0 < row.expire_at <= self.tx.now

    def has_row(self, key: bytes) -> bool:
        """As ``is_there``, of those that have expired, too."""
        meta_key = self.prefix + key
        what = self._overlay.get(meta_key) or self._cache.young.get(meta_key)
        return (self._load(meta_key) if what is None else what) is not ABSENT

    def inspect(self, key: bytes) -> Row | None:
        """As ``find``, but not counted as a use of the key: for TTL, TYPE, EXISTS."""
        row = self.peek(key)
        if row is None:
            self._counters.misses += 1
            if self.tx.keyspace.notes_events:
                self.note("m", "keymiss", key)
        else:
            self._counters.hits += 1
        return row

    def note(self, kind: str, name: str, key: bytes) -> None:
        """Note the event ``name``, of the class ``kind``, which does not show in what is
        written."""
        tx = self.tx
        if tx.keyspace.notes_events:
            tx.undo.append((tx.notes, (kind, name, self.index, key), MISSING, 0, 0, 0, 0))

    def touch(self, key: bytes) -> None:
        """Count as a use of ``key``, now."""
        self._uses[hash(self.prefix + key) & USE_MASK] = self.tx.second

    def was_used(self, key: bytes, second: int) -> None:
        """Have the last use of ``key`` be at that Unix time."""
        self._uses[hash(self.prefix + key) & USE_MASK] = second

    def last_use(self, key: bytes) -> int:
        """When ``key`` was last used, in Unix seconds; approximate (see RowCache.uses)."""
        return self._uses[hash(self.prefix + key) & USE_MASK]

    def _load(self, meta_key: bytes) -> Held:
        what: Held | None = self._cache.recall(meta_key)
        if what is None:
            raw = self.tx.keyspace.engine.get(META, meta_key)
            self._counters.rows_read += 1
            what = ABSENT if raw is None else decode_held(raw)
            self._cache.add(meta_key, what)
        return what

    def expire(self, meta_key: bytes, row: Row) -> None:
        """Delete a row whose time has come, physically: a later read must not meet it again."""
        if row is not ABSENT and self.tx.keyspace.may_expire():
            self._remove(meta_key, row, Expired(0))
            self._counters.expired += 1
            self.note("x", "expired", meta_key[NAMESPACE_SIZE:])

    def set(self, key: bytes, value: bytes) -> None:
        """Write a string, whatever the key held: ``peek`` and ``put`` in one, for SET."""
        meta_key = self.prefix + key
        overlay = self._overlay
        old = overlay.get(meta_key) or self._cache.young.get(meta_key)
        if type(old) is not bytes or not value:
            self.put(key, StringRow(value), self.peek(key))
            return
        tx = self.tx
        tx.undo.append((overlay, meta_key, overlay.get(meta_key, MISSING), 0, 0, 0, 1))
        self._counters.changes += 1
        overlay[meta_key] = value
        if tx.touches:
            self._uses[hash(meta_key) & USE_MASK] = tx.second

    def put(self, key: bytes, row: Row, old: Row | None, *, edits: int = 1) -> None:
        """Write ``row``; ``old`` is what ``find`` or ``peek`` gave for the key just before. For
        INFO that counts as so many ``edits``."""
        tx = self.tx
        overlay = self._overlay
        meta_key = self.prefix + key
        if tx.touches or old is None:
            self._uses[hash(meta_key) & USE_MASK] = tx.second
        keys = expires = 0
        if old is None:
            keys = 1
            expires = 1 if row.expire_at else 0
            if expires:
                self._index_deadline(meta_key, row.expire_at)
        else:
            if old.expire_at != row.expire_at:
                expires = self._move_deadline(meta_key, old.expire_at, row.expire_at)
            if old.version and old.version != row.version:
                tx.discard_version(old.version)
            if old.fields_due:
                self._move_fields_due(meta_key, old.fields_due, row.fields_due)
        if row.fields_due and (old is None or not old.fields_due):
            self._move_fields_due(meta_key, 0, row.fields_due)
        before = overlay.get(meta_key, MISSING)
        tx.undo.append((overlay, meta_key, before, self.namespace, keys, expires, edits))
        self._counters.changes += edits
        overlay[meta_key] = held(row)
        if keys or expires:
            tx.count(self.namespace, keys, expires)

    def edited(self, key: bytes, *, edits: int = 1) -> None:
        """Elements of ``key`` have changed, and its row has not: who is interested in the key is to
        know."""
        overlay, meta_key = self._overlay, self.prefix + key
        before = overlay.get(meta_key, MISSING)
        self.tx.undo.append((overlay, meta_key, before, 0, 0, 0, edits))
        self._counters.changes += edits

    def delete(self, key: bytes, row: Row, *, edits: int = 1) -> None:
        """Delete ``key``, whose row ``find`` or ``peek`` gave just before. A large collection's
        elements are left to the reclaimer: this is O(1). ``edits`` as in ``put``."""
        self._remove(self.prefix + key, row, edits)

    def _remove(self, meta_key: bytes, row: Row, edits: int) -> None:
        tx = self.tx
        if row.version:
            tx.discard_version(row.version)
        self._detach(meta_key, row, edits)

    def detach(self, key: bytes, row: Row) -> None:
        """Take the row off ``key`` without giving up its elements: they move with the row
        (RENAME, MOVE), and are counted there."""
        self._detach(self.prefix + key, row, 0)

    def _detach(self, meta_key: bytes, row: Row, edits: int) -> None:
        tx = self.tx
        expires = self._move_deadline(meta_key, row.expire_at, 0) if row.expire_at else 0
        if row.fields_due:
            self._move_fields_due(meta_key, row.fields_due, 0)
        overlay = self._overlay
        before = overlay.get(meta_key, MISSING)
        tx.undo.append((overlay, meta_key, before, self.namespace, -1, expires, edits))
        self._counters.changes += edits
        overlay[meta_key] = ABSENT
        tx.deleted.append(meta_key)
        tx.count(self.namespace, -1, expires)

    def _index_deadline(self, meta_key: bytes, deadline: int, kind: int = KEY_DUE) -> None:
        if deadline < self.tx._earliest:
            self.tx._earliest = deadline
        self.tx.put(EXPIRES, deadline_key(deadline, meta_key, kind), b"")

    def _move_fields_due(self, meta_key: bytes, old: int, new: int) -> None:
        if old == new:
            return
        if old:
            self.tx.put(EXPIRES, deadline_key(old, meta_key, FIELDS_DUE), None)
        if new:
            self._index_deadline(meta_key, new, FIELDS_DUE)

    def _move_deadline(self, meta_key: bytes, old: int, new: int) -> int:
        """Keep the expiry index; the change in the number of keys that have a deadline."""
        if old:
            self.tx.put(EXPIRES, deadline_key(old, meta_key), None)
        if new:
            self._index_deadline(meta_key, new)
        return bool(new) - bool(old)
