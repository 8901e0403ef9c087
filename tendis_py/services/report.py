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
from hashlib import sha1
from typing import Any

from tendis_py import REDIS_VERSION, __version__
from tendis_py.services import Services
from tendis_py.services.acl.permits import Reason
from tendis_py.services.functions import committed
from tendis_py.services.histogram import Buckets, percentiles_ns
from tendis_py.services.observation import Durations
from tendis_py.services.process import cpu_times, physical_memory
from tendis_py.services.pubsub import Kind
from tendis_py.services.saving import Work

Fields = Iterator[tuple[str, Any]]

_DAY = 86400
_NOT_IN_INFO = str.maketrans("#:\n\r", "____")
_UNITS = "KMGTP"
_SYSTEM = "{0.sysname} {0.release} {0.machine}".format(os.uname())
_BUILD = sha1(f"{__version__} {REDIS_VERSION}".encode()).hexdigest()[:16]
_PYTHON = platform.python_version()


def server(services: Services) -> Fields:
    config = services.config
    uptime = services.clock.now_seconds() - services.started
    yield "redis_version", REDIS_VERSION
    yield "redis_git_sha1", "00000000"
    yield "redis_git_dirty", 0
    yield "redis_build_id", _BUILD
    yield "redis_mode", "standalone"
    yield "os", _SYSTEM
    yield "arch_bits", 64 if sys.maxsize > 2**32 else 32
    yield "monotonic_clock", "POSIX clock_gettime"
    yield "multiplexing_api", "epoll"
    yield "process_id", os.getpid()
    yield "process_supervised", "no"
    yield "run_id", services.run_id
    yield "tcp_port", services.port
    yield "server_time_usec", services.clock.time_ns() // 1000
    yield "uptime_in_seconds", uptime
    yield "uptime_in_days", uptime // _DAY
    yield "hz", config.hz
    yield "configured_hz", config.hz
    yield "lru_clock", services.clock.now_seconds() & 0xFFFFFF
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
    yield "cluster_connections", 0
    yield "maxclients", services.config.maxclients
    yield "client_recent_max_input_buffer", max((inputs for inputs, _ in recent), default=0)
    yield "client_recent_max_output_buffer", max((outputs for _, outputs in recent), default=0)
    yield "blocked_clients", len(services.clients.blocked)
    yield "tracking_clients", services.tracking.clients
    yield "pubsub_clients", services.pubsub.clients
    yield "watching_clients", len(services.watches.sessions)
    yield "clients_in_timeout_table", 0
    yield "total_watched_keys", len(services.watches)
    yield "total_blocking_keys", services.waiters.places
    yield "total_blocking_keys_on_nokey", services.waiters.places_if_gone
    yield "peak_connected_clients", services.clients.peak


def memory(services: Services) -> Fields:
    """``used_memory`` is the sum of ``used_memory_startup``, ``mem_clients_normal`` and those at
    the end; what they keep to is beside them."""
    use, limits, config = services.memory.use(), services.memory.limits(), services.config
    yield from _memory("used_memory", use.used)
    yield from _memory("used_memory_rss", use.resident)
    yield from _memory("used_memory_peak", use.peak)
    yield "used_memory_peak_time", use.peak_time
    yield "used_memory_peak_perc", f"{use.peak_percent:.2f}%"
    yield "used_memory_overhead", use.overhead
    yield "used_memory_startup", use.startup
    yield "used_memory_dataset", use.dataset
    yield "used_memory_dataset_perc", f"{use.dataset_percent:.2f}%"
    yield "allocator_allocated", use.used
    yield "allocator_active", use.resident
    yield "allocator_resident", use.resident
    yield "allocator_muzzy", 0
    yield from _memory("total_system_memory", physical_memory())
    yield from _scripts(services)
    yield from _memory("maxmemory", config.maxmemory)
    yield "maxmemory_policy", config.maxmemory_policy
    yield "allocator_frag_ratio", f"{use.fragmentation:.2f}"
    yield "allocator_frag_bytes", use.fragmentation_bytes
    yield "allocator_rss_ratio", "1.00"
    yield "allocator_rss_bytes", 0
    yield "rss_overhead_ratio", "1.00"
    yield "rss_overhead_bytes", 0
    yield "mem_fragmentation_ratio", f"{use.fragmentation:.2f}"
    yield "mem_fragmentation_bytes", use.fragmentation_bytes
    yield "mem_not_counted_for_evict", 0
    yield "mem_replication_backlog", 0
    yield "mem_total_replication_buffers", 0
    yield "mem_replica_full_sync_buffer", 0
    yield "mem_clients_slaves", 0
    yield "mem_clients_normal", use.clients
    yield "mem_cluster_links", 0
    yield "mem_aof_buffer", 0
    yield "mem_allocator", "libc"
    yield "mem_overhead_db_hashtable_rehashing", 0
    yield "active_defrag_running", 0
    yield "lazyfree_pending_objects", services.holdings.now().garbage
    yield "lazyfreed_objects", services.stats.reclaimed()
    yield "mem_work_queues", use.work_queues
    yield "mem_row_cache", use.row_cache
    yield "mem_row_cache_limit", limits.row_cache
    yield "mem_order_indexes", use.order_indexes
    yield "mem_order_indexes_limit", limits.order_indexes
    yield "mem_memtables", use.memtables
    yield "mem_memtables_limit", limits.memtables
    yield "mem_block_cache", use.block_cache
    yield "mem_block_cache_limit", limits.block_cache
    yield "mem_table_readers", use.table_readers
    yield "mem_total_limit", limits.total


def _scripts(services: Services) -> Fields:
    functions = committed(services.keyspace)
    scripts = services.scripts
    for_scripts, for_functions = (scripts.memory(functions=which) for which in (False, True))
    yield "used_memory_lua", for_scripts
    yield "used_memory_vm_eval", for_scripts
    yield "used_memory_lua_human", human(for_scripts)
    yield "used_memory_scripts_eval", scripts.bytes
    yield "number_of_cached_scripts", len(scripts)
    yield "number_of_functions", len(functions.functions)
    yield "number_of_libraries", len(functions.libraries)
    yield "used_memory_vm_functions", for_functions
    yield from _memory("used_memory_vm_total", for_scripts + for_functions)
    yield "used_memory_functions", functions.bytes
    yield from _memory("used_memory_scripts", scripts.bytes + functions.bytes)


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
    yield "current_cow_peak", 0
    yield "current_cow_size", 0
    yield "current_cow_size_age", 0
    yield "current_fork_perc", "0.00"
    yield "current_save_keys_processed", 0
    yield "current_save_keys_total", 0
    yield "rdb_changes_since_last_save", saving.unsaved_changes
    yield "rdb_bgsave_in_progress", int(saving.in_background(Work.SAVE))
    yield "rdb_last_save_time", saving.last_time
    yield "rdb_last_bgsave_status", _status(saves.last_ok)
    yield "rdb_last_bgsave_time_sec", saves.last_seconds
    yield "rdb_current_bgsave_time_sec", saving.background_seconds(Work.SAVE)
    yield "rdb_saves", saves.done
    yield "rdb_last_cow_size", 0
    yield "rdb_last_load_keys_expired", 0
    yield "rdb_last_load_keys_loaded", 0
    yield "aof_enabled", 1
    yield "aof_rewrite_in_progress", int(saving.in_background(Work.REWRITE))
    yield "aof_rewrite_scheduled", int(saving.scheduled(Work.REWRITE))
    yield "aof_last_rewrite_time_sec", rewrites.last_seconds
    yield "aof_current_rewrite_time_sec", saving.background_seconds(Work.REWRITE)
    yield "aof_last_bgrewrite_status", _status(rewrites.last_ok)
    yield "aof_rewrites", rewrites.done
    yield "aof_rewrites_consecutive_failures", rewrites.failures
    yield "aof_last_write_status", _status(not services.disk.failure)
    yield "aof_last_cow_size", 0
    yield "module_fork_in_progress", 0
    yield "module_fork_last_cow_size", 0
    yield "aof_current_size", services.holdings.now().log
    yield "aof_base_size", saving.log_base
    yield "aof_pending_rewrite", 0
    yield "aof_buffer_length", 0
    yield "aof_pending_bio_fsync", int(engine.unsynced)
    yield "aof_delayed_fsync", 0


def _status(ok: bool) -> str:
    return "ok" if ok else "err"


def threads(services: Services) -> Fields:
    """One line per reactor."""
    for index, traffic in enumerate(services.stats.traffic):
        yield (
            f"io_thread_{index}",
            {"clients": traffic.connections, "reads": traffic.reads, "writes": traffic.writes},
        )


def stats(services: Services) -> Fields:
    totals, rates = services.stats.totals(), services.rates
    yield "total_connections_received", totals.connections
    yield "total_commands_processed", totals.commands
    yield "instantaneous_ops_per_sec", int(rates.commands.per_second)
    yield "total_net_input_bytes", totals.net_input
    yield "total_net_output_bytes", totals.net_output
    yield "total_net_repl_input_bytes", 0
    yield "total_net_repl_output_bytes", 0
    yield "instantaneous_input_kbps", f"{rates.net_input.per_second / 1024:.2f}"
    yield "instantaneous_output_kbps", f"{rates.net_output.per_second / 1024:.2f}"
    yield "instantaneous_input_repl_kbps", "0.00"
    yield "instantaneous_output_repl_kbps", "0.00"
    yield "rejected_connections", totals.rejected_connections
    yield "sync_full", 0
    yield "sync_partial_ok", 0
    yield "sync_partial_err", 0
    yield "expired_subkeys", totals.expired_fields
    yield "expired_keys", totals.expired
    yield "expired_stale_perc", "0.00"
    yield "expired_time_cap_reached_count", 0
    yield "expire_cycle_cpu_milliseconds", totals.expire_ns // 1_000_000
    yield "evicted_keys", 0
    yield "evicted_clients", 0
    yield "evicted_scripts", services.scripts.evicted
    yield "undeclared_keys_scripts", services.scripts.undeclared_runs
    yield "total_eviction_exceeded_time", 0
    yield "current_eviction_exceeded_time", 0
    yield "keyspace_hits", totals.hits
    yield "keyspace_misses", totals.misses
    pubsub = services.pubsub
    yield "pubsub_channels", pubsub.count(Kind.CHANNEL)
    yield "pubsub_patterns", pubsub.count(Kind.PATTERN)
    yield "pubsubshard_channels", pubsub.count(Kind.SHARD_CHANNEL)
    yield from _NO_FORKS
    yield "migrate_cached_sockets", len(services.links)
    yield from _NO_REPLICAS
    yield "tracking_total_keys", services.tracking.keys
    yield "tracking_total_items", services.tracking.items
    yield "tracking_total_prefixes", services.tracking.prefixes
    yield "unexpected_error_replies", 0
    yield "total_error_replies", totals.errors
    yield "dump_payload_sanitizations", 0
    yield "total_reads_processed", totals.reads
    yield "total_writes_processed", totals.writes
    several = len(services.stats.traffic) > 1
    yield "io_threaded_reads_processed", totals.reads if several else 0
    yield "io_threaded_writes_processed", totals.writes if several else 0
    yield "io_threaded_total_prefetch_batches", 0
    yield "io_threaded_total_prefetch_entries", 0
    yield "client_query_buffer_limit_disconnections", totals.input_limit_closed
    yield "client_output_buffer_limit_disconnections", totals.output_limit_closed
    yield from _event_loop(services)
    denied = services.acl.log.denied
    yield "acl_access_denied_auth", denied[Reason.AUTH]
    yield "acl_access_denied_cmd", denied[Reason.COMMAND]
    yield "acl_access_denied_key", denied[Reason.KEY]
    yield "acl_access_denied_channel", denied[Reason.CHANNEL]
    yield "protocol_errors", totals.protocol_errors


_NO_FORKS = (
    ("latest_fork_usec", 0),
    ("total_forks", 0),
)
_NO_REPLICAS = (
    ("slave_expires_tracked_keys", 0),
    ("active_defrag_hits", 0),
    ("active_defrag_misses", 0),
    ("active_defrag_key_hits", 0),
    ("active_defrag_key_misses", 0),
    ("total_active_defrag_time", 0),
    ("current_active_defrag_time", 0),
)


def _event_loop(services: Services) -> Fields:
    """A turn of a reactor is a cycle; its duration is what the stages of its batches took, be it
    in other threads."""
    rates, stats = services.rates, services.stats
    turns = rates.turns.per_second
    yield "eventloop_cycles", services.turns()
    yield "eventloop_duration_sum", stats.busy_ns() // 1000
    yield "eventloop_duration_cmd_sum", stats.execute_ns() // 1000
    yield "instantaneous_eventloop_cycles_per_sec", int(turns)
    yield (
        "instantaneous_eventloop_duration_usec",
        int(rates.busy_ns.per_second / turns / 1000) if turns else 0,
    )


def replication(services: Services) -> Fields:
    yield "role", "master"
    yield "connected_slaves", 0
    yield "master_failover_state", "no-failover"
    yield "master_replid", services.replication_id
    yield "master_replid2", "0" * 40
    yield "master_repl_offset", 0
    yield "second_repl_offset", -1
    yield "repl_backlog_active", 0
    yield "repl_backlog_size", services.config.repl_backlog_size
    yield "repl_backlog_first_byte_offset", 0
    yield "repl_backlog_histlen", 0


def cpu(services: Services) -> Fields:
    times = cpu_times()
    yield "used_cpu_sys", f"{times.system:.6f}"
    yield "used_cpu_user", f"{times.user:.6f}"
    yield "used_cpu_sys_children", f"{times.children_system:.6f}"
    yield "used_cpu_user_children", f"{times.children_user:.6f}"
    system, user = services.holdings.now().main_thread_cpu
    yield "used_cpu_sys_main_thread", f"{system:.6f}"
    yield "used_cpu_user_main_thread", f"{user:.6f}"


def modules(services: Services) -> Fields:
    yield from ()


def commandstats(services: Services) -> Fields:
    """``usec`` is the time in the command itself. Redis does not have ``wait_usec``, the time
    before: from the moment its bytes were read to the moment it began; and ``total_usec``, to the
    moment its reply was sent."""
    totals = services.stats.total_times.now()
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
                **_total(totals[command].durations if command in totals else Durations()),
            },
        )


def _total(times: Durations) -> dict[str, Any]:
    mean = times.sum_ns / times.count if times.count else 0.0
    return {"total_usec": times.sum_ns // 1000, "total_usec_per_call": f"{mean / 1000:.2f}"}


def errorstats(services: Services) -> Fields:
    found = services.stats.errors()
    if found is None:
        yield "errorstat_ERRORSTATS_DISABLED", {"count": 1}
        return
    for code, times in sorted(found.items()):
        yield f"errorstat_{code.translate(_NOT_IN_INFO)}", {"count": times}


def latencystats(services: Services) -> Fields:
    """Of the commands themselves, as in Redis, and of their requests in all, from the bytes read to
    the reply sent."""
    config = services.config
    if not config.latency_tracking:
        return
    percents = config.latency_tracking_info_percentiles
    names = [f"p{percent:f}".rstrip("0").rstrip(".") for percent in percents]

    def line(name: str, buckets: Buckets) -> tuple[str, dict[str, str]]:
        durations = percentiles_ns(buckets, percents)
        return name, {name: f"{ns / 1000:.3f}" for name, ns in zip(names, durations, strict=True)}

    for command, buckets in services.stats.latencies.buckets().items():
        yield line(f"latency_percentiles_usec_{command.name}", buckets)
    totals = services.stats.total_buckets()
    for command in sorted(totals, key=lambda command: command.name):
        yield line(f"latency_percentiles_total_usec_{command.name}", totals[command])


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
