"""Stages: what becomes of a batch's stamps, and what windows remember of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tendis_py.services.clients import Clients
from tendis_py.services.counters import Named
from tendis_py.services.histogram import SUM, count, durations
from tendis_py.services.recent import Recent
from tendis_py.services.stages import Stage, StageTimes, ThreadTimes
from tendis_py.services.stats import Stats
from tendis_py.services.total_times import Several

EXECUTE = Stage("execute", "fast", "executor")


@dataclass
class Stamped:
    """A batch of which each stage takes as many ns as it says."""

    parse: int = 10
    queue: int = 0
    lock: int = 0
    execute: int = 1_000
    commit: int = 200
    fsync: int = 0
    respond: int = 30
    write: int = 4
    answered: int = 1
    engine_ns: int = 0
    requests: int = 1
    lane: str = "fast"
    pool: str = "executor"
    read: int = 5_000_000

    def __post_init__(self) -> None:
        parsed = self.read + self.parse
        taken = parsed + self.queue
        self.queued = parsed if self.queue else 0
        self.taken = taken if self.queue or self.lock else 0
        self.started = taken + self.lock
        self.executed = self.started + self.execute
        self.logged = self.executed + self.commit if self.fsync else 0
        self.committed = self.executed + self.commit + self.fsync
        self.replied = self.committed + self.respond
        self.written = self.replied + self.write
        self.replies = [None] * self.answered
        self.ran: list[Named] = []
        self.ran_apart: list[Several] = []


def sums(times: StageTimes) -> dict[str, int]:
    return {"-".join(stage): buckets[SUM] for stage, buckets in times.histograms().items()}


def test_a_batch_is_in_the_stages_it_went_through() -> None:
    times = StageTimes()
    times.record(Stamped())
    assert sums(times) == {
        "parse-fast-reactor": 10,
        "execute-fast-executor": 1_000,
        "commit-fast-executor": 200,
        "respond-fast-reactor": 30,
        "write-fast-reactor": 4,
    }


def test_queue_lock_fsync_and_reads_are_told_of_where_there_are_any() -> None:
    times = StageTimes()
    times.record(Stamped())
    times.record(Stamped(queue=50, lock=7, fsync=9_000, engine_ns=600, lane="slow", pool="slow"))
    found = sums(times)
    assert found["queue-slow-slow"] == 50
    assert found["lock-slow-slow"] == 7
    assert found["fsync-slow-slow"] == 9_000
    assert found["engine-slow-slow"] == 600
    assert found["parse-slow-reactor"] == 10
    assert "queue-fast-executor" not in found


def test_each_request_spends_what_its_batch_does() -> None:
    times = StageTimes()
    times.record(Stamped(requests=3))
    buckets = times.histograms()[EXECUTE]
    assert (count(buckets), buckets[SUM]) == (3, 3_000)


@pytest.mark.parametrize(
    ("answered", "requests", "spent"),
    [(1, 5, 5 * 800), (2, 2, 400 + 800), (8, 8, 3_600), (8, 4, 4 * 400), (80, 160, 160 * 400)],
)
def test_replies_are_written_one_after_the_other(answered: int, requests: int, spent: int) -> None:
    times = StageTimes()
    times.record(Stamped(answered=answered, requests=requests, write=800))
    buckets = times.histograms()[Stage("write", "fast", "reactor")]
    assert (count(buckets), buckets[SUM]) == (requests, spent)


class Moments:
    """Windows over the batches of one reactor, and a clock."""

    def __init__(self) -> None:
        self.times = StageTimes()
        self.thread = ThreadTimes("executor-0")
        self.now = 0
        self.recent = Recent(self.times.histograms, [self.thread], lambda: self.now)

    def second(self, batches: int) -> None:
        for _ in range(batches):
            self.times.record(Stamped())
        self.thread.batches += batches
        self.thread.requests += 2 * batches
        self.thread.busy_ns += batches * 100_000_000
        self.now += 1_000_000_000
        self.recent.sample()

    def counts(self) -> dict[int, int]:
        return {
            seconds: count(window[EXECUTE]) if EXECUTE in window else 0
            for seconds, window in self.recent.histograms().items()
        }


def test_windows_forget() -> None:
    moments = Moments()
    moments.second(7)
    assert moments.counts() == {10: 7, 60: 7}
    for _ in range(9):
        moments.second(1)
    assert moments.counts() == {10: 16, 60: 16}
    moments.second(0)
    assert moments.counts() == {10: 9, 60: 16}
    for _ in range(60):
        moments.second(0)
    assert moments.counts() == {10: 0, 60: 0}
    assert moments.recent.histograms()[60][EXECUTE][SUM] == 0


def test_windows_have_what_is_newer_than_the_last_look() -> None:
    moments = Moments()
    moments.times.record(Stamped())
    assert moments.counts() == {10: 1, 60: 1}
    moments.second(0)
    moments.times.record(Stamped())
    assert moments.counts() == {10: 2, 60: 2}
    said = durations(moments.recent.histograms()[10][EXECUTE])
    assert said.max_ns == pytest.approx(1_000, rel=0.05)


def test_windows_begin_anew() -> None:
    moments = Moments()
    moments.second(5)
    moments.recent.reset()
    assert moments.counts() == {10: 0, 60: 0}
    moments.second(2)
    assert moments.counts() == {10: 2, 60: 2}


def test_threads_of_the_last_ten_seconds() -> None:
    moments = Moments()
    for _ in range(20):
        moments.second(9)
    for _ in range(5):
        moments.second(1)
    work = moments.recent.work()["executor-0"]
    assert (work.ns, work.batches, work.requests) == (10**10, 50, 100)
    assert work.busy_ns == 5 * 10**9


def test_stages_are_set_back() -> None:
    stats = Stats(Clients(lambda: 10))
    times = stats.new_stage_times()
    thread = stats.new_thread("reactor-0")
    times.record(Stamped(execute=8_000_000))
    thread.batches += 1
    assert stats.inline_share() == 1
    stats.reset()
    assert {one.all.count for one in stats.stage_figures()[0]} == {0}
    assert {said.max_ns for one in stats.stage_figures()[0] for said in one.recent.values()} == {0}
    assert stats.inline_share() == 0
    times.record(Stamped())
    (executed,) = (one for one in stats.stage_figures()[0] if one.stage == "execute")
    assert (executed.lane, executed.pool) == ("fast", "executor")
    assert executed.all == executed.recent[10] == executed.recent[60]
    assert executed.all.max_ns < 1_100
