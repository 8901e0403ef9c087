"""Clients that keep what they read: what they hold is never older than what they could know."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.cache import CacheConfig

from tendis_py.errors import StorageError
from tendis_py.server import Server
from tests.support.embedded import config_for, embedded
from tests.support.load import bystander, together
from tests.support.resp import Aggregate, RawClient, decode
from tests.support.servers import HOST, MODELS, ServerProcess, wait_until

KEYS = [b"k%d" % number for number in range(8)]


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as running:
        yield running


def client_of(server: Server, protocol: int = 3) -> RawClient:
    return RawClient((HOST, server.port), protocol=protocol)


class Cache:
    """A client that keeps numbers as it is told to."""

    def __init__(self, client: RawClient) -> None:
        self._client = client
        self.held: dict[bytes, int] = {}
        self.told = 0
        """How often it had to let go of something."""

    def ask(self, *request: bytes) -> Any:
        """The reply; what comes before it is heeded."""
        self._client.request(*request)
        while (reply := self._client.reply()).startswith(b">"):
            self.heed(reply)
        return decode(reply)

    def heed(self, push: bytes) -> None:
        told = decode(push)
        assert isinstance(told, Aggregate)
        assert told.items[0] == b"invalidate"
        self.told += 1
        for key in list(self.held) if told.items[1] is None else told.items[1]:
            self.held.pop(key, None)

    def get(self, key: bytes) -> int:
        if key not in self.held:
            self.held[key] = int(self.ask(b"GET", key) or 0)
        return self.held[key]


HOW = {
    "what was read": ["ON"],
    "but for the own writes": ["ON", "NOLOOP"],
    "everything": ["ON", "BCAST"],
    "some prefixes": ["ON", "BCAST", "PREFIX", "x", "PREFIX", "k"],
}


@pytest.mark.parametrize("how", HOW)
def test_nobody_holds_what_is_known_to_have_changed(tendis: ServerProcess, how: str) -> None:
    """Writers count keys up, alone and several at once. Whatever number was acknowledged before
    a reader's request, its cache has nothing older once that is answered."""
    acknowledged = dict.fromkeys(KEYS, 0)
    writing = [2]

    def write(keys: list[bytes]) -> Callable[[RawClient], None]:
        def work(client: RawClient) -> None:
            for number in range(1, 151):
                client.pipeline([[b"SET", key, b"%d" % number] for key in keys[:2]])
                pairs = [word for key in keys[2:] for word in (key, b"%d" % number)]
                client.command("MSET", *pairs)
                acknowledged.update(dict.fromkeys(keys, number))
            writing[0] -= 1

        return work

    def read(client: RawClient) -> None:
        client.command("HELLO", "3")
        assert client.command("CLIENT", "TRACKING", *HOW[how]) == b"+OK\r\n"
        cache = Cache(client)
        while writing[0]:
            for key in KEYS:
                cache.get(key)
            known = acknowledged.copy()
            cache.ask(b"PING")
            old = {key: number for key, number in cache.held.items() if number < known[key]}
            assert not old, f"{known}"
        assert cache.told

    try:
        together(tendis.address, write(KEYS[:4]), write(KEYS[4:]), read, read, seconds=60.0)
    finally:
        with tendis.client() as client:
            client.command("FLUSHALL")


@pytest.mark.parametrize("how", ["what was read", "everything"])
def test_nobody_holds_what_has_expired(tendis: ServerProcess, how: str) -> None:
    with tendis.client(protocol=3) as reader, tendis.client() as writer:
        cache = Cache(reader)
        cache.ask(b"CLIENT", b"TRACKING", *[word.encode() for word in HOW[how]])
        for number in range(1, 6):
            writer.command("SET", "k", number, "PX", 20)
            while not cache.held:
                cache.get(b"k")
                if not cache.held[b"k"]:  # too late, this time
                    break
            while cache.held.get(b"k"):
                cache.heed(reader.reply())
            assert cache.get(b"k") == 0
            cache.held.clear()


def test_the_client_of_python(tendis: ServerProcess) -> None:
    """redis-py with its cache: a key that it keeps is not asked for again until it changes. Where
    two threads serve it and another client, that may know a little earlier of a change."""
    host, port = tendis.address
    with contextlib.ExitStack() as stack:
        caching = stack.enter_context(
            redis.Redis(host, int(port), protocol=3, cache_config=CacheConfig())
        )
        other = stack.enter_context(redis.Redis(host, int(port)))
        other.set("k", "1")

        def gets() -> int:
            return int(other.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"])

        before = gets()
        assert [caching.get("k") for _ in range(10)] == [b"1"] * 10
        assert gets() == before + 1
        cache = caching.get_cache()
        assert cache is not None
        assert cache.size == 1
        other.set("k", "2")
        wait_until(lambda: caching.get("k") == b"2", "it has heard")
        assert gets() == before + 2
        caching.set("k", "3")
        assert caching.get("k") == b"3"
        other.hset("h", "f", "v")
        assert caching.hgetall("h") == caching.hgetall("h") == {b"f": b"v"}
        other.hset("h", "g", "w")
        wait_until(lambda: caching.hgetall("h") == {b"f": b"v", b"g": b"w"}, "it has heard")
        other.flushall()
        wait_until(lambda: [caching.get("k"), caching.hgetall("h")] == [None, {}], "it has heard")


def test_ten_thousand_keys_are_gone_with_one_message(tendis: ServerProcess) -> None:
    with tendis.client(protocol=3) as reader, tendis.client() as writer:
        reader.command("CLIENT", "TRACKING", "ON")
        names = [b"%d" % number for number in range(10_000)]
        for start in range(0, len(names), 1000):
            reader.command("MGET", *names[start : start + 1000])
        assert figures(writer) == [1, 10_000, 10_000, 0]
        writer.command("FLUSHALL")
        assert reader.reply() == b">2\r\n$10\r\ninvalidate\r\n_\r\n"
        assert figures(writer) == [1, 0, 0, 0]
        writer.command("MSET", *[word for name in names for word in (name, b"x")])
        assert reader.command("PING") == b"+PONG\r\n"
        writer.command("FLUSHALL")


def test_very_many_keys_change_at_once(tendis: ServerProcess) -> None:
    """They are told in order, in one message, and others have their turns meanwhile."""
    names = [b"%05d" % number for number in range(20_000)]
    with tendis.client(protocol=3) as reader, tendis.client() as writer:
        reader.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "0", "PREFIX", "1")
        with bystander(tendis):
            writer.command("MSET", *[word for name in reversed(names) for word in (name, b"x")])
            told = [decode(reader.reply()).items[1] for _ in range(2)]
        assert told == [names[:10_000], names[10_000:]]
        writer.command("FLUSHALL")


def figures(client: RawClient) -> list[int]:
    """Clients that track, keys, items and prefixes."""
    text = client.value("INFO", "clients", "stats").decode()
    found = dict(line.partition(":")[::2] for line in text.split("\r\n"))
    names = "tracking_clients tracking_total_keys tracking_total_items tracking_total_prefixes"
    return [int(found[name]) for name in names.split()]


def test_what_there_is_no_room_for_is_told_to_be_gone(tendis: ServerProcess) -> None:
    names = [b"%d" % number for number in range(2000)]
    with (
        tendis.client(protocol=3) as reader,
        tendis.client(protocol=3) as second,
        tendis.client() as other,
    ):
        other.command("CONFIG", "SET", "tracking-table-max-keys", 100)
        for client in (reader, second):
            client.command("CLIENT", "TRACKING", "ON")
        second.command("GET", names[0])
        cache, also = Cache(reader), Cache(second)
        for name in names:
            cache.get(name)
        cache.ask(b"PING")
        also.ask(b"PING")
        assert also.told == 1
        assert figures(other) == [2, 100, 100, 0]
        assert len(cache.held) == 100
        other.command("CONFIG", "SET", "tracking-table-max-keys", 10)
        cache.ask(b"PING")
        assert len(cache.held) == 10
        other.command("MSET", *[word for name in names for word in (name, b"1")])
        cache.ask(b"PING")
        assert not cache.held
        other.command("CONFIG", "SET", "tracking-table-max-keys", 1_000_000)
        other.command("FLUSHALL")


def test_nothing_is_left_when_all_have_gone(server: Server) -> None:
    """However they go, writers then pay nothing again."""
    interest, tracking = server.keyspace.interest, server.services.tracking
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_of(server)) for _ in range(6)]
        last = clients[5].value("CLIENT", "ID")
        target = clients[0].value("CLIENT", "ID")
        for number, client in enumerate(clients[1:]):
            extra = [["BCAST", "PREFIX", "a"], ["REDIRECT", str(target)]][number % 2]
            assert client.command("CLIENT", "TRACKING", "ON", *extra) == b"+OK\r\n"
            client.command("GET", "k")
        assert interest.active
        clients[1].command("CLIENT", "TRACKING", "OFF")
        clients[2].command("RESET")
        clients[3].close()
        clients[4].command("QUIT")
        clients[0].command("CLIENT", "KILL", "ID", last)
        wait_until(lambda: not interest.active, "nobody tracks")
        assert server.services.witnesses == ()
        assert figures(clients[0]) == [0, 0, 0, 0]
        assert tracking._gathering == {}
        sessions = server.services.clients.all()
        assert [one.plain for one in sessions if one.id != target] == [True] * len(sessions[1:])
        clients[0].command("RESET")
        clients[0].command("PING")
        assert all(one.mailbox is None for one in sessions)


def test_a_read_waits_for_the_write_that_it_was_told_of(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the commit is under way its reader may know already, and gets the new value."""
    engine = server.keyspace.engine
    begun, go_on = threading.Event(), threading.Event()
    write = engine.write_batch

    def late(*args: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(10.0)
        return write(*args, **options)

    with client_of(server) as reader, client_of(server) as writer:
        writer.command("SET", "k", "1")
        reader.command("CLIENT", "TRACKING", "ON")
        reader.command("GET", "k")
        with monkeypatch.context() as patch:
            patch.setattr(engine, "write_batch", late)
            writer.request("SET", "k", "2")
            assert begun.wait(10.0)
            reader.request("GET", "k")
            go_on.set()
            assert [reader.reply(), reader.reply()] == [INVALID, b"$1\r\n2\r\n"]
            assert writer.reply() == b"+OK\r\n"


INVALID = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"


def test_a_write_that_fails_harms_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is answered once, what was told besides is kept."""

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("no")

    with client_of(server) as reader, client_of(server) as writer, client_of(server) as monitor:
        writer.command("SET", "k", "1")
        reader.command("CLIENT", "TRACKING", "ON")
        reader.command("GET", "k")
        monitor.command("MONITOR")
        with monkeypatch.context() as patch:
            patch.setattr(server.keyspace.engine, "write_batch", refuse)
            reader.send(b"SET k 2\r\nGET k\r\nPING\r\n")
            failures = [reader.reply(), reader.reply(), reader.reply(), reader.reply()]
            assert failures[1] == INVALID
            assert all(failures[number].startswith(b"-ERR storage") for number in (0, 2, 3))
            assert writer.command("SET", "k", "3").startswith(b"-ERR storage")
        assert reader.reply() == INVALID
        assert reader.command("GET", "k") == b"$1\r\n1\r\n"
        assert writer.command("SET", "k", "4") == b"+OK\r\n"
        assert [reader.reply(), reader.command("PING")] == [INVALID, b"+PONG\r\n"]
        assert [monitor.reply().count(b'"SET"') for _ in range(4)] == [1, 0, 0, 1]
