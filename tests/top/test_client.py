"""The client of top: what a server, or what is none, may do to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
import pytest
import trio
from trio.testing import memory_stream_pair

from tendis_py.top import client as clients
from tendis_py.top.address import Target
from tendis_py.top.client import Client, Refused, Unreachable, connect
from tests.support.servers import HOST, ServerProcess, free_port, redis_process, running

Server = Callable[[trio.abc.Stream], Awaitable[None]]


def ask(server: Server, *requests: tuple[str, ...]) -> list[Any]:
    """The replies of a client to whose other end ``server`` is connected."""

    outcome: list[list[Any] | Unreachable] = []

    async def run() -> None:
        near, far = memory_stream_pair()
        async with trio.open_nursery() as nursery, Client(near) as client:
            nursery.start_soon(server, far)
            try:
                outcome.append(await client.ask(*requests))
            except Unreachable as error:
                outcome.append(error)
            nursery.cancel_scope.cancel()

    trio.run(run)
    if isinstance(outcome[0], Unreachable):
        raise outcome[0]
    return outcome[0]


def saying(*chunks: bytes, closes: bool = False) -> Server:
    async def server(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        for chunk in chunks:
            await stream.send_all(chunk)
        if closes:
            await stream.aclose()
        await trio.sleep_forever()

    return server


def test_replies_in_pieces() -> None:
    pieces = [bytes([one]) for one in b"+OK\r\n%1\r\n$1\r\na\r\n#f\r\n-ERR no\r\n"]
    first, second, third = ask(saying(*pieces), ("A",), ("B",), ("C",))
    assert (first, second) == ("OK", {"a": False})
    assert isinstance(third, hiredis.ReplyError)


def test_bytes_that_are_no_text() -> None:
    assert ask(saying(b"$2\r\n\xff\xfe\r\n"), ("A",)) == ["\ufffd\ufffd"]


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (saying(closes=True), "closed the connection"),
        (saying(b"$100\r\nabc", closes=True), "closed the connection"),
        (saying(b"HTTP/1.1 400 Bad Request\r\n"), "not Redis' protocol"),
        (saying(b"$99\r\n"), "no answer within"),
        (saying(b"$99999\r\n" + bytes(99_999)), "longer than"),
    ],
)
def test_what_is_no_answer(server: Server, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "PATIENCE_SECONDS", 0.1 if reason == "no answer within" else 10)
    monkeypatch.setattr(clients, "MAX_ANSWER_BYTES", 50_000)
    with pytest.raises(Unreachable, match=reason):
        ask(server, ("PING",))


async def _ping(target: Target) -> Any:
    async with await connect(target) as client:
        [reply] = await client.ask(("PING",))
        return reply


def ping(target: Target) -> Any:
    return trio.run(_ping, target)


def test_nobody_listens(tmp_path: Any) -> None:
    with pytest.raises(Unreachable, match=r"^Connection refused$"):
        ping(Target(HOST, free_port()))
    with pytest.raises(Unreachable, match=r"^No such file or directory$"):
        ping(Target(path=str(tmp_path / "absent.sock")))


def test_passwords(tmp_path: Any) -> None:
    path = str(tmp_path / "redis.sock")
    server = redis_process(tmp_path, "--requirepass", "secret", "--unixsocket", path)
    with running(server):
        for place in ({"host": HOST, "port": server.port}, {"path": path}):
            assert ping(Target(**place, password="secret")) == "PONG"
            assert ping(Target(**place, user="default", password="secret")) == "PONG"
            with pytest.raises(Refused, match="NOAUTH"):
                ping(Target(**place))
            with pytest.raises(Refused, match="WRONGPASS"):
                ping(Target(**place, password="wrong"))


def test_databases(redis_server: ServerProcess) -> None:
    assert ping(Target(HOST, redis_server.port, database=3)) == "PONG"
    with pytest.raises(Refused, match="out of range"):
        ping(Target(HOST, redis_server.port, database=99))


def test_a_server_without_hello() -> None:
    """As before Redis 6: RESP2, and AUTH with the password alone."""
    sent: list[bytes] = []

    async def old_server(stream: trio.SocketStream) -> None:
        for reply in (b"-ERR unknown command `HELLO`, with args beginning with: \r\n", b"+OK\r\n"):
            sent.append(await stream.receive_some())
            await stream.send_all(reply)
        await stream.receive_some()
        await stream.send_all(b"+PONG\r\n")

    async def run() -> Any:
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host=HOST)
            nursery.start_soon(trio.serve_listeners, old_server, [listener])
            reply = await _ping(Target(*listener.socket.getsockname(), password="secret"))
            nursery.cancel_scope.cancel()
        return reply

    assert trio.run(run) == "PONG"
    assert sent[1] == b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
