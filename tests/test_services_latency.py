"""The latency monitor: which samples it keeps, and what LATENCY GRAPH and DOCTOR make of them.

The pictures and the words are a redis-server's, of these very samples.
"""

from __future__ import annotations

import pytest

from tendis_py.commands import latency_doctor
from tendis_py.config import Config
from tendis_py.services.clock import Clock
from tendis_py.services.latency import SAMPLES, LatencyMonitor, Spikes
from tendis_py.services.sparkline import sparkline

NOW = 1795656758
HISTORY = [12, 200, 50, 100, 30, 151, 108]
MS = 1_000_000


@pytest.fixture
def spikes() -> Spikes:
    found = Spikes()
    for index, milliseconds in enumerate(HISTORY):
        found.add(NOW - len(HISTORY) + index, milliseconds)
    return found


def test_graph(spikes: Spikes) -> None:
    assert latency_doctor.graph("command", spikes, NOW) == (
        "command - high 200 ms, low 12 ms (all time high 200 ms)\n"
        "--------------------------------------------------------------------------------\n"
        " #     \n"
        " |   #_\n"
        " | # ||\n"
        "_|#|o||\n"
        "       \n"
        "7654321\n"
        "sssssss\n"
    )


def test_a_graph_of_one_is_flat() -> None:
    assert sparkline([(30, "0s")], columns=80, rows=4) == " \n \n \n_\n \n0\ns\n"


def test_a_long_graph_goes_on_below() -> None:
    drawn = sparkline([(value, "1m") for value in range(7)], columns=5, rows=1)
    assert drawn == "__oo#\n     \n11111\nmmmmm\n\n##\n  \n11\nmm\n"


def test_ages_are_in_the_largest_unit() -> None:
    spikes = Spikes()
    for ago in (90_000, 7_300, 125, 59):
        spikes.add(NOW - ago, 7)
    assert latency_doctor.graph("command", spikes, NOW).endswith("\n1225\ndhm9\n   s\n")


def test_doctor(spikes: Spikes) -> None:
    config = Config()
    config.latency_monitor_threshold = 10
    assert latency_doctor.report({"command": spikes}, config, NOW) == (
        "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about "
        "it, do you Dave?\n\n"
        "1. command: 7 latency spikes (average 93ms, mean deviation 53ms, period 1.00 sec). Worst "
        "all time event 200ms.\n\n"
        "I have a few advices for you:\n\n"
        "- Check your Slow Log to understand what are the commands you are running which are too "
        "slow to execute. Please check https://redis.io/commands/slowlog for more information.\n"
    )


@pytest.mark.parametrize(
    ("slower_than", "length", "advice"),
    [
        (-1, 128, "Try to enable the Slow Log Redis feature using the command 'CONFIG SET "),
        (10000, 0, "Try to enable the Slow Log Redis feature using the command 'CONFIG SET "),
        (12000, 128, "Please use 'CONFIG SET slowlog-log-slower-than 10000'."),
    ],
)
def test_doctor_on_the_slow_log(spikes: Spikes, slower_than: int, length: int, advice: str) -> None:
    config = Config()
    config.latency_monitor_threshold = 10
    config.slowlog_log_slower_than, config.slowlog_max_len = slower_than, length
    assert advice in latency_doctor.report({"command": spikes}, config, NOW)
    assert advice not in latency_doctor.report({"fast-command": spikes}, config, NOW)


def test_doctor_on_a_busy_machine(spikes: Spikes) -> None:
    assert "1) Lower the system load." in latency_doctor.report(
        {"fast-command": spikes}, Config(), NOW
    )


def test_the_worst_of_a_second_is_kept() -> None:
    unix = [0.0]
    monitor = LatencyMonitor(10, Clock(lambda: int(unix[0] * 1e9)))
    for unix[0], milliseconds in ((1.0, 20), (1.5, 30), (1.9, 25), (2.0, 11), (3.0, 9)):
        monitor.record("command", milliseconds * MS)
    found = monitor.events()["command"]
    assert (list(found.samples), found.worst) == ([(1, 30), (2, 11)], 30)


def test_the_threshold_is_in_whole_milliseconds() -> None:
    monitor = LatencyMonitor(10, Clock(lambda: 10**9))
    monitor.record("command", 10 * MS - 1)
    assert monitor.events() == {}
    monitor.record("command", 10 * MS)
    assert list(monitor.events()["command"].samples) == [(1, 10)]
    off = LatencyMonitor(0)
    off.record("command", 10**12)
    assert off.events() == {}


def test_old_samples_are_forgotten_and_the_worst_is_not() -> None:
    spikes = Spikes()
    for second in range(SAMPLES + 5):
        spikes.add(second, 1000 - second)
    assert len(spikes.samples) == SAMPLES
    assert spikes.samples[0] == (5, 995)
    assert spikes.worst == 1000


def test_reset() -> None:
    monitor = LatencyMonitor(1)
    monitor.record("command", 5 * MS)
    monitor.record("fast-command", 5 * MS)
    assert monitor.reset(["nosuch", "Command"]) == 1
    assert list(monitor.events()) == ["fast-command"]
    assert (monitor.reset(), monitor.reset()) == (1, 0)


@pytest.mark.parametrize("during_fsync", [True, False])
def test_a_write_is_two_events(during_fsync: bool) -> None:
    monitor = LatencyMonitor(2)
    monitor.record_write(5 * MS, during_fsync=during_fsync)
    monitor.record_write(1 * MS, during_fsync=not during_fsync)
    which = "aof-write-pending-fsync" if during_fsync else "aof-write-alone"
    assert list(monitor.events()) == [which, "aof-write"]


def test_doctor_on_the_disk(spikes: Spikes) -> None:
    names = ("aof-write-alone", "aof-write", "aof-fsync-always", "expire-cycle")
    report = latency_doctor.report(dict.fromkeys(names, spikes), Config(), NOW)
    advices = report.partition("I have a few advices for you:\n\n- ")[2].split("\n- ")
    assert [advice[:30] for advice in advices] == [
        "It is strongly advised to use ",
        "SSD disks are able to reduce f",
        "Mounting ext3/4 filesystems wi",
        "Your fsync policy is set to 'a",
        "In order to make the Redis key",
    ]
    assert "disk contention" not in report
    report = latency_doctor.report({"aof-write-pending-fsync": spikes}, Config(), NOW)
    assert "- Try to lower the disk contention." in report


def test_doctor_without_advice(spikes: Spikes) -> None:
    report = latency_doctor.report({"aof-write": spikes}, Config(), NOW)
    assert "advices" not in report
    assert report.endswith(
        "200ms.\n\nWhile there are latency events logged, I'm not able to suggest any easy fix. "
        "Please use the Redis community to get some help, providing this report in your help "
        "request.\n"
    )
