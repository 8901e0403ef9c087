"""Where requests' time goes: a histogram of each stage, by lane and by the pool whose thread it is
spent in or for.

A request counts in a stage with all the time that its batch spends there, for it is answered no
sooner: so the stages of a request add up to what its client waits for, less the way to the server
and back. Stamps are kept until ``FOLD_AFTER`` batches of one reactor have been answered, and go
into the histograms together: a third of the price, and a lone request would find seven lists in
seven places cold every time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence, Sized
from operator import sub
from typing import Any, NamedTuple, Protocol

from tendis_py.services.counters import CommandBuckets, Named
from tendis_py.services.histogram import Buckets, new_buckets, record_all, record_each
from tendis_py.services.total_times import Several, count_totals

STAGES = (
    *("accept", "socket", "parse", "pending", "queue", "lock", "execute", "engine"),
    *("commit", "fsync", "respond", "write", "outbox"),
)
"""``accept``: a new connection, from accept(2) until its reactor has it. ``socket``: what a client
has sent lies in the kernel until a turn begins that reads it (sampled, see ``stages.arrival``).
``parse``: from the beginning of that turn until the batch is queued or taken. ``pending``: it is
read, but requests of the same connection that came before, or CLIENT PAUSE, hold it up. ``queue``:
from the first offer to the work queue until a thread takes the batch. ``lock``: keys that other
threads hold. ``execute``, of which ``engine`` is spent in reads of RocksDB. ``commit``: into the
log. ``fsync``: where the reply waits for that; and once a second in the background. ``respond``:
until the reactor has the replies. ``write``: until the client's socket has taken what it takes at
once, in its turn among those of the batch.
``outbox``: until a client has read the rest of what it was sent."""

PART_OF_EXECUTE = "engine"
"""The one that lies within another stage."""

LANES = ("fast", "slow", "control")
POOLS = ("reactor", "executor", "slow", "apart")
BACKGROUND = "background"
"""Lane and pool of what no request waits for."""

FOLD_AFTER = 64

MOST_PARTS = 8
"""How finely it is told who of a batch gets the replies early and who late."""


class Stage(NamedTuple):
    """Of which requests, and in whose time."""

    stage: str
    lane: str
    pool: str


Histograms = dict[Stage, Buckets]


class Stamps(Protocol):
    """What a batch knows when it has been answered; moments in ``perf_counter_ns``, 0 for what it
    has skipped."""

    lane: str
    pool: str
    requests: int
    engine_ns: int
    read: int
    queued: int
    taken: int
    started: int
    executed: int
    logged: int
    committed: int
    replied: int
    written: int
    ran: Sequence[Named]
    ran_apart: Sequence[Several]

    @property
    def replies(self) -> Sized:
        """One for each client."""


class StageTimes:
    """Histograms in ns of the stages of all batches that one reactor answers, and of the time that
    their requests took in all, by command.

    That reactor's thread records; any thread may ask. Whoever holds the lock folds, so nobody sees
    half a batch, and the reactor never waits.
    """

    __slots__ = ("_batches", "_histograms", "_lock", "_others", "_totals")

    def __init__(self) -> None:
        self._batches: deque[tuple[Any, ...]] = deque()
        self._others: deque[tuple[Stage, int, int]] = deque()
        self._histograms: Histograms = {}
        self._totals = CommandBuckets()
        self._lock = threading.Lock()

    def record(self, batch: Stamps) -> None:
        """A batch is answered, as far as the sockets took the replies."""
        taken = batch.taken or batch.started
        batches = self._batches
        batches.append(
            (
                batch.ran,
                batch.ran_apart,
                batch.lane,
                batch.pool,
                batch.requests,
                len(batch.replies),
                batch.engine_ns,
                batch.read,
                batch.queued or taken,
                taken,
                batch.started,
                batch.executed,
                batch.logged or batch.committed,
                batch.committed,
                batch.replied,
                batch.written,
            )
        )
        if len(batches) >= FOLD_AFTER and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def record_one(self, stage: Stage, ns: int, requests: int = 1) -> None:
        """So many ``requests`` have spent ``ns`` in a stage that is none of a batch's. In any
        thread."""
        self._others.append((stage, ns, requests))
        if len(self._others) >= FOLD_AFTER and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def histograms(self) -> Histograms:
        """A copy of all there are."""
        with self._lock:
            self._fold()
            return {stage: buckets.copy() for stage, buckets in self._histograms.items()}

    def totals(self) -> dict[Named, Buckets]:
        """Command → the live histogram of the time that its requests took in all."""
        with self._lock:
            self._fold()
            return self._totals.copy()

    def _fold(self) -> None:
        others = self._others
        for stage, ns, requests in [others.popleft() for _ in range(len(others))]:
            record_each(self._buckets(stage), (ns,), (requests,))
        batches = self._batches
        found = [batches.popleft() for _ in range(len(batches))]
        if not found:
            return
        ran, ran_apart, lanes, pools, *columns = zip(*found, strict=True)
        _, answered, _, read, *_, replied, written = columns
        sent = map(_mean_sent, replied, written, answered)
        count_totals(self._totals, zip(sent, read, ran, ran_apart, strict=True))
        routes = set(zip(lanes, pools, strict=True))
        for route in routes:
            if len(routes) > 1:
                columns = list(zip(*[one[4:] for one in found if one[2:4] == route], strict=True))
            self._fold_columns(*route, *columns)

    def _fold_columns(
        self,
        lane: str,
        pool: str,
        requests: Sequence[int],
        answered: Sequence[int],
        engine: Sequence[int],
        read: Sequence[int],
        queued: Sequence[int],
        taken: Sequence[int],
        started: Sequence[int],
        executed: Sequence[int],
        logged: Sequence[int],
        committed: Sequence[int],
        replied: Sequence[int],
        written: Sequence[int],
    ) -> None:
        """What of one lane ran in one pool."""

        alone = max(requests) == 1

        def always(stage: str, pool: str, since: Sequence[int], until: Sequence[int]) -> None:
            buckets = self._buckets(Stage(stage, lane, pool))
            spent = list(map(sub, until, since))
            if alone:
                record_all(buckets, spent)
            else:
                record_each(buckets, spent, requests)

        def if_any(stage: str, spent: Iterable[int]) -> None:
            some = [(ns, often) for ns, often in zip(spent, requests, strict=True) if ns]
            if some:
                record_each(self._buckets(Stage(stage, lane, pool)), *zip(*some, strict=True))

        always("parse", "reactor", read, queued)
        always("execute", pool, started, executed)
        always("commit", pool, executed, logged)
        always("respond", "reactor", committed, replied)
        if max(answered) <= 1:
            always("write", "reactor", replied, written)
        else:
            shares = zip(map(sub, written, replied), answered, requests, strict=True)
            parts = [part for share in shares for part in _in_turn(*share)]
            record_each(self._buckets(Stage("write", lane, "reactor")), *zip(*parts, strict=True))
        if queued != taken:
            if_any("queue", map(sub, taken, queued))
        if taken != started:
            if_any("lock", map(sub, started, taken))
        if logged != committed:
            if_any("fsync", map(sub, committed, logged))
        if any(engine):
            if_any("engine", engine)

    def _buckets(self, stage: Stage) -> Buckets:
        buckets = self._histograms.get(stage)
        if buckets is None:
            buckets = self._histograms[stage] = new_buckets()
        return buckets


def _mean_sent(replied: int, written: int, answered: int) -> int:
    """When the replies of a batch were sent, in the mean of its clients."""
    if answered <= 1:
        return written
    return written - (written - replied) * (answered - 1) // (2 * answered)


def _in_turn(ns: int, answered: int, requests: int) -> list[tuple[int, int]]:
    """How long requests wait while so many clients get their replies one after the other, which
    takes ``ns``; and how many wait as long."""
    parts = min(answered, requests, MOST_PARTS)
    if parts <= 1:
        return [(ns, requests)]
    is_exact = parts == answered
    return [
        (
            ns * (part + 1) // parts if is_exact else ns * (2 * part + 1) // (2 * parts),
            requests * (part + 1) // parts - requests * part // parts,
        )
        for part in range(parts)
    ]


class ThreadTimes:
    """What one executing thread, or a reactor that executes what it reads, has done: ``batches``
    and the ``requests`` in them, ``execute_ns`` in commands, and ``busy_ns`` in all that is no
    waiting for something to do."""

    __slots__ = ("batches", "busy_ns", "execute_ns", "name", "pool", "requests")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pool = name.partition("-")[0]
        self.batches = self.requests = self.busy_ns = self.execute_ns = 0
