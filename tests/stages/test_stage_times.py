"""Every moment of a request is in a stage, for what it is; and what was measured can be asked for
and set back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from tendis_py.server import Server
from tendis_py.services.histogram import SUM, count
from tendis_py.services.stages import BACKGROUND, PART_OF_EXECUTE, StageTimes, Stamps
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until

MS = 1_000_000
WITHIN_A_BATCH = ("parse", "queue", "lock", "execute", "commit", "fsync", "respond", "write")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as connected:
        yield connected


def spent(server: Server, *stages: str) -> int:
    """ns that requests have been in those stages."""
    return sum(
        buckets[SUM]
        for found, buckets in server.services.stats.stages().items()
        if found.stage in stages and found.lane != BACKGROUND
    )


def calls(server: Server, stage: str, lane: str = "", pool: str = "") -> int:
    return sum(
        count(buckets)
        for found, buckets in server.services.stats.stages().items()
        if found.stage == stage and lane in ("", found.lane) and pool in ("", found.pool)
    )


def longest(server: Server, stage: str) -> int:
    figures, _ = server.services.stats.stage_figures()
    return max((one.all.max_ns for one in figures if one.stage == stage), default=0)


SCRIPT = """SET k v|GET k|GET none|SADD s a b c|SMEMBERS s|PING|KEYS *|MULTI|SET k w|EXEC|NOTHING
LPUSH l a|BLPOP l 0|MSET a 1 b 2 c 3|INFO stages|CLIENT NO-TOUCH ON|DEBUG SLEEP 0.001
XADD x * f v"""


@pytest.mark.parametrize(
    ("model", "handoff", "fsync"),
    [
        *((model, "adaptive", "everysec") for model in MODELS),
        ("tendis", "always", "always"),
        ("redis", "adaptive", "always"),
    ],
)
def test_stages_add_up(
    tmp_path: Path, model: str, handoff: str, fsync: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = 0

    def note_whole(times: StageTimes, batch: Stamps, record: Any = StageTimes.record) -> None:
        nonlocal whole
        whole += (batch.written - batch.read) * batch.requests
        record(times, batch)

    monkeypatch.setattr(StageTimes, "record", note_whole)
    config = config_for(
        tmp_path, threading_model=model, work_queue_handoff=handoff, appendfsync=fsync
    )
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        began = perf_counter_ns()
        for _ in range(5):
            for line in SCRIPT.replace("\n", "|").split("|"):
                client.command(*line.split(" "))
        asked_one_by_one = perf_counter_ns() - began
        # the last reply is there before it is noted how long that took
        assert spent(server, "parse", "queue", "lock", "execute", "commit") < asked_one_by_one
        writes = [[b"SET", b"k%d" % number, b"v"] for number in range(100)]
        client.pipeline([*writes, [b"KEYS", b"*"], *writes])
        wait_until(lambda: spent(server, *WITHIN_A_BATCH) == whole, "the last batch is noted")
        assert 0 < spent(server, PART_OF_EXECUTE) <= spent(server, "execute")
        assert calls(server, "execute") == calls(server, "write") >= 90 + 201
        assert (calls(server, "fsync", "fast") > 0) == (fsync == "always")
        assert (calls(server, "queue") > 0) == (model in ("tendis", "redis-io"))
        if handoff == "always":
            assert calls(server, "execute", "fast", "executor") >= calls(server, "fsync")
            assert calls(server, "execute", "fast", "reactor") == 0


def test_what_waits_in_the_socket_is_seen(server: Server, client: RawClient) -> None:
    (reactor,) = server.reactors
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(10)

    reactor.call_soon(hold)
    assert held.wait(10)
    client.request("PING")
    began = perf_counter_ns()
    wait_until(lambda: perf_counter_ns() - began > 30 * MS, "it lies there for a while")
    go_on.set()
    assert client.reply() == b"+PONG\r\n"
    assert longest(server, "socket") > 30 * MS


def test_what_its_own_client_holds_up_is_pending(server: Server, client: RawClient) -> None:
    client.request("DEBUG", "SLEEP", "0.3")
    wait_until(lambda: any(look() for look in list(server.services.under_way)), "the client sleeps")
    client.request("PING")
    client.reply()
    assert client.reply() == b"+PONG\r\n"
    assert calls(server, "pending") == 1
    assert calls(server, "execute", "slow", "apart") == 1
    assert longest(server, "execute") > 300 * MS


def test_what_is_held_back_is_pending(server: Server, client: RawClient) -> None:
    with RawClient((HOST, server.port)) as other:
        other.command("CLIENT", "PAUSE", "100000", "WRITE")
        began = perf_counter_ns()
        client.send(2 * b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
        wait_until(lambda: server.services.stats.totals().reads > 1, "it is read")
        wait_until(lambda: not server.reactors[0].unfinished, "it is parked")
        assert calls(server, "pending") == 0
        other.command("CLIENT", "UNPAUSE")
        assert client.reply() == client.reply() == b"+OK\r\n"
        assert calls(server, "pending") == 2
        assert 0 < spent(server, "pending") < 2 * (perf_counter_ns() - began)


def test_a_reply_that_is_not_read_waits_in_the_outbox(server: Server, client: RawClient) -> None:
    (reactor,) = server.reactors
    client.command("SET", "long", "x" * (1 << 24))
    client.request("GET", "long")
    wait_until(
        lambda: any(one.outbox_bytes for one in list(reactor.connections.values())),
        "the sockets are full",
    )
    assert len(client.reply()) > 1 << 24
    wait_until(lambda: calls(server, "outbox") == 1, "all is read")


def test_a_connection_is_accepted(server: Server, client: RawClient) -> None:
    client.command("PING")
    assert calls(server, "accept", "control", "reactor") == 1


def test_fsync_in_the_background_is_measured(server: Server, client: RawClient) -> None:
    client.command("SET", "k", "v")
    wait_until(lambda: calls(server, "fsync", "background", "background") > 0, "an fsync")
    assert calls(server, "fsync", "fast") == 0


def test_resetstat_sets_all_back(server: Server, client: RawClient) -> None:
    for _ in range(100):
        client.command("SET", "k", "v")
    stats = server.services.stats
    stats.recent.sample()
    client.command("CONFIG", "RESETSTAT")
    for one in stats.stage_figures()[0]:
        for said in (one.all, *one.recent.values()):
            assert said.count <= 2, one  # what came after, and the command itself
    assert all(thread.busy <= 1 for thread in stats.thread_figures())


def test_handing_off_can_be_changed_while_running(server: Server, client: RawClient) -> None:
    def queued() -> int:
        return calls(server, "queue")

    for _ in range(20):
        client.command("SET", "k", "v")
    before = queued()
    assert client.command("CONFIG", "SET", "work-queue-handoff", "always") == b"+OK\r\n"
    for _ in range(20):
        client.command("GET", "k")
    wait_until(lambda: queued() == before + 20, "all are queued")
    assert 0 < server.services.stats.inline_share() < 1
    assert client.command("CONFIG", "SET", "work-queue-handoff", "adaptive") == b"+OK\r\n"
    assert client.command("CONFIG", "SET", "work-queue-handoff", "never").startswith(b"-ERR")


def test_nothing_can_be_handed_to_executors_that_are_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(tmp_path, threading_model="redis", work_queue_handoff="always")
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        assert "work-queue-handoff has no effect: the threading model 'redis' has no" in caplog.text
        client.command("CONFIG", "SET", "work-queue-handoff", "adaptive")
        assert client.command("CONFIG", "SET", "work-queue-handoff", "always") == (
            b"-ERR CONFIG SET failed (possibly related to argument 'work-queue-handoff') - "
            b"the threading model 'redis' has no executors to hand requests to\r\n"
        )
        client.command("SET", "k", "v")
        assert server.services.stats.inline_share() == 1
