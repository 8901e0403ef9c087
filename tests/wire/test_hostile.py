"""Input that is wrong, endless or malicious: only its sender suffers, and Redis' words are used."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings

from tests.resp.test_requests import HOSTILE
from tests.support.load import bystander, connections, wait_until_read
from tests.support.resp import decode, encode_request
from tests.support.servers import ServerProcess, wait_until
from tests.support.streams import streams

MB = 1024 * 1024
PING = encode_request([b"PING"])


def answers(server: ServerProcess, data: bytes) -> bytes:
    """All that comes back for ``data`` until the server closes."""
    with server.client() as client:
        client.send(data)
        return client.until_closed()


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_not_resp_is_answered_and_closed(
    tendis: ServerProcess, redis_server: ServerProcess, data: bytes
) -> None:
    assert answers(tendis, data) == answers(redis_server, data)


@pytest.fixture(scope="module")
def other_commands(redis_server: ServerProcess) -> frozenset[bytes]:
    """The names of Redis' commands, but for those that ``streams`` is made of: bytes that are drawn
    may be any word, even TIME or SHUTDOWN."""
    with redis_server.client() as client:
        names = decode(client.command("COMMAND", "LIST"))
    return frozenset(name.lower() for name in names if b"|" not in name) - {b"get", b"ping"}


@settings(max_examples=150)
@given(streams.filter(lambda data: b"\0" not in data))
def test_any_bytes_are_answered_alike(
    tendis_default: ServerProcess,
    redis_server: ServerProcess,
    other_commands: frozenset[bytes],
    data: bytes,
) -> None:
    """Unknown commands are answered with their arguments, so this shows how input was split."""
    assume(not any(name in data.lower() for name in other_commands))

    def half_closed(server: ServerProcess) -> bytes:
        with server.client() as client:
            client.send(data)
            client.socket.shutdown(1)
            return client.until_closed()

    assert half_closed(tendis_default) == half_closed(redis_server)


@pytest.mark.parametrize(
    "announcement",
    [
        b"*1000000000\r\n",
        b"*1000000000\r\n$3\r\nSET\r\n",
        b"*1\r\n$536870912\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nabc",
        b"*9999\r\n" * 7,
        PING + b"*999999\r\n",
    ],
    ids=repr,
)
def test_announcements_cost_nothing(tendis_default: ServerProcess, announcement: bytes) -> None:
    before = tendis_default.resident_bytes()
    with (
        bystander(tendis_default),
        connections(tendis_default.address, 100) as clients,
    ):
        for client in clients:
            client.command("PING")
            client.send(announcement)
        wait_until_read(tendis_default, *clients)
        assert tendis_default.resident_bytes() - before < 30 * MB


def test_endless_lines_cost_at_most_their_limit(tendis_default: ServerProcess) -> None:
    before = tendis_default.resident_bytes()
    with bystander(tendis_default), connections(tendis_default.address, 100) as clients:
        for client in clients:
            client.command("PING")
            client.send(b"x" * 60_000)
        wait_until_read(tendis_default, *clients)
        assert tendis_default.resident_bytes() - before < 30 * MB
        for client in clients:
            client.send(b"x" * 10_000)
            assert client.reply() == b"-ERR Protocol error: too big inline request\r\n"
            assert client.until_closed() == b""


def test_an_abandoned_large_argument_is_given_back(tendis_default: ServerProcess) -> None:
    before = tendis_default.resident_bytes()
    with bystander(tendis_default), tendis_default.client() as client:
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (256 * MB))
        for _ in range(64):
            client.send(b"x" * MB)
        wait_until(
            lambda: tendis_default.resident_bytes() - before > 50 * MB, "64 MB have been received"
        )
    wait_until(
        lambda: tendis_default.resident_bytes() - before < 40 * MB, "the memory is given back"
    )


def test_requests_before_a_protocol_error_are_answered(tendis: ServerProcess) -> None:
    data = PING * 500 + b"*1\r\n:1\r\n" + PING
    expected = b"+PONG\r\n" * 500 + b"-ERR Protocol error: expected '$', got ':'\r\n"
    assert answers(tendis, data) == expected


def test_strangers_may_announce_little(tendis_default: ServerProcess) -> None:
    """With a password set, before AUTH; the text is checked against Redis in resp/."""
    with tendis_default.client() as admin:
        assert admin.command("CONFIG", "SET", "requirepass", "secret") == b"+OK\r\n"
        try:
            assert answers(tendis_default, b"*11\r\n") == (
                b"-ERR Protocol error: unauthenticated multibulk length\r\n"
            )
            assert answers(tendis_default, b"*2\r\n$4\r\nAUTH\r\n$16385\r\n") == (
                b"-ERR Protocol error: unauthenticated bulk length\r\n"
            )
        finally:
            admin.command("CONFIG", "SET", "requirepass", "")
