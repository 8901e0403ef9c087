"""Where a batch's time went: one histogram per stage and thread."""

from __future__ import annotations

from typing import Protocol

from tendis_py.services.histogram import Buckets, new_buckets, record

STAGES = ("parse", "queue", "execute", "commit", "respond", "write")
"""From one stamp to the next: read → queued (or started) → started → executed → committed →
replied → written."""


class Stamps(Protocol):
    read: int
    queued: int
    started: int
    executed: int
    committed: int
    replied: int
    written: int


class StageTimes:
    """Histograms in ns of the stages that one thread carries batches through."""

    __slots__ = ("batches", "buckets", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches = 0
        self.buckets: dict[str, Buckets] = {stage: new_buckets() for stage in STAGES}

    def record(self, batch: Stamps) -> None:
        """A batch has been executed here."""
        self.batches += 1
        buckets = self.buckets
        if batch.queued:
            record(buckets["parse"], batch.queued - batch.read)
            record(buckets["queue"], batch.started - batch.queued)
        else:
            record(buckets["parse"], batch.started - batch.read)
        record(buckets["execute"], batch.executed - batch.started)
        record(buckets["commit"], batch.committed - batch.executed)

    def record_response(self, batch: Stamps) -> None:
        """A reactor has sent what the sockets took of a batch's replies."""
        record(self.buckets["respond"], batch.replied - batch.committed)
        record(self.buckets["write"], batch.written - batch.replied)
