"""A fault of each kind, injected into a running server, and STAGES DOCTOR naming it.

Load is driven until the doctor says so; its clock and its samples are moved by the test.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tendis_py.services import observatory
from tendis_py.services.doctor import diagnose, strains
from tests.support.embedded import MovedTime
from tests.support.resp import RawClient
from tests.support.servers import wait_until

SECONDS = 20.0

SLOW_SECONDS = 0.004
"""What a disk takes that is slow."""

WITH_LOCKS = ("tendis", "kvrocks", "memcached")
"""The models in which more than one thread executes."""

WITH_QUEUE = ("tendis", "redis-io")

LOOK_SECONDS = 0.2
"""Between two looks at the findings, which take some ms to be made."""

Work = Callable[[RawClient, int], None]
"""What one client does over and over, and how often it has done so."""


@contextlib.contextmanager
def load(moved: MovedTime, *works: Work) -> Iterator[None]:
    """Have clients in threads do their ``works`` over and over; ends them after the block."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run(work: Work, reactor: int) -> None:
        try:
            with client_of(moved, reactor) as client:
                for number in itertools.count():
                    if stop.is_set():
                        return
                    work(client, number)
        except BaseException as error:
            failures.append(error)

    reactors = len(moved.server.reactors)
    threads = [
        threading.Thread(target=run, args=(work, number % reactors))
        for number, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    if failures:
        raise failures[0]


def client_of(moved: MovedTime, reactor: int) -> RawClient:
    """A client that this reactor serves; the system deals them where each has its own socket."""
    others = []
    try:
        for _ in range(100):
            client = moved.client()
            session = moved.server.services.clients.sessions[client.value("CLIENT", "ID")]
            if session.peer.thread == reactor:
                return client
            others.append(client)
    finally:
        for other in others:
            other.close()
    raise AssertionError(f"a hundred clients, and none for reactor {reactor}")


@pytest.fixture
def patient(tendis_in_moved_time: MovedTime) -> Iterator[MovedTime]:
    """A server that has nothing to remember, and is empty and as it was set afterwards."""
    moved = tendis_in_moved_time
    with moved.client() as client:
        client.command("CONFIG", "RESETSTAT")
        moved.server.services.observatory.sample()
        yield moved
        client.command("FLUSHALL")


def findings(client: RawClient) -> list[dict[str, str]]:
    rows = client.value("STAGES", "FINDINGS")
    return [
        {name.decode(): value.decode() for name, value in zip(row[::2], row[1::2], strict=True)}
        for row in rows
    ]


def shown(found: list[dict[str, str]]) -> str:
    return "\n".join(f"{one['cause']} ({one['share']}): {one['seen']}" for one in found)


def wait_for(moved: MovedTime, cause: str, *words: str, among: int = 1) -> None:
    """Until STAGES names ``cause`` among so many first causes, saying all ``words``; the doctor
    says the same."""
    seen: list[dict[str, str]] = []

    with moved.client() as client:

        def named() -> bool:
            time.sleep(LOOK_SECONDS)
            seen[:] = findings(client)
            return any(
                one["cause"] == cause and all(word in one["seen"] for word in words)
                for one in seen[:among]
            )

        try:
            wait_until(named, f"{cause} is named", SECONDS)
        except AssertionError:
            raise AssertionError(f"{cause} is not named first, but {shown(seen)}") from None
        text = client.value("STAGES", "DOCTOR").decode()
        assert f". {cause} (stage " in text, text
        assert "What to change: " in text


@contextlib.contextmanager
def settings(moved: MovedTime, **changed: str) -> Iterator[None]:
    names = {name: name.replace("_", "-") for name in changed}
    with moved.client() as client:
        before = {name: client.value("CONFIG", "GET", names[name])[1] for name in changed}
        for name, value in changed.items():
            assert client.command("CONFIG", "SET", names[name], value) == b"+OK\r\n"
        try:
            yield
        finally:
            for name, value in before.items():
                client.command("CONFIG", "SET", names[name], value)


class SlowFamily:
    """A column family on a disk that takes its time to read."""

    def __init__(self, family: Any) -> None:
        self._family = family

    def get(self, *arguments: Any) -> Any:
        take_time()
        return self._family.get(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._family, name)


def take_time() -> None:
    time.sleep(SLOW_SECONDS)


def test_slow_fsync(patient: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = patient.server.keyspace.engine
    sync = engine.sync

    def slow_sync() -> None:
        take_time()
        sync()

    monkeypatch.setattr(engine, "sync", slow_sync)

    def write(client: RawClient, number: int) -> None:
        client.command("SET", f"{id(client)}:{number % 50}", "x" * 100)

    with settings(patient, appendfsync="always"), load(patient, write, write):
        wait_for(patient, "fsync", "fsync", "on average")


def test_fsync_that_does_not_end(patient: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where reactors execute nobody is answered meanwhile, but the dashboard and /metrics ask, too,
    and they ask elsewhere."""
    monkeypatch.setattr(observatory, "LONG_SECONDS", 0.0)
    services = patient.server.services
    sync, goes_on = services.keyspace.engine.sync, threading.Event()

    def hang() -> None:
        goes_on.wait(SECONDS)
        sync()

    def is_named() -> bool:
        first = diagnose(services.observatory.now())[0]
        return (first.cause, first.stage) == ("stuck", "fsync")

    with settings(patient, appendfsync="always"), patient.client() as client:
        monkeypatch.setattr(services.keyspace.engine, "sync", hang)
        client.request("SET", "k", "v")
        wait_until(is_named, "it is named", SECONDS)
        goes_on.set()
        assert client.reply() == b"+OK\r\n"


def test_slow_disk_read(patient: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = patient.server.keyspace.engine
    monkeypatch.setattr(engine, "_families", [SlowFamily(one) for one in engine._families])

    def read(client: RawClient, number: int) -> None:
        client.command("GET", f"{id(client)}:{number}")

    with load(patient, read, read):
        wait_for(patient, "disk_read", "reading from RocksDB")


def fill_list(moved: MovedTime, key: str, length: int) -> None:
    with moved.client() as client:
        members = [str(random.Random(1).random()) for _ in range(length)]
        for start in range(0, length, 1000):
            client.command("RPUSH", key, *members[start : start + 1000])


def test_cpu_bound_command(patient: MovedTime) -> None:
    fill_list(patient, "big", 8000)

    def sort(client: RawClient, number: int) -> None:
        client.command("SORT", "big", "ALPHA", "LIMIT", 0, 1)

    with load(patient, sort, ping):
        wait_for(patient, "cpu", "SORT takes")


def test_a_command_over_all_keys(patient: MovedTime) -> None:
    with patient.client() as client:
        for start in range(0, 20_000, 1000):
            pairs = ((f"key:{number}", "v") for number in range(start, start + 1000))
            client.command("MSET", *itertools.chain.from_iterable(pairs))

    def find(client: RawClient, number: int) -> None:
        client.command("KEYS", "*nothing*")

    with load(patient, find, ping):
        wait_for(patient, "cpu", "KEYS takes")


def ping(client: RawClient, number: int) -> None:
    client.command("SET", f"small:{number % 100}", "1")


@pytest.mark.parametrize("tendis_in_moved_time", WITH_QUEUE, indirect=True)
def test_full_queue(patient: MovedTime) -> None:
    def write(client: RawClient, number: int) -> None:
        for place in range(8):
            client.request("SET", f"{id(client)}:{place}", number)
        for _ in range(8):
            client.reply()

    with (
        settings(patient, work_queue_max_requests="1", work_queue_handoff="always"),
        load(patient, *[write] * 6),
    ):
        wait_for(patient, "queue", "The work queue is full", "refused")


def test_slow_reader(patient: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strains, "BEHIND_SECONDS", 0.0)
    with patient.client() as client, patient.client() as lazy:
        client.command("SET", "big", "x" * 4_000_000)
        address = "{}:{}".format(*lazy.socket.getsockname())
        lazy.command("CLIENT", "SETNAME", "lazy")
        for _ in range(4):
            lazy.request("GET", "big")
        wait_until(lambda: _unsent(patient, address) > 2_000_000, "replies wait")
        patient.clock.advance(1.0)  # a look at the connections is due
        wait_for(patient, "slow_reader", f'{address} "lazy"', "last command GET")
        for _ in range(4):
            assert len(lazy.reply()) > 4_000_000
        wait_until(
            lambda: all(one["cause"] != "slow_reader" for one in findings(client)), "it read"
        )


def _unsent(moved: MovedTime, address: str) -> int:
    sessions = moved.server.services.clients.all()
    return sum(one.peer.output_bytes for one in sessions if one.address == address)


@pytest.mark.parametrize("tendis_in_moved_time", WITH_LOCKS, indirect=True)
def test_lock_contention(patient: MovedTime) -> None:
    """Who holds the key burns CPU, which is named, too."""
    fill_list(patient, "big", 8000)

    def hold(client: RawClient, number: int) -> None:
        for request in ("MULTI", "INCR wanted", "SORT big ALPHA STORE sorted", "EXEC"):
            client.command(*request.split())

    def want(client: RawClient, number: int) -> None:
        client.command("INCR", "wanted")

    with load(patient, hold, *[want] * 4):
        wait_for(patient, "lock", '"wanted"', among=2)


def test_hot_key(patient: MovedTime) -> None:
    """Of a thousand keys some are asked for often, as Zipf has it, one most of all."""
    keys = [f"key:{number}" for number in range(1000)]
    weights = [1 / (rank + 1) ** 1.3 for rank in range(1000)]

    def ask(client: RawClient, number: int) -> None:
        for key in random.choices(keys, weights, k=32):
            client.request("GET" if random.random() < 0.9 else "INCR", key)
        for _ in range(32):
            client.reply()

    with load(patient, ask, ask):
        wait_for(patient, "hot_key", 'Key "key:0" is in')
