"""SCAN and its kin, and KEYS."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from tendis_py.commands.arguments import Option, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, Lane, command
from tendis_py.errors import INVALID_CURSOR, NO_NOVALUES, ReplyError, syntax_error
from tendis_py.numbers import format_double, strict_integer
from tendis_py.resp.replies import Reply, Stream
from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.cursors import Place
from tendis_py.storage.database import Database
from tendis_py.types import keys
from tendis_py.types.hash import values as hashes
from tendis_py.types.scan import Step
from tendis_py.types.set import members as sets
from tendis_py.types.zset import members as zsets

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
def scan(ctx: Context, args: list[bytes]) -> Reply:
    """Iterates over the key names in the database."""
    at = cursor(args[1])
    chosen = options(args, 2, _SCAN_OPTIONS)
    place = ctx.tx.keyspace.cursors.place(at)
    found, rest = keys.scan(
        ctx.db,
        place.position,
        chosen.get("count", DEFAULT_COUNT),
        chosen.get("match"),
        chosen.get("type"),
        at_least=place.at_least,
    )
    return _page(ctx, at, place, chosen, found, rest)


def _page(
    ctx: Context,
    at: int,
    place: Place,
    chosen: dict[str, Any],
    found: list[bytes],
    rest: bytes | None,
) -> Reply:
    """What was found from cursor ``at`` on, and the cursor for the ``rest``."""
    cursors = ctx.tx.keyspace.cursors
    if rest is None:
        cursors.end(at)
        return [b"0", found]
    looked_at = max(min(chosen.get("count", DEFAULT_COUNT), keys.MAX_COUNT), place.at_least)
    return [b"%d" % cursors.issue(rest, place.depth + looked_at, after=at), found]


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
def keys_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all key names that match a pattern."""
    return Stream(keys.matching(ctx.db, args[1]))


# Elements of a collection

Find = Callable[[Database, bytes], CollectionRow | None]
"""The row of a key for a reader; ReplyError when it is of another type."""

TakeStep = Callable[[Database, CollectionRow, Step], tuple[list[bytes], bytes | None]]
"""What a step returns to the client, and the element to go on from (None at the end)."""

ELEMENTS_COMPLEXITY = (
    "O(1) for every call. O(N) for a complete iteration, including enough command calls for the "
    "cursor to return back to 0. N is the number of elements inside the collection."
)


def scan_elements(
    ctx: Context, args: list[bytes], find: Find, take: TakeStep, take_names: TakeStep | None = None
) -> Reply:
    """The reply of HSCAN, SSCAN or ZSCAN. ``take_names`` is what it does instead of ``take`` with
    NOVALUES, where that is allowed.

    Errors in Redis' order: the cursor, the key's type, the options; a missing key hides those.
    """
    at = cursor(args[2])
    row = find(ctx.db, args[1])
    if row is None:
        return [b"0", []]
    chosen = options(args, 3, _ELEMENT_OPTIONS if take_names is None else _FIELD_OPTIONS)
    if take_names is not None and "novalues" in chosen:
        take = take_names
    place = ctx.tx.keyspace.cursors.place(at)
    step = Step(
        place.position, chosen.get("count", DEFAULT_COUNT), chosen.get("match"), place.at_least
    )
    found, rest = take(ctx.db, row, step)
    return _page(ctx, at, place, chosen, found, rest)


_ELEMENT_OPTIONS = {word: option for word, option in _SCAN_OPTIONS.items() if word != b"TYPE"}
_FIELD_OPTIONS = {**_ELEMENT_OPTIONS, b"NOVALUES": Option("novalues")}


@command(
    "hscan",
    -3,
    group="hash",
    since="2.8.0",
    flags="readonly",
    keys=Keys("RO access"),
    complexity=ELEMENTS_COMPLEXITY,
    tips=("nondeterministic_output",),
    syntax="key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
)
def hscan(ctx: Context, args: list[bytes]) -> Reply:
    """Iterates over fields and values of a hash."""
    return scan_elements(ctx, args, hashes.find, hashes.scan, hashes.scan_names)


@command(
    "sscan",
    -3,
    group="set",
    since="2.8.0",
    flags="readonly",
    keys=Keys("RO access"),
    complexity=ELEMENTS_COMPLEXITY,
    tips=("nondeterministic_output",),
    syntax="key cursor [MATCH pattern] [COUNT count]",
)
def sscan(ctx: Context, args: list[bytes]) -> Reply:
    """Iterates over members of a set."""
    return scan_elements(ctx, args, sets.find, sets.scan)


def _scan_zset(db: Database, row: CollectionRow, step: Step) -> tuple[list[bytes], bytes | None]:
    """Scores are text in RESP3, too: Redis prints those of large sorted sets in 17 digits."""
    found, rest = zsets.scan(db, row, step)
    form = b"%.17g".__mod__ if row.version else format_double
    return [part for member, score in found for part in (member, form(score))], rest


@command(
    "zscan",
    -3,
    group="sorted-set",
    since="2.8.0",
    flags="readonly",
    keys=Keys("RO access"),
    complexity=ELEMENTS_COMPLEXITY,
    tips=("nondeterministic_output",),
    syntax="key cursor [MATCH pattern] [COUNT count]",
)
def zscan(ctx: Context, args: list[bytes]) -> Reply:
    """Iterates over members and scores of a sorted set."""
    return scan_elements(ctx, args, zsets.find, _scan_zset)
