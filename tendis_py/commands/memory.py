"""MEMORY: what a key takes, and how the process is doing."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Keys, Lane, command, container
from tendis_py.errors import syntax_error
from tendis_py.resp.replies import OK, Reply, Verbatim
from tendis_py.services import Services
from tendis_py.services.functions import committed
from tendis_py.services.process import allocated, release_free_memory, resident_memory
from tendis_py.types import keys
from tendis_py.types.big_keys import big_keys

MB, KB = 2**20, 2**10

container(
    "memory",
    group="server",
    since="4.0.0",
    summary="A container for memory diagnostics commands.",
)

_memory = partial(
    command,
    arity=2,
    group="server",
    since="4.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)


def _samples(argument: bytes) -> int:
    number = integer(argument)
    if number < 0:
        raise syntax_error()
    return number


_DEFAULT_SAMPLES = 5
_USAGE_OPTIONS = {b"SAMPLES": Option("samples", _samples)}


@command(
    "memory|usage",
    -3,
    group="server",
    since="4.0.0",
    flags="readonly",
    keys=Keys("RO", first=2),
    complexity="O(N) where N is the number of samples.",
    syntax="key [SAMPLES count]",
)
def memory_usage(ctx: Context, args: list[bytes]) -> Reply:
    """Estimates the memory usage of a key."""
    samples = options(args, 3, _USAGE_OPTIONS).get("samples", _DEFAULT_SAMPLES)
    return keys.memory_usage(ctx.db, args[2], samples)


_MOST_BIG_KEYS = 1000
_DEFAULT_BIG_KEYS = 10
_BIG_KEYS_OPTIONS = {
    b"COUNT": Option("count", lambda argument: integer(argument, 1, _MOST_BIG_KEYS))
}


@command(
    "memory|bigkeys",
    -2,
    group="server",
    origin="tendis-py",
    since="4.0.0",
    flags="readonly",
    lane=Lane.SLOW,
    complexity="O(N) where N is the number of keys, or 50,000 where there are more.",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    syntax="[COUNT count]",
)
def memory_bigkeys(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the largest keys of the database, with their types, sizes and bytes.

    Redis does not have this. Of more than 50,000 keys, or 64 MB, as many are looked at, at random
    places: ``sampled`` says how many of the ``keys``. A size is in bytes of a string, otherwise in
    elements; bytes are those of MEMORY USAGE.
    """
    count = options(args, 2, _BIG_KEYS_OPTIONS).get("count", _DEFAULT_BIG_KEYS)
    seen = big_keys(ctx.db, count)
    return {
        b"keys": seen.keys,
        b"sampled": seen.looked_at,
        b"biggest": [
            {
                b"key": one.key,
                b"type": one.type.encode(),
                b"size": one.size,
                b"bytes": one.usage,
            }
            for one in seen.found
        ],
    }


@_memory("memory|stats")
def memory_stats(ctx: Context, args: list[bytes]) -> Reply:
    """Returns details about memory usage.

    All of Redis' names are there; what does not exist here (replicas, hash tables) takes nothing.
    """
    scripts = ctx.services.scripts
    use = ctx.services.memory.use()
    sizes = [ctx.services.keyspace.size(at).keys for at in range(ctx.services.config.databases)]
    key_count = sum(sizes)
    figures: dict[str, Reply] = {
        "peak.allocated": use.peak,
        "total.allocated": use.used,
        "startup.allocated": use.startup,
        "replication.backlog": 0,
        "replica.fullsync.buffer": 0,
        "clients.slaves": 0,
        "clients.normal": use.clients,
        "cluster.links": 0,
        "aof.buffer": 0,
        "lua.caches": scripts.bytes,
        "functions.caches": committed(ctx.services.keyspace).bytes,
        "script.VMs": sum(scripts.memory(functions=which) for which in (False, True)),
    }
    for index, size in enumerate(sizes):
        if size:
            figures[f"db.{index}"] = {
                b"overhead.hashtable.main": 0,
                b"overhead.hashtable.expires": 0,
            }
    figures |= {
        "overhead.db.hashtable.lut": 0,
        "overhead.db.hashtable.rehashing": 0,
        "overhead.total": use.overhead,
        "db.dict.rehashing.count": 0,
        "keys.count": key_count,
        "keys.bytes-per-key": use.dataset // key_count if key_count else 0,
        "dataset.bytes": use.dataset,
        "dataset.percentage": use.dataset_percent,
        "peak.percentage": use.peak_percent,
        "allocator.allocated": use.used,
        "allocator.active": use.resident,
        "allocator.resident": use.resident,
        "allocator.muzzy": 0,
        "allocator-fragmentation.ratio": use.fragmentation,
        "allocator-fragmentation.bytes": use.fragmentation_bytes,
        "allocator-rss.ratio": 1.0,
        "allocator-rss.bytes": 0,
        "rss-overhead.ratio": 1.0,
        "rss-overhead.bytes": 0,
        "fragmentation": use.fragmentation,
        "fragmentation.bytes": use.fragmentation_bytes,
    }
    return {name.encode(): figure for name, figure in figures.items()}


_EMPTY = (
    "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be "
    "used in these conditions. Please, leave for your mission on Earth and fill it with some data. "
    "The new Sam and I will be back to our programming as soon as I finished rebooting.\n"
)
_WELL = (
    "Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on "
    "this base.\n"
)
_ISSUES = "Sam, I detected a few issues in this Redis instance memory implants:\n\n"
_PEAK = (
    " * Peak memory: In the past this instance used more than 150% the memory that is currently "
    "using. The allocator is normally not able to release memory after a peak, so you can expect "
    "to see a big fragmentation ratio, however this is actually harmless and is only due to the "
    "memory peak, and if the Redis instance Resident Set Size (RSS) is currently bigger than "
    "expected, the memory will be used as soon as you fill the Redis instance with more data. If "
    "the memory peak was only occasional and you want to try to reclaim memory, please try the "
    "MEMORY PURGE command, otherwise the only other option is to shutdown and restart the "
    "instance.\n\n"
)
_RESIDENT = (
    " * High total RSS: This instance has a memory fragmentation and RSS overhead greater than 1.4 "
    "(this means that the Resident Set Size of the Redis process is much larger than the sum of "
    "the logical allocations Redis performed). This problem is usually due either to a large peak "
    "memory (check if there is a peak memory entry above in the report) or may result from a "
    "workload that causes the allocator to fragment memory a lot. If the problem is a large peak "
    "memory, then there is no issue. Otherwise, make sure you are using the Jemalloc allocator and "
    'not the default libc malloc. Note: The currently used allocator is "libc".\n\n'
)
_BUFFERS = (
    " * Big client buffers: The clients output buffers in this instance are greater than 200K per "
    "client (on average). This may result from different causes, like Pub/Sub clients subscribed "
    "to channels bot not receiving data fast enough, so that data piles on the Redis instance "
    "output buffer, or clients sending commands with large replies or very large sequences of "
    "commands in the same pipeline. Please use the CLIENT LIST command in order to investigate the "
    "issue if it causes problems in your instance, or to understand better why certain clients are "
    "using a big amount of memory.\n\n"
)
_CLOSING = "I'm here to keep you safe, Sam. I want to help you.\n"


@_memory("memory|doctor")
def memory_doctor(ctx: Context, args: list[bytes]) -> Reply:
    """Outputs a memory problems report."""
    return Verbatim(_diagnosis(ctx.services).encode())


def _diagnosis(services: Services) -> str:
    use = services.memory.use()
    if use.dataset < 5 * MB:
        return _EMPTY
    issues = ""
    if use.peak > use.used * 1.5:
        issues += _PEAK
    if use.fragmentation > 1.4 and use.fragmentation_bytes > 10 * MB:
        issues += _RESIDENT
    if use.clients > 200 * KB * len(services.clients):
        issues += _BUFFERS
    return _ISSUES + issues + _CLOSING if issues else _WELL


_SLOW = "Depends on how much memory is allocated, could be slow"


@_memory("memory|malloc-stats", complexity=_SLOW)
def memory_malloc_stats(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the allocator statistics.

    Redis has those of jemalloc. Here they are libc's, which RocksDB uses, and Python for larger
    objects.
    """
    found = allocated()
    if found is None:
        return Verbatim(b"Stats not supported for the current allocator")
    lines = [
        "___ Begin libc malloc statistics ___",
        f"Heap: {found.heap} bytes",
        f"  in use: {found.used}",
        f"  free: {found.free} in {found.free_blocks} blocks",
        f"  could be given back at once: {found.trimmable}",
        f"Mapped: {found.mapped} bytes in {found.mapped_blocks} blocks",
        f"Resident: {resident_memory()} bytes",
        "--- End libc malloc statistics ---",
        "",
    ]
    return Verbatim("\n".join(lines).encode())


@_memory(
    "memory|purge",
    complexity=_SLOW,
    lane=Lane.SLOW,
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def memory_purge(ctx: Context, args: list[bytes]) -> Reply:
    """Asks the allocator to release memory."""
    release_free_memory()
    return OK


@command("memory|help", 2, group="server", since="4.0.0", flags="loading stale", lane=Lane.CONTROL)
def memory_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "MEMORY",
        (
            "BIGKEYS [COUNT <count>]",
            "Return the largest keys of the database (default: 10), found among at most 50,000\n"
            "at random places.",
        ),
        ("DOCTOR", "Return memory problems reports."),
        ("MALLOC-STATS", "Return internal statistics report from the memory allocator."),
        ("PURGE", "Attempt to purge dirty pages for reclamation by the allocator."),
        ("STATS", "Return information about the memory usage of the server."),
        (
            "USAGE <key> [SAMPLES <count>]",
            "Return about how many bytes <key> and its value take on disk, before\n"
            "compression. Of a large collection <count> elements are looked at (default: 5,\n"
            "0 means all).",
        ),
    )
