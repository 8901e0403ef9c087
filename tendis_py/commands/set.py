"""Set commands."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tendis_py.commands.arguments import Option, columns, integer, natural, options
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed, stores
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    LIMIT_NEGATIVE,
    NUMKEYS_NOT_POSITIVE,
    NUMKEYS_TOO_MANY,
    ReplyError,
    syntax_error,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import Replies, Reply, SetStream, Stream
from tendis_py.storage.events import Writes
from tendis_py.types.set import algebra
from tendis_py.types.set import members as sets
from tendis_py.types.set import random as randomly
from tendis_py.types.tail import rest

_command = partial(command, group="set")

_READ = Keys("RO access")
_READ_ALL = Keys("RO access", last=-1)
_TAKE = Keys("RW access delete")
_STORE = (Keys("OW update"), Keys("RO access", first=2, last=-1))

_UNORDERED = ("nondeterministic_output_order",)
_RANDOM = ("nondeterministic_output",)

_EACH_INPUT = "O(N) where N is the total number of elements in all given sets."
_INTERSECTING = (
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
)

# One set


def _sadd_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    run = columns(requests, 3)
    return run and sets.add_run(ctx.db, run[1][0], run[2])


@_command(
    "sadd",
    -3,
    since="1.0.0",
    flags="write denyoom fast",
    keys=Keys("RW insert"),
    complexity=(
        "O(1) for each element added, so O(N) to add N elements when the command is called with "
        "multiple arguments."
    ),
    syntax="key member [member ...]",
    run_on_key=_sadd_run,
    events="sadd",
)
def sadd(ctx: Context, args: list[bytes]) -> Reply:
    """Adds one or more members to a set. Creates the key if it doesn't exist."""
    return sets.add(ctx.db, args[1], rest(args, 2))


@_command(
    "srem",
    -3,
    since="1.0.0",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity="O(N) where N is the number of members to be removed.",
    syntax="key member [member ...]",
    events="srem",
)
def srem(ctx: Context, args: list[bytes]) -> Reply:
    """Removes one or more members from a set. Deletes the set if the last member was removed."""
    return sets.remove(ctx.db, args[1], rest(args, 2))


def _smove_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    yield from changed(writes, "s", "srem", ctx.db.index, args[1])
    yield from changed(writes, "s", "sadd", ctx.db.index, args[2])


@_command(
    "smove",
    4,
    since="1.0.0",
    flags="write fast",
    keys=(_TAKE, Keys("RW insert", first=2)),
    syntax="source destination member",
    events=_smove_events,
)
def smove(ctx: Context, args: list[bytes]) -> Reply:
    """Moves a member from one set to another."""
    return int(sets.move(ctx.db, args[1], args[2], args[3]))


@_command("scard", 2, since="1.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def scard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members in a set."""
    row = sets.find(ctx.db, args[1])
    return 0 if row is None else row.count


@_command(
    "sismember", 3, since="1.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key member"
)
def sismember(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether a member belongs to a set."""
    row = sets.find(ctx.db, args[1])
    return 0 if row is None else int(sets.contains(ctx.db, row, args[2]))


@_command(
    "smismember",
    -3,
    since="6.2.0",
    flags="readonly fast",
    keys=_READ,
    complexity="O(N) where N is the number of elements being checked for membership",
    syntax="key member [member ...]",
)
def smismember(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether multiple members belong to a set."""
    row = sets.find(ctx.db, args[1])
    if row is None:
        return [0] * (len(args) - 2)
    return [int(there) for there in sets.contains_many(ctx.db, row, rest(args, 2))]


@_command(
    "smembers",
    2,
    since="1.0.0",
    flags="readonly",
    keys=_READ,
    complexity="O(N) where N is the set cardinality.",
    tips=_UNORDERED,
    syntax="key",
)
def smembers(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all members of a set."""
    return sinter(ctx, args)


# Random members


def _spop_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    run = columns(requests, 2)
    return run and randomly.pop_run(ctx.db, run[1][0], len(requests))


@_command(
    "spop",
    -2,
    since="1.0.0",
    flags="write fast",
    keys=_TAKE,
    complexity=(
        "Without the count argument O(1), otherwise O(N) where N is the value of the passed count."
    ),
    tips=_RANDOM,
    syntax="key [count]",
    run_on_key=_spop_run,
    events="spop",
)
def spop(ctx: Context, args: list[bytes]) -> Reply:
    """Returns one or more random members from a set after removing them.
    Deletes the set if the last member was popped.
    """
    if len(args) == 2:
        return randomly.pop(ctx.db, args[1])
    if len(args) > 3:
        raise syntax_error()
    return SetStream(randomly.pop_many(ctx.db, args[1], natural(args[2])))


@_command(
    "srandmember",
    -2,
    since="1.0.0",
    flags="readonly",
    keys=_READ,
    complexity=(
        "Without the count argument O(1), otherwise O(N) where N is the absolute value of the "
        "passed count."
    ),
    tips=_RANDOM,
    syntax="key [count]",
)
def srandmember(ctx: Context, args: list[bytes]) -> Reply:
    """Get one or multiple random members from a set"""
    if len(args) > 3:
        raise syntax_error()
    count = integer(args[2], -INT64_MAX) if len(args) == 3 else None
    row = sets.find(ctx.db, args[1])
    if row is None:
        return None if count is None else []
    if count is None:
        return randomly.random_member(ctx.db, row)
    if count < 0:
        return Stream(randomly.draws(ctx.db, row, -count))
    return Stream(randomly.sample(ctx.db, row, count))


# Several sets


@_command(
    "sunion",
    -2,
    since="1.0.0",
    flags="readonly",
    keys=_READ_ALL,
    complexity=_EACH_INPUT,
    tips=_UNORDERED,
    syntax="key [key ...]",
)
def sunion(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the union of multiple sets."""
    return SetStream(algebra.union(ctx.db, algebra.find_all(ctx.db, args[1:])))


@_command(
    "sinter",
    -2,
    since="1.0.0",
    flags="readonly",
    keys=_READ_ALL,
    complexity=_INTERSECTING,
    tips=_UNORDERED,
    syntax="key [key ...]",
)
def sinter(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the intersect of multiple sets."""
    return SetStream(algebra.intersection(ctx.db, algebra.find_all(ctx.db, args[1:])))


@_command(
    "sdiff",
    -2,
    since="1.0.0",
    flags="readonly",
    keys=_READ_ALL,
    complexity=_EACH_INPUT,
    tips=_UNORDERED,
    syntax="key [key ...]",
)
def sdiff(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the difference of multiple sets."""
    keys = args[1:]
    return SetStream(algebra.difference(ctx.db, keys, algebra.find_all(ctx.db, keys)))


_LIMIT = {b"LIMIT": Option("limit", partial(natural, error=LIMIT_NEGATIVE))}
_UNION_OPTIONS = {**_LIMIT, b"APPROX": Option("approx")}


_card_command = partial(
    _command, arity=-3, flags="readonly", keys=Keys("RO access", first=2, count=1)
)


def _counted(
    args: list[bytes], grammar: Mapping[bytes, Option] = _LIMIT
) -> tuple[list[bytes], dict[str, Any]]:
    """The keys, whose number comes before them, and what follows."""
    number = integer(args[1], 1, error=NUMKEYS_NOT_POSITIVE)
    if number > len(args) - 2:
        raise ReplyError(NUMKEYS_TOO_MANY)
    return args[2 : 2 + number], options(args, 2 + number, grammar)


@_card_command(
    "sintercard",
    since="7.0.0",
    complexity=_INTERSECTING,
    syntax="numkeys key [key ...] [LIMIT limit]",
)
def sintercard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members of the intersect of multiple sets."""
    keys, chosen = _counted(args)
    return algebra.count_intersection(
        ctx.db, algebra.find_all(ctx.db, keys), chosen.get("limit", 0)
    )


@_card_command(
    "sunioncard",
    since="8.10.0",
    complexity=_EACH_INPUT,
    syntax="numkeys key [key ...] [APPROX] [LIMIT limit]",
)
def sunioncard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members of the union of multiple sets.

    "Approximate mode (APPROX): uses Redis's existing HyperLogLog internals to estimate the union
    cardinality … Standard HLL error of ~0.81%" (redis#14893); with LIMIT "the result will not
    exceed limit" (redis-py).
    """
    keys, chosen = _counted(args, _UNION_OPTIONS)
    sources, limit = algebra.find_all(ctx.db, keys), chosen.get("limit", 0)
    if "approx" not in chosen:
        return algebra.count_union(ctx.db, sources, limit)
    about = algebra.estimate_union(ctx.db, sources)
    return min(about, limit) if limit else about


@_card_command(
    "sdiffcard",
    since="8.10.0",
    complexity=_EACH_INPUT,
    syntax="numkeys key [key ...] [LIMIT limit]",
)
def sdiffcard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members of the difference between the first set and all successive
    sets.
    """
    keys, chosen = _counted(args)
    sources = algebra.find_all(ctx.db, keys)
    return algebra.count_difference(ctx.db, keys, sources, chosen.get("limit", 0))


_store = partial(
    _command,
    arity=-3,
    since="1.0.0",
    flags="write denyoom",
    keys=_STORE,
    syntax="destination key [key ...]",
)


@_store("sunionstore", complexity=_EACH_INPUT, events=stores("sunionstore", "s"))
def sunionstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the union of multiple sets in a key."""
    return algebra.store_union(ctx.db, args[1], algebra.find_all(ctx.db, args[2:]))


@_store("sinterstore", complexity=_INTERSECTING, events=stores("sinterstore", "s"))
def sinterstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the intersect of multiple sets in a key."""
    return algebra.store_intersection(ctx.db, args[1], algebra.find_all(ctx.db, args[2:]))


@_store("sdiffstore", complexity=_EACH_INPUT, events=stores("sdiffstore", "s"))
def sdiffstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the difference of multiple sets in a key."""
    keys = args[2:]
    return algebra.store_difference(ctx.db, args[1], keys, algebra.find_all(ctx.db, keys))
