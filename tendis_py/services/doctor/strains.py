"""What strains the server as a whole, one check for each cause: clients, the engine, hot keys, too
little CPU."""

from __future__ import annotations

from collections.abc import Iterator

from tendis_py.services.doctor.case import (
    BUSY,
    NOTABLE,
    WORDS,
    Case,
    Check,
    Weighed,
    all_busy,
    mean_busy,
)
from tendis_py.services.observation import Finding
from tendis_py.services.quantities import counted, duration, percent, size

MANY_CONNECTIONS = 1000
"""For one reactor."""

LATE_EXPIRY_MS = 1000.0
BEHIND_SECONDS = 1.0
MANY_LEVEL0_FILES = 20
"""RocksDB slows writers down from here on, unless told otherwise."""

HOT = 0.1
"""Part of the sampled requests that name one key."""

FEW_REQUESTS = 100.0
"""A second: with fewer, no key is hot."""


def _unread_replies(case: Case) -> Iterator[Weighed]:
    readers = [one for one in case.observation.slow_readers if one.seconds >= BEHIND_SECONDS]
    if not readers:
        return
    listed = "; ".join(
        f"{one.client}, {size(one.unsent)} for {one.seconds:.0f} s, last command {one.command}"
        for one in readers[:3]
    )
    yield (
        0.2,
        Finding(
            "slow_reader",
            "outbox",
            case.share("outbox"),
            f"{counted(len(readers), 'client does', 'clients do')} not read what is sent: "
            f"{listed}.",
            "Their requests wait and their replies take memory; others are not held up. Look at "
            "these clients and their network; CLIENT KILL ADDR closes one, "
            "client-output-buffer-limit closes them by itself.",
        ),
    )


def _stalled_writes(case: Case) -> Iterator[Weighed]:
    engine = case.observation.engine
    slowed = engine.delayed_write_rate
    if not (engine.is_stopped or slowed or engine.level0_files >= MANY_LEVEL0_FILES):
        return
    how = (
        "RocksDB takes no writes"
        if engine.is_stopped
        else f"RocksDB takes no more than {size(slowed)}/s of writes"
        if slowed
        else "RocksDB is about to slow writes down"
    )
    yield (
        1.0 if engine.is_stopped else max(case.share("commit"), 0.4 if slowed else 0.12),
        Finding(
            "compaction",
            "commit",
            case.share("commit"),
            f"{how}, since compaction is behind: {counted(engine.level0_files, 'file')} in level "
            f"0, {size(engine.pending_compaction_bytes)} to compact, "
            f"{counted(engine.memtables_waiting, 'memtable')} to flush; "
            f"{counted(engine.stalls, 'stall')} of {engine.stalled_seconds:.1f} s in all.",
            "Write less at once, put dir on a faster disk, or give compaction more: "
            "rocksdb.max_background_jobs, rocksdb.write_buffer_size and "
            "rocksdb.max_write_buffer_number in the configuration file.",
        ),
    )


def _late_expiry(case: Case) -> Iterator[Weighed]:
    lag = case.observation.expiry_lag_ms
    if lag < LATE_EXPIRY_MS:
        return
    yield (
        0.15,
        Finding(
            "expiry",
            "execute",
            0.0,
            f"Keys are removed {duration(lag * 1e6)} after they have expired: nobody sees them, "
            "but they take room.",
            "The sweep goes the way of requests and gets what time they leave. Spread expiry times "
            "(a random part in EX), so that fewer keys expire at once.",
        ),
    )


def _hot_keys(case: Case) -> Iterator[Weighed]:
    now = case.observation
    keys = [(key, share) for key, share in now.hot_keys if share >= HOT]
    if not keys or now.requests_per_second < FEW_REQUESTS:
        return
    key, share = keys[0]
    others = "".join(f', "{name}" in {percent(part)}' for name, part in keys[1:3])
    yield (
        0.1 + share / 10,
        Finding(
            "hot_key",
            "lock" if case.lock_share() >= NOTABLE else "execute",
            0.0,
            f'Key "{key}" is in {percent(share)} of the requests{others}.',
            "Requests on one key run one after another, however many threads there are: split it "
            "(several counters, a hash per shard), or let clients keep what they read of it "
            "(CLIENT TRACKING).",
        ),
    )


def _crowded_reactors(case: Case) -> Iterator[Weighed]:
    reactors = case.threads("reactor")
    crowded = [one for one in reactors if one.connections >= MANY_CONNECTIONS and one.busy >= BUSY]
    if not crowded:
        return
    worst = max(crowded, key=lambda one: one.connections)
    yield (
        0.12,
        Finding(
            "connections",
            "socket",
            case.share("socket"),
            f"{worst.name} serves {worst.connections} connections and is busy "
            f"{percent(worst.busy)} of the time ({counted(len(reactors), 'reactor')} in all).",
            f"{_more_reactors(case)} Fewer connections with pipelines cost less than many that "
            "send one request at a time.",
        ),
    )


def _more_reactors(case: Case) -> str:
    if case.observation.model == "redis":
        return "The model redis has one reactor: threading-model tendis or kvrocks has several."
    return "Raise io-threads."


def _busy_reactors(case: Case) -> Iterator[Weighed]:
    """Reading and sending is most of the work, and the reactors have no time left."""
    reactors = case.threads("reactor")
    shares = {stage: case.work_share(stage) for stage in ("accept", "parse", "write")}
    stage = max(shares, key=lambda name: shares[name])
    if not all_busy(reactors) or sum(shares.values()) < 0.5 or case.is_starved:
        return
    now = case.observation
    yield (
        0.11,
        Finding(
            "reactor",
            stage,
            case.share(stage),
            f"The reactors are busy {percent(mean_busy(reactors))} of the time, and "
            f"{percent(sum(shares.values()))} of the work is accepting, reading and sending, most "
            f"of it {WORDS[stage]}: {size(now.input_bytes_per_second)}/s in, "
            f"{size(now.output_bytes_per_second)}/s out.",
            f"{_more_reactors(case)} Send requests in pipelines, ask for less at a time, keep "
            "connections open.",
        ),
    )


def _starvation(case: Case) -> Iterator[Weighed]:
    if not case.is_starved:
        return
    stage = case.longest
    yield (
        0.13,
        Finding(
            "starved",
            stage,
            case.share(stage),
            f"The server does not get the CPU: {case.busy_threads}, but only "
            f"{case.observation.cpus:.2f} CPUs in use, and it is not the disk that they wait for.",
            "Something else takes the CPU: look at what runs on this machine (top, vmstat: st), or "
            "at the limits of the container; every stage takes longer meanwhile.",
        ),
    )


def _saturation(case: Case) -> Iterator[Weighed]:
    """No thread has time left: nothing is wrong with any one stage."""
    busy = case.busy_pools
    if not busy or not case.total_ns or case.is_starved:
        return
    now = case.observation
    stage = case.longest
    yield (
        0.05,
        Finding(
            "saturation",
            stage,
            case.share(stage),
            f"The CPU is the limit: {case.busy_threads}, {now.cpus:.2f} CPUs in use, "
            f"{now.requests_per_second:.0f} requests/s. Most of the requests' time, "
            f"{percent(case.share(stage))}, is {WORDS.get(stage, stage)}.",
            "One interpreter runs one thread at a time, so more threads do not help: pipelines and "
            "commands for several keys (MSET, MGET) do more for the same work; beyond that, "
            "several servers, each with a part of the keys.",
        ),
    )


CHECKS: tuple[Check, ...] = (
    _unread_replies,
    _stalled_writes,
    _late_expiry,
    _hot_keys,
    _crowded_reactors,
    _busy_reactors,
    _starvation,
    _saturation,
)
