"""The one table of directives: name, type, default, whether it may change at runtime, meaning.

Role: declare every setting once, and find a directive by the name an operator writes.
May import: the kinds of value, the directives without effect.
Does not know: where values come from (file, command line, CONFIG SET) or who uses them.

A setting is a field of `Settings`; its directive's name is the field's with ``_`` as ``-``. Those
that are accepted without effect are declared in ``without_effect``.
"""

# ruff: noqa: RUF009 (_directive returns dataclasses.field, which ruff can not see)

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from tendis_py.config.buffer_limits import BufferLimit, BufferLimits, OutputBufferLimits
from tendis_py.config.directive import Directive
from tendis_py.config.kinds import (
    INT_MAX,
    LONG_MAX,
    UINT_MAX,
    Directory,
    EngineOptions,
    Enumeration,
    Integer,
    Kind,
    MemorySize,
    Octal,
    Percentiles,
    Text,
    Words,
    YesNo,
)
from tendis_py.config.machine import available_memory
from tendis_py.config.special_kinds import CollectorUrl, EventClasses, Ratio
from tendis_py.config.without_effect import WITHOUT_EFFECT, AcceptedSettings

T = TypeVar("T")

KB, MB, GB = 2**10, 2**20, 2**30


def _directive(
    kind: Kind[T],
    default: T | Callable[[], T],
    help: str,
    *,
    runtime: bool = True,
    aliases: tuple[str, ...] = (),
    shown_default: str | None = None,
    protected: bool = False,
) -> T:
    """Declare a setting; typed as its value, so that a default of the wrong type is an error."""
    make = default if callable(default) else partial(copy.copy, default)
    metadata = {
        "kind": kind,
        "help": help,
        "runtime": runtime,
        "aliases": aliases,
        "shown_default": shown_default,
        "protected": protected,
    }
    return field(default_factory=make, metadata=metadata)


def _default_cache_size() -> int:
    return _share_of_memory(16, 512 * MB)


def _default_block_cache_size() -> int:
    return max(_share_of_memory(64, 128 * MB), _share_of_memory(32, 32 * MB))


def default_memtable_size() -> int:
    """What RocksDB's memtables take together, unless ``rocksdb.db_write_buffer_size`` says."""
    return _share_of_memory(16, 64 * MB)


def _share_of_memory(part: int, most: int) -> int:
    return min(max(available_memory() // part // MB, 1) * MB, most)


def _count(help: str, default: int, *aliases: str, most: int = LONG_MAX) -> int:
    return _directive(Integer(0, most, unsigned=True), default, help, aliases=aliases)


def _size(help: str, default: int, *aliases: str) -> int:
    return _directive(MemorySize(), default, help, aliases=aliases)


def _seconds(help: str, default: int) -> int:
    return _directive(Integer(0, INT_MAX), default, help)


_LIMITS = BufferLimits(
    normal=BufferLimit(0, 0, 0),
    replica=BufferLimit(256 * MB, 64 * MB, 60),
    pubsub=BufferLimit(32 * MB, 8 * MB, 60),
)
_MODELS = ("tendis", "kvrocks", "memcached", "redis", "redis-io")


@dataclass(slots=True, eq=False, repr=False)  # a repr would show the password
class Settings(AcceptedSettings):
    """Every setting with its present value. Text that came in as bytes holds surrogate escapes."""

    # Listening
    bind: list[str] = _directive(
        Words(16, "Too many bind addresses specified."),
        ["*", "-::*"],
        "addresses to listen on; one that starts with - may be unavailable",
    )
    protected_mode: bool = _directive(
        YesNo(), True, "refuse clients of other hosts while no password is set"
    )
    port: int = _directive(Integer(0, 65535), 6379, "TCP port; 0 does not listen on TCP")
    tcp_backlog: int = _directive(
        Integer(0, INT_MAX), 511, "connections the kernel queues for accept", runtime=False
    )
    unixsocket: str = _directive(Text(), "", "path of a Unix socket to listen on", runtime=False)
    unixsocketperm: int = _directive(
        Octal(0o777), 0, "permissions of that socket; 0 leaves them to the umask", runtime=False
    )

    dashboard_port: int = _directive(
        Integer(0, 65535), 0, "port of the dashboard and of /metrics, over HTTP; 0 has none"
    )
    dashboard_bind: list[str] = _directive(
        Words(16, "Too many bind addresses specified."),
        ["127.0.0.1", "-::1"],
        "addresses that the dashboard listens on, as in bind",
    )

    # Clients
    requirepass: str = _directive(Text(), "", "password of the default user")
    aclfile: str = _directive(
        Text(), "", "file that defines users; ACL LOAD reads it, ACL SAVE writes it", runtime=False
    )
    acl_pubsub_default: str = _directive(
        Enumeration(("allchannels", "resetchannels")),
        "resetchannels",
        "channels of a new user: all, or none",
    )
    acllog_max_len: int = _directive(Integer(0, LONG_MAX), 128, "entries ACL LOG keeps")
    maxclients: int = _directive(
        Integer(1, UINT_MAX, unsigned=True), 10000, "connections served at once"
    )
    timeout: int = _seconds("close a client idle for this many seconds; 0 never does", 0)
    tcp_keepalive: int = _seconds("seconds between TCP keep-alive probes; 0 sends none", 300)
    proto_max_bulk_len: int = _directive(
        MemorySize(MB, signed=True), 512 * MB, "longest single argument of a request"
    )
    client_query_buffer_limit: int = _directive(
        MemorySize(MB), GB, "input of one client that may wait to be parsed"
    )
    client_output_buffer_limit: BufferLimits = _directive(
        OutputBufferLimits(),
        _LIMITS,
        "replies of one client that may wait to be sent, before it is closed",
    )

    notify_keyspace_events: str = _directive(
        EventClasses(),
        "",
        "what is published of changes of keys: K for each key's channel, E for each event's, and "
        "the classes of events; empty publishes nothing, and else pipelines run slower",
    )

    # Process
    databases: int = _directive(
        Integer(1, INT_MAX), 16, "number of databases SELECT may choose from", runtime=False
    )
    hz: int = _directive(
        Integer(0, INT_MAX, clamp=(1, 500)), 10, "background turns a second (expiry, statistics)"
    )
    loglevel: str = _directive(
        Enumeration(("debug", "verbose", "notice", "warning", "nothing")),
        "notice",
        "least severity that is logged",
    )
    logfile: str = _directive(
        Text(), "", "file to append the log to; empty logs to standard output", runtime=False
    )
    pidfile: str = _directive(Text(), "", "file to write the process id to", runtime=False)
    shutdown_timeout: int = _seconds("seconds a shutdown waits for requests under way", 10)
    enable_debug_command: str = _directive(
        Enumeration(("no", "yes", "local")),
        "no",
        "who may use DEBUG: no one, everyone, or clients of this host",
        runtime=False,
    )

    enable_module_command: str = _directive(
        Enumeration(("no", "yes", "local")),
        "no",
        "who is told, likewise, that MODULE LOAD fails, rather than that it is not allowed",
        runtime=False,
    )
    enable_protected_configs: str = _directive(
        Enumeration(("no", "yes", "local")),
        "no",
        "who may CONFIG SET dir and dbfilename, likewise",
        runtime=False,
    )

    # Threads and queues
    threading_model: str = _directive(
        Enumeration(_MODELS), "tendis", "how requests are spread over threads", runtime=False
    )
    io_threads: int = _directive(
        Integer(0, 128), 0, "reactor threads; 0 is chosen by the threading model", runtime=False
    )
    executor_threads: int = _directive(
        Integer(0, 128), 0, "executor threads; 0 is chosen by the threading model", runtime=False
    )
    work_queue_max_requests: int = _directive(
        Integer(1, LONG_MAX), 16384, "requests that may wait for an executor before reading pauses"
    )
    work_queue_max_bytes: int = _directive(
        MemorySize(MB), 64 * MB, "bytes of requests that may wait for an executor likewise"
    )

    work_queue_handoff: str = _directive(
        Enumeration(("adaptive", "always")),
        "adaptive",
        "which batches executors run: those that come while others are under way, or all",
    )

    # Storage
    dir: str = _directive(
        Directory(),
        os.getcwd,
        "directory of the data",
        runtime=False,
        shown_default="./",
        protected=True,
    )
    appendfsync: str = _directive(
        Enumeration(("everysec", "always", "no")),
        "everysec",
        "when writes are forced to disk: each second, before each reply, or when the kernel likes",
    )
    cache_size: int = _directive(
        MemorySize(),
        _default_cache_size,
        "memory for rows kept in cache; order indexes may take a quarter of it besides",
        shown_default="memory / 16, at most 512mb",
    )
    block_cache_size: int = _directive(
        MemorySize(),
        _default_block_cache_size,
        "memory for blocks of RocksDB's files, and for their indexes and filters",
        shown_default="memory / 64, at most 128mb; under 2gb memory / 32, at most 32mb",
    )
    rocksdb: dict[str, str] = _directive(
        EngineOptions(), dict, "set the RocksDB option NAME; empty leaves it to tendis-py"
    )

    # Clients that keep what they have read
    tracking_table_max_keys: int = _directive(
        Integer(unsigned=True),
        1000000,
        "keys remembered to have been read by clients that track (CLIENT TRACKING), 0 is no limit",
    )

    # Scripts
    lua_memory_limit: int = _directive(
        MemorySize(least=4 * MB),
        256 * MB,
        "what the scripts of one executing thread may take; a script that needs more fails",
    )
    busy_reply_threshold: int = _directive(
        Integer(0, LONG_MAX),
        5000,
        "milliseconds that a script may take until its keys' other users are answered BUSY",
        aliases=("lua-time-limit",),
    )

    # Latency
    latency_monitor_threshold: int = _directive(
        Integer(),
        0,
        "milliseconds from which LATENCY LATEST and HISTORY record a command, 0 records none; "
        "less than 5 costs pipelines throughput",
    )
    slowlog_log_slower_than: int = _directive(
        Integer(-1), 10000, "microseconds from which SLOWLOG records a request; -1 records none"
    )
    slowlog_total_slower_than: int = _directive(
        Integer(-1),
        -1,
        "microseconds from which SLOWLOG records a request for what it took in all, from its bytes'"
        " being read to its reply's being sent; -1 records none",
    )
    slowlog_max_len: int = _directive(Integer(), 128, "entries SLOWLOG keeps")
    latency_tracking: bool = _directive(YesNo(), True, "keep latency histograms per command")
    latency_tracking_info_percentiles: list[float] = _directive(
        Percentiles(), [50.0, 99.0, 99.9], "percentiles that INFO latencystats shows"
    )

    # Traces
    otel_endpoint: str = _directive(
        CollectorUrl(),
        "",
        "URL of an OpenTelemetry collector (OTLP over HTTP) that requests are traced to",
        runtime=False,
    )
    otel_sample_ratio: float = _directive(
        Ratio(), 0.01, "part of the requests that are traced, while there is an otel-endpoint"
    )

    # Size from which a collection leaves its single row
    hash_max_listpack_entries: int = _count(
        "fields of a hash held in one row", 512, "hash-max-ziplist-entries"
    )
    hash_max_listpack_value: int = _size(
        "longest field or value of such a hash", 64, "hash-max-ziplist-value"
    )
    list_max_listpack_size: int = _directive(
        Integer(-INT_MAX - 1, INT_MAX),
        -2,
        "elements of a list node; -1 to -5 are 4, 8, 16, 32 and 64 kb instead",
        aliases=("list-max-ziplist-size",),
    )
    set_max_intset_entries: int = _count(
        "integers of a set held as an intset, and sorted integers held in one row", 512
    )
    set_max_listpack_entries: int = _count("members of a set held in one row", 128)
    set_max_listpack_value: int = _count("longest member of such a set", 64)
    zset_max_listpack_entries: int = _count(
        "members of a sorted set held in one row", 128, "zset-max-ziplist-entries"
    )
    zset_max_listpack_value: int = _size(
        "longest member of such a sorted set", 64, "zset-max-ziplist-value"
    )
    stream_node_max_bytes: int = _size("bytes of a stream node", 4096)
    stream_node_max_entries: int = _directive(Integer(), 100, "entries of a stream node")
    hll_sparse_max_bytes: int = _size("longest sparse HyperLogLog", 3000)

    def __post_init__(self) -> None:
        self._accept_defaults()


DIRECTIVES: Sequence[Directive] = (
    *(
        Directive(name=it.name.replace("_", "-"), attribute=it.name, **it.metadata)
        for it in fields(Settings)
    ),
    *WITHOUT_EFFECT,
)
BY_NAME: Mapping[str, Directive] = MappingProxyType(
    {name: it for it in DIRECTIVES for name in (it.name, *it.aliases)}
)


def find(name: str) -> tuple[Directive, tuple[str, ...]] | None:
    """Return the directive called ``name`` in any case, and the words that the name itself gives:
    ``rocksdb.NAME`` is the family ``rocksdb`` with the word ``NAME``. None if there is none.
    """
    head, dot, option = name.lower().partition(".")
    directive = BY_NAME.get(head)
    if directive is None or directive.is_family != bool(dot):
        return None
    return directive, (option,) if dot else ()
