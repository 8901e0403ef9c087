"""A data set comes from a Redis server, while that goes on serving, and goes back.

``DUMP`` and ``RESTORE`` copy values of every type as they are, with their deadlines; ``MIGRATE``
moves them from server to server, and deletes what has arrived.

``python examples/moving.py HOST:PORT`` copies what the Redis server there has, and changes nothing
in it. Without an address another tendis-py stands in for it.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import redis

from support import running_server

AT_ONCE = 200
"""Keys in one round trip: as many values are in memory here at a time."""
HOST = "127.0.0.1"
PATIENCE_MS = 10_000
"""What one step of a MIGRATE may take."""


def some_keys(client: redis.Redis) -> Iterator[list[bytes]]:
    """All keys, some at a time; one that comes or goes meanwhile may be among them or not."""
    keys = client.scan_iter(count=AT_ONCE)
    while some := list(itertools.islice(keys, AT_ONCE)):
        yield some


def copy(source: redis.Redis, destination: redis.Redis) -> int:
    """Copy the selected database, over what the destination may have; how many keys it had."""
    copied = 0
    for keys in some_keys(source):
        with source.pipeline(transaction=False) as asks:
            for key in keys:
                asks.dump(key)
                asks.pexpiretime(key)
            answers = asks.execute()
        with destination.pipeline(transaction=False) as stores:
            for key, value, deadline in zip(keys, answers[::2], answers[1::2], strict=True):
                if value is not None:  # it has not expired meanwhile
                    has_deadline = deadline > 0
                    at = deadline if has_deadline else 0
                    stores.restore(key, at, value, replace=True, absttl=has_deadline)
            copied += len(stores.execute())
    return copied


def move(source: redis.Redis, host: str, port: int) -> int:
    """Move the selected database into database 0 there; how many keys were to go."""
    moved = 0
    for keys in some_keys(source):
        source.migrate(host, port, keys, 0, PATIENCE_MS, replace=True)
        moved += len(keys)
    return moved


def fill(client: redis.Redis) -> None:
    client.set("greeting", "hello", ex=3600)
    client.hset("user:1", mapping={"name": "alice", "visits": 12})
    client.zadd("scores", {"alice": 3, "bob": 2.5})
    client.xadd("log", {"event": "start"})
    client.rpush("queue", *range(1000))
    client.mset({f"page:{number}": f"text {number}" for number in range(500)})


@contextlib.contextmanager
def redis_server(address: str) -> Iterator[tuple[str, int]]:
    """Host and port of the one at ``address``, or of a stand-in that has something."""
    if address:
        host, _, port = address.rpartition(":")
        yield host, int(port)
        return
    with running_server() as number, redis.Redis(port=number) as client:
        fill(client)
        yield HOST, number


def main(address: str = "") -> None:
    with (
        redis_server(address) as (host, port),
        running_server() as own_port,
        redis.Redis(host, port) as there,
        redis.Redis(port=own_port) as here,
    ):
        size: Any = there.dbsize()
        print(copy(there, here), "keys copied")
        assert address or here.dbsize() == size
        if address:
            return
        assert here.hgetall("user:1") == {b"name": b"alice", b"visits": b"12"}
        assert here.expiretime("greeting") == there.expiretime("greeting")

        here.hincrby("user:1", "visits", 1)
        print(move(here, host, port), "keys moved back")
        assert here.dbsize() == 0
        assert there.dbsize() == size
        assert there.hget("user:1", "visits") == b"13"


if __name__ == "__main__":
    main(*sys.argv[1:])
