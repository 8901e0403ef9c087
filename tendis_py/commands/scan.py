"""SCAN and KEYS."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from tendis_py.commands.arguments import Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Lane, command
from tendis_py.errors import INVALID_CURSOR, NO_NOVALUES, ReplyError, syntax_error
from tendis_py.numbers import strict_integer
from tendis_py.resp.replies import Stream
from tendis_py.types import keys

DEFAULT_COUNT = 10

_LOOSE_CURSOR = re.compile(rb"[ \t\n\v\f\r]*[+-]?[0-9]+")


def cursor(argument: bytes) -> int:
    """A cursor: 64 bits, without a sign, as Redis' string2ull reads it (strtoull, but for a
    negative number in its canonical spelling)."""
    value = strict_integer(argument)
    if value is None and _LOOSE_CURSOR.fullmatch(argument):
        value = int(argument)
        if abs(value) < 2**64:
            return value % 2**64
        value = None
    if value is None or value < 0:
        raise ReplyError(INVALID_CURSOR)
    return value


def count(argument: bytes) -> int:
    """The number after COUNT."""
    value = integer(argument)
    if value < 1:
        raise syntax_error()
    return value


def _refuse_novalues() -> NoReturn:
    raise ReplyError(NO_NOVALUES)


_SCAN_OPTIONS = {
    b"MATCH": Option("match", bytes),
    b"COUNT": Option("count", count),
    b"TYPE": Option("type", keys.type_named),
    b"NOVALUES": Option("novalues", _refuse_novalues, values=0),
}


@command(
    "scan",
    -2,
    group="generic",
    since="2.8.0",
    flags="readonly",
    complexity=(
        "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
        "the cursor to return back to 0. N is the number of elements inside the collection."
    ),
    tips=("nondeterministic_output", "request_policy:special", "response_policy:special"),
    syntax="cursor [MATCH pattern] [COUNT count] [TYPE type]",
)
def scan(ctx: Context, args: list[bytes]) -> Any:
    """Iterates over the key names in the database."""
    at = cursor(args[1])
    chosen = options(args, 2, _SCAN_OPTIONS)
    cursors = ctx.tx.keyspace.cursors
    found, rest = keys.scan(
        ctx.db,
        cursors.position(at),
        chosen.get("count", DEFAULT_COUNT),
        chosen.get("match"),
        chosen.get("type"),
    )
    return [b"0" if rest is None else b"%d" % cursors.issue(rest, after=at), found]


@command(
    "keys",
    2,
    group="generic",
    since="1.0.0",
    flags="readonly",
    complexity=(
        "O(N) with N being the number of keys in the database, under the assumption that the key "
        "names in the database and the given pattern have limited length."
    ),
    lane=Lane.SLOW,
    categories="dangerous",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
    syntax="pattern",
)
def keys_(ctx: Context, args: list[bytes]) -> Any:
    """Returns all key names that match a pattern."""
    return Stream(keys.matching(ctx.db, args[1]))
