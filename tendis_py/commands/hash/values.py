"""Hash commands. HGET, and HSET of one pair, are the hot path: keep them this short."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tendis_py.commands.arguments import columns, integer, two_by_two
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    NOT_A_FINITE_NUMBER,
    NOT_FLOAT,
    VALUE_RANGE,
    ReplyError,
    syntax_error,
    wrong_arity,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import OK, PairStream, Replies, Reply, Stream
from tendis_py.storage.pacing import drain
from tendis_py.types import long_double
from tendis_py.types.hash import values as hashes
from tendis_py.types.tail import rest

_command = partial(command, group="hash")

_READ = Keys("RO access")
_UPDATE = Keys("RW update")
_CALCULATE = Keys("RW access update")

_SIZE = "O(N) where N is the size of the hash."
_FIELDS_SET = "O(N) where N is the number of fields being set."
_UNORDERED = ("nondeterministic_output_order",)


# Reading


def _hget_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    run = columns(requests, 3)
    return run and hashes.get_run(ctx.db, run[1][0], run[2])


@_command(
    "hget",
    3,
    since="2.0.0",
    flags="readonly fast",
    keys=_READ,
    syntax="key field",
    run_on_key=_hget_run,
)
def hget(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the value of a field in a hash."""
    return hashes.get(ctx.db, args[1], args[2])


@_command(
    "hmget",
    -3,
    since="2.0.0",
    flags="readonly fast",
    keys=_READ,
    complexity="O(N) where N is the number of fields being requested.",
    syntax="key field [field ...]",
)
def hmget(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the values of all fields in a hash."""
    return hashes.get_many(ctx.db, args[1], rest(args, 2))


@_command("hexists", 3, since="2.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key field")
def hexists(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether a field exists in a hash."""
    return int(hashes.get(ctx.db, args[1], args[2]) is not None)


@_command("hstrlen", 3, since="3.2.0", flags="readonly fast", keys=Keys("RO"), syntax="key field")
def hstrlen(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the length of the value of a field."""
    return len(hashes.get(ctx.db, args[1], args[2]) or b"")


@_command("hlen", 2, since="2.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def hlen(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of fields in a hash."""
    return hashes.length(ctx.db, args[1])


_all = partial(
    _command,
    arity=2,
    since="2.0.0",
    flags="readonly",
    keys=_READ,
    complexity=_SIZE,
    tips=_UNORDERED,
    syntax="key",
)


@_all("hgetall")
def hgetall(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all fields and values in a hash."""
    return PairStream(hashes.items(ctx.db, args[1]))


@_all("hkeys")
def hkeys(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all fields in a hash."""
    return Stream(hashes.fields(ctx.db, args[1]))


@_all("hvals")
def hvals(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all values in a hash."""
    return Stream(value for _, value in hashes.items(ctx.db, args[1]))


@_command(
    "hrandfield",
    -2,
    since="6.2.0",
    flags="readonly",
    keys=_READ,
    complexity="O(N) where N is the number of fields returned",
    tips=("nondeterministic_output",),
    syntax="key [count [WITHVALUES]]",
)
def hrandfield(ctx: Context, args: list[bytes]) -> Reply:
    """Returns one or more random fields from a hash."""
    if len(args) == 2:
        for field, _ in hashes.random_fields(ctx.db, args[1], 1):
            return field
        return None
    count = integer(args[2], -INT64_MAX, INT64_MAX)
    with_values = len(args) == 4 and args[3].upper() == b"WITHVALUES"
    if len(args) > 3 and not with_values:
        raise syntax_error()
    if with_values and abs(count) > INT64_MAX // 2:
        raise ReplyError(VALUE_RANGE)
    pairs: Iterable[hashes.Pair]
    if count < 0:
        pairs = hashes.random_draws(ctx.db, args[1], -count)
    else:
        pairs = hashes.random_fields(ctx.db, args[1], count)
    if not with_values:
        return Stream(field for field, _ in pairs)
    if ctx.session.protocol == 3:
        return Stream(pairs)
    return Stream(part for pair in pairs for part in pair)


# Writing


def _hset_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    run = columns(requests, 4)
    return run and hashes.put_run(ctx.db, run[1][0], run[2], run[3])


@_command(
    "hset",
    -4,
    since="2.0.0",
    flags="write denyoom fast",
    keys=_UPDATE,
    complexity=(
        "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command "
        "is called with multiple field/value pairs."
    ),
    syntax="key field value [field value ...]",
    run_on_key=_hset_run,
    events="hset",
)
def hset(ctx: Context, args: list[bytes]) -> Reply:
    """Creates or modifies the value of a field in a hash."""
    if len(args) == 4:
        return int(hashes.put(ctx.db, args[1], args[2], args[3]))
    return _put_many(ctx, args, "hset")


@_command(
    "hmset",
    -4,
    since="2.0.0",
    flags="write denyoom fast",
    keys=_UPDATE,
    complexity=_FIELDS_SET,
    syntax="key field value [field value ...]",
    events="hset",
)
def hmset(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the values of multiple fields."""
    _put_many(ctx, args, "hmset")
    return OK


def _put_many(ctx: Context, args: list[bytes], name: str) -> int:
    if len(args) % 2:
        raise wrong_arity(name)
    pairs: list[hashes.Pair] = []
    for fields, values in two_by_two(args, 2):
        pairs += zip(fields, values, strict=True)
    created = hashes.put_many(ctx.db, args[1], pairs)
    drain(pairs)
    return created


@_command(
    "hsetnx",
    4,
    since="2.0.0",
    flags="write denyoom fast",
    keys=Keys("RW insert"),
    syntax="key field value",
    events="hset",
)
def hsetnx(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the value of a field in a hash only when the field doesn't exist."""
    return int(hashes.put_new(ctx.db, args[1], args[2], args[3]))


@_command(
    "hdel",
    -3,
    since="2.0.0",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity="O(N) where N is the number of fields to be removed.",
    syntax="key field [field ...]",
    events="hdel",
)
def hdel(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes one or more fields and their values from a hash.
    Deletes the hash if no fields remain.
    """
    return hashes.delete(ctx.db, args[1], rest(args, 2))


# Counting


@_command(
    "hincrby",
    4,
    since="2.0.0",
    flags="write denyoom fast",
    keys=_CALCULATE,
    syntax="key field increment",
    events="hincrby",
)
def hincrby(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the integer value of a field in a hash by a number.
    Uses 0 as initial value if the field doesn't exist.
    """
    return hashes.increment(ctx.db, args[1], args[2], integer(args[3]))


@_command(
    "hincrbyfloat",
    4,
    since="2.6.0",
    flags="write denyoom fast",
    keys=_CALCULATE,
    syntax="key field increment",
    events="hincrbyfloat",
)
def hincrbyfloat(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the floating point value of a field by a number.
    Uses 0 as initial value if the field doesn't exist.
    """
    by = long_double.parse(args[3])
    if by is None:
        raise ReplyError(NOT_FLOAT)
    if by.infinite:
        raise ReplyError(NOT_A_FINITE_NUMBER)
    return hashes.increment_real(ctx.db, args[1], args[2], by)
