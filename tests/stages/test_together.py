"""What several clients ask in one turn: each command's requests run together, as one run, and the
outcome is that of some order of the clients."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config
from tendis_py.errors import StorageError
from tendis_py.resp.requests import Request
from tendis_py.services import Services
from tendis_py.session import Session
from tendis_py.stages.connection import GONE
from tendis_py.stages.execute import Executor, Locking
from tendis_py.stages.work import Batch
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace

FORMS = """GET k|GET l|GET none|SET k 1|SET l x|SET k 2 EX 100|INCR k|INCR l|MSET k 5 l 6|MSET k|GET
LPUSH list a|LPUSH list b|RPUSH list c|LPOP list|RPOP list|LPUSH k x|SADD set a|SADD set b|SADD k a
HSET hash f 1|HSET hash g 2|HGET hash f|HGET hash none|HGET k f|ZADD zset 1 a|ZADD zset 2 b
ZADD zset x a|ZINCRBY zset 1 a|ZSCORE zset a|ZPOPMIN zset|ZPOPMAX zset|XADD stream 9-* f v|DEL k
SELECT 1|CLIENT NO-TOUCH ON|CLIENT REPLY SKIP|PING|PING a|PING a b|NOTHING|LRANGE list 0 -1
ZRANGE zset 0 -1
LRANGE none 0 -1|LRANGE k 0 -1|LRANGE list 0|lrange list 0 -1|HGETALL hash|GETRANGE k 0 1 1"""
REQUESTS = [form.encode().split() for form in FORMS.replace("\n", "|").split("|")]
LOOKS = [b"LRANGE list 0 -1", b"SMEMBERS set", b"HGETALL hash", b"ZRANGE zset 0 -1 WITHSCORES"]

requests = st.sampled_from(REQUESTS)
shares = st.one_of(
    requests.map(lambda request: [request]),
    st.tuples(requests, st.integers(2, 6)).map(lambda drawn: [drawn[0]] * drawn[1]),
    st.lists(requests, min_size=1, max_size=4),
)
turns = st.lists(st.lists(shares, min_size=1, max_size=6), min_size=1, max_size=4)


class Stage:
    """An executor on a keyspace of its own, and the sessions of its clients."""

    def __init__(self, folder: Path, protocols: list[int]) -> None:
        config = Config()
        for name in ("zset-max-listpack-entries", "hash-max-listpack-entries"):
            config.assign([name, "3"])
        self.engine = Engine(folder)
        keyspace = Keyspace(self.engine, databases=2, cache_bytes=1 << 20, limits=config)
        services = Services(config, keyspace)
        self.executor = Executor(services, locking=Locking.NONE, name="test")
        self.clients: list[Any] = [SimpleNamespace(session=Session(GONE)) for _ in protocols]
        for client, protocol in zip(self.clients, protocols, strict=True):
            client.session.use_protocol(protocol)

    def run(self, items: list[tuple[int, list[Request]]]) -> dict[int, Any]:
        """Execute one batch; client → what it gets, in the order they were answered."""
        nowhere: Any = None
        batch = Batch(nowhere, [(self.clients[who], asked) for who, asked in items], 0, 1)
        self.executor.execute(batch)
        return {
            self.clients.index(client): (payload, rest) for client, payload, rest in batch.replies
        }


@contextmanager
def stages(protocols: list[int]) -> Iterator[tuple[Stage, Stage]]:
    folder = Path(tempfile.mkdtemp())
    made = [Stage(folder / name, protocols) for name in ("together", "apart")]
    try:
        yield made[0], made[1]
    finally:
        for stage in made:
            stage.engine.close()
        shutil.rmtree(folder)


@settings(max_examples=80)
@given(st.lists(st.sampled_from([2, 3]), min_size=6, max_size=6), turns)
@example([2] * 6, [[[[b"ZADD", b"zset", b"%d" % n, b"m%d" % n]] for n in range(6)]] * 2)
@example([2] * 6, [[[[b"RPUSH", b"list", b"a"]]] * 3, [[[b"LRANGE", b"list", b"0", b"-1"]]] * 6])
@example([2, 3] * 3, [[[[b"HSET", b"hash", b"f", b"1"]]], [[[b"HGETALL", b"hash"]]] * 6])
@example([2] * 6, [[[[b"INCR", b"k"]]] * 6, [[[b"INCR", b"k"], [b"INCR", b"n"]]] * 6])
@example([2] * 6, [[[[b"SET", b"k", b"1"]]], [[[b"LRANGE", b"k", b"0", b"-1"]]] * 6])
@example([3] * 6, [[[[b"SET", b"k", b"%d" % n]] * 3 for n in range(6)], [[[b"GET", b"k"]]] * 6])
def test_it_is_as_one_client_after_the_other(
    protocols: list[int], turns: list[list[list[Request]]]
) -> None:
    with stages(protocols) as (together, apart):
        for turn in turns:
            items = list(enumerate(turn))
            replies = together.run(items)
            assert sorted(replies) == [who for who, _ in items]
            for who, reply in replies.items():
                assert apart.run([(who, turn[who])]) == {who: reply}
        looks = [(0, [look.split() for look in LOOKS])]
        assert together.run(looks) == apart.run(looks)
        for ours, theirs in zip(together.clients, apart.clients, strict=True):
            ours, theirs = ours.session, theirs.session
            assert (ours.commands, ours.last_command) == (theirs.commands, theirs.last_command)
        ours, theirs = (stage.executor.dispatcher.counters for stage in (together, apart))
        for name in ("processed", "hits", "misses", "changes"):
            assert getattr(ours, name) == getattr(theirs, name)


def test_requests_of_many_clients_are_one_run() -> None:
    with stages([2] * 8) as (stage, _):
        pairs = itertools.count()
        for number in range(8):
            stage.run([(number, [[b"SET", b"k%d" % number, b"0"]])])
        taken = []
        command = stage.executor.dispatcher.runs.take
        stage.executor.dispatcher.runs.take = (  # type: ignore[method-assign]
            lambda *args: taken.append(len(args[1])) or command(*args)  # type: ignore[func-returns-value]
        )
        stage.run([(who, [[b"SET", b"k%d" % who, b"%d" % next(pairs)]]) for who in range(6)])
        replies = stage.run([(who, [[b"GET", b"k%d" % who]]) for who in range(8)])
        assert taken == [6, 8]
        assert replies[3] == (b"$1\r\n3\r\n", None)
        assert replies[7] == (b"$1\r\n0\r\n", None)


def test_what_clients_ask_alike_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with stages([2] * 6) as (stage, _):
        stage.run([(0, [[b"RPUSH", b"list", *(b"%d" % number for number in range(9))]])])
        asked = []
        command = REGISTRY.commands["lrange"]
        handler = command.handler
        monkeypatch.setattr(
            command, "handler", lambda ctx, args: asked.append(args) or handler(ctx, args)
        )
        first, other = [b"LRANGE", b"list", b"0", b"1"], [b"LRANGE", b"list", b"0", b"2"]
        turn = [(0, [first]), (1, [other]), (2, [first]), (3, [first]), (4, [first, first])]
        replies = stage.run(turn)
        assert sorted(asked) == [first, first, first, other]
        one = b"*2\r\n$1\r\n0\r\n$1\r\n1\r\n"
        assert [replies[who][0] for who in range(5)] == [
            *(one, b"*3\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n", one, one, 2 * one)
        ]
        calls = stage.executor.dispatcher.services.stats.commands()[command].calls
        assert calls == 6


def test_a_slow_answer_to_several_is_logged_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with stages([2] * 3) as (stage, _):
        dispatcher = stage.executor.dispatcher
        dispatcher.services.slowlog.threshold_ns = 10_000_000
        command = REGISTRY.commands["lrange"]
        monkeypatch.setattr(command, "handler", lambda ctx, args: time.sleep(0.02) or [])
        stage.run([(who, [[b"LRANGE", b"list", b"0", b"1"]]) for who in range(3)])
        assert len(dispatcher.services.slowlog) == 3


def test_what_is_counted_is_counted_once() -> None:
    """Thousands of requests that had to wait for a busy connection run at once: their replies are
    longer than those of a run may be where they hold data."""
    with stages([2, 2]) as (stage, _):
        stage.run([(0, [[b"SET", b"n", b"%d" % 10**17]])])
        counts = [[b"INCR", b"n"]] * 5000
        (payload, rest) = stage.run([(0, counts)])[0]
        assert rest is None
        assert payload.endswith(b":%d\r\n" % (10**17 + 5000))
        stage.run([(0, counts), (1, counts)])
        assert stage.run([(0, [[b"GET", b"n"]])])[0] == (b"$18\r\n%d\r\n" % (10**17 + 15000), None)


def test_what_is_much_is_several_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of different clients need not be one; who was in one that failed is told so."""
    clients, pairs = 30, 200
    words = [
        [b"MSET", *[b"%d" % (number % 7) for number in range(2 * pairs)]] for _ in range(clients)
    ]
    with stages([2] * clients) as (stage, _):
        commits = []
        write = stage.engine.write_batch

        def counting(*args: Any, **options: Any) -> None:
            commits.append(None)
            if len(commits) > 2:
                raise StorageError("no")
            write(*args, **options)

        monkeypatch.setattr(stage.engine, "write_batch", counting)
        replies = stage.run([(who, [words[who]] * 3) for who in range(clients)])
        outcomes = [payload for payload, _ in replies.values()]
        assert len(commits) > 3, "and none of them is large"
        good = outcomes.count(b"+OK\r\n" * 3)
        assert 2 <= good < clients
        assert all(payload.count(b"nothing was written") == 3 for payload in outcomes[good:])
