"""When a stage fails: a full queue, a bug in a command, a disk that refuses, a stalled RocksDB."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import StorageError, WriteFailedError, WriteStalledError
from tendis_py.resp.replies import OK
from tendis_py.server import Server
from tendis_py.stages.connection import WAITING_BYTES
from tendis_py.stages.execute import Executor
from tendis_py.stages.respond import Call, ResponseQueue
from tendis_py.stages.work import Batch, Work, WorkQueue
from tendis_py.storage.engine import Engine
from tendis_py.types.string import values as strings
from tests.support.embedded import config_for, embedded
from tests.support.load import together
from tests.support.resp import SECONDS, RawClient, encode_request
from tests.support.servers import HOST, MODELS, wait_until

QUEUED = ("tendis", "redis-io")
"""The threading models that have a work queue."""


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param)) as running:
        yield running


def client_of(server: Server) -> RawClient:
    return RawClient((HOST, server.port))


def test_a_bug_in_a_command_is_answered_and_commits_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(ctx: Context, args: list[bytes]) -> Any:
        strings.put(ctx.db, args[1], b"half done")
        raise RuntimeError("a bug")

    monkeypatch.setattr(REGISTRY.commands["append"], "handler", broken)
    with client_of(server) as client:
        replies = client.pipeline(
            [
                [b"SET", b"a", b"1"],
                [b"APPEND", b"a", b"x"],
                [b"APPEND", b"b", b"x"],
                [b"GET", b"a"],
                [b"EXISTS", b"b"],
                [b"DBSIZE"],
            ]
        )
    internal = b"-ERR internal error\r\n"
    assert replies == [b"+OK\r\n", internal, internal, b"$1\r\n1\r\n", b":0\r\n", b":1\r\n"]


def test_no_reply_claims_what_was_not_written(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = server.keyspace.engine
    write = engine.write_batch

    def refuse(*args: Any, **options: Any) -> None:
        raise StorageError("write failed: no space left on device")

    with client_of(server) as client:
        assert client.command("SET", "a", "1") == b"+OK\r\n"
        monkeypatch.setattr(engine, "write_batch", refuse)
        replies = client.pipeline([[b"SET", b"a", b"2"], [b"INCR", b"n"], [b"SET", b"b", b"3"]])
        assert all(b"no space left on device" in reply for reply in replies), replies
        assert all(reply.startswith(b"-") for reply in replies), replies
        assert client.command("GET", "a") == b"$1\r\n1\r\n", "reading goes on"
        monkeypatch.setattr(engine, "write_batch", write)
        assert client.pipeline([[b"GET", b"a"], [b"EXISTS", b"b", b"n"], [b"DBSIZE"]]) == [
            b"$1\r\n1\r\n",
            b":0\r\n",
            b":1\r\n",
        ]
        assert client.command("SET", "a", "4") == b"+OK\r\n"


class Disk:
    """RocksDB's write, which fails from the n-th call on."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._write = engine.write_batch
        self.good_writes = 1_000_000
        monkeypatch.setattr(engine, "write_batch", self.write)

    def write(self, *args: Any, **options: Any) -> None:
        self.good_writes -= 1
        if self.good_writes < 0:
            raise StorageError("write failed: no space left on device")
        self._write(*args, **options)


def test_what_was_committed_on_the_way_is_not_taken_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An iteration commits what stands before it in its pipeline; only the rest is answered with
    the error of the commit that fails."""
    disk = Disk(server.keyspace.engine, monkeypatch)
    with client_of(server) as client:
        disk.good_writes = 1
        lines = b"SET a 1|SET b 1|RANDOMKEY|SET c 1|INCR c|DBSIZE".split(b"|")
        replies = client.pipeline([line.split() for line in lines])
        disk.good_writes = 1_000_000
        assert replies[:2] == [b"+OK\r\n"] * 2
        failed = replies[2:]
        assert all(b"nothing was written" in reply for reply in failed), replies
        assert client.command("MGET", "a", "b", "c") == b"*3\r\n$1\r\n1\r\n$1\r\n1\r\n$-1\r\n"
        assert client.command("DBSIZE") == b":2\r\n"


@pytest.mark.parametrize("good_writes", [0, 1, 5])
def test_a_long_string_is_not_half_written(
    server: Server, monkeypatch: pytest.MonkeyPatch, good_writes: int
) -> None:
    """Neither when the slices that go ahead of its commit fail, nor when the commit does; a reply
    that was to have the old one becomes an error, too."""
    disk = Disk(server.keyspace.engine, monkeypatch)
    old, new = b"x" * 3_000_000, b"y" * 4_000_000
    with client_of(server) as client:
        assert client.command("SET", "k", old) == b"+OK\r\n"
        for command in (["SET", "k", new], ["APPEND", "k", new], ["SET", "k", "short", "GET"]):
            disk.good_writes = good_writes if new in command else 0
            reply = client.command(*command)
            disk.good_writes = 1_000_000
            assert reply.startswith(b"-"), reply[:80]
            assert client.value("GET", "k") == old
        assert client.command("APPEND", "k", new) == b":7000000\r\n"
        assert client.value("GET", "k") == old + new


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_failing_commit_answers_what_is_owed(
    server: Server, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    disk = Disk(server.keyspace.engine, monkeypatch)
    with RawClient((HOST, server.port), protocol=protocol) as client:
        client.command("HSET", "h", "f", "v")

        def failing(*lines: str) -> None:
            disk.good_writes = 0
            client.send(b"".join(encode_request(line.encode().split()) for line in lines))

        def failure() -> bool:
            return b"no space left" in client.reply()

        failing("SET a 1", "HGETALL h", "CLIENT REPLY SKIP", "SET b 1", "SET c 1")
        assert [failure(), failure(), failure()] == [True] * 3
        failing("CLIENT REPLY OFF", "SET a 1", "SET b 1", "HGETALL h")
        wait_until(lambda: disk.good_writes < 0, "it has failed")
        disk.good_writes = 1_000_000
        assert client.command("CLIENT", "REPLY", "ON") == b"+OK\r\n"
        assert client.command("EXISTS", "a", "b", "c") == b":0\r\n"


def test_a_failing_fsync_is_not_a_success(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise WriteFailedError("fsync", OSError("IO error: log: Input/output error"))

    with client_of(server) as client:
        assert client.command("CONFIG", "SET", "appendfsync", "always") == b"+OK\r\n"
        monkeypatch.setattr(server.keyspace.engine, "sync", refuse)
        reply = client.command("SET", "a", "1")
        monkeypatch.undo()
        assert reply == b"-MISCONF Errors writing to the AOF file: Input/output error\r\n"
        wait_until(lambda: client.command("SET", "a", "2") == b"+OK\r\n", "it goes on")
        assert client.command("GET", "a") == b"$1\r\n2\r\n"


def test_a_stalled_rocksdb_delays_and_loses_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RocksDB takes no writes until all clients have asked for some; ``write_batch`` waits where
    it may, else says so."""
    engine = server.keyspace.engine
    write = engine.write_batch
    stalled, over = threading.Event(), threading.Event()

    def stall(batch: Any, *, may_wait: bool = True) -> None:
        if not over.is_set():
            stalled.set()
            if not may_wait:
                raise WriteStalledError
            assert over.wait(SECONDS)
        write(batch, may_wait=may_wait)

    def end() -> None:
        assert stalled.wait(SECONDS), "nothing stalled: this test shows nothing"
        over.set()

    monkeypatch.setattr(engine, "write_batch", stall)
    all_have_asked = threading.Barrier(6, action=end, timeout=SECONDS)

    def work(client: RawClient) -> None:
        requests = [[b"INCR", b"all"], [b"GET", b"all"]]
        client.send(b"".join(map(encode_request, requests)))
        all_have_asked.wait()
        assert [client.reply()[:1] for _ in requests] == [b":", b"$"]
        for _ in range(19):
            client.pipeline(requests)

    together((HOST, server.port), *[work] * 6)
    with client_of(server) as client:
        assert client.value("GET", "all") == b"120"


def test_a_stalled_batch_is_not_stuck_behind_those_that_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds all keys and needs an executor, while every executor waits for one of its keys."""
    with embedded(config_for(tmp_path, io_threads="2")) as server:
        engine = server.keyspace.engine
        write = engine.write_batch
        locks = server.keyspace.locks
        stalls = iter(range(20))
        they_waited: list[bool] = []

        def stall(batch: Any, *, may_wait: bool = True) -> None:
            if not may_wait and next(stalls, None) is not None:
                with contextlib.suppress(AssertionError):  # the others may all have ended
                    wait_until(lambda: locks.statistics().waiting > 0, "they wait", 0.1)
                    they_waited.append(True)
                raise WriteStalledError
            write(batch, may_wait=may_wait)

        monkeypatch.setattr(engine, "write_batch", stall)

        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(10):
                clients.append(stack.enter_context(client_of(server)))
                clients[-1].command("PING")  # so that the next one is dealt to the other reactor
            for turn in range(30):
                for client in clients:
                    client.request("INCR", "all")
                numbers = sorted(int(client.reply()[1:]) for client in clients)
                assert numbers == list(range(turn * 10 + 1, turn * 10 + 11))
        assert they_waited, "nobody else came while RocksDB stalled: this test shows nothing"


@pytest.mark.parametrize("model", MODELS)
def test_writes_wait_while_rocksdb_really_stalls(tmp_path: Path, model: str) -> None:
    """Memtables of 64 KB, two at the most: each is full after a few values."""
    small = "rocksdb.write_buffer_size=64kb rocksdb.max_write_buffer_number=2"
    config = config_for(tmp_path, threading_model=model)
    for option in small.split():
        config.assign(option.split("="))
    with embedded(config) as server:

        def work(client: RawClient) -> None:
            value = os.urandom(20_000)
            for number in range(60):
                replies = client.pipeline([[b"SET", b"k:%d" % number, value]] * 3)
                assert replies == [b"+OK\r\n"] * 3

        together((HOST, server.port), *[work] * 4)
        assert server.keyspace.engine.stalls > 0, "nothing stalled: this test shows nothing"


@pytest.mark.parametrize("model", MODELS)
def test_a_large_request_may_arrive_while_the_connection_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Its pieces count as input that waits, without being a request that could be taken. Where a
    reactor executes, they wait in the socket."""
    sent = threading.Event()

    def much_waits() -> bool:
        (connection,) = [
            one for reactor in server.reactors for one in list(reactor.connections.values())
        ]
        return connection.waiting_bytes > WAITING_BYTES

    def slow(ctx: Context, args: list[bytes]) -> Any:
        assert sent.wait(SECONDS)
        if not threading.current_thread().name.startswith("reactor"):
            wait_until(much_waits, "more is read than may wait")
        return OK

    monkeypatch.setattr(REGISTRY.commands["append"], "handler", slow)
    monkeypatch.setattr(Executor, "execute_inline", lambda executor, batch: False)
    large = b"x" * (2 * 1024 * 1024)
    config = config_for(tmp_path, threading_model=model)
    with embedded(config) as server, client_of(server) as client:
        request = encode_request([b"SET", b"large", large])
        client.send(encode_request([b"APPEND", b"a", b"b"]) + request[: WAITING_BYTES + 1])
        sent.set()
        client.send(request[WAITING_BYTES + 1 :])
        assert client.reply() == b"+OK\r\n"
        assert client.reply() == b"+OK\r\n"
        assert client.value("GET", "large") == large


@pytest.mark.parametrize("model", QUEUED)
def test_a_full_queue_holds_back_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """The queue empties just after it has refused: the reactor must not sleep over that."""
    offer, take = WorkQueue.offer, WorkQueue._take_ready
    taken = threading.Condition()

    def announced(queue: WorkQueue) -> Work | None:
        work = take(queue)
        with taken:
            taken.notify_all()
        return work

    def late(queue: WorkQueue, batch: Batch) -> bool:
        accepted = offer(queue, batch)
        if not accepted:  # as if the thread lost the processor here
            before = queue.statistics()
            with taken:
                assert taken.wait_for(
                    lambda: not before.requests or queue.statistics().taken > before.taken, SECONDS
                )
        return accepted

    monkeypatch.setattr(WorkQueue, "_take_ready", announced)
    monkeypatch.setattr(WorkQueue, "offer", late)
    config = config_for(
        tmp_path, threading_model=model, work_queue_max_requests="1", io_threads="2"
    )
    with embedded(config) as server:

        def work(client: RawClient) -> None:
            for _ in range(50):
                assert client.command("INCR", "all").startswith(b":")

        together((HOST, server.port), *[work] * 10)
        with client_of(server) as client:
            assert client.value("GET", "all") == b"500"


def test_the_slow_lane_does_not_overtake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow an executor is in handing back the replies before those of the slow lane: that
    has not got its requests by then."""
    post = ResponseQueue.post
    monkeypatch.setattr(Executor, "execute_inline", lambda executor, batch: False)
    with embedded(config_for(tmp_path)) as server, client_of(server) as client:
        slow_queue = server.slow_queue
        assert slow_queue is not None
        forced: list[int] = []

        def observed(queue: ResponseQueue, entry: Batch | Call) -> None:
            if isinstance(entry, Batch) and entry.slow_next:
                now = slow_queue.statistics()
                forced.append(now.depth + now.taken)
            post(queue, entry)

        monkeypatch.setattr(ResponseQueue, "post", observed)
        replies = client.pipeline([[b"SET", b"a", b"1"], [b"KEYS", b"none"], [b"GET", b"a"]])
    assert replies == [b"+OK\r\n", b"*0\r\n", b"$1\r\n1\r\n"]
    assert forced == [0]


def test_a_failing_fsync_in_the_background_has_writes_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tendis_py.maintenance.FSYNC_SECONDS", 0.01)
    monkeypatch.setattr("tendis_py.maintenance.RECOVERY_SECONDS", 0.01)
    engine = server.keyspace.engine
    good_again = threading.Event()
    prepare = engine.prepare_reopening

    def refuse() -> None:
        engine.unsynced = True
        raise WriteFailedError("fsync", OSError("IO error: log: No space left on device"))

    def prepared() -> None:
        if not good_again.is_set():
            raise StorageError("No space left on device")
        prepare()

    monkeypatch.setattr(engine, "prepare_reopening", prepared)
    with client_of(server) as client:
        assert client.command("SET", "a", "1") == b"+OK\r\n"
        monkeypatch.setattr(engine, "sync", refuse)
        engine.unsynced = True
        wait_until(lambda: client.command("PING") != b"+PONG\r\n", "it has failed")
        refusal = b"-MISCONF Errors writing to the AOF file: No space left on device\r\n"
        assert client.command("SET", "a", "2") == refusal
        assert client.command("GET", "a") == b"$1\r\n1\r\n"
        monkeypatch.delattr(engine, "sync")
        good_again.set()
        wait_until(lambda: client.command("SET", "a", "3") == b"+OK\r\n", "it goes on")
        wait_until(lambda: not engine.unsynced, "what was written is durable")
        assert client.command("GET", "a") == b"$1\r\n3\r\n"
    assert caplog.text.count("commands that write are refused") == 1, "an episode is told once"
