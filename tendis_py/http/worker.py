"""Serves HTTP on listening sockets with Hypercorn's trio worker, within bounds.

Hypercorn waits for ever for a client that does not read, and takes any number of them; here a
connection has so many seconds for its headers and for each thing that is sent to it, and whoever
comes while there are too many is told so. One connection's failure is its own.
"""

from __future__ import annotations

import contextlib
import logging
import socket

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

from tendis_py.http.app import make_app
from tendis_py.http.feed import Feed
from tendis_py.services import Services

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128
HEADER_SECONDS = 5.0
"""To send a request's head in, and between two requests."""
SEND_SECONDS = 10.0
HEAD_BYTES = 8192

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n\r\ntoo many connections\n"
)


class Worker:
    def __init__(self, services: Services) -> None:
        self._feed = Feed(services)
        self._app = wrap_app(make_app(services, self._feed), 0, "asgi")  # type: ignore[arg-type]
        self._config = _hypercorn_config()
        self._context = WorkerContext(None)
        self.visitors: set[_Visitor] = set()
        """Who is connected."""

    async def serve(self, sockets: list[socket.socket], stop: trio.Event) -> None:
        """Until ``stop``, or one of the ``sockets``, which are closed then, listens no more."""
        listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in sockets]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._feed.run)
            nursery.start_soon(trio.serve_listeners, self._receive, listeners)
            try:
                await stop.wait()
            finally:
                for visitor in self.visitors:  # Hypercorn shields who is being sent to
                    visitor.socket.close()
                nursery.cancel_scope.cancel()

    async def _receive(self, stream: trio.SocketStream) -> None:
        if len(self.visitors) >= MAX_CONNECTIONS:
            with contextlib.suppress(OSError, trio.WouldBlock):
                await stream.socket.send(_FULL)
            return
        visitor = _Visitor(stream)
        self.visitors.add(visitor)
        try:
            await TCPServer(
                self._app,
                self._config,
                self._context,
                ConnectionState({}),
                visitor,  # type: ignore[arg-type]
            )
        except Exception:
            log.exception("a connection to the dashboard failed")
        finally:
            self.visitors.discard(visitor)


class _Visitor:
    """The stream of one connection, as Hypercorn uses it; broken when sending takes too long."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.socket = stream.socket

    async def receive_some(self, max_bytes: int) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes) -> None:
        with trio.move_on_after(SEND_SECONDS) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("it does not read")

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _hypercorn_config() -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = log
    config.include_server_header = False
    config.keep_alive_timeout = HEADER_SECONDS
    config.h11_max_incomplete_size = HEAD_BYTES
    config.h2_max_header_list_size = HEAD_BYTES
    config.h2_max_concurrent_streams = 8
    config.websocket_max_message_size = HEAD_BYTES
    return config
