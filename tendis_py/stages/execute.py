"""The execute stage: a batch runs, commits once, and gets its replies.

An ``Executor`` is one thread's: a reactor has one for what it runs itself, and each thread of an
``ExecutorPool`` has one. Which locks a batch needs depends on the threading model: none where a
single thread executes, else the keys that its plan names, or all keys at once for a reactor that
finds nothing else under way.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from itertools import takewhile
from time import perf_counter_ns

from tendis_py.commands.registry import FAST_ROWS, REGISTRY
from tendis_py.dispatch import Dispatcher, Stop
from tendis_py.errors import (
    StorageError,
    UnreadableError,
    WriteFailedError,
    WriteStalledError,
)
from tendis_py.pieces import joined
from tendis_py.resp.replies import Payload
from tendis_py.resp.requests import Request
from tendis_py.services import Services
from tendis_py.services.key_sampler import LOOK_NS
from tendis_py.services.observation import UnderWay
from tendis_py.services.slowlog import NEVER_NS
from tendis_py.stages.slow_requests import keep_answered, log_slow
from tendis_py.stages.tracing import Sampler
from tendis_py.stages.work import ALL_SETTLED, NOTHING_SETTLED, Batch, Job, Work
from tendis_py.storage.locks import Claim
from tendis_py.storage.transaction import Transaction

log = logging.getLogger(__name__)


_NO_KEYS = Claim(set())


class Locking(Enum):
    """NONE: this is the only executing thread, but for those that execute apart; keys are claimed
    while there are any. KEYS: claim the batch's keys; what has to wait for them waits aside."""

    NONE = "none"
    KEYS = "keys"


class Executor:
    """Executes batches and jobs in the calling thread, one at a time.

    ``has_slow_lane``: commands that find out that they take long are for another thread.
    """

    def __init__(
        self,
        services: Services,
        *,
        locking: Locking,
        has_slow_lane: bool = False,
        name: str,
    ) -> None:
        self.services = services
        self.keyspace = services.keyspace
        self._slowlog = services.slowlog
        self._time_ns = services.clock.time_ns
        self.locking = locking
        self.times = services.stats.new_thread(name)
        self._reads = self.keyspace.engine.reads
        counters = services.stats.new_counters()
        self.tx = Transaction(self.keyspace, counters)
        self.tx.fast_rows = FAST_ROWS if has_slow_lane else 0
        self.tx.on_settle = self._note_settled
        self.dispatcher = Dispatcher(
            self.tx, services, counters, defers=True, locks=locking is Locking.KEYS
        )
        self._sampler = Sampler(services.tracing)
        services.under_way.append(self.under_way)
        self._everything = Claim(None)
        self.apart: Callable[[Work], None] | None = None
        """Called with work, which has its keys, that is to be executed in a thread of its own. Set
        by whoever has this execute, if there are such threads."""
        self._claim_without: Claim | None = None
        """What a batch without a claim of its own has locked, as far as commands can tell."""
        self.again: Callable[[Work], None] = _nowhere
        """Called with work that has the keys now that it had to wait for, or is to ask for them;
        in whichever thread. Set by whoever has this execute."""
        self._looks_closely = False
        self._look_at = self._looked_after = 0
        self._running: Batch | None = None
        self._round: list[Batch] = []
        """The batches of one commit, where there are several."""

    def under_way(self) -> UnderWay | None:
        """What it does now, if anything; in any thread."""
        batch = self._running
        if batch is None:
            return None
        if not batch.executed:
            stage, since = "execute", batch.started
        elif not batch.logged:
            stage, since = "commit", batch.executed
        else:
            stage, since = "fsync", batch.logged
        command, items = "", batch.items
        if stage == "execute" and batch.is_slow and items:
            found = REGISTRY.find(items[0][1][0])
            command = "" if found is None else found.name
        seconds = max(perf_counter_ns() - since, 0) / 1e9
        name, pool = self.times.name, self.times.pool
        return UnderWay(name, pool, stage, seconds, batch.requests, command)

    def execute(self, batch: Batch) -> bool:
        """Run the requests, commit and make durable: ``batch.replies`` is complete then. False if
        keys are another's: nothing has happened, and it comes ``again`` once it has them."""
        if batch.transaction is not None:
            self._finish([batch], batch.transaction)
            return True
        if not batch.taken:
            batch.taken = perf_counter_ns()
        if batch.claim is not None and batch.claim.withdrawn:
            batch.claim = None
        is_apart = self.apart is not None and batch.is_apart
        if batch.claim is not None:
            if self.apart is not None:
                self._note_wait(batch)
        elif self.locking is Locking.KEYS or is_apart or self.keyspace.locks.in_use:
            batch.refuse(self.keyspace.locks.busy)
            keys = batch.plan().keys
            if keys is not None and not keys and not is_apart:
                self.execute_control(batch)
                return True
            if not self._claim(batch, keys, is_long=is_apart):
                return False
        if is_apart:
            assert self.apart is not None
            self.apart(batch)
            return False
        if batch.is_slow and batch.claim is not None and self._only_reads(batch):
            return self._execute_on_view(batch)
        self._begin()
        self._run(batch)
        self._finish([batch], self.tx)
        return True

    def _note_wait(self, batch: Batch) -> None:
        assert batch.claim is not None
        now = perf_counter_ns()
        self.services.key_sampler.note_wait(batch.claim.contended, now - batch.taken, now)

    def _only_reads(self, batch: Batch) -> bool:
        """Whether its request, which runs alone, reads some keys, and nobody minds when."""
        ((connection, requests),) = batch.items
        command = REGISTRY.find(requests[0])
        return (
            command is not None
            and command.reads_only
            and not batch.is_viewed
            and (connection.session.plain or connection.session.screened)
            and not self.services.global_gates.one_by_one
        )

    def _execute_on_view(self, batch: Batch) -> bool:
        """As ``execute``, on the keyspace as it is now: the keys are others' meanwhile. What can't
        be read so is executed with the keys held."""
        claim, batch.claim = batch.claim, None
        batch.is_viewed = True
        counters, own = self.tx.counters, self.tx
        hits, misses = counters.hits, counters.misses
        assert claim is not None
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.keyspace.engine.kept_open)
                view = stack.enter_context(self.keyspace.view())
            finally:
                self.keyspace.locks.release(claim)
            self.tx = Transaction(view, counters)
            self.tx.pace = own.pace
            self.dispatcher.context.tx = self.tx
            self._claim_without = Claim(None)
            try:
                self._begin()
                self._run(batch)
                self.tx.rollback()
                is_done = not batch.slow_next
                if is_done:
                    self._finish([batch], self.tx)
            finally:
                self.tx = self.dispatcher.context.tx = own
                self._claim_without = None
        if is_done:
            return True
        counters.hits, counters.misses = hits, misses
        batch.replies, batch.slow_next, batch.executed = [], (), 0
        return self.execute(batch)

    def shares_keys(self, works: Sequence[Work | None]) -> bool:
        """Whether they have to be executed one by one: something is executed apart, or is to be."""
        return self.keyspace.locks.in_use or any(
            isinstance(work, Batch) and work.is_apart for work in works
        )

    def _claim(self, batch: Batch, keys: set[bytes] | None, *, is_long: bool) -> bool:
        """Whether the batch has its ``keys`` now. Of several clients only those wait who want what
        is another's."""
        if len(batch.items) > 1 and not self._are_free(keys):
            for other in batch.take_apart(self._are_free):
                self.again(other)
            keys = batch.plan().keys
        return self._ask(batch, self._widened(keys), is_long=is_long)

    def _ask(self, work: Work, keys: set[bytes] | None, *, is_long: bool = False) -> bool:
        work.claim = claim = Claim(keys, partial(self.again, work), is_long=is_long)
        return self.keyspace.locks.ask(claim)

    def _are_free(self, keys: set[bytes] | None) -> bool:
        return self.keyspace.locks.are_free(self._widened(keys))

    def _widened(self, keys: set[bytes] | None) -> set[bytes] | None:
        """With what is needed to serve those who wait for one of them."""
        if keys and self.services.waiters.sessions:
            return self.services.waiters.widen(keys)
        return keys

    def execute_round(self, batches: list[Batch]) -> None:
        """As ``execute`` for several batches, all in one commit. For the only executing thread."""
        self._begin()
        self._round = batches
        for batch in batches:
            batch.taken = perf_counter_ns()
            self._run(batch)
        for batch in batches:
            batch.executed = batches[-1].executed
        self._finish(batches, self.tx)
        self._round = []

    def execute_inline(self, batch: Batch) -> bool:
        """As ``execute``, for a reactor, which must not wait: False when another thread holds keys
        (nothing has happened), or when RocksDB stalls (the batch has run; what is left is
        ``execute`` in a thread that may wait)."""
        if not self.keyspace.locks.try_exclusive(self._everything):
            return False
        batch.claim = self._everything
        self._begin()
        self.tx.may_wait = False
        self._run(batch)
        try:
            self._finish([batch], self.tx, may_wait=False)
        except WriteStalledError:
            self._everything = Claim(None)  # the batch keeps the one it holds
            batch.transaction = self.tx
            self.tx = self.dispatcher.replace_transaction()
            self.tx.on_settle = self._note_settled
            return False
        self.tx.may_wait = True
        return True

    def execute_control(self, batch: Batch) -> None:
        """As ``execute``, for requests that claim no key: they wait for nobody."""
        with self.keyspace.engine.kept_open:
            self._begin()
            self._run(batch)
            self._finish([batch], self.tx)

    def _begin(self) -> None:
        self.tx.begin(self._time_ns() // 1_000_000)

    def _run(self, batch: Batch) -> None:
        batch.pool = self.times.pool
        read_before = self._reads.ns
        batch.started = perf_counter_ns()
        self._running = batch
        hotkeys = self.services.hotkeys
        if hotkeys.active or self._looks_closely:
            self._looks_closely = hotkeys.draws()
            self.dispatcher.look_closely(self._looks_closely)
        context = self.dispatcher.context
        context.claim = batch.claim or self._claim_without or (_NO_KEYS if batch.refusal else None)
        if batch.refusal != context.refusal:
            self.dispatcher.refuse(batch.refusal)
        is_slow = batch.is_slow
        self.dispatcher.defers = not is_slow
        run = self.dispatcher.run
        replies = batch.replies
        items = batch.items
        tx, counters = self.tx, self.tx.counters
        context.replies = []
        if len(items) > 1:
            items = self.dispatcher.run_together(items, replies, batch.read)
        for connection, requests in items:
            if counters.changes > tx.settle_at:  # what settle_if_large asks, but for the call
                context.replies = []
                tx.settle_if_large()
            session = connection.session
            output: list[Payload] = []
            received = session.received
            taken = run(session, requests[:1] if is_slow else requests, output, received)
            payload = output[0] if len(output) == 1 else joined(output)
            if received != batch.read:
                self.dispatcher.note_apart(received)
            if taken == len(requests) or session.closing:
                replies.append((connection, payload, None))
            else:
                replies.append((connection, payload, requests[taken:]))
                if self.dispatcher.stop is Stop.SLOW:
                    batch.slow_next = {*batch.slow_next, connection}
                elif self.dispatcher.stop is Stop.HELD:
                    batch.held = {*batch.held, connection}
                elif self.dispatcher.stop is Stop.BLOCKED:
                    assert self.dispatcher.waits is not None
                    batch.blocked[connection] = self.dispatcher.waits
                    batch.replies[-1] = (connection, payload, requests[taken + 1 :])
        context.replies = []
        dispatcher = self.dispatcher
        if dispatcher.ran:
            batch.ran = dispatcher.take_ran()
        if dispatcher.runs.ran:
            batch.ran_apart, dispatcher.runs.ran = dispatcher.runs.ran, []
        if batch.started >= self._look_at:
            self._look(batch)
        batch.executed = perf_counter_ns()
        batch.engine_ns = self._reads.ns - read_before
        times = self.times
        times.batches += 1
        times.requests += 1 if is_slow else batch.requests
        times.execute_ns += batch.executed - batch.started
        if self.dispatcher.slow:
            batch.slow = self.dispatcher.slow.copy()
            self.dispatcher.slow.clear()
        if is_slow and taken:
            batch.spent = requests[0]
            session.needs_all_keys = False

    def _look(self, batch: Batch) -> None:
        """Note what one of the requests is about, for all that have run since the last look."""
        self._look_at = batch.started + LOOK_NS
        ran = self.dispatcher.counters.processed
        request = _any_request(batch)
        command = REGISTRY.find(request) if len(request) <= FAST_ROWS else None
        fits = command is not None and len(request) in command.fits
        keys = command.keys_in(request) if command is not None and fits else []
        self.services.key_sampler.note(
            random.choice(keys) if keys else None, ran - self._looked_after, batch.started
        )
        self._looked_after = ran

    def _finish(self, batches: list[Batch], tx: Transaction, *, may_wait: bool = True) -> None:
        try:
            written = tx.commit(may_wait=may_wait)
        except StorageError as error:
            failure = self._explain(error, "nothing was written")
            tx.rollback()
            tx.release(settled_only=True)
            written = tx.settled
            for batch in batches:
                batch.fail(failure)
        if written:
            self._watch_write(batches[-1].executed)
        syncs_always = written and self.services.config.appendfsync == "always"
        if tx.wants_sync or syncs_always:
            logged = perf_counter_ns()
            for batch in batches:
                batch.logged = logged
            try:
                self.keyspace.engine.sync()
                if syncs_always:
                    self.services.latency.record("aof-fsync-always", perf_counter_ns() - logged)
            except StorageError as error:
                failure = tx.failure = self._explain(error, "what was written may be lost")
                for batch in batches:
                    batch.settled = NOTHING_SETTLED
                    batch.fail(failure)
        if tx.outgoing:
            tx.release()
            for batch in batches:
                batch.tell()
        if self.services.tracing.active:
            for batch in batches:
                batch.traced = self._sampler.pick(batch)
        committed = perf_counter_ns()
        for batch in batches:
            batch.committed = committed
            if batch.claim is not None:
                self.keyspace.locks.release(batch.claim)
                batch.claim = None
            if self._slowlog.total_ns != NEVER_NS:
                keep_answered(batch, self._slowlog)
            if batch.slow:
                log_slow(batch, self.services)
            if batch.slow_next:
                batch.defer_slow()
        self.keyspace.cache.trim()
        self._running = None
        for batch in batches:
            batch.forget_requests()

    def _watch_write(self, began: int) -> None:
        latency = self.services.latency
        if latency.threshold:
            during_fsync = self.keyspace.engine.has_synced(began)
            latency.record_write(perf_counter_ns() - began, during_fsync=during_fsync)

    def _explain(self, error: StorageError, outcome: str) -> str:
        """The reply to those whose commit has failed."""
        if isinstance(error, WriteFailedError):
            return self.services.disk.failed(error)
        log.error("commit failed: %s", error)
        return f"ERR storage failure, {outcome}: {error}"

    def _note_settled(self) -> None:
        """What has run so far is committed, in the middle of the last batch that has begun."""
        batch = self._running
        if batch is None:  # a job: there is nobody to answer
            return
        for one in takewhile(lambda one: one is not batch, self._round):
            one.settled = ALL_SETTLED
        replies = self.dispatcher.context.replies
        batch.settled = len(batch.replies), sum(map(len, replies))

    def do_job(self, job: Job) -> bool:
        """Do background work in this thread, as one commit. False as in ``execute``."""
        error: BaseException | None = None
        if job.claim is not None and job.claim.withdrawn:
            job.claim = None
        if (
            job.claim is None
            and (self.locking is Locking.KEYS or self.keyspace.locks.in_use)
            and not self._ask(job, job.keys)
        ):
            return False
        self._running = None
        try:
            self._begin()
            job.work(self.tx)
            change = self.tx.end_unit()
            began = perf_counter_ns()
            if self.tx.commit():
                self._watch_write(began)
            if change is not None and self.services.waiters.sessions:
                self.dispatcher.unblocking.nudge(change)
            self.tx.release()
        except Exception as failure:
            if isinstance(failure, WriteFailedError):
                self.services.disk.failed(failure)
            elif not isinstance(failure, UnreadableError):  # it is logged
                log.exception("background job failed")
            self.tx.rollback()
            self.tx.release(settled_only=True)
            error = failure
        finally:
            if job.claim is not None:
                self.keyspace.locks.release(job.claim)
                job.claim = None
        job.done(error)
        return True


def _nowhere(work: Work) -> None:
    raise RuntimeError("nobody takes work that has to wait")


def _any_request(batch: Batch) -> Request:
    """One of those of ``batch``, each as likely as the others."""
    if batch.is_slow:
        return batch.items[0][1][0]
    place = random.randrange(batch.requests)
    for _, requests in batch.items:
        if place < len(requests):
            return requests[place]
        place -= len(requests)
    raise AssertionError("a batch has as many requests as its items")
