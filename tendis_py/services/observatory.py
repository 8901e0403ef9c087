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

from tendis_py.config import Config
from tendis_py.services.figures import Records
from tendis_py.services.observation import (
    CommandFigures,
    Durations,
    EngineFigures,
    LockFigures,
    Observation,
    QueueFigures,
    UnderWay,
)
from tendis_py.services.slow_readers import slow_readers

if TYPE_CHECKING:
    from tendis_py.services import Services

FRESH_SECONDS = 0.1
LONG_SECONDS = 1.0
RATE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where the counters stood at ``time`` (monotonic seconds); ``calls`` and their ns by command
    name, ``refused`` by queue."""

    time: float
    commands: int
    net_input: int
    net_output: int
    calls: Mapping[str, tuple[int, int]]
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
        self._lags: deque[tuple[int, float]] = deque(maxlen=RATE_SECONDS)
        """Second → the longest in it."""
        self._engine_before: EngineFigures | None = None
        self._moments = deque([self._moment()], maxlen=RATE_SECONDS)

    def now(self) -> Observation:
        """What there is to say now, or was FRESH_SECONDS ago; before that while another thread is
        about to say it: a reactor may ask."""
        latest = self._latest
        if latest is not None and self._monotonic() < self._fresh_until:
            return latest
        if not self._lock.acquire(blocking=latest is None):
            assert latest is not None
            return latest
        try:
            if self._latest is None or self._monotonic() >= self._fresh_until:
                self._latest = self._observe()
                self._fresh_until = self._monotonic() + FRESH_SECONDS
            return self._latest
        finally:
            self._lock.release()

    def note_expiry_lag(self, milliseconds: float) -> None:
        """The sweep has removed what was due so long ago. In one thread at a time."""
        second, lags = int(self._monotonic()), self._lags
        if not lags or lags[-1][0] != second:
            lags.append((second, milliseconds))
        elif milliseconds > lags[-1][1]:
            lags[-1] = (second, milliseconds)

    def _expiry_lag_ms(self) -> float:
        since = self._monotonic() - RATE_SECONDS
        return max((lag for second, lag in self._lags.copy() if second >= since), default=0.0)

    def sample(self) -> None:
        """To be called each second, for what is of the last ten."""
        self._moments.append(self._moment())

    def reset(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._moments.clear()
            self._moments.append(self._moment())
            self._lags.clear()
            self._latest = None
            self._engine_before = self._services.holdings.now().engine

    def _observe(self) -> Observation:
        services = self._services
        totals, held = services.stats.totals(), services.holdings.now()
        records = services.figures.now()
        before, now = self._window()
        seconds = now.time - before.time or 1.0
        stages, whole_stages = services.stats.stage_figures()
        return Observation(
            time=services.clock.time_ns() / 1e9,
            uptime=services.clock.now_seconds() - services.started,
            model=services.config.threading_model,
            requests_per_second=(now.commands - before.commands) / seconds,
            input_bytes_per_second=(now.net_input - before.net_input) / seconds,
            output_bytes_per_second=(now.net_output - before.net_output) / seconds,
            inline_share=services.stats.inline_share(),
            hits=totals.hits,
            misses=totals.misses,
            row_cache_bytes=services.keyspace.cache.bytes,
            row_cache_hits=max(totals.hits + totals.misses - totals.rows_read, 0),
            row_cache_misses=totals.rows_read,
            expiry_lag_ms=self._expiry_lag_ms(),
            garbage=held.garbage,
            connected_clients=len(services.clients),
            blocked_clients=len(services.clients.blocked),
            subscribed_clients=services.pubsub.clients,
            tracking_clients=services.tracking.clients,
            stages=stages,
            whole_stages=whole_stages,
            queues=list(_queues(records, services.config, before.refused)),
            threads=services.stats.thread_figures(),
            commands=list(self._commands(before, now)),
            engine=self._engine(),
            cpus=(now.cpu_seconds - before.cpu_seconds) / seconds,
            locks=_locks(records),
            under_way=list(_long_under_way(services)),
            slow_readers=slow_readers(services.clients, services.stats),
            hot_keys=services.key_sampler.hot(),
            contended_keys=services.key_sampler.contended(),
        )

    def _moment(self) -> _Moment:
        services = self._services
        totals = services.stats.totals()
        return _Moment(
            time=self._monotonic(),
            commands=totals.commands,
            net_input=totals.net_input,
            net_output=totals.net_output,
            calls={
                command.name: (figures.calls, figures.execute_ns)
                for command, figures in services.stats.commands().items()
            },
            refused={
                name: record["refused"]
                for name, record in services.figures.now().items()
                if "refused" in record
            },
            cpu_seconds=process_time(),
        )

    def _window(self) -> tuple[_Moment, _Moment]:
        """RATE_SECONDS ago, or the first that is remembered, and now."""
        return self._moments[0], self._moment()

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
        service, total = stats.service_times.now(), stats.total_times.now()
        for command, figures in stats.commands().items():
            name = command.name
            calls, execute_ns = before.calls.get(name, (0, 0))
            yield CommandFigures(
                name=name,
                calls=figures.calls,
                failed=figures.failed,
                rejected=figures.rejected,
                per_second=(figures.calls - calls) / seconds,
                service=service[command].durations if command in service else Durations(),
                total=total[command].durations if command in total else Durations(),
                load=(figures.execute_ns - execute_ns) / 1e9 / seconds,
            )


def _long_under_way(services: Services) -> Iterator[UnderWay]:
    for ask in services.under_way:
        work = ask()
        if work is not None and work.seconds >= LONG_SECONDS:
            yield work


def _locks(records: Records) -> LockFigures:
    locks = records.get("locks")
    if locks is None:
        return LockFigures()
    return LockFigures(locks["held"], locks["waiting"], locks["contended"])


def _queues(records: Records, config: Config, refused: Mapping[str, int]) -> Iterator[QueueFigures]:
    work, slow, locks = (records.get(name) for name in ("work_queue", "slow_queue", "locks"))
    reactors = [(name, record) for name, record in records.items() if name.startswith("reactor-")]
    if work is not None:
        yield _queue(
            "work",
            work,
            capacity_requests=config.work_queue_max_requests,
            capacity_bytes=config.work_queue_max_bytes,
            refused=work["refused"],
            refused_lately=work["refused"] - refused.get("work_queue", 0),
            paused=sum(record["paused_reads"] for _, record in reactors),
        )
    if slow is not None:
        yield _queue("slow", slow)
    if locks is not None:
        waiting = locks["waiting"]
        yield QueueFigures("locks", waiting, waiting, peak_requests=locks["peak_waiting"])
    for name, record in reactors:
        number = name.partition("-")[2]
        yield QueueFigures(
            f"held-{number}",
            record["held"],
            record["held_requests"],
            record["held_bytes"],
            record["peak_held_requests"],
        )
        for kind, depth, peak in (
            ("responses", "responses_depth", "responses_peak"),
            ("ready", "ready", "peak_ready"),
            ("heavy", "heavy", "peak_heavy"),
            ("messages", "messages", "peak_messages"),
        ):
            yield QueueFigures(
                f"{kind}-{number}",
                record[depth],
                record[depth],
                record[f"{kind}_bytes"] if kind == "messages" else 0,
                record[peak],
            )


def _queue(name: str, record: Mapping[str, Any], **others: int) -> QueueFigures:
    return QueueFigures(
        name,
        record["depth"],
        record["requests"],
        record["bytes"],
        record["peak_requests"],
        **others,
    )
