"""What INFO says, section by section: (field, value) pairs, with Redis' names and in its order.

A figure that would mean nothing here is left out; one that monitoring tools ask for is given where
it can be true. Nothing here reads data or waits. Knows no RESP; how a pair is printed is the
command's business. The sections that Redis does not have are in ``internals``.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

from tendis_py import REDIS_VERSION, __version__
from tendis_py.services import Services
from tendis_py.services.histogram import percentiles_ns
from tendis_py.services.process import cpu_times, physical_memory
from tendis_py.services.saving import Work

Fields = Iterator[tuple[str, Any]]

_DAY = 86400
_UNITS = "KMGTP"
_SYSTEM = "{0.sysname} {0.release} {0.machine}".format(os.uname())
_PYTHON = platform.python_version()


def server(services: Services) -> Fields:
    config = services.config
    uptime = services.clock.now_seconds() - services.started
    yield "redis_version", REDIS_VERSION
    yield "redis_mode", "standalone"
    yield "os", _SYSTEM
    yield "arch_bits", 64 if sys.maxsize > 2**32 else 32
    yield "monotonic_clock", "POSIX clock_gettime"
    yield "multiplexing_api", "epoll"
    yield "process_id", os.getpid()
    yield "run_id", services.run_id
    yield "tcp_port", services.port
    yield "server_time_usec", services.clock.time_ns() // 1000
    yield "uptime_in_seconds", uptime
    yield "uptime_in_days", uptime // _DAY
    yield "hz", config.hz
    yield "configured_hz", config.hz
    yield "executable", sys.executable
    yield "config_file", config.config_file or ""
    yield "io_threads_active", int(len(services.stats.traffic) > 1)
    yield "tendis_py_version", __version__
    yield "python_version", _PYTHON
    yield "threading_model", config.threading_model
    listeners = []
    if services.port:
        addresses = [f"bind={address}" for address in config.bind]
        listeners.append(",".join(["name=tcp", *addresses, f"port={services.port}"]))
    if config.unixsocket:
        listeners.append(f"name=unix,bind={config.unixsocket}")
    for index, listener in enumerate(listeners):
        yield f"listener{index}", listener


def clients(services: Services) -> Fields:
    recent = [traffic.recent_largest() for traffic in services.stats.traffic]
    yield "connected_clients", len(services.clients)
    yield "maxclients", services.config.maxclients
    yield "client_recent_max_input_buffer", max((inputs for inputs, _ in recent), default=0)
    yield "client_recent_max_output_buffer", max((outputs for _, outputs in recent), default=0)
    yield "blocked_clients", len(services.clients.blocked)
    yield "peak_connected_clients", services.clients.peak


def memory(services: Services) -> Fields:
    """``used_memory`` is what the process has resident: Python, RocksDB and sockets share it."""
    held = services.holdings.now()
    used, peak = held.resident, held.peak
    yield from _memory("used_memory", used)
    yield from _memory("used_memory_rss", used)
    yield from _memory("used_memory_peak", peak)
    yield "used_memory_peak_perc", f"{used * 100 / peak:.2f}%"
    yield "used_memory_startup", services.startup_memory
    yield from _memory("total_system_memory", physical_memory())
    yield from _memory("maxmemory", services.config.maxmemory)
    yield "maxmemory_policy", services.config.maxmemory_policy
    yield "mem_clients_normal", sum(it.buffered for it in services.stats.traffic)
    yield "mem_allocator", "libc"
    yield "mem_row_cache", services.keyspace.cache.statistics().bytes
    yield "mem_row_cache_limit", services.config.cache_size
    yield "mem_block_cache", held.block_cache
    yield "mem_memtables", held.memtables
    yield "mem_table_readers", held.table_readers


def _memory(name: str, size: int) -> Fields:
    yield name, size
    yield f"{name}_human", human(size)


def human(size: int) -> str:
    """As Redis prints a number of bytes: 677.91K."""
    if size < 1024:
        return f"{size}B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:.2f}{_UNITS[power - 1]}"


def persistence(services: Services) -> Fields:
    """The log of all writes is Redis' AOF, and SAVE writes memtables to files."""
    saving = services.saving
    engine = services.keyspace.engine
    saves, rewrites = saving.figures[Work.SAVE], saving.figures[Work.REWRITE]
    yield "loading", 0
    yield "async_loading", 0
    yield "rdb_changes_since_last_save", saving.unsaved_changes
    yield "rdb_bgsave_in_progress", int(saving.in_background(Work.SAVE))
    yield "rdb_last_save_time", saving.last_time
    yield "rdb_last_bgsave_status", _status(saves.last_ok)
    yield "rdb_last_bgsave_time_sec", saves.last_seconds
    yield "rdb_current_bgsave_time_sec", saving.background_seconds(Work.SAVE)
    yield "rdb_saves", saves.done
    yield "aof_enabled", 1
    yield "aof_rewrite_in_progress", int(saving.in_background(Work.REWRITE))
    yield "aof_rewrite_scheduled", int(saving.scheduled(Work.REWRITE))
    yield "aof_last_rewrite_time_sec", rewrites.last_seconds
    yield "aof_current_rewrite_time_sec", saving.background_seconds(Work.REWRITE)
    yield "aof_last_bgrewrite_status", _status(rewrites.last_ok)
    yield "aof_rewrites", rewrites.done
    yield "aof_rewrites_consecutive_failures", rewrites.failures
    yield "aof_last_write_status", _status(engine.last_write_ok)
    yield "aof_current_size", services.holdings.now().log
    yield "aof_pending_bio_fsync", int(engine.unsynced)


def _status(ok: bool) -> str:
    return "ok" if ok else "err"


def threads(services: Services) -> Fields:
    """One line per reactor."""
    stages = services.topology()
    for index, traffic in enumerate(services.stats.traffic):
        connections = stages.get(traffic.name, {}).get("connections", 0)
        yield (
            f"io_thread_{index}",
            {"clients": connections, "reads": traffic.reads, "writes": traffic.writes},
        )


def stats(services: Services) -> Fields:
    totals, rates = services.stats.totals(), services.rates
    yield "total_connections_received", totals.connections
    yield "total_commands_processed", totals.commands
    yield "instantaneous_ops_per_sec", int(rates.commands.per_second)
    yield "total_net_input_bytes", totals.net_input
    yield "total_net_output_bytes", totals.net_output
    yield "instantaneous_input_kbps", f"{rates.net_input.per_second / 1024:.2f}"
    yield "instantaneous_output_kbps", f"{rates.net_output.per_second / 1024:.2f}"
    yield "rejected_connections", totals.rejected_connections
    yield "expired_keys", totals.expired
    yield "evicted_keys", 0
    yield "evicted_clients", 0
    yield "keyspace_hits", totals.hits
    yield "keyspace_misses", totals.misses
    yield "unexpected_error_replies", 0
    yield "total_error_replies", totals.errors
    yield "total_reads_processed", totals.reads
    yield "total_writes_processed", totals.writes
    yield "client_query_buffer_limit_disconnections", totals.input_limit_closed
    yield "client_output_buffer_limit_disconnections", totals.output_limit_closed
    yield "protocol_errors", totals.protocol_errors


def replication(services: Services) -> Fields:
    yield "role", "master"
    yield "connected_slaves", 0
    yield "master_failover_state", "no-failover"


def cpu(services: Services) -> Fields:
    times = cpu_times()
    yield "used_cpu_sys", f"{times.system:.6f}"
    yield "used_cpu_user", f"{times.user:.6f}"
    yield "used_cpu_sys_children", f"{times.children_system:.6f}"
    yield "used_cpu_user_children", f"{times.children_user:.6f}"


def modules(services: Services) -> Fields:
    yield from ()


def commandstats(services: Services) -> Fields:
    """``usec`` is the time in the command itself; ``wait_usec``, which Redis does not have, the
    time before: from the moment its bytes were read to the moment it began."""
    for command, figures in services.stats.commands().items():
        calls = figures.calls
        execute, wait = figures.execute_ns / 1000, figures.wait_ns / 1000
        yield (
            f"cmdstat_{command.name}",
            {
                "calls": calls,
                "usec": int(execute),
                "usec_per_call": f"{execute / calls if calls else 0:.2f}",
                "rejected_calls": figures.rejected,
                "failed_calls": figures.failed,
                "wait_usec": int(wait),
                "wait_usec_per_call": f"{wait / calls if calls else 0:.2f}",
            },
        )


def errorstats(services: Services) -> Fields:
    for code, times in sorted(services.stats.errors().items()):
        yield f"errorstat_{code}", {"count": times}


def latencystats(services: Services) -> Fields:
    config = services.config
    if not config.latency_tracking:
        return
    percents = config.latency_tracking_info_percentiles
    names = [f"p{percent:f}".rstrip("0").rstrip(".") for percent in percents]
    for command, buckets in services.stats.latencies.buckets().items():
        durations = percentiles_ns(buckets, percents)
        yield (
            f"latency_percentiles_usec_{command.name}",
            {name: f"{ns / 1000:.3f}" for name, ns in zip(names, durations, strict=True)},
        )


def cluster(services: Services) -> Fields:
    yield "cluster_enabled", 0


def keyspace(services: Services) -> Fields:
    """``avg_ttl`` 0: nobody samples it, which Redis also says while it has not sampled."""
    for index in range(services.config.databases):
        size = services.keyspace.size(index)
        if size.keys:
            yield (
                f"db{index}",
                {"keys": size.keys, "expires": size.expires, "avg_ttl": 0, "subexpiry": 0},
            )
