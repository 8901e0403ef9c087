"""The reclaimer: the rows of flushed databases leave the disk, in slices.

Nothing refers to a dead namespace any more, so no locks are needed. What its keys own besides
their meta row is given up key by key, then all of it is deleted as one range and compacted away.
"""

from __future__ import annotations

from itertools import islice

from tendis_py.storage.codec import deadline_key, decode, namespace_prefix, upper_bound
from tendis_py.storage.engine import EXPIRES, META
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Meta rows a step takes: about half a millisecond."""

COMPACTION_ROWS = 4096
"""From so many rows on, a namespace is compacted away; fewer wait for RocksDB's own compaction."""


class Reclaimer:
    """``find`` looks for work and ``step``, a job, does a slice of it, until ``find`` finds none;
    then ``compact``, outside of the jobs."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._namespace: int | None = None
        self._position = b""
        self._rows = 0
        self.gone: list[int] = []
        """Namespaces that are to be compacted away."""

    def find(self) -> bool:
        """Whether there is something to reclaim."""
        if self._namespace is None:
            self._namespace = next(self._keyspace.dead_namespaces(), None)
            self._position = b""
            self._rows = 0
        return self._namespace is not None

    def step(self, tx: Transaction) -> None:
        """Give up what a slice of a namespace's keys own, or, past the last one, the namespace."""
        assert self._namespace is not None
        prefix = namespace_prefix(self._namespace)
        upper = upper_bound(prefix)
        assert upper is not None
        rows = self._keyspace.engine.items(META, self._position or prefix, upper)
        before = self._rows
        for meta_key, raw in islice(rows, SLICE):
            row = decode(raw)
            if row.expire_at:
                tx.put(EXPIRES, deadline_key(row.expire_at, meta_key), None)
            if row.version:
                tx.discard_version(row.version)
            self._position = meta_key + b"\0"
            self._rows += 1
        if self._rows == before:
            tx.ranges.append((META, prefix, upper))
            for setting in self._keyspace.forget_namespace(self._namespace):
                tx.settings[setting] = None
            if self._rows >= COMPACTION_ROWS:
                self.gone.append(self._namespace)
            self._namespace = None

    def compact(self) -> None:
        """Free the disk space of what was reclaimed. May take seconds, with the GIL released."""
        while self.gone:
            prefix = namespace_prefix(self.gone.pop())
            self._keyspace.engine.compact(META, prefix, upper_bound(prefix))
