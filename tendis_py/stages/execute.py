"""The execute stage: a batch runs, commits once, and gets its replies.

An ``Executor`` is one thread's: a reactor has one for what it runs itself, and each thread of an
``ExecutorPool`` has one. Which locks a batch needs depends on the threading model: none where a
single thread executes, else the key set of its commands, or all keys at once for a reactor that
finds nothing else under way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from time import perf_counter_ns

from tendis_py.commands.redaction import redacted
from tendis_py.commands.registry import REGISTRY, Lane
from tendis_py.dispatch import Dispatcher, Stop
from tendis_py.errors import ReplyError, StorageError, WriteStalledError
from tendis_py.resp.replies import encode
from tendis_py.resp.requests import Request
from tendis_py.services import Services
from tendis_py.services.stages import StageTimes
from tendis_py.session import Session
from tendis_py.stages.work import DEFERRED, Batch, Job, Work, WorkQueue
from tendis_py.storage.locks import Claim
from tendis_py.storage.transaction import Transaction

log = logging.getLogger(__name__)

_find = REGISTRY.find


class Locking(Enum):
    """NONE: this is the only executing thread. KEYS: claim the batch's keys, wait for them."""

    NONE = "none"
    KEYS = "keys"


class Executor:
    """Runs batches and jobs in the calling thread, one at a time.

    ``slow_lane`` takes the requests of slow commands; None runs them here.
    """

    def __init__(
        self,
        services: Services,
        *,
        locking: Locking,
        slow_lane: WorkQueue | None = None,
        name: str,
    ) -> None:
        self.services = services
        self.keyspace = services.keyspace
        self.locking = locking
        self.slow_lane = slow_lane
        self.times = StageTimes(name)
        services.stats.stage_times.append(self.times)
        counters = services.stats.new_counters()
        self.tx = Transaction(self.keyspace, counters)
        self.dispatcher = Dispatcher(self.tx, services, counters, defers=slow_lane is not None)
        self._everything = Claim(None)

    def run(self, batch: Batch) -> None:
        """Execute, commit and make durable; ``batch.replies`` is complete on return."""
        if batch.transaction is not None:
            self._finish([batch], batch.transaction)
            return
        batch.taken = perf_counter_ns()
        if self.locking is Locking.KEYS and touches_keys(batch.items):
            keys = lock_set(batch.items)
            if keys is None or keys:  # one that names no key (KEYS, SCAN) reads a snapshot
                batch.claim = self.keyspace.locks.acquire(keys)
        self._begin()
        self._execute(batch)
        self._finish([batch], self.tx)

    def run_round(self, batches: list[Batch]) -> None:
        """As ``run`` for several batches, all in one commit. For the only executing thread."""
        self._begin()
        for batch in batches:
            batch.taken = perf_counter_ns()
            self._execute(batch)
        self._finish(batches, self.tx)

    def run_inline(self, batch: Batch) -> bool:
        """As ``run``, for a reactor, which must not wait: False when another thread holds keys
        (nothing has happened), or when RocksDB stalls (the batch has run; what is left is
        ``run`` in a thread that may wait)."""
        if not self.keyspace.locks.try_exclusive(self._everything):
            return False
        batch.claim = self._everything
        self._begin()
        self._execute(batch)
        try:
            self._finish([batch], self.tx, may_wait=False)
        except WriteStalledError:
            self._everything = Claim(None)  # the batch keeps the one it holds
            batch.transaction = self.tx
            self.tx = self.dispatcher.replace_transaction()
            return False
        return True

    def run_control(self, batch: Batch) -> None:
        """As ``run``, for requests that touch no key: they wait for nothing."""
        self._begin()
        self._execute(batch)
        self._finish([batch], self.tx)

    def _begin(self) -> None:
        self.tx.begin(time.time_ns() // 1_000_000)

    def _execute(self, batch: Batch) -> None:
        batch.started = perf_counter_ns()
        run = self.dispatcher.run
        replies = batch.replies
        items = batch.items
        if len(items) > 1:
            answered, items = self.dispatcher.run_together(items, batch.read)
            replies += [(session, payload, None) for session, payload in answered]
        for session, requests in items:
            output: list[bytes] = []
            taken = run(session, requests, output, session.received)
            payload = output[0] if len(output) == 1 else b"".join(output)
            if taken == len(requests) or session.closing:
                replies.append((session, payload, None))
            else:
                replies.append((session, payload, requests[taken:]))
                batch.incomplete = True
                if self.dispatcher.stop is Stop.SLOW:
                    batch.slow_next.add(session)
                elif self.dispatcher.stop is Stop.HELD:
                    batch.held.add(session)
        batch.executed = perf_counter_ns()
        if self.dispatcher.slow:
            batch.slow = self.dispatcher.slow
            self.dispatcher.slow = []

    def _finish(self, batches: list[Batch], tx: Transaction, *, may_wait: bool = True) -> None:
        try:
            if tx.commit(may_wait=may_wait) and self.services.config.appendfsync == "always":
                self.keyspace.engine.sync()
        except StorageError as error:
            log.error("commit failed: %s", error)
            tx.rollback()
            for batch in batches:
                self._fail(batch, error)
        committed = perf_counter_ns()
        for batch in batches:
            batch.committed = committed
            if batch.claim is not None:
                self.keyspace.locks.release(batch.claim)
                batch.claim = None
            if batch.slow:
                self._log_slow(batch)
            if batch.incomplete and self.slow_lane is not None:
                self._defer_slow(batch, self.slow_lane)
            self.times.record(batch)
        self.keyspace.cache.trim()

    def _fail(self, batch: Batch, error: StorageError) -> None:
        """No reply of a batch that is not in the log may look like success."""
        failure = ReplyError(f"ERR storage failure, nothing was written: {error}")
        requests = {session: len(requests) for session, requests in batch.items}
        for index, (session, _, rest) in enumerate(batch.replies):
            answered = requests[session] - len(rest or ())
            batch.replies[index] = session, encode(failure, session.protocol) * answered, rest

    def _log_slow(self, batch: Batch) -> None:
        for slow in batch.slow:
            taken = batch.taken or batch.started
            self.services.slowlog.add(
                slow.session,
                redacted(slow.request),
                slow.elapsed_ns,
                {
                    "queue": taken - slow.read,
                    "lock": batch.started - taken,
                    "execute": slow.elapsed_ns,
                    "batch": batch.executed - batch.started - slow.elapsed_ns,
                    "commit": batch.committed - batch.executed,
                },
            )

    @staticmethod
    def _defer_slow(batch: Batch, slow_lane: WorkQueue) -> None:
        """Have requests from a slow command on go to the slow lane, now that what the connection
        wrote before is committed; not before the replies so far are sent, or later ones might
        overtake them."""
        for index, (session, payload, rest) in enumerate(batch.replies):
            if rest and session in batch.slow_next:
                batch.replies[index] = session, payload, DEFERRED
                later = Batch(batch.reactor, [(session, rest)], 0, batch.committed)
                batch.deferred.append((slow_lane, later))

    def run_job(self, job: Job) -> None:
        """Run background work in this thread, as one commit."""
        claim: Claim | None = None
        error: BaseException | None = None
        if self.locking is Locking.KEYS:
            claim = self.keyspace.locks.acquire(job.keys)
        try:
            self._begin()
            job.run(self.tx)
            self.tx.undo.clear()
            self.tx.commit()
        except Exception as failure:
            log.exception("background job failed")
            self.tx.rollback()
            error = failure
        finally:
            if claim is not None:
                self.keyspace.locks.release(claim)
        job.done(error)


def lock_set(items: list[tuple[Session, list[Request]]]) -> set[bytes] | None:
    """The keys that a batch's commands read or write; None (all keys) when one of them is exclusive
    or uses keys that can't be told from its arguments."""
    keys: set[bytes] = set()
    for _, requests in items:
        for request in requests:
            command = _find(request)
            if command is None:
                continue
            if command.exclusive:
                return None
            if command.find_claims is not None:
                claimed = command.find_claims(request)
                if claimed is None:
                    return None
                keys.update(claimed)
            elif command.keys:
                keys.update(command.keys_in(request))
    return keys


def touches_keys(items: list[tuple[Session, list[Request]]]) -> bool:
    """Whether any of the commands reads or writes the keyspace: if not, there is nothing to lock
    (DEBUG SLEEP, SAVE), and nobody should have to wait."""
    for _, requests in items:
        for request in requests:
            command = _find(request)
            if (
                command is not None
                and command.lane is not Lane.CONTROL
                and (command.keys or command.exclusive or command.flags & {"write", "readonly"})
            ):
                return True
    return False


def is_control(requests: list[Request]) -> bool:
    """Whether none of the requests touches a key."""
    for request in requests:
        command = _find(request)
        if command is not None and command.lane is not Lane.CONTROL:
            return False
    return True


class ExecutorPool:
    """Threads that take from one queue. ``rounds``: each takes everything queued as one round
    and answers only when all of it has run (redis-io's fan-in)."""

    def __init__(
        self, queue: WorkQueue, executors: list[Executor], *, rounds: bool = False
    ) -> None:
        self.queue = queue
        self.executors = executors
        self._loop = self._run_rounds if rounds else self._run
        self._threads = [
            threading.Thread(target=self._loop, args=(executor,), name=executor.times.name)
            for executor in executors
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end the threads; blocks until then."""
        self.queue.close()
        for thread in self._threads:
            thread.join()

    def _run(self, executor: Executor) -> None:
        take, finished = self.queue.take, self.queue.finished
        while (work := take()) is not None:
            _run_work(executor, work)
            finished()
            if isinstance(work, Batch):
                work.reactor.responses.post(work)

    def _run_rounds(self, executor: Executor) -> None:
        while True:
            round_ = self.queue.take_all()
            batches = [work for work in round_ if isinstance(work, Batch)]
            if batches:
                with _answering(batches):
                    executor.run_round(batches)
            for work in round_:
                if isinstance(work, Job):
                    executor.run_job(work)
                if work is not None:
                    self.queue.finished()
            for batch in batches:
                batch.reactor.responses.post(batch)
            if round_[-1] is None:
                return


def _run_work(executor: Executor, work: Work) -> None:
    if isinstance(work, Job):
        executor.run_job(work)
        return
    with _answering([work]):
        executor.run(work)


@contextmanager
def _answering(batches: list[Batch]) -> Iterator[None]:
    """Close the connections of a batch that a bug in a stage has left without its replies, rather
    than leave them hanging."""
    try:
        yield
    except Exception:
        log.exception("a batch failed")
        for batch in batches:
            for session, _ in batch.items:
                session.peer.close()
