"""Strings of megabytes, against the real server: kept in fragments, they behave as any other."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tendis_py.stages.connection import RECEIVE_BYTES
from tendis_py.stages.reactor import Reactor
from tests.support.embedded import config_for, embedded
from tests.support.payloads import footed
from tests.support.resp import RawClient, encode_request
from tests.support.servers import ServerProcess

MB = 1024 * 1024
LONG = random.Random(1).randbytes(3 * MB)
PART = LONG[: 3 * MB // 2]

COMMANDS: list[list[bytes | str | int]] = [
    ["SET", "k", LONG],
    ["OBJECT", "ENCODING", "k"],
    ["STRLEN", "k"],
    ["GETRANGE", "k", 100_000, -100_001],
    ["SUBSTR", "k", 0, 10],
    ["BITCOUNT", "k"],
    ["MGET", "k", "none", "k"],
    ["INCR", "k"],
    ["INCRBYFLOAT", "k", 1],
    ["LPUSH", "k", "x"],
    ["PFADD", "k", "x"],
    ["COPY", "k", "copy"],
    ["DUMP", "k"],
    ["RESTORE", "r", 0, footed(b"\0\x80" + len(LONG).to_bytes(4, "big") + LONG)],
    ["GET", "r"],
    ["RESTORE", "r", 0, footed(b"\0\x80" + len(LONG).to_bytes(4, "big") + PART), "REPLACE"],
    [
        "RESTORE",
        "r",
        0,
        footed(b"\x01\x02\x01a\x80" + len(PART).to_bytes(4, "big") + PART),
        "REPLACE",
    ],
    ["LRANGE", "r", 0, -1],
    ["APPEND", "k", PART],
    ["APPEND", "k", "tail"],
    ["SETRANGE", "k", 70_001, PART],
    ["GET", "k"],
    ["GET", "copy"],
    ["GETSET", "k", PART],
    ["SET", "k", LONG, "GET", "EX", 1000],
    ["SET", "k", PART, "XX", "KEEPTTL"],
    ["TTL", "k"],
    ["SETNX", "k", LONG],
    ["SETNX", "other", LONG],
    ["RENAME", "other", "moved"],
    ["GETEX", "moved", "EX", 100],
    ["SETEX", "k", 100, LONG],
    ["PSETEX", "k", 100_000, PART],
    ["MSET", "a", LONG, "b", "short"],
    ["MSETNX", "a", LONG, "c", LONG],
    ["BITOP", "NOT", "d", "k"],
    ["GETDEL", "d"],
    ["GETDEL", "k"],
    ["EXISTS", "k", "a", "b", "c"],
    ["SETRANGE", "sparse", 20 * MB, PART],
    ["GET", "sparse"],
    ["SET", "k"],
    ["SET", "k", LONG, "EX"],
    ["NOSUCH", "k", LONG],
    ["SADD", "set", LONG],
    ["SMEMBERS", "set"],
    ["SORT", "set", "BY", "nosort", "GET", "a", "GET", "#"],
    ["SET", "short", LONG[:1000]],
    ["APPEND", "short", LONG],
    ["GET", "short"],
]


@pytest.fixture
def empty(tendis: ServerProcess, redis_server: ServerProcess) -> Iterator[None]:
    yield
    for server in (tendis, redis_server):
        with server.client() as client:
            client.command("FLUSHALL")


@pytest.mark.usefixtures("empty")
def test_long_strings_behave_as_in_redis(
    tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    with tendis.client() as ours, redis_server.client() as theirs:
        for command in COMMANDS:
            expected = theirs.command(*command)
            assert ours.command(*command) == expected, [str(part)[:40] for part in command]


@pytest.mark.usefixtures("empty")
def test_long_requests_are_answered_in_order_among_others(tendis: ServerProcess) -> None:
    requests = [[b"SET", b"k", LONG], [b"PING"], [b"GET", b"k"], [b"STRLEN", b"k"]] * 3
    with tendis.client() as client:
        replies = client.pipeline(requests)
    reply = b"$%d\r\n%b\r\n" % (len(LONG), LONG)
    assert replies == [b"+OK\r\n", b"+PONG\r\n", reply, b":%d\r\n" % len(LONG)] * 3


def test_the_slowlog_shows_the_beginning_of_a_long_value(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        client.command("SET", "k", LONG)
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 10_000)
        entries = client.value("SLOWLOG", "GET", 10)
        client.command("SLOWLOG", "RESET")
        client.command("DEL", "k")
    shown = LONG[:128] + b"... (%d more bytes)" % (len(LONG) - 128)
    assert [b"SET", b"k", shown] in [entry[3] for entry in entries]


def test_who_sends_a_lot_takes_turns(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn has the requests of few of many clients that each send thousands at once."""
    taken: list[int] = []
    submit = Reactor._submit

    def count(self: Reactor, items: list[object], received: int, read: int) -> None:
        taken.append(sum(len(item[1]) for item in items))  # type: ignore[index]
        submit(self, items, received, read)  # type: ignore[arg-type]

    monkeypatch.setattr(Reactor, "_submit", count)
    monkeypatch.setattr("tendis_py.stages.reactor.TURN_WORK", 1)
    number = 20_000
    data = encode_request([b"PING"]) * number
    with embedded(config_for(tmp_path_factory.mktemp("turns"), threading_model="redis")) as server:
        clients = [RawClient(("127.0.0.1", server.port)) for _ in range(10)]
        for client in clients:
            client.send(data)
        for client in clients:
            assert {client.reply() for _ in range(number)} == {b"+PONG\r\n"}
            client.close()
    at_once = RECEIVE_BYTES // len(encode_request([b"PING"])) + 1
    assert sum(taken) >= 10 * number
    assert max(taken) <= 2 * at_once
