"""Arguments that stream commands share: of XADD and XTRIM, of XDELEX and XACKDEL, of XREAD and
XREADGROUP."""

from __future__ import annotations

from dataclasses import dataclass

from tendis_py.commands.arguments import integer, milliseconds
from tendis_py.commands.context import Context
from tendis_py.errors import (
    MIN_IDLE_NEGATIVE,
    MIN_IDLE_NOT_INTEGER,
    NUMIDS_MISMATCH,
    NUMIDS_NOT_POSITIVE,
    TRIM_LIMIT_ALONE,
    TRIM_LIMIT_EXACT,
    TRIM_LIMIT_NEGATIVE,
    TRIM_MAXLEN_NEGATIVE,
    TRIM_NO_STRATEGY,
    TRIM_STRATEGIES,
    XREAD_CLAIM_OPTION,
    XREAD_GROUP_OPTION,
    XREAD_NOACK_OPTION,
    XREADGROUP_NO_GROUP,
    ReplyError,
    syntax_error,
    unbalanced_streams,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.types.stream import ids as stream_id
from tendis_py.types.stream.deletion import References
from tendis_py.types.stream.trimming import Trimming

REFERENCES = {
    b"KEEPREF": References.KEEP,
    b"DELREF": References.FORGET,
    b"ACKED": References.RESPECT,
}


def natural_or_zero(argument: bytes) -> int:
    """A count; a negative one means 0."""
    return max(integer(argument), 0)


# XADD and XTRIM

_NODES = 100
"""Nodes that approximate trimming removes at most, where no LIMIT is given."""
_LIMITS = (10_000, 1_000_000)
"""That number of entries when a node may have any number, and the highest ever."""


@dataclass(slots=True)
class AddOptions:
    """The options of XADD and XTRIM, filled while they are read."""

    position: int = 2
    """Where the options end: at XADD's ID."""
    length: int | None = None
    least: int | None = None
    whole_nodes: bool = False
    limit: int | None = None
    references: References | None = None
    creates: bool = True

    @property
    def trims(self) -> bool:
        return self.length is not None or self.least is not None

    def trimming(self, node_entries: int) -> Trimming:
        """``node_entries`` is what a node has at most (0: any number)."""
        limit = self.limit
        if limit is None:
            limit = 0
            if self.whole_nodes:
                usual, most = _LIMITS
                limit = min(_NODES * node_entries, most) or usual
        return Trimming(self.length, self.least, self.whole_nodes, limit)


def add_options(args: list[bytes], *, is_add: bool) -> AddOptions:
    """The options of XADD (``is_add``), up to its ID, or of XTRIM. ReplyError if they are wrong."""
    found = AddOptions()
    at, end = 2, len(args)
    while at < end:
        word = args[at].upper()
        more = at + 1 < end
        if is_add and word == b"*":
            break
        if word in (b"MAXLEN", b"MINID") and more:
            at = _read_strategy(found, args, at, word)
        elif word == b"LIMIT" and more:
            found.limit = integer(args[at + 1])
            if found.limit < 0:
                raise ReplyError(TRIM_LIMIT_NEGATIVE)
            at += 2
        elif is_add and word == b"NOMKSTREAM":
            found.creates = False
            at += 1
        elif word in REFERENCES and not found.references:
            found.references = REFERENCES[word]
            at += 1
        elif is_add:
            break
        else:
            raise syntax_error()
    found.position = at
    return found


def check_limit(found: AddOptions, *, is_add: bool) -> None:
    """ReplyError when the options do not go together."""
    if found.limit and not found.trims:
        raise ReplyError(TRIM_LIMIT_ALONE)
    if not is_add and not found.trims:
        raise ReplyError(TRIM_NO_STRATEGY)
    if found.limit is not None and not found.whole_nodes:
        raise ReplyError(TRIM_LIMIT_EXACT)


def _read_strategy(found: AddOptions, args: list[bytes], at: int, word: bytes) -> int:
    if found.trims:
        raise ReplyError(TRIM_STRATEGIES)
    at += 1
    if args[at] in (b"~", b"=") and at + 1 < len(args):
        found.whole_nodes = args[at] == b"~"
        at += 1
    if word == b"MAXLEN":
        found.length = integer(args[at])
        if found.length < 0:
            raise ReplyError(TRIM_MAXLEN_NEGATIVE)
    else:
        found.least = stream_id.parse(args[at])
    return at + 1


# XDELEX and XACKDEL


def referenced_ids(args: list[bytes], at: int) -> tuple[References, list[bytes]]:
    """``[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`` from position ``at`` on: what becomes
    of references, and the IDs, not looked at."""
    references, ids = None, None
    while at < len(args):
        word = args[at].upper()
        if word in REFERENCES and not references:
            references = REFERENCES[word]
            at += 1
        elif word == b"IDS" and at + 1 < len(args):
            number = integer(args[at + 1], 1, INT64_MAX, NUMIDS_NOT_POSITIVE)
            at += 2
            if number > len(args) - at:
                raise ReplyError(NUMIDS_MISMATCH)
            ids = args[at : at + number]
            at += number
        else:
            raise syntax_error()
    if ids is None:
        raise syntax_error()
    return references or References.KEEP, ids


# XREAD and XREADGROUP


@dataclass(slots=True)
class ReadOptions:
    """``ids`` are as given. ``count`` is None where there is no limit."""

    keys: list[bytes]
    ids: list[bytes]
    count: int | None = None
    group: bytes = b""
    consumer: bytes = b""
    acknowledges: bool = True
    block: int | None = None
    """For how many ms to wait, 0: for ever; None: not at all."""
    idle: int | None = None
    """Pending entries are claimed that were so many ms with nobody; None: none are."""


def read_options(ctx: Context, args: list[bytes], *, in_group: bool) -> ReadOptions:
    """The arguments of XREADGROUP (``in_group``) or XREAD. ReplyError if they are wrong."""
    found = ReadOptions([], [])
    grouped = False
    at, end = 1, len(args)
    while at < end:
        word = args[at].upper()
        more = end - at - 1
        if word == b"BLOCK" and more:
            found.block = milliseconds(args[at + 1], ctx.db.now)
            at += 2
        elif word == b"COUNT" and more:
            found.count = natural_or_zero(args[at + 1]) or None
            at += 2
        elif word == b"STREAMS" and more:
            found.keys, found.ids = _halves(args, at + 1, in_group)
            break
        elif word == b"GROUP" and more >= 2:
            if not in_group:
                raise ReplyError(XREAD_GROUP_OPTION)
            grouped, found.group, found.consumer = True, args[at + 1], args[at + 2]
            at += 3
        elif word == b"NOACK":
            if not in_group:
                raise ReplyError(XREAD_NOACK_OPTION)
            found.acknowledges = False
            at += 1
        elif word == b"CLAIM" and more:
            if not in_group:
                raise ReplyError(XREAD_CLAIM_OPTION)
            found.idle = integer(args[at + 1], error=MIN_IDLE_NOT_INTEGER)
            if found.idle < 0:
                raise ReplyError(MIN_IDLE_NEGATIVE)
            at += 2
        else:
            raise syntax_error()
    if not found.keys:
        raise syntax_error()
    if in_group and not grouped:
        raise ReplyError(XREADGROUP_NO_GROUP)
    return found


def _halves(args: list[bytes], at: int, in_group: bool) -> tuple[list[bytes], list[bytes]]:
    number, odd = divmod(len(args) - at, 2)
    if odd:
        name, ids = ("xreadgroup", "ID or '>'") if in_group else ("xread", "ID, '+', or '$'")
        raise unbalanced_streams(name, ids)
    return args[at : at + number], args[at + number :]
