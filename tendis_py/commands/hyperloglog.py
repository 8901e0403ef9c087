"""HyperLogLog commands: about how many different elements there are, in 12 kB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.registry import Keys, Lane, command
from tendis_py.errors import unknown_pfdebug
from tendis_py.resp.replies import OK, Reply
from tendis_py.storage.database import Database
from tendis_py.types.hyperloglog import sketches as hyperloglog

_command = partial(command, group="hyperloglog", since="2.8.9")


@_command(
    "pfadd",
    -2,
    flags="write denyoom fast",
    keys=Keys("RW insert"),
    complexity="O(1) to add every element.",
    syntax="key [element [element ...]]",
    events="pfadd",
)
def pfadd(ctx: Context, args: list[bytes]) -> Reply:
    """Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."""
    return int(hyperloglog.add(ctx.db, args[1], args[2:]))


@_command(
    "pfcount",
    -2,
    flags="readonly may_replicate",
    keys=Keys(
        "RW access",
        last=-1,
        notes=(
            "RW because it may change the internal representation of the key, and propagate to "
            "replicas"
        ),
    ),
    complexity=(
        "O(1) with a very small average constant time when called with a single key. O(N) with N "
        "being the number of keys, and much bigger constant times, when called with multiple keys."
    ),
    syntax="key [key ...]",
)
def pfcount(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."""
    if len(args) == 2:
        return hyperloglog.count(ctx.db, args[1])
    return hyperloglog.count_union(ctx.db, args[1:])


@_command(
    "pfmerge",
    -2,
    flags="write denyoom",
    keys=(Keys("RW access insert"), Keys("RO access", first=2, last=-1)),
    complexity="O(N) to merge N HyperLogLogs, but with high constant times.",
    syntax="destkey [sourcekey [sourcekey ...]]",
    events="pfadd",
)
def pfmerge(ctx: Context, args: list[bytes]) -> Reply:
    """Merges one or more HyperLogLog values into a single key."""
    hyperloglog.merge(ctx.db, args[1], args[2:])
    return OK


_DEBUG: dict[bytes, Callable[[Database, bytes], Reply]] = {
    b"GETREG": hyperloglog.registers,
    b"DECODE": lambda db, key: hyperloglog.decoded(db, key).encode(),
    b"ENCODING": hyperloglog.encoding_name,
    b"TODENSE": lambda db, key: int(hyperloglog.make_dense(db, key)),
}


@_command(
    "pfdebug",
    3,
    flags="write denyoom admin",
    keys=Keys("RW access", first=2),
    complexity="N/A",
    syntax="subcommand key",
    events=none,
)
def pfdebug(ctx: Context, args: list[bytes]) -> Reply:
    """Internal commands for debugging HyperLogLog values."""
    debug = _DEBUG.get(args[1].upper())
    if debug is None:
        hyperloglog.inspect(ctx.db, args[2])
        return unknown_pfdebug(args[1])  # not raised: the string is raw from here on, as in Redis
    return debug(ctx.db, args[2])


@_command("pfselftest", 1, flags="admin", complexity="N/A", lane=Lane.SLOW)
def pfselftest(ctx: Context, args: list[bytes]) -> Reply:
    """An internal command for testing HyperLogLog values."""
    hyperloglog.test(ctx.services.config.hll_sparse_max_bytes)
    return OK
