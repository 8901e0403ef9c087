"""Listening sockets: opened, described, closed. Knows nobody who accepts."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from pathlib import Path

from tendis_py.config import Config
from tendis_py.errors import StorageError
from tendis_py.stages.arrival import stamp_arrivals

log = logging.getLogger(__name__)

_NO_SUCH_FAMILY = frozenset(
    (
        errno.EAFNOSUPPORT,
        errno.EPFNOSUPPORT,
        errno.EPROTONOSUPPORT,
        errno.ESOCKTNOSUPPORT,
        errno.ENOPROTOOPT,
    )
)
"""A host without IPv6, say: no reason not to start, as in Redis."""


class ListenError(StorageError):
    """An address can't be listened on; the message says which and why."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.errno = number


class UnixListener(socket.socket):
    """A listening Unix socket. ``identity`` tells its file from that of a server which has put its
    own in the place."""

    identity: tuple[int, int]


def bind_tcp(entry: str, port: int, backlog: int) -> socket.socket | None:
    """A listening socket; None where the address may be missing, and is."""
    host = host_of(entry)
    sock = None
    try:
        if not host:  # to Python, that is every address
            raise OSError(errno.EINVAL, "it has no name")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        _prepare(sock)
        sock.bind((host, port))
        sock.listen(backlog)
    except (OSError, ValueError, TypeError) as error:  # the last two: no name in any alphabet
        if sock is not None:
            sock.close()
        number = getattr(error, "errno", None)
        reason = getattr(error, "strerror", None) or str(error)
        shown = host.encode("utf-8", "backslashreplace").decode()
        message = f"can't listen on {_spell(shown, port)}: {reason}"
        missing = number == errno.EADDRNOTAVAIL and entry.startswith("-")
        if missing or number in _NO_SUCH_FAMILY:
            log.warning("%s", message)
            return None
        raise ListenError(message, number) from None
    return sock


def host_of(entry: str) -> str:
    """What an entry of ``bind`` is about."""
    host = entry.removeprefix("-")
    return {"*": "0.0.0.0", "::*": "::"}.get(host, host)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    stamp_arrivals(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def listen_beside(listener: socket.socket, backlog: int) -> socket.socket:
    """Another socket that listens where ``listener`` does: the kernel deals connections to both.

    SO_REUSEPORT is allowed only now: the first socket of a server listens without it, and so fails
    where any other server listens, even one that has allowed it. ListenError when it can't be.
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock = socket.socket(listener.family, socket.SOCK_STREAM)
    try:
        _prepare(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(listener.getsockname())
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        message = f"can't listen on {describe(listener)} again: {error.strerror}"
        raise ListenError(message, error.errno) from None
    return sock


def bind_unix(config: Config) -> UnixListener:
    path = Path(config.unixsocket)
    sock = UnixListener(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        sock.identity = _identity(path)
        if config.unixsocketperm:
            path.chmod(config.unixsocketperm)
        sock.listen(config.tcp_backlog)
    except (OSError, ValueError) as error:
        sock.close()
        reason = getattr(error, "strerror", None) or error
        raise ListenError(f"can't listen on {path}: {reason}") from None
    sock.setblocking(False)
    return sock


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def close_listener(listener: socket.socket) -> None:
    """Stop listening; a Unix socket's path is removed, unless another server has taken it over."""
    if isinstance(listener, UnixListener):
        path = Path(listener.getsockname())
        with contextlib.suppress(OSError):
            if _identity(path) == listener.identity:
                path.unlink()
    listener.close()


def describe(listener: socket.socket) -> str:
    """``127.0.0.1:6379`` or the path of a Unix socket."""
    name = listener.getsockname()
    if isinstance(name, str):
        return name
    return _spell(name[0], name[1])


def _spell(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
