"""The commands: one module per family, each declaring into ``registry.REGISTRY``."""

from __future__ import annotations

from tendis_py.commands import (
    bitmap,
    client,
    command,
    config,
    connection,
    counter,
    database,
    expire,
    geo,
    geo_search,
    hash,
    hash_expiry,
    hyperloglog,
    info,
    keys,
    latency,
    lcs,
    list,
    lolwut,
    object,
    scan,
    server,
    set,
    slowlog,
    sort,
    stream,
    stream_group,
    stream_info,
    stream_pending,
    string,
    zset,
    zset_algebra,
    zset_range,
)
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.requests import Request

FAMILIES = (
    connection,
    client,
    command,
    string,
    counter,
    lcs,
    zset,
    zset_range,
    zset_algebra,
    list,
    bitmap,
    hyperloglog,
    set,
    geo,
    geo_search,
    sort,
    stream,
    stream_group,
    stream_info,
    stream_pending,
    keys,
    expire,
    scan,
    hash,
    hash_expiry,
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
