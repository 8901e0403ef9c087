"""One logical database, as one thread's transaction sees it: user keys to rows.

``find``, ``find_bare``, ``find_many``, ``set`` and ``set_all`` are the hot path; ``rows``,
``keys``, ``page`` and ``random_key`` iterate. Whoever writes holds the locks of the keys.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from itertools import compress, islice, repeat
from operator import add
from typing import TYPE_CHECKING, Any

from tendis_py.storage.cache import USE_SLOTS
from tendis_py.storage.codec import (
    ABSENT,
    FIELDS_DUE,
    KEY_DUE,
    NAMESPACE_SIZE,
    AbsentRow,
    Held,
    Row,
    StringRow,
    deadline_key,
    decode_held,
    held,
    is_alive,
    namespace_prefix,
    stored,
    stored_type,
    upper_bound,
)
from tendis_py.storage.families import EXPIRES, META
from tendis_py.storage.keyspace import Counts
from tendis_py.storage.limits import Limits
from tendis_py.storage.random_key import random_key

if TYPE_CHECKING:
    from tendis_py.storage.transaction import Transaction

MISSING: Any = object()
"""Stands in an undo entry for "the overlay did not have the key"."""

NO_COUNTS = Counts()

PAGE_BYTES = 1 << 20
_BARE = {bytes}
_BARE_OR_ABSENT = frozenset((bytes, AbsentRow))
_USE_MASK = USE_SLOTS - 1
_FEW_KEYS = 256
_RANDOM_DRAWS = 16


class Database:
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
            self._uses[hash(meta_key) & _USE_MASK] = tx.second
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
            self._expire(meta_key, row)
            return None
        return row

    def inspect(self, key: bytes) -> Row | None:
        """As ``find``, but not counted as a use of the key: for TTL, TYPE, EXISTS."""
        row = self.peek(key)
        if row is None:
            self._counters.misses += 1
        else:
            self._counters.hits += 1
        return row

    def touch(self, key: bytes) -> None:
        """Count as a use of ``key``, now."""
        self._uses[hash(self.prefix + key) & _USE_MASK] = self.tx.second

    def last_use(self, key: bytes) -> int:
        """When ``key`` was last used, in Unix seconds; approximate (see RowCache.uses)."""
        return self._uses[hash(self.prefix + key) & _USE_MASK]

    def find_all_bare(self, keys: list[bytes]) -> list[bytes] | None:
        """As ``find_bare`` for each key; None, and nothing has happened, unless all are bare and at
        hand."""
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        if set(map(type, found)) != _BARE:
            return None
        self._counters.hits += len(keys)
        if self.tx.touches:
            self._touch_all(meta_keys)
        return found  # type: ignore[return-value]

    def find_many(self, keys: list[bytes]) -> list[Held]:
        """As ``find`` for each key: a string as its bytes where it is held bare, ABSENT for no such
        key. What the cache does not have is read by list, with the GIL released."""
        meta_keys = self._meta_keys(keys)
        found = self._completed(meta_keys, self._at_hand(meta_keys))
        if not _BARE_OR_ABSENT.issuperset(map(type, found)):
            return [held(self.find(key) or ABSENT) for key in keys]
        absent = found.count(ABSENT)
        self._counters.hits += len(keys) - absent
        self._counters.misses += absent
        if self.tx.touches:
            self._touch_all(meta_keys)
        return found

    def _meta_keys(self, keys: list[bytes]) -> list[bytes]:
        return list(map(add, repeat(self.prefix), keys))

    def _touch_all(self, meta_keys: list[bytes]) -> None:
        uses = self._uses
        second = self.tx.second
        for meta_key in meta_keys:
            uses[hash(meta_key) & _USE_MASK] = second

    def _completed(self, meta_keys: list[bytes], found: list[Held | None]) -> list[Held]:
        """``found``, which was at hand, with what was not; the cache takes it in."""
        missing = {key for key, what in zip(meta_keys, found, strict=True) if what is None}
        if not missing:
            return found  # type: ignore[return-value]
        recall, add = self._cache.recall, self._cache.add
        known = {key: recall(key) for key in missing}
        wanted = [key for key, what in known.items() if what is None]
        values = self.tx.keyspace.engine.get_many(META, wanted)
        for key, raw in zip(wanted, values, strict=True):
            known[key] = what = ABSENT if raw is None else decode_held(raw)
            add(key, what)
        return [
            known[key] if what is None else what for key, what in zip(meta_keys, found, strict=True)
        ]

    def _at_hand(self, meta_keys: list[bytes]) -> list[Held | None]:
        """What the batch has written or the young generation of the cache has."""
        found: list[Held | None] = list(map(self._cache.young.get, meta_keys))
        overlay = self._overlay
        return list(map(overlay.get, meta_keys, found)) if overlay else found

    def find_texts(self, keys: list[bytes]) -> tuple[list[bytes], list[bytes | None]]:
        """The bare string at each of ``keys``, which are different; b"" where there is no such key,
        None for any other row. It leaves no trace. Before them, the keys of their rows, for
        ``put_texts``."""
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        if set(map(type, found)) != _BARE:
            found = [
                what if type(what) is bytes else b"" if what is ABSENT else None
                for what in self._completed(meta_keys, found)
            ]
        return meta_keys, found  # type: ignore[return-value]

    def put_texts(self, meta_keys: list[bytes], texts: list[bytes], new: list[bytes]) -> None:
        """Set what ``find_texts`` has just found to ``texts``, none of them empty; ``new`` are
        those of the rows that were not there."""
        self._write_all(meta_keys, texts, len(new))
        self._touch_all(meta_keys if self.tx.touches else new)

    def set_all(self, keys: list[bytes], values: list[bytes]) -> None:
        """``set`` each key, in order; new keys and bare strings together, at a fourth of the
        cost."""
        if not all(values):
            for key, value in zip(keys, values, strict=True):
                self.set(key, value)
            return
        meta_keys = self._meta_keys(keys)
        found = self._at_hand(meta_keys)
        new: Collection[bytes] = ()
        if set(map(type, found)) != _BARE:
            before = self._completed(meta_keys, found)
            if not _BARE_OR_ABSENT.issuperset(map(type, before)):
                plain = [type(what) in _BARE_OR_ABSENT for what in before]
                for key, value, is_plain in zip(keys, values, plain, strict=True):
                    if not is_plain:
                        self.set(key, value)
                meta_keys, values = list(compress(meta_keys, plain)), list(compress(values, plain))
                before = list(compress(before, plain))
            new = {key for key, what in zip(meta_keys, before, strict=True) if what is ABSENT}
        self._write_all(meta_keys, values, len(new))
        self._touch_all(meta_keys)

    def _write_all(self, meta_keys: list[bytes], texts: list[bytes], new: int) -> None:
        """Set rows to bare strings; ``new`` of them were not there. One entry to undo them all."""
        overlay = self._overlay
        before: list[Any] = [MISSING] * len(meta_keys)
        if overlay:
            before = list(map(overlay.get, meta_keys, before))
        edits = len(meta_keys)
        self.tx.undo.append((overlay, meta_keys, before, self.namespace, new, 0, edits))
        self._counters.changes += edits
        overlay.update(zip(meta_keys, texts, strict=True))
        if new:
            self.tx.count(self.namespace, new, 0)

    def _load(self, meta_key: bytes) -> Held:
        what: Held | None = self._cache.recall(meta_key)
        if what is None:
            raw = self.tx.keyspace.engine.get(META, meta_key)
            what = ABSENT if raw is None else decode_held(raw)
            self._cache.add(meta_key, what)
        return what

    def _expire(self, meta_key: bytes, row: Row) -> None:
        """Delete a row whose time has come, physically: a later read must not meet it again."""
        if row is not ABSENT and self.tx.keyspace.may_expire():
            self._remove(meta_key, row, 0)
            self._counters.expired += 1

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
        self._uses[hash(meta_key) & _USE_MASK] = tx.second

    def put(self, key: bytes, row: Row, old: Row | None, *, edits: int = 1) -> None:
        """Write ``row``; ``old`` is what ``find`` or ``peek`` gave for the key just before. For
        INFO that counts as so many ``edits``."""
        tx = self.tx
        overlay = self._overlay
        meta_key = self.prefix + key
        if tx.touches or old is None:
            self._uses[hash(meta_key) & _USE_MASK] = tx.second
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

    # The whole database

    def counts(self) -> Counts:
        """Number of keys, and of keys with a deadline, this batch's writes included."""
        committed = self.tx.keyspace.counts.get(self.namespace, NO_COUNTS)
        pending = self.tx.pending.get(self.namespace, NO_COUNTS)
        return Counts(committed.keys + pending.keys, committed.expires + pending.expires)

    def rows(self, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """(user key, raw meta row) in key order, from ``start`` on, of the keys that begin with
        ``prefix`` and have not expired. A consistent picture of the moment of the call."""
        lower = self.prefix + max(prefix, start)
        now = self.tx.now
        for meta_key, raw in self.tx.rows(META, lower, upper_bound(self.prefix + prefix)):
            if is_alive(raw, now):
                yield meta_key[NAMESPACE_SIZE:], raw

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """User keys in order. Reads no values unless some key of the database has a deadline."""
        if self.counts().expires:
            for key, _ in self.rows(prefix):
                yield key
            return
        lower = self.prefix + prefix
        for meta_key in self.tx.row_keys(META, lower, upper_bound(lower)):
            yield meta_key[NAMESPACE_SIZE:]

    def page(
        self, prefix: bytes, start: bytes, limit: int, type_: int | None = None
    ) -> tuple[list[bytes], bytes | None]:
        """User keys in order that begin with ``prefix``, from ``start`` on, and the key to go on
        from (None at the end).

        At most ``limit`` rows are looked at, and about PAGE_BYTES read, so fewer keys may come
        back: expired ones are left out, and those not of type ``type_`` where it is given.
        """
        lower, upper = self.prefix + max(prefix, start), upper_bound(self.prefix + prefix)
        if type_ is None and not self.counts().expires:
            found = islice(self.tx.row_keys(META, lower, upper), limit + 1)
            keys = [key[NAMESPACE_SIZE:] for key in found]
            return keys[:limit], keys[limit] if len(keys) > limit else None
        keys = []
        read = 0
        for meta_key, raw in self.tx.rows(META, lower, upper):
            if limit == 0 or read > PAGE_BYTES:
                return keys, meta_key[NAMESPACE_SIZE:]
            limit -= 1
            read += len(raw)
            if is_alive(raw, self.tx.now) and (type_ is None or stored_type(raw) == type_):
                keys.append(meta_key[NAMESPACE_SIZE:])
        return keys, None

    def random_key(self) -> bytes | None:
        """Some key that has not expired: any of few with the same chance, one of many as
        ``random_key`` draws it. While nothing may expire and all keys have, one of those."""
        if self.counts().keys <= _FEW_KEYS:
            alive = list(self.keys())
            return random.choice(alive) if alive else self._expired_key()
        settled = self.tx.settle()
        own = [] if settled else [key for key in self._overlay if key.startswith(self.prefix)]
        for _ in range(_RANDOM_DRAWS):
            meta_key = self._draw(own)
            if meta_key is not None and self._exists(meta_key):
                return meta_key[NAMESPACE_SIZE:]
        return next((key for key, _ in self.rows()), None) or self._expired_key()

    def _draw(self, own: list[bytes]) -> bytes | None:
        """The meta key of some row on disk, or of one of ``own``, which the batch has written or
        deleted: each with its chance."""
        on_disk = self.tx.keyspace.counts.get(self.namespace, NO_COUNTS).keys
        if random.randrange(on_disk + len(own)) >= on_disk:
            return random.choice(own)
        return random_key(self.tx.keyspace.engine, META, self.prefix)

    def _exists(self, meta_key: bytes) -> bool:
        what = self._overlay.get(meta_key)
        raw = self.tx.keyspace.engine.get(META, meta_key) if what is None else stored(what)
        return raw is not None and is_alive(raw, self.tx.now)

    def _expired_key(self) -> bytes | None:
        """Some key, where all have expired and none may be deleted; else None."""
        if self.tx.keyspace.may_expire():
            return None
        meta_key = random_key(self.tx.keyspace.engine, META, self.prefix)
        return meta_key and meta_key[NAMESPACE_SIZE:]
