"""OBJECT IDLETIME, at times that the test chooses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.config import Config
from tendis_py.services import Services
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread

BEGIN = 4_000_000_000_000
"""Milliseconds, later than the start of any server: a key never looks used before that."""


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[Thread]:
    engine = Engine(tmp_path / "data")
    keyspace = Keyspace(engine, databases=1, cache_bytes=1 << 20)
    yield Thread(Services(Config(), keyspace))
    engine.close()


def test_it_is_in_whole_seconds_since_the_last_use(thread: Thread) -> None:
    thread.run("SET key value", now=BEGIN)
    idle = "OBJECT IDLETIME key"
    assert [thread.run(idle, now=BEGIN + passed) for passed in (0, 999, 1_000, 90_500)] == [
        b":0\r\n",
        b":0\r\n",
        b":1\r\n",
        b":90\r\n",
    ]
    thread.run("GET key", now=BEGIN + 91_000)
    assert thread.run(idle, now=BEGIN + 93_000) == b":2\r\n"
    assert thread.run("OBJECT IDLETIME missing") == b"$-1\r\n"


@pytest.mark.parametrize("writes", ["SET key 2", "MSET key 2", "APPEND key x", "INCR key"])
def test_who_does_not_touch_writes_without_a_trace(thread: Thread, writes: str) -> None:
    """CLIENT NO-TOUCH: only TOUCH, and what makes a key, count as use of it."""
    thread.run("SET key 1", now=BEGIN)
    thread.run("CLIENT NO-TOUCH ON", *[writes] * 5, "GET key", now=BEGIN + 10_000)
    assert thread.run("OBJECT IDLETIME key", now=BEGIN + 11_000) == b":11\r\n"
    thread.run("TOUCH key", "SET new 1", now=BEGIN + 12_000)
    idle = ["OBJECT IDLETIME key", "OBJECT IDLETIME new"]
    assert thread.run(*idle, now=BEGIN + 13_000) == b":1\r\n" * 2
