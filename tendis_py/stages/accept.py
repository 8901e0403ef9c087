"""Who may come in, and the acceptor that deals connections to reactors."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable
from time import perf_counter_ns

import trio

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


class Doorkeeper:
    """Decides whether an accepted socket may become a client, and prepares it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def admit(self, sock: socket.socket) -> bool:
        """Take ``sock`` in (it counts as a client from here on), or refuse and close it."""
        config, acl = self._services.config, self._services.acl
        if not self._services.clients.admit():
            _refuse(sock, TOO_MANY)
            return False
        if config.protected_mode and acl.default.definition.no_password and not _is_local(sock):
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
    cancelled, or ``listener`` is closed."""
    while listener.fileno() >= 0:
        try:
            await trio.lowlevel.wait_readable(listener)
        except trio.ClosedResourceError:
            return
        for _ in range(64):
            try:
                sock, _ = listener.accept()
                accepted = perf_counter_ns()
            except BlockingIOError:
                break
            except OSError as error:  # out of file descriptors: let some close
                if error.errno != errno.EINVAL:  # not listening just now, see doors.py
                    log.warning("accept failed: %s", os.strerror(error.errno or 0))
                await trio.sleep(0.1)
                break
            if doorkeeper.admit(sock):
                choose().adopt(sock, accepted)


def stop_dealing(listener: socket.socket) -> None:
    """End ``deal``, and close its listener."""
    trio.lowlevel.notify_closing(listener)
    listener.close()
