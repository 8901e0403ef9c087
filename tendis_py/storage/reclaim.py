"""The reclaimer: rows that no key refers to any more leave the disk, in slices.

Two sources: the namespaces of flushed databases, and the versions of large collections that were
deleted or replaced (``garbage``).
"""

from __future__ import annotations

from tendis_py.storage.codec import decode, deadline_key, namespace_prefix, upper_bound
from tendis_py.storage.engine import EXPIRES, GARBAGE, META, ROWS, SCORE, STREAM
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

SLICE = 256
"""Meta rows a step takes: about half a millisecond."""


class Reclaimer:
    """``find`` looks for work, ``step`` (a job that needs no locks: nothing refers to these rows)
    does a slice of it."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._namespace: int | None = None
        self._position = b""

    def find(self) -> bool:
        """Whether there is something to reclaim."""
        if self._namespace is None:
            self._namespace = next(self._keyspace.dead_namespaces(), None)
            self._position = b""
        return self._namespace is not None

    def step(self, tx: Transaction) -> None:
        """Reclaim a slice of a flushed database: what its keys own besides their own row, then
        the rows themselves as one range."""
        assert self._namespace is not None
        engine = self._keyspace.engine
        prefix = namespace_prefix(self._namespace)
        upper = upper_bound(prefix)
        assert upper is not None
        taken = 0
        for meta_key, raw in engine.items(META, self._position or prefix, upper):
            row = decode(raw)
            if row.expire_at:
                tx.put(EXPIRES, deadline_key(row.expire_at, meta_key), None)
            if row.version:
                tx.discard_version(row.version)
            self._position = meta_key + b"\0"
            taken += 1
            if taken == SLICE:
                return
        for setting in self._keyspace.forget_namespace(self._namespace):
            tx.settings[setting] = None
        tx.ranges.append((META, prefix, upper))
        self._namespace = None
