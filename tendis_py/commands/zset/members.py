"""Sorted set commands on members: adding, scores, ranks, removing, popping, random ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tendis_py.commands.arguments import columns, integer, natural, real, several, two_by_two
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    VALUE_RANGE,
    ZADD_GT_LT_NX,
    ZADD_INCR_PAIRS,
    ZADD_NX_XX,
    ReplyError,
    syntax_error,
    wrong_arity,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import NULL_ARRAY, Replies, Reply, Stream
from tendis_py.storage.events import Writes
from tendis_py.storage.pacing import drain
from tendis_py.types.tail import rest
from tendis_py.types.zset import members as zsets
from tendis_py.types.zset import ranges, runs
from tendis_py.types.zset.forms import Pair

_command = partial(command, group="sorted-set")

Pairs = Iterable[Pair]
"""(score, member)."""


def members_reply(pairs: Pairs) -> Stream:
    return Stream(member for _, member in pairs)


def pairs_reply(ctx: Context, pairs: Pairs) -> Stream:
    """Members with their scores: RESP3 nests each pair, RESP2 does not."""
    if ctx.session.protocol == 2:
        return Stream(part for score, member in pairs for part in (member, score))
    return Stream((member, score) for score, member in pairs)


# Adding

_CONDITIONS = {
    b"NX": "only_new",
    b"XX": "only_existing",
    b"GT": "only_greater",
    b"LT": "only_less",
}
_ZADD_OPTIONS = {*_CONDITIONS, b"CH", b"INCR"}


def _zadd_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    found = columns(requests, 4)
    if found is None:
        return None
    _, keys, scores, members = found  # an option in place of a score is no number either
    return runs.add(ctx.db, keys[0], list(map(real, scores)), members)


def _zadd_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    name = "zincr" if b"INCR" in _zadd_options(args)[0] else "zadd"
    return changed(writes, "z", name, ctx.db.index, args[1])


@_command(
    "zadd",
    -4,
    since="1.2.0",
    flags="write denyoom fast",
    keys=Keys("RW update"),
    complexity=(
        "O(log(N)) for each item added, where N is the number of elements in the sorted set."
    ),
    syntax="key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
    run_on_key=_zadd_run,
    events=_zadd_events,
)
def zadd(ctx: Context, args: list[bytes]) -> Reply:
    """Adds one or more members to a sorted set, or updates their scores.
    Creates the key if it doesn't exist.
    """
    if len(args) == 4:
        return int(zsets.add_one(ctx.db, args[1], _only_score(args), args[3]))
    chosen, start = _zadd_options(args)
    if (len(args) - start) % 2 or start == len(args):
        raise syntax_error()
    _check_conditions(chosen)
    if b"INCR" in chosen:
        return _increment(ctx, args, chosen, start)
    pairs: list[Pair] = []
    for scores, members in two_by_two(args, start):
        pairs += zip(map(real, scores), members, strict=True)
    conditions = {name: True for word, name in _CONDITIONS.items() if word in chosen}
    added, changed = zsets.add(ctx.db, args[1], pairs, **conditions)
    drain(pairs)
    return added + changed if b"CH" in chosen else added


def _only_score(args: list[bytes]) -> float:
    """The number before the only member; ReplyError where an option stands there."""
    if args[2].upper() in _ZADD_OPTIONS:
        raise syntax_error()
    return real(args[2])


def _zadd_options(args: list[bytes]) -> tuple[set[bytes], int]:
    """The options, and where the first score stands."""
    chosen: set[bytes] = set()
    for position in range(2, len(args)):
        word = args[position].upper()
        if word not in _ZADD_OPTIONS:
            return chosen, position
        chosen.add(word)
    return chosen, len(args)


def _check_conditions(chosen: set[bytes]) -> None:
    if {b"NX", b"XX"} <= chosen:
        raise ReplyError(ZADD_NX_XX)
    if len(chosen & {b"NX", b"GT", b"LT"}) > 1:
        raise ReplyError(ZADD_GT_LT_NX)


def _increment(ctx: Context, args: list[bytes], chosen: set[bytes], start: int) -> float | None:
    if len(args) - start > 2:
        raise ReplyError(ZADD_INCR_PAIRS)
    by, member = real(args[start]), args[start + 1]
    conditions = {name: True for word, name in _CONDITIONS.items() if word in chosen}
    return zsets.increment(ctx.db, args[1], member, by, **conditions)


def _zincrby_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    found = columns(requests, 4)
    if found is None:
        return None
    _, keys, addends, members = found
    return runs.increment(ctx.db, keys[0], list(map(real, addends)), members)


@_command(
    "zincrby",
    4,
    since="1.2.0",
    flags="write denyoom fast",
    keys=Keys("RW access update"),
    complexity="O(log(N)) where N is the number of elements in the sorted set.",
    syntax="key increment member",
    run_on_key=_zincrby_run,
    events="zincr",
)
def zincrby(ctx: Context, args: list[bytes]) -> Reply:
    """Increments the score of a member in a sorted set."""
    return zsets.increment(ctx.db, args[1], args[3], _only_score(args))  # to Redis, ZADD with INCR


# Members


@_command("zcard", 2, since="1.2.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def zcard(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of members in a sorted set."""
    return zsets.size(ctx.db, args[1])


def _zscore_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    found = columns(requests, 3)
    return None if found is None else runs.scores(ctx.db, found[1][0], found[2])


@_command(
    "zscore",
    3,
    since="1.2.0",
    flags="readonly fast",
    keys=Keys("RO access"),
    syntax="key member",
    run_on_key=_zscore_run,
)
def zscore(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the score of a member in a sorted set."""
    return zsets.score(ctx.db, args[1], args[2])


@_command(
    "zmscore",
    -3,
    since="6.2.0",
    flags="readonly fast",
    keys=Keys("RO access"),
    complexity="O(N) where N is the number of members being requested.",
    syntax="key member [member ...]",
)
def zmscore(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the score of one or more members in a sorted set."""
    return zsets.scores(ctx.db, args[1], rest(args, 2))


@_command(
    "zrem",
    -3,
    since="1.2.0",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity=(
        "O(M*log(N)) with N being the number of elements in the sorted set and M the number of "
        "elements to be removed."
    ),
    syntax="key member [member ...]",
    events="zrem",
)
def zrem(ctx: Context, args: list[bytes]) -> Reply:
    """Removes one or more members from a sorted set.
    Deletes the sorted set if all members were removed.
    """
    return zsets.remove(ctx.db, args[1], rest(args, 2))


_rank_command = partial(
    _command,
    arity=-3,
    since="2.0.0",
    flags="readonly fast",
    keys=Keys("RO access"),
    complexity="O(log(N))",
    syntax="key member [WITHSCORE]",
)


@_rank_command("zrank")
def zrank(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the index of a member in a sorted set ordered by ascending scores."""
    return _rank(ctx, args, "zrank", reverse=False)


@_rank_command("zrevrank")
def zrevrank(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the index of a member in a sorted set ordered by descending scores."""
    return _rank(ctx, args, "zrevrank", reverse=True)


def _rank(ctx: Context, args: list[bytes], name: str, *, reverse: bool) -> Reply:
    if len(args) > 4:
        raise wrong_arity(name)
    with_score = len(args) == 4
    if with_score and args[3].upper() != b"WITHSCORE":
        raise syntax_error()
    found = ranges.rank(ctx.db, args[1], args[2], reverse=reverse)
    if found is None:
        return NULL_ARRAY if with_score else None
    return found if with_score else found[0]


# Popping


def _pop_run(ctx: Context, requests: list[list[bytes]], *, highest: bool) -> Replies | None:
    found = columns(requests, 2)
    if found is None:
        return None
    pairs = runs.pop(ctx.db, found[1][0], len(requests), highest=highest)
    return pairs and [[member, score] for score, member in pairs]


_pop_command = partial(
    _command,
    arity=-2,
    since="5.0.0",
    flags="write fast",
    keys=Keys("RW access delete"),
    complexity=(
        "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number "
        "of elements popped."
    ),
    syntax="key [count]",
)


@_pop_command("zpopmin", run_on_key=partial(_pop_run, highest=False), events="zpopmin")
def zpopmin(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the lowest-scoring members from a sorted set after removing them.
    Deletes the sorted set if the last member was popped.
    """
    return _pop(ctx, args, highest=False)


@_pop_command("zpopmax", run_on_key=partial(_pop_run, highest=True), events="zpopmax")
def zpopmax(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the highest-scoring members from a sorted set after removing them.
    Deletes the sorted set if the last member was popped.
    """
    return _pop(ctx, args, highest=True)


def _pop(ctx: Context, args: list[bytes], *, highest: bool) -> Reply:
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 2:
        pair = zsets.pop_one(ctx.db, args[1], highest=highest)
        return [] if pair is None else [pair[1], pair[0]]
    count = natural(args[2])
    row = zsets.peek(ctx.db, args[1])
    if row is None or count == 0:
        return []
    return pairs_reply(ctx, zsets.pop(ctx.db, args[1], row, count, highest=highest))


def zmpop_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if isinstance(reply, list):
        lowest = args[2 + integer(args[1])].upper() == b"MIN"
        name = "zpopmin" if lowest else "zpopmax"
        yield from changed(writes, "z", name, ctx.db.index, reply[0])


@_command(
    "zmpop",
    -4,
    since="7.0.0",
    flags="write",
    keys=Keys("RW access delete", first=2, count=1),
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements "
        "in the sorted set, and M being the number of elements popped."
    ),
    syntax="numkeys key [key ...] <MIN | MAX> [COUNT count]",
    events=zmpop_events,
)
def zmpop(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the highest- or lowest-scoring members from one or more sorted sets after removing
    them. Deletes the sorted set if the last member was popped.
    """
    return pop_of_several(ctx, *several(args, 1, (b"MIN", b"MAX")))


def pop_of_several(ctx: Context, keys: list[bytes], end: bytes, count: int) -> Reply:
    for key in keys:
        row = zsets.peek(ctx.db, key)
        if row is not None:
            pairs = zsets.pop(ctx.db, key, row, count, highest=end == b"MAX")
            return [key, [(member, score) for score, member in pairs]]
    return NULL_ARRAY


# Random


@_command(
    "zrandmember",
    -2,
    since="6.2.0",
    flags="readonly",
    keys=Keys("RO access"),
    complexity="O(N) where N is the number of members returned",
    tips=("nondeterministic_output",),
    syntax="key [count [WITHSCORES]]",
)
def zrandmember(ctx: Context, args: list[bytes]) -> Reply:
    """Returns one or more random members from a sorted set."""
    if len(args) == 2:
        row = zsets.find(ctx.db, args[1])
        return None if row is None else next(ranges.random(ctx.db, row, 1))[1]
    count = integer(args[2], -INT64_MAX)
    with_scores = len(args) > 3
    if with_scores:
        if len(args) > 4 or args[3].upper() != b"WITHSCORES":
            raise syntax_error()
        if abs(count) > INT64_MAX // 2:
            raise ReplyError(VALUE_RANGE)
    row = zsets.find(ctx.db, args[1])
    if row is None or count == 0:
        return []
    pairs = ranges.random(ctx.db, row, count)
    return pairs_reply(ctx, pairs) if with_scores else members_reply(pairs)
