"""Commands on the deadlines of a hash's fields, and those that read or write fields with them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tendis_py.commands.arguments import MILLISECOND, SECOND, integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import GENERIC, Fired, changed, fired, without_misses
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    EXPIRE_NEGATIVE,
    FIELDS_MISMATCH,
    FIELDS_MISSING,
    FIELDS_NUMBER,
    FIELDS_NUMBER_INVALID,
    FIELDS_NUMBER_ZERO,
    ONE_FIELD_CONDITION,
    ONE_FIELD_EXPIRY,
    ReplyError,
    invalid_expire,
    unknown_argument,
    wrong_arity,
)
from tendis_py.resp.replies import Reply
from tendis_py.storage.events import Event, Writes
from tendis_py.types import keys
from tendis_py.types.hash import expiry as hash_expiry
from tendis_py.types.hash import values as hashes

_command = partial(command, group="hash")

_FIELDS_GIVEN = "O(N) where N is the number of specified fields"
_INT32_MAX = 2**31 - 1

_CONDITIONS: dict[bytes, keys.Condition] = {
    b"NX": keys.has_none,
    b"XX": keys.has_one,
    b"GT": keys.is_later,
    b"LT": keys.is_sooner,
}

_EXPIRY = {
    b"EX": (SECOND, True),
    b"PX": (MILLISECOND, True),
    b"EXAT": (SECOND, False),
    b"PXAT": (MILLISECOND, False),
}
"""Word → unit, and whether the number counts from now on."""


def _deadline(argument: bytes, unit: int, base: int, name: str) -> int:
    """A deadline ``argument`` units after ``base``. ReplyError, in the name of command ``name``,
    when it is beyond what Redis has room for."""
    number = integer(argument)
    if number < 0:
        raise ReplyError(EXPIRE_NEGATIVE)
    deadline = number * unit + base
    if deadline > hash_expiry.MAX_DEADLINE:
        raise invalid_expire(name)
    return deadline


def _fields(args: list[bytes], at: int, error: str = FIELDS_NUMBER) -> list[bytes]:
    """The fields after the word FIELDS, which is to be at position ``at``, and their number;
    ``error`` answers one that is not positive."""
    if args[at].upper() != b"FIELDS":
        raise ReplyError(FIELDS_MISSING)
    number = integer(args[at + 1], 1, error=error)
    if number != len(args) - at - 2:
        raise ReplyError(FIELDS_MISMATCH)
    return args[at + 2 :]


# Setting

_set = partial(
    _command,
    arity=-6,
    since="7.4.0",
    flags="write fast",
    keys=Keys("RW update"),
    complexity=_FIELDS_GIVEN,
)
_OPTIONS = "[NX | XX | GT | LT] FIELDS numfields field [field ...]"


def _expire_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    deleted = isinstance(reply, list) and hash_expiry.DELETED in reply
    return changed(writes, "h", "hdel" if deleted else "hexpire", ctx.db.index, args[1])


@_set("hexpire", syntax=f"key seconds {_OPTIONS}", events=_expire_events)
def hexpire(ctx: Context, args: list[bytes]) -> Reply:
    """Set expiry for hash field using relative time to expire (seconds)"""
    return _expire(ctx, args, SECOND, ctx.db.now)


@_set("hpexpire", syntax=f"key milliseconds {_OPTIONS}", events=_expire_events)
def hpexpire(ctx: Context, args: list[bytes]) -> Reply:
    """Set expiry for hash field using relative time to expire (milliseconds)"""
    return _expire(ctx, args, MILLISECOND, ctx.db.now)


@_set("hexpireat", syntax=f"key unix-time-seconds {_OPTIONS}", events=_expire_events)
def hexpireat(ctx: Context, args: list[bytes]) -> Reply:
    """Set expiry for hash field using an absolute Unix timestamp (seconds)"""
    return _expire(ctx, args, SECOND, 0)


@_set("hpexpireat", syntax=f"key unix-time-milliseconds {_OPTIONS}", events=_expire_events)
def hpexpireat(ctx: Context, args: list[bytes]) -> Reply:
    """Set expiry for hash field using an absolute Unix timestamp (milliseconds)"""
    return _expire(ctx, args, MILLISECOND, 0)


def _expire(ctx: Context, args: list[bytes], unit: int, base: int) -> list[int]:
    hashes.check(ctx.db, args[1])
    at = _deadline(args[2], unit, base, args[0].lower().decode())
    condition = _CONDITIONS.get(args[3].upper())
    fields = _fields(args, 3 if condition is None else 4, FIELDS_NUMBER_ZERO)
    return hash_expiry.expire(ctx.db, args[1], fields, at, condition)


_given = partial(
    _command,
    arity=-5,
    complexity=_FIELDS_GIVEN,
    syntax="key FIELDS numfields field [field ...]",
)


@_given("hpersist", since="7.4.0", flags="write fast", keys=Keys("RW update"), events="hpersist")
def hpersist(ctx: Context, args: list[bytes]) -> Reply:
    """Removes the expiration time for each specified field"""
    hashes.check(ctx.db, args[1])
    return hash_expiry.persist(ctx.db, args[1], _fields(args, 2))


# Asking

_ask = partial(_given, since="7.4.0", flags="readonly fast", keys=Keys("RO access"))


@_ask("httl", tips=("nondeterministic_output",))
def httl(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the TTL in seconds of a hash field."""
    return _deadlines(ctx, args, SECOND, ctx.db.now)


@_ask("hpttl", tips=("nondeterministic_output",))
def hpttl(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the TTL in milliseconds of a hash field."""
    return _deadlines(ctx, args, MILLISECOND, ctx.db.now)


@_ask("hexpiretime")
def hexpiretime(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time of a hash field as a Unix timestamp, in seconds."""
    return _deadlines(ctx, args, SECOND, 0)


@_ask("hpexpiretime")
def hpexpiretime(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the expiration time of a hash field as a Unix timestamp, in msec."""
    return _deadlines(ctx, args, MILLISECOND, 0)


def _deadlines(ctx: Context, args: list[bytes], unit: int, base: int) -> list[int]:
    hashes.check(ctx.db, args[1])
    found = hash_expiry.deadlines(ctx.db, args[1], _fields(args, 2))
    return [at if at < 0 else -((base - at) // unit) for at in found]


# Reading and writing fields


@_given("hgetdel", since="8.0.0", flags="write fast", keys=Keys("RW access delete"), events="hdel")
def hgetdel(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the value of a field and deletes it from the hash."""
    hashes.check(ctx.db, args[1])
    return hashes.take(ctx.db, args[1], _fields(args, 2))


def _hgetex_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    yield from without_misses(ctx, args, reply, writes)
    name = "hpersist"
    if args[2].upper() in _EXPIRY:
        name = "hdel" if _hgetex_deadline(args, ctx.db.now) <= ctx.db.now else "hexpire"
    yield from changed(writes, "h", name, ctx.db.index, args[1])


def _hgetex_deadline(args: list[bytes], now: int) -> int:
    unit, relative = _EXPIRY[args[2].upper()]
    return _deadline(args[3], unit, now if relative else 0, "hgetex")


@_command(
    "hgetex",
    -5,
    since="8.0.0",
    flags="write fast",
    keys=Keys("RW access update", notes="RW and UPDATE because it changes the TTL"),
    complexity=_FIELDS_GIVEN,
    syntax=(
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]"
    ),
    events=_hgetex_events,
)
def hgetex(ctx: Context, args: list[bytes]) -> Reply:
    """Get the value of one or more fields of a given hash key, and optionally set their
    expiration.
    """
    hashes.check(ctx.db, args[1])
    word = args[2].upper()
    if word in _EXPIRY:
        deadline = _hgetex_deadline(args, ctx.db.now)
        if len(args) < 6:
            raise wrong_arity("hgetex")
        return hash_expiry.get_and_expire(ctx.db, args[1], _fields(args, 4), deadline)
    if word == b"PERSIST":
        return hash_expiry.get_and_expire(ctx.db, args[1], _fields(args, 3), None)
    return hashes.get_many(ctx.db, args[1], _fields(args, 2))


@dataclass(slots=True)
class _Chosen:
    """The options of HSETEX."""

    pairs: list[hashes.Pair]
    exist: bool | None = None
    at: int | None = None
    keep: bool = False


def _hsetex_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if not reply:
        return
    index, key, at = ctx.db.index, args[1], _hsetex_options(args, ctx.db.now).at
    is_gone = ctx.db.peek(key) is None
    never_was = is_gone and not writes.is_gone(index, key)
    yield from fired(writes, "h", "hset", index, key, new=never_was or None)
    if at is not None:
        yield Event("h", "hdel" if at <= ctx.db.now else "hexpire", index, key)
    if is_gone:
        yield Event(GENERIC, "del", index, key)


@_command(
    "hsetex",
    -6,
    since="8.0.0",
    flags="write denyoom fast",
    keys=Keys("RW update"),
    complexity="O(N) where N is the number of fields being set.",
    syntax=(
        "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]"
    ),
    events=_hsetex_events,
)
def hsetex(ctx: Context, args: list[bytes]) -> Reply:
    """Set the value of one or more fields of a given hash key, and optionally set their
    expiration.
    """
    chosen = _hsetex_options(args, ctx.db.now)
    done = hash_expiry.put_many(
        ctx.db, args[1], chosen.pairs, exist=chosen.exist, at=chosen.at, keep=chosen.keep
    )
    return int(done)


def _hsetex_options(args: list[bytes], now: int) -> _Chosen:
    """Options in any order; FIELDS ends them."""
    chosen = _Chosen([])
    at = 2
    while (word := args[at].upper()) != b"FIELDS":
        if word in _EXPIRY or word == b"KEEPTTL":
            if chosen.at is not None or chosen.keep:
                raise ReplyError(ONE_FIELD_EXPIRY)
            if word == b"KEEPTTL":
                chosen.keep = True
            else:
                at += 1
                unit, relative = _EXPIRY[word]
                chosen.at = _deadline(args[at], unit, now if relative else 0, "hsetex")
        elif word in (b"FNX", b"FXX"):
            if chosen.exist is not None:
                raise ReplyError(ONE_FIELD_CONDITION)
            chosen.exist = word == b"FXX"
        else:
            raise unknown_argument(args[at])
        at += 1
    chosen.pairs = _hsetex_pairs(args, at)
    return chosen


def _hsetex_pairs(args: list[bytes], at: int) -> list[hashes.Pair]:
    if at >= len(args) - 3:
        raise wrong_arity("hsetex")
    number = integer(args[at + 1], 1, _INT32_MAX, FIELDS_NUMBER_INVALID)
    if 2 * number != len(args) - at - 2:
        raise wrong_arity("hsetex")
    return list(zip(args[at + 2 :: 2], args[at + 3 :: 2], strict=True))
