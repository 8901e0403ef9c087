"""Commands on the server as a whole: its time, its data on disk, its end."""

from __future__ import annotations

import logging

from tendis_py.commands.context import Context
from tendis_py.commands.registry import Lane, command
from tendis_py.errors import (
    ANOTHER_CHILD,
    NO_SHUTDOWN,
    REWRITE_IN_PROGRESS,
    SAVE_IN_PROGRESS,
    ReplyError,
    StorageError,
    syntax_error,
)
from tendis_py.log import NOTICE
from tendis_py.resp.replies import NO_REPLY, OK, Reply
from tendis_py.services.saving import Start, Work

log = logging.getLogger(__name__)


@command(
    "time",
    1,
    group="server",
    since="2.6.0",
    flags="loading stale fast",
    tips=("nondeterministic_output",),
)
def time_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the server time."""
    seconds, microseconds = divmod(ctx.services.clock.time_ns() // 1000, 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


# Saving


@command(
    "save",
    1,
    group="server",
    since="1.0.0",
    flags="admin noscript no_async_loading no_multi",
    complexity="O(N) where N is the total number of keys in all databases",
    lane=Lane.SLOW,
)
def save(ctx: Context, args: list[bytes]) -> Reply:
    """Synchronously saves the database(s) to disk.

    Writes are in the log anyway; this moves those that are still in memory to data files.
    """
    try:
        saved = ctx.services.saving.save()
    except StorageError as error:
        log.error("Error saving: %s", error)
        raise ReplyError("ERR") from None
    if not saved:
        raise ReplyError(SAVE_IN_PROGRESS)
    return OK


@command(
    "bgsave",
    -1,
    group="server",
    since="1.0.0",
    flags="admin noscript no_async_loading",
    syntax="[SCHEDULE]",
)
def bgsave(ctx: Context, args: list[bytes]) -> Reply:
    """Asynchronously saves the database(s) to disk.

    SCHEDULE waits for a rewrite of the log that is under way.
    """
    if len(args) > 2 or (len(args) == 2 and args[1].lower() != b"schedule"):
        raise syntax_error()
    match ctx.services.saving.start(Work.SAVE, schedule=len(args) == 2):
        case Start.STARTED:
            return "Background saving started"
        case Start.SCHEDULED:
            return "Background saving scheduled"
        case Start.RUNNING:
            raise ReplyError(SAVE_IN_PROGRESS)
        case Start.BUSY:
            raise ReplyError(ANOTHER_CHILD)


@command("bgrewriteaof", 1, group="server", since="1.0.0", flags="admin noscript no_async_loading")
def bgrewriteaof(ctx: Context, args: list[bytes]) -> Reply:
    """Asynchronously rewrites the append-only file to disk.

    The log is RocksDB's: what it holds moves to data files, and it begins anew.
    """
    match ctx.services.saving.start(Work.REWRITE, schedule=True):
        case Start.STARTED:
            return "Background append only file rewriting started"
        case Start.SCHEDULED:
            return "Background append only file rewriting scheduled"
        case _:
            raise ReplyError(REWRITE_IN_PROGRESS)


@command(
    "lastsave",
    1,
    group="server",
    since="1.0.0",
    flags="loading stale fast",
    categories="admin dangerous",
    tips=("nondeterministic_output",),
)
def lastsave(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the Unix timestamp of the last successful save to disk."""
    return ctx.services.saving.last_time


# Shutdown


@command(
    "shutdown",
    -1,
    group="server",
    since="1.0.0",
    flags="admin noscript loading stale no_multi allow_busy",
    complexity="O(N) when saving, where N is the total number of keys in all databases when saving "
    "data, otherwise O(1)",
    alters_session=True,
    syntax="[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
)
def shutdown(ctx: Context, args: list[bytes]) -> Reply:
    """Synchronously saves the database(s) to disk and shuts down the Redis server.

    Nothing is lost either way: the log is forced to disk even with NOSAVE. NOW does not wait for
    clients to take their replies. A shutdown that has begun can not be aborted.
    """
    words = {argument.lower() for argument in args[1:]}
    if not words <= {b"nosave", b"save", b"now", b"force", b"abort"}:
        raise syntax_error()
    if {b"nosave", b"save"} <= words or (b"abort" in words and len(words) > 1):
        raise syntax_error()
    if b"abort" in words:
        raise ReplyError(NO_SHUTDOWN)
    log.log(NOTICE, "User requested shutdown...")
    ctx.session.closing = True
    ctx.services.shutdown(now=b"now" in words)
    return NO_REPLY
