"""String commands. GET and SET without options are the hot path: keep them this short."""

from __future__ import annotations

from functools import partial
from itertools import chain

from tendis_py.commands.arguments import (
    EXPIRY,
    MILLISECOND,
    SECOND,
    Expiry,
    Option,
    integer,
    options,
)
from tendis_py.commands.context import Context
from tendis_py.commands.events import (
    GENERIC,
    Fired,
    changed,
    deletes,
    expires_or_deletes,
    set_and_expire,
)
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.string.matching import MATCH_SYNTAX, MATCHES
from tendis_py.errors import OFFSET_RANGE, ReplyError, wrong_arity
from tendis_py.resp.replies import OK, Replies, Reply
from tendis_py.storage.events import Writes
from tendis_py.types.string import values as strings
from tendis_py.types.string.match import Match, put_matching

_command = partial(command, group="string")

_READ = Keys("RO access")
_UPDATE = Keys("RW access update")
_OVERWRITE = Keys("OW update")
_INSERT = Keys("OW insert")

_LINEAR_PART = (
    "O(N) where N is the length of the returned string. The complexity is ultimately determined by "
    "the returned length, but because creating a substring from an existing string is very cheap, "
    "it can be considered O(1) for small strings."
)


# Reading


def _get_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    return strings.get_run(ctx.db, [key for _, key in requests])


@_command("get", 2, since="1.0.0", flags="readonly fast", keys=_READ, syntax="key", run=_get_run)
def get(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the string value of a key."""
    return strings.get(ctx.db, args[1])


@_command(
    "mget",
    -2,
    since="1.0.0",
    flags="readonly fast",
    keys=Keys("RO access", last=-1),
    complexity="O(N) where N is the number of keys to retrieve.",
    tips=("request_policy:multi_shard",),
    syntax="key [key ...]",
)
def mget(ctx: Context, args: list[bytes]) -> Reply:
    """Atomically returns the string values of one or more keys."""
    return strings.get_many(ctx.db, args[1:])


@_command("strlen", 2, since="2.2.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def strlen(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the length of a string value."""
    return strings.length(ctx.db, args[1])


@_command(
    "getrange",
    4,
    since="2.4.0",
    flags="readonly",
    keys=_READ,
    complexity=_LINEAR_PART,
    syntax="key start end",
)
def getrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a substring of the string stored at a key."""
    return strings.part(ctx.db, args[1], integer(args[2]), integer(args[3]))


@_command(
    "substr",
    4,
    since="1.0.0",
    flags="readonly",
    keys=_READ,
    complexity=_LINEAR_PART,
    syntax="key start end",
)
def substr(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a substring from a string value."""
    return getrange(ctx, args)


# Writing

EXISTS = {b"NX": False, b"XX": True, None: None}
"""Condition → whether the key has to exist."""

_SET_OPTIONS = {
    **EXPIRY,
    b"KEEPTTL": Option("expiry"),
    b"NX": Option("condition"),
    b"XX": Option("condition"),
    **MATCHES,
    b"GET": Option("get"),
}


def _set_keys(args: list[bytes]) -> list[tuple[int, str]]:
    gets = b"GET" in (option.upper() for option in args[3:])
    return [(1, "RW access update" if gets else "OW update")]


def _set_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    if set(map(len, requests)) != {3}:
        return None
    _, keys, values = map(list, zip(*requests, strict=True))
    strings.put_all(ctx.db, keys, values)
    return [OK] * len(requests)


def _set_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    keeps = b"KEEPTTL" in (option.upper() for option in args[3:])
    return set_and_expire(ctx, args[1], writes, expires=not keeps)


def _setex_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    return set_and_expire(ctx, args[1], writes, expires=True)


def _mset_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    for key in args[1::2]:
        yield from writes.notes(key)
        yield from changed(writes, "$", "set", ctx.db.index, key)


def _msetnx_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    yield from writes.notes()  # it looks at all keys first
    yield from _mset_events(ctx, args, reply, writes)


@_command(
    "set",
    -3,
    since="1.0.0",
    flags="write denyoom",
    keys=Keys(
        "RW access update variable_flags",
        notes="RW and ACCESS due to the optional `GET` argument",
    ),
    find_keys=_set_keys,
    syntax=(
        f"key value [NX | XX | {MATCH_SYNTAX}] [GET] [EX seconds | PX milliseconds | "
        "EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"
    ),
    newer="IFEQ, IFNE, IFDEQ, IFDNE: Redis 8.4",
    run=_set_run,
    long_value=2,
    events=_set_events,
)
def set_(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."""
    if len(args) > 3:
        return _set_with_options(ctx, args)
    strings.put(ctx.db, args[1], args[2])
    return OK


def _set_with_options(ctx: Context, args: list[bytes]) -> Reply:
    key = args[1]
    chosen = options(args, 3, _SET_OPTIONS)
    expiry = chosen.get("expiry")
    deadline = expiry.deadline(ctx.db.now, "set") if isinstance(expiry, Expiry) else 0
    before = strings.get(ctx.db, key) if "get" in chosen else None
    condition, keeps = chosen.get("condition"), expiry == b"KEEPTTL"
    if isinstance(condition, Match):
        done = put_matching(ctx.db, key, args[2], condition, expire_at=deadline, keep_expiry=keeps)
    else:
        exists = EXISTS[condition]
        done = strings.put_if(
            ctx.db, key, args[2], exists=exists, expire_at=deadline, keep_expiry=keeps
        )
    if "get" in chosen:
        return before
    return OK if done else None


@_command(
    "setnx",
    3,
    since="1.0.0",
    flags="write denyoom fast",
    keys=_INSERT,
    syntax="key value",
    long_value=2,
    events="set",
)
def setnx(ctx: Context, args: list[bytes]) -> Reply:
    """Set the string value of a key only when the key doesn't exist."""
    return int(strings.put_if(ctx.db, args[1], args[2], exists=False))


@_command(
    "setex",
    4,
    since="2.0.0",
    flags="write denyoom",
    keys=_OVERWRITE,
    syntax="key seconds value",
    long_value=3,
    events=_setex_events,
)
def setex(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the string value and expiration time of a key. Creates the key if it doesn't exist."""
    deadline = Expiry(args[2], SECOND, relative=True).deadline(ctx.db.now, "setex")
    strings.put_if(ctx.db, args[1], args[3], expire_at=deadline)
    return OK


@_command(
    "psetex",
    4,
    since="2.6.0",
    flags="write denyoom",
    keys=_OVERWRITE,
    syntax="key milliseconds value",
    long_value=3,
    events=_setex_events,
)
def psetex(ctx: Context, args: list[bytes]) -> Reply:
    """Sets both string value and expiration time in milliseconds of a key.
    The key is created if it doesn't exist.
    """
    deadline = Expiry(args[2], MILLISECOND, relative=True).deadline(ctx.db.now, "psetex")
    strings.put_if(ctx.db, args[1], args[3], expire_at=deadline)
    return OK


def _mset_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    if not all(len(request) % 2 for request in requests):
        return None
    keys = chain.from_iterable([request[1::2] for request in requests])
    values = chain.from_iterable([request[2::2] for request in requests])
    strings.put_all(ctx.db, list(keys), list(values))
    return [OK] * len(requests)


@_command(
    "mset",
    -3,
    since="1.0.1",
    flags="write denyoom",
    keys=Keys("OW update", last=-1, step=2),
    complexity="O(N) where N is the number of keys to set.",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
    syntax="key value [key value ...]",
    run=_mset_run,
    events=_mset_events,
)
def mset(ctx: Context, args: list[bytes]) -> Reply:
    """Atomically creates or modifies the string values of one or more keys."""
    strings.put_all(ctx.db, *_columns(args, "mset"))
    return OK


@_command(
    "msetnx",
    -3,
    since="1.0.1",
    flags="write denyoom",
    keys=Keys("OW insert", last=-1, step=2),
    complexity="O(N) where N is the number of keys to set.",
    syntax="key value [key value ...]",
    events=_msetnx_events,
)
def msetnx(ctx: Context, args: list[bytes]) -> Reply:
    """Atomically modifies the string values of one or more keys only when all keys don't exist."""
    return int(strings.put_all_if(ctx.db, *_columns(args, "msetnx"), exists=False))


def _columns(args: list[bytes], name: str) -> tuple[list[bytes], list[bytes]]:
    """Keys and values."""
    if len(args) % 2 == 0:
        raise wrong_arity(name)
    return args[1::2], args[2::2]


@_command(
    "append",
    3,
    since="2.0.0",
    flags="write denyoom fast",
    keys=Keys("RW insert"),
    complexity=(
        "O(1). The amortized time complexity is O(1) assuming the appended value is small and the "
        "already present value is of any size, since the dynamic string library used by Redis will "
        "double the free space available on every reallocation."
    ),
    syntax="key value",
    long_value=2,
    events="append",
)
def append(ctx: Context, args: list[bytes]) -> Reply:
    """Appends a string to the value of a key. Creates the key if it doesn't exist."""
    return strings.append(ctx.db, args[1], args[2], ctx.services.config.proto_max_bulk_len)


@_command(
    "setrange",
    4,
    since="2.2.0",
    flags="write denyoom",
    keys=Keys("RW update"),
    complexity=(
        "O(1), not counting the time taken to copy the new string in place. Usually, this string "
        "is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M "
        "being the length of the value argument."
    ),
    syntax="key offset value",
    long_value=3,
    events="setrange",
)
def setrange(ctx: Context, args: list[bytes]) -> Reply:
    """Overwrites a part of a string value with another by an offset.
    Creates the key if it doesn't exist.
    """
    offset = integer(args[2])
    if offset < 0:
        raise ReplyError(OFFSET_RANGE)
    limit = ctx.services.config.proto_max_bulk_len
    return strings.overwrite(ctx.db, args[1], offset, args[3], limit)


# Reading and writing


@_command(
    "getset",
    3,
    since="1.0.0",
    flags="write denyoom fast",
    keys=_UPDATE,
    syntax="key value",
    long_value=2,
    events="set",
)
def getset(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the previous string value of a key after setting it to a new value."""
    before = strings.get(ctx.db, args[1])
    strings.put(ctx.db, args[1], args[2])
    return before


@_command(
    "getdel",
    2,
    since="6.2.0",
    flags="write fast",
    keys=Keys("RW access delete"),
    syntax="key",
    events=deletes,
)
def getdel(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the string value of a key after deleting the key."""
    return strings.take(ctx.db, args[1])


_GETEX_OPTIONS = {**EXPIRY, b"PERSIST": Option("expiry")}


def _getex_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index, key = ctx.db.index, args[1]
    if writes.is_gone(index, key) or writes.has_deadline(index, key):
        return expires_or_deletes(ctx, args, reply, writes)
    return changed(writes, GENERIC, "persist", index, key)


@_command(
    "getex",
    -2,
    since="6.2.0",
    flags="write fast",
    keys=Keys("RW access update", notes="RW and UPDATE because it changes the TTL"),
    syntax=(
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds | PERSIST]"
    ),
    events=_getex_events,
)
def getex(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the string value of a key after setting its expiration time."""
    expiry = options(args, 2, _GETEX_OPTIONS).get("expiry")
    row = strings.checked(ctx.db.find(args[1]))
    if row is None:
        return None
    value = strings.text(ctx.db, row)
    if isinstance(expiry, Expiry):
        strings.set_deadline(ctx.db, args[1], row, expiry.deadline(ctx.db.now, "getex"))
    elif expiry is not None:
        strings.set_deadline(ctx.db, args[1], row, 0)
    return value
