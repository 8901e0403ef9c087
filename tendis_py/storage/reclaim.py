"""The reclaimer: flushed databases, and large collections that are gone, leave the disk in slices.

Nothing refers to a dead namespace or version any more, so no locks are needed. What the keys of a
namespace own besides their meta row is given up key by key, then all of it is deleted as one range.
A version's elements are deleted one by one where they are few, else as a range, once the row cache
has dropped them, slice by slice: it would hold them until its generation turns. Ranges are
compacted away, or RocksDB would step over their tombstones for a long time. What is read here is
read for the last time, and stays out of the block cache. What can't be read is left where it is
until the next start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

from tendis_py.errors import UnreadableError
from tendis_py.storage.codec import (
    deadline_key,
    namespace_prefix,
    stored_deadline,
    stored_version,
    upper_bound,
)
from tendis_py.storage.families import ELEMENT_FAMILIES, EXPIRES, GARBAGE, META, ROWS
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Meta rows a step takes: about half a millisecond."""

COMPACTION_ROWS = 4096
"""From so many rows on, a namespace is compacted away; fewer wait for RocksDB's own compaction."""


FEW_ELEMENTS = 1024
"""Up to so many, elements are deleted one by one: range tombstones are not for small things."""

UNCACHED_ELEMENTS = 16 * FEW_ELEMENTS
"""When the cache has none of the first so many, it is taken to have none at all."""

_BACKLOG_CAP = 10_000

_MANY_WAITING = 8
"""Where more versions than these are garbage, they are given up at once: what the cache holds of
them stays until its generation turns."""


T = TypeVar("T")


class Reclaimer:
    """``find`` looks for work and ``step``, a job, does a slice of it, until ``find`` finds none;
    then ``compact``, outside of the jobs."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._namespace: int | None = None
        self._position = b""
        self._rows = 0
        self._version: bytes | None = None
        self._left: set[int | bytes] = set()
        """Namespaces and versions that can't be read."""
        self._dropping: bytes | None = None
        """The version whose elements leave the cache."""
        self._dropped_to = b""
        self._met = self._dropped = 0
        self._in_hurry = False
        self.ranges: list[tuple[int, bytes, bytes | None]] = []
        """What is to be compacted away: family, from, below."""

    def find(self) -> bool:
        """Whether there is something to reclaim."""
        if self._namespace is None:
            self._namespace = self._first(self._keyspace.dead_namespaces())
            self._position = b""
            self._rows = 0
        waiting = list(islice(_readable(garbage(self._keyspace)), _MANY_WAITING + 1))
        self._in_hurry = len(waiting) > _MANY_WAITING
        self._version = self._dropping or self._first(iter(waiting))
        if self._version is None and self._in_hurry:  # the first of them can't be read
            self._version = self._first(garbage(self._keyspace))
        return self._namespace is not None or self._version is not None

    def _first(self, found: Iterator[T]) -> T | None:
        return next((one for one in _readable(found) if one not in self._left), None)

    @property
    def is_dropping(self) -> bool:
        """Whether the next steps are about what the cache holds, which is in no hurry."""
        return self._dropping is not None

    def step(self, tx: Transaction) -> None:
        """Do a slice: elements first, for a namespace's keys give up more of them."""
        mark = tx.mark()
        try:
            if self._version is not None:
                self._reclaim_version(tx, self._version)
            elif self._namespace is not None:
                self._reclaim_namespace(tx, self._namespace)
        except UnreadableError:
            tx.rollback_to(mark)
            self._dropping = None
            if self._version is not None:
                self._left.add(self._version)
            elif self._namespace is not None:
                self._left.add(self._namespace)
                self._namespace = None

    def _reclaim_version(self, tx: Transaction, prefix: bytes) -> None:
        if self._keyspace.engine.get(GARBAGE, prefix) is None:
            self._dropping = None
            return  # it was being written when it was found, and has a key by now
        for family in ELEMENT_FAMILIES:
            self._keyspace.orders.drop(int.from_bytes(prefix, "big"), family)
        if self._drop_slice(prefix):
            return
        upper = upper_bound(prefix)
        for family in ELEMENT_FAMILIES:
            keys = self._some_keys(family, prefix, upper)
            if len(keys) > FEW_ELEMENTS:
                tx.delete_range(family, prefix, upper)
                self.ranges.append((family, prefix, upper))
                continue
            for key in keys:
                tx.put(family, key, None)
        tx.put(GARBAGE, prefix, None)
        tx.counters.reclaimed += 1

    def _some_keys(self, family: int, lower: bytes, upper: bytes | None) -> list[bytes]:
        keys = self._keyspace.engine.keys(family, lower, upper, fill_cache=False)
        return list(islice(keys, FEW_ELEMENTS + 1))

    def _drop_slice(self, prefix: bytes) -> bool:
        """Have the cache drop a slice of the version's elements; whether more are to follow. Few
        leave it when they are deleted."""
        cache = self._keyspace.cache
        if self._in_hurry or int.from_bytes(prefix, "big") < cache.cleared_at:
            self._dropping = None
            return False
        if self._dropping is None:
            self._dropped_to = prefix
            self._met = self._dropped = 0
        try:
            keys = self._some_keys(ROWS, self._dropped_to, upper_bound(prefix))
        except UnreadableError:  # a range is deleted without being read
            self._dropping = None
            return False
        if len(keys) <= FEW_ELEMENTS and self._dropping is None:
            return False
        self._met += len(keys)
        self._dropped += cache.drop(keys)
        more = len(keys) > FEW_ELEMENTS and (self._dropped > 0 or self._met < UNCACHED_ELEMENTS)
        self._dropping = prefix if more else None
        if more:
            self._dropped_to = keys[-1] + b"\0"
        return more

    def _reclaim_namespace(self, tx: Transaction, namespace: int) -> None:
        """Give up what a slice of a namespace's keys own, or, past the last one, the namespace."""
        prefix = namespace_prefix(namespace)
        upper = upper_bound(prefix)
        start = self._position or prefix
        rows = self._keyspace.engine.items(META, start, upper, fill_cache=False)
        before = self._rows
        gone = []
        for meta_key, raw in list(islice(rows, SLICE)):
            deadline, version = stored_deadline(raw), stored_version(raw)
            if deadline:
                tx.put(EXPIRES, deadline_key(deadline, meta_key), None)
            if version:
                tx.discard_version(version)
            else:
                tx.counters.reclaimed += 1
            gone.append(meta_key)
            self._position = meta_key + b"\0"
            self._rows += 1
        self._keyspace.cache.drop(gone)
        if self._rows == before:
            tx.delete_range(META, prefix, upper)
            for setting in self._keyspace.forget_namespace(namespace):
                tx.settings[setting] = None
            if self._rows >= COMPACTION_ROWS:
                self.ranges.append((META, prefix, upper))
            self._namespace = None

    def compact(self) -> None:
        """Free the disk space of what was reclaimed. May take seconds, with the GIL released."""
        while self.ranges:
            self._keyspace.engine.compact(*self.ranges.pop())


def _readable(found: Iterator[T]) -> Iterator[T]:
    """``found``, up to what can't be read."""
    with contextlib.suppress(UnreadableError):
        yield from found


def garbage(keyspace: Keyspace) -> Iterator[bytes]:
    """Versions (as key prefixes) whose elements wait to be reclaimed."""
    for prefix in keyspace.engine.keys(GARBAGE, b"", None):
        if int.from_bytes(prefix, "big") not in keyspace.building:
            yield prefix


def backlog(keyspace: Keyspace) -> tuple[int, int]:
    """How many flushed databases and how many large collections wait for the reclaimer; counted up
    to _BACKLOG_CAP."""
    namespaces = islice(_readable(keyspace.dead_namespaces()), _BACKLOG_CAP)
    versions = islice(_readable(garbage(keyspace)), _BACKLOG_CAP)
    return sum(1 for _ in namespaces), sum(1 for _ in versions)
