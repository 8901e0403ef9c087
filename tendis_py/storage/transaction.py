"""A thread's view of the keyspace: the writes of one batch, visible to it, committed as one.

Writes collect in overlays, one per column family, that reads look into first. ``commit`` turns
them into one RocksDB write and only then publishes rows to the cache and figures to the keyspace;
a command that fails is undone alone. Whoever uses a Transaction holds the locks of its keys.

``Database.find``, ``Database.put`` and ``Transaction.commit`` are the hot path: 0.2, 0.5 and
1.3 µs a key (100 k rows in the cache, batches of 16).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from tendis_py.storage.codec import (
    ABSENT,
    NAMESPACE_SIZE,
    Row,
    deadline_key,
    decode,
    is_alive,
    namespace_prefix,
    stored_type,
    upper_bound,
)
from tendis_py.storage.engine import EXPIRES, GARBAGE, META, ROWS
from tendis_py.storage.keyspace import Counts, Keyspace
from tendis_py.storage.random_key import random_key

_NO_COUNTS = Counts()
_MISSING: Any = object()

T = TypeVar("T")

ROWS_BETWEEN_RESTS = 256
REST_SECONDS = 0.0001
"""With both, KEYS over a million keys takes about twice as long, and the p99 of ten others beside
it falls to a half."""

NEVER = 1 << 64
"""A deadline (ms) after all others."""

PAGE_BYTES = 1 << 20
_FEW_KEYS = 256
_RANDOM_DRAWS = 16


class Transaction:
    """Not thread-safe: one per executing thread. ``now`` is the batch's time in ms."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace = keyspace
        self.now = 0
        self.yields = False
        """Whether long iterations make way for other threads: set on the slow lane."""
        self.touches = True
        """Whether reads count as use of a key (CLIENT NO-TOUCH)."""
        self.meta: dict[bytes, Row] = {}
        self.families: dict[int, dict[bytes, bytes | None]] = {
            family: {} for family in range(ROWS, GARBAGE + 1)
        }
        self.settings: dict[bytes, bytes | None] = {}
        self.ranges: list[tuple[int, bytes, bytes]] = []
        """Ranges to delete (family, from, below); nothing reads in them any more."""
        self.undo: list[tuple[dict[bytes, Any], bytes, Any, int, int, int]] = []
        """What the running command overwrote: overlay, key, value before, namespace and the
        changes of its two counters."""
        self.pending: dict[int, Counts] = {}
        self.hits = 0
        self.misses = 0
        self.expired = 0
        self.changes = 0
        """Keys changed since the start, for INFO persistence."""
        self._moved: dict[int, int] = {}
        """Databases that the batch points to another namespace: index → namespace."""
        self._earliest = NEVER
        """No deadline that the batch indexes is earlier."""
        self._settled = False
        self._layout = -1
        self._databases = [Database(self, index) for index in range(len(keyspace.namespaces))]

    def take_counters(self, other: Transaction) -> None:
        """Go on counting where ``other`` stands, which counts from zero again."""
        for name in ("hits", "misses", "expired", "changes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
            setattr(other, name, 0)

    def begin(self, now: int) -> None:
        """Start a batch at Unix time ``now`` in ms."""
        self.now = now
        self._settled = False
        if self._layout != self.keyspace.layout:
            self._layout = self.keyspace.layout
            for database in self._databases:
                database.point_to(self.keyspace.namespaces[database.index])

    def database(self, index: int) -> Database:
        return self._databases[index]

    @property
    def dirty(self) -> bool:
        return bool(self.meta or self.settings or any(self.families.values()))

    # Rows of large collections and indexes

    def get(self, family: int, key: bytes) -> bytes | None:
        overlay = self.families[family]
        if key in overlay:
            return overlay[key]
        return self.keyspace.engine.get(family, key)

    def put(self, family: int, key: bytes, value: bytes | None) -> None:
        """Write a row; None deletes it."""
        overlay = self.families[family]
        self.undo.append((overlay, key, overlay.get(key, _MISSING), 0, 0, 0))
        overlay[key] = value

    def discard_version(self, version: int) -> None:
        """Leave the rows of a large collection to the reclaimer."""
        self.put(GARBAGE, version.to_bytes(8, "big"), b"")

    def expire(self, meta_key: bytes, deadline: int) -> None:
        """Delete the key whose expiry entry has come due; a stale entry goes alone."""
        namespace = int.from_bytes(meta_key[:NAMESPACE_SIZE], "big")
        for database in self._databases:
            if database.namespace == namespace:
                row = database.peek(meta_key[NAMESPACE_SIZE:])  # which deletes it if expired
                if row is not None and row.expire_at == deadline:
                    return  # the clock was set back
        self.put(EXPIRES, deadline_key(deadline, meta_key), None)

    def count(self, namespace: int, keys: int, expires: int) -> None:
        pending = self.pending.get(namespace)
        if pending is None:
            pending = self.pending[namespace] = Counts()
        pending.keys += keys
        pending.expires += expires

    # Outcome

    def rollback_command(self) -> None:
        """Take back what the running command wrote."""
        for overlay, key, before, namespace, keys, expires in reversed(self.undo):
            if before is _MISSING:
                del overlay[key]
            else:
                overlay[key] = before
            if keys or expires:
                self.count(namespace, -keys, -expires)
        self.undo.clear()

    def rollback(self) -> None:
        """Forget every uncommitted write of the batch."""
        self.meta.clear()
        for overlay in self.families.values():
            overlay.clear()
        self.settings.clear()
        self.ranges.clear()
        self.pending.clear()
        self.undo.clear()
        self._earliest = NEVER
        if self._moved:
            self._moved.clear()
            self._layout = -1

    def commit(self, *, may_wait: bool = True) -> bool:
        """Write the batch to the log; whether anything was written since ``begin``.

        Raises WriteStalledError (only if not ``may_wait``; commit again later) or StorageError
        (nothing was written; call ``rollback``).
        """
        meta = self.meta
        if not meta and not self.settings and not any(self.families.values()):
            return self._settled
        keyspace = self.keyspace
        batch, handles = keyspace.engine.new_batch()
        put, delete, handle = batch.put, batch.delete, handles[META]
        added = 0
        for family, lower, upper in self.ranges:
            batch.delete_range(lower, upper, handles[family])
        for key, row in meta.items():
            if row is ABSENT:
                delete(key, handle)
            else:
                encoded = row.encode()
                put(key, encoded, handle)
                added += len(encoded)
        for family, overlay in self.families.items():
            for key, value in overlay.items():
                if value is None:
                    delete(key, handles[family])
                else:
                    put(key, value, handles[family])
        for key, value in self.settings.items():
            if value is None:
                delete(key)
            else:
                put(key, value)
        if self.pending:
            self._commit_counts(batch, may_wait)
        else:
            keyspace.engine.write_batch(batch, may_wait=may_wait)
        keyspace.cache.update(meta, added)
        if self._earliest < keyspace.expiry_low_water.deadline:
            keyspace.expiry_low_water.lower(self._earliest)
        if self._moved:
            keyspace.move_databases(self._moved)
        self.changes += len(meta)
        self.rollback()
        return True

    def _commit_counts(self, batch: Any, may_wait: bool) -> None:
        keyspace = self.keyspace
        with keyspace.commit_lock:
            published = []
            for namespace, delta in self.pending.items():
                counts = keyspace.counts.setdefault(namespace, Counts())
                keys, expires = counts.keys + delta.keys, counts.expires + delta.expires
                batch.put(*keyspace.count_setting(namespace, keys, expires))
                published.append((counts, keys, expires))
            keyspace.engine.write_batch(batch, may_wait=may_wait)
            for counts, keys, expires in published:
                counts.keys, counts.expires = keys, expires

    def flush_databases(self, indexes: Iterable[int]) -> None:
        """Empty databases, each in constant time. The batch holds all keys."""
        for index in indexes:
            database = self._databases[index]
            if database.counts().keys:
                self.settings[self.keyspace.dead_setting(database.namespace)] = b""
                namespace, setting = self.keyspace.new_namespace()
                self.settings.update([setting])
                self._move_database(index, namespace)

    def swap_databases(self, first: int, second: int) -> None:
        """Swap two databases. The batch holds all keys."""
        namespaces = self._databases[first].namespace, self._databases[second].namespace
        self._move_database(second, namespaces[0])
        self._move_database(first, namespaces[1])

    def _move_database(self, index: int, namespace: int) -> None:
        """Point a database elsewhere: here at once, for other threads from the commit on."""
        self._databases[index].point_to(namespace)
        self._moved[index] = namespace
        self.settings.update([self.keyspace.database_setting(index, namespace)])

    def paced(self, rows: Iterator[T]) -> Iterator[T]:
        """``rows``; on the slow lane with short rests, in which other threads get the GIL without
        having to wait for it."""
        if not self.yields:
            return rows
        return self._rest_between(rows)

    @staticmethod
    def _rest_between(rows: Iterator[T]) -> Iterator[T]:
        while part := list(islice(rows, ROWS_BETWEEN_RESTS)):
            yield from part
            time.sleep(REST_SECONDS)

    def settle(self) -> None:
        """Commit what earlier commands of the batch wrote, so that an iteration sees it."""
        if self.dirty:
            assert not self.undo, "a command iterates before it writes"
            self.commit()
            self._settled = True


class Database:
    """One logical database within a Transaction: user keys to rows."""

    __slots__ = ("_cache", "_overlay", "index", "namespace", "prefix", "tx")

    def __init__(self, tx: Transaction, index: int) -> None:
        self.tx = tx
        self.index = index
        self._overlay = tx.meta
        self._cache = tx.keyspace.cache
        self.point_to(tx.keyspace.namespaces[index])

    def point_to(self, namespace: int) -> None:
        self.namespace = namespace
        self.prefix = namespace_prefix(namespace)

    @property
    def now(self) -> int:
        """Unix time in ms, the same for the whole batch."""
        return self.tx.now

    def find(self, key: bytes) -> Row | None:
        """The row of ``key`` for a reader: counted as hit or miss, and as a use of the key."""
        meta_key = self.prefix + key
        row = self._overlay.get(meta_key) or self._cache.young.get(meta_key) or self._load(meta_key)
        tx = self.tx
        if row.expire_at and row.expire_at <= tx.now:
            tx.misses += 1
            self._expire(meta_key, row)
            return None
        tx.hits += 1
        if tx.touches:
            row.atime = tx.now
        return row

    def peek(self, key: bytes) -> Row | None:
        """As ``find``, but it leaves no trace: for writers, and for OBJECT and the like."""
        meta_key = self.prefix + key
        row = self._overlay.get(meta_key) or self._cache.young.get(meta_key) or self._load(meta_key)
        if row.expire_at and row.expire_at <= self.tx.now:
            self._expire(meta_key, row)
            return None
        return row

    def inspect(self, key: bytes) -> Row | None:
        """As ``find``, but not counted as a use of the key: for TTL, TYPE, EXISTS."""
        row = self.peek(key)
        if row is None:
            self.tx.misses += 1
        else:
            self.tx.hits += 1
        return row

    def find_many(self, keys: list[bytes]) -> list[Row]:
        """As ``find`` for each key, ABSENT standing for no such key. What the cache does not have
        is read by list, with the GIL released."""
        tx = self.tx
        if not self._overlay:
            rows = self._cached(list(map(self.prefix.__add__, keys)))
            absent = rows.count(ABSENT)
            if absent == sum([1 for row in rows if row.expire_at]):
                tx.misses += absent
                tx.hits += len(rows) - absent
                if tx.touches:
                    now = tx.now
                    for row in rows:
                        row.atime = now
                return rows
        return [self.find(key) or ABSENT for key in keys]

    def _cached(self, meta_keys: list[bytes]) -> list[Row]:
        """The rows of ``meta_keys``, which the cache has taken in."""
        found = list(map(self._cache.young.get, meta_keys))
        if None not in found:
            return found  # type: ignore[return-value]
        rows = dict(zip(meta_keys, found, strict=True))
        for meta_key, row in rows.items():
            rows[meta_key] = row or self._cache.recall(meta_key)
        wanted = [meta_key for meta_key, row in rows.items() if row is None]
        values = self.tx.keyspace.engine.get_many(META, wanted)
        for meta_key, raw in zip(wanted, values, strict=True):
            rows[meta_key] = row = self._decoded(raw)
            self._cache.add(meta_key, row)
        return [rows[meta_key] for meta_key in meta_keys]  # type: ignore[misc]

    def _decoded(self, raw: bytes | None) -> Row:
        if raw is None:
            return ABSENT
        row = decode(raw)
        row.atime = self.tx.now
        return row

    def replace_cached(self, rows: list[tuple[bytes, Row]]) -> bool:
        """As ``set`` for each (key, row without a deadline), if all replace rows that the cache
        has, without a deadline or a version; else False, and nothing has happened."""
        prefix, overlay, young = self.prefix, self._overlay, self._cache.young
        changes = [(prefix + key, row) for key, row in rows]
        for meta_key, _ in changes:
            old = overlay.get(meta_key) or young.get(meta_key)
            if old is None or old.expire_at or old.version:
                return False
        overlay.update(changes)  # nothing can fail from here on: there is nothing to undo
        return True

    def _load(self, meta_key: bytes) -> Row:
        row = self._cache.recall(meta_key)
        if row is None:
            row = self._decoded(self.tx.keyspace.engine.get(META, meta_key))
            self._cache.add(meta_key, row)
        return row

    def _expire(self, meta_key: bytes, row: Row) -> None:
        """Delete a row whose time has come, physically: a later read must not meet it again."""
        if row is not ABSENT:
            self._remove(meta_key, row)
            self.tx.expired += 1

    def set(self, key: bytes, row: Row) -> None:
        """Write ``row``, whatever the key held: ``peek`` and ``put`` in one, for SET."""
        meta_key = self.prefix + key
        overlay = self._overlay
        young = self._cache.young
        old = overlay.get(meta_key) or young.get(meta_key) or self._load(meta_key)
        if old.expire_at or old.version or row.expire_at:
            self.put(key, row, self.peek(key))
            return
        tx = self.tx
        row.atime = tx.now
        tx.undo.append((overlay, meta_key, overlay.get(meta_key, _MISSING), 0, 0, 0))
        overlay[meta_key] = row

    def put(self, key: bytes, row: Row, old: Row | None) -> None:
        """Write ``row``; ``old`` is what ``find`` or ``peek`` gave for the key just before."""
        tx = self.tx
        overlay = self._overlay
        meta_key = self.prefix + key
        if tx.touches or not row.atime:
            row.atime = tx.now
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
        tx.undo.append(
            (overlay, meta_key, overlay.get(meta_key, _MISSING), self.namespace, keys, expires)
        )
        overlay[meta_key] = row
        if keys or expires:
            tx.count(self.namespace, keys, expires)

    def delete(self, key: bytes, row: Row) -> None:
        """Delete ``key``, whose row ``find`` or ``peek`` gave just before. A large collection's
        elements are left to the reclaimer: this is O(1)."""
        self._remove(self.prefix + key, row)

    def _remove(self, meta_key: bytes, row: Row) -> None:
        tx = self.tx
        if row.version:
            tx.discard_version(row.version)
        self._detach(meta_key, row)

    def detach(self, key: bytes, row: Row) -> None:
        """Take the row off ``key`` without giving up its elements: they move with the row
        (RENAME, MOVE)."""
        self._detach(self.prefix + key, row)

    def _detach(self, meta_key: bytes, row: Row) -> None:
        tx = self.tx
        expires = self._move_deadline(meta_key, row.expire_at, 0) if row.expire_at else 0
        overlay = self._overlay
        tx.undo.append(
            (overlay, meta_key, overlay.get(meta_key, _MISSING), self.namespace, -1, expires)
        )
        overlay[meta_key] = ABSENT
        tx.count(self.namespace, -1, expires)

    def _index_deadline(self, meta_key: bytes, deadline: int) -> None:
        if deadline < self.tx._earliest:
            self.tx._earliest = deadline
        self.tx.put(EXPIRES, deadline_key(deadline, meta_key), b"")

    def _move_deadline(self, meta_key: bytes, old: int, new: int) -> int:
        """Keep the expiry index; the change in the number of keys that have a deadline."""
        if old:
            self.tx.put(EXPIRES, deadline_key(old, meta_key), None)
        if new:
            self._index_deadline(meta_key, new)
        return bool(new) - bool(old)

    # The whole database

    def counts(self) -> Counts:
        """Number of keys, and of keys with a deadline, this batch's writes included."""
        committed = self.tx.keyspace.counts.get(self.namespace, _NO_COUNTS)
        pending = self.tx.pending.get(self.namespace, _NO_COUNTS)
        return Counts(committed.keys + pending.keys, committed.expires + pending.expires)

    def rows(self, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(user key, raw meta row) in key order, from ``start`` on, of the keys that begin with
        ``prefix`` and have not expired. A consistent picture of the moment of the call."""
        self.tx.settle()
        lower = self.prefix + max(prefix, start)
        now = self.tx.now
        engine = self.tx.keyspace.engine
        for meta_key, raw in self.tx.paced(
            engine.items(META, lower, upper_bound(self.prefix + prefix))
        ):
            if is_alive(raw, now):
                yield meta_key[NAMESPACE_SIZE:], raw

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """User keys in order. Reads no values unless some key of the database has a deadline."""
        if self.counts().expires:
            for key, _ in self.rows(prefix):
                yield key
            return
        self.tx.settle()
        lower = self.prefix + prefix
        engine = self.tx.keyspace.engine
        for meta_key in self.tx.paced(engine.keys(META, lower, upper_bound(lower))):
            yield meta_key[NAMESPACE_SIZE:]

    def page(
        self, prefix: bytes, start: bytes, limit: int, type_: int | None = None
    ) -> tuple[list[bytes], bytes | None]:
        """User keys in order that begin with ``prefix``, from ``start`` on, and the key to go on
        from (None at the end).

        At most ``limit`` rows are looked at, and about PAGE_BYTES read, so fewer keys may come
        back: expired ones are left out, and those not of type ``type_`` where it is given.
        """
        self.tx.settle()
        engine = self.tx.keyspace.engine
        lower, upper = self.prefix + max(prefix, start), upper_bound(self.prefix + prefix)
        if type_ is None and not self.counts().expires:
            keys = [
                key[NAMESPACE_SIZE:] for key in islice(engine.keys(META, lower, upper), limit + 1)
            ]
            return keys[:limit], keys[limit] if len(keys) > limit else None
        keys = []
        read = 0
        for meta_key, raw in engine.items(META, lower, upper):
            if limit == 0 or read > PAGE_BYTES:
                return keys, meta_key[NAMESPACE_SIZE:]
            limit -= 1
            read += len(raw)
            if is_alive(raw, self.tx.now) and (type_ is None or stored_type(raw) == type_):
                keys.append(meta_key[NAMESPACE_SIZE:])
        return keys, None

    def random_key(self) -> bytes | None:
        """Some key that has not expired: any of few with the same chance, one of many as
        ``random_key`` draws it."""
        if self.counts().keys <= _FEW_KEYS:
            alive = list(self.keys())
            return random.choice(alive) if alive else None
        self.tx.settle()
        engine = self.tx.keyspace.engine
        for _ in range(_RANDOM_DRAWS):
            meta_key = random_key(engine, META, self.prefix)
            raw = meta_key and engine.get(META, meta_key)
            if meta_key and raw and is_alive(raw, self.tx.now):
                return meta_key[NAMESPACE_SIZE:]
        return next((key for key, _ in self.rows()), None)
