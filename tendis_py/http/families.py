"""The metrics that there are: name, labels, what they tell. docs/metrics.md is made of this; where
the figures come from, ``metrics`` knows.

Names follow Prometheus' conventions: base units (seconds, bytes), ``_total`` of what is counted,
``_ratio`` of what is between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "tendis_py_"

STAGE_LIMITS = tuple(1024 << power for power in range(23))
"""Upper ends of buckets in ns: 1 µs, 2 µs … 4 s. At these the server's own histograms are exact."""

COMMAND_LIMITS = tuple(4096 << power for power in range(0, 21, 2))
"""4 µs, 16 µs … 4 s: coarser, for there is one for each command."""


class Kind(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """``limits`` are those of a histogram's buckets."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    @property
    def kind(self) -> Kind:
        if self.limits:
            return Kind.HISTOGRAM
        return Kind.COUNTER if self.name.endswith("_total") else Kind.GAUGE


_STAGE = ("stage", "lane", "pool")
_THREAD = ("thread", "pool")

FAMILIES = {
    "Server": (
        Family(
            "build_info",
            "1; its labels are versions, and the threading model that runs.",
            ("version", "redis_version", "python_version", "threading_model"),
        ),
        Family("write_failed", "1: a write to disk has failed, and others are refused."),
        Family("unsaved_changes", "Keys changed since the last save."),
        Family("last_save_timestamp_seconds", "Unix time of the last save."),
    ),
    "Stages": (
        Family(
            "stage_duration_seconds",
            "How long requests were in a stage, with the batch that they came in.",
            _STAGE,
            STAGE_LIMITS,
        ),
        Family(
            "stage_recent_seconds",
            "Percentiles of that over the last seconds, over all lanes and pools, at most 5 % off.",
            ("stage", "window", "percentile"),
        ),
        Family(
            "stage_recent_max_seconds",
            "The longest over the last seconds and over all lanes and pools.",
            ("stage", "window"),
        ),
        Family(
            "stage_recent_by_pool_seconds",
            "Percentiles over the last seconds by lane and pool.",
            (*_STAGE, "window", "percentile"),
        ),
        Family(
            "stage_share_ratio",
            "Part of the requests' time of the last ten seconds that a stage takes, without that "
            "of stages within it: these add up to 1.",
            ("stage",),
        ),
        Family(
            "finding_share_ratio",
            "What STAGES DOCTOR finds wrong: the part of the requests' time that it takes.",
            ("cause", "stage"),
        ),
    ),
    "Queues": (
        Family("queue_entries", "Batches, jobs or messages that wait.", ("queue",)),
        Family("queue_requests", "Requests that wait.", ("queue",)),
        Family("queue_bytes", "Bytes that wait.", ("queue",)),
        Family("queue_peak_requests", "The most requests that waited at once.", ("queue",)),
        Family("queue_capacity_requests", "Requests that may wait; 0: any.", ("queue",)),
        Family("queue_capacity_bytes", "Bytes that may wait; 0: any.", ("queue",)),
        Family("queue_refused_total", "Offers to a full queue.", ("queue",)),
        Family(
            "queue_paused_reads_total",
            "Reads from clients that were put off because of a full queue.",
            ("queue",),
        ),
    ),
    "Keys that requests share": (
        Family("lock_contended_total", "Requests that had to wait for keys which others held."),
        Family(
            "hottest_key_ratio",
            "Part of the requests of the last ten seconds that is about the key most in demand, by "
            "a sample. HOTKEYS and the dashboard name it.",
        ),
    ),
    "Threads": (
        Family(
            "thread_busy_ratio", "Part of the last ten seconds that a thread was busy.", _THREAD
        ),
        Family(
            "thread_requests_per_second",
            "Requests that a thread executed, over the last ten seconds.",
            _THREAD,
        ),
        Family("thread_batches_total", "Batches that a thread executed.", ("thread",)),
        Family("thread_connections", "Connections of a reactor.", _THREAD),
        Family(
            "inline_ratio", "Part of the batches of the last ten seconds that ran in a reactor."
        ),
    ),
    "Commands": (
        Family("commands_total", "Commands that ran, those of transactions included."),
        Family(
            "command_duration_seconds",
            "Time in the command itself.",
            ("command",),
            COMMAND_LIMITS,
        ),
        Family(
            "request_duration_seconds",
            "Time from reading a request to its reply's being sent.",
            ("command",),
            COMMAND_LIMITS,
        ),
        Family("command_failures_total", "Calls that ran and answered an error.", ("command",)),
        Family("command_rejections_total", "Calls that were refused before.", ("command",)),
        Family(
            "errors_total",
            "Errors that were answered, by their first word; 128 such words at the most, and none "
            "beyond.",
            ("code",),
        ),
    ),
    "Clients and network": (
        Family("connected_clients", "Clients."),
        Family("max_clients", "Clients that there may be."),
        Family("blocked_clients", "Clients whose request waits for something to happen."),
        Family("subscribed_clients", "Clients that have subscribed to channels."),
        Family("tracking_clients", "Clients that are told of changes to what they have read."),
        Family(
            "slowest_reader_unsent_bytes",
            "What waits for the client that leaves most of its replies unread.",
        ),
        Family("connections_total", "Connections that came."),
        Family("rejected_connections_total", "Connections beyond the limit of clients."),
        Family("protocol_errors_total", "Connections closed because of what they sent."),
        Family("network_received_bytes_total", "Bytes from clients."),
        Family("network_sent_bytes_total", "Bytes to clients."),
        Family("network_reads_total", "System calls that read from clients."),
        Family("network_writes_total", "System calls that wrote to clients."),
    ),
    "Data": (
        Family("keys", "Keys, of each database that has any.", ("db",)),
        Family("expiring_keys", "Keys that have a deadline.", ("db",)),
        Family("keyspace_hits_total", "Lookups that found a key."),
        Family("keyspace_misses_total", "Lookups that found none."),
        Family("expired_keys_total", "Keys that expired."),
        Family("expired_fields_total", "Fields of hashes that expired."),
        Family("expiry_lag_seconds", "How late the latest expired key was removed by the sweep."),
        Family("garbage_collections", "Deleted collections that wait to be reclaimed."),
        Family("reclaimed_total", "Deleted collections that were reclaimed."),
        Family(
            "row_cache_misses_total", "Rows read from RocksDB, for the row cache did not have them."
        ),
    ),
    "Memory": (
        Family(
            "memory_bytes", "Memory in use, by part; they add up to INFO's used_memory.", ("part",)
        ),
        Family("memory_limit_bytes", "What a part keeps to.", ("part",)),
        Family("memory_peak_bytes", "The most that was in use."),
    ),
    "RocksDB": (
        Family("rocksdb_immutable_memtables", "Memtables that wait to be flushed."),
        Family("rocksdb_level0_files", "Files of level 0."),
        Family("rocksdb_pending_compaction_bytes", "Bytes that compaction is behind."),
        Family("rocksdb_running_compactions", "Compactions under way."),
        Family("rocksdb_running_flushes", "Flushes under way."),
        Family("rocksdb_write_stalls_total", "Commits that were held up."),
        Family("rocksdb_write_stall_seconds_total", "Time for which commits were held up."),
        Family(
            "rocksdb_slowdowns_total",
            "How often RocksDB began to slow writers down, by its word for the reason.",
            ("reason",),
        ),
        Family("rocksdb_write_stopped", "1: RocksDB takes no writes."),
        Family(
            "rocksdb_delayed_write_bytes_per_second",
            "What RocksDB slows writers down to; 0: it does not.",
        ),
        Family("rocksdb_log_bytes", "Size of the write-ahead log."),
        Family("rocksdb_log_unsynced_bytes", "Bytes of the log that are not on disk yet."),
    ),
}
"""By chapter of the documentation, in the order in which they are told."""


def metrics_markdown() -> str:
    """The page of all metrics."""
    lines = [
        "# Metrics",
        "",
        "Generated by `python -m docs.build`: what `/metrics` tells, for Prometheus "
        "([observability.md](observability.md#prometheus)). The names begin with "
        f"`{PREFIX}`; those of the process (`process_cpu_seconds_total`, "
        "`process_resident_memory_bytes` …) are the same as everywhere.",
    ]
    for chapter, families in FAMILIES.items():
        lines += ["", f"## {chapter}", "", "| metric | kind | labels | what it tells |"]
        lines.append("|---|---|---|---|")
        for family in families:
            labels = ", ".join(f"`{label}`" for label in family.labels)
            lines.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(lines) + "\n"
