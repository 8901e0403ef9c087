"""Puts together what the server says of itself at one moment (``observation``), from the counters
of the threads, the stages' figures and RocksDB's.

Whoever asks takes the same observation for a tenth of a second: INFO, the dashboard and a scraper
cost no more than one of them. Knows no RESP and no HTTP.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any

from tendis_py.services.histogram import Buckets, count, percentiles_ns
from tendis_py.services.observation import (
    CommandFigures,
    Durations,
    EngineFigures,
    LockFigures,
    Observation,
    QueueFigures,
)
from tendis_py.services.slow_readers import slow_readers

if TYPE_CHECKING:
    from tendis_py.services import Services

FRESH_SECONDS = 0.1
RATE_SECONDS = 10

_PERCENTS = (50, 90, 99, 99.9)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where the counters stood at ``time`` (monotonic seconds); ``calls`` by command name,
    ``refused`` by queue."""

    time: float
    commands: int
    net_input: int
    net_output: int
    inline: int
    queued: int
    calls: Mapping[str, int]
    refused: Mapping[str, int]
    cpu_seconds: float


class Observatory:
    """Thread-safe."""

    def __init__(self, services: Services, now: Callable[[], float] = monotonic) -> None:
        self._services = services
        self._monotonic = now
        self._lock = threading.Lock()
        self._latest: Observation | None = None
        self._fresh_until = 0.0
        self._engine_before: EngineFigures | None = None
        self._moments: deque[_Moment] = deque(maxlen=RATE_SECONDS)

    def now(self) -> Observation:
        """What there is to say now, or was FRESH_SECONDS ago."""
        latest = self._latest
        if latest is not None and self._monotonic() < self._fresh_until:
            return latest
        with self._lock:
            if self._latest is None or self._monotonic() >= self._fresh_until:
                self._latest = self._observe()
                self._fresh_until = self._monotonic() + FRESH_SECONDS
            return self._latest

    def sample(self) -> None:
        """To be called each second, for what is of the last ten."""
        self._moments.append(self._moment())

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._moments.clear()
            self._latest = None
            self._engine_before = self._services.holdings.now().engine

    def _observe(self) -> Observation:
        services = self._services
        totals, held = services.stats.totals(), services.holdings.now()
        records = services.figures.now()
        before, now = self._window()
        seconds = now.time - before.time or 1.0
        inline, queued = now.inline - before.inline, now.queued - before.queued
        stages, whole_stages = services.stats.stage_figures()
        return Observation(
            time=services.clock.time_ns() / 1e9,
            uptime=services.clock.now_seconds() - services.started,
            model=services.config.threading_model,
            requests_per_second=(now.commands - before.commands) / seconds,
            input_bytes_per_second=(now.net_input - before.net_input) / seconds,
            output_bytes_per_second=(now.net_output - before.net_output) / seconds,
            inline_share=inline / (inline + queued) if inline + queued else 1.0,
            hits=totals.hits,
            misses=totals.misses,
            row_cache_bytes=services.keyspace.cache.bytes,
            row_cache_hits=0,
            row_cache_misses=0,
            expiry_lag_ms=0.0,
            garbage=held.garbage,
            connected_clients=len(services.clients),
            blocked_clients=len(services.clients.blocked),
            subscribed_clients=services.pubsub.clients,
            tracking_clients=services.tracking.clients,
            stages=stages,
            whole_stages=whole_stages,
            queues=list(_queues(records, services, before.refused)),
            threads=services.stats.thread_figures(),
            commands=list(self._commands(before, now)),
            engine=self._engine(),
            cpus=(now.cpu_seconds - before.cpu_seconds) / seconds,
            locks=LockFigures(**records.get("locks", {})),
            slow_readers=slow_readers(services.clients, services.stats),
            hot_keys=services.key_sampler.hot(),
            contended_keys=services.key_sampler.contended(),
        )

    def _moment(self) -> _Moment:
        services = self._services
        totals, records = services.stats.totals(), services.figures.now()
        reactors = [record for name, record in records.items() if name.startswith("reactor-")]
        return _Moment(
            time=self._monotonic(),
            commands=totals.commands,
            net_input=totals.net_input,
            net_output=totals.net_output,
            inline=sum(reactor["inline"] for reactor in reactors),
            queued=sum(reactor["queued"] for reactor in reactors),
            calls={
                command.name: figures.calls
                for command, figures in services.stats.commands().items()
            },
            refused={
                name: record["refused"] for name, record in records.items() if "refused" in record
            },
            cpu_seconds=process_time(),
        )

    def _window(self) -> tuple[_Moment, _Moment]:
        """Ten seconds ago, or the first that is remembered, and now."""
        now = self._moment()
        moments = self._moments
        return (moments[0] if moments else now), now

    def _engine(self) -> EngineFigures:
        found, before = self._services.holdings.now().engine, self._engine_before
        if before is None:
            return found
        reasons = Counter(found.stall_reasons)
        reasons.subtract(before.stall_reasons)
        return replace(
            found,
            stalls=found.stalls - before.stalls,
            stalled_seconds=found.stalled_seconds - before.stalled_seconds,
            stall_reasons={reason: max(times, 0) for reason, times in reasons.items()},
        )

    def _commands(self, before: _Moment, now: _Moment) -> Iterator[CommandFigures]:
        seconds = now.time - before.time or 1.0
        stats = self._services.stats
        services, totals = stats.latencies.buckets(), stats.total_buckets()
        for command, figures in stats.commands().items():
            name = command.name
            yield CommandFigures(
                name=name,
                calls=figures.calls,
                failed=figures.failed,
                rejected=figures.rejected,
                per_second=(figures.calls - before.calls.get(name, 0)) / seconds,
                service=durations(services[command]) if command in services else Durations(),
                total=durations(totals[command]) if command in totals else Durations(),
            )


def durations(buckets: Buckets) -> Durations:
    """A histogram in figures."""
    if not any(buckets):
        return Durations()
    p50, p90, p99, p999, most = percentiles_ns(buckets, (*_PERCENTS, 100))
    sum_ns = buckets[-2]
    return Durations(count(buckets), sum_ns, p50, p90, p99, p999, most)


def _queues(
    records: Mapping[str, Mapping[str, Any]], services: Services, refused: Mapping[str, int]
) -> Iterator[QueueFigures]:
    config = services.config
    paused = sum(
        record["paused_reads"] for name, record in records.items() if name.startswith("reactor-")
    )
    for name in ("work", "slow"):
        record = records.get(f"{name}_queue")
        if record is not None:
            yield QueueFigures(
                name=name,
                depth=record["depth"],
                requests=record["requests"],
                bytes=record["bytes"],
                peak_requests=record["peak_requests"],
                capacity_requests=config.work_queue_max_requests,
                capacity_bytes=config.work_queue_max_bytes,
                refused=record["refused"],
                paused=paused if name == "work" else 0,
                refused_lately=record["refused"] - refused.get(f"{name}_queue", 0),
            )
    for name, record in records.items():
        kind, _, number = name.partition("-")
        if kind == "reactor":
            depth = record["responses_depth"]
            yield QueueFigures(f"responses-{number}", depth, depth, 0, 0, 0, 0, 0, 0)
            yield QueueFigures(f"held-{number}", record["held"], 0, 0, 0, 0, 0, 0, 0)
