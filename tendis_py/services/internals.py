"""INFO stages and INFO rocksdb: where the time goes, and how the engine is doing.

As ``report``: (field, value) pairs, from counters and RocksDB's own figures; no data is read.
Times are in µs.
"""

from __future__ import annotations

from typing import Any

from tendis_py.services import Services
from tendis_py.services.doctor import bottleneck, diagnose, shares
from tendis_py.services.histogram import durations, new_buckets
from tendis_py.services.observation import Durations
from tendis_py.services.report import Fields
from tendis_py.services.stages import STAGES, Histograms, Stage
from tendis_py.services.stats import over_all
from tendis_py.storage.families import COLUMN_FAMILIES, META
from tendis_py.storage.reclaim import backlog

_LEVELS = 7


def stages(services: Services) -> Fields:
    """Per stage, over all threads: how many requests went through and how long it took them; the
    same over the last ten seconds and minute; by lane and pool. Then the threads, and the figures
    of reactors, queues, locks and cache by name. First the stage that takes most of the requests'
    time, and what the doctor says is the cause of most."""
    stats = services.stats
    seen = services.observatory.now()
    longest = bottleneck(seen)
    yield (
        "bottleneck",
        {
            "stage": longest,
            "share": f"{shares(seen).get(longest, 0.0):.3f}",
            "cause": diagnose(seen)[0].cause,
        },
    )
    all_time = stats.stages()
    for stage, said in _by_stage(all_time).items():
        yield f"stage_{stage}", _durations(said)
    for seconds, window in stats.recent.histograms().items():
        for stage, said in _by_stage(window).items():
            yield f"stage_{stage}_{seconds}s", _durations(said)
    for (stage, lane, pool), buckets in all_time.items():
        yield f"stage_{stage}_{lane}_{pool}", _durations(durations(buckets))
    batches = stats.batches()
    for thread in stats.thread_figures():
        yield (
            f"executing_thread_{thread.name}",
            {
                "batches": batches[thread.name],
                "busy": f"{thread.busy:.3f}",
                "batches_per_sec": f"{thread.batches:.1f}",
                "requests_per_sec": f"{thread.requests:.1f}",
            },
        )
    yield "inline_share", f"{stats.inline_share():.3f}"
    for name, record in services.figures.now().items():
        yield name, {field: _plain(value) for field, value in record.items()}


def _by_stage(histograms: Histograms) -> dict[str, Durations]:
    found = over_all(histograms)
    nothing = new_buckets()
    return {stage: durations(found.get(Stage(stage, "", ""), nothing)) for stage in STAGES}


def _durations(said: Durations) -> dict[str, Any]:
    return {
        "calls": said.count,
        "usec": said.sum_ns // 1000,
        "usec_per_call": f"{said.sum_ns / (said.count or 1) / 1000:.2f}",
        "p50": f"{said.p50_ns / 1000:.3f}",
        "p90": f"{said.p90_ns / 1000:.3f}",
        "p99": f"{said.p99_ns / 1000:.3f}",
        "p99.9": f"{said.p999_ns / 1000:.3f}",
        "max": f"{said.max_ns / 1000:.3f}",
    }


def _plain(value: Any) -> Any:
    return f"{value:.3f}" if isinstance(value, float) else value


def rocksdb(services: Services) -> Fields:
    """The whole database, then each column family, then what waits to be reclaimed."""
    engine = services.keyspace.engine
    number = engine.number
    yield "running_compactions", number("num-running-compactions", META)
    yield "running_flushes", number("num-running-flushes", META)
    yield "pending_compaction_bytes", number("estimate-pending-compaction-bytes")
    yield "write_stopped", number("is-write-stopped", META)
    yield "delayed_write_rate", number("actual-delayed-write-rate", META)
    yield "stalls", engine.stalls
    yield "stalled_seconds", f"{engine.stalled_seconds:.3f}"
    yield "background_errors", number("background-errors", META)
    yield "snapshots", number("num-snapshots", META)
    yield "log_bytes", engine.log_bytes()
    yield "log_unsynced", int(engine.unsynced)
    yield "sst_bytes", number("total-sst-files-size")
    yield "live_sst_bytes", number("live-sst-files-size")
    yield "memtable_bytes", number("size-all-mem-tables")
    yield "immutable_memtables", number("num-immutable-mem-table")
    yield "table_readers_bytes", number("estimate-table-readers-mem")
    yield "block_cache_bytes", number("block-cache-usage", META)
    yield "block_cache_pinned_bytes", number("block-cache-pinned-usage", META)
    yield "block_cache_capacity", number("block-cache-capacity", META)
    for family, name in enumerate(COLUMN_FAMILIES):
        files = [number(f"num-files-at-level{level}", family) for level in range(_LEVELS)]
        yield (
            f"cf_{name}",
            {
                **{f"level{level}_files": found for level, found in enumerate(files) if found},
                "files": sum(files),
                "sst_bytes": number("live-sst-files-size", family),
                "memtable_bytes": number("cur-size-all-mem-tables", family),
                "pending_compaction_bytes": number("estimate-pending-compaction-bytes", family),
                "rows_estimate": number("estimate-num-keys", family),
            },
        )
    databases, collections = backlog(services.keyspace)
    yield "garbage_databases", databases
    yield "garbage_collections", collections
    yield "order_indexes", len(services.keyspace.orders)
    yield "order_index_bytes", services.keyspace.orders.memory
