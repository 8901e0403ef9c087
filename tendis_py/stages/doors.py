"""The doors: every address that clients come in by, and how these change while the server runs.

Knows listening sockets, and of those who accept from them only what it is handed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tendis_py.config import Config
from tendis_py.stages.listening import (
    ListenError,
    bind_tcp,
    bind_unix,
    close_listener,
    describe,
    host_of,
    listen_beside,
)

log = logging.getLogger(__name__)

NOWHERE = (
    "Configured to not listen anywhere: neither a port, with an address in bind that there is, nor "
    "a unixsocket"
)

_CHOICES = 16
"""Ports that the system is asked for until one is free at all addresses."""

Acceptor = Callable[[int, socket.socket], None]
"""Called with the number of who accepts and a listening socket; from any thread, and does not
wait."""


@dataclass(eq=False, slots=True)
class Door:
    """An address: ``sockets`` listen on it, one for each who accepts; on a Unix socket it is the
    same one for all."""

    host: str
    port: int
    sockets: list[socket.socket]

    def suspend(self) -> None:
        """Refuse clients; the address is still taken, and others can listen on one that overlaps
        with it."""
        for sock in self.sockets:
            with contextlib.suppress(OSError):  # it is suspended
                sock.shutdown(socket.SHUT_RD)

    def resume(self, backlog: int) -> None:
        for sock in self.sockets:
            try:
                sock.listen(backlog)
            except OSError as error:
                log.error("can't listen on %s again: %s", describe(sock), error.strerror)

    def close(self) -> None:
        for sock in set(self.sockets):
            close_listener(sock)


class Doors:
    """Thread-safe."""

    def __init__(self, config: Config, *, port: int | None = None, acceptors: int = 1) -> None:
        """Listen on every address of ``bind`` and on ``unixsocket``, with a socket for each of the
        ``acceptors``.

        A bind address with a leading ``-`` may be missing, as in redis.conf. ``port`` stands for
        the setting that there is now: with 0 the system chooses one, which all addresses share
        (the setting 0 means no TCP at all). ListenError when an address can't be used, or there
        is none.
        """
        self._config = config
        self._acceptors = acceptors
        self._lock = threading.Lock()
        self._accept: Acceptor | None = None
        self._ignore: Acceptor | None = None
        self._tcp: list[Door] = []
        self._unix: list[Door] = []
        self._closing: list[Door] = []
        """Those that who accepts from them has still to close."""
        self._setting = config.port
        self._chosen = config.port if port is None else port
        if config.port or port is not None:
            self._tcp = self._open_somewhere(self._chosen)
        if self._tcp:
            self._chosen = self._tcp[0].port
        if config.unixsocket:
            try:
                self._unix = [Door("", 0, [bind_unix(config)] * acceptors)]
            except ListenError:
                self.close()
                raise
        if not self._all:
            raise ListenError(NOWHERE)
        self.port = self._chosen
        """The TCP port, 0 when there is none."""

    @property
    def _all(self) -> list[Door]:
        return [*self._tcp, *self._unix]

    @property
    def addresses(self) -> list[str]:
        """``127.0.0.1:6379`` or the path of a Unix socket."""
        return [describe(door.sockets[0]) for door in self._all]

    def start(self, accept: Acceptor, ignore: Acceptor) -> None:
        """Have ``accept`` take in the clients of each socket, of those to come, too; and ``ignore``
        take in no more of one, and close it."""
        with self._lock:
            self._accept, self._ignore = accept, ignore
            self._start(self._all)

    def _start(self, doors: list[Door]) -> None:
        assert self._accept is not None
        for door in doors:
            for index, sock in enumerate(door.sockets):
                self._accept(index, sock)

    def follow_settings(self) -> None:
        """Listen where ``bind`` and ``port`` say now. An address that was one before goes on
        without a break; clients who are in stay. ListenError when it can't be: then everything
        is as before."""
        config = self._config
        with self._lock:
            if self._accept is None or self._ignore is None:
                return  # the server ends
            port = self._chosen if config.port == self._setting else config.port
            left, kept, wanted = self._tcp.copy(), [], []
            for entry in config.bind if port else ():
                same = [door for door in left if (door.host, door.port) == (host_of(entry), port)]
                if same:
                    left.remove(same[0])
                    kept.append(same[0])
                else:
                    wanted.append(entry)
            opened = self._open_beside(left, wanted, port)
            self._tcp, self.port = kept + opened, port
            self._start(opened)
            self._closing = [door for door in self._closing if is_open(door)] + left
            for door in left:
                door.suspend()
                for index, sock in enumerate(door.sockets):
                    self._ignore(index, sock)
            if not self._all:
                log.warning("not listening anywhere any more")

    def _open_beside(self, others: list[Door], entries: list[str], port: int) -> list[Door]:
        """As ``_open``; of ``others``, which are about to be closed, some may be in the way."""
        try:
            return self._open(entries, port)
        except ListenError as error:
            in_the_way = [door for door in others if door.port == port]
            if error.errno != errno.EADDRINUSE or not in_the_way:
                raise
        for door in in_the_way:
            door.suspend()
        try:
            return self._open(entries, port)
        except ListenError:
            for door in in_the_way:
                door.resume(self._config.tcp_backlog)
            raise

    def _open_somewhere(self, port: int) -> list[Door]:
        """As ``_open``; a port that the system chose for one address may be taken at another."""
        for _ in range(_CHOICES):
            try:
                return self._open(self._config.bind, port)
            except ListenError as error:
                if port or error.errno != errno.EADDRINUSE:
                    raise
        raise ListenError(f"no port is free at all of {' '.join(self._config.bind)}")

    def _open(self, entries: list[str], port: int) -> list[Door]:
        backlog = self._config.tcp_backlog
        doors: list[Door] = []
        try:
            for entry in entries:
                first = bind_tcp(entry, port, backlog)
                if first is None:
                    continue
                port = first.getsockname()[1]
                door = Door(host_of(entry), port, [first])
                doors.append(door)
                for _ in range(1, self._acceptors):
                    door.sockets.append(listen_beside(first, backlog))
        except ListenError:
            for door in doors:
                door.close()
            raise
        return doors

    def stop(self) -> None:
        """Nothing changes any more."""
        with self._lock:
            self._accept = self._ignore = None

    def close(self) -> None:
        """Close everything; nobody accepts any more."""
        for door in [*self._all, *self._closing]:
            door.close()


def is_open(door: Door) -> bool:
    return any(sock.fileno() >= 0 for sock in door.sockets)
