"""The reclaimer: flushed databases, and large collections that are gone, leave the disk in slices.

Nothing refers to a dead namespace or version any more, so no locks are needed. What the keys of a
namespace own besides their meta row is given up key by key, then all of it is deleted as one range.
A version's elements are deleted one by one where they are few, else as a range. Ranges are
compacted away, or RocksDB would step over their tombstones for a long time. What can't be read is
left where it is until the next start.
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
from tendis_py.storage.families import ELEMENT_FAMILIES, EXPIRES, GARBAGE, META
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Meta rows a step takes: about half a millisecond."""

COMPACTION_ROWS = 4096
"""From so many rows on, a namespace is compacted away; fewer wait for RocksDB's own compaction."""


FEW_ELEMENTS = 1024
"""Up to so many, elements are deleted one by one: range tombstones are not for small things."""

_BACKLOG_CAP = 10_000


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
        self.ranges: list[tuple[int, bytes, bytes | None]] = []
        """What is to be compacted away: family, from, below."""

    def find(self) -> bool:
        """Whether there is something to reclaim."""
        if self._namespace is None:
            self._namespace = self._first(self._keyspace.dead_namespaces())
            self._position = b""
            self._rows = 0
        self._version = self._first(garbage(self._keyspace))
        return self._namespace is not None or self._version is not None

    def _first(self, found: Iterator[T]) -> T | None:
        return next((one for one in _readable(found) if one not in self._left), None)

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
            if self._version is not None:
                self._left.add(self._version)
            elif self._namespace is not None:
                self._left.add(self._namespace)
                self._namespace = None

    def _reclaim_version(self, tx: Transaction, prefix: bytes) -> None:
        if self._keyspace.engine.get(GARBAGE, prefix) is None:
            return  # it was being written when it was found, and has a key by now
        upper = upper_bound(prefix)
        for family in ELEMENT_FAMILIES:
            self._keyspace.orders.drop(int.from_bytes(prefix, "big"), family)
            keys = list(islice(self._keyspace.engine.keys(family, prefix, upper), FEW_ELEMENTS + 1))
            if len(keys) > FEW_ELEMENTS:
                tx.delete_range(family, prefix, upper)
                self.ranges.append((family, prefix, upper))
                continue
            for key in keys:
                tx.put(family, key, None)
        tx.put(GARBAGE, prefix, None)
        tx.counters.reclaimed += 1

    def _reclaim_namespace(self, tx: Transaction, namespace: int) -> None:
        """Give up what a slice of a namespace's keys own, or, past the last one, the namespace."""
        prefix = namespace_prefix(namespace)
        upper = upper_bound(prefix)
        rows = self._keyspace.engine.items(META, self._position or prefix, upper)
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
