"""Commands on sorted integers, a type of Kvrocks': arguments, replies and errors are its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tendis_py.commands.arguments import columns, integer, unsigned
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    MAX_NOT_INTEGER,
    MIN_ABOVE_MAX,
    MIN_NOT_INTEGER,
    NOT_INTEGER,
    ReplyError,
    syntax_error,
)
from tendis_py.resp.replies import Replies, Reply, Stream
from tendis_py.storage.pacing import ITEMS_AT_ONCE, drain
from tendis_py.types import sorted_integers

_command = partial(command, group="sortedint", origin="Kvrocks")
_read = partial(_command, flags="readonly", keys=Keys("RO access"))

_EACH = "O(N log(M)) for N integers, where M is the number of integers that there are."
_PART = "O(log(M)+N) where M is the number of integers that there are, N of which are returned."


def _integers(args: list[bytes]) -> list[int]:
    """What stands behind the key."""
    found: list[int] = []
    for at in range(2, len(args), ITEMS_AT_ONCE):
        found += map(unsigned, args[at : at + ITEMS_AT_ONCE])
    return found


def _reply(found: Iterator[int]) -> Stream:
    return Stream(b"%d" % number for number in found)


def _siadd_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    run = columns(requests, 3)
    return run and sorted_integers.add_run(ctx.db, run[1][0], list(map(unsigned, run[2])))


@_command(
    "siadd",
    -3,
    since="1.0.2",
    flags="write denyoom fast",
    keys=Keys("RW insert"),
    complexity=_EACH,
    syntax="key integer [integer ...]",
    run_on_key=_siadd_run,
    events="siadd",
)
def siadd(ctx: Context, args: list[bytes]) -> Reply:
    """Adds one or more integers to sorted integers. Creates the key if it doesn't exist."""
    new = _integers(args)
    added = sorted_integers.add(ctx.db, args[1], new)
    drain(new)
    return added


@_command(
    "sirem",
    -3,
    since="1.0.2",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity=_EACH,
    syntax="key integer [integer ...]",
    events="sirem",
)
def sirem(ctx: Context, args: list[bytes]) -> Reply:
    """Removes one or more integers from sorted integers. Deletes the key with the last of them."""
    unwanted = _integers(args)
    removed = sorted_integers.remove(ctx.db, args[1], unwanted)
    drain(unwanted)
    return removed


@_command("sicard", 2, since="1.0.2", flags="readonly fast", keys=Keys("RO"), syntax="key")
def sicard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of integers in sorted integers."""
    row = sorted_integers.find(ctx.db, args[1])
    return 0 if row is None else row.count


@_command(
    "siexists",
    -3,
    since="1.1.20",
    flags="readonly fast",
    keys=Keys("RO access"),
    complexity=_EACH,
    syntax="key integer [integer ...]",
)
def siexists(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether one or more integers are in sorted integers."""
    wanted = _integers(args)
    row = sorted_integers.find(ctx.db, args[1])
    if row is None:
        return [0] * len(wanted)
    return list(map(int, sorted_integers.contains_many(ctx.db, row, wanted)))


# Ranges


def _page(ctx: Context, args: list[bytes], *, reverse: bool) -> Reply:
    """``limit`` integers (0: all) beyond the cursor, the first ``offset`` of them passed over.

    No cursor is cursor 0, and an integer is never beyond itself: as in Kvrocks, 0 is not returned.
    """
    offset, limit = unsigned(args[2]), unsigned(args[3])
    cursor = 0
    if len(args) == 6 and args[4].upper() == b"CURSOR":
        cursor = unsigned(args[5])
    elif len(args) > 4:
        raise syntax_error()
    row = sorted_integers.find(ctx.db, args[1])
    if row is None:
        return []
    low, end = (0, cursor) if reverse and cursor else (cursor + 1, sorted_integers.END)
    found = sorted_integers.select(
        ctx.db, row, low, end, reverse=reverse, offset=offset, limit=limit
    )
    return _reply(found)


@_read(
    "sirange", -4, since="1.0.2", complexity=_PART, syntax="key offset limit [CURSOR since-integer]"
)
def sirange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns integers in order, those after a cursor, by default 0.
    A limit of 0 is none."""
    return _page(ctx, args, reverse=False)


@_read(
    "sirevrange",
    -4,
    since="1.0.2",
    complexity=_PART,
    syntax="key offset limit [CURSOR max-integer]",
)
def sirevrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns integers in reverse order, those before a cursor, by default all but 0.
    A limit of 0 is none."""
    return _page(ctx, args, reverse=True)


def _bounds(low: bytes, high: bytes) -> tuple[int, int]:
    """The first integer of a range, and the one after its last."""
    if low == b"+inf" or high == b"-inf":
        raise ReplyError(MIN_ABOVE_MAX)
    first, end = 0, sorted_integers.END
    if low != b"-inf":
        exclusive = low.startswith(b"(")
        first = unsigned(low[exclusive:], MIN_NOT_INTEGER) + exclusive
    if high != b"+inf":
        exclusive = high.startswith(b"(")
        end = unsigned(high[exclusive:], MAX_NOT_INTEGER) + (not exclusive)
    return first, end


def _between(
    ctx: Context, args: list[bytes], low: bytes, high: bytes, *, reverse: bool = False
) -> Reply:
    first, end = _bounds(low, high)
    offset = limit = 0
    if len(args) == 7 and args[4].upper() == b"LIMIT":
        offset, limit = (max(0, integer(part, error=NOT_INTEGER)) for part in args[5:])
    elif len(args) > 4:
        raise syntax_error()
    row = sorted_integers.find(ctx.db, args[1])
    if row is None:
        return []
    found = sorted_integers.select(
        ctx.db, row, first, end, reverse=reverse, offset=offset, limit=limit
    )
    return _reply(found)


@_read(
    "sirangebyvalue",
    -4,
    since="1.1.31",
    complexity=_PART,
    syntax="key min max [LIMIT offset count]",
)
def sirangebyvalue(ctx: Context, args: list[bytes]) -> Reply:
    """Returns integers within a range of values, in order."""
    return _between(ctx, args, args[2], args[3])


@_read(
    "sirevrangebyvalue",
    -4,
    since="1.1.31",
    complexity=_PART,
    syntax="key max min [LIMIT offset count]",
)
def sirevrangebyvalue(ctx: Context, args: list[bytes]) -> Reply:
    """Returns integers within a range of values, in reverse order."""
    return _between(ctx, args, args[3], args[2], reverse=True)
