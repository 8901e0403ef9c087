"""What one thread's work on the keyspace counts. Knows nothing of commands or clients."""

from __future__ import annotations


class KeyspaceCounters:
    """Since the start: lookups that were ``hits`` and ``misses``, keys that ``expired``, fields
    of hashes likewise, ns the sweep for them took, deleted values ``reclaimed``, ``rows_read`` from
    RocksDB since the row cache did not have them, and ``changes`` for INFO persistence. Written by
    one thread, read by any."""

    __slots__ = (
        "changes",
        "expire_ns",
        "expired",
        "expired_fields",
        "hits",
        "misses",
        "reclaimed",
        "rows_read",
    )

    def __init__(self) -> None:
        self.hits = self.misses = 0
        self.expired = self.expired_fields = self.expire_ns = 0
        self.reclaimed = self.rows_read = 0
        self.changes = 0
