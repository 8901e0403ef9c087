"""Raw RESP2 over a socket, and the data set every benchmark uses.

The load is made of ready bytes and the length of a right answer is known beforehand, so the client
spends next to nothing on a request and never parses a reply. It knows no server and no statistics.
"""

import random
import select
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
TIMEOUT = 120.0
"""Seconds without a byte in either direction after which a server counts as hung."""

KEY_SIZE = 16
VALUE_SIZE = 64
OK = b"+OK\r\n"

_LOAD_CHUNK = 5_000
_RECEIVE_SIZE = 1 << 20
# Values are windows of one random text: made in a fraction of a microsecond, yet a disk block
# full of them hardly compresses. Hexadecimal, so that no right answer ever has a "-" in it.
_TEXT = random.Random(1).randbytes(1 << 19).hex().encode()


class WireError(Exception):
    """The server answered an error or nil, closed the connection, or fell silent."""


class Connection:
    """One client connection. It owns a non-blocking socket and closes it on exit."""

    __slots__ = ("_poller", "_socket")

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._poller = select.poll()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def exchange(self, request: bytes, reply_size: int) -> bytes:
        """Send `request` and return the `reply_size` bytes that answer it.

        Reads while it writes, so a pipeline of any length cannot deadlock with a server that
        pushes back. Raises `WireError` at the first "-", which no expected answer contains.
        """
        unsent = memoryview(request)
        received = bytearray()
        while unsent or len(received) < reply_size:
            events = select.POLLIN | select.POLLOUT if unsent else select.POLLIN
            self._poller.register(self._socket, events)
            ready = self._poller.poll(TIMEOUT * 1000)
            if not ready:
                raise WireError(f"silent after {len(received)} of {reply_size} bytes")
            happened = ready[0][1]
            if happened & ~select.POLLOUT:
                received += self._receive()
            if happened & select.POLLOUT:
                unsent = unsent[self._socket.send(unsent) :]
        if len(received) != reply_size:
            raise WireError(f"{len(received)} bytes instead of {reply_size}")
        return bytes(received)

    def _receive(self) -> bytes:
        chunk = self._socket.recv(_RECEIVE_SIZE)
        if not chunk:
            raise WireError("closed by the server")
        at = chunk.find(b"-")
        if at >= 0:
            raise WireError(chunk[at : at + 100].decode("latin-1"))
        return chunk


def command(*arguments: bytes) -> bytes:
    """The RESP array of bulk strings for one command."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def key(index: int) -> bytes:
    """The key redis-benchmark itself makes for this index with `-r`: 16 bytes."""
    return b"key:%012d" % index


def value(index: int) -> bytes:
    """The value every benchmark stores at `key(index)`: 64 bytes."""
    start = index * 2_654_435_761 % (len(_TEXT) - VALUE_SIZE)
    return _TEXT[start : start + VALUE_SIZE]


def set_command(index: int) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$64\r\n%b\r\n" % (key(index), value(index))


def get_command(index: int) -> bytes:
    return b"*2\r\n$3\r\nGET\r\n$16\r\n%b\r\n" % key(index)


def get_reply(index: int) -> bytes:
    return b"$64\r\n%b\r\n" % value(index)


def load(port: int, keys: int) -> None:
    """Store `value(i)` at `key(i)` for every i below `keys`, pipelined on one connection."""
    with Connection(port) as connection:
        for start in range(0, keys, _LOAD_CHUNK):
            indexes = range(start, min(start + _LOAD_CHUNK, keys))
            connection.exchange(b"".join(map(set_command, indexes)), len(indexes) * len(OK))


def read(connection: Connection, indexes: Iterable[int]) -> None:
    """GET these loaded keys in one pipeline; raises `WireError` unless every value is right."""
    indexes = list(indexes)
    expected = b"".join(map(get_reply, indexes))
    if connection.exchange(b"".join(map(get_command, indexes)), len(expected)) != expected:
        raise WireError("a value that was not the one stored")
