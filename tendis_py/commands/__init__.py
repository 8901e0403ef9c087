"""The commands: one module per family, each declaring into ``registry.REGISTRY``."""

from __future__ import annotations

from tendis_py.commands import (
    config,
    database,
    expire,
    info,
    keys,
    latency,
    lolwut,
    object,
    scan,
    server,
    slowlog,
    string,
)
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.requests import Request

FAMILIES = (string, keys, expire, scan, database, object, server, info, config, slowlog, latency, lolwut)


def may_write(request: Request) -> bool:
    """Whether a request's command is declared to write."""
    command = REGISTRY.find(request)
    return command is not None and command.writes
