"""Pipelined requests of one command whose replies are too long to be taken at once."""

from __future__ import annotations

import pytest

from tests.support.resp import RawClient, decode, encode_request
from tests.support.servers import ServerProcess

VALUES = [bytes([65 + number]) * 20_000 for number in range(8)]
NAMES = [b"n%d" % number for number in range(8)]
SET_UP = {
    b"GET": [[b"SET", name, value] for name, value in zip(NAMES, VALUES, strict=True)],
    b"HGET": [[b"HSET", b"k", name, value] for name, value in zip(NAMES, VALUES, strict=True)],
    b"LPOP": [[b"RPUSH", b"k", *VALUES]],
    b"RPOP": [[b"LPUSH", b"k", *VALUES]],
    b"SPOP": [[b"SADD", b"k", *VALUES, *NAMES]],
    b"ZPOPMIN": [[b"ZADD", b"k", *(word for value in VALUES for word in (b"1", value))]],
}
RUNS = {
    b"GET": [[b"GET", name] for name in (*NAMES, b"none")],
    b"HGET": [[b"HGET", b"k", name] for name in (*NAMES, b"none")],
    b"LPOP": [[b"LPOP", b"k"]] * 9,
    b"RPOP": [[b"RPOP", b"k"]] * 9,
    b"SPOP": [[b"SPOP", b"k"]] * 15,
    b"ZPOPMIN": [[b"ZPOPMIN", b"k"]] * 9,
}


def hits(client: RawClient) -> tuple[bytes, bytes]:
    figures = dict(
        line.split(b":", 1)
        for line in client.command("INFO", "stats").split(b"\r\n")
        if b":" in line
    )
    return figures[b"keyspace_hits"], figures[b"keyspace_misses"]


@pytest.mark.parametrize("name", RUNS, ids=bytes.decode)
def test_long_replies(name: bytes, tendis: ServerProcess, redis_server: ServerProcess) -> None:
    found = []
    for server in (redis_server, tendis):
        with server.client() as client:
            client.command("FLUSHALL")
            for request in SET_UP[name]:
                client.command(*request)
            client.command("CONFIG", "RESETSTAT")
            client.send(b"".join(map(encode_request, RUNS[name])))
            replies = [decode(client.reply()) for _ in RUNS[name]]
            if name == b"SPOP":
                replies.append(decode(client.command("SPOP", "k")))
                replies = [sorted(replies)]
            found.append((replies, hits(client), client.command("DBSIZE")))
    assert found[0] == found[1]
