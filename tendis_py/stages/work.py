"""What travels between the stages, and the bounded queue it waits in. Knows no reactor."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from time import perf_counter_ns
from typing import TYPE_CHECKING

from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import ReplyError
from tendis_py.pieces import joined
from tendis_py.resp.replies import encode, is_push, split_replies
from tendis_py.resp.requests import Request
from tendis_py.runs import Answer, Item, SlowCommand
from tendis_py.stages.plan import Plan, Refuses, plan, union
from tendis_py.storage.locks import Claim

if TYPE_CHECKING:
    from tendis_py.services.counters import Named
    from tendis_py.services.total_times import Several
    from tendis_py.services.tracing import TracedRequest
    from tendis_py.services.waiters import Wait
    from tendis_py.stages.connection import Connection
    from tendis_py.stages.respond import ResponseQueue
    from tendis_py.stages.slow_requests import Answered
    from tendis_py.storage.transaction import Transaction

log = logging.getLogger(__name__)

DEFERRED: list[Request] = []
"""Stands in an answer for requests that have gone to the slow lane: more replies follow."""

NOTHING_SETTLED = (0, 0)
ALL_SETTLED = (sys.maxsize, 0)


class Batch:
    """Requests of many connections, read in one turn of one reactor.

    Stage stamps are ``perf_counter_ns``: read, queued, taken (by a thread that is to execute it; it
    then waits for locks, in no thread), started, executed, logged (what is left is fsync),
    committed, replied, written; 0 for a stage that the batch skipped. ``lane`` and ``pool`` say
    whose figures these are (``services.stages``), ``engine_ns`` how long it has read from RocksDB.
    """

    __slots__ = (
        "_plan",
        "answered",
        "blocked",
        "bytes",
        "claim",
        "committed",
        "deferred",
        "engine_ns",
        "executed",
        "held",
        "is_slow",
        "is_viewed",
        "items",
        "lane",
        "logged",
        "pool",
        "queued",
        "ran",
        "ran_apart",
        "read",
        "refusal",
        "refuses",
        "replied",
        "replies",
        "requests",
        "responses",
        "settled",
        "slow",
        "slow_next",
        "spent",
        "started",
        "taken",
        "traced",
        "transaction",
        "written",
    )

    def __init__(
        self,
        responses: ResponseQueue,
        items: list[Item[Connection]],
        received: int,
        read: int,
        *,
        needs: Plan | None = None,
        lane: str = "fast",
    ) -> None:
        self.responses = responses
        self.items = items
        if len(items) == 1:
            self.requests = len(items[0][1])
        else:
            self.requests = sum([len(requests) for _, requests in items])
        self.bytes = received
        self.read = read
        self.queued = self.taken = self.started = self.executed = self.logged = 0
        self.committed = self.replied = self.written = self.engine_ns = 0
        self.replies: list[Answer[Connection]] = []
        self.slow: Sequence[SlowCommand] = ()
        self.answered: Sequence[Answered] = ()
        """What is kept for the slow log."""
        self.ran: Sequence[Named] = ()
        self.ran_apart: Sequence[Several] = ()
        """The commands that have run and were read with it; those of which there are several, or
        that were read before."""
        self._plan = needs
        self.lane = lane
        self.pool = ""
        self.is_slow = lane == "slow"
        """Whether only the first request of its one item runs, in the slow lane where there is one:
        the others have another turn."""
        self.is_viewed = False
        """Whether it has been tried without its keys being held."""
        self.slow_next: Collection[Connection] = ()
        """Those whose first request that was not run is for the slow lane."""
        self.spent: Request = []
        """The request of the slow lane that has run: it may be long, see ``drain``."""
        self.held: Collection[Connection] = ()
        """Those whose first request that was not run may not run yet."""
        self.blocked: dict[Connection, Wait] = {}
        """Those whose request waits that was the last to run."""
        self.settled = NOTHING_SETTLED
        """How much was committed while the batch ran: so many of ``replies``, and so many bytes of
        the next one."""
        self.deferred: Sequence[Batch] = ()
        """What goes on once the replies so far are sent."""
        self.traced: Sequence[TracedRequest] = ()
        self.transaction: Transaction | None = None
        """Set when the batch has run but RocksDB stalled its commit: only that is left to do."""
        self.claim: Claim | None = None
        self.refuses: Refuses | None = None
        self.refusal = ""
        """What those of its requests are answered whose keys ``refuses`` tells not to wait for."""

    @property
    def is_apart(self) -> bool:
        """Whether its request may take as long as it likes, and gets a thread of its own."""
        if not self.is_slow:
            return False
        ((connection, requests),) = self.items
        command = REGISTRY.find(requests[0])
        if command is None or command.name != "exec":
            return command is not None and command.apart
        transaction = connection.session.transaction
        return transaction is not None and transaction.apart

    def plan(self) -> Plan:
        """What its requests need."""
        if self._plan is None:
            self._plan = union(
                [
                    plan(one.session, requests, in_slow_lane=self.is_slow, refuses=self.refuses)
                    for one, requests in self.items
                ]
            )
        return self._plan

    def refuse(self, busy: Sequence[Claim]) -> None:
        """Have requests refused that need keys of a ``busy`` claim; or none any more."""
        if not busy and self.refuses is None:
            return
        self.refuses = None
        self.refusal = ""
        self._plan = None
        if busy:
            self.refusal = busy[0].busy
            self.refuses = lambda keys: any(map(Claim(keys).conflicts, busy))

    def take_apart(self, is_free: Callable[[set[bytes] | None], bool]) -> list[Batch]:
        """Keep the items whose keys are free, and return a batch for each of the others; the first
        is kept if there is no such item."""
        plans = [plan(one.session, requests, refuses=self.refuses) for one, requests in self.items]
        kept = [is_free(one.keys) for one in plans]
        if not any(kept):
            kept[0] = True
        others: list[Batch] = []
        for item, needs, stays in zip(self.items, plans, kept, strict=True):
            if not stays:
                other = Batch(self.responses, [item], 0, self.read, needs=needs)
                other.queued, other.taken = self.queued, self.taken
                other.refuses, other.refusal = self.refuses, self.refusal
                others.append(other)
        self.items = list(compress(self.items, kept))
        self.requests -= sum(other.requests for other in others)
        self._plan = union(list(compress(plans, kept)))
        return others

    def forget_requests(self) -> None:
        """They are done, and may be large: whoever keeps the batch does not keep them."""
        self.items = []
        self.slow = ()
        self._plan = None

    def fail(self, reason: str) -> None:
        """Nothing but what is ``settled`` has been committed: no other reply may look like success.
        Each reply becomes an error; a push is no reply, nor is what stands for one in RESP2."""
        error = ReplyError(reason)
        entries, kept = self.settled
        for index, (connection, payload, rest) in enumerate(self.replies):
            if index < entries:
                continue
            done = kept if index == entries else 0
            failure = bytes(encode(error, connection.session.protocol))
            payload = bytes(payload)
            pieces = [one if is_push(one) else failure for one in split_replies(payload[done:])]
            self.replies[index] = connection, payload[:done] + b"".join(pieces), rest

    def tell(self) -> None:
        """Send along what has followed from the commit for those who get replies: who asks for
        something next, once it has these, is not to go by what it kept."""
        for index, (connection, payload, rest) in enumerate(self.replies):
            mailbox = connection.session.mailbox
            if mailbox is not None:
                unasked = mailbox.payload(connection.session.protocol)
                if unasked:
                    self.replies[index] = connection, joined([payload, unasked]), rest

    def defer_slow(self) -> None:
        """Have requests from a slow one on go to the slow lane, now that what the connection wrote
        before is committed; not before the replies so far are sent, or later ones might overtake
        them."""
        deferred = []
        for index, (connection, payload, rest) in enumerate(self.replies):
            if rest and connection in self.slow_next:
                self.replies[index] = connection, payload, DEFERRED
                items = [(connection, rest)]
                deferred.append(Batch(self.responses, items, 0, self.committed, lane="slow"))
        self.deferred = deferred


class Job:
    """Background work on the keyspace (expiry, reclaiming): it goes the way of a batch.

    ``work`` is called with the executing thread's transaction, the locks of ``keys`` (None: all)
    held; its writes are one commit. ``done`` is called afterwards, from the executing thread.
    """

    __slots__ = ("claim", "done", "keys", "work")

    def __init__(
        self,
        work: Callable[[Transaction], None],
        keys: set[bytes] | None,
        done: Callable[[BaseException | None], None],
    ) -> None:
        self.work = work
        self.keys = keys
        self.done = done
        self.claim: Claim | None = None


Work = Batch | Job


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """Now: ``depth`` batches with ``requests`` and ``bytes`` in the queue, ``active`` batches being
    executed. Since the start: ``taken`` batches, ``refused`` offers to a full queue, most
    requests and bytes ever held."""

    depth: int
    requests: int
    bytes: int
    active: int
    taken: int
    refused: int
    peak_requests: int
    peak_bytes: int


class WorkQueue:
    """Bounded by requests and by bytes; offering never blocks, taking does.

    ``on_space`` is called (from the taking thread) when a queue that refused work has room again.
    """

    def __init__(
        self, max_requests: int, max_bytes: int, on_space: Callable[[], None] | None = None
    ) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self._on_space = on_space
        self._lock = threading.Lock()
        self._ready = threading.Semaphore(0)
        self._work: deque[Work | None] = deque()
        self._requests = 0
        self._bytes = 0
        self._taken = 0
        self._refused = 0
        self._peak_requests = 0
        self._peak_bytes = 0
        self._waiting_for_space = False
        self.busy = 0
        """Batches and jobs queued or being executed: 0 means that nothing is under way."""

    def offer(self, batch: Batch) -> bool:
        """Queue a batch unless the queue is full. A batch larger than the bounds is taken when
        the queue is empty, or it would never be."""
        with self._lock:
            if self._requests and (
                self._requests + batch.requests > self.max_requests
                or self._bytes + batch.bytes > self.max_bytes
            ):
                self._refused += 1
                self._waiting_for_space = True
                return False
            self._put(batch)
        self._ready.release()
        return True

    def force(self, work: Work) -> None:
        """Queue what may not be refused: a job, or a batch whose requests were admitted before."""
        with self._lock:
            self._put(work)
        self._ready.release()

    def _put(self, work: Work) -> None:
        self._work.append(work)
        self.busy += 1
        if isinstance(work, Batch):
            if not (work.queued or work.taken or work.started):
                work.queued = perf_counter_ns()
            self._requests += work.requests
            self._bytes += work.bytes
            self._peak_requests = max(self._peak_requests, self._requests)
            self._peak_bytes = max(self._peak_bytes, self._bytes)

    def take(self) -> Work | None:
        """The next work; blocks. None once the queue is closed and empty."""
        self._ready.acquire()
        return self._take_ready()

    def take_all(self) -> list[Work | None]:
        """All work that is queued, at least one; blocks. Ends with None once closed."""
        found = [self.take()]
        while found[-1] is not None and self._ready.acquire(blocking=False):
            found.append(self._take_ready())
        return found

    def _take_ready(self) -> Work | None:
        with self._lock:
            work, notify = self._pop()
        if notify and self._on_space is not None:
            self._on_space()
        return work

    def _pop(self) -> tuple[Work | None, bool]:
        work = self._work.popleft()
        if work is None:
            self._work.append(None)  # every thread that takes is to see the end
            self._ready.release()
            return None, False
        self._taken += 1
        if isinstance(work, Batch):
            self._requests -= work.requests
            self._bytes -= work.bytes
        notify = self._waiting_for_space and (
            self._requests * 2 <= self.max_requests and self._bytes * 2 <= self.max_bytes
        )
        if notify:
            self._waiting_for_space = False
        return work, notify

    def finished(self) -> None:
        """Work that was taken has been executed."""
        with self._lock:
            self.busy -= 1

    def close(self) -> None:
        """Let takers finish what is queued, then end."""
        with self._lock:
            self._work.append(None)
        self._ready.release()

    @property
    def bytes(self) -> int:
        """Of the requests that are queued."""
        return self._bytes

    def reset_peaks(self) -> None:
        """Forget what was held before."""
        with self._lock:
            self._peak_requests, self._peak_bytes = self._requests, self._bytes

    def statistics(self) -> QueueStatistics:
        with self._lock:
            depth = sum(work is not None for work in self._work)
            return QueueStatistics(
                depth=depth,
                requests=self._requests,
                bytes=self._bytes,
                active=self.busy - depth,
                taken=self._taken,
                refused=self._refused,
                peak_requests=self._peak_requests,
                peak_bytes=self._peak_bytes,
            )


@contextmanager
def answering(batches: list[Batch]) -> Iterator[None]:
    """Close the connections of a batch that a bug in a stage has left without its replies, rather
    than leave them hanging."""
    try:
        yield
    except Exception:
        log.exception("a batch failed")
        for batch in batches:
            for connection, _ in batch.items:
                connection.close()
