"""ACL LOG: who was denied what, and how often; and how often in all."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from tendis_py.services.acl.permits import Reason
from tendis_py.services.clock import Clock

GROUPED_MS = 60_000
"""Denials that are alike are one entry if they are no further apart."""

_LOOKED_AT = 10
"""So many of the latest entries are looked at for one that is alike."""


@dataclass(slots=True)
class LogEntry:
    """Times in Unix milliseconds. ``context`` is toplevel, multi, lua or module."""

    id: int
    reason: Reason
    context: str
    object: bytes
    username: bytes
    client: bytes
    created: int
    updated: int
    count: int = 1

    def is_like(self, other: LogEntry) -> bool:
        return (
            self.reason is other.reason
            and self.context == other.context
            and abs(self.updated - other.updated) <= GROUPED_MS
            and self.object == other.object
            and self.username == other.username
        )


class AclLog:
    """At most ``max_length()`` entries, the latest first. Thread-safe."""

    def __init__(self, max_length: Callable[[], int], clock: Clock) -> None:
        self._max_length = max_length
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: deque[LogEntry] = deque()
        self._next_id = 0
        self.denied: Counter[Reason] = Counter()
        """How many there were of each since the start, for INFO."""

    def add(
        self, reason: Reason, context: str, thing: bytes, username: bytes, client: bytes
    ) -> None:
        """Somebody was denied ``thing``; ``client`` is as in CLIENT LIST."""
        now = self._clock.time_ns() // 1_000_000
        with self._lock:
            self.denied[reason] += 1
            if self._max_length():
                entry = LogEntry(
                    self._next_id,
                    reason,
                    context,
                    thing,
                    username,
                    client,
                    created=now,
                    updated=now,
                )
                self._put(entry)
            self._trim()

    def _put(self, entry: LogEntry) -> None:
        for known in itertools.islice(self._entries, _LOOKED_AT):
            if known.is_like(entry):
                known.client, known.updated = entry.client, entry.updated
                known.count += 1
                self._entries.remove(known)
                self._entries.appendleft(known)
                return
        self._next_id += 1
        self._entries.appendleft(entry)

    def _trim(self) -> None:
        while len(self._entries) > self._max_length():
            self._entries.pop()

    def latest(self, count: int) -> list[LogEntry]:
        with self._lock:
            return list(itertools.islice(self._entries, count))

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        with self._lock:
            self._entries.clear()
