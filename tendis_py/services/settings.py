"""What CONFIG SET has to change besides the setting: the services' share of it.

Most settings are read where they are used. Those that somebody keeps a copy of are pushed on from
here; what concerns sockets, queues and threads is the server's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tendis_py import log
from tendis_py.errors import StorageError
from tendis_py.services.global_gates import Reason

if TYPE_CHECKING:
    from tendis_py.services import Services

LONGEST_RUN_NS = 5_000_000
"""What a run taken at once surely stays below; with a lower slowlog threshold requests run one by
one, so that each can be logged."""


def follow(services: Services) -> None:
    """Keep ``services`` in step with their configuration."""
    config = services.config
    slowlog, keyspace = services.slowlog, services.keyspace
    engine_options = dict(config.rocksdb)

    def set_slowlog_threshold() -> None:
        slowlog.set_threshold(config.slowlog_log_slower_than)
        look_at_each()

    def look_at_each() -> None:
        services.global_gates.set(Reason.SLOWLOG, slowlog.threshold_ns < LONGEST_RUN_NS)

    def resize_cache() -> None:
        keyspace.limit_caches(config.cache_size)

    def resize_block_cache() -> None:
        keyspace.engine.resize_block_cache(config.block_cache_size)

    def change_engine() -> None:
        nonlocal engine_options
        wanted = dict(config.rocksdb)
        if engine_options.keys() - wanted.keys():
            raise ValueError("an engine option goes back to its default by a restart only")
        changed = {
            name: wanted[name] for name in wanted if engine_options.get(name) != wanted[name]
        }
        try:
            keyspace.engine.set_options(changed)
        except StorageError as error:
            raise ValueError(str(error)) from None
        engine_options = wanted

    def notify() -> None:
        notifications = services.notifications
        notifications.set_classes(config.notify_keyspace_events)
        services.set_observer(notifications.observe, notifications.active)
        services.global_gates.set(Reason.NOTIFICATIONS, notifications.active)

    def monitor_latency() -> None:
        services.latency.threshold = config.latency_monitor_threshold
        slowlog.set_monitored(config.latency_monitor_threshold)
        look_at_each()

    config.report_without_effect()
    notify()
    monitor_latency()
    services.stats.latencies.track(config.latency_tracking)
    set_slowlog_threshold()
    config.on_change("slowlog-log-slower-than", set_slowlog_threshold)
    config.on_change("latency-monitor-threshold", monitor_latency)
    slowlog.set_total_threshold(config.slowlog_total_slower_than)
    config.on_change(
        "slowlog-total-slower-than",
        lambda: slowlog.set_total_threshold(config.slowlog_total_slower_than),
    )
    config.on_change("slowlog-max-len", lambda: slowlog.set_max_length(config.slowlog_max_len))
    config.on_change("notify-keyspace-events", notify)
    config.on_change("loglevel", lambda: log.set_level(config.loglevel))
    config.on_change(
        "latency-tracking", lambda: services.stats.latencies.track(config.latency_tracking)
    )
    config.on_change("tracking-table-max-keys", services.tracking.limit_changed)
    config.on_change(
        "otel-sample-ratio", lambda: services.tracing.set_ratio(config.otel_sample_ratio)
    )
    config.on_change("cache-size", resize_cache)
    config.on_change("block-cache-size", resize_block_cache)
    config.on_change("rocksdb", change_engine)
