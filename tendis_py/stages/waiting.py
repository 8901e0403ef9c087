"""The requests of one reactor that wait their turn, and how their connections go on.

A connection has one batch under way at a time, so that its requests run and are answered in order:
what it sends meanwhile waits, as does what CLIENT PAUSE holds back, and what a client asks that
leaves its replies unread. Used in the reactor's thread only.
"""

from __future__ import annotations

from time import perf_counter_ns

from tendis_py.errors import ReplyError
from tendis_py.resp.replies import encode
from tendis_py.resp.requests import Request
from tendis_py.runs import Item
from tendis_py.services import Services
from tendis_py.services.stages import Stage, StageTimes
from tendis_py.services.stats import Traffic
from tendis_py.services.waiters import Wait
from tendis_py.stages.connection import OUTBOX_BYTES, REQUEST_WORK, Connection
from tendis_py.stages.connection_table import ConnectionTable

PENDING = Stage("pending", "fast", "reactor")


class Waiting:
    def __init__(
        self,
        services: Services,
        connections: ConnectionTable,
        traffic: Traffic,
        times: StageTimes,
    ) -> None:
        self._services = services
        self._connections = connections
        self._traffic = traffic
        self._times = times
        self._pause = services.pause
        self._parking = connections.parking
        self.ready: list[Connection] = []
        """Idle connections that have requests waiting."""
        self.peak = 0
        """How many of them there were at the most when they were let go on."""

    def add(
        self, connection: Connection, requests: list[Request], received: int, read: int
    ) -> None:
        """Keep requests of ``received`` bytes, read at ``read`` (perf_counter_ns), for later: the
        connection is busy."""
        if not connection.waiting:
            connection.waiting_since = connection.pending_since = read
        connection.waiting += requests
        connection.waiting_bytes += received
        self._connections.update_events(connection)

    def put_back(self, connection: Connection, rest: list[Request]) -> None:
        """``rest`` of a batch has not run: it is before what came meanwhile."""
        now = perf_counter_ns()
        if connection.waiting:
            self._note_pending(connection, now)
        connection.waiting = rest + connection.waiting
        connection.waiting_since = connection.session.received
        connection.pending_since = now

    def _note_pending(self, connection: Connection, now: int) -> None:
        self._times.record_one(PENDING, now - connection.pending_since, len(connection.waiting))

    def take_ready(self, items: list[Item[Connection]], room: int, now: int) -> int:
        """Let connections go on, ``now`` (perf_counter_ns), whose requests had to wait, in turn, as
        many as there is ``room`` for in REQUEST_WORK; how much of it was taken."""
        self.peak = max(self.peak, len(self.ready))
        taken = work = 0
        for connection in self.ready:
            taken += 1
            if connection.closed or connection.busy or not connection.waiting:
                continue
            work += REQUEST_WORK * len(connection.waiting)
            connection.session.received = connection.waiting_since
            self._note_pending(connection, now)
            items.append((connection, connection.waiting))
            connection.busy = True
            connection.waiting = []
            connection.waiting_bytes = 0
            self._connections.update_events(connection)
            if work > room:
                break
        del self.ready[:taken]
        return work

    def hold(self, connection: Connection, rest: list[Request]) -> None:
        """``rest`` may not run yet: park the connection, unless that has changed meanwhile."""
        self.put_back(connection, rest)
        until = self._pause.until
        if until:
            self._parking.park(connection, until)
        self.go_on(connection)

    def release_all(self) -> None:
        """CLIENT PAUSE has been ended: whom it held back goes on, in order."""
        self.ready += self._parking.call_paused()

    def release_due(self, now: float) -> list[Connection]:
        """Who was held back until ``now`` (monotonic seconds) goes on; returns those whose request
        has waited in vain."""
        due = self._parking.call_due(now)
        self.ready += [connection for connection in due if connection.wait is None]
        return [connection for connection in due if connection.wait is not None]

    def block(self, connection: Connection, wait: Wait, rest: list[Request]) -> None:
        """A request waits with ``wait``, and ``rest`` behind it: park the connection."""
        if rest:
            self.put_back(connection, rest)
        connection.busy = True
        if connection.wait is None:
            connection.wait = wait
            self._parking.park(connection, wait.deadline)
        connection.parser.authenticated = self._services.acl.admits(connection.session)

    def unblock(self, connection: Connection) -> None:
        """The request that waited is answered."""
        wait, connection.wait = connection.wait, None
        if wait is not None:
            connection.busy = False
            self._parking.leave(connection)
            self._services.waiters.end(wait)

    def go_on(self, connection: Connection) -> None:
        """An idle connection's next step: its waiting requests, its end, or nothing."""
        session = connection.session
        connection.parser.authenticated = self._services.acl.admits(session)
        if session.closing:
            connection.waiting = []
            connection.finished = True
        if connection in self._parking or connection.wait is not None:
            return
        if connection.waiting:
            if connection.outbox_bytes <= OUTBOX_BYTES:
                self.ready.append(connection)
        elif connection.waiting_bytes and not connection.finished:
            connection.waiting_bytes = 0  # part of a request: it is read on
            self._connections.update_events(connection)
        elif connection.finished:
            self._finish(connection)

    def end(self, connection: Connection) -> None:
        """No more input will come, or none that is RESP: what was asked is answered first."""
        if connection in self._parking and connection.parser.error is None:
            self._connections.close(connection)  # nobody waits for what has not run, as in Redis
            return
        connection.finished = True
        if connection.busy or connection.waiting:
            self._connections.update_events(connection)
        else:
            self._finish(connection)

    def _finish(self, connection: Connection) -> None:
        """All requests are answered and no more will come: say goodbye, close when it is sent."""
        error = connection.parser.error
        if error is not None:
            connection.parser.error = None
            self._traffic.protocol_errors += 1
            failure = ReplyError(f"ERR Protocol error: {error}")
            try:
                connection.send(encode(failure))
            except OSError:
                pass
        if connection.outbox is None:
            self._connections.close(connection)
        else:
            self._connections.update_events(connection)
