"""What Prometheus is told: the figures of INFO and STAGES in its text format, or in OpenMetrics.

Nothing is counted for it: whoever asks has the figures read, from ``services.observatory`` and the
histograms of ``stats``. So counters go back to zero at CONFIG RESETSTAT, which Prometheus takes for
a restart. Knows no HTTP but the header that chooses between the formats.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tendis_py import REDIS_VERSION, __version__
from tendis_py.http.families import FAMILIES, Family, Kind
from tendis_py.services import Services, doctor
from tendis_py.services.histogram import SUM, Buckets, below, count
from tendis_py.services.observation import Durations, EngineFigures, Observation, StageFigures

_OPEN = "application/openmetrics-text"

Reading = tuple[str, tuple[str, ...], float | Buckets]
"""Name of a family, values of its labels, and the figure, or what was recorded."""


def exposition(services: Services, accept: str = "") -> tuple[bytes, str]:
    """All metrics, and their content type: OpenMetrics 1.0 if the header ``Accept`` speaks of
    OpenMetrics, else the text format 0.0.4; no name here needs what is newer. In any thread."""
    encode, content_type = choose_encoder(_OPEN if "openmetrics" in accept else "")
    return encode(Metrics(services)), content_type


class Metrics(Collector):
    """Each ``collect`` reads the figures anew."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._process = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        readings: defaultdict[str, list[Reading]] = defaultdict(list)
        for reading in _readings(self._services):
            readings[reading[0]].append(reading)
        for families in FAMILIES.values():
            for family in families:
                yield _metric(family, readings.pop(family.name, []))
        assert not readings, f"not among the families: {', '.join(readings)}"
        yield from self._process.collect()


def _metric(family: Family, readings: list[Reading]) -> Metric:
    name, labels = family.full_name, family.labels
    if family.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, family.help, labels=labels)
        ends = [repr(limit / 1e9) for limit in family.limits]
        for _, values, buckets in readings:
            assert isinstance(buckets, list)
            counts = [*below(buckets, family.limits), count(buckets)]
            histogram.add_metric(
                values, list(zip([*ends, "+Inf"], counts, strict=True)), buckets[SUM] / 1e9
            )
        return histogram
    of_kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = of_kind(name, family.help, labels=labels)
    for _, values, figure in readings:
        assert not isinstance(figure, list)
        metric.add_metric(values, figure)
    return metric


def _readings(services: Services) -> Iterator[Reading]:
    observation = services.observatory.now()
    yield from _server(services, observation)
    yield from _stages(services, observation)
    yield from _diagnosis(observation)
    yield from _queues(observation)
    yield from _keys(observation)
    yield from _threads(services, observation)
    yield from _commands(services, observation)
    yield from _clients(services, observation)
    yield from _data(services, observation)
    yield from _memory(services)
    yield from _engine(observation.engine)


def _server(services: Services, observation: Observation) -> Iterator[Reading]:
    versions = (__version__, REDIS_VERSION, platform.python_version())
    yield "build_info", (*versions, observation.model), 1
    yield "write_failed", (), bool(services.disk.failure)
    yield "unsaved_changes", (), services.saving.unsaved_changes
    yield "last_save_timestamp_seconds", (), services.saving.last_time


def _stages(services: Services, observation: Observation) -> Iterator[Reading]:
    for stage, buckets in services.stats.stages().items():
        yield "stage_duration_seconds", stage, buckets
    for figures in observation.whole_stages:
        for window, durations in _recent(figures):
            for percentile, ns in _percentiles(durations):
                yield "stage_recent_seconds", (figures.stage, window, percentile), ns / 1e9
            yield "stage_recent_max_seconds", (figures.stage, window), durations.max_ns / 1e9
    for figures in observation.stages:
        where = (figures.stage, figures.lane, figures.pool)
        for window, durations in _recent(figures):
            for percentile, ns in _percentiles(durations):
                yield "stage_recent_by_pool_seconds", (*where, window, percentile), ns / 1e9


def _recent(figures: StageFigures) -> Iterator[tuple[str, Durations]]:
    """By window, where there was anything."""
    for seconds, durations in figures.recent.items():
        if durations.count:
            yield f"{seconds}s", durations


def _percentiles(durations: Durations) -> Iterator[tuple[str, int]]:
    yield "50", durations.p50_ns
    yield "90", durations.p90_ns
    yield "99", durations.p99_ns
    yield "99.9", durations.p999_ns


def _diagnosis(observation: Observation) -> Iterator[Reading]:
    for stage, share in doctor.shares(observation).items():
        yield "stage_share_ratio", (stage,), share
    worst: dict[tuple[str, str], float] = {}
    for finding in doctor.diagnose(observation):
        where = (finding.cause, finding.stage)
        if finding.cause != doctor.NOTHING:
            worst[where] = max(finding.share, worst.get(where, 0.0))
    for where, share in worst.items():
        yield "finding_share_ratio", where, share


def _queues(observation: Observation) -> Iterator[Reading]:
    for queue in observation.queues:
        labels = (queue.name,)
        yield "queue_entries", labels, queue.depth
        yield "queue_requests", labels, queue.requests
        yield "queue_bytes", labels, queue.bytes
        yield "queue_peak_requests", labels, queue.peak_requests
        yield "queue_capacity_requests", labels, queue.capacity_requests
        yield "queue_capacity_bytes", labels, queue.capacity_bytes
        yield "queue_refused_total", labels, queue.refused
        yield "queue_paused_reads_total", labels, queue.paused


def _keys(observation: Observation) -> Iterator[Reading]:
    yield "lock_contended_total", (), observation.locks.contended
    hottest = max((share for _, share in observation.hot_keys), default=0.0)
    yield "hottest_key_ratio", (), hottest


def _threads(services: Services, observation: Observation) -> Iterator[Reading]:
    for thread in observation.threads:
        labels = (thread.name, thread.pool)
        yield "thread_busy_ratio", labels, thread.busy
        yield "thread_requests_per_second", labels, thread.requests
        if thread.pool == "reactor":
            yield "thread_connections", labels, thread.connections
    for name, batches in services.stats.batches().items():
        yield "thread_batches_total", (name,), batches
    yield "inline_ratio", (), observation.inline_share


def _commands(services: Services, observation: Observation) -> Iterator[Reading]:
    stats = services.stats
    for command, buckets in stats.command_buckets().items():
        yield "command_duration_seconds", (command.name,), buckets
    for command, buckets in stats.total_buckets().items():
        yield "request_duration_seconds", (command.name,), buckets
    for figures in observation.commands:
        yield "command_failures_total", (figures.name,), figures.failed
        yield "command_rejections_total", (figures.name,), figures.rejected
    for code, times in sorted((stats.errors() or {}).items()):
        yield "errors_total", (code,), times


def _clients(services: Services, observation: Observation) -> Iterator[Reading]:
    yield "connected_clients", (), observation.connected_clients
    yield "max_clients", (), services.config.maxclients
    yield "blocked_clients", (), observation.blocked_clients
    yield "subscribed_clients", (), observation.subscribed_clients
    yield "tracking_clients", (), observation.tracking_clients
    unsent = max((reader.unsent for reader in observation.slow_readers), default=0)
    yield "slowest_reader_unsent_bytes", (), unsent
    totals = services.stats.totals()
    yield "commands_total", (), totals.commands
    yield "connections_total", (), totals.connections
    yield "rejected_connections_total", (), totals.rejected_connections
    yield "protocol_errors_total", (), totals.protocol_errors
    yield "network_received_bytes_total", (), totals.net_input
    yield "network_sent_bytes_total", (), totals.net_output
    yield "network_reads_total", (), totals.reads
    yield "network_writes_total", (), totals.writes


def _data(services: Services, observation: Observation) -> Iterator[Reading]:
    for index in range(services.config.databases):
        size = services.keyspace.size(index)
        if size.keys or index == 0:
            yield "keys", (str(index),), size.keys
            yield "expiring_keys", (str(index),), size.expires
    totals = services.stats.totals()
    yield "keyspace_hits_total", (), observation.hits
    yield "keyspace_misses_total", (), observation.misses
    yield "expired_keys_total", (), totals.expired
    yield "expired_fields_total", (), totals.expired_fields
    yield "expiry_lag_seconds", (), observation.expiry_lag_ms / 1e3
    yield "garbage_collections", (), observation.garbage
    yield "reclaimed_total", (), totals.reclaimed
    yield "row_cache_misses_total", (), observation.row_cache_misses


def _memory(services: Services) -> Iterator[Reading]:
    use, limits = services.memory.use(), services.memory.limits()
    for part in ("startup", "clients", "work_queues", "table_readers"):
        yield "memory_bytes", (part,), getattr(use, part)
    for part in ("row_cache", "order_indexes", "memtables", "block_cache"):
        yield "memory_bytes", (part,), getattr(use, part)
        yield "memory_limit_bytes", (part,), getattr(limits, part)
    yield "memory_peak_bytes", (), use.peak


def _engine(engine: EngineFigures) -> Iterator[Reading]:
    yield "rocksdb_immutable_memtables", (), engine.memtables_waiting
    yield "rocksdb_level0_files", (), engine.level0_files
    yield "rocksdb_pending_compaction_bytes", (), engine.pending_compaction_bytes
    yield "rocksdb_running_compactions", (), engine.running_compactions
    yield "rocksdb_running_flushes", (), engine.running_flushes
    yield "rocksdb_write_stalls_total", (), engine.stalls
    yield "rocksdb_write_stall_seconds_total", (), engine.stalled_seconds
    for reason, times in sorted(engine.stall_reasons.items()):
        yield "rocksdb_slowdowns_total", (reason,), times
    yield "rocksdb_write_stopped", (), engine.is_stopped
    yield "rocksdb_delayed_write_bytes_per_second", (), engine.delayed_write_rate
    yield "rocksdb_log_bytes", (), engine.log_bytes
    yield "rocksdb_log_unsynced_bytes", (), engine.unsynced_bytes
