"""Counters: summed over threads, set back by RESETSTAT, and what they are turned into."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.commands.registry import REGISTRY, Command
from tendis_py.config import Config
from tendis_py.errors import ReplyError, StorageError
from tendis_py.services import Services, report
from tendis_py.services.counters import MOST_CODES, CommandBuckets
from tendis_py.services.histogram import count, durations, record
from tendis_py.services.kept_histograms import KeptHistograms
from tendis_py.services.rates import SAMPLES, Rate
from tendis_py.services.saving import Saving, Start, Work
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread
from tests.support.servers import wait_until


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    keyspace = Keyspace(Engine(tmp_path / "data"))
    config = Config()
    config.enable_debug_command = "yes"
    yield Services(config, keyspace)
    keyspace.engine.close()


@pytest.fixture
def threads(services: Services) -> list[Thread]:
    return [Thread(services), Thread(services)]


def named(name: str) -> Command:
    command = REGISTRY.commands[name.partition("|")[0]]
    return command.subcommands[name.partition("|")[2].encode()] if "|" in name else command


def figures(services: Services, name: str) -> tuple[int, int, int]:
    """Calls, rejected calls, failed calls."""
    found = services.stats.commands().get(named(name))
    return (found.calls, found.rejected, found.failed) if found else (0, 0, 0)


def test_threads_are_added_up(services: Services, threads: list[Thread]) -> None:
    threads[0].run("SET k 1", "GET k", "GET nothing")
    threads[1].run("GET k", "GET k")
    assert figures(services, "get") == (4, 0, 0)
    assert figures(services, "set") == (1, 0, 0)
    totals = services.stats.totals()
    assert (totals.commands, totals.hits, totals.misses, totals.errors) == (5, 3, 1, 0)
    assert services.stats.changes() == 1


def test_refused_failed_and_unknown_are_told_apart(
    services: Services, threads: list[Thread]
) -> None:
    thread = threads[0]
    thread.run("GET", "GET a b", "CONFIG GET", "CONFIG nosuch", "NOSUCH", "SLOWLOG GET x", "SET")
    assert figures(services, "get") == (0, 2, 0)
    assert figures(services, "config|get") == (0, 1, 0)
    assert figures(services, "config") == (0, 0, 0)
    assert figures(services, "slowlog|get") == (1, 0, 1)
    assert services.stats.errors() == {"ERR": 7}
    totals = services.stats.totals()
    assert (totals.commands, totals.errors) == (1, 7)


def test_histograms_that_are_kept_follow_what_is_recorded() -> None:
    get, blpop = named("get"), named("blpop")
    threads = [CommandBuckets(), CommandBuckets()]
    kept = KeptHistograms(lambda: threads)

    def counts() -> dict[str, int]:
        found = kept.now()
        for one in found.values():
            assert one.durations == durations(one.recorded)
        return {command.name: one.durations.count for command, one in found.items()}

    assert counts() == {}
    record(threads[0][get], 1000)
    assert counts() == counts() == {"get": 1}
    record(threads[1][get], 5000)
    record(threads[1][blpop], 0)
    assert counts() == {"get": 2, "blpop": 1}
    record(threads[0][blpop], 0)  # its sum is what it was
    assert counts() == {"get": 2, "blpop": 2}
    kept.reset()
    assert counts() == {}
    record(threads[0][get], 1000)
    assert counts() == {"get": 1}
    assert kept.now()[get].durations.sum_ns == 1000


def test_more_error_codes_than_redis_counts_are_not_counted(
    services: Services, threads: list[Thread]
) -> None:
    """Scripts will make codes of their own: no table grows with what a client sends."""
    command = named("get")

    def fail(codes: range) -> None:
        for code in codes:
            threads[code % 2].dispatcher.counters.fail(command, f"E{code}")

    fail(range(MOST_CODES))
    assert services.stats.errors() == {f"E{code}": 1 for code in range(MOST_CODES)}
    fail(range(MOST_CODES + 1))
    assert services.stats.errors() is None
    assert list(report.errorstats(services)) == [("errorstat_ERRORSTATS_DISABLED", {"count": 1})]
    fail(range(1000, 100_000))
    assert all(len(one.dispatcher.counters.errors) <= MOST_CODES + 1 for one in threads)
    services.stats.reset()
    assert services.stats.errors() == {}
    threads[0].dispatcher.counters.fail(command, "a:b#c")
    assert list(report.errorstats(services)) == [("errorstat_a_b_c", {"count": 1})]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("WRONGTYPE x", "WRONGTYPE"),
        ("nospace", "ERR"),
        ("", "ERR"),
        ("A" * 30 + " x", "A" * 30),
        ("A" * 31 + " x", "ERR"),
    ],
)
def test_the_code_of_an_error_is_what_redis_takes_for_it(message: str, code: str) -> None:
    assert ReplyError(message).code == code


def test_time_is_divided_into_waiting_and_executing(
    services: Services, threads: list[Thread]
) -> None:
    thread = threads[0]
    thread.tx.begin(1_000_000)
    thread.dispatcher.run(thread.session, [[b"DEBUG", b"SLEEP", b"0.02"], [b"PING"]], [])
    found = services.stats.commands()
    slept, pinged = found[named("debug")], found[named("ping")]
    assert slept.execute_ns >= 20_000_000 > pinged.execute_ns
    assert pinged.wait_ns >= 20_000_000 > slept.wait_ns


def test_reset_counts_from_zero(services: Services, threads: list[Thread]) -> None:
    threads[0].run("SET k 1", "GET k", "GET", "NOSUCH")
    threads[1].run("GET nothing")
    services.clients.admit()
    services.stats.reset()
    assert services.stats.commands() == {}
    assert services.stats.errors() == {}
    assert services.stats.totals() == type(services.stats.totals())()
    assert services.stats.latencies.buckets() == {}
    assert services.stats.changes() == 1
    threads[1].run("GET k")
    assert figures(services, "get") == (1, 0, 0)
    assert services.stats.totals().hits == 1


def calls_tracked(services: Services) -> dict[str, int]:
    return {
        command.name: count(buckets)
        for command, buckets in services.stats.latencies.buckets().items()
    }


def test_what_is_not_tracked_is_counted_but_not_in_histograms(
    services: Services, threads: list[Thread]
) -> None:
    thread = threads[0]
    latencies = services.stats.latencies
    latencies.track(True)
    thread.run("SET k 1")
    latencies.track(False)
    latencies.track(False)
    thread.run("SET k 2", "GET k")
    assert calls_tracked(services) == {"set": 1}
    latencies.track(True)
    thread.run("SET k 3")
    assert calls_tracked(services) == {"set": 2}
    assert figures(services, "set") == (3, 0, 0)
    latencies.track(False)
    thread.run("GET k")
    services.stats.reset()
    thread.run("GET k")
    assert calls_tracked(services) == {}
    latencies.track(True)
    thread.run("GET k")
    assert calls_tracked(services) == {"get": 1}


def test_a_stalled_transaction_is_counted(services: Services, threads: list[Thread]) -> None:
    thread = threads[0]
    thread.run("SET k 1", "GET k")
    stalled = thread.tx
    stalled.begin(1_000_000)
    thread.dispatcher.run(thread.session, [[b"SET", b"j", b"2"], [b"GET", b"j"]], [])
    thread.tx = thread.dispatcher.replace_transaction()
    stalled.commit()
    assert services.stats.totals().hits == 2
    assert services.stats.changes() == 2


def test_rate_is_the_mean_of_its_samples() -> None:
    rate = Rate()
    rate.sample(1000, 0.0)
    assert rate.per_second == 0
    rate.sample(1000 + SAMPLES * 10, 1.0)
    assert rate.per_second == 10
    for number in range(2, 2 + SAMPLES):
        rate.sample(1000 + SAMPLES * 10 * number, float(number))
    assert rate.per_second == SAMPLES * 10
    rate.sample(0, 100.0)  # set back: no rate can be told
    assert rate.per_second == SAMPLES * 10
    rate.sample(0, 101.0)
    assert rate.per_second == (SAMPLES - 1) * 10


def test_rates_follow_the_counters(services: Services, threads: list[Thread]) -> None:
    services.rates.sample(0.0)
    threads[0].run("PING", "PING")
    services.rates.sample(0.5)
    assert services.rates.commands.per_second == 4 / SAMPLES
    services.rates.reset()
    assert services.rates.commands.per_second == 0


def test_recent_largest_looks_back_eight_seconds(services: Services) -> None:
    traffic = services.stats.new_traffic("reactor-0")
    traffic.look(300, 100, 200)
    for _ in range(15):
        traffic.look(0, 1, 2)
    assert traffic.recent_largest() == (100, 200)
    assert traffic.buffered == 0
    traffic.look(0, 1, 2)
    assert traffic.recent_largest() == (1, 2)


def test_saving_counts_what_is_unsaved(services: Services, threads: list[Thread]) -> None:
    saving = services.saving
    threads[0].run("SET a 1", "SET b 2")
    assert saving.unsaved_changes == 2
    engine = services.keyspace.engine
    assert engine.number("num-entries-active-mem-table") >= 2
    assert saving.save()
    assert (saving.unsaved_changes, saving.figures[Work.SAVE].done) == (0, 1)
    assert engine.number("num-entries-active-mem-table") == 0
    assert not engine.unsynced
    assert saving.start() is Start.STARTED
    saving.finish()
    figures = saving.figures[Work.SAVE]
    assert (figures.done, figures.last_ok, figures.last_seconds) == (2, True, 0)
    assert not saving.in_background(Work.SAVE)


def test_one_save_at_a_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = services.keyspace.engine
    saving = Saving(engine, lambda: 0)
    answers: list[object] = []
    monkeypatch.setattr(engine, "flush", lambda: answers.extend([saving.save(), saving.start()]))
    assert saving.save()
    assert answers == [False, Start.RUNNING]


def test_a_save_and_a_rewrite_follow_each_other(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = services.keyspace.engine
    saving = Saving(engine, lambda: 0)
    flushing, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def flush() -> None:
        flushing.release()
        assert go_on.acquire(timeout=10)

    monkeypatch.setattr(engine, "flush", flush)
    assert saving.start(Work.REWRITE, schedule=True) is Start.STARTED
    assert flushing.acquire(timeout=10)
    assert saving.in_background(Work.REWRITE)
    assert saving.background_seconds(Work.REWRITE) >= 0
    assert saving.start(Work.REWRITE, schedule=True) is Start.RUNNING
    assert saving.start(Work.SAVE) is Start.BUSY
    assert not saving.scheduled(Work.SAVE)
    assert saving.start(Work.SAVE, schedule=True) is Start.SCHEDULED
    assert saving.scheduled(Work.SAVE)
    go_on.release()
    assert flushing.acquire(timeout=10)
    assert saving.in_background(Work.SAVE)
    assert saving.start(Work.REWRITE, schedule=True) is Start.SCHEDULED
    thread = threading.Thread(target=saving.finish)  # drops what is scheduled
    thread.start()
    wait_until(lambda: not saving.scheduled(Work.REWRITE), "the rewrite is dropped")
    go_on.release()
    thread.join(10)
    assert [saving.figures[work].done for work in Work] == [1, 1]


def test_a_save_waits_for_a_rewrite(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = services.keyspace.engine
    saving = Saving(engine, lambda: 0)
    flushing, go_on = threading.Event(), threading.Event()

    def flush() -> None:
        flushing.set()
        assert go_on.wait(10)

    monkeypatch.setattr(engine, "flush", flush)
    saving.start(Work.REWRITE)
    assert flushing.wait(10)
    threading.Timer(0.05, go_on.set).start()
    assert saving.save()
    assert [saving.figures[work].done for work in Work] == [1, 1]


def test_a_failed_background_save_is_remembered(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = services.keyspace.engine
    saving = Saving(engine, lambda: 7)

    def fail() -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(engine, "flush", fail)
    figures = saving.figures[Work.SAVE]
    saving.start()
    saving.finish()
    assert not figures.last_ok
    assert (figures.done, figures.failures, saving.unsaved_changes) == (0, 1, 7)
    monkeypatch.undo()
    saving.start()
    saving.finish()
    assert figures.last_ok
    assert (figures.done, figures.failures) == (1, 0)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00K"),
        (694184, "677.91K"),
        (25276510208, "23.54G"),
        (2**50, "1.00P"),
        (2**62, "4096.00P"),
    ],
)
def test_human_sizes(size: int, shown: str) -> None:
    assert report.human(size) == shown
