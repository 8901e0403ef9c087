"""Which keys requests need, which lane they take, and that a slow command runs alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY, Lane
from tendis_py.server import Server
from tendis_py.session import Session
from tendis_py.stages.connection import GONE
from tendis_py.stages.plan import Plan, plan, union
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tests.support.embedded import config_for, embedded
from tests.support.load import together
from tests.support.resp import RawClient, encode_request
from tests.support.servers import HOST

SECONDS = 20.0


def planned(*lines: str, in_slow_lane: bool = False) -> Plan:
    requests = [line.encode().split() for line in lines]
    return plan(Session(GONE), requests, in_slow_lane=in_slow_lane)


@pytest.mark.parametrize(
    ("lines", "keys", "lane"),
    [
        ([], set(), Lane.CONTROL),
        (["PING", "CLIENT ID", "NOTHING", "CONFIG GET x"], set(), Lane.CONTROL),
        (["GET a", "PING", "MSET b 1 c 2"], {b"a", b"b", b"c"}, Lane.FAST),
        (["DBSIZE", "SCAN 0"], set(), Lane.FAST),
        (["GET a", "FLUSHALL", "GET b"], None, Lane.FAST),
        (["CLIENT PAUSE 1"], None, Lane.FAST),
        (["SORT a", "GET b"], {b"a", b"b"}, Lane.FAST),
        (["SORT a BY w_*"], None, Lane.FAST),
        (["KEYS *", "SET a 1"], set(), Lane.SLOW),
        (["LCS a b", "SET c 1"], set(), Lane.SLOW),
        (["SET a 1", "KEYS *", "SET b 1"], {b"a"}, Lane.FAST),
        (["PING", "KEYS *", "SET b 1"], set(), Lane.CONTROL),
    ],
)
def test_plans(lines: list[str], keys: set[bytes] | None, lane: Lane) -> None:
    assert planned(*lines) == Plan(keys, lane)


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        (["KEYS *", "SET a 1"], set()),
        (["LCS a b", "SET c 1"], {b"a", b"b"}),
    ],
)
def test_plans_of_the_slow_lane(lines: list[str], keys: set[bytes]) -> None:
    assert planned(*lines, in_slow_lane=True) == Plan(keys, Lane.SLOW)


def test_very_many_arguments_make_a_command_slow() -> None:
    names = [f"k{number}" for number in range(3 * ITEMS_AT_ONCE)]
    line = " ".join(["DEL", *names])
    assert planned(line) == Plan(set(), Lane.SLOW)
    assert planned(line, in_slow_lane=True) == Plan({name.encode() for name in names}, Lane.SLOW)
    assert planned("PING " + line) == Plan(set(), Lane.CONTROL), "touches no key"


def test_a_batch_needs_what_its_items_need() -> None:
    assert union([]) == Plan(set(), Lane.CONTROL)
    assert union([planned("GET a"), planned("PING"), planned("SET b 1")]) == Plan(
        {b"a", b"b"}, Lane.FAST
    )
    assert union([planned("GET a"), planned("FLUSHALL")]) == Plan(None, Lane.FAST)


# A slow command holds up nobody's keys


class Held:
    """A command that runs until it is let go."""

    def __init__(self) -> None:
        self.runs = threading.Event()
        self.go_on = threading.Event()

    def handler(self, ctx: Context, args: list[bytes]) -> list[bytes]:
        self.runs.set()
        assert self.go_on.wait(SECONDS)
        return []


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    command = Held()
    monkeypatch.setattr(REGISTRY.commands["keys"], "handler", command.handler)
    yield command
    command.go_on.set()


def thread_of(client: RawClient) -> bytes:
    (field,) = [one for one in client.value("CLIENT", "INFO").split() if b"io-thread" in one]
    return bytes(field)


@contextlib.contextmanager
def apart_from(server: Server, other: RawClient) -> Iterator[RawClient]:
    """A client that another reactor serves, where there are several."""
    alone = len(server.reactors) == 1
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(RawClient((HOST, server.port)))
            if alone or thread_of(client) != thread_of(other):
                yield client
                return
    raise AssertionError("all connections have come to one reactor")


@pytest.mark.parametrize("model", ["tendis", "kvrocks", "memcached"])
@pytest.mark.parametrize("exclusive", ["SWAPDB 0 1", "FLUSHALL", "FLUSHDB"])
def test_what_stands_behind_a_slow_command_is_not_locked(
    tmp_path: Path, held: Held, model: str, exclusive: str
) -> None:
    """Nor is everybody else held up by one who wants all keys, in the models with several threads
    that execute."""
    config = config_for(tmp_path, threading_model=model, databases="2")
    with (
        embedded(config) as server,
        RawClient((HOST, server.port)) as slow,
        apart_from(server, slow) as other,
    ):
        slow.send(b"".join(map(encode_request, ([b"KEYS", b"*"], [b"SET", b"x", b"1"]))))
        assert held.runs.wait(SECONDS)
        assert other.command("SET", "x", "2") == b"+OK\r\n"
        assert other.command(*exclusive.split()) == b"+OK\r\n"
        assert other.command("SET", "y", "1") == b"+OK\r\n"
        held.go_on.set()
        assert [slow.reply(), slow.reply()] == [b"*0\r\n", b"+OK\r\n"]
        assert other.command("GET", "x") == b"$1\r\n1\r\n"


@pytest.mark.parametrize("model", ["tendis", "kvrocks", "memcached", "redis", "redis-io"])
def test_slow_commands_keep_the_order_of_their_pipeline(tmp_path: Path, model: str) -> None:
    def work(client: RawClient) -> None:
        for number in range(20):
            key = b"%d:%d" % (id(client), number)
            lines = b"SET k 1|LCS k k|KEYS k|KEYS k|DEL k|KEYS k|PING".split(b"|")
            replies = client.pipeline([line.replace(b"k", key).split() for line in lines])
            one = b"*1\r\n$%d\r\n%b\r\n" % (len(key), key)
            assert replies == [
                *(b"+OK\r\n", b"$1\r\n1\r\n", one, one, b":1\r\n", b"*0\r\n", b"+PONG\r\n")
            ]

    with embedded(config_for(tmp_path, threading_model=model)) as server:
        together((HOST, server.port), *[work] * 4)
