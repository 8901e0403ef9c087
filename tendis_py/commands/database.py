"""Commands on whole databases: choosing, counting, emptying, swapping."""

from __future__ import annotations

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.registry import command
from tendis_py.errors import INVALID_FIRST_DB, INVALID_SECOND_DB, syntax_error
from tendis_py.resp.replies import OK, Reply

_FLUSH_TIPS = ("request_policy:all_shards", "response_policy:all_succeeded")


def database_index(argument: bytes, error: str = "") -> int:
    """The number of a database, which may not exist. ``error`` answers what is no C int."""
    return integer(argument, -(2**31), 2**31 - 1, error)


@command("select", 2, group="connection", since="1.0.0", flags="loading stale fast", syntax="index")
def select(ctx: Context, args: list[bytes]) -> Reply:
    """Changes the selected database."""
    ctx.select(database_index(args[1]))
    return OK


@command(
    "dbsize",
    1,
    group="server",
    since="1.0.0",
    flags="readonly fast",
    categories="keyspace",
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of keys in the database."""
    return ctx.db.counts().keys


@command(
    "flushdb",
    -1,
    group="server",
    since="1.0.0",
    flags="write",
    exclusive=True,
    complexity="O(N) where N is the number of keys in the selected database",
    categories="keyspace dangerous",
    tips=_FLUSH_TIPS,
    syntax="[ASYNC | SYNC]",
    events=none,
)
def flushdb(ctx: Context, args: list[bytes]) -> Reply:
    """Remove all keys from the current database."""
    _check_mode(args)
    ctx.tx.flush_databases([ctx.db.index])
    _tell_of_flush(ctx, args)
    return OK


@command(
    "flushall",
    -1,
    group="server",
    since="1.0.0",
    flags="write",
    exclusive=True,
    complexity="O(N) where N is the total number of keys in all databases",
    categories="keyspace dangerous",
    tips=_FLUSH_TIPS,
    syntax="[ASYNC | SYNC]",
    events=none,
)
def flushall(ctx: Context, args: list[bytes]) -> Reply:
    """Removes all keys from all databases."""
    _check_mode(args)
    ctx.tx.flush_databases(range(ctx.services.config.databases))
    _tell_of_flush(ctx, args)
    return OK


def _check_mode(args: list[bytes]) -> None:
    """ASYNC and SYNC are the same here: the keys are gone at once, their rows in the background."""
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"ASYNC", b"SYNC")):
        raise syntax_error()


def _tell_of_flush(ctx: Context, args: list[bytes]) -> None:
    """Redis flushes in the background, too, but for ASYNC or in EXEC, where the client is blocked
    meanwhile, and so gets the reply last."""
    in_background = ctx.nested or args[-1].upper() == b"ASYNC"
    ctx.services.tracking.flushed(ctx, at_once=not in_background)


@command(
    "swapdb",
    3,
    group="server",
    since="4.0.0",
    flags="write fast",
    exclusive=True,
    complexity=(
        "O(N) where N is the count of clients watching or blocking on keys from both databases."
    ),
    categories="keyspace dangerous",
    syntax="index1 index2",
    events=none,
)
def swapdb(ctx: Context, args: list[bytes]) -> Reply:
    """Swaps two Redis databases."""
    first = database_index(args[1], INVALID_FIRST_DB)
    second = database_index(args[2], INVALID_SECOND_DB)
    ctx.tx.swap_databases(ctx.database(first).index, ctx.database(second).index)
    return OK
