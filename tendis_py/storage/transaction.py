"""A thread's view of the keyspace: the writes of one batch, visible to it, committed as one.

``commit`` turns what is in the overlays into one RocksDB write and only then publishes rows to the
cache and figures to the keyspace; a unit of work that fails is undone alone. Whoever uses a
Transaction holds the locks of its keys.

``commit`` is the hot path: 1.3 µs a key (batches of 16).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from tendis_py.errors import StorageError, WriteStalledError
from tendis_py.storage.changes import Change, Expired, Place, Ready, Release, Unmodified
from tendis_py.storage.codec import (
    ABSENT,
    NAMESPACE_SIZE,
    PLAIN_STRING,
    Held,
    namespace_prefix,
    stored,
    version_prefix,
)
from tendis_py.storage.counters import KeyspaceCounters
from tendis_py.storage.database import Database
from tendis_py.storage.engine import RowWrite
from tendis_py.storage.families import GARBAGE, META, ROWS, SETTINGS
from tendis_py.storage.journal import (
    MOST_ROWS,
    SLICE_BYTES,
    SLICE_ROWS,
    DeletedRange,
    Journal,
    short_writes,
)
from tendis_py.storage.key_rows import MISSING
from tendis_py.storage.keyspace import Counts, Keyspace
from tendis_py.storage.order import OrderIndex
from tendis_py.storage.overlay import Overlay
from tendis_py.storage.pacing import ROWS_BETWEEN_RESTS, drain

NEVER = 1 << 64
"""A deadline (ms) after all others."""


class Transaction(Overlay):
    """Not thread-safe: one per executing thread, which ``counters`` belong to. ``now`` is the
    batch's time in ms."""

    def __init__(self, keyspace: Keyspace, counters: KeyspaceCounters | None = None) -> None:
        super().__init__(keyspace, counters or KeyspaceCounters())
        self.now = self.second = 0
        self.wants_sync = False
        """Whether the batch may only be answered once all that is in the log is durable."""
        self.author: object = None
        """Whose commands run on it; None for a job."""
        self.touches = True
        """Whether reads count as use of a key (CLIENT NO-TOUCH)."""
        self.settings: dict[bytes, bytes | None] = {}
        self.states: dict[str, Any] = {}
        """Of what is kept whole: what the batch has replaced."""
        self.outgoing: list[Release] = []
        """What is to happen once the batch is committed, because of what it has changed."""
        self.failure = ""
        """Why what the batch has committed may be lost, if it may: to be told to all it answers."""
        self.amends: list[Release] = []
        """What is to happen if the commit fails, last things first."""
        self.notes: dict[Any, Any] = {}
        """Stands in the undo list for "this has happened" (``KeyRows.note``); always empty."""
        self.pending: dict[int, Counts] = {}
        self._moved: dict[int, int] = {}
        """Databases that the batch points to another namespace: index → namespace."""
        self._earliest = NEVER
        """No deadline that the batch indexes is earlier."""
        self.settled = False
        """Whether a part of the batch is committed."""
        self._settled_outgoing = 0, 0
        self.settle_at = 0
        """From so many changes on the batch gets large: with as many more it is."""
        self.on_settle: Callable[[], None] = _nothing
        """Called when what has run of the batch so far is committed."""
        self.may_wait = True
        """Whether to wait in the middle of a batch while RocksDB stalls."""
        self._reordered: set[tuple[int, int]] = set()
        """Order indexes that know of writes not committed yet: version, family."""
        self._building: set[int] = set()
        """Versions whose rows are being written ahead of their commit."""
        self._layout = -1
        self._databases = [Database(self, index) for index in range(len(keyspace.namespaces))]
        self._indexes = self._by_prefix()

    def begin(self, now: int) -> None:
        """Start a batch at Unix time ``now`` in ms."""
        self.now = now
        self.second = now // 1000
        self.author = None
        self.settled = self.wants_sync = False
        self.failure = ""
        self._settled_outgoing = 0, 0
        self.settle_at = self.counters.changes + MOST_ROWS // 2
        if self._layout != self.keyspace.layout:
            self._layout = self.keyspace.layout
            for database in self._databases:
                database.point_to(self.keyspace.namespaces[database.index])
            self._indexes = self._by_prefix()

    def database(self, index: int) -> Database:
        return self._databases[index]

    @property
    def dirty(self) -> bool:
        written = self.meta or self.settings or self.states or self.ranges
        return bool(written or any(self.families.values()))

    def changing_order(self, version: int, family: int) -> OrderIndex | None:
        """The order index of a collection, if there is one, which the caller is to keep true to
        what it writes."""
        index = self.keyspace.orders.get(version, family)
        if index is not None:
            self._reordered.add((version, family))
        return index

    def _drop_orders(self) -> None:
        """Forget order indexes that know of writes that are not to be."""
        for version, family in self._reordered:
            self.keyspace.orders.drop(version, family)
        self._reordered.clear()

    def write_ahead(self, version: int, rows: Iterable[RowWrite]) -> None:
        """Write rows of a version that no key names yet, at once and outside of the batch. Should
        that never happen, the reclaimer finds the version among the garbage."""
        engine = self.keyspace.engine
        if version not in self._building:
            self._building.add(version)
            self.keyspace.building.add(version)
            engine.write([(GARBAGE, version_prefix(version), b"")])
        engine.write(rows)
        self.pace.rest(2 * ROWS_BETWEEN_RESTS)

    def discard_version(self, version: int) -> None:
        """Leave the rows of a large collection to the reclaimer."""
        self.put(GARBAGE, version_prefix(version), b"")

    def database_of(self, meta_key: bytes) -> Database | None:
        """The database a meta row belongs to; None when that was flushed."""
        namespace = int.from_bytes(meta_key[:NAMESPACE_SIZE], "big")
        for database in self._databases:
            if database.namespace == namespace:
                return database
        return None

    def count(self, namespace: int, keys: int, expires: int) -> None:
        pending = self.pending.get(namespace)
        if pending is None:
            pending = self.pending[namespace] = Counts()
        pending.keys += keys
        pending.expires += expires

    # Outcome

    def end_unit(self) -> Change | None:
        """The unit of work is complete: it can no longer be taken back by itself, and those who are
        interested hear what it has changed. That is returned, if there are any."""
        interest = self.keyspace.interest
        change = None
        if interest.active and (change := self._change()) is not None:
            interest.tell(change, self.outgoing)
        drain(self.undo)
        return change

    def _change(self) -> Change | None:
        """What the unit has changed of the keyspace, None when that is nothing."""
        meta = self.meta
        keys: dict[bytes, None] = {}
        expired: set[bytes] = set()
        ready: list[bytes] = []
        databases: set[int] = set()
        for overlay, key, _, _, _, _, edits in self.undo:
            if overlay is meta:
                kind = type(edits)
                if kind is Ready:
                    ready.append(key)
                elif kind is not Unmodified:
                    some = key if type(key) is list else (key,)
                    keys.update(dict.fromkeys(some))
                    if kind is Expired:
                        expired.update(some)
                    elif expired:
                        expired.difference_update(some)
            elif overlay is self._moved:
                databases.add(key)
        if not keys and not databases and not ready:
            return None
        return Change(
            self._places(keys),
            frozenset(databases),
            self._has,
            author=self.author,
            expired=frozenset(self._places(expired)) if expired else frozenset(),
            ready=self._places(ready) if ready else (),
        )

    def changed_since(self, mark: int) -> tuple[Place, ...]:
        """The keys that the unit has changed since ``mark``, each once, in order."""
        meta = self.meta
        keys: dict[bytes, None] = {}
        for overlay, key, _, _, _, _, edits in islice(self.undo, mark, None):
            if overlay is meta and not isinstance(edits, Unmodified):
                keys.update(dict.fromkeys(key if type(key) is list else (key,)))
        return self._places(keys) if keys else ()

    def _places(self, meta_keys: Iterable[bytes]) -> tuple[Place, ...]:
        """Where keys are, or were when the unit began; not those of databases that were emptied
        before."""
        indexes = self._indexes
        if self._moved:
            indexes = {}
            for overlay, key, before, *_ in self.undo:
                if overlay is self._moved:
                    namespace = self.keyspace.namespaces[key] if before is MISSING else before
                    indexes[namespace_prefix(namespace)] = key
            indexes |= self._by_prefix()
        return tuple(
            [
                (index, key[NAMESPACE_SIZE:])
                for key in meta_keys
                if (index := indexes.get(key[:NAMESPACE_SIZE])) is not None
            ]
        )

    def _by_prefix(self) -> dict[bytes, int]:
        """Prefix of meta keys → index of the database."""
        return {one.prefix: one.index for one in self._databases}

    def _has(self, place: Place) -> bool:
        index, key = place
        return self._databases[index].is_there(key)

    def release(self, *, settled_only: bool = False) -> None:
        """Have happen what waited for the commit; if that has failed, only what follows from the
        part of the batch that was committed before, and what has to be made good of the rest."""
        outgoing, self.outgoing = self.outgoing, []
        amends, self.amends = self.amends, []
        settled, settled_amends = self._settled_outgoing
        if settled_only:
            del outgoing[settled:]
        for call in outgoing:  # which may add others
            call()
        if settled_only:
            for call in reversed(amends[settled_amends:]):
                call()

    def mark(self) -> int:
        """Where the unit of work stands, for ``rollback_to``."""
        return len(self.undo)

    def rollback_to(self, mark: int) -> None:
        """Take back what was written since ``mark``. Order indexes are left alone when that is
        nothing: they may know of what other commands of the batch wrote."""
        undo = self.undo
        if len(undo) == mark:
            return
        for overlay, key, before, namespace, keys, expires, edits in reversed(undo[mark:]):
            self.counters.changes -= edits
            for one, value in (
                zip(key, before, strict=True) if type(key) is list else [(key, before)]
            ):
                if value is MISSING:
                    overlay.pop(one, None)
                else:
                    overlay[one] = value
            if keys or expires:
                self.count(namespace, -keys, -expires)
            if overlay is self._moved:
                self._databases[key].point_to(self._moved.get(key, self.keyspace.namespaces[key]))
        del undo[mark:]
        self._drop_orders()

    def rollback_command(self) -> None:
        """Take back the whole unit: what the running command wrote."""
        self.rollback_to(0)

    def rollback(self) -> None:
        """Forget every uncommitted write of the batch."""
        self._drop_orders()
        self._forget()

    def _forget(self) -> None:
        self.meta.clear()
        self.deleted.clear()
        for overlay in self.families.values():
            overlay.clear()
        self.settings.clear()
        self.states.clear()
        self.ranges.clear()
        self.pending.clear()
        self.undo.clear()
        self.in_passing = self.many_bytes = False
        self._earliest = NEVER
        if self._building:
            self.keyspace.building -= self._building
            self._building.clear()
        if self._moved:
            self._moved.clear()
            self._layout = -1

    def commit(self, *, may_wait: bool = True) -> bool:
        """Write the batch to the log; whether anything was written since ``begin``.

        Raises WriteStalledError (only if not ``may_wait``; commit again later) or StorageError
        (nothing was written; call ``rollback``). Many rows take a while, whether or not RocksDB
        stalls.
        """
        meta = self.meta
        if not self.dirty:
            if self._building:
                self._forget()
            return self.settled
        keyspace = self.keyspace
        if self._is_large:
            if not may_wait:
                raise WriteStalledError
            self._commit_in_slices()
        else:
            growth = 0 if self.in_passing else keyspace.cache.growth(meta)
            if self.pending:
                self._commit_counts(
                    lambda counts: keyspace.engine.write_batch(
                        lambda: self._build(counts), may_wait=may_wait
                    )
                )
            else:
                keyspace.engine.write_batch(self._build, may_wait=may_wait)
            self._publish(meta, growth, self.families[ROWS])
        if self.deleted and not self.in_passing:
            keyspace.cache.note_deleted(self.deleted)
        if self._earliest <= keyspace.expiry_low_water.deadline:
            keyspace.expiry_low_water.lower(self._earliest)
        self._publish_moves()
        if self.states:
            keyspace.states.update(self.states)
        self._reordered.clear()
        self._forget()
        return True

    def _build(self, counts: Iterable[tuple[bytes, bytes]] = ()) -> Any:
        """A RocksDB batch of everything written, and of ``counts``."""
        batch, handles = self.keyspace.engine.new_batch()
        for key, count in counts:
            batch[key] = count
        for key, setting in self.settings.items():
            if setting is None:
                del batch[key]
            else:
                batch[key] = setting
        for family, lower, upper in self.ranges:
            batch.delete_range(lower, upper, handles[family])
        batch.set_default_column_family(handles[META])
        for key, row in self.meta.items():
            if isinstance(row, bytes):
                batch[key] = PLAIN_STRING + row
            elif row is ABSENT:
                del batch[key]
            else:
                batch[key] = row.encode()
        for family, overlay in self.families.items():
            if overlay:
                batch.set_default_column_family(handles[family])
                for key, change in overlay.items():
                    if change is None:
                        del batch[key]
                    else:
                        batch[key] = change
        return batch

    def _publish(
        self, meta: dict[bytes, Held], growth: int, values: dict[bytes, bytes | None]
    ) -> None:
        """Let the cache have what is committed."""
        cache = self.keyspace.cache
        for written in self.keyspace.views:
            written.update(meta, values)
        if self.in_passing:
            cache.drop(meta)
        else:
            cache.update(meta, growth)
        if values:
            cache.update_values(values)

    def _publish_moves(self) -> None:
        if self._moved:
            self.keyspace.move_databases(self._moved)
            self._moved.clear()
            self._layout = -1
            self._indexes = self._by_prefix()

    @property
    def _is_large(self) -> bool:
        return (
            self.many_bytes
            or len(self.meta) > MOST_ROWS
            or len(self.settings) > MOST_ROWS
            or max(map(len, self.families.values())) > MOST_ROWS
        )

    @property
    def _slices_settings(self) -> bool:
        """Whether the settings may be too many, or too long, for one write."""
        return bool(self.states) or len(self.settings) > MOST_ROWS

    def _commit_in_slices(self) -> None:
        """The commit, in writes none of which takes long (see journal.py)."""
        keyspace = self.keyspace
        journal = Journal(keyspace.engine, keyspace.new_version())
        try:
            for rows, ranges in self._slices():
                journal.stage(rows, ranges)
            settings = () if self._slices_settings else tuple(self.settings.items())
            if self.pending:
                self._commit_counts(lambda counts: journal.make_true([*counts, *settings]))
            else:
                journal.make_true(settings)
        except StorageError:
            journal.abandon()
            raise
        self._publish_moves()
        for number, (rows, ranges) in enumerate(self._slices()):
            journal.apply(number, rows, ranges)
            family = rows[0][0]
            if family == META:
                meta = {key: self.meta[key] for _, key, _ in rows}
                self._publish(meta, keyspace.cache.growth(meta), {})
            elif family == ROWS:
                self._publish({}, 0, {key: value for _, key, value in rows})
            keyspace.cache.trim()
        journal.close()
        drain(self.meta)
        for overlay in self.families.values():
            drain(overlay)

    def _slices(self) -> Iterator[tuple[list[RowWrite], list[DeletedRange]]]:
        """Everything written, each slice of one family, with rests in between; the ranges to delete
        come first."""
        ranges = list(self.ranges)
        overlays: list[tuple[int, dict[bytes, Any]]] = [(META, self.meta), *self.families.items()]
        if self._slices_settings:
            overlays.append((SETTINGS, self.settings))
        for family, overlay in overlays:
            items = iter(overlay.items())
            while some := list(islice(items, SLICE_ROWS)):
                if family == META:
                    some = [(key, stored(row)) for key, row in some]
                for part in short_writes([(family, key, value) for key, value in some]):
                    yield part, ranges
                    ranges = []
                    self.pace.rest(2 * ROWS_BETWEEN_RESTS)

    def _commit_counts(self, write: Callable[[list[tuple[bytes, bytes]]], None]) -> None:
        """``write`` the counters as they will be, and let everybody have them."""
        keyspace = self.keyspace
        with keyspace.commit_lock:
            published = []
            settings: list[tuple[bytes, bytes]] = []
            for namespace, delta in self.pending.items():
                counts = keyspace.counts.setdefault(namespace, Counts())
                keys, expires = counts.keys + delta.keys, counts.expires + delta.expires
                settings.append(keyspace.count_setting(namespace, keys, expires))
                published.append((counts, keys, expires))
            write(settings)
            for counts, keys, expires in published:
                counts.keys, counts.expires = keys, expires

    def flush_databases(self, indexes: Iterable[int]) -> None:
        """Empty databases, each in constant time. The batch holds all keys."""
        for index in indexes:
            database = self._databases[index]
            if keys := database.counts().keys:
                self._count_changes(keys)
                namespace, setting = self.keyspace.new_namespace()
                self._set([(self.keyspace.dead_setting(database.namespace), b""), setting])
                self._move_database(index, namespace)

    def swap_databases(self, first: int, second: int) -> None:
        """Swap two databases. The batch holds all keys."""
        self._count_changes(1)
        namespaces = self._databases[first].namespace, self._databases[second].namespace
        self._move_database(second, namespaces[0])
        self._move_database(first, namespaces[1])

    def _move_database(self, index: int, namespace: int) -> None:
        """Point a database elsewhere: here at once, for other threads from the commit on."""
        self._databases[index].point_to(namespace)
        self.undo.append((self._moved, index, self._moved.get(index, MISSING), 0, 0, 0, 0))
        self._moved[index] = namespace
        self._set([self.keyspace.database_setting(index, namespace)])

    def state(self, name: str) -> Any:
        """What is kept whole under ``name``, as the batch has it."""
        kept = self.states.get(name)
        return self.keyspace.states[name] if kept is None else kept

    def keep(self, name: str, state: Any, settings: list[tuple[bytes, bytes | None]]) -> None:
        """Replace what is kept whole under ``name``, which changes ``settings`` (None deletes): one
        change. The batch holds a key that stands for it."""
        self.undo.append((self.states, name, self.states.get(name, MISSING), 0, 0, 0, 0))
        self.states[name] = state
        self._set(settings)
        self._count_changes(1)
        if sum([len(value or b"") for _, value in settings]) > SLICE_BYTES:
            self.many_bytes = True

    def _count_changes(self, edits: int) -> None:
        self.undo.append((self.settings, b"", MISSING, 0, 0, 0, edits))
        self.counters.changes += edits

    def _set(self, settings: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in settings:
            self.undo.append((self.settings, key, self.settings.get(key, MISSING), 0, 0, 0, 0))
            self.settings[key] = value

    def settle_if_large(self) -> None:
        """Between requests of different clients, which need not be one commit: ``settle`` before it
        gets large."""
        if self.counters.changes > self.settle_at:
            self.settle()
            self.settle_at = self.counters.changes + MOST_ROWS // 2

    def settle(self) -> bool:
        """Commit what complete units of work have written, so that an iteration sees it. False when
        a part of one is written already, or RocksDB does not take it now: then nothing has
        happened, and an iteration has to merge."""
        if not self.dirty:
            return True
        if self.undo or self._building:
            return False
        try:
            self.commit(may_wait=self.may_wait)
        except (WriteStalledError, StorageError):
            return False  # the commit at the end of the batch will tell
        self.settled = True
        self._settled_outgoing = len(self.outgoing), len(self.amends)
        self.on_settle()
        return True


def _nothing() -> None:
    pass
