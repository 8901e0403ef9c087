"""Where a batch's time went: one histogram per stage and thread."""

from __future__ import annotations

from typing import Protocol

from tendis_py.services.histogram import Buckets, new_buckets, record

STAGES = ("parse", "queue", "lock", "execute", "commit", "respond", "write")
"""From one stamp to the next: read → queued (or taken) → taken → started → executed → committed →
replied → written. ``lock`` is the wait for keys that other threads hold."""


class Stamps(Protocol):
    read: int
    queued: int
    taken: int
    started: int
    executed: int
    committed: int
    replied: int
    written: int


class StageTimes:
    """Histograms in ns of the stages that one thread carries batches through."""

    __slots__ = (
        "_commit",
        "_execute",
        "_lock",
        "_parse",
        "_queue",
        "_respond",
        "_write",
        "batches",
        "buckets",
        "name",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches = 0
        self.buckets: dict[str, Buckets] = {stage: new_buckets() for stage in STAGES}
        (
            self._parse,
            self._queue,
            self._lock,
            self._execute,
            self._commit,
            self._respond,
            self._write,
        ) = (self.buckets[stage] for stage in STAGES)

    def record(self, batch: Stamps) -> None:
        """A batch has been executed here."""
        self.batches += 1
        started = batch.started
        taken = batch.taken or started
        if batch.queued:
            record(self._parse, batch.queued - batch.read)
            record(self._queue, taken - batch.queued)
        else:
            record(self._parse, taken - batch.read)
        if batch.taken:
            record(self._lock, started - taken)
        record(self._execute, batch.executed - started)
        record(self._commit, batch.committed - batch.executed)

    def record_response(self, batch: Stamps) -> None:
        """A reactor has sent what the sockets took of a batch's replies."""
        record(self._respond, batch.replied - batch.committed)
        record(self._write, batch.written - batch.replied)
