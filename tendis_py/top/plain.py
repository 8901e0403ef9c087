"""What is the bottleneck of a server that does not say so itself: by INFO and the slow log alone.

Redis executes in one thread, so what there is to find is what keeps that busy, what it waits for
(the disk, a fork), and what it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

from tendis_py.top.snapshot import Finding, Snapshot
from tendis_py.top.words import count, duration, percent

BUSY = 0.8
"""A thread that works for so much of the time is what others wait for."""


def findings(seen: Snapshot) -> list[Finding]:
    """The worst first; one that says so when there is nothing to find."""
    found = sorted(_problems(seen), key=lambda one: -one.share)
    return found or [Finding("none", "", 0.0, _calm(seen), "")]


def busy(seen: Snapshot) -> float:
    """The fraction of the time that the main thread works (before Redis 6.2: the process)."""
    threads = [name for name in seen.info if name.startswith("used_cpu_") and "main_thread" in name]
    names = threads or ["used_cpu_sys", "used_cpu_user"]
    return sum(seen.rate(name) for name in names)


def _calm(seen: Snapshot) -> str:
    if not seen.seconds:
        return "No figures yet of how busy it is."
    return f"Nothing stands out: the main thread is busy {percent(busy(seen))} of the time."


def _problems(seen: Snapshot) -> Iterator[Finding]:
    used = busy(seen)
    if used >= BUSY:
        yield Finding(
            "cpu",
            "execute",
            min(1.0, used),
            f"The main thread is busy {percent(used)} of the time{_costliest(seen)}.",
            "Make that cheaper, pipeline, spread reads; io-threads relieve it of I/O.",
        )
    written = seen.rate("aof_delayed_fsync")
    if written:
        yield Finding(
            "fsync",
            "commit",
            min(1.0, 2 * written),  # it waits up to two seconds for each
            f"Writes wait for fsync: {count(seen.since['aof_delayed_fsync'])} were put off since "
            "the last look.",
            "A faster disk, or appendfsync no and no-appendfsync-on-rewrite yes.",
        )
    for name, cause, seen_words, advice in _COUNTERS:
        if rate := seen.rate(name):
            share = min(1.0, rate / (seen.rate("total_commands_processed") or rate))
            yield Finding(cause, "", share, f"{count(rate)} {seen_words} a second.", advice)


_COUNTERS = (
    (
        "evicted_keys",
        "memory",
        "keys are evicted",
        "maxmemory is reached: raise it, or store less.",
    ),
    ("rejected_connections", "clients", "connections are rejected", "maxclients is reached."),
    (
        "client_output_buffer_limit_disconnections",
        "slow_reader",
        "clients are closed for not reading their replies",
        "Find them with CLIENT LIST (omem).",
    ),
)


def _costliest(seen: Snapshot) -> str:
    """The command that takes most of the time of all, and how much."""
    total = sum(command.load for command in seen.commands)
    worst = max(seen.commands, key=lambda command: command.load, default=None)
    if worst is None or not total:
        return ""
    each = worst.load / worst.per_second * 1e6 if worst.per_second else 0.0
    return (
        f"; {percent(worst.load / total)} of the time in commands goes to {worst.name.upper()} "
        f"({duration(each)} a call)"
    )
