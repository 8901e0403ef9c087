"""``Dispatcher._run_plain`` and ``Dispatcher.call`` are twins: the loop is the other, for speed.

The same requests, run by the loop and passed one by one through gates to ``call``, have the same
replies, are counted alike, leave the same in the keyspace and in the session.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config
from tendis_py.dispatch import Stop
from tendis_py.errors import TooLargeError
from tendis_py.resp.requests import Request
from tendis_py.services import Services
from tendis_py.services.global_gates import Reason
from tendis_py.services.histogram import count
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread

FORMS = """GET k|get k|GET|GET a b|SET k 1|SET k x EX 10|SET k|INCR k|INCR list|NOTHING|NOTHING x
LPUSH list a b|LPUSH k a|LPOP list|SADD set a b c|SADD set|SREM set a|HSET h f 1|HSET h f|ZADD z 1 a
ZADD z x a|ZRANGE z 0 -1 WITHSCORES|DEL k list|MSET a 1 b 2|MSET a 1 b|SELECT 1|SELECT 99|PING
PING a b|ECHO x|CLIENT ID|CLIENT|CLIENT NOTHING|CLIENT NO-TOUCH ON|CONFIG GET maxmemory|KEYS *
HELLO 3|HELLO 2|HELLO 9|RESET|QUIT|DBSIZE|RANDOMKEY|SCAN 0|XADD s 1-1 f v|XADD s 1-1 f v|OBJECT HELP
DEBUG NOTHING|CLIENT REPLY ON"""
REQUESTS = [form.encode().split() for form in FORMS.replace("\n", "|").split("|")]
NONDETERMINISTIC = (b"CLIENT ID", b"HELLO 3", b"HELLO 2")

pipelines = st.lists(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=6), max_size=5)


@contextmanager
def threads() -> Iterator[tuple[Thread, Thread]]:
    """One that runs the loop, and one that has a global gate closed, which nothing passes by."""
    folder = Path(tempfile.mkdtemp())
    engines = []
    try:
        made = []
        for name in ("plain", "called"):
            engines.append(Engine(folder / name))
            made.append(Thread(Services(Config(), Keyspace(engines[-1]))))
        made[1].dispatcher.services.global_gates.set(Reason.PAUSE, True)
        yield made[0], made[1]
    finally:
        for engine in engines:
            engine.close()
        shutil.rmtree(folder)


def counted(thread: Thread) -> dict[str, object]:
    counters = thread.dispatcher.counters
    return {
        "calls": {command.name: count(held) for command, held in counters.buckets.items()},
        "failures": counters.failures,
        "rejections": counters.rejections,
        "errors": counters.errors,
        "processed": counters.processed,
        "keyspace": (counters.hits, counters.misses, counters.expired, counters.changes),
    }


def state(thread: Thread) -> tuple[object, ...]:
    session = thread.session
    return (
        *(session.database, session.protocol, session.last_command, session.commands),
        *(session.closing, session.plain, session.no_touch, session.reply_mode, thread.tx.undo),
    )


def run(thread: Thread, requests: list[Request]) -> tuple[bytes, int]:
    replies: list[bytes] = []
    random.seed(len(requests))
    thread.tx.begin(1_000_000)
    taken = thread.dispatcher.run(thread.session, requests, replies)
    thread.tx.commit()
    return b"".join(replies), taken


@given(pipelines)
@example([[[b"SET", b"k", b"1"], [b"INCR", b"k"], [b"INCR", b"list"], [b"GET"]]])
@example([[[b"HELLO", b"3"], [b"HGETALL", b"h"], [b"RESET"], [b"HGETALL", b"h"]]])
@example([[[b"QUIT"], [b"SET", b"k", b"1"]]])
@settings(max_examples=60)
def test_they_are_twins(turns: list[list[Request]]) -> None:
    with threads() as (plain, called):
        for requests in turns:
            expected, found = run(plain, requests), run(called, requests)
            if not any(b" ".join(request) in NONDETERMINISTIC for request in requests):
                assert found == expected
            assert found[1] == expected[1]
            assert state(called) == state(plain)
            if plain.session.closing:
                break
        assert counted(called) == counted(plain)


@pytest.mark.parametrize("which", [0, 1])
def test_both_log_what_is_slow(which: int) -> None:
    with threads() as both:
        dispatcher = both[which].dispatcher
        dispatcher.services.slowlog.threshold_ns = 0
        run(both[which], [[b"SET", b"k", b"1"], [b"GET", b"k", b"k"], [b"INCR", b"x"]])
        assert [one.request[0] for one in dispatcher.slow] == [b"SET", b"INCR"]


@pytest.mark.parametrize("which", [0, 1])
def test_both_stop_before_the_slow_lane(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> None:
        raise TooLargeError

    with threads() as both:
        dispatcher = both[which].dispatcher
        dispatcher.defers = True
        assert run(both[which], [[b"PING"], [b"KEYS", b"*"], [b"PING"]]) == (b"+PONG\r\n", 1)
        assert dispatcher.stop is Stop.SLOW
        monkeypatch.setattr(REGISTRY.commands["lrange"], "handler", too_large)
        assert run(both[which], [[b"LRANGE", b"l", b"0", b"1"]]) == (b"", 0)
        assert dispatcher.stop is Stop.SLOW


@pytest.mark.parametrize("which", [0, 1])
def test_both_answer_for_a_bug(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with threads() as both:
        monkeypatch.setattr(REGISTRY.commands["append"], "handler", broken)
        replies, taken = run(both[which], [[b"APPEND", b"k", b"v"], [b"PING"]])
        assert (replies, taken) == (b"-ERR internal error\r\n+PONG\r\n", 2)
