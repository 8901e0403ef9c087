"""INFO: which sections are asked for, and how they are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.registry import command
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.services import Services, internals, report
from tendis_py.services.report import Fields

_SECTIONS: dict[bytes, tuple[str, Callable[[Services], Fields]]] = {
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
    b"stages": ("Stages", internals.stages),
    b"rocksdb": ("RocksDB", internals.rocksdb),
}
"""In the order they are printed, whatever order they are asked for in."""

_DEFAULT = _SECTIONS.keys() - {b"commandstats", b"latencystats", b"stages", b"rocksdb"}
"""Without those that read many histograms or ask RocksDB a lot."""
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
    ``commandstats`` come when they are asked for, or with ``all`` or ``everything``.
    """
    wanted: set[bytes] = set()
    for name in [argument.lower() for argument in args[1:]] or [b"default"]:
        wanted |= _GROUPS.get(name, {name})
    parts = [
        _print(title, section(ctx.services))
        for name, (title, section) in _SECTIONS.items()
        if name in wanted
    ]
    return Verbatim("\r\n".join(parts).encode("utf-8", "surrogateescape"))


def _print(title: str, fields: Fields) -> str:
    lines = [f"# {title}\r\n"]
    lines += [f"{name}:{_text(value)}\r\n" for name, value in fields]
    return "".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join([f"{name}={part}" for name, part in value.items()])
    return str(value)
