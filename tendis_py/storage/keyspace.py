"""The keyspace: logical databases, live counters, and the state that all threads share.

One ``Keyspace`` per data folder. Threads work on it through a ``Transaction`` each (see
transaction.py); this module owns what a commit publishes: the namespace of each database, the
number of keys in it, and the row cache.
"""

from __future__ import annotations

import copy
import itertools
import logging
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tendis_py.storage import journal
from tendis_py.storage.cache import CacheView, RowCache
from tendis_py.storage.changes import Interest
from tendis_py.storage.codec import deadline_key, namespace_prefix
from tendis_py.storage.cursors import Cursors
from tendis_py.storage.engine import Engine, EngineView
from tendis_py.storage.limits import DefaultLimits, Limits
from tendis_py.storage.locks import KeyLocks
from tendis_py.storage.order import OrderIndexes

log = logging.getLogger(__name__)

DATABASE_SETTING = b"database:"  # + index (decimal) → namespace
COUNT_SETTING = b"count:"  # + namespace → keys, keys with an expiry
DEAD_SETTING = b"dead:"  # + namespace: flushed, its rows wait for the reclaimer
_NEXT_NAMESPACE = b"next-namespace"
_EPOCH = b"epoch"

COUNTS_LAYOUT = struct.Struct(">QQ")
_VERSION_BITS = 40
_VERSION = 1 << 63
"""The bit that tells a version from a namespace in a key."""
_CURSOR_BITS = 32
_EPOCHS_OF_CURSORS = (1 << 16) - 1
"""With both and their own bits, cursors are below 2**53: a client may keep them in a double."""

ORDER_SHARE = 4
"""All order indexes together may take such a part of what the row cache may."""


class Counts:
    """Live figures of one namespace."""

    __slots__ = ("expires", "keys")

    def __init__(self, keys: int = 0, expires: int = 0) -> None:
        self.keys = keys
        self.expires = expires


class LowWater:
    """The lower end of the expiry index: no row stands before ``position``, whose deadline (ms) is
    ``deadline``.

    A sweep that starts there skips the tombstones of what was swept before, also of keys that had
    all the same deadline. The sweep raises the mark before it looks, and a commit lowers it after
    it has written, so no row stays below it.
    """

    __slots__ = ("_lock", "deadline", "position")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.deadline = 0
        self.position = b""

    def lower(self, deadline: int) -> None:
        """Something with this deadline was written, somewhere among the rows that have it."""
        self.lower_to(deadline, deadline_key(deadline, b""))

    def lower_to(self, deadline: int, position: bytes) -> None:
        with self._lock:
            if position < self.position:
                self.deadline, self.position = deadline, position

    def raise_past(self, first: bytes, last: bytes, deadline: int) -> None:
        """Nothing is to be done about the rows from ``first``, where the mark should be, to
        ``last`` with its ``deadline``."""
        with self._lock:
            if self.position == first:
                self.deadline, self.position = deadline, last + b"\0"

    def raise_to(self, deadline: int) -> bytes:
        """Raise the mark to the first row with this deadline; where it stood before."""
        position = deadline_key(deadline, b"")
        with self._lock:
            before = self.position
            if position > before:
                self.deadline, self.position = deadline, position
            return before


class Keyspace:
    """``databases`` logical databases on ``engine``, with a row cache of ``cache_bytes``."""

    def __init__(
        self,
        engine: Engine,
        *,
        databases: int = 16,
        cache_bytes: int = 64 << 20,
        limits: Limits | None = None,
        now: int = 0,
    ) -> None:
        """``now`` in Unix seconds: unless known otherwise, when keys were last used."""
        self.engine = engine
        self.limits = limits or DefaultLimits()
        self.cache = RowCache(cache_bytes, now)
        self.orders = OrderIndexes(cache_bytes // ORDER_SHARE)
        self.building: set[int] = set()
        """Versions that are being written ahead of their commit, and are not garbage yet."""
        self.locks = KeyLocks()
        self.interest = Interest()
        self.notes_events = False
        """Whether somebody is notified of events, so that transactions note those that do not show
        in what they write. Set by the services."""
        self.commit_lock = threading.Lock()
        """Held while a commit writes and publishes its counters."""
        self.may_expire: Callable[[], bool] = lambda: True
        """Whether keys whose time has come may be deleted, and whatever else is written that nobody
        has asked for: until then nobody sees such keys, but they count. Set by the services."""
        self.views: tuple[set[bytes], ...] = ()
        """For each view the rows that were written since it was made."""
        self.turns = 0
        """Turns begun by all reactors, about: long work sees by it whether there is other work."""
        self.layout = 0
        """Changes whenever a database points to another namespace."""
        self.counts: dict[int, Counts] = {}
        self.states: dict[str, Any] = {}
        """What is kept in memory whole, besides the settings it is made of: name → an object that
        nobody changes. Set at the start by who knows it, then by ``Transaction.keep``."""
        self.namespaces: list[int] = []
        self.expiry_low_water = LowWater()
        self._next_namespace = 1
        self._versions = itertools.count(1)
        self._open(databases)

    def _open(self, databases: int) -> None:
        engine = self.engine
        if finished := journal.finish(engine):
            log.warning("finished %d large commits that were interrupted", finished)
        stored = {
            int(key[len(DATABASE_SETTING) :]): int.from_bytes(value, "big")
            for key, value in engine.settings(DATABASE_SETTING)
        }
        for key, value in engine.settings(COUNT_SETTING):
            namespace = int.from_bytes(key[len(COUNT_SETTING) :], "big")
            self.counts[namespace] = Counts(*COUNTS_LAYOUT.unpack(value))
        self._next_namespace = int.from_bytes(engine.get_setting(_NEXT_NAMESPACE) or b"\x01", "big")
        epoch = int.from_bytes(engine.get_setting(_EPOCH) or b"", "big") + 1
        self._versions = itertools.count(_VERSION | (epoch << _VERSION_BITS) + 1)
        self.cursors = Cursors(((epoch & _EPOCHS_OF_CURSORS) << _CURSOR_BITS) + 1)
        settings = [(_EPOCH, epoch.to_bytes(3, "big"))]
        for index in range(databases):
            if index not in stored:
                stored[index], setting = self.new_namespace()
                settings += [setting, self.database_setting(index, stored[index])]
            self.namespaces.append(stored[index])
            self.counts.setdefault(stored[index], Counts())
        engine.write((), settings)

    @contextmanager
    def view(self) -> Iterator[Keyspace]:
        """The keyspace as it is now, for whoever reads rows by key and holds, when this begins, the
        keys that matter: what is committed later does not show. TooLargeError for what can't be
        read so (see ``EngineView``)."""
        view = copy.copy(self)
        view.cache = cache = CacheView(self.cache)
        view.orders = OrderIndexes(0)
        view.interest = Interest()
        view.may_expire = lambda: False
        view.namespaces = self.namespaces.copy()
        with self.commit_lock:
            self.views = (*self.views, cache.written)
        try:
            view.engine = rows = EngineView(self.engine)
            try:
                yield view
            finally:
                rows.let_go()
        finally:
            with self.commit_lock:
                self.views = tuple(one for one in self.views if one is not cache.written)

    def reload(self) -> bool:
        """Close the folder, open it anew and forget what was read of it. The caller holds all keys.
        False when somebody uses the folder without: nothing has happened. StorageError when it can
        only be read; then that goes on."""
        if not self.engine.reopen():
            return False
        journal.finish(self.engine)
        self._forget()
        return True

    def finish_commits(self) -> None:
        """Finish the large commits that a write error has interrupted, now that the folder is open
        anew. The caller holds all keys."""
        if journal.finish(self.engine):
            self._forget()

    def _forget(self) -> None:
        self.cache.clear()
        self.orders.clear()
        self.expiry_low_water.lower(0)

    def limit_caches(self, size: int) -> None:
        """Let the row cache hold ``size`` bytes, and the order indexes their share besides."""
        self.cache.limit, self.orders.limit = size, size // ORDER_SHARE

    def new_namespace(self) -> tuple[int, tuple[bytes, bytes]]:
        """An unused namespace, and the setting to commit with its first use."""
        namespace = self._next_namespace
        self._next_namespace += 1
        return namespace, (_NEXT_NAMESPACE, namespace_prefix(self._next_namespace))

    def new_version(self) -> int:
        """A number no large collection had before, restarts included."""
        return next(self._versions)

    @staticmethod
    def database_setting(index: int, namespace: int) -> tuple[bytes, bytes]:
        return DATABASE_SETTING + b"%d" % index, namespace_prefix(namespace)

    @staticmethod
    def count_setting(namespace: int, keys: int, expires: int) -> tuple[bytes, bytes]:
        return COUNT_SETTING + namespace_prefix(namespace), COUNTS_LAYOUT.pack(keys, expires)

    def move_databases(self, moved: dict[int, int]) -> None:
        """Publish where databases point to (index → namespace), now that it is committed. The
        caller holds all keys."""
        for index, namespace in moved.items():
            self.counts.setdefault(namespace, Counts())
            self.namespaces[index] = namespace
        self.layout += 1
        if self.is_empty:
            self.cache.clear(self.new_version())
            self.orders.clear()

    @property
    def is_empty(self) -> bool:
        """Whether no database has a key."""
        return not any(self.counts[namespace].keys for namespace in self.namespaces)

    def dead_namespaces(self) -> Iterator[int]:
        """Flushed namespaces whose rows are still on disk."""
        for key, _ in self.engine.settings(DEAD_SETTING):
            yield int.from_bytes(key[len(DEAD_SETTING) :], "big")

    @staticmethod
    def dead_setting(namespace: int) -> bytes:
        return DEAD_SETTING + namespace_prefix(namespace)

    def forget_namespace(self, namespace: int) -> list[bytes]:
        """Settings to delete once the rows of a dead namespace are gone."""
        self.counts.pop(namespace, None)
        prefix = namespace_prefix(namespace)
        return [DEAD_SETTING + prefix, COUNT_SETTING + prefix]

    def size(self, index: int) -> Counts:
        """Committed figures of database ``index``."""
        return self.counts[self.namespaces[index]]
