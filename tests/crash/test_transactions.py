"""kill -9 while EXECs are under way: each is there whole or not at all, what was acknowledged is
there, and what somebody has waited for and got is nobody else's."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_mixed_load import check_offline
from tests.support.resp import Disconnected, Error, RawClient
from tests.support.servers import MODELS, ServerProcess, tendis_process, wait_until

SECONDS = 60.0
MANY = 3000
"""Commands of a large EXEC."""

Command = list[bytes]


class Client(ABC):
    """Somebody who works until the server dies, again and again."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """EXECs, or elements got, ever."""
        self.error: BaseException | None = None

    def start(self, server: ServerProcess) -> None:
        self.thread = threading.Thread(target=self._run, args=(server,))
        self.thread.start()

    def _run(self, server: ServerProcess) -> None:
        try:
            with server.client(seconds=SECONDS) as client:
                self.work(client)
        except (Disconnected, ConnectionError):
            pass
        except BaseException as error:
            self.error = error

    @abstractmethod
    def work(self, client: RawClient) -> None:
        """Go on until the connection is lost."""

    def join(self) -> None:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error

    def check(self, client: RawClient) -> None:  # noqa: B027 - readers have left nothing
        """What there is after the restart."""


def execute(client: RawClient, *commands: Command) -> list[bytes]:
    """MULTI, the commands, and EXEC in one pipeline: the bytes of all replies."""
    replies = client.pipeline([[b"MULTI"], *commands, [b"EXEC"]])
    assert replies[:-1] == [b"+OK\r\n", *[b"+QUEUED\r\n"] * len(commands)], replies
    assert not replies[-1].startswith(b"-"), replies[-1]
    assert b"\r\n-" not in replies[-1], replies[-1]
    return replies


class EachType(Client):
    """Has a key of each type say the same number, in one EXEC."""

    def __init__(self, name: bytes, size: int = 1) -> None:
        super().__init__()
        self.name = name
        self.size = size
        self.sent = 0

    def work(self, client: RawClient) -> None:
        while True:
            self.sent = self.acknowledged + 1
            execute(client, *self._writes(self.sent))
            self.acknowledged = self.sent

    def _key(self, kind: bytes) -> bytes:
        return b"%b:%b" % (self.name, kind)

    def _writes(self, number: int) -> list[Command]:
        said = b"%d" % number
        writes: list[Command] = []
        for at in range(self.size):
            name = b"%d" % at
            writes += [
                [b"SET", self._key(b"string:" + name), said],
                [b"HSET", self._key(b"hash"), name, said],
                [b"ZADD", self._key(b"sorted set"), said, name],
            ]
        return [
            *writes,
            [b"RPUSH", self._key(b"list"), said],
            [b"LTRIM", self._key(b"list"), b"-3", b"-1"],
            [b"DEL", self._key(b"set")],
            [b"SADD", self._key(b"set"), said],
            [b"XADD", self._key(b"stream"), b"MAXLEN", b"3", b"%d-1" % number, b"f", said],
            [b"INCR", self._key(b"count")],
        ]

    def said(self, client: RawClient) -> set[int]:
        names = [b"%d" % at for at in range(self.size)]
        reads = [
            [b"MGET", *(self._key(b"string:" + name) for name in names)],
            [b"HMGET", self._key(b"hash"), *names],
            [b"ZMSCORE", self._key(b"sorted set"), *names],
            [b"LRANGE", self._key(b"list"), b"-1", b"-1"],
            [b"SMEMBERS", self._key(b"set")],
            [b"MGET", self._key(b"count")],
        ]
        client.pipeline([[b"MULTI"], *reads, [b"XINFO", b"STREAM", self._key(b"stream")]])
        found = client.value("EXEC")
        if isinstance(found[-1], Error):  # there is no stream yet
            return {0, *(int(one or 0) for each in found[:-1] for one in each)}
        about = dict(zip(found[-1][::2], found[-1][1::2], strict=True))
        last = about[b"last-generated-id"].removesuffix(b"-1")
        return {int(last), *(int(one or 0) for each in found[:-1] for one in each)}

    def check(self, client: RawClient) -> None:
        (found,) = self.said(client)
        assert found in (self.acknowledged, self.sent)
        self.acknowledged = found


class Reader(Client):
    """Looks on while another writes: it never sees a part of an EXEC."""

    def __init__(self, writer: EachType) -> None:
        super().__init__()
        self.writer = writer

    def work(self, client: RawClient) -> None:
        while True:
            said = self.writer.said(client)
            assert len(said) == 1, said


class Counter(Client):
    """Raises a counter that others raise too, compare-and-set, and writes down who has."""

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name
        self.mine: list[bytes] = []
        """Acknowledged."""
        self.under_way: bytes | None = None

    def work(self, client: RawClient) -> None:
        while True:
            _, found = client.pipeline([[b"WATCH", b"counter"], [b"GET", b"counter"]])
            following = 1 if found == b"$-1\r\n" else 1 + int(found.split(b"\r\n")[1])
            self.under_way = b"%b:%d" % (self.name, following)
            replies = execute(
                client,
                [b"SET", b"counter", b"%d" % following],
                [b"RPUSH", b"counted", self.under_way],
            )
            if replies[-1] != b"*-1\r\n":
                assert replies[-1] == b"*2\r\n+OK\r\n:%d\r\n" % following
                self.mine.append(self.under_way)
                self.acknowledged += 1
            self.under_way = None

    def check(self, client: RawClient) -> None:
        counted = client.value("LRANGE", "counted", 0, -1)
        assert [int(one.split(b":")[1]) for one in counted] == list(range(1, 1 + len(counted)))
        assert int(client.value("GET", "counter") or 0) == len(counted)
        found = [one for one in counted if one.startswith(self.name + b":")]
        if self.under_way is not None and found[-1:] == [self.under_way]:
            self.mine.append(self.under_way)
        assert found == self.mine
        self.under_way = None


class Producer(Client):
    """Puts the next numbers into all queues, some in one EXEC, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def work(self, client: RawClient) -> None:
        while True:
            self.sent = self.acknowledged + random.choice([1, 2, 30])
            numbers = [b"%d" % number for number in range(self.acknowledged + 1, self.sent + 1)]
            execute(
                client,
                [b"RPUSH", b"popped", *numbers],
                *([b"RPUSH", b"moved", number] for number in numbers),
                [b"ZADD", b"scored", *(part for number in numbers for part in (number, number))],
                [b"SET", b"produced", numbers[-1]],
            )
            self.acknowledged = self.sent

    def check(self, client: RawClient) -> None:
        found = int(client.value("GET", "produced") or 0)
        assert found in (self.acknowledged, self.sent)
        self.acknowledged = found
        moved = client.value("LRANGE", "done", 0, -1) + client.value("LRANGE", "moved", 0, -1)
        assert [*map(int, moved)] == list(range(1, found + 1))


class Consumer(Client):
    """Waits for elements of one queue, and remembers each it has got."""

    def __init__(self, request: Command, queue: str) -> None:
        super().__init__()
        self.request = request
        self.queue = queue
        self.got: list[int] = []
        self.under_way = False

    def work(self, client: RawClient) -> None:
        while True:
            self.under_way = True
            found = client.value(*self.request)
            self.got.append(int(found[1] if isinstance(found, list) else found))
            self.acknowledged += 1
            self.under_way = False


class Queue:
    """All that wait for one queue, and what has become of its elements."""

    def __init__(self, name: str, request: Command, producer: Producer, consumers: int) -> None:
        self.name = name
        self.producer = producer
        self.consumers = [Consumer(request, name) for _ in range(consumers)]
        self.lost: set[int] = set()
        """Taken, and never heard of: the server died in between."""

    def check(self, client: RawClient) -> None:
        reading = "ZRANGE" if self.name == "scored" else "LRANGE"
        left = [*map(int, client.value(reading, self.name, 0, -1))]
        got = [number for consumer in self.consumers for number in consumer.got]
        everything = [*left, *got, *self.lost]
        assert len(everything) == len(set(everything)), "an element is there twice"
        lost = set(range(1, self.producer.acknowledged + 1)) - set(everything)
        assert set(everything) <= set(range(1, self.producer.acknowledged + 1))
        assert len(lost) <= sum(consumer.under_way for consumer in self.consumers), lost
        self.lost |= lost


def run_cycles(folder: Path, model: str, cycles: int) -> None:
    server = tendis_process(folder, model=model)
    small, large = EachType(b"small"), EachType(b"large", MANY // 3)
    counters = [Counter(b"%d" % number) for number in range(3)]
    producer = Producer()
    queues = [
        Queue("popped", [b"BLPOP", b"none", b"popped", b"0"], producer, 3),
        Queue("scored", [b"BZPOPMIN", b"scored", b"0"], producer, 2),
    ]
    movers = [Consumer([b"BLMOVE", b"moved", b"done", b"LEFT", b"RIGHT", b"0"], "moved")]
    consumers = [one for queue in queues for one in queue.consumers]
    working: list[Client] = [small, large, *counters, producer, *consumers, *movers]
    clients = [*working, Reader(small), Reader(large)]
    checks: list[Any] = [small, large, *counters, producer, *queues]
    try:
        server.start()
        for _ in range(cycles):
            before = [client.acknowledged for client in (small, large, producer)]
            for client in clients:
                client.start(server)
            wait_until(
                lambda: all(
                    client.acknowledged > number
                    for client, number in zip((small, large, producer), before, strict=True)  # noqa: B023
                ),
                "all have got somewhere",
                SECONDS,
            )
            time.sleep(random.uniform(0.0, 0.7))
            server.kill()
            for client in clients:
                client.join()
            check_offline(folder)
            server.start()
            with server.client(seconds=SECONDS) as asking:
                for one in checks:
                    one.check(asking)
        server.stop()
        check_offline(folder)
    finally:
        server.kill()


def test_exec_is_all_or_nothing(tmp_path: Path) -> None:
    run_cycles(tmp_path, MODELS[0], cycles=2)


@pytest.mark.parametrize("model", MODELS[1:])
def test_so_it_is_in_every_model(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, cycles=1)


@pytest.mark.soak
@pytest.mark.parametrize("model", MODELS)
def test_a_hundred_crashes_of_transactions(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, cycles=100 if model == MODELS[0] else 20)
