"""Listening sockets, and the acceptor that deals connections to reactors."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import trio

from tendis_py.config import Config
from tendis_py.errors import StorageError
from tendis_py.services import Services
from tendis_py.stages.reactor import Reactor

log = logging.getLogger(__name__)

TOO_MANY = b"-ERR max number of clients reached\r\n"
DENIED = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password "
    b"is set for the default user. In this mode connections are only accepted from the loopback "
    b"interface. If you want to connect from external computers to Redis you may adopt one of the "
    b"following solutions: 1) Just disable protected mode sending the command 'CONFIG SET "
    b"protected-mode no' from the loopback interface by connecting to Redis from the same host the "
    b"server is running, however MAKE SURE Redis is not publicly accessible from internet if you "
    b"do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just "
    b"disable the protected mode by editing the Redis configuration file, and setting the "
    b"protected mode option to 'no', and then restarting the server. 3) If you started the server "
    b"manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an "
    b"authentication password for the default user. NOTE: You only need to do one of the above "
    b"things in order for the server to start accepting connections from the outside.\r\n"
)


NOWHERE = (
    "Configured to not listen anywhere: neither a port, with an address in bind that there is, nor "
    "a unixsocket"
)

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

_CHOICES = 16
"""Ports that the system is asked for until one is free at all addresses."""


class ListenError(StorageError):
    """An address can't be listened on; the message says which and why."""

    def __init__(self, message: str, number: int | None = None) -> None:
        super().__init__(message)
        self.errno = number


class UnixListener(socket.socket):
    """A listening Unix socket. ``identity`` tells its file from that of a server which has put its
    own in the place."""

    identity: tuple[int, int]


def open_listeners(config: Config, *, port: int | None = None) -> list[socket.socket]:
    """Sockets listening on every address of ``bind`` and on ``unixsocket``.

    A bind address with a leading ``-`` may be missing, as in redis.conf. ``port`` overrides the
    setting: with 0 the system chooses one, which all addresses share (the setting 0 means no TCP
    at all). ListenError when an address can't be used, or there is none.
    """
    listeners: list[socket.socket] = []
    if config.port or port is not None:
        listeners = _bind_somewhere(config, config.port if port is None else port)
    if config.unixsocket:
        try:
            listeners.append(_bind_unix(config))
        except ListenError:
            _close_all(listeners)
            raise
    if not listeners:
        raise ListenError(NOWHERE)
    return listeners


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


def _bind_somewhere(config: Config, port: int) -> list[socket.socket]:
    """As ``_bind_all``; a port that the system chose for one address may be taken at another."""
    for _ in range(_CHOICES):
        try:
            return _bind_all(config, port)
        except ListenError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    raise ListenError(f"no port is free at all of {' '.join(config.bind)}")


def _bind_all(config: Config, port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    try:
        for entry in config.bind:
            listener = _bind_tcp(entry, port, config.tcp_backlog)
            if listener is not None:
                port = listener.getsockname()[1]
                listeners.append(listener)
    except ListenError:
        _close_all(listeners)
        raise
    return listeners


def _bind_tcp(entry: str, port: int, backlog: int) -> socket.socket | None:
    """A listening socket; None where the address may be missing, and is."""
    host = entry.removeprefix("-")
    host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
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


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _bind_unix(config: Config) -> UnixListener:
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


def _close_all(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        close_listener(listener)


def describe(listener: socket.socket) -> str:
    """``127.0.0.1:6379`` or the path of a Unix socket."""
    name = listener.getsockname()
    if isinstance(name, str):
        return name
    return _spell(name[0], name[1])


def _spell(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Doorkeeper:
    """Decides whether an accepted socket may become a client, and prepares it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def admit(self, sock: socket.socket) -> bool:
        """Take ``sock`` in (it counts as a client from here on), or refuse and close it."""
        config = self._services.config
        if not self._services.clients.admit():
            _refuse(sock, TOO_MANY)
            return False
        if config.protected_mode and not config.requirepass and not _is_local(sock):
            self._services.clients.release()
            _refuse(sock, DENIED)
            return False
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if config.tcp_keepalive:
                    _keep_alive(sock, config.tcp_keepalive)
        return True


def _refuse(sock: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.setblocking(False)
        sock.send(message)
    sock.close()


def _is_local(sock: socket.socket) -> bool:
    if sock.family == socket.AF_UNIX:
        return True
    try:
        address = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    except (OSError, ValueError):
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    """Probe an idle peer after ``seconds``, three times, as Redis does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


async def deal(
    listener: socket.socket, doorkeeper: Doorkeeper, choose: Callable[[], Reactor]
) -> None:
    """The acceptor: hand each new connection to the reactor that ``choose`` names. Runs until
    cancelled."""
    while True:
        await trio.lowlevel.wait_readable(listener)
        for _ in range(64):
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                break
            except OSError as error:  # out of file descriptors: let some close
                log.warning("accept failed: %s", os.strerror(error.errno or 0))
                await trio.sleep(0.1)
                break
            if doorkeeper.admit(sock):
                choose().adopt(sock)
