"""Messages on their way to one reactor's connections: in order, and shared out over turns.

Sending to 10,000 subscribers takes some 50 ms, in which others have their turns. Messages that were
published one after the other to the same subscribers go out in one piece. Used in the reactor's
thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from time import perf_counter_ns

from tendis_py.resp.messages import Message, Messages
from tendis_py.resp.replies import Payload
from tendis_py.services.backlog import Backlog
from tendis_py.services.stats import Traffic
from tendis_py.stages.connection import Connection
from tendis_py.stages.connection_table import ConnectionTable
from tendis_py.stages.respond import Delivery

SHARE_NS = 1_000_000
"""What a turn spends on sending messages, and a little more."""

AT_ONCE = 32
"""Connections between two looks at the time."""

MOST_BYTES = 32 * 1024 * 1024
MOST_MESSAGES = 32 * 1024
"""What may wait before publishers have to."""

MERGED_MESSAGES = 256
MERGED_BYTES = 64 * 1024
"""What goes out in one piece, at the most."""


class _Late:
    """What a connection gets after the replies to a batch under way; ``size``: its bytes."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.size = 0


class Deliveries:
    def __init__(self, connections: ConnectionTable, traffic: Traffic, backlog: Backlog) -> None:
        self._connections = connections
        self._traffic = traffic
        self._backlog = backlog
        self._over = False
        self.bytes = self.peak = 0
        """Of what waits and has not begun; the most deliveries that have waited."""
        self.waiting: deque[Delivery] = deque()
        """The first of them may have begun: ``_left`` are its connections that are left."""
        self._left: Iterator[Connection] | None = None
        self.late: dict[Connection, _Late] = {}

    def add(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)
        self.peak = max(self.peak, len(self.waiting))
        self.bytes += delivery.message.size
        if not self._over and self._part_of_most() > 1:
            self._over = True
            self._backlog.set(self, True)

    def _part_of_most(self) -> float:
        return max(self.bytes / MOST_BYTES, len(self.waiting) / MOST_MESSAGES)

    def go_on(self, now: float) -> None:
        """Send a turn's share, at ``now`` (monotonic seconds)."""
        until = perf_counter_ns() + SHARE_NS
        waiting = self.waiting
        while waiting:
            if self._left is None:
                self._left = self._begin()
            part = list(islice(self._left, AT_ONCE))
            self._send(part, waiting[0].message, now)
            if len(part) < AT_ONCE:
                waiting.popleft()
                self._left = None
            if perf_counter_ns() > until:
                break
        if self._over and self._part_of_most() < 0.5:
            self._over = False
            self._backlog.set(self, False)

    def _begin(self) -> Iterator[Connection]:
        """The connections of the first delivery, which takes in others that go to the same."""
        waiting = self.waiting
        first = waiting.popleft()
        connections = first.connections
        messages = [first.message]
        size = first.message.size
        while (
            waiting
            and waiting[0].connections is connections
            and size < MERGED_BYTES
            and len(messages) < MERGED_MESSAGES
        ):
            one = waiting.popleft()
            messages.append(one.message)
            size += one.message.size
        self.bytes -= size
        if len(messages) > 1:
            first = Delivery(Messages(messages), connections)
        waiting.appendleft(first)
        return iter(connections)

    def _put_off(self, connection: Connection, message: Message, now: float) -> None:
        """Keep a message until the replies are sent; not more than it may leave unread."""
        late = self.late.get(connection)
        if late is None:
            late = self.late[connection] = _Late()
        late.messages.append(message)
        late.size += message.unsent
        self._connections.close_for_output(connection, now, late.size)

    def send_late(self, connections: Iterable[Connection], now: float) -> None:
        """Send what was kept for connections while a batch of theirs was under way."""
        for connection in connections:
            late = self.late.pop(connection, None)
            if late is not None:
                for message in late.messages:
                    self._send((connection,), message, now)

    def forget_closed(self) -> None:
        self.late = {one: late for one, late in self.late.items() if not one.closed}

    def _send(self, connections: Iterable[Connection], message: Message, now: float) -> None:
        """Send ``message``, or put it off, as each connection is. The hot path of pub/sub: 4 µs for
        each, of which the system takes most."""
        payloads: dict[int, Payload] = {}
        is_for = message.is_for
        sent = 0
        for connection in connections:
            if connection.closed:
                continue
            if connection.busy and connection.wait is None:
                self._put_off(connection, message, now)
                continue
            session = connection.session
            if not is_for(session):
                continue
            payload = payloads.get(session.protocol)
            if payload is None:
                payload = payloads[session.protocol] = message.payload(session.protocol)
            if not payload:
                continue
            size = len(payload)
            session.net_out += size
            sent += size
            try:
                connection.send(payload)
            except OSError:
                self._connections.close(connection)
                continue
            if connection.outbox is not None and not self._connections.close_for_output(
                connection, now
            ):
                self._connections.update_events(connection)
        self._traffic.net_output += sent
