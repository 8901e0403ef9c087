"""A small client: pipelined requests over one connection, every wait bounded.

RESP3 where the server has it. Replies are Python's values, with text for bytes; an error reply is a
``hiredis.ReplyError`` in its place. Whatever else goes wrong is ``Unreachable``.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

import hiredis
import trio

from tendis_py.top.address import Target

Request = tuple[Any, ...]

PATIENCE_SECONDS = 5.0
RECEIVE_BYTES = 1 << 16
MAX_ANSWER_BYTES = 1 << 26
NAME = "tendis-py-top"

_UNKNOWN = "unknown command"
_INCOMPLETE = object()


class Unreachable(Exception):
    """The server can't be asked (any more); the message says why."""


class Refused(Exception):
    """The server answers, but not to us: a password is wrong or missing, a database not there."""


class Client:
    """An open connection; of no more use once ``ask`` has raised."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace", notEnoughData=_INCOMPLETE)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await trio.aclose_forcefully(self._stream)

    async def ask(self, *requests: Request) -> list[Any]:
        """Send all ``requests`` at once; their replies, in order. Raises Unreachable."""
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                await self._stream.send_all(
                    b"".join([hiredis.pack_command(request) for request in requests])
                )
                return await self._receive(len(requests))
        except trio.TooSlowError:
            raise Unreachable(f"no answer within {PATIENCE_SECONDS:g} s") from None
        except trio.BrokenResourceError as error:
            raise Unreachable(f"the connection is lost ({error.__cause__ or error})") from None
        except hiredis.ProtocolError as error:
            raise Unreachable(f"this is not Redis' protocol: {error}") from None

    async def _receive(self, count: int) -> list[Any]:
        replies: list[Any] = []
        received = 0
        while len(replies) < count:
            reply = self._reader.gets()
            if reply is _INCOMPLETE:
                chunk = await self._stream.receive_some(RECEIVE_BYTES)
                if not chunk:
                    raise Unreachable("the server has closed the connection")
                received += len(chunk)
                if received > MAX_ANSWER_BYTES:
                    raise Unreachable(f"its answer is longer than {MAX_ANSWER_BYTES >> 20} MB")
                self._reader.feed(bytes(chunk))
            else:
                replies.append(reply)
        return replies


async def connect(target: Target) -> Client:
    """Connect, authenticate, choose the database. Raises Unreachable, or Refused."""
    try:
        with trio.fail_after(PATIENCE_SECONDS):
            stream: trio.abc.Stream
            if target.path:
                stream = await trio.open_unix_socket(target.path)
            else:
                stream = await trio.open_tcp_stream(target.host, target.port)
    except trio.TooSlowError:
        raise Unreachable(f"no connection within {PATIENCE_SECONDS:g} s") from None
    except OSError as error:
        raise Unreachable(_reason(error)) from None
    client = Client(stream)
    try:
        await _introduce(client, target)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return client


async def _introduce(client: Client, target: Target) -> None:
    credentials: tuple[str, ...] = ()
    if target.password is not None:
        credentials = (target.user or "default", target.password)
    hello: Request = ("HELLO", 3, *(("AUTH", *credentials) if credentials else ()))
    [greeting] = await client.ask((*hello, "SETNAME", NAME))
    if isinstance(greeting, hiredis.ReplyError) and _UNKNOWN in str(greeting).lower():
        old_style = credentials if target.user else credentials[1:]  # before Redis 6
        greeting = True
        if credentials:
            [greeting] = await client.ask(("AUTH", *old_style))
    answers = [greeting]
    if target.database:
        answers += await client.ask(("SELECT", target.database))
    for answer in answers:
        if isinstance(answer, hiredis.ReplyError):
            raise Refused(str(answer))


def _reason(error: BaseException) -> str:
    """The system's words for why a connection failed; of several, to the first address."""
    if isinstance(error.__cause__, BaseExceptionGroup):
        error = error.__cause__.exceptions[0]
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error.args[-1])  # of a name that is not found
