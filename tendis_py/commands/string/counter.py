"""INCR and its kin: counting in strings. INCR is on the hot path."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import DECREMENT_OVERFLOW, ReplyError
from tendis_py.numbers import INT64_MIN
from tendis_py.resp.replies import Replies, Reply
from tendis_py.types.string import counter

_command = partial(
    command, group="string", flags="write denyoom fast", keys=Keys("RW access update")
)


def _incr_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    return counter.increment_run(ctx.db, [key for _, key in requests])


@_command("incr", 2, since="1.0.0", syntax="key", run=_incr_run, events="incrby")
def incr(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the integer value of a key by one.
    Uses 0 as initial value if the key doesn't exist.
    """
    return counter.increment(ctx.db, args[1], 1)


@_command("decr", 2, since="1.0.0", syntax="key", events="incrby")
def decr(ctx: Context, args: list[bytes]) -> Reply:
    """Decrements the integer value of a key by one.
    Uses 0 as initial value if the key doesn't exist.
    """
    return counter.increment(ctx.db, args[1], -1)


@_command("incrby", 3, since="1.0.0", syntax="key increment", events="incrby")
def incrby(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the integer value of a key by a number.
    Uses 0 as initial value if the key doesn't exist.
    """
    return counter.increment(ctx.db, args[1], integer(args[2]))


@_command("decrby", 3, since="1.0.0", syntax="key decrement", events="incrby")
def decrby(ctx: Context, args: list[bytes]) -> Reply:
    """Decrements a number from the integer value of a key.
    Uses 0 as initial value if the key doesn't exist.
    """
    decrement = integer(args[2])
    if decrement == INT64_MIN:
        raise ReplyError(DECREMENT_OVERFLOW)
    return counter.increment(ctx.db, args[1], -decrement)


@_command("incrbyfloat", 3, since="2.6.0", syntax="key increment", events="incrbyfloat")
def incrbyfloat(ctx: Context, args: list[bytes]) -> Reply:
    """Increment the floating point value of a key by a number.
    Uses 0 as initial value if the key doesn't exist.
    """
    return counter.increment_real(ctx.db, args[1], args[2])
