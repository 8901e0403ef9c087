"""What is found in observations made by hand: each cause, what is said first, and when nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.services.doctor import bottleneck, diagnose, report
from tendis_py.services.observation import (
    Durations,
    Finding,
    LockFigures,
    Observation,
    ReaderFigures,
    StageFigures,
    UnderWay,
)
from tests.support.observations import (
    MS,
    command,
    engine,
    observation,
    queue,
    stage,
    thread,
)

ORDINARY = (stage("parse", 20_000), stage("execute", 60_000), stage("write", 10_000))


def causes(seen: Observation) -> list[str]:
    return [finding.cause for finding in diagnose(seen)]


def the(cause: str, seen: Observation) -> Finding:
    (found,) = [finding for finding in diagnose(seen) if finding.cause == cause]
    return found


def slow_fsync() -> Observation:
    return observation(stages=[*ORDINARY, stage("commit", 9 * MS), stage("fsync", 8 * MS)])


def slow_reads() -> Observation:
    return observation(
        stages=[*ORDINARY, stage("execute", 5 * MS), stage("engine", 4 * MS)],
        commands=[command("get", 5 * MS, per_second=150.0)],
        threads=[thread("reactor-0", 0.8)],
        cpus=0.1,
        row_cache_hits=100,
        row_cache_misses=300,
    )


def costly_command() -> Observation:
    return observation(
        stages=[*ORDINARY, stage("execute", 80 * MS, count=100, pool="slow", lane="slow")],
        commands=[
            command("config|get", 9_000, per_second=1000.0),
            command("sort", 80 * MS, per_second=10.0),
        ],
    )


def contended_key() -> Observation:
    return observation(
        stages=[*ORDINARY, stage("lock", 20 * MS, pool="executor")],
        commands=[command("exec", 30 * MS, per_second=2.0)],
        locks=LockFigures(1, 3, 500),
        contended_keys=[("counter", 0.9)],
    )


def short_queue() -> Observation:
    full = queue(requests=10, capacity_requests=10, refused_lately=900, refused=900)
    return observation(stages=ORDINARY, queues=[full, queue("slow")], requests_per_second=9e3)


def unread_replies() -> Observation:
    return observation(
        stages=ORDINARY,
        slow_readers=[ReaderFigures("10.0.0.1:5", "LRANGE", 30 << 20, 12.0)],
    )


def behind_compaction() -> Observation:
    return observation(stages=ORDINARY, engine=engine(is_stopped=True, level0_files=36, stalls=4))


def late_expiry() -> Observation:
    return observation(stages=ORDINARY, expiry_lag_ms=4_200.0)


def hot_key() -> Observation:
    return observation(
        stages=ORDINARY, hot_keys=[("popular", 0.4), ("other", 0.01)], requests_per_second=5e3
    )


def crowded_reactor() -> Observation:
    return observation(
        stages=ORDINARY, threads=[thread("reactor-0", 0.97, connections=5000)], cpus=0.9
    )


def busy_reactor() -> Observation:
    return observation(
        stages=[stage("parse", 50_000), stage("execute", 9_000), stage("write", 90_000)],
        threads=[thread("reactor-0", 0.99), thread("executor-0", 0.05)],
        cpus=0.97,
    )


def stuck() -> Observation:
    return observation(under_way=[UnderWay("reactor-0", "reactor", "fsync", 12.0, 40)])


def starved() -> Observation:
    return observation(
        stages=ORDINARY, threads=[thread("reactor-0", 0.99), thread("reactor-1", 0.9)], cpus=0.21
    )


def saturation() -> Observation:
    return observation(
        stages=[*ORDINARY, stage("queue", 8 * MS, pool="executor")],
        threads=[thread("reactor-0", 0.99), thread("executor-0", 0.95), thread("slow", 0.0)],
        requests_per_second=80_000.0,
        cpus=1.03,
    )


@pytest.mark.parametrize(
    ("cause", "seen", "where", "said"),
    [
        ("fsync", slow_fsync, "fsync", ("8 ms on average", "1000 requests waited", "everysec")),
        ("disk_read", slow_reads, "engine", ("4 ms on average", "75 %", "cache-size")),
        ("cpu", costly_command, "execute", ("SORT", "10.0 calls/s of 80 ms", "SLOWLOG")),
        ("lock", contended_key, "lock", ('"counter" (90 %', "EXEC, 30 ms", "3 claims")),
        ("queue", short_queue, "queue", ("10 requests", "work-queue-max-requests", "900 batches")),
        ("slow_reader", unread_replies, "outbox", ("10.0.0.1:5, 30 MB for 12 s", "LRANGE")),
        ("compaction", behind_compaction, "commit", ("takes no writes", "36 files", "4 stalls")),
        ("expiry", late_expiry, "execute", ("4.2 s",)),
        ("hot_key", hot_key, "execute", ('"popular" is in 40 %', "CLIENT TRACKING")),
        ("connections", crowded_reactor, "socket", ("5000 connections", "io-threads")),
        ("reactor", busy_reactor, "write", ("99 %", "sending the replies", "pipelines")),
        ("stuck", stuck, "fsync", ("reactor-0", "have the log for 12.0 s, with 40 requests")),
        ("starved", starved, "execute", ("2 reactors 94 % busy", "only 0.21 CPUs")),
        ("saturation", saturation, "queue", ("1.03 CPUs", "1 executor 95 % busy", "80000")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_cause_is_named_first_with_its_figures(
    cause: str, seen: Callable[[], Observation], where: str, said: tuple[str, ...]
) -> None:
    found = diagnose(seen())
    assert (found[0].cause, found[0].stage) == (cause, where)
    for words in said:
        assert words in report(found)


def test_nothing_is_wrong() -> None:
    seen = observation(
        stages=ORDINARY,
        requests_per_second=12_000.0,
        queues=[queue(requests=100, refused=7)],
        threads=[thread("reactor-0", 0.5, connections=3)],
        commands=[command("get", 9_000, per_second=12_000.0)],
        hot_keys=[("a", 0.05)],
    )
    (finding,) = diagnose(seen)
    assert (finding.cause, finding.stage, finding.advice) == ("none", "execute", "")
    assert finding.share == pytest.approx(60 / 90)
    assert report([finding]) == finding.seen + "\n"
    assert finding.seen.startswith("Nothing is wrong: 12000 requests/s; most of their time, 67 %,")


def test_a_server_that_does_nothing() -> None:
    (finding,) = diagnose(observation())
    assert (finding.cause, finding.stage, finding.share) == ("none", "", 0.0)
    assert bottleneck(observation()) == ""


@pytest.mark.parametrize(
    ("cause", "seen"),
    [
        # often, but each is short
        ("fsync", lambda: observation(stages=[stage("fsync", 90_000), stage("commit", 95_000)])),
        # long, but next to nothing of the time
        ("fsync", lambda: observation(stages=[stage("execute", 9 * MS), stage("fsync", MS)])),
        # in the background
        ("fsync", lambda: observation(stages=[*ORDINARY, stage("fsync", MS, pool="background")])),
        ("disk_read", lambda: observation(stages=[*ORDINARY, stage("engine", 20_000)])),
        # the reads, not the command
        (
            "cpu",
            lambda: observation(
                stages=[stage("execute", 8 * MS), stage("engine", 7.9 * MS)],
                commands=[command("get", 8 * MS, per_second=100.0)],
                threads=[thread("reactor-0", 0.8)],
                cpus=0.1,
            ),
        ),
        # a long pipeline, each of which reads quickly
        (
            "disk_read",
            lambda: observation(
                stages=[stage("execute", 9 * MS), stage("engine", 6 * MS)],
                threads=[replace(thread("reactor-0", 0.9), batches=2.0, requests=2000.0)],
                cpus=0.9,
            ),
        ),
        # long, but hardly ever called
        (
            "cpu",
            lambda: observation(
                stages=ORDINARY, commands=[command("keys", 300 * MS, per_second=0.1)]
            ),
        ),
        ("lock", lambda: observation(stages=[*ORDINARY, stage("lock", 10_000)])),
        ("queue", lambda: observation(stages=ORDINARY, queues=[queue(refused=100)])),
        (
            "slow_reader",
            lambda: observation(slow_readers=[ReaderFigures("1.2.3.4:5", "GET", 9 << 20, 0.3)]),
        ),
        # hardly any requests
        ("hot_key", lambda: observation(hot_keys=[("a", 1.0)], requests_per_second=2.0)),
        # many, at rest
        ("connections", lambda: observation(threads=[thread("reactor-0", 0.1, connections=9999)])),
        (
            "saturation",
            lambda: observation(
                stages=ORDINARY, threads=[thread("executor-0", 0.99), thread("executor-1", 0.3)]
            ),
        ),
    ],
)
def test_what_is_no_fault_is_not_named(cause: str, seen: Callable[[], Observation]) -> None:
    assert cause not in causes(seen())


def test_what_others_wait_for_comes_before_their_waiting() -> None:
    """A disk that syncs slowly fills the queue and makes claims wait."""
    seen = observation(
        stages=[
            *ORDINARY,
            stage("commit", 20 * MS, pool="executor"),
            stage("fsync", 20 * MS, pool="executor"),
            stage("queue", 300 * MS, pool="executor"),
            stage("lock", 8 * MS, pool="executor"),
        ],
        queues=[queue(requests=16000, refused_lately=5)],
        threads=[thread("executor-0", 0.99), thread("executor-1", 0.99)],
        requests_per_second=50.0,
    )
    assert causes(seen) == ["fsync", "queue", "saturation"]  # not starved: it is the disk
    assert bottleneck(seen) == "queue"
    assert the("fsync", seen).share < 0.1
    assert "only makes requests wait longer" in the("queue", seen).advice


def test_a_queue_is_full_by_bytes_too() -> None:
    seen = observation(queues=[queue(bytes=60 << 20)])
    assert "60 MB" in the("queue", seen).seen


def test_a_command_that_reads_much_from_memory_is_a_costly_one() -> None:
    seen = observation(
        stages=[stage("execute", 80 * MS), stage("engine", 70 * MS)],
        commands=[command("keys", 80 * MS, per_second=10.0)],
        threads=[thread("reactor-0", 0.9)],
        cpus=0.9,
    )
    assert causes(seen)[:2] == ["cpu", "disk_read"]
    assert "CPU rather than the disk" in the("disk_read", seen).seen


def test_waiting_for_all_keys_is_said() -> None:
    seen = observation(stages=[*ORDINARY, stage("lock", 20 * MS)], contended_keys=[("some", 0.05)])
    assert 'all keys at once, or many; "some" (5 %' in the("lock", seen).seen


def test_a_long_command_in_the_slow_lane_comes_last() -> None:
    seen = observation(
        under_way=[UnderWay("slow", "slow", "execute", 3.0, 1, "object|freq")],
        expiry_lag_ms=5000.0,
    )
    assert causes(seen) == ["expiry", "stuck"]
    assert "running OBJECT FREQ for 3.0 s, with 1 request in hand" in the("stuck", seen).seen


def test_the_advice_is_for_the_model() -> None:
    assert "lane of their own, beside" not in the("cpu", costly_command()).advice
    other = observation(
        model="redis", stages=costly_command().stages, commands=costly_command().commands
    )
    assert "threading-model tendis" in the("cpu", other).advice
    crowded = observation(
        model="redis", threads=[thread("reactor-0", 1.0, connections=5000)], cpus=1.0
    )
    assert "io-threads" not in the("connections", crowded).advice


def test_the_parts_of_a_stage_do_not_count_twice() -> None:
    seen = observation(stages=[stage("execute", 5 * MS), stage("engine", 4 * MS)])
    assert bottleneck(seen) == "engine"
    assert the("disk_read", seen).share == pytest.approx(0.8)


NUMBERS = st.integers(0, 2**62)
PARTS = st.floats(0.0, 1.0)
RATES = st.floats(0.0, 1e9)
TEXT = st.text(st.characters(codec="utf-8"), max_size=9)
SPENT = st.builds(Durations, *[NUMBERS] * 7)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Any, however little its figures may go together."""
    stages = st.sampled_from(("socket", "queue", "lock", "execute", "engine", "commit", "fsync"))
    pools = st.sampled_from(("reactor", "executor", "slow", "background"))

    def record(make: Any, *values: Any, most: int = 4) -> Any:
        return draw(st.lists(st.builds(make, *values), max_size=most))

    def figures(name: str, pool: str, spent: Durations) -> StageFigures:
        return StageFigures(name, "fast", pool, spent, {10: spent})

    return observation(
        model=draw(st.sampled_from(("tendis", "redis"))),
        requests_per_second=draw(RATES),
        cpus=draw(RATES),
        expiry_lag_ms=draw(RATES),
        row_cache_hits=draw(NUMBERS),
        stages=record(figures, stages, pools, SPENT, most=9),
        commands=record(
            lambda name, mean, rate: command(name, mean, per_second=rate),
            *(TEXT, st.integers(0, 10**12), RATES),
        ),
        threads=record(
            lambda pool, busy, connections: thread(pool, busy, connections=connections),
            *(pools, PARTS, NUMBERS),
        ),
        queues=record(
            lambda requests, capacity, lately: queue(
                requests=requests, capacity_requests=capacity, refused_lately=lately
            ),
            *(NUMBERS, NUMBERS, NUMBERS),
        ),
        hot_keys=record(lambda key, part: (key, part), TEXT, PARTS),
        contended_keys=record(lambda key, part: (key, part), TEXT, PARTS),
        under_way=record(UnderWay, TEXT, pools, stages, RATES, NUMBERS, TEXT),
        slow_readers=record(ReaderFigures, TEXT, TEXT, NUMBERS, RATES),
        engine=engine(level0_files=draw(NUMBERS), delayed_write_rate=draw(NUMBERS)),
    )


@settings(max_examples=30)
@given(observations())
def test_it_always_says_something(seen: Observation) -> None:
    found = diagnose(seen)
    assert found
    assert ("none" in causes(seen)) == (len(found) == 1 and found[0].cause == "none")
    assert all(0.0 <= finding.share <= 1.0 for finding in found)
    assert report(found).encode()
