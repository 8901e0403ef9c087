"""INFO: which sections are asked for, and how they are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.registry import command
from tendis_py.errors import UnreadableError
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.services import Services, internals, report
from tendis_py.services.report import Fields
from tendis_py.storage.codec import HASH, LIST, SET, SORTEDINT, STRING, ZSET
from tendis_py.storage.database import Database

_SECTIONS: dict[bytes, tuple[str, Callable[[Services], Fields] | None]] = {
    b"server": ("Server", report.server),
    b"clients": ("Clients", report.clients),
    b"memory": ("Memory", report.memory),
    b"persistence": ("Persistence", report.persistence),
    b"threads": ("Threads", report.threads),
    b"stats": ("Stats", report.stats),
    b"replication": ("Replication", report.replication),
    b"cpu": ("CPU", report.cpu),
    b"modules": ("Modules", report.modules),
    b"commandstats": ("Commandstats", report.commandstats),
    b"errorstats": ("Errorstats", report.errorstats),
    b"latencystats": ("Latencystats", report.latencystats),
    b"cluster": ("Cluster", report.cluster),
    b"keyspace": ("Keyspace", report.keyspace),
    b"keysizes": ("Keysizes", None),
    b"stages": ("Stages", internals.stages),
    b"rocksdb": ("RocksDB", internals.rocksdb),
}
"""In the order they are printed, whatever order they are asked for in. The one without a function
reads the data itself."""

_DEFAULT = _SECTIONS.keys() - {
    b"commandstats",
    b"latencystats",
    b"keysizes",
    b"stages",
    b"rocksdb",
}
"""Without those that read many histograms or data, or ask RocksDB a lot."""
_GROUPS = {b"default": _DEFAULT, b"all": _SECTIONS.keys(), b"everything": _SECTIONS.keys()}


@command(
    "info",
    -1,
    group="server",
    since="1.0.0",
    flags="loading stale",
    categories="dangerous",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    syntax="[section [section ...]]",
)
def info(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information and statistics about the server.

    Besides Redis' sections there are ``stages`` (where the time goes) and ``rocksdb``, which like
    ``commandstats`` and ``keysizes`` come when they are asked for, or with ``all`` or
    ``everything``.
    """
    wanted: set[bytes] = set()
    for name in [argument.lower() for argument in args[1:]] or [b"default"]:
        wanted |= _GROUPS.get(name, {name})
    if b"keysizes" in wanted:
        ctx.tx.admit(sum(map(ctx.services.key_sizes.work, _databases(ctx))))
    parts = [
        _print(title, _keysizes(ctx) if section is None else section(ctx.services))
        for name, (title, section) in _SECTIONS.items()
        if name in wanted
    ]
    return Verbatim("\r\n".join(parts).encode("utf-8", "surrogateescape"))


_SIZED = (
    (STRING, "strings_sizes"),
    (LIST, "lists_items"),
    (SET, "sets_items"),
    (ZSET, "zsets_items"),
    (HASH, "hashes_items"),
    (SORTEDINT, "sortedints_items"),
)
_UNITS = ("", "K", "M", "G", "T", "P", "E")


def _databases(ctx: Context) -> list[Database]:
    """Those that hold keys, as far as has been committed."""
    services = ctx.services
    return [
        ctx.database(index)
        for index in range(services.config.databases)
        if ctx.database(index).counts().keys
    ]


def _keysizes(ctx: Context) -> Fields:
    """Per database and type, how many keys there are of each size, by powers of two."""
    for db in _databases(ctx):
        try:
            sizes = ctx.services.key_sizes.of(db)
        except UnreadableError:  # INFO is needed all the more
            continue
        for type_, name in _SIZED:
            found = sorted((size, keys) for (of, size), keys in sizes.items() if of == type_)
            if found:
                yield (
                    f"db{db.index}_distrib_{name}",
                    {_power(size): keys for size, keys in found},
                )


def _power(size: int) -> str:
    """A power of two, or 0, as Redis writes it: 512, 1K, 2M."""
    thousands = max(size.bit_length() - 1, 0) // 10
    return f"{size >> 10 * thousands}{_UNITS[thousands]}"


def _print(title: str, fields: Fields) -> str:
    lines = [f"# {title}\r\n"]
    lines += [
        f"{name}:{value if type(value) is not dict else _joined(value)}\r\n"
        for name, value in fields
    ]
    return "".join(lines)


def _joined(parts: dict[str, Any]) -> str:
    return ",".join([f"{name}={part}" for name, part in parts.items()])
