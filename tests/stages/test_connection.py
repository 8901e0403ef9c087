"""A connection's outbox: in order, whole, and no more than its share in a turn."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tendis_py.pieces import Pieces
from tendis_py.resp.requests import FastReader
from tendis_py.services.clock import REAL_CLOCK
from tendis_py.session import UNRESTRICTED
from tendis_py.stages.connection import SEND_BYTES, Connection
from tests.support.resp import SECONDS


class Nowhere:
    """A connection's home that nothing happens in."""

    number = 0

    def close_soon(self, connection: Connection) -> None:
        raise AssertionError("nobody closes it")


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection, and its client's side."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SEND_BYTES)
        theirs.settimeout(SECONDS)
        connection = Connection(
            ours,
            Nowhere(),
            FastReader(),
            max_bulk=1 << 29,
            user=UNRESTRICTED,
            authenticated=True,
            clock=REAL_CLOCK,
        )
        yield connection, theirs


def received(client: socket.socket, count: int) -> bytes:
    return client.recv(count, socket.MSG_WAITALL)


def test_a_short_reply_leaves_at_once(pair: tuple[Connection, socket.socket]) -> None:
    connection, client = pair
    connection.send(b"+PONG\r\n")
    assert connection.outbox is None
    assert received(client, 7) == b"+PONG\r\n"


def test_replies_leave_share_by_share_and_in_order(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, client = pair
    replies = [bytes([number]) * (SEND_BYTES // 3) for number in range(20)]
    replies.insert(4, b"x" * (3 * SEND_BYTES + 1))
    got = b""
    for reply in replies:
        before = connection.outbox_bytes
        connection.send(reply)
        sent = before + len(reply) - connection.outbox_bytes
        assert sent <= SEND_BYTES
        got += received(client, sent)
    while connection.outbox is not None:
        before = connection.outbox_bytes
        connection.flush()
        sent = before - connection.outbox_bytes
        assert 0 < sent <= SEND_BYTES
        got += received(client, sent)
    assert got == b"".join(replies)
    assert connection.outbox_bytes == 0


def test_what_is_in_pieces_leaves_share_by_share_and_in_order(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, client = pair
    replies = [Pieces([b"$", bytes([n]) * (n * SEND_BYTES // 3), b"\r\n"]) for n in range(6)]
    got = b""
    for reply in replies:
        before = connection.outbox_bytes
        connection.send(reply)
        sent = before + len(reply) - connection.outbox_bytes
        assert sent <= SEND_BYTES
        got += received(client, sent)
    while connection.outbox is not None:
        before = connection.outbox_bytes
        connection.flush()
        assert 0 < before - connection.outbox_bytes <= SEND_BYTES
        got += received(client, before - connection.outbox_bytes)
    assert got == b"".join(map(bytes, replies))


def test_many_small_replies_leave_in_order(pair: tuple[Connection, socket.socket]) -> None:
    connection, client = pair
    connection.send(b"x" * (SEND_BYTES + 1))
    replies = [b"%d\r\n" % number for number in range(1000)]
    for reply in replies:
        connection.send(reply)
    while connection.outbox is not None:
        connection.flush()
    expected = b"x" * (SEND_BYTES + 1) + b"".join(replies)
    assert received(client, len(expected)) == expected


def test_a_full_socket_takes_nothing_and_loses_nothing(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, client = pair
    total = 0
    while connection.outbox is None or connection.outbox_bytes < 8 * SEND_BYTES:
        connection.send(b"y" * SEND_BYTES)
        total += SEND_BYTES
    for _ in range(3):
        connection.flush()
    while connection.outbox is not None:
        connection.flush()
        total -= len(client.recv(SEND_BYTES))
    assert received(client, total) == b"y" * total
