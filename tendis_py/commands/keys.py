"""Commands on keys, whatever they hold: existence, type, names."""

from __future__ import annotations

from functools import partial
from typing import Any

from tendis_py.commands.arguments import Option, options
from tendis_py.commands.context import Context
from tendis_py.commands.database import database_index
from tendis_py.commands.events import GENERIC, Fired, deletes, fired
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import SAME_OBJECT, ReplyError
from tendis_py.resp.replies import OK, Reply
from tendis_py.storage.database import Database
from tendis_py.storage.events import Event, Writes
from tendis_py.types import keys

_command = partial(command, group="generic")

_MANY = "key [key ...]"
_SHARDED = ("request_policy:multi_shard", "response_policy:agg_sum")


@_command(
    "del",
    -2,
    since="1.0.0",
    flags="write",
    keys=Keys("RM delete", last=-1),
    complexity=(
        "O(N) where N is the number of keys that will be removed. When a key to remove holds a "
        "value other than a string, the individual complexity for this key is O(M) where M is the "
        "number of elements in the list, set, sorted set or hash. Removing a single key that "
        "holds a string value is O(1)."
    ),
    tips=_SHARDED,
    syntax=_MANY,
    events=deletes,
)
def del_(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes one or more keys."""
    return keys.delete(ctx.db, args[1:])


@_command(
    "unlink",
    -2,
    since="4.0.0",
    flags="write fast",
    keys=Keys("RM delete", last=-1),
    complexity=(
        "O(1) for each key removed regardless of its size. Then the command does O(N) work in a "
        "different thread in order to reclaim memory, where N is the number of allocations the "
        "deleted objects where composed of."
    ),
    tips=_SHARDED,
    syntax=_MANY,
    events=deletes,
)
def unlink(ctx: Context, args: list[bytes]) -> Reply:
    """Asynchronously deletes one or more keys."""
    return keys.delete(ctx.db, args[1:])


@_command(
    "exists",
    -2,
    since="1.0.0",
    flags="readonly fast",
    keys=Keys("RO", last=-1),
    complexity="O(N) where N is the number of keys to check.",
    tips=_SHARDED,
    syntax=_MANY,
)
def exists(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether one or more keys exist."""
    return keys.count_existing(ctx.db, args[1:])


@_command(
    "touch",
    -2,
    since="3.2.1",
    flags="readonly fast",
    keys=Keys("RO", last=-1),
    complexity="O(N) where N is the number of keys that will be touched.",
    tips=_SHARDED,
    syntax=_MANY,
)
def touch(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of existing keys out of those specified after updating the time they were
    last accessed.
    """
    return keys.touch(ctx.db, args[1:])


@_command("type", 2, since="1.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def type_(ctx: Context, args: list[bytes]) -> Reply:
    """Determines the type of value stored at a key."""
    return keys.type_name(ctx.db, args[1])


@_command(
    "randomkey",
    1,
    since="1.0.0",
    flags="readonly",
    tips=("request_policy:all_shards", "response_policy:special", "nondeterministic_output"),
)
def randomkey(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a random key name from the database."""
    return ctx.db.random_key()


# Names


def _rename_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index = ctx.db.index
    if writes.changed(index, args[2]):
        yield Event("n", "new", index, args[2])
        yield Event(GENERIC, "rename_from", index, args[1])
        yield Event(GENERIC, "rename_to", index, args[2])


@_command(
    "rename",
    3,
    since="1.0.0",
    flags="write",
    keys=(Keys("RW access delete"), Keys("OW update", first=2)),
    syntax="key newkey",
    events=_rename_events,
)
def rename(ctx: Context, args: list[bytes]) -> Reply:
    """Renames a key and overwrites the destination."""
    keys.rename(ctx.db, args[1], args[2])
    return OK


@_command(
    "renamenx",
    3,
    since="1.0.0",
    flags="write fast",
    keys=(Keys("RW access delete"), Keys("OW insert", first=2)),
    syntax="key newkey",
    events=_rename_events,
)
def renamenx(ctx: Context, args: list[bytes]) -> Reply:
    """Renames a key only when the target key name doesn't exist."""
    return int(keys.rename_if_free(ctx.db, args[1], args[2]))


def _move_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if reply:
        target = _database(ctx, args[2]).index
        yield Event("n", "new", target, args[1])
        yield Event(GENERIC, "move_from", ctx.db.index, args[1])
        yield Event(GENERIC, "move_to", target, args[1])


@_command(
    "move",
    3,
    since="1.0.0",
    flags="write fast",
    keys=Keys("RW access update"),
    syntax="key db",
    events=_move_events,
)
def move(ctx: Context, args: list[bytes]) -> Reply:
    """Moves a key to another database."""
    target = _database(ctx, args[2])
    if target is ctx.db:
        raise ReplyError(SAME_OBJECT)
    return int(keys.move(ctx.db, args[1], target))


def _copy_options(ctx: Context, args: list[bytes]) -> dict[str, Any]:
    grammar = {b"REPLACE": Option("replace"), b"DB": Option("db", partial(_database, ctx))}
    return options(args, 3, grammar)


def _copy_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if reply:
        target = _copy_options(ctx, args).get("db", ctx.db).index
        yield from fired(writes, GENERIC, "copy_to", target, args[2], new=True)


@_command(
    "copy",
    -3,
    since="6.2.0",
    flags="write denyoom",
    keys=(Keys("RO access"), Keys("OW update", first=2)),
    complexity=(
        "O(N) worst case for collections, where N is the number of nested items. O(1) for string "
        "values."
    ),
    syntax="source destination [DB destination-db] [REPLACE]",
    events=_copy_events,
)
def copy(ctx: Context, args: list[bytes]) -> Reply:
    """Copies the value of a key to a new key."""
    chosen = _copy_options(ctx, args)
    target = chosen.get("db", ctx.db)
    if target is ctx.db and args[1] == args[2]:
        raise ReplyError(SAME_OBJECT)
    return int(keys.copy(ctx.db, args[1], target, args[2], replace="replace" in chosen))


def _database(ctx: Context, argument: bytes) -> Database:
    return ctx.database(database_index(argument))
