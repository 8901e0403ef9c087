"""What one thread's work on the keyspace counts. Knows nothing of commands or clients."""

from __future__ import annotations


class KeyspaceCounters:
    """Since the start: lookups that were ``hits`` and ``misses``, keys that ``expired``, and
    ``changes`` for INFO persistence. Written by one thread, read by any."""

    __slots__ = ("changes", "expired", "hits", "misses")

    def __init__(self) -> None:
        self.hits = self.misses = 0
        self.expired = 0
        self.changes = 0
