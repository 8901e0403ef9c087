"""The commands: a module or a folder per family, each declaring into ``registry.REGISTRY``."""

from __future__ import annotations

from tendis_py.commands import (
    bitmap,
    client,
    command,
    config,
    connection,
    database,
    expire,
    geo,
    hash,
    hyperloglog,
    info,
    keys,
    latency,
    list,
    lolwut,
    object,
    scan,
    server,
    set,
    slowlog,
    sort,
    stream,
    string,
    zset,
)
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.requests import Request

FAMILIES = (
    connection,
    client,
    command,
    *string.FAMILIES,
    *zset.FAMILIES,
    list,
    bitmap,
    hyperloglog,
    set,
    *geo.FAMILIES,
    sort,
    *stream.FAMILIES,
    keys,
    expire,
    scan,
    *hash.FAMILIES,
    database,
    object,
    server,
    info,
    config,
    slowlog,
    latency,
    lolwut,
)


def concerned_by_pause(request: Request, admitted: bool, writes_only: bool) -> bool:
    """Whether CLIENT PAUSE is for this request. What will be refused anyway, such as a command of a
    client that is not ``admitted`` yet, need not wait for that."""
    found = REGISTRY.find(request)
    if found is None or len(request) not in found.fits:
        return False
    if not admitted and "no_auth" not in found.flags:
        return False
    return not writes_only or not found.flags.isdisjoint(("write", "may_replicate"))
