"""Sends requests over many connections and times the replies.

trio runs it: signals, the progress bar and the time limits are tasks. The load itself is one of
them, a loop of its own around one epoll, for a task for each connection would cost three times
what a request costs here. It lets the others run every 10 ms, and waits in the thread for no longer
than that. Nothing is made, formatted or logged in between but what a request needs.

Knows no options, no server, and not how figures are shown.
"""

from __future__ import annotations

import ctypes
import gc
import select
import socket
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hiredis
import trio

from tendis_py.load.schedule import Schedule
from tendis_py.load.source import Source
from tendis_py.load.tally import Tally

SECOND = 1_000_000_000
_TURN_NS = 10_000_000
"""How long the loop goes on before other tasks run, and the most it waits."""
_LEAST_SHARE = 0.1
"""A last stretch that is shorter, for an interval, is not shown as one."""
_INTERRUPTED_NS = SECOND
"""For how long replies are waited for after Ctrl-C."""
_SET_TIMER_SLACK = 29
_GET_TIMER_SLACK = 30
"""Of prctl(2)."""
_TIMER_SLACK_NS = 1_000
_RECEIVE_BYTES = 256 * 1024
_MAX_EVENTS = 256
_GIVEN_UP_AT_ONCE = 1_000
_MOST_GIVEN_UP = 1_000_000

_MORE: Any = object()
_PLAIN = frozenset((bytes, int, type(None), bool, float, str))
"""Replies that are, and hold, no error and no push."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A run ends after ``seconds``, or once ``requests`` were sent; ``warm_up`` seconds before it
    are not measured. A server that answers nothing for ``patience`` seconds is given up. The
    course of a run is told in stretches of ``interval`` seconds."""

    seconds: float | None
    requests: int | None
    warm_up: float
    patience: float
    interval: float = 1.0


class Connection:
    """A socket, its parser, and what it owes: ``waiting`` requests, sent and not answered."""

    __slots__ = (
        "feed",
        "gets",
        "kinds",
        "owed",
        "receive_into",
        "send",
        "socket",
        "start",
        "unsent",
        "waiting",
    )

    def __init__(self, sock: socket.socket) -> None:
        reader = hiredis.Reader(notEnoughData=_MORE)
        self.socket = sock
        self.send, self.receive_into = sock.send, sock.recv_into
        self.feed, self.gets = reader.feed, reader.gets
        self.waiting = 0
        self.unsent: memoryview | None = None
        self.start = 0
        """Closed loop: when the batch was sent; ``kinds`` are of its replies that are owed."""
        self.kinds: Sequence[int] = ()
        self.owed: deque[tuple[int, int, int]] = deque()
        """Open loop: when each request was due, when it was sent, its kind."""


class Generator(ABC):
    """What closed and open loop have in common. ``run`` once, which closes ``epoll`` and sockets.

    ``epoll`` has to be older than the sockets: its descriptor must be below 1024 for ``select``.
    """

    def __init__(
        self,
        epoll: select.epoll,
        sockets: Sequence[socket.socket],
        source: Source,
        pipeline: int,
        limits: Limits,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.tally = Tally()
        self.elapsed = 0.0
        """Seconds that were measured."""
        self.in_time = 0
        """Replies within them; those to come later are in the tally, too."""
        self.cpu_seconds = 0.0
        """Of this thread, within them."""
        self.failure = ""
        """What went wrong, other than replies that are errors."""
        self.measuring = False
        self.interrupted = False
        self._clock = clock
        self._source = source
        self._pipeline = pipeline
        self._limits = limits
        self._left = limits.requests
        """Requests still to be sent, where that is bounded; those of the warm-up are not in it."""
        self._begin = self._end = self._stretch = self._stopped = 0
        self._cpu_before = 0.0
        self._sending = True
        self._epoll = epoll
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._connections = {sock.fileno(): Connection(sock) for sock in sockets}
        self._closed: list[str] = []
        """Why connections were lost."""

    def progress(self) -> float:
        """The part of the run that is over, 0 to 1."""
        if not self.measuring:
            return 0.0
        if self._limits.requests is not None:
            assert self._left is not None
            return 1 - max(self._left, 0) / self._limits.requests
        return min((self._clock() - self._begin) / max(self._end - self._begin, 1), 1.0)

    def interrupt(self) -> None:
        """End soon, with what was measured so far."""
        self.interrupted = True

    async def run(self) -> None:
        """Until the limits are reached and every reply has come or was given up."""
        for descriptor in self._connections:
            self._epoll.register(descriptor, select.EPOLLIN)
        try:
            with _collected_rarely(), _woken_in_time():
                await self._run()
        finally:
            self._epoll.close()
            for connection in self._connections.values():
                connection.socket.close()

    async def _run(self) -> None:
        clock, limits = self._clock, self._limits
        now = clock()
        if not limits.warm_up:
            self._measure(now)
        self._start(now)
        warm_until = now + int(limits.warm_up * SECOND)
        next_pause = now
        answered, last_answer = 0, now
        patience, interval = int(limits.patience * SECOND), int(limits.interval * SECOND)
        while True:
            if now >= next_pause:
                next_pause = now + _TURN_NS
                if not self.measuring and now >= warm_until:
                    self._measure(now)
                if self.measuring and self._sending and now - self._stretch >= interval:
                    self._end_stretch(now)
                if answered != self.tally.answered or not self._owes():
                    answered, last_answer = self.tally.answered, now
                if self.interrupted:
                    self._stop(now)
                    patience = min(patience, _INTERRUPTED_NS)
                await trio.lowlevel.checkpoint()
            if self._sending and self.measuring and self._is_over(now):
                self._stop(now)
            if not self._sending and not self._owes():
                break
            if not self._connections:
                break
            if now - last_answer > patience:
                if not self.interrupted:
                    self.failure = f"no answer for {limits.patience:g} s"
                break
            if not self._sending and now - self._stopped > patience:
                break  # answers come, but it is further behind than it can make up for
            self._turn(self._events(now, next_pause))
            now = clock()
        self._stop(now)
        self._give_up(now)
        self.tally.fold()
        if self.interrupted:
            self.failure = "it was interrupted"
        if self._closed:
            total = len(self._closed) + len(self._connections)
            self.failure = f"{len(self._closed)} of {total} connections ended: {self._closed[0]}"

    def _measure(self, now: int) -> None:
        """The warm-up is over: forget what it has found."""
        self.tally = Tally()
        self.measuring = True
        self._begin = self._stretch = now
        self._end = now + int((self._limits.seconds or 0) * SECOND)
        self._cpu_before = time.thread_time()
        if self._left is not None:  # what is under way will be answered in the run
            self._left -= sum(connection.waiting for connection in self._connections.values())

    def _end_stretch(self, now: int) -> None:
        self.tally.end_stretch((now - self._stretch) / SECOND, self._behind(now) / 1e6)
        self._stretch = now

    def _is_over(self, now: int) -> bool:
        if self._left is not None:
            return self._left <= 0 and not self._owes()
        return now >= self._end

    def _stop(self, now: int) -> None:
        """Send no more; what is measured of time ends here."""
        if not self._sending:
            return
        self._sending = False
        self._stopped = now
        if not self.measuring:
            return
        if now - self._stretch >= _LEAST_SHARE * self._limits.interval * SECOND:
            self._end_stretch(now)
        self.elapsed = (now - self._begin) / SECOND
        self.in_time = self.tally.answered
        self.cpu_seconds = time.thread_time() - self._cpu_before

    def _events(self, now: int, until: int) -> list[tuple[int, int]]:
        return self._epoll.poll((until - now) / SECOND, _MAX_EVENTS)

    def _receive(self, connection: Connection) -> int:
        """Count the replies that have arrived."""
        try:
            size = connection.receive_into(self._buffer)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(connection, str(error.strerror))
            return 0
        if not size:
            self._lose(connection, "the server has closed it")
            return 0
        tally = self.tally
        tally.bytes_in += size
        try:
            connection.feed(self._buffer, 0, size)  # type: ignore[arg-type] # any buffer
            replies = list(iter(connection.gets, _MORE))
        except hiredis.ProtocolError as error:
            self._lose(connection, f"a reply is none: {error}")
            return 0
        amount = len(replies)
        if not _PLAIN.issuperset(map(type, replies)):
            amount -= self._examine(replies)
        if amount > connection.waiting:
            self._lose(connection, "more replies than requests")
            return 0
        connection.waiting -= amount
        tally.answered += amount
        return amount

    def _examine(self, replies: list[Any]) -> int:
        """Count the errors in replies, nested ones, too; the pushes among the replies."""
        pushes = 0
        for reply in replies:
            if type(reply) is hiredis.PushNotification:
                pushes += 1
            elif type(reply) not in _PLAIN:
                for message in _errors(reply):
                    self.tally.error(message)
        self.tally.pushes += pushes
        return pushes

    def _send(self, connection: Connection, data: bytes) -> None:
        self.tally.bytes_out += len(data)
        try:
            sent = connection.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(connection, str(error.strerror))
            return
        if sent != len(data):
            connection.unsent = memoryview(data)[sent:]
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _send_rest(self, connection: Connection) -> None:
        """The socket takes more of what it did not take before."""
        if connection.unsent is None:
            return
        try:
            rest = connection.unsent[connection.send(connection.unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(connection, str(error.strerror))
            return
        if rest:
            connection.unsent = rest
        else:
            connection.unsent = None
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _lose(self, connection: Connection, reason: str) -> None:
        descriptor = connection.socket.fileno()
        if self._connections.pop(descriptor, None) is None:
            return
        self._closed.append(reason)
        self.tally.lost += connection.waiting
        connection.waiting = 0
        self._epoll.unregister(descriptor)
        connection.socket.close()

    @abstractmethod
    def _start(self, now: int) -> None:
        """Send the first requests, or know when they are due."""

    @abstractmethod
    def _turn(self, events: list[tuple[int, int]]) -> None:
        """Receive and send what can be."""

    def _owes(self) -> bool:
        """Whether anything that should be sent and answered was not."""
        return any(connection.waiting for connection in self._connections.values())

    def _behind(self, now: int) -> int:
        """For how many ns the oldest request that is due has waited to be sent."""
        return 0

    @abstractmethod
    def _give_up(self, now: int) -> None:
        """Count what is still owed as having taken until now."""


class ClosedLoop(Generator):
    """Each connection sends ``pipeline`` requests and, once all are answered, the next."""

    def _start(self, now: int) -> None:
        for connection in list(self._connections.values()):
            self._send_batch(connection)

    def _send_batch(self, connection: Connection) -> None:
        amount = self._pipeline
        if self._left is not None and self.measuring:
            amount = min(amount, self._left)
            if amount <= 0:
                return
        data, kinds = self._source.take(amount)
        if self._left is not None and self.measuring:
            self._left -= len(kinds)
        connection.kinds = kinds
        connection.waiting = len(kinds)
        connection.start = self._clock()
        self._send(connection, data)

    def _turn(self, events: list[tuple[int, int]]) -> None:
        connections, clock = self._connections, self._clock
        for descriptor, event in events:
            connection = connections.get(descriptor)
            if connection is None:
                continue
            if event & select.EPOLLOUT:
                self._send_rest(connection)
            if event == select.EPOLLOUT:
                continue
            amount = self._receive(connection)
            if not amount:
                continue
            us = (clock() - connection.start) // 1000
            kinds = connection.kinds
            if connection.waiting:
                connection.kinds = kinds[amount:]
                kinds = kinds[:amount]
            elif self._sending:
                self._send_batch(connection)
            self.tally.record(us, kinds)

    def _give_up(self, now: int) -> None:
        for connection in self._connections.values():
            if connection.waiting:
                self.tally.record((now - connection.start) // 1000, connection.kinds)
                self.tally.unanswered += connection.waiting


class OpenLoop(Generator):
    """Requests are sent when they are due. A connection has ``pipeline`` out at the most; what is
    due while all have waits for one, and that is part of its latency."""

    def __init__(
        self,
        epoll: select.epoll,
        sockets: Sequence[socket.socket],
        source: Source,
        pipeline: int,
        limits: Limits,
        offsets: Iterator[int],
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        super().__init__(epoll, sockets, source, pipeline, limits, clock)
        self._offsets = offsets
        self._last_due = sys.maxsize
        """What is due from then on is not part of the run."""
        self._room = deque(self._connections.values())
        """Connections that may have more out, those that have waited for the longest first."""

    def _start(self, now: int) -> None:
        self._schedule = Schedule(self._offsets, now)

    def _measure(self, now: int) -> None:
        super()._measure(now)
        if self._limits.seconds is not None:
            self._last_due = self._end

    def _stop(self, now: int) -> None:
        if self._sending:
            self._last_due = min(self._last_due, now)
        super()._stop(now)

    def _has_arrival(self) -> bool:
        """Whether the next arrival is one of this run: what was due before its end still is."""
        if self._left is not None and self.measuring and self._left <= 0:
            return False
        return self._schedule.next_due < self._last_due

    def _may_send(self) -> bool:
        return not self.interrupted and self._has_arrival()

    def _owes(self) -> bool:
        return (not self._sending and self._may_send()) or super()._owes()

    def _behind(self, now: int) -> int:
        return max(now - self._schedule.next_due, 0)

    def _events(self, now: int, until: int) -> list[tuple[int, int]]:
        if self._room and self._may_send():
            until = min(until, self._schedule.next_due)
            now = self._clock()
            # epoll counts in ms; select, of the epoll itself, in µs.
            if until > now and not select.select([self._epoll], (), (), (until - now) / SECOND)[0]:
                return []
            return self._epoll.poll(0, _MAX_EVENTS)
        return super()._events(now, until)

    def _turn(self, events: list[tuple[int, int]]) -> None:
        connections, clock = self._connections, self._clock
        for descriptor, event in events:
            connection = connections.get(descriptor)
            if connection is None:
                continue
            if event & select.EPOLLOUT:
                self._send_rest(connection)
                if connection.unsent is None and connection.waiting < self._pipeline:
                    self._room.append(connection)
            if event == select.EPOLLOUT:
                continue
            full = connection.waiting >= self._pipeline
            amount = self._receive(connection)
            if amount:
                if full and connection.waiting < self._pipeline and connection.unsent is None:
                    self._room.append(connection)
                self._count(connection, amount, clock())
        self._send_due()

    def _count(self, connection: Connection, amount: int, now: int) -> None:
        take = connection.owed.popleft
        self.tally.record_each(now, [take() for _ in range(amount)])

    def _send_due(self) -> None:
        room = self._room
        if not room or not self._may_send():
            return
        now = min(self._clock(), self._last_due - 1)
        most = len(room) * self._pipeline
        if self._left is not None and self.measuring:
            most = min(most, self._left)
        due = self._schedule.due(now, most)
        while due > 0 and room:
            share = -(-due // len(room))
            connection = room.popleft()
            if connection.socket.fileno() < 0:
                continue
            due -= self._send_some(connection, min(share, self._pipeline - connection.waiting))

    def _send_some(self, connection: Connection, amount: int) -> int:
        """Send so many that are due, or some more that must stay together: as many as that were."""
        data, kinds = self._source.take(amount)
        dues = self._schedule.take(len(kinds))
        if len(dues) > amount:  # these go before their time
            dues[amount:] = [dues[amount - 1]] * (len(dues) - amount)
        now = self._clock()
        connection.owed.extend(zip(dues, [now] * len(dues), kinds, strict=True))
        connection.waiting += len(kinds)
        if self._left is not None and self.measuring:
            self._left -= len(kinds)
        self._send(connection, data)
        if connection.waiting < self._pipeline and connection.unsent is None:
            self._room.append(connection)
        return len(kinds)

    def _give_up(self, now: int) -> None:
        for connection in self._connections.values():
            self.tally.unanswered += connection.waiting
            self._count(connection, connection.waiting, now)
        self._give_up_unsent(now)

    def _give_up_unsent(self, now: int) -> None:
        """Count what is due and was not sent, up to a number that takes a second or two."""
        given_up = 0
        while self._has_arrival():
            most = _GIVEN_UP_AT_ONCE if self._left is None else min(_GIVEN_UP_AT_ONCE, self._left)
            amount = self._schedule.due(min(now, self._last_due - 1), most)
            if not amount:
                return
            if given_up >= _MOST_GIVEN_UP:
                self.failure = self.failure or (
                    f"the rate is too high, more than {given_up:,} requests were not sent"
                )
                return
            _, kinds = self._source.take(amount)
            for due, kind in zip(self._schedule.take(len(kinds)), kinds, strict=True):
                self.tally.record(max(now - due, 0) // 1000, [kind])
            self.tally.unanswered += len(kinds)
            given_up += len(kinds)
            if self._left is not None:
                self._left -= len(kinds)


def _errors(reply: Any) -> Iterator[str]:
    """The errors in one reply."""
    if isinstance(reply, hiredis.ReplyError):
        yield str(reply)
    elif isinstance(reply, (list, tuple, set, frozenset)):
        for item in reply:
            yield from _errors(item)
    elif isinstance(reply, dict):
        for item in reply.values():
            yield from _errors(item)


@contextmanager
def _woken_in_time() -> Iterator[None]:
    """The kernel may wake a thread 50 µs late, to save power, unless told otherwise: half of what a
    request on loopback takes."""
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_GET_TIMER_SLACK)
    prctl(_SET_TIMER_SLACK, ctypes.c_ulong(_TIMER_SLACK_NS))
    try:
        yield
    finally:
        prctl(_SET_TIMER_SLACK, ctypes.c_ulong(max(before, 0)))


@contextmanager
def _collected_rarely() -> Iterator[None]:
    """A collection of all garbage takes some ms, which would count as the server's."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
