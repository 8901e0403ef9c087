"""Observations made by hand: of a server that does nothing, but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tendis_py.services.observation import (
    CommandFigures,
    Durations,
    EngineFigures,
    Observation,
    QueueFigures,
    StageFigures,
    ThreadFigures,
)

MS = 1_000_000

IDLE_ENGINE = EngineFigures(
    memtable_bytes=0,
    memtables_waiting=0,
    level0_files=0,
    pending_compaction_bytes=0,
    stalls=0,
    stalled_seconds=0.0,
    stall_reasons={},
    is_stopped=False,
    delayed_write_rate=0,
    running_compactions=0,
    running_flushes=0,
    block_cache_bytes=0,
    log_bytes=0,
    unsynced_bytes=0,
)

_IDLE = Observation(
    time=1.8e9,
    uptime=1000,
    model="tendis",
    requests_per_second=0.0,
    input_bytes_per_second=0.0,
    output_bytes_per_second=0.0,
    inline_share=1.0,
    hits=0,
    misses=0,
    row_cache_bytes=0,
    row_cache_hits=0,
    row_cache_misses=0,
    expiry_lag_ms=0.0,
    garbage=0,
    connected_clients=1,
    blocked_clients=0,
    subscribed_clients=0,
    tracking_clients=0,
    stages=[],
    queues=[],
    threads=[],
    commands=[],
    engine=IDLE_ENGINE,
)


def observation(**changes: Any) -> Observation:
    return replace(_IDLE, **changes)


def engine(**changes: Any) -> EngineFigures:
    return replace(IDLE_ENGINE, **changes)


def durations(count: int, mean_ns: float) -> Durations:
    """Of ``count`` that took about as long."""
    ns = int(mean_ns)
    return Durations(count, count * ns, ns, ns, 2 * ns, 3 * ns, 4 * ns)


def stage(
    name: str, mean_ns: float, *, count: int = 1000, lane: str = "fast", pool: str = "reactor"
) -> StageFigures:
    """The same in all windows."""
    spent = durations(count, mean_ns)
    return StageFigures(name, lane, pool, spent, {10: spent, 60: spent})


def command(name: str, mean_ns: float, *, per_second: float) -> CommandFigures:
    spent = durations(1000, mean_ns)
    load = per_second * mean_ns / 1e9
    return CommandFigures(name, 1000, 0, 0, per_second, spent, spent, load)


def queue(name: str = "work", **changes: Any) -> QueueFigures:
    empty = QueueFigures(name, 0, 0, 0, 0, 16384, 64 << 20, 0, 0)
    return replace(empty, **changes)


def thread(name: str, busy: float, *, connections: int = 0) -> ThreadFigures:
    return ThreadFigures(name, name.partition("-")[0], busy, 100.0, 1000.0, connections)
