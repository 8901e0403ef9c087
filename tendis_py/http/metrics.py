"""What Prometheus is told: the figures of INFO and STAGES in its text format, or in OpenMetrics.

Nothing is counted for it: whoever asks has the figures read, from ``services.observatory`` and the
histograms of ``stats``. So counters go back to zero at CONFIG RESETSTAT, which Prometheus takes for
a restart. Knows no HTTP but the header that chooses between the formats.

For 240 commands in use (6,000 samples) it takes 90 ms of CPU time. Nearly all of that is Python,
which lets other threads run each switch interval.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tendis_py import REDIS_VERSION, __version__
from tendis_py.services import Services, doctor
from tendis_py.services.histogram import SUM, Buckets, below, count
from tendis_py.services.observation import Durations, EngineFigures, Observation
from tendis_py.services.stages import STAGES

_STAGE_LIMITS = [1024 << power for power in range(23)]
"""Upper ends of buckets in ns: 1 µs, 2 µs … 4 s. At these the server's own histograms are exact."""
_COMMAND_LIMITS = [4096 << power for power in range(0, 21, 2)]
"""4 µs, 16 µs … 4 s: coarser, for there is one for each command."""

_OPEN = "application/openmetrics-text"

Row = tuple[Sequence[str], float]
"""Values of labels, and the figure."""


def exposition(services: Services, accept: str = "") -> tuple[bytes, str]:
    """All metrics, and their content type: OpenMetrics 1.0 if the header ``Accept`` speaks of
    OpenMetrics, else the text format 0.0.4; no name here needs what is newer. In any thread."""
    encode, content_type = choose_encoder(_OPEN if "openmetrics" in accept else "")
    return encode(Metrics(services)), content_type


class Metrics(Collector):
    """Each ``collect`` reads the figures anew."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        services = self._services
        observation = services.observatory.now()
        yield _build(observation)
        yield from ProcessCollector(registry=None).collect()
        yield from _stages(services, observation)
        yield from _diagnosis(observation)
        yield from _queues(observation)
        yield from _threads(services, observation)
        yield from _commands(services, observation)
        yield from _clients(services, observation)
        yield from _traffic(services, observation)
        yield from _data(services, observation)
        yield from _memory(services)
        yield from _engine(observation.engine)
        yield from _durability(services)


def _build(observation: Observation) -> Metric:
    return InfoMetricFamily(
        "tendis_py_build",
        "Versions, and the threading model that runs.",
        {
            "version": __version__,
            "redis_version": REDIS_VERSION,
            "python_version": platform.python_version(),
            "threading_model": observation.model,
        },
    )


def _stages(services: Services, observation: Observation) -> Iterator[Metric]:
    labels = ("stage", "lane", "pool")
    yield _histograms(
        "stage_duration_seconds",
        "Time that batches of requests spent in a stage.",
        labels,
        _STAGE_LIMITS,
        {(stage, "fast", "reactor"): services.stats.stage_buckets(stage) for stage in STAGES},
    )
    recent = [
        ((figures.stage, figures.lane, figures.pool, f"{window}s"), durations)
        for figures in observation.stages
        for window, durations in figures.recent.items()
    ]
    yield _gauges(
        "stage_recent_seconds",
        "Percentiles of the time in a stage over the last seconds, at most 5 % off.",
        (*labels, "window", "percentile"),
        (
            ((*values, percentile), seconds)
            for values, durations in recent
            for percentile, seconds in _percentiles(durations)
        ),
    )
    yield _gauges(
        "stage_recent_max_seconds",
        "Longest time in a stage over the last seconds.",
        (*labels, "window"),
        ((values, durations.max_ns / 1e9) for values, durations in recent),
    )


def _diagnosis(observation: Observation) -> Iterator[Metric]:
    yield _gauges(
        "stage_share_ratio",
        "Part of the requests' time of the last ten seconds that a stage takes, without its parts.",
        ("stage",),
        (((stage,), share) for stage, share in doctor.shares(observation).items()),
    )
    worst: dict[tuple[str, str], float] = {}
    for finding in doctor.diagnose(observation):
        where = (finding.cause, finding.stage)
        worst[where] = max(finding.share, worst.get(where, 0.0))
    yield _gauges(
        "finding_share_ratio",
        "What STAGES DOCTOR finds: the part of the requests' time that a cause takes.",
        ("cause", "stage"),
        worst.items(),
    )


def _percentiles(durations: Durations) -> Iterator[tuple[str, float]]:
    if durations.count:
        yield "50", durations.p50_ns / 1e9
        yield "90", durations.p90_ns / 1e9
        yield "99", durations.p99_ns / 1e9
        yield "99.9", durations.p999_ns / 1e9


def _queues(observation: Observation) -> Iterator[Metric]:
    queues = observation.queues

    def gauges(name: str, description: str, field: str) -> Metric:
        rows = [((queue.name,), getattr(queue, field)) for queue in queues]
        return _gauges(f"queue_{name}", description, ("queue",), rows)

    yield gauges("entries", "Batches and jobs that wait.", "depth")
    yield gauges("requests", "Requests that wait.", "requests")
    yield gauges("bytes", "Bytes that wait.", "bytes")
    yield gauges("peak_requests", "The most requests that waited.", "peak_requests")
    yield gauges("capacity_requests", "Requests that may wait; 0: any.", "capacity_requests")
    yield gauges("capacity_bytes", "Bytes that may wait; 0: any.", "capacity_bytes")
    yield _counters(
        "queue_refused_total",
        "Offers to a full queue.",
        ("queue",),
        (((queue.name,), queue.refused) for queue in queues),
    )
    yield _counters(
        "queue_paused_reads_total",
        "Reads from clients that were put off because of a full queue.",
        ("queue",),
        (((queue.name,), queue.paused) for queue in queues),
    )


def _threads(services: Services, observation: Observation) -> Iterator[Metric]:
    labels = ("thread", "pool")
    threads = [((thread.name, thread.pool), thread) for thread in observation.threads]
    yield _gauges(
        "thread_busy_ratio",
        "Part of the last ten seconds that a thread was busy.",
        labels,
        ((values, thread.busy) for values, thread in threads),
    )
    yield _gauges(
        "thread_requests_per_second",
        "Requests that a thread executed, over the last ten seconds.",
        labels,
        ((values, thread.requests) for values, thread in threads),
    )
    yield _gauges(
        "thread_connections",
        "Connections of a reactor.",
        labels,
        ((values, thread.connections) for values, thread in threads if thread.pool == "reactor"),
    )
    yield _counters(
        "thread_batches_total",
        "Batches that a thread executed.",
        ("thread",),
        (((name,), batches) for name, batches in services.stats.batches().items()),
    )
    yield _gauge(
        "inline_ratio",
        "Part of the batches of the last ten seconds that ran in a reactor.",
        observation.inline_share,
    )


def _commands(services: Services, observation: Observation) -> Iterator[Metric]:
    stats = services.stats
    for name, description, histograms in (
        (
            "command_duration_seconds",
            "Time in the command itself, by command.",
            stats.command_buckets(),
        ),
        (
            "request_duration_seconds",
            "Time from reading a request to its reply's being sent, by command.",
            stats.command_buckets(),
        ),
    ):
        yield _histograms(
            name,
            description,
            ("command",),
            _COMMAND_LIMITS,
            {(command.name,): buckets for command, buckets in histograms.items()},
        )
    yield _counters(
        "command_failures_total",
        "Calls that ran and answered an error.",
        ("command",),
        (((command.name,), command.failed) for command in observation.commands),
    )
    yield _counters(
        "command_rejections_total",
        "Calls that were refused before they ran.",
        ("command",),
        (((command.name,), command.rejected) for command in observation.commands),
    )
    yield _counters(
        "errors_total",
        "Errors that were answered, by their first word.",
        ("code",),
        (((code,), times) for code, times in sorted((stats.errors() or {}).items())),
    )


def _clients(services: Services, observation: Observation) -> Iterator[Metric]:
    totals = services.stats.totals()
    yield _gauge("connected_clients", "Clients.", observation.connected_clients)
    yield _gauge("max_clients", "Clients that there may be.", services.config.maxclients)
    yield _gauge("blocked_clients", "Clients whose request waits.", observation.blocked_clients)
    yield _gauge(
        "subscribed_clients", "Clients with subscriptions.", observation.subscribed_clients
    )
    yield _gauge("tracking_clients", "Clients that cache keys.", observation.tracking_clients)
    yield _counter("connections_total", "Connections that came.", totals.connections)
    yield _counter(
        "rejected_connections_total",
        "Connections beyond the limit of clients.",
        totals.rejected_connections,
    )
    yield _counter(
        "protocol_errors_total",
        "Connections closed because of what they sent.",
        totals.protocol_errors,
    )


def _traffic(services: Services, observation: Observation) -> Iterator[Metric]:
    totals = services.stats.totals()
    yield _counter("commands_total", "Commands that ran.", totals.commands)
    yield _counter("network_received_bytes_total", "Bytes from clients.", totals.net_input)
    yield _counter("network_sent_bytes_total", "Bytes to clients.", totals.net_output)
    yield _counter("network_reads_total", "Calls that read from clients.", totals.reads)
    yield _counter("network_writes_total", "Calls that wrote to clients.", totals.writes)


def _data(services: Services, observation: Observation) -> Iterator[Metric]:
    totals = services.stats.totals()
    sizes = [
        ((str(index),), size)
        for index, size in enumerate(map(services.keyspace.size, range(services.config.databases)))
        if size.keys or index == 0
    ]
    yield _gauges("keys", "Keys.", ("db",), ((db, size.keys) for db, size in sizes))
    yield _gauges(
        "expiring_keys",
        "Keys that have a deadline.",
        ("db",),
        ((db, size.expires) for db, size in sizes),
    )
    yield _counter("keyspace_hits_total", "Lookups that found a key.", observation.hits)
    yield _counter("keyspace_misses_total", "Lookups that found no key.", observation.misses)
    yield _counter("expired_keys_total", "Keys that expired.", totals.expired)
    yield _counter("expired_fields_total", "Fields that expired.", totals.expired_fields)
    yield _gauge(
        "expiry_lag_seconds",
        "How late the latest expired key was removed by the sweep.",
        observation.expiry_lag_ms / 1e3,
    )
    yield _gauge(
        "garbage_collections",
        "Deleted collections that wait to be reclaimed.",
        observation.garbage,
    )
    yield _counter("reclaimed_total", "Deleted collections reclaimed.", totals.reclaimed)
    yield _counter("row_cache_hits_total", "Rows found in the cache.", observation.row_cache_hits)
    yield _counter(
        "row_cache_misses_total", "Rows that RocksDB was asked for.", observation.row_cache_misses
    )


def _memory(services: Services) -> Iterator[Metric]:
    use, limits = services.memory.use(), services.memory.limits()
    parts = {
        "startup": use.startup,
        "clients": use.clients,
        "work_queues": use.work_queues,
        "row_cache": use.row_cache,
        "order_indexes": use.order_indexes,
        "memtables": use.memtables,
        "block_cache": use.block_cache,
        "table_readers": use.table_readers,
    }
    bounds = {
        "row_cache": limits.row_cache,
        "order_indexes": limits.order_indexes,
        "memtables": limits.memtables,
        "block_cache": limits.block_cache,
    }
    yield _gauges(
        "memory_bytes",
        "Memory in use, by whom; the sum is used_memory.",
        ("part",),
        (((part,), used) for part, used in parts.items()),
    )
    yield _gauges(
        "memory_limit_bytes",
        "What a part of the memory keeps to.",
        ("part",),
        (((part,), limit) for part, limit in bounds.items()),
    )
    yield _gauge("memory_peak_bytes", "The most memory that was in use.", use.peak)


def _engine(engine: EngineFigures) -> Iterator[Metric]:
    yield _gauge(
        "rocksdb_immutable_memtables", "Memtables to be flushed.", engine.memtables_waiting
    )
    yield _gauge("rocksdb_level0_files", "Files of level 0.", engine.level0_files)
    yield _gauge(
        "rocksdb_pending_compaction_bytes",
        "Bytes that compaction is behind.",
        engine.pending_compaction_bytes,
    )
    yield _counter("rocksdb_write_stalls_total", "Commits that were held up.", engine.stalls)
    yield _counter(
        "rocksdb_write_stall_seconds_total",
        "Time that commits were held up.",
        engine.stalled_seconds,
    )
    yield _counters(
        "rocksdb_slowdowns_total",
        "How often RocksDB began to slow writers down, by its word for the reason.",
        ("reason",),
        (((reason,), times) for reason, times in sorted(engine.stall_reasons.items())),
    )
    yield _gauge(
        "rocksdb_running_compactions", "Compactions under way.", engine.running_compactions
    )
    yield _gauge("rocksdb_running_flushes", "Flushes under way.", engine.running_flushes)
    yield _gauge("rocksdb_write_stopped", "1: RocksDB takes no writes.", engine.is_stopped)
    yield _gauge(
        "rocksdb_delayed_write_bytes_per_second",
        "What RocksDB slows writes down to; 0: it does not.",
        engine.delayed_write_rate,
    )
    yield _gauge("rocksdb_log_bytes", "Size of the write-ahead log.", engine.log_bytes)
    yield _gauge(
        "rocksdb_log_unsynced_bytes", "Bytes of the log not yet on disk.", engine.unsynced_bytes
    )


def _durability(services: Services) -> Iterator[Metric]:
    saving = services.saving
    failed = float(bool(services.disk.failure))
    yield _gauge("write_failed", "1: a write has failed, and others are refused.", failed)
    yield _gauge("unsaved_changes", "Keys changed since the last save.", saving.unsaved_changes)
    yield _gauge("last_save_timestamp_seconds", "Time of the last save.", saving.last_time)


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tendis_py_{name}", description, value)


def _counter(name: str, description: str, value: float) -> Metric:
    return CounterMetricFamily(f"tendis_py_{name}", description, value)


def _gauges(name: str, description: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = GaugeMetricFamily(f"tendis_py_{name}", description, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family


def _counters(name: str, description: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    family = CounterMetricFamily(f"tendis_py_{name}", description, labels=labels)
    for values, figure in rows:
        family.add_metric(values, figure)
    return family


def _histograms(
    name: str,
    description: str,
    labels: Sequence[str],
    limits: Sequence[int],
    histograms: Mapping[tuple[str, ...], Buckets],
) -> Metric:
    family = HistogramMetricFamily(f"tendis_py_{name}", description, labels=labels)
    ends = [repr(limit / 1e9) for limit in limits]
    for values, buckets in histograms.items():
        counts = zip(ends, below(buckets, limits), strict=True)
        family.add_metric(values, [*counts, ("+Inf", count(buckets))], buckets[SUM] / 1e9)
    return family
