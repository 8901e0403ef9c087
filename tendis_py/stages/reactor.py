"""The reactor: one thread, one epoll, many connections.

A turn takes every ready socket, reads and parses, and gathers all complete requests into one
Batch; it sends what came back on the response queue; it writes. Who executes the batch is the
threading model's choice (``Submission``).

trio gives structure: the loop is one trio task, waits for its epoll with ``wait_readable`` when
idle, and is cancelled like any other. Under load it polls the epoll itself, for up to a
millisecond at a time, before it goes back to trio: a trio wake-up costs 40 µs, which at one client
is a third of a request (docs/measurements.md has the figures).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import compress
from time import perf_counter_ns

import trio

from tendis_py.commands.registry import Lane
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import Payload
from tendis_py.resp.requests import FastReader, Request
from tendis_py.runs import Item
from tendis_py.services import Services
from tendis_py.services.slowlog import NO_TIME_NS
from tendis_py.services.stages import Stage
from tendis_py.services.waiters import Wait
from tendis_py.stages.arrival import waited_ns
from tendis_py.stages.connection import EPOLLIN, EPOLLOUT, RECEIVE_BYTES, Connection, Early
from tendis_py.stages.connection_table import ConnectionTable
from tendis_py.stages.delivering import Deliveries
from tendis_py.stages.execute import Executor, Locking
from tendis_py.stages.plan import plan, union
from tendis_py.stages.polling import Poller
from tendis_py.stages.respond import Call, Delivery, ResponseQueue, ResponseStatistics
from tendis_py.stages.slow_requests import log_answered
from tendis_py.stages.tracing import trace
from tendis_py.stages.waiting import Waiting
from tendis_py.stages.work import DEFERRED, Batch, Job, Work, WorkQueue

log = logging.getLogger(__name__)

MAX_EVENTS = 512
"""Sockets a turn takes; the others are first in the next one."""

POLL_SECONDS = 0.001
IDLE_POLLS = 3
"""Polls of POLL_SECONDS that may find nothing before the reactor waits in trio."""

CRON_SECONDS = 0.5

ARRIVAL_NS = 5_000_000
"""How often the kernel is asked since when what a client sent has been there: 2 µs each time."""
MOST_TURNS = 64
"""Turns between two such looks: they may come slowly from now on."""

ACCEPT = Stage("accept", "control", "reactor")
SOCKET = Stage("socket", "fast", "reactor")
OUTBOX = Stage("outbox", "fast", "reactor")

TURN_WORK = 1 << 19
"""Bytes that a turn takes, or requests, each of which counts as much as REQUEST_WORK bytes: some
milliseconds. Who is left has the next turns, in order. Those who send a lot, RECEIVE_BYTES at a
time, have what others have left, and one of them has a turn in any case; what others send is little
and not counted."""


class Submission(Enum):
    """INLINE: the reactor executes its own batches. QUEUE: executors do. CONSERVING: the reactor
    does when nothing is queued or executing, executors otherwise."""

    INLINE = "inline"
    QUEUE = "queue"
    CONSERVING = "conserving"


@dataclass(frozen=True, slots=True)
class ReactorStatistics:
    """Now: ``connections``, ``held`` batches that wait for room in the work queue, connections
    that are ``ready`` for their turn, or send a lot and wait to be read (``heavy``), pub/sub
    ``messages`` that are to be sent; and the most there were since the peaks were reset. Since the
    start: turns, requests parsed, batches executed in the reactor and handed on, reads that were
    put off because the work queue was full."""

    name: str
    connections: int
    held: int
    held_requests: int
    held_bytes: int
    peak_held_requests: int
    ready: int
    peak_ready: int
    heavy: int
    peak_heavy: int
    messages: int
    messages_bytes: int
    peak_messages: int
    turns: int
    requests: int
    inline: int
    queued: int
    paused_reads: int
    responses: ResponseStatistics


class Reactor:
    def __init__(
        self,
        services: Services,
        executor: Executor,
        *,
        submission: Submission,
        queue: WorkQueue | None = None,
        slow_queue: WorkQueue | None = None,
        number: int,
    ) -> None:
        self.number = number
        self.name = name = f"reactor-{number}"
        self.responses = ResponseQueue()
        self._services = services
        self._monotonic = services.clock.monotonic
        self.executor = executor
        executor.again = lambda work: self.responses.post(partial(self._do, work))
        self._times = services.stats.new_stage_times()
        self._turns_to_arrival = self._arrival_turns = 1
        self._arrival_at = self._counted = 0
        self._traffic = services.stats.new_traffic(name)
        self._submission = self._usually = submission
        self._queue = queue
        self._slow_queue = slow_queue
        self._fast = FastReader()
        self._epoll = select.epoll()
        self.connections = ConnectionTable(services, self._epoll, self._traffic)
        self._listeners: dict[int, tuple[socket.socket, Callable[[socket.socket], None]]] = {}
        self._heavy: deque[Connection] = deque()
        """Connections that send a lot and wait to be read, in turn."""
        self._held: list[Batch] = []
        self._peak_held = self._peak_heavy = 0
        self._backlog = services.pubsub.backlog
        self.deliveries = Deliveries(self.connections, self._traffic, self._backlog)
        self._waiting = Waiting(services, self.connections, self._traffic, self._times)
        self._stopping = False
        self.turns = self._requests = self._inline = self._queued = 0
        self._now = self._next_cron = 0.0
        self._epoll.register(self.responses.fd, EPOLLIN)
        self._backlog.on_end(lambda: self.responses.post(self.connections.resume))
        services.pause.on_end(lambda: self.responses.post(self._waiting.release_all))

    # From other threads

    def adopt(self, sock: socket.socket, accepted: int) -> None:
        """Take over a connected socket, ``accepted`` then (perf_counter_ns)."""

        def adopt() -> None:
            self.connections.open(sock, self, self._fast)
            self._times.record_one(ACCEPT, perf_counter_ns() - accepted)

        self.responses.post(adopt)

    def close_soon(self, connection: Connection) -> None:
        self.responses.post(lambda: self.connections.close(connection))

    def deliver(self, message: Message, peers: Sequence[Connection]) -> None:
        """Send ``message`` to these connections; after the replies of a batch under way."""
        self.responses.post(Delivery(message, peers))

    def answer(self, connection: Connection, payload: Payload) -> None:
        """Send a connection the reply that it waits for."""
        self.responses.post(lambda: self._answer_waiting(connection, payload))

    def run_again(self, connection: Connection) -> None:
        """Run the request again that a connection waits with."""
        self.responses.post(lambda: self._run_again(connection))

    def call_soon(self, call: Call) -> None:
        """Run ``call`` in the reactor's thread."""
        self.responses.post(call)

    def submit_job(self, job: Job) -> None:
        """Run background work here, between turns."""
        self.responses.post(partial(self._do, job))

    def hand_off(self, *, always: bool) -> None:
        """Whether executors get every batch, where there are any; in any thread."""
        is_adaptive = self._usually is Submission.CONSERVING
        self._submission = Submission.QUEUE if always and is_adaptive else self._usually

    def space(self) -> None:
        """The work queue has room again."""
        self.responses.post(self._offer_held)

    @property
    def unfinished(self) -> bool:
        """Whether a request that was read is not answered yet, but for those that are held back, or
        a message not sent; a hint, for any thread."""
        return bool(self.deliveries.waiting) or any(
            (connection.busy and connection.wait is None)
            or connection.outbox
            or (connection.waiting and connection not in self.connections.parking)
            for connection in list(self.connections.values())
        )

    def reset_peaks(self) -> None:
        """Forget what waited before."""
        self._peak_held = self._peak_heavy = self._waiting.peak = self.deliveries.peak = 0
        self.responses.reset_peak()

    def statistics(self) -> ReactorStatistics:
        held = self._held.copy()
        return ReactorStatistics(
            name=self.name,
            connections=len(self.connections),
            held=len(held),
            held_requests=sum(batch.requests for batch in held),
            held_bytes=sum(batch.bytes for batch in held),
            peak_held_requests=self._peak_held,
            ready=len(self._waiting.ready),
            peak_ready=self._waiting.peak,
            heavy=len(self._heavy),
            peak_heavy=self._peak_heavy,
            messages=len(self.deliveries.waiting),
            messages_bytes=self.deliveries.bytes,
            peak_messages=self.deliveries.peak,
            turns=self.turns,
            requests=self._requests,
            inline=self._inline,
            queued=self._queued,
            paused_reads=self.connections.paused_reads,
            responses=self.responses.statistics(),
        )

    # The loop

    def listen(self, listener: socket.socket, accepted: Callable[[socket.socket], None]) -> None:
        """Accept from ``listener`` in this reactor's own turns."""
        self._listeners[listener.fileno()] = (listener, accepted)
        self._epoll.register(listener.fileno(), EPOLLIN | getattr(select, "EPOLLEXCLUSIVE", 0))

    def ignore(self, listener: socket.socket) -> None:
        """Accept from ``listener`` no more, and close it."""
        if self._listeners.pop(listener.fileno(), None) is not None:
            self._epoll.unregister(listener.fileno())
        listener.close()

    def stop_listening(self) -> None:
        for fd in self._listeners:
            self._epoll.unregister(fd)
        self._listeners.clear()

    async def run(self) -> None:
        """Serve until ``stop``; then every connection is closed."""
        poll, fd = self._epoll.poll, self._epoll.fileno()
        wait = Poller(self._epoll).wait
        keyspace, queue, responses = self.executor.keyspace, self._queue, self.responses
        times = self.executor.times
        seen = idle = 0
        while not self._stopping:
            if self._waiting.ready or self._heavy or self.deliveries.waiting:
                events = poll(0, MAX_EVENTS)
            elif idle < IDLE_POLLS:
                # Other threads need the interpreter more than one that only looks.
                alone = keyspace.turns == seen and (queue is None or not queue.busy)
                seen = keyspace.turns
                events = (wait if alone else poll)(POLL_SECONDS, MAX_EVENTS)
            else:
                with trio.move_on_after(self._patience()):
                    await trio.lowlevel.wait_readable(fd)
                events = poll(0, MAX_EVENTS)
            if events:
                keyspace.turns += 1
                seen += 1
            idle = 0 if events or self._waiting.ready or self._heavy else idle + 1
            responses.awake()
            began = self._turn(events)
            if responses.entries:
                self._take(responses.take())
            times.busy_ns += perf_counter_ns() - began
            responses.rest()
            if self._now >= self.connections.parking.deadline:
                for connection in self._waiting.release_due(self._now):
                    self._time_out(connection)
                idle = 0
            if self._now >= self._next_cron:
                self._next_cron = self._now + CRON_SECONDS
                self.connections.check_all(self._now)
                self.deliveries.forget_closed()
                await trio.lowlevel.checkpoint()
        for connection in list(self.connections.values()):
            self.connections.close(connection)
        self._epoll.close()
        self.responses.close()

    def _patience(self) -> float:
        """For how many seconds there is nothing to do unless a socket says so."""
        deadline = self.connections.parking.deadline - self._monotonic()
        return max(0.0, min(1 / self._services.config.hz, deadline))

    def stop(self) -> None:
        """End ``run`` soon; from any thread."""

        def stop() -> None:
            self._stopping = True

        self.responses.post(stop)

    def _turn(self, events: list[tuple[int, int]]) -> int:
        """One turn: read and parse all that is ready, submit it as one batch, answer. In one piece:
        a call for each connection would take some percent of a turn of fifty. Returns when it began
        (perf_counter_ns)."""
        read = perf_counter_ns()
        self._now = now = self._monotonic()
        self.turns += 1
        items: list[Item[Connection]] = []
        received = reads = work = 0
        connections, heavy = self.connections, self._heavy
        if self._waiting.ready:
            work = self._waiting.take_ready(items, TURN_WORK, read)
        ready: list[Connection] = []
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is None:
                self._service(fd)
                continue
            if mask != EPOLLIN:
                if mask & EPOLLOUT:
                    self._flush(connection)
                if connection.closed or not mask & ~EPOLLOUT:
                    continue
                if not connection.events & EPOLLIN:  # the socket is dead while nothing is read
                    if mask & (select.EPOLLERR | select.EPOLLHUP):
                        connections.close(connection)
                    continue
            if connection.heavy:
                self._queue_heavy(connection)
            else:
                ready.append(connection)
        if ready:
            self._turns_to_arrival -= 1
            if not self._turns_to_arrival:
                self._sample_arrival(ready[self.turns % len(ready)], read)
        if self.deliveries.waiting or self._backlog.full:
            ready = self._deliver(ready)
        late = False  # are those being read that send a lot?
        while True:
            for connection in ready:
                if work > TURN_WORK and not late:
                    self._queue_heavy(connection)
                    continue
                if self._held:
                    connections.pause(connection)
                    continue
                try:
                    chunk = connection.socket.recv(RECEIVE_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    connections.close(connection)
                    continue
                if not chunk:
                    self._waiting.end(connection)
                    continue
                size = len(chunk)
                received += size
                reads += 1
                session = connection.session
                session.net_in += size
                session.last_active = now
                requests = connection.parser.feed(chunk)
                if size == RECEIVE_BYTES or connection.heavy:
                    work += connection.weigh(size, len(requests))
                if connection.busy or connection.waiting:
                    self._waiting.add(connection, requests, size, read)
                elif requests:
                    connection.busy = True
                    session.received = read
                    items.append((connection, requests))
                if connection.parser.error is not None:
                    self._waiting.end(connection)
                elif not requests:
                    connections.close_for_input(connection)
            if not heavy or (late and work > TURN_WORK):
                break
            late = True
            ready = self._next_heavy()
        if reads:
            self._traffic.reads += reads
            self._traffic.net_input += received
        if items:
            self._submit(items, received, read)
        return read

    def _sample_arrival(self, connection: Connection, read: int) -> None:
        """How long what a connection has sent has been there, for all that was asked since the last
        look, as far as the kernel tells. So many turns lie between two looks that ARRIVAL_NS do,
        about: by the clock, the turns that begin late would be those that are looked at."""
        if read - self._arrival_at > ARRIVAL_NS:
            self._arrival_turns = 1 + self._arrival_turns // 4
        elif self._arrival_turns < MOST_TURNS:
            self._arrival_turns *= 2
        self._arrival_at = read
        self._turns_to_arrival = self._arrival_turns
        waited = waited_ns(connection.socket)
        if waited is not None:
            self._times.record_one(SOCKET, waited, max(self._requests - self._counted, 1))
            self._counted = self._requests

    def _queue_heavy(self, connection: Connection) -> None:
        if not connection.queued:
            connection.queued = True
            self._heavy.append(connection)
            self._peak_heavy = max(self._peak_heavy, len(self._heavy))

    def _next_heavy(self) -> list[Connection]:
        """The next of those that wait to be read, if there is one."""
        while self._heavy:
            connection = self._heavy.popleft()
            connection.queued = False
            if connection.events & EPOLLIN and self._may_be_read(connection):
                return [connection]
        return []

    def _deliver(self, ready: list[Connection]) -> list[Connection]:
        """Send messages, a turn's share; those of ``ready`` that may be read now."""
        self.deliveries.go_on(self._now)
        return [connection for connection in ready if self._may_be_read(connection)]

    def _may_be_read(self, connection: Connection) -> bool:
        """Whether it is there, and no message on its way forbids it. A subscriber gets that before
        the reply to what it asks now, since the publisher may have told it of it; epoll names it
        again. Who publishes more than can be sent is paused."""
        if connection.closed:
            return False
        if self._backlog.full and connection.session in self._backlog.publishers:
            self.connections.pause(connection)
            return False
        return not self.deliveries.waiting or connection.session.kind != "pubsub"

    def _service(self, fd: int) -> None:
        """A source of events that is not a connection."""
        if fd == self.responses.fd:
            self._take(self.responses.drain())
        elif fd in self._listeners:
            self._accept(fd)

    def _take(self, entries: Iterable[Batch | Delivery | Call]) -> None:
        for entry in entries:
            if isinstance(entry, Batch):
                self._respond(entry)
            elif isinstance(entry, Delivery):
                self.deliveries.add(entry)
            else:
                entry()

    def _accept(self, fd: int) -> None:
        listener, accepted = self._listeners[fd]
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            accepted(sock)

    # Submitting

    def _submit(self, items: list[Item[Connection]], received: int, read: int) -> None:
        batch = Batch(self.responses, items, received, read)
        self._requests += batch.requests
        if self._submission is Submission.INLINE:
            self._execute(batch)
            return
        queue = self._queue
        assert queue is not None
        if self._submission is Submission.CONSERVING:
            if queue.busy == 0 and self.executor.execute_inline(batch):
                self._inline += 1
                self._respond(batch)
                return
            if batch.transaction is not None:
                threading.Thread(target=self._commit_stalled, args=(batch,)).start()
                return
        plans = [plan(connection.session, requests) for connection, requests in items]
        is_control = [one.lane is Lane.CONTROL for one in plans]
        if any(is_control):
            inline = Batch(
                self.responses, list(compress(items, is_control)), 0, read, lane="control"
            )
            self.executor.execute_control(inline)
            self._inline += 1
            self._respond(inline)
            is_data = [not one for one in is_control]
            items, plans = list(compress(items, is_data)), list(compress(plans, is_data))
            if not items:
                return
        batch = Batch(self.responses, items, received, read, needs=union(plans))
        self._queued += 1
        if self._held or not queue.offer(batch):
            batch.queued = perf_counter_ns()
            self._held.append(batch)
            self._peak_held = max(self._peak_held, sum(held.requests for held in self._held))

    def _execute(self, batch: Batch) -> None:
        if self.executor.execute(batch):
            self._inline += 1
            self._respond(batch)

    def _do(self, work: Work) -> None:
        if isinstance(work, Job):
            self.executor.do_job(work)
        else:
            self._execute(work)

    def _submit_slow(self, batch: Batch) -> None:
        """A request for the slow lane, or to be executed alone where there is none; one that is to
        be executed apart only claims its keys here."""
        if self._submission is Submission.INLINE or (
            self.executor.locking is Locking.KEYS and batch.is_apart
        ):
            self._execute(batch)
        else:
            queue = self._slow_queue or self._queue
            assert queue is not None
            queue.force(batch)

    def _commit_stalled(self, batch: Batch) -> None:
        """Wait for RocksDB in a thread of its own: the batch holds all keys, so every executor
        may be waiting for it already."""
        self.executor.execute(batch)
        self.responses.post(batch)

    def _offer_held(self) -> None:
        queue = self._queue
        assert queue is not None
        while self._held:
            if not queue.offer(self._held[0]):
                return
            self._held.pop(0)
        self.connections.resume()

    # Responding

    def _respond(self, batch: Batch) -> None:
        """Send a batch's replies, and let its connections go on. Others hear first of what the
        batch has for them: they are not to learn of it by way of the clients that get replies."""
        if self.responses.entries or self.deliveries.waiting:
            if not self.deliveries.waiting:
                for delivery in self.responses.deliveries():
                    self.deliveries.add(delivery)
                self.deliveries.go_on(self._now)
            for connection, _, _ in batch.replies:
                self._deliver_before(connection)
        batch.replied = perf_counter_ns()
        sent = writes = 0
        for connection, payload, rest in batch.replies:
            if connection.closed:
                continue
            session = connection.session
            if payload:
                sent += len(payload)
                session.net_out += len(payload)
                writes += 1
                try:
                    connection.send(payload)
                except OSError:
                    self.connections.close(connection)
                    continue
                if connection.outbox is not None:
                    if self.connections.close_for_output(connection, self._now):
                        continue
                    self.connections.update_events(connection)
            if rest is DEFERRED:
                continue
            connection.busy = False
            if rest is not None:
                if connection in batch.held:
                    self._waiting.hold(connection, rest)
                    continue
                if connection in batch.blocked:
                    self._block(connection, batch.blocked[connection], rest)
                    continue
                self._waiting.put_back(connection, rest)
            if (
                connection.waiting_bytes
                or connection.waiting
                or connection.finished
                or not connection.ordinary
            ):
                self._waiting.unblock(connection)
                self._waiting.go_on(connection)
        batch.written = perf_counter_ns()
        self._traffic.net_output += sent
        self._traffic.writes += writes
        self._times.record(batch)
        if batch.answered:
            log_answered(batch, self._services.slowlog)
        if self.deliveries.late:
            answered = [connection for connection, _, _ in batch.replies]
            self.deliveries.send_late(answered, self._now)
        if batch.traced:
            self._tell_of(batch)
        batch.replies.clear()  # its executor holds on to the batch, and they may be long
        for later in batch.deferred:
            later.read = perf_counter_ns()
            self._submit_slow(later)

    def _tell_of(self, batch: Batch) -> None:
        tracing = self._services.tracing
        if tracing.sink is None:
            return
        try:
            for request in batch.traced:
                tracing.sink(trace(batch, request))
        except Exception:
            log.exception("nothing is traced any more")
            tracing.end()

    # Requests that wait

    def _block(self, connection: Connection, wait: Wait, rest: list[Request]) -> None:
        self._waiting.block(connection, wait, rest)
        early, connection.early = connection.early, None
        if early is None:
            return
        if early.payload is None:
            self._run_again(connection)
        else:
            self._answer_waiting(connection, early.payload)

    def _answer_waiting(self, connection: Connection, payload: Payload) -> None:
        wait = connection.wait
        if wait is None:
            connection.early = Early(payload)
            return
        if payload is wait.ending:
            self.executor.dispatcher.counters.wait_in_vain(wait.command, payload)
            self._services.slowlog.add(connection.session, wait.request, NO_TIME_NS, {})
            connection.session.commands += 1
        self._waiting.unblock(connection)
        self._deliver_before(connection)
        if connection.session.end_request():
            self._send(connection, payload)
        if not connection.closed:
            self._waiting.go_on(connection)

    def _time_out(self, connection: Connection) -> None:
        wait = connection.wait
        assert wait is not None
        if self._services.waiters.finish(wait, wait.timed_out):
            self._answer_waiting(connection, wait.timed_out)

    def _run_again(self, connection: Connection) -> None:
        wait = connection.wait
        if connection.closed:
            return
        if wait is None:
            connection.early = Early(None)
        elif self._services.waiters.take(wait):
            now = perf_counter_ns()
            connection.session.received = now
            self._submit([(connection, [wait.request])], 0, now)

    def _deliver_before(self, connection: Connection) -> None:
        """Have a subscriber hear of what was published before it gets a reply, which may have
        messages with it."""
        if connection.session.subscriptions is not None:
            while self.deliveries.waiting:
                self.deliveries.go_on(self._now)

    def _send(self, connection: Connection, payload: Payload) -> None:
        """Send what is no reply of a batch."""
        connection.session.net_out += len(payload)
        self._traffic.net_output += len(payload)
        try:
            connection.send(payload)
        except OSError:
            self.connections.close(connection)
            return
        if connection.outbox is not None and not self.connections.close_for_output(
            connection, self._now
        ):
            self.connections.update_events(connection)

    def _flush(self, connection: Connection) -> None:
        try:
            connection.flush()
        except OSError:
            self.connections.close(connection)
            return
        if connection.outbox is None:
            self._times.record_one(OUTBOX, perf_counter_ns() - connection.outbox_since)
        if connection.outbox is None or connection.readable:
            self.connections.update_events(connection)
            if not connection.busy:
                self._waiting.go_on(connection)
