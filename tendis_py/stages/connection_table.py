"""The connections of one reactor: opening, closing, what epoll is asked about each, their limits.

Used in the reactor's thread only, but for counting and listing. Knows no requests.
"""

from __future__ import annotations

import logging
import select
import socket

from tendis_py.resp.requests import FastReader
from tendis_py.services import Services
from tendis_py.services.stats import Traffic
from tendis_py.stages.connection import EPOLLIN, EPOLLOUT, OUTBOX_BYTES, Connection, Home
from tendis_py.stages.parking import Parking

log = logging.getLogger(__name__)

OUTPUT_STALL_SECONDS = 60.0
"""A client that owes this much reading (OUTBOX_BYTES) and takes nothing for so long is closed."""


class ConnectionTable(dict[int, Connection]):
    """File descriptor → connection."""

    def __init__(self, services: Services, epoll: select.epoll, traffic: Traffic) -> None:
        super().__init__()
        self._services = services
        self._epoll = epoll
        self._traffic = traffic
        self._paused: list[Connection] = []  # not read while the work queue is full
        self.parking = Parking(services.clients)
        self.paused_reads = 0

    def open(self, sock: socket.socket, home: Home, fast: FastReader) -> None:
        """Make a connection of a connected socket."""
        config, acl = self._services.config, self._services.acl
        sock.setblocking(False)
        try:
            connection = Connection(
                sock,
                home,
                fast,
                max_bulk=config.proto_max_bulk_len,
                user=acl.default,
                authenticated=acl.is_open,
                clock=self._services.clock,
            )
        except OSError:  # the client has gone already
            sock.close()
            self._services.clients.release()
            return
        self[connection.fd] = connection
        self._traffic.connections = len(self)
        self._services.clients.add(connection.session)
        self._epoll.register(connection.fd, EPOLLIN)

    def close(self, connection: Connection) -> None:
        if self.get(connection.fd) is not connection:
            return
        del self[connection.fd]
        self._traffic.connections = len(self)
        self.parking.leave(connection)
        self._epoll.unregister(connection.fd)
        connection.close_socket()
        self._services.clients.remove(connection.session)

    def update_events(self, connection: Connection) -> None:
        """Tell epoll what the connection waits for now."""
        if connection.closed:
            return
        events = EPOLLIN if connection.readable else 0
        if connection.outbox is not None:
            events |= EPOLLOUT
        if events != connection.events:
            connection.events = events
            self._epoll.modify(connection.fd, events)

    def pause(self, connection: Connection) -> None:
        """Do not read: the work queue is full."""
        self.paused_reads += 1
        self._paused.append(connection)
        connection.events &= ~EPOLLIN
        self._epoll.modify(connection.fd, connection.events)

    def resume(self) -> None:
        """Read on from those that were paused."""
        paused, self._paused = self._paused, []
        for connection in paused:
            self.update_events(connection)

    # Limits

    def close_for_input(self, connection: Connection) -> bool:
        """Close a client that has sent more of one argument or of one line, and of what is to wait
        for EXEC, than client-query-buffer-limit allows; whether it did."""
        kept = connection.parser.unparsed + connection.session.queued_bytes
        if kept <= self._services.config.client_query_buffer_limit:
            return False
        log.warning(
            "Closing client that reached max query buffer length: %s", connection.session.address
        )
        self._traffic.input_limit_closed += 1
        self.close(connection)
        return True

    def close_for_output(self, connection: Connection, now: float, more: int = 0) -> bool:
        """Close a client that owes more reading than client-output-buffer-limit allows, at ``now``
        (monotonic), ``more`` bytes being kept for it besides; whether it did."""
        limits = self._services.config.client_output_buffer_limit
        if not connection.exceeds(getattr(limits, connection.session.kind), now, more):
            return False
        log.warning(
            "Client %s closed for overcoming of output buffer limits.", connection.session.address
        )
        self._traffic.output_limit_closed += 1
        self.close(connection)
        return True

    def check_all(self, now: float) -> None:
        """Close clients that have been idle, or have not read their replies, for too long."""
        buffered = largest_input = largest_output = 0
        for connection in list(self.values()):
            waiting = connection.waiting_bytes + connection.parser.unparsed
            outgoing = connection.outbox_bytes
            buffered += waiting + outgoing
            largest_input = max(largest_input, waiting)
            largest_output = max(largest_output, outgoing)
            if connection.session.transaction is not None and self.close_for_input(connection):
                continue
            mailbox = connection.session.mailbox
            told = 0 if mailbox is None else mailbox.unsent
            if not (told or connection.outbox) or not self.close_for_output(connection, now, told):
                self._check_progress(connection, now)
        self._traffic.look(buffered, largest_input, largest_output)

    def _check_progress(self, connection: Connection, now: float) -> None:
        session = connection.session
        may_be_idle = session.kind == "normal" and not session.monitors
        timeout = self._services.config.timeout if may_be_idle else 0
        if connection.outbox_bytes > OUTBOX_BYTES:
            if now - connection.progress > OUTPUT_STALL_SECONDS:
                log.warning("closing %s: it does not read", connection.session.address)
                self._traffic.output_limit_closed += 1
                self.close(connection)
        elif connection.busy or connection.waiting or connection in self.parking:
            return
        elif timeout and now - connection.session.last_active > timeout:
            log.info("closing idle client %s", connection.session.address)
            self.close(connection)
