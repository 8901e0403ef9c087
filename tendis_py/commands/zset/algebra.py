"""Sorted set commands on several keys: union, intersection, difference."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer, natural, real
from tendis_py.commands.context import Context
from tendis_py.commands.events import stores
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.zset.members import members_reply, pairs_reply
from tendis_py.errors import (
    LIMIT_NEGATIVE,
    WEIGHT_NOT_FLOAT,
    at_least_one_key,
    syntax_error,
)
from tendis_py.resp.replies import Reply
from tendis_py.types.zset import algebra
from tendis_py.types.zset import members as zsets

_command = partial(command, group="sorted-set")

_AGGREGATES = {
    b"SUM": algebra.total,
    b"MIN": algebra.least,
    b"MAX": algebra.greatest,
    b"COUNT": algebra.total,
}
_COUNT = b"COUNT"
"""Of Redis 8.8: "the scores in the input sets are ignored. Each set contributes its weight (default
1) per element, and the contributions are summed" (redis#14892)."""


class _Operation:
    """The arguments of all commands here, whose number of keys stands at ``at``. Errors in Redis'
    order: the number of keys, the types of the keys, the options."""

    __slots__ = ("_counts", "aggregate", "limit", "rows", "weights", "with_scores")

    def __init__(self, ctx: Context, name: str, args: list[bytes], at: int, words: str) -> None:
        number = integer(args[at])
        if number < 1:
            raise at_least_one_key(name)
        first, end = at + 1, at + 1 + number
        if end > len(args):
            raise syntax_error()
        self.rows = algebra.find_all(ctx.db, args[first:end])
        self.weights = [1.0] * number
        self.aggregate = algebra.total
        self._counts = False
        self.with_scores = False
        self.limit = 0
        self._parse(args, end, words.encode().split())

    def _parse(self, args: list[bytes], position: int, words: list[bytes]) -> None:
        number = len(self.weights)
        while position < len(args):
            word = args[position].upper()
            values = args[position + 1 :]
            if word not in words:
                raise syntax_error()
            if word == b"WITHSCORES":
                self.with_scores = True
                position += 1
            elif word == b"WEIGHTS" and len(values) >= number:
                self.weights = [real(value, WEIGHT_NOT_FLOAT) for value in values[:number]]
                position += 1 + number
            elif word == b"AGGREGATE" and values and values[0].upper() in _AGGREGATES:
                self.aggregate = _AGGREGATES[values[0].upper()]
                self._counts = values[0].upper() == _COUNT
                position += 2
            elif word == b"LIMIT" and values:
                self.limit = natural(values[0], LIMIT_NEGATIVE)
                position += 2
            else:
                raise syntax_error()

    def union(self, ctx: Context) -> algebra.Result:
        return algebra.union(ctx.db, self.rows, self.weights, self.aggregate, counts=self._counts)

    def intersection(self, ctx: Context) -> algebra.Result:
        return algebra.intersection(
            ctx.db, self.rows, self.weights, self.aggregate, counts=self._counts
        )

    def reply(self, ctx: Context, pairs: algebra.Result) -> Reply:
        ordered = algebra.in_order(pairs)
        return pairs_reply(ctx, ordered) if self.with_scores else members_reply(ordered)


_read_command = partial(
    _command, arity=-3, flags="readonly", keys=Keys("RO access", first=2, count=1)
)
_store_command = partial(
    _command,
    arity=-4,
    flags="write denyoom",
    keys=(Keys("OW update"), Keys("RO access", first=3, count=2)),
)

_KEYS = "numkeys key [key ...]"
_WEIGHTED = f"{_KEYS} [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>]"

_NEWER = "AGGREGATE COUNT: Redis 8.8"

_INTERSECTION_COST = (
    "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number "
    "of input sorted sets and M being the number of elements in the resulting sorted set."
)
_DIFFERENCE_COST = (
    "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is "
    "the size of the first set, and K is the size of the result set."
)


@_read_command(
    "zunion",
    since="6.2.0",
    complexity=(
        "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
        "the number of elements in the resulting sorted set."
    ),
    syntax=f"{_WEIGHTED} [WITHSCORES]",
    newer=_NEWER,
)
def zunion(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the union of multiple sorted sets."""
    asked = _Operation(ctx, "zunion", args, 1, "WEIGHTS AGGREGATE WITHSCORES")
    return asked.reply(ctx, asked.union(ctx))


@_read_command(
    "zinter",
    since="6.2.0",
    complexity=_INTERSECTION_COST,
    syntax=f"{_WEIGHTED} [WITHSCORES]",
    newer=_NEWER,
)
def zinter(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the intersect of multiple sorted sets."""
    asked = _Operation(ctx, "zinter", args, 1, "WEIGHTS AGGREGATE WITHSCORES")
    return asked.reply(ctx, asked.intersection(ctx))


@_read_command("zdiff", since="6.2.0", complexity=_DIFFERENCE_COST, syntax=f"{_KEYS} [WITHSCORES]")
def zdiff(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the difference between multiple sorted sets."""
    asked = _Operation(ctx, "zdiff", args, 1, "WITHSCORES")
    return asked.reply(ctx, algebra.difference(ctx.db, asked.rows))


@_read_command(
    "zintercard",
    since="7.0.0",
    complexity=(
        "O(N*K) worst case with N being the smallest input sorted set, K being the number of input "
        "sorted sets."
    ),
    syntax=f"{_KEYS} [LIMIT limit]",
)
def zintercard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members of the intersect of multiple sorted sets."""
    asked = _Operation(ctx, "zintercard", args, 1, "LIMIT")
    return algebra.count_intersection(ctx.db, asked.rows, asked.limit)


@_store_command(
    "zunionstore",
    since="2.0.0",
    complexity=(
        "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
        "the number of elements in the resulting sorted set."
    ),
    syntax=f"destination {_WEIGHTED}",
    newer=_NEWER,
    events=stores("zunionstore", "z"),
)
def zunionstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the union of multiple sorted sets in a key."""
    asked = _Operation(ctx, "zunionstore", args, 2, "WEIGHTS AGGREGATE")
    return zsets.store(ctx.db, args[1], asked.union(ctx))


@_store_command(
    "zinterstore",
    since="2.0.0",
    complexity=_INTERSECTION_COST,
    syntax=f"destination {_WEIGHTED}",
    newer=_NEWER,
    events=stores("zinterstore", "z"),
)
def zinterstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the intersect of multiple sorted sets in a key."""
    asked = _Operation(ctx, "zinterstore", args, 2, "WEIGHTS AGGREGATE")
    return zsets.store(ctx.db, args[1], asked.intersection(ctx))


@_store_command(
    "zdiffstore",
    since="6.2.0",
    complexity=_DIFFERENCE_COST,
    syntax=f"destination {_KEYS}",
    events=stores("zdiffstore", "z"),
)
def zdiffstore(ctx: Context, args: list[bytes]) -> Reply:
    """Stores the difference of multiple sorted sets in a key."""
    asked = _Operation(ctx, "zdiffstore", args, 2, "")
    return zsets.store(ctx.db, args[1], algebra.difference(ctx.db, asked.rows))
