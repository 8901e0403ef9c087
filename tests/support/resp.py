"""RESP on the client's side: whole replies as they came, and what they mean.

Written apart from the server's own code on purpose: it is what that code is checked against.
Knows no server; ``RawClient`` is a blocking socket whose every wait is bounded.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

SECONDS = 10.0
"""What a reply may take before the test fails."""


Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class Disconnected(Exception):
    """The server closed the connection where a reply was due; ``args[0]`` is what came of it."""


@dataclass(frozen=True, slots=True)
class Error:
    """An error reply, its ``-`` taken off."""

    message: str


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple string."""

    text: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A set, map (keys and values in turn) or push, by its marker; an array is a plain list."""

    marker: str
    items: list[Any]


class Source(Protocol):
    def line(self) -> bytes:
        """The next bytes up to and with CRLF."""

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""


_BLOBS = b"$=!"
_AGGREGATES = b"*~>%|"


def take_reply(source: Source) -> bytes:
    """The bytes of exactly one reply, RESP2 or RESP3, nested ones and attributes included."""
    taken: list[bytes] = []
    missing = 1
    while missing:
        head = source.line()
        taken.append(head)
        missing -= 1
        marker, size = head[0], head[1:-2]
        if marker in _BLOBS:
            if size != b"-1":
                taken.append(source.exactly(int(size) + 2))
        elif marker in _AGGREGATES:
            if size != b"-1":
                missing += int(size) * (2 if marker in b"%|" else 1)
            if marker == ord("|"):
                missing += 1  # an attribute comes before what it is about
        elif marker not in b"+-:_,#(":
            raise ValueError(f"not a reply: {head!r}")
    return b"".join(taken)


class Bytes:
    """A source that holds everything already. IndexError past its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def line(self) -> bytes:
        end = self.data.find(b"\r\n", self.position) + 2
        if end < 2:
            raise IndexError("no whole line left")
        return self._to(end)

    def exactly(self, size: int) -> bytes:
        if self.position + size > len(self.data):
            raise IndexError(f"fewer than {size} bytes left")
        return self._to(self.position + size)

    def _to(self, end: int) -> bytes:
        piece = self.data[self.position : end]
        self.position = end
        return piece


def split_replies(data: bytes) -> list[bytes]:
    """``data`` cut into replies; IndexError when the last one is not whole."""
    source = Bytes(data)
    replies = []
    while source.position < len(data):
        replies.append(take_reply(source))
    return replies


def decode(reply: bytes) -> Any:
    """One reply as a Python value that tells all RESP types apart but the kinds of null."""
    return _decode(Bytes(reply))


def _decode(source: Bytes) -> Any:
    head = source.line()
    marker, text = chr(head[0]), head[1:-2]
    if marker in "$=":
        return None if text == b"-1" else source.exactly(int(text) + 2)[:-2]
    if marker in "*~>%":
        if text == b"-1":
            return None
        count = int(text) * (2 if marker == "%" else 1)
        items = [_decode(source) for _ in range(count)]
        return items if marker == "*" else Aggregate(marker, items)
    return _LINES[marker](text.decode("utf-8", "surrogateescape"))


_LINES: dict[str, Callable[[str], Any]] = {
    "+": Simple,
    "-": Error,
    ":": int,
    ",": float,
    "#": lambda text: text == "t",
    "_": lambda text: None,
}
"""Marker of a reply that is one line → its value."""


def encode_request(arguments: list[bytes] | tuple[bytes, ...]) -> bytes:
    """A request as clients send it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def as_bytes(argument: bytes | str | int) -> bytes:
    return argument if isinstance(argument, bytes) else str(argument).encode()


class RawClient:
    """A connection over which bytes go out and whole replies come back. Not thread-safe.

    Every receive and send raises TimeoutError after ``seconds``.
    """

    def __init__(self, address: Address, *, protocol: int = 2, seconds: float = SECONDS) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(seconds)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection(address, timeout=seconds)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0
        """Bytes, in all."""
        self._received = bytearray()
        self._position = 0
        if protocol != 2:
            greeting = self.command("HELLO", protocol)
            if greeting.startswith(b"-"):
                self.close()
                raise ValueError(f"HELLO {protocol} was answered {greeting!r}")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self.sent += len(data)

    def request(self, *arguments: bytes | str | int) -> None:
        """Send one command; its reply is taken later."""
        self.send(encode_request([as_bytes(argument) for argument in arguments]))

    def has_more(self) -> bool:
        """Whether anything has come that was not taken, or the end of the stream; does not wait."""
        return self._position < len(self._received) or bool(
            select.select([self.socket], [], [], 0)[0]
        )

    def reply(self) -> bytes:
        """The next reply's bytes. Disconnected when the server closes instead."""
        return take_reply(self)

    def command(self, *arguments: bytes | str | int) -> bytes:
        """Send one command; its reply's bytes."""
        self.request(*arguments)
        return self.reply()

    def value(self, *arguments: bytes | str | int) -> Any:
        """Send one command; its reply decoded."""
        return decode(self.command(*arguments))

    def pipeline(self, requests: list[list[bytes]]) -> list[bytes]:
        """Send all, then read all replies. For pipelines that fit into the sockets' buffers."""
        self.send(b"".join(map(encode_request, requests)))
        return [self.reply() for _ in requests]

    def until_closed(self) -> bytes:
        """Everything still to come, up to the end of the stream (or its reset)."""
        while self._fill():
            pass
        rest = bytes(self._received[self._position :])
        self._position = len(self._received)
        return rest

    # As a Source

    def line(self) -> bytes:
        scanned = 0
        while True:
            end = self._received.find(b"\r\n", self._position + scanned)
            if end >= 0:
                return self._take(end + 2)
            scanned = max(0, len(self._received) - self._position - 1)
            self._refill()

    def exactly(self, size: int) -> bytes:
        while len(self._received) < self._position + size:
            self._refill()
        return self._take(self._position + size)

    def _take(self, end: int) -> bytes:
        piece = bytes(self._received[self._position : end])
        self._position = end
        return piece

    def _refill(self) -> None:
        """Receive more, and forget what was taken."""
        del self._received[: self._position]
        self._position = 0
        if not self._fill():
            raise Disconnected(bytes(self._received))

    def _fill(self) -> bool:
        try:
            chunk = self.socket.recv(256 * 1024)
        except ConnectionResetError:
            return False
        self._received += chunk
        return bool(chunk)
