"""One client's socket: what has been read and not run, what has been answered and not sent.

Owned by one reactor and touched by its thread only, but for ``close`` and the byte figures.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter_ns
from typing import Any, Protocol

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import BufferLimit
from tendis_py.pieces import Pieces
from tendis_py.resp.messages import Message
from tendis_py.resp.replies import Payload
from tendis_py.resp.requests import FastReader, Request, RequestParser
from tendis_py.services.clock import Clock
from tendis_py.services.waiters import Wait
from tendis_py.session import Outlet, Session, User

RECEIVE_BYTES = 16 * 1024
"""Read at a time: also what bounds one connection's share of a turn."""

REQUEST_WORK = 512
"""What a request counts for, in bytes of input, when a turn is shared out: both take about as
long."""

SEND_BYTES = 256 * 1024
"""Sent at a time, for the same reason: a client that reads fast could take a long reply for as many
milliseconds as it has megabytes."""

_SEND_PIECES = 64

WAITING_BYTES = 8 * RECEIVE_BYTES
"""Input of a busy connection beyond which it is not read any more."""

OUTBOX_BYTES = 64 * 1024 * 1024
"""Replies a client may leave unread before its requests wait, and it is no longer read."""

EPOLLIN, EPOLLOUT = select.EPOLLIN, select.EPOLLOUT


class Home(Outlet, Protocol):
    """Where a connection is served, as far as it knows: by the I/O thread of this ``number``."""

    number: int

    def close_soon(self, connection: Connection) -> None:
        """Close it; from any thread."""


class Gone:
    """What is left of a connection to a session that replies still arrive for."""

    class _Nowhere:
        def deliver(self, message: Message, peers: Sequence[Any]) -> None:
            """Nobody is there."""

        def answer(self, peer: Any, payload: Payload) -> None:
            """Nobody is there."""

        def run_again(self, peer: Any) -> None:
            """Nobody is there."""

    home = _Nowhere()
    closed = True
    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def close(self) -> None:
        """It is closed."""

    def abort(self) -> None:
        """It is closed."""


GONE = Gone()


@dataclass(frozen=True, slots=True)
class Early:
    """The reply to a request that waits; None: it is to run again."""

    payload: Payload | None


class Connection:
    """``busy`` while a batch holds requests of this connection, or one of them waits (BLPOP):
    requests that arrive meanwhile wait in ``waiting``, so that they run and are answered in
    order."""

    __slots__ = (
        "_monotonic",
        "busy",
        "closed",
        "early",
        "events",
        "fd",
        "finished",
        "heavy",
        "home",
        "outbox",
        "outbox_bytes",
        "outbox_since",
        "parser",
        "pending_since",
        "progress",
        "queued",
        "session",
        "socket",
        "soft_limit_since",
        "unfinished_bytes",
        "wait",
        "waiting",
        "waiting_bytes",
        "waiting_since",
    )

    def __init__(
        self,
        sock: socket.socket,
        home: Home,
        fast: FastReader,
        *,
        max_bulk: int,
        user: User,
        authenticated: bool,
        clock: Clock,
    ) -> None:
        self._monotonic = clock.monotonic
        self.socket = sock
        self.fd = sock.fileno()
        self.home = home
        unix = sock.family == socket.AF_UNIX
        self.session = Session(
            self,
            address=f"{sock.getsockname()}:0" if unix else _address(sock.getpeername()),
            local_address=f"{sock.getsockname()}:0" if unix else _address(sock.getsockname()),
            fd=self.fd,
            unix=unix,
            authenticated=authenticated,
            user=user,
            now=clock.monotonic(),
        )
        self.parser = RequestParser(
            fast,
            max_bulk=max_bulk,
            authenticated=authenticated,
            long_values=REGISTRY.long_value,
        )
        self.busy = False
        self.waiting: list[Request] = []
        self.waiting_bytes = 0
        self.waiting_since = self.pending_since = 0
        """When the oldest request in ``waiting`` was read (perf_counter_ns); and since when it has
        only been waiting, having been in a batch before or not."""
        self.wait: Wait | None = None
        """What its oldest request waits with that is not answered."""
        self.early: Early | None = None
        """What came for that before the batch that it waits since was answered."""
        self.heavy = False
        """Whether it last sent as much as is read at a time: more is to be expected."""
        self.queued = False
        """Whether it waits, among others that send a lot, to be read."""
        self.unfinished_bytes = 0
        """About how much has been read of a request that is not complete."""
        self.outbox: deque[bytes | memoryview] | None = None
        self.outbox_bytes = self.outbox_since = 0
        """``outbox_since``: when there began to be one (perf_counter_ns)."""
        self.events = EPOLLIN
        self.finished = False
        """No more input: the client has closed its side, or sent what is not RESP."""
        self.closed = False
        self.progress = 0.0
        """When the socket last took anything of the outbox (monotonic seconds)."""
        self.soft_limit_since = 0.0
        """Since when the outbox has been over its soft limit (monotonic seconds); 0: it is not."""

    @property
    def input_bytes(self) -> int:
        return self.waiting_bytes + self.parser.buffered

    @property
    def output_bytes(self) -> int:
        return self.outbox_bytes

    @property
    def output_pieces(self) -> int:
        return len(self.outbox or ())

    @property
    def thread(self) -> int:
        return self.home.number

    def close(self) -> None:
        self.home.close_soon(self)

    def abort(self) -> None:
        self.closed = True  # the replies of the batch under way are not sent any more
        self.close()

    @property
    def ordinary(self) -> bool:
        """Whether a reply changes nothing but what the client has got."""
        session = self.session
        return (
            session.authenticated
            and self.parser.authenticated
            and not session.closing
            and self.wait is None
        )

    @property
    def readable(self) -> bool:
        """Whether more input is wanted."""
        return (
            not self.finished
            and self.waiting_bytes <= WAITING_BYTES
            and self.outbox_bytes <= OUTBOX_BYTES
        )

    def exceeds(self, limit: BufferLimit, now: float, more: int = 0) -> bool:
        """Whether more waits to be sent than ``limit`` allows, at ``now`` (monotonic), ``more``
        bytes being there besides the outbox."""
        unsent = self.outbox_bytes + more
        if limit.soft and unsent > limit.soft:
            self.soft_limit_since = self.soft_limit_since or now
            if now - self.soft_limit_since > limit.soft_seconds:
                return True
        else:
            self.soft_limit_since = 0.0
        return bool(limit.hard) and unsent > limit.hard

    def weigh(self, size: int, requests: int) -> int:
        """So many bytes were read, which have completed so many requests: for how much that counts
        in a turn. A request counts with what was read of it before."""
        self.heavy = size == RECEIVE_BYTES
        work = size + REQUEST_WORK * requests
        if requests:
            work += self.unfinished_bytes
            self.unfinished_bytes = 0
        else:
            self.unfinished_bytes += size
        return work

    def send(self, payload: Payload) -> None:
        """Send what the socket takes now; the rest waits in the outbox. OSError when it is dead."""
        if self.outbox is not None:
            self._push(payload)
            return
        if isinstance(payload, Pieces) or len(payload) > SEND_BYTES:
            self._start_outbox()
            self._push(payload)
            self.flush()
            return
        try:
            sent = self.socket.send(payload)
        except BlockingIOError:
            sent = 0
        if sent < len(payload):
            self._start_outbox()
            self._push(memoryview(payload)[sent:])

    def _start_outbox(self) -> None:
        self.outbox = deque()
        self.outbox_since = perf_counter_ns()
        self.progress = self._monotonic()

    def _push(self, data: Payload | memoryview) -> None:
        assert self.outbox is not None
        if isinstance(data, Pieces):
            self.outbox += data.parts
        else:
            self.outbox.append(data)
        self.outbox_bytes += len(data)

    def flush(self) -> None:
        """Send on from the outbox, a turn's share. OSError when the socket is dead."""
        outbox = self.outbox
        if outbox is None:
            return
        try:
            sent = self.socket.sendmsg(_share(outbox))
        except BlockingIOError:
            return
        self.outbox_bytes -= sent
        self.progress = self._monotonic()
        while sent:
            head = outbox[0]
            if len(head) > sent:
                outbox[0] = memoryview(head)[sent:]
                return
            sent -= len(head)
            outbox.popleft()
        if not outbox:
            self.outbox = None

    def close_socket(self) -> None:
        self.closed = True
        self.session.peer = GONE  # no reference cycle is left behind
        self.parser.discard()
        outbox, self.outbox = self.outbox, None
        while outbox:  # one by one: together they may be hundreds of megabytes
            outbox.popleft()
        self.outbox_bytes = 0
        self.waiting = []
        self.waiting_bytes = 0
        with contextlib.suppress(OSError):
            self.socket.close()


def _address(name: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _share(outbox: Iterable[bytes | memoryview]) -> list[memoryview]:
    """The first SEND_BYTES at most, in as many pieces as a call of sendmsg surely takes."""
    share = []
    room = SEND_BYTES
    for piece in islice(outbox, _SEND_PIECES):
        part = memoryview(piece)[:room]
        share.append(part)
        room -= len(part)
        if not room:
            break
    return share
