"""Commands on the deadlines of keys. A deadline is a Unix time in ms."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import MILLISECOND, SECOND, integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import expires_or_deletes
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    EXPIRE_GT_OR_LT,
    EXPIRE_NX_ALONE,
    ReplyError,
    invalid_expire,
    unsupported_option,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import Reply
from tendis_py.types import keys

NO_KEY, NO_DEADLINE = -2, -1

_CONDITIONS: dict[bytes, keys.Condition] = {
    b"NX": keys.has_none,
    b"XX": keys.has_one,
    b"GT": keys.is_later,
    b"LT": keys.is_sooner,
}

_set = partial(command, arity=-3, group="generic", flags="write fast", keys=Keys("RW update"))
_get = partial(
    command, arity=2, group="generic", flags="readonly fast", keys=Keys("RO access"), syntax="key"
)

# Setting


@_set("expire", since="1.0.0", syntax="key seconds [NX | XX | GT | LT]", events=expires_or_deletes)
def expire(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the expiration time of a key in seconds."""
    return _expire(ctx, args, SECOND, ctx.db.now)


@_set(
    "pexpire",
    since="2.6.0",
    syntax="key milliseconds [NX | XX | GT | LT]",
    events=expires_or_deletes,
)
def pexpire(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the expiration time of a key in milliseconds."""
    return _expire(ctx, args, MILLISECOND, ctx.db.now)


@_set(
    "expireat",
    since="1.2.0",
    syntax="key unix-time-seconds [NX | XX | GT | LT]",
    events=expires_or_deletes,
)
def expireat(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the expiration time of a key to a Unix timestamp."""
    return _expire(ctx, args, SECOND, 0)


@_set(
    "pexpireat",
    since="2.6.0",
    syntax="key unix-time-milliseconds [NX | XX | GT | LT]",
    events=expires_or_deletes,
)
def pexpireat(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the expiration time of a key to a Unix milliseconds timestamp."""
    return _expire(ctx, args, MILLISECOND, 0)


def _expire(ctx: Context, args: list[bytes], unit: int, base: int) -> int:
    conditions = _conditions(args[3:])
    number = integer(args[2])
    if unit == SECOND and abs(number) > INT64_MAX // SECOND:
        raise invalid_expire(args[0].lower().decode())
    at = number * unit + base
    if at > INT64_MAX:
        raise invalid_expire(args[0].lower().decode())
    return int(keys.expire(ctx.db, args[1], at, conditions))


def _conditions(words: list[bytes]) -> list[keys.Condition]:
    given = {word.upper(): word for word in words}
    for word in words:
        if word.upper() not in _CONDITIONS:
            raise unsupported_option(word)
    if b"NX" in given and len(given) > 1:
        raise ReplyError(EXPIRE_NX_ALONE)
    if b"GT" in given and b"LT" in given:
        raise ReplyError(EXPIRE_GT_OR_LT)
    return [_CONDITIONS[word] for word in given]


@command(
    "persist",
    2,
    group="generic",
    since="2.2.0",
    flags="write fast",
    keys=Keys("RW update"),
    syntax="key",
    events="persist",
)
def persist(ctx: Context, args: list[bytes]) -> Reply:
    """Removes the expiration time of a key."""
    return int(keys.persist(ctx.db, args[1]))


# Asking


@_get("ttl", since="1.0.0", tips=("nondeterministic_output",))
def ttl(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time in seconds of a key."""
    return _ask(ctx, args[1], SECOND, ctx.db.now)


@_get("pttl", since="2.6.0", tips=("nondeterministic_output",))
def pttl(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time in milliseconds of a key."""
    return _ask(ctx, args[1], MILLISECOND, ctx.db.now)


@_get("expiretime", since="7.0.0")
def expiretime(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time of a key as a Unix timestamp."""
    return _ask(ctx, args[1], SECOND, 0)


@_get("pexpiretime", since="7.0.0")
def pexpiretime(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time of a key as a Unix milliseconds timestamp."""
    return _ask(ctx, args[1], MILLISECOND, 0)


def _ask(ctx: Context, key: bytes, unit: int, base: int) -> int:
    """The deadline counted from ``base`` (ms), rounded to the nearest ``unit``."""
    deadline = keys.deadline(ctx.db, key)
    if deadline is None:
        return NO_KEY
    if not deadline:
        return NO_DEADLINE
    return (deadline - base + unit // 2) // unit
