"""INCREX: counting within bounds, with a deadline, of Redis 8.8.

Its manual: "When the computed result would fall outside an explicit LBOUND/UBOUND or the type
limits, the default is to skip the operation and reply with [current_value, 0], leaving the key and
its TTL untouched. The SATURATE flag changes this behavior so the result is capped at the bound
instead." What it leaves open, errors and their order, is that of its tests
(tests/unit/type/increx.tcl).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from tendis_py.commands.arguments import EXPIRY, Expiry, Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.events import GENERIC, Fired, fired
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    BOUNDS_CROSSED,
    ENX_ALONE,
    INCREMENT_INFINITE,
    ReplyError,
    not_a_float,
    not_an_integer,
    syntax_error,
)
from tendis_py.numbers import INT64_MAX, INT64_MIN
from tendis_py.resp.replies import Digits, Reply
from tendis_py.storage.events import Event, Writes
from tendis_py.types import long_double
from tendis_py.types.long_double import GREATEST, LongDouble
from tendis_py.types.string import bounded
from tendis_py.types.string.bounded import Deadlines, Number, Step

_WORDS = {
    b"BYINT": Option("by", lambda number: (False, number)),
    b"BYFLOAT": Option("by", lambda number: (True, number)),
    b"LBOUND": Option("low", bytes),
    b"UBOUND": Option("high", bytes),
    b"SATURATE": Option("saturate"),
    **EXPIRY,
    b"PERSIST": Option("expiry"),
    b"ENX": Option("enx"),
}
_OPTIONS = {word: replace(option, once=True) for word, option in _WORDS.items()}


_DEADLINES = frozenset((b"EX", b"PX", b"EXAT", b"PXAT"))


def _increx_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index, key = ctx.db.index, args[1]
    if not writes.changed(index, key):
        return
    words = {argument.upper() for argument in args[2:]}
    name = "incrbyfloat" if b"BYFLOAT" in words else "incrby"
    yield from fired(writes, "$", name, index, key)
    if writes.has_deadline(index, key) and not words.isdisjoint(_DEADLINES):
        yield Event(GENERIC, "expire", index, key)


@command(
    "increx",
    -2,
    group="string",
    since="8.8.0",
    flags="write denyoom fast",
    keys=Keys("RW access update"),
    syntax=(
        "key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound] [UBOUND upperbound] "
        "[SATURATE] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
        "PXAT unix-time-milliseconds | PERSIST] [ENX]"
    ),
    events=_increx_events,
)
def increx(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the numeric value of a key by a number and sets its expiration time.
    Uses 0 as initial value if the key doesn't exist.
    """
    chosen = options(args, 2, _OPTIONS)
    expiry = chosen.get("expiry")
    if "enx" in chosen and not isinstance(expiry, Expiry):
        raise ReplyError(ENX_ALONE) if expiry is None else syntax_error()
    real, by = chosen.get("by", (False, b"1"))
    if real:
        step = _step(chosen, _long_double, by, -GREATEST, GREATEST)
        if step.by.infinite:
            raise ReplyError(INCREMENT_INFINITE)
        found = bounded.step_real(ctx.db, args[1], step, _deadlines(ctx, chosen))
        return [Digits(bytes(number)) for number in found]
    whole = _step(chosen, _integer, by, INT64_MIN, INT64_MAX)
    return list(bounded.step_integer(ctx.db, args[1], whole, _deadlines(ctx, chosen)))


def _step(
    chosen: dict[str, Any],
    read: Callable[[bytes, str], Number],
    by: bytes,
    low: Number,
    high: Number,
) -> Step[Number]:
    """``low`` and ``high`` are the limits of the type."""
    increment = read(by, "Increment")
    if "low" in chosen:
        low = read(chosen["low"], "LBOUND")
    if "high" in chosen:
        high = read(chosen["high"], "UBOUND")
    if not low <= high:
        raise ReplyError(BOUNDS_CROSSED)
    return Step(increment, low, high, "saturate" in chosen)


def _integer(argument: bytes, what: str) -> int:
    return integer(argument, error=not_an_integer(what))


def _long_double(argument: bytes, what: str) -> LongDouble:
    number = long_double.parse(argument)
    if number is None:
        raise ReplyError(not_a_float(what))
    return number


def _deadlines(ctx: Context, chosen: dict[str, Any]) -> Deadlines:
    expiry = chosen.get("expiry")
    if expiry is None:
        return lambda old: old
    if not isinstance(expiry, Expiry):
        return lambda old: 0
    new = expiry.deadline(ctx.db.now, "increx")
    return partial(_if_none, new) if "enx" in chosen else lambda old: new


def _if_none(new: int, old: int) -> int:
    return old or new
