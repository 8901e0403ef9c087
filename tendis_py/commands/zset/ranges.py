"""Sorted set commands on ranges: by index, by score, by member."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import stores
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.zset.members import members_reply, pairs_reply
from tendis_py.errors import (
    LEX_BOUND,
    SCORE_BOUND,
    ZRANGE_LIMIT_BY_RANK,
    ZRANGE_WITHSCORES_BY_LEX,
    ReplyError,
    syntax_error,
)
from tendis_py.resp.replies import Reply
from tendis_py.types.zset import members as zsets
from tendis_py.types.zset import ranges
from tendis_py.types.zset.ranges import ByMember, ByRank, ByScore, Range

_command = partial(command, group="sorted-set")

_READ = Keys("RO access")

# Bounds

_BOUND = re.compile(
    rb"[+-]?(?:(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|inf(?:inity)?)|", re.IGNORECASE
)


def _score_bound(argument: bytes) -> tuple[float, bool]:
    """A score, and whether it is exclusive: after a ``(``. Nothing at all is 0, as to Redis; what
    follows a NUL is not looked at, and too large a number is infinite."""
    exclusive = argument[:1] == b"("
    text = argument[exclusive:].partition(b"\0")[0]
    if not _BOUND.fullmatch(text):
        raise ReplyError(SCORE_BOUND)
    return float(text or 0), exclusive


def by_rank(start: bytes, stop: bytes) -> ByRank:
    return ByRank(integer(start), integer(stop))


def by_score(low: bytes, high: bytes) -> ByScore:
    (least, low_exclusive), (greatest, high_exclusive) = _score_bound(low), _score_bound(high)
    return ByScore(least, greatest, low_exclusive, high_exclusive)


def by_member(low: bytes, high: bytes) -> ByMember:
    """``[`` and ``(`` before a member include and exclude it; ``-`` and ``+`` are before and
    after all."""
    first, last = _member_bound(low, after_included=False), _member_bound(high, after_included=True)
    return ByMember(b"", b"") if first is None else ByMember(first, last)


def _member_bound(argument: bytes, *, after_included: bool) -> bytes | None:
    """The member that is the bound, one not included counting as the next; None after all."""
    kind, member = argument[:1], argument[1:]
    if kind in (b"-", b"+") and member[:1] in (b"", b"\0"):
        return b"" if kind == b"-" else None
    if kind not in (b"[", b"("):
        raise ReplyError(LEX_BOUND)
    return member + b"\0" if (kind == b"[") is after_included else member


# Reading


_ReadRange = Callable[[bytes, bytes], Range]


@dataclass(slots=True)
class _Question:
    """What ZRANGE and its kin are asked for. ``read`` makes a range of the two bounds. What a
    command has settled itself is not None."""

    read: _ReadRange | None = None
    reverse: bool | None = None
    offset: int = 0
    limit: int = -1
    with_scores: bool = False

    def parse(self, args: list[bytes], start: int, *, stores: bool = False) -> Range:
        """The range that the two arguments before ``start`` are the bounds of, by the options from
        there on. What is settled already is no option."""
        position = start
        while position < len(args):
            word = args[position].upper()
            if word == b"WITHSCORES" and not stores:
                self.with_scores = True
            elif word == b"LIMIT" and position + 2 < len(args):
                self.offset, self.limit = integer(args[position + 1]), integer(args[position + 2])
                position += 2
            elif word == b"REV" and self.reverse is None:
                self.reverse = True
            elif word in _READERS and self.read is None:
                self.read = _READERS[word]
            else:
                raise syntax_error()
            position += 1
        read = self.read or by_rank
        if self.limit != -1 and read is by_rank:
            raise ReplyError(ZRANGE_LIMIT_BY_RANK)
        if self.with_scores and read is by_member:
            raise ReplyError(ZRANGE_WITHSCORES_BY_LEX)
        low, high = args[start - 2 : start]
        return read(high, low) if self.reverse and read is not by_rank else read(low, high)


_READERS: dict[bytes, _ReadRange] = {b"BYSCORE": by_score, b"BYLEX": by_member}


def _answer(ctx: Context, args: list[bytes], question: _Question) -> Reply:
    wanted = question.parse(args, 4)
    row = zsets.find(ctx.db, args[1])
    if row is None:
        return []
    pairs = ranges.select(
        ctx.db,
        row,
        wanted,
        reverse=bool(question.reverse),
        offset=question.offset,
        limit=question.limit,
    )
    return pairs_reply(ctx, pairs) if question.with_scores else members_reply(pairs)


_RETURNED = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
    "elements returned."
)
_BEING_RETURNED = (
    "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
    "elements being returned. If M is constant (e.g. always asking for the first 10 elements with "
    "LIMIT), you can consider it O(log(N))."
)

_read_command = partial(_command, arity=-4, flags="readonly", keys=_READ)


@_read_command(
    "zrange",
    since="1.2.0",
    complexity=_RETURNED,
    syntax="key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
)
def zrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a range of indexes."""
    return _answer(ctx, args, _Question())


@_read_command(
    "zrevrange", since="1.2.0", complexity=_RETURNED, syntax="key start stop [WITHSCORES]"
)
def zrevrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a range of indexes in reverse order."""
    return _answer(ctx, args, _Question(by_rank, reverse=True))


@_read_command(
    "zrangebyscore",
    since="1.0.5",
    complexity=_BEING_RETURNED,
    syntax="key min max [WITHSCORES] [LIMIT offset count]",
)
def zrangebyscore(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a range of scores."""
    return _answer(ctx, args, _Question(by_score, reverse=False))


@_read_command(
    "zrevrangebyscore",
    since="2.2.0",
    complexity=_BEING_RETURNED,
    syntax="key max min [WITHSCORES] [LIMIT offset count]",
)
def zrevrangebyscore(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a range of scores in reverse order."""
    return _answer(ctx, args, _Question(by_score, reverse=True))


@_read_command(
    "zrangebylex",
    since="2.8.9",
    complexity=_BEING_RETURNED,
    syntax="key min max [LIMIT offset count]",
)
def zrangebylex(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a lexicographical range."""
    return _answer(ctx, args, _Question(by_member, reverse=False))


@_read_command(
    "zrevrangebylex",
    since="2.8.9",
    complexity=_BEING_RETURNED,
    syntax="key max min [LIMIT offset count]",
)
def zrevrangebylex(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members in a sorted set within a lexicographical range in reverse order."""
    return _answer(ctx, args, _Question(by_member, reverse=True))


@_command(
    "zrangestore",
    -5,
    since="6.2.0",
    flags="write denyoom",
    keys=(Keys("OW update"), Keys("RO access", first=2)),
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
        "elements stored into the destination key."
    ),
    syntax="dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
    events=stores("zrangestore", "z"),
)
def zrangestore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores a range of members from sorted set in a key."""
    question = _Question()
    wanted = question.parse(args, 5, stores=True)
    return ranges.store(
        ctx.db,
        args[1],
        args[2],
        wanted,
        reverse=bool(question.reverse),
        offset=question.offset,
        limit=question.limit,
    )


# Counting

_count_command = partial(
    _command,
    arity=4,
    flags="readonly fast",
    keys=_READ,
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    syntax="key min max",
)


@_count_command("zcount", since="2.0.0")
def zcount(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the count of members in a sorted set that have scores within a range."""
    return _count(ctx, args[1], by_score(args[2], args[3]))


@_count_command("zlexcount", since="2.8.9")
def zlexcount(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members in a sorted set within a lexicographical range."""
    return _count(ctx, args[1], by_member(args[2], args[3]))


def _count(ctx: Context, key: bytes, wanted: ByScore | ByMember) -> int:
    row = zsets.find(ctx.db, key)
    return 0 if row is None else ranges.count(ctx.db, row, wanted)


# Removing

_remove_command = partial(
    _command,
    arity=4,
    flags="write",
    keys=Keys("RW delete"),
    complexity=(
        "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
        "elements removed by the operation."
    ),
)


@_remove_command(
    "zremrangebyrank", since="2.0.0", syntax="key start stop", events="zremrangebyrank"
)
def zremrangebyrank(ctx: Context, args: list[bytes]) -> Reply:
    """Removes members in a sorted set within a range of indexes.
    Deletes the sorted set if all members were removed.
    """
    return _remove(ctx, args[1], by_rank(args[2], args[3]))


@_remove_command("zremrangebyscore", since="1.2.0", syntax="key min max", events="zremrangebyscore")
def zremrangebyscore(ctx: Context, args: list[bytes]) -> Reply:
    """Removes members in a sorted set within a range of scores.
    Deletes the sorted set if all members were removed.
    """
    return _remove(ctx, args[1], by_score(args[2], args[3]))


@_remove_command("zremrangebylex", since="2.8.9", syntax="key min max", events="zremrangebylex")
def zremrangebylex(ctx: Context, args: list[bytes]) -> Reply:
    """Removes members in a sorted set within a lexicographical range.
    Deletes the sorted set if all members were removed.
    """
    return _remove(ctx, args[1], by_member(args[2], args[3]))


def _remove(ctx: Context, key: bytes, wanted: Range) -> int:
    row = zsets.peek(ctx.db, key)
    return 0 if row is None else ranges.remove(ctx.db, key, row, wanted)
