"""Connections to the server under load: made by trio, a hundred at a time, then handed over as
plain non-blocking sockets, with which the generator deals itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from dataclasses import dataclass

import hiredis
import trio

from tendis_py.load.errors import LoadError
from tendis_py.load.wire import encode

_AT_ONCE = 100
_SPARE_FILES = 64
_RECEIVE_BYTES = 16 * 1024

Place = tuple[int, object]
"""An address family and an address of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server: a host and port, or the ``path`` of a Unix socket. ``password`` None: no AUTH."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    user: str = ""
    password: str | None = None
    database: int = 0
    protocol: int = 2

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> tuple[str, int, str]:
    """Host, port and path of HOST:PORT, HOST, PORT or a path. Raises LoadError."""
    if "/" in text:
        return "", 0, text
    host, port = text, ""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise LoadError(f"an address is HOST:PORT, not {text!r}")
        port = port[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    elif text.isdecimal():
        host, port = "", text
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise LoadError(f"a port is from 1 to 65535, not {port!r}")
    return host or "127.0.0.1", int(port or 6379), ""


async def connect(target: Target, amount: int, timeout: float) -> list[socket.socket]:
    """So many connections, logged in and in the right database. Raises LoadError; the sockets are
    the caller's to close."""
    _allow_files(amount)
    sockets: list[socket.socket] = []
    failures: list[LoadError] = []
    limiter = trio.CapacityLimiter(_AT_ONCE)

    async def one(place: Place, scope: trio.CancelScope) -> None:
        async with limiter:
            try:
                sockets.append(await _connect(place, target, timeout))
            except LoadError as error:
                failures.append(error)
                scope.cancel()

    try:
        place, first = await _first(target, timeout)
        sockets.append(first)
        async with trio.open_nursery() as nursery:
            for _ in range(amount - 1):
                nursery.start_soon(one, place, nursery.cancel_scope)
        if failures:
            raise failures[0]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


async def _first(target: Target, timeout: float) -> tuple[Place, socket.socket]:
    """A connection to the first of the target's addresses that takes one."""
    failure: LoadError | None = None
    for place in await _places(target):
        try:
            return place, await _connect(place, target, timeout)
        except LoadError as error:
            failure = failure or error
    assert failure is not None
    raise failure


async def _places(target: Target) -> list[Place]:
    if target.path:
        return [(socket.AF_UNIX, target.path)]
    try:
        found = await trio.socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise LoadError(f"{target.host}: {_reason(error)}") from None
    return [(family, address) for family, _, _, _, address in found]


async def _connect(place: Place, target: Target, timeout: float) -> socket.socket:
    family, address = place
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _open(sock, address, target, timeout)
    except BaseException:
        sock.close()
        raise
    return sock


async def _open(sock: socket.socket, address: object, target: Target, timeout: float) -> None:
    stream = trio.socket.from_stdlib_socket(sock)
    try:
        with trio.fail_after(timeout):
            await stream.connect(address)
            if not target.path:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _log_in(stream, target)
    except trio.TooSlowError:
        raise LoadError(f"{target}: no answer within {timeout:g} s of connecting") from None
    except OSError as error:
        raise LoadError(f"cannot connect to {target}: {_reason(error)}") from None


async def _log_in(stream: trio.socket.SocketType, target: Target) -> None:
    credentials = (
        [] if target.password is None else [(target.user or "default").encode(), _raw(target)]
    )
    requests: list[list[bytes]] = []
    if target.protocol == 3:
        requests.append([b"HELLO", b"3", *([b"AUTH", *credentials] if credentials else [])])
    elif credentials:
        # A server before Redis 6 knows no users.
        requests.append([b"AUTH", *(credentials if target.user else credentials[1:])])
    if target.database:
        requests.append([b"SELECT", b"%d" % target.database])
    requests.append([b"PING"])
    await _send_all(stream, b"".join(map(encode, requests)))
    reader = hiredis.Reader(notEnoughData=...)
    for request in requests:
        try:
            while (reply := reader.gets()) is ...:
                chunk = await stream.recv(_RECEIVE_BYTES)
                if not chunk:
                    raise LoadError(f"{target}: the server closed a connection at its beginning")
                reader.feed(chunk)
        except hiredis.ProtocolError as error:
            raise LoadError(f"{target} does not speak Redis' protocol: {error}") from None
        if isinstance(reply, hiredis.ReplyError):
            raise LoadError(f"{target}: {request[0].decode()}: {reply}")


async def _send_all(stream: trio.socket.SocketType, data: bytes) -> None:
    while data:
        data = data[await stream.send(data) :]


def _raw(target: Target) -> bytes:
    return (target.password or "").encode(errors="surrogateescape")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # trio's own text repeats the address
    return str(getattr(error, "strerror", None) or error)  # of getaddrinfo


def _allow_files(connections: int) -> None:
    """Let this process open so many. Raises LoadError where the system says no."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return
    raise LoadError(f"{connections} connections need {needed} open files; the limit is {hard}")
