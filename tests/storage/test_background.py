"""Expiry and reclaiming as a running server does them: nobody asks for the keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tendis_py.server import Server
from tendis_py.storage.families import EXPIRES, META
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS

SECONDS = 15.0


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


def soon(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(server: Server, family: int) -> int:
    return sum(1 for _ in server.keyspace.engine.keys(family, b"", None))


def test_keys_go_when_their_time_comes(server: Server, client: RawClient) -> None:
    for number in range(300):
        client.command("SET", f"due:{number}", "v", "PX", str(1 + number % 50))
    client.command("SET", "later", "v", "EX", "1000")
    client.command("SET", "never", "v")
    soon(lambda: server.keyspace.size(0).keys == 2)
    assert rows(server, META) == 2
    assert rows(server, EXPIRES) == 1
    assert client.command("DBSIZE") == b":2\r\n"


def test_a_flushed_database_leaves_the_disk(server: Server, client: RawClient) -> None:
    for number in range(600):
        client.command("SET", str(number), "v", "EX", "1000")
    client.command("FLUSHALL")
    client.command("SET", "new", "v", "EX", "1000")
    soon(lambda: rows(server, META) == rows(server, EXPIRES) == 1)
    soon(lambda: not list(server.keyspace.dead_namespaces()))
    assert client.command("DBSIZE") == b":1\r\n"
