"""A connection that this server makes to another one: blocking, with a limit to the time that each
step may take. It is for a thread that nobody else needs meanwhile.

The other side may be anything: what it sends is read a line at a time, and only as much as a line
may have.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from time import perf_counter_ns
from typing import Any

CHUNK_BYTES = 64 * 1024
"""What goes out in one step."""

LONGEST_LINE = 1024
MOST_LOOK_UPS = 16
_RECEIVED_AT_ONCE = 4096
_LONGEST_SECONDS = 2**31 / 1000
"""What poll can wait for."""

Address = tuple[Any, ...]
"""As ``socket.getaddrinfo`` has it."""

Outcome = SimpleQueue[list[Address] | OSError]
"""Of looking a name up."""


class Deadline:
    """When what begins now has taken so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._at = perf_counter_ns() + int(min(seconds, _LONGEST_SECONDS) * 1e9)

    def left(self) -> float:
        """Seconds; TimeoutError when there are none."""
        left = (self._at - perf_counter_ns()) / 1e9
        if left <= 0:
            raise TimeoutError
        return left


class Resolver:
    """Looks names up, each in a thread of its own, for the system knows no limit to the time that
    may take. They are daemons, so that none keeps the process from its end."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(MOST_LOOK_UPS)

    def look_up(self, host: bytes, port: int, outcome: Outcome, until: Deadline) -> None:
        """Have ``outcome`` get the addresses, sooner or later."""
        if not self._places.acquire(timeout=until.left()):
            raise TimeoutError("names are being looked up")

        def run() -> None:
            try:
                outcome.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except OSError as error:
                outcome.put(error)
            finally:
                self._places.release()

        threading.Thread(target=run, name="look-up", daemon=True).start()


class Outbound:
    """``services.links.Link`` over TCP."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._looked_up: Outcome = SimpleQueue()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._abandoned = False
        self._received = bytearray()

    def connect(self, host: bytes, port: int, seconds: float) -> None:
        until = Deadline(seconds)
        failure: OSError = ConnectionError("no address")
        for family, kind, protocol, _, address in self._addresses(host, port, until):
            try:
                self._use(socket.socket(family, kind, protocol))
                self._step(until).connect(address)
                self._step(until).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return
            except OSError as error:
                failure = error
                self.close()
        raise failure

    def send(self, parts: Iterable[bytes], seconds: float) -> None:
        for chunk in _chunks(parts):
            self._step(Deadline(seconds)).sendall(chunk)

    def line(self, seconds: float) -> bytes:
        until = Deadline(seconds)
        received = self._received
        while (end := received.find(b"\n")) < 0:
            if len(received) > LONGEST_LINE:
                raise ConnectionError("the line has no end")
            more = self._step(until).recv(_RECEIVED_AT_ONCE)
            if not more:
                raise ConnectionError("closed by the other side")
            received += more
        line = bytes(received[:end]).removesuffix(b"\r")
        del received[: end + 1]
        return line

    def abandon(self) -> None:
        self._looked_up.put(ConnectionError("abandoned"))
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                # Whatever waits for it is woken, which closing it would not do.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _addresses(self, host: bytes, port: int, until: Deadline) -> list[Address]:
        with contextlib.suppress(socket.gaierror):
            return socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
        self._resolver.look_up(host, port, self._looked_up, until)
        try:
            found = self._looked_up.get(timeout=until.left())
        except Empty:
            raise TimeoutError("looking up a name") from None
        if isinstance(found, OSError):
            raise found
        return found

    def _use(self, new: socket.socket) -> None:
        with self._lock:
            self._socket = new

    def _step(self, until: Deadline) -> socket.socket:
        """The socket, for a step that may last until then."""
        if self._abandoned or self._socket is None:
            raise ConnectionError("abandoned")
        self._socket.settimeout(until.left())
        return self._socket


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """What ``parts`` are together, in chunks: small ones are joined, large ones cut."""
    small = bytearray()
    for part in parts:
        if len(small) + len(part) <= CHUNK_BYTES:
            small += part
            continue
        if small:
            yield bytes(small)
            small.clear()
        view = memoryview(part)
        for start in range(0, len(part), CHUNK_BYTES):
            yield view[start : start + CHUNK_BYTES]
    if small:
        yield bytes(small)
