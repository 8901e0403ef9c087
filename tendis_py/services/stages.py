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


FOLD_AFTER = 64
"""Batches whose stamps are kept as they are before they go into the histograms: that touches seven
lists in seven places, which a lone request would find cold every time."""

Executed = tuple[int, int, int, int, int, int]
Responded = tuple[int, int, int]


class StageTimes:
    """Histograms in ns of the stages that one thread carries batches through."""

    __slots__ = (
        "_buckets",
        "_executed",
        "_responded",
        "batches",
        "busy_ns",
        "execute_ns",
        "name",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches = 0
        self.execute_ns = self.busy_ns = 0
        """The stage, and all that do something and do not only wait: sums that are cheap to ask."""
        self._buckets: dict[str, Buckets] = {stage: new_buckets() for stage in STAGES}
        self._executed: list[Executed] = []
        self._responded: list[Responded] = []

    def record(self, batch: Stamps) -> None:
        """A batch has been executed here."""
        self.batches += 1
        self.execute_ns += batch.executed - batch.started
        parsed = batch.queued or batch.taken or batch.started
        self.busy_ns += batch.committed - batch.started + parsed - batch.read
        executed = self._executed
        executed.append(
            (
                *(batch.read, batch.queued, batch.taken),
                *(batch.started, batch.executed, batch.committed),
            )
        )
        if len(executed) >= FOLD_AFTER:
            _fold_executed(executed, self._buckets)
            self._executed = []

    def record_response(self, batch: Stamps) -> None:
        """A reactor has sent what the sockets took of a batch's replies."""
        self.busy_ns += batch.written - batch.committed
        responded = self._responded
        responded.append((batch.committed, batch.replied, batch.written))
        if len(responded) >= FOLD_AFTER:
            _fold_responded(responded, self._buckets)
            self._responded = []

    def buckets(self, stage: str) -> Buckets:
        """The histogram of one stage; any thread may ask. (While the other thread folds, the
        batches being folded may count twice, or not yet.)"""
        found = {name: self._buckets[name].copy() for name in STAGES}
        _fold_executed(self._executed.copy(), found)
        _fold_responded(self._responded.copy(), found)
        return found[stage]


def _fold_executed(batches: list[Executed], buckets: dict[str, Buckets]) -> None:
    for read, queued, taken, started, executed, committed in batches:
        since = taken or started
        if queued:
            record(buckets["parse"], queued - read)
            record(buckets["queue"], since - queued)
        else:
            record(buckets["parse"], since - read)
        if taken:
            record(buckets["lock"], started - taken)
        record(buckets["execute"], executed - started)
        record(buckets["commit"], committed - executed)


def _fold_responded(batches: list[Responded], buckets: dict[str, Buckets]) -> None:
    for committed, replied, written in batches:
        record(buckets["respond"], replied - committed)
        record(buckets["write"], written - replied)
