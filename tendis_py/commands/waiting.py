"""Commands that wait: each does what another does, and if there is nothing to do it with, waits.

XREAD and XREADGROUP, which may wait, are with the streams.
"""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer, milliseconds, natural, seconds, several
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed
from tendis_py.commands.list import is_left, lmove_events, lmpop_events, rpoplpush_events
from tendis_py.commands.list import pop_of_several as pop_of_lists
from tendis_py.commands.registry import Keys, Lane, command
from tendis_py.commands.zset.members import pop_of_several as pop_of_zsets
from tendis_py.commands.zset.members import zmpop_events
from tendis_py.resp.replies import NULL_ARRAY, Reply
from tendis_py.storage.codec import LIST, ZSET
from tendis_py.storage.events import Writes
from tendis_py.types.list import elements as lists
from tendis_py.types.zset import members as zsets

_list = partial(command, group="list", since="2.0.0", flags="write blocking")
_zset = partial(command, group="sorted-set", since="5.0.0", flags="write blocking fast")
_replicas = partial(
    command,
    group="generic",
    flags="blocking",
    categories="-keyspace connection",
    tips=("request_policy:all_shards", "response_policy:agg_min"),
)

NO_KIND = -1
"""Of a wait for no key."""

_TAKE = Keys("RW access delete")
_TAKE_ONE_OF = Keys("RW access delete", last=-2)
_TAKE_ONE_COUNTED = Keys("RW access delete", first=3, count=2)
_MOVE = (_TAKE, Keys("RW insert", first=2))


def _pop_events(
    ctx: Context,
    args: list[bytes],
    reply: Reply,
    writes: Writes,
    name: str = "",
    kind: str = "l",
) -> Fired:
    if isinstance(reply, list):
        yield from changed(writes, kind, name, ctx.db.index, reply[0])


def _blmpop_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    return lmpop_events(ctx, args[1:], reply, writes)


def _bzmpop_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    return zmpop_events(ctx, args[1:], reply, writes)


# Lists


def _pop(ctx: Context, args: list[bytes], *, left: bool) -> Reply:
    timeout = seconds(args[-1], ctx.db.now)
    keys = args[1:-1]
    for key in keys:
        popped = lists.pop(ctx.db, key, 1, left=left)
        if popped is not None:
            return [key, popped[0]]
    return ctx.wait(args, keys, timeout, LIST)


@_list(
    "blpop",
    -3,
    keys=_TAKE_ONE_OF,
    complexity="O(N) where N is the number of provided keys.",
    syntax="key [key ...] timeout",
    events=partial(_pop_events, name="lpop"),
)
def blpop(ctx: Context, args: list[bytes]) -> Reply:
    """Removes and returns the first element in a list. Blocks until an element is available \
otherwise. Deletes the list if the last element was popped."""
    return _pop(ctx, args, left=True)


@_list(
    "brpop",
    -3,
    keys=_TAKE_ONE_OF,
    complexity="O(N) where N is the number of provided keys.",
    syntax="key [key ...] timeout",
    events=partial(_pop_events, name="rpop"),
)
def brpop(ctx: Context, args: list[bytes]) -> Reply:
    """Removes and returns the last element in a list. Blocks until an element is available \
otherwise. Deletes the list if the last element was popped."""
    return _pop(ctx, args, left=False)


def _move(
    ctx: Context, args: list[bytes], timeout: float, *, from_left: bool, to_left: bool
) -> Reply:
    moved = lists.move(ctx.db, args[1], args[2], from_left=from_left, to_left=to_left)
    if moved is not None or ctx.nested:
        return moved
    return ctx.wait(args, args[1:2], timeout, LIST, claims=args[1:3])


@_list(
    "blmove",
    6,
    since="6.2.0",
    flags="write denyoom blocking",
    keys=_MOVE,
    syntax="source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    events=lmove_events,
)
def blmove(ctx: Context, args: list[bytes]) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it. Blocks until an \
element is available otherwise. Deletes the list if the last element was moved."""
    from_left, to_left = map(is_left, args[3:5])
    timeout = seconds(args[5], ctx.db.now)
    return _move(ctx, args, timeout, from_left=from_left, to_left=to_left)


@_list(
    "brpoplpush",
    4,
    since="2.2.0",
    flags="write denyoom blocking",
    keys=_MOVE,
    syntax="source destination timeout",
    events=rpoplpush_events,
)
def brpoplpush(ctx: Context, args: list[bytes]) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it. Block until an \
element is available otherwise. Deletes the list if the last element was popped."""
    timeout = seconds(args[3], ctx.db.now)
    return _move(ctx, args, timeout, from_left=False, to_left=True)


@_list(
    "blmpop",
    -5,
    since="7.0.0",
    keys=_TAKE_ONE_COUNTED,
    complexity=(
        "O(N+M) where N is the number of provided keys and M is the number of elements returned."
    ),
    syntax="timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    events=_blmpop_events,
)
def blmpop(ctx: Context, args: list[bytes]) -> Reply:
    """Pops the first element from one of multiple lists. Blocks until an element is available \
otherwise. Deletes the list if the last element was popped."""
    keys, end, count = several(args, 2)
    timeout = seconds(args[1], ctx.db.now)
    popped = pop_of_lists(ctx, keys, end, count)
    return ctx.wait(args, keys, timeout, LIST) if popped is NULL_ARRAY else popped


# Sorted sets


def _pop_member(ctx: Context, args: list[bytes], *, highest: bool) -> Reply:
    timeout = seconds(args[-1], ctx.db.now)
    keys = args[1:-1]
    for key in keys:
        pair = zsets.pop_one(ctx.db, key, highest=highest)
        if pair is not None:
            score, member = pair
            return [key, member, score]
    return ctx.wait(args, keys, timeout, ZSET)


@_zset(
    "bzpopmin",
    -3,
    keys=_TAKE_ONE_OF,
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    syntax="key [key ...] timeout",
    events=partial(_pop_events, name="zpopmin", kind="z"),
)
def bzpopmin(ctx: Context, args: list[bytes]) -> Reply:
    """Removes and returns the member with the lowest score from one or more sorted sets. Blocks \
until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _pop_member(ctx, args, highest=False)


@_zset(
    "bzpopmax",
    -3,
    keys=_TAKE_ONE_OF,
    complexity="O(log(N)) with N being the number of elements in the sorted set.",
    syntax="key [key ...] timeout",
    events=partial(_pop_events, name="zpopmax", kind="z"),
)
def bzpopmax(ctx: Context, args: list[bytes]) -> Reply:
    """Removes and returns the member with the highest score from one or more sorted sets. Blocks \
until a member available otherwise.  Deletes the sorted set if the last element was popped."""
    return _pop_member(ctx, args, highest=True)


@_zset(
    "bzmpop",
    -5,
    since="7.0.0",
    flags="write blocking",
    keys=_TAKE_ONE_COUNTED,
    complexity=(
        "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements "
        "in the sorted set, and M being the number of elements popped."
    ),
    syntax="timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
    events=_bzmpop_events,
)
def bzmpop(ctx: Context, args: list[bytes]) -> Reply:
    """Removes and returns a member by score from one or more sorted sets. Blocks until a member \
is available otherwise. Deletes the sorted set if the last element was popped."""
    keys, end, count = several(args, 2, (b"MIN", b"MAX"))
    timeout = seconds(args[1], ctx.db.now)
    popped = pop_of_zsets(ctx, keys, end, count)
    return ctx.wait(args, keys, timeout, ZSET) if popped is NULL_ARRAY else popped


# Replicas, of which there are none


@_replicas("wait", 3, since="3.0.0", syntax="numreplicas timeout")
def wait(ctx: Context, args: list[bytes]) -> Reply:
    """Blocks until the asynchronous replication of all preceding write commands sent by the \
connection is completed."""
    wanted = integer(args[1])
    timeout = milliseconds(args[2], ctx.db.now)
    return ctx.wait(args, (), timeout / 1000, NO_KIND, timed_out=0) if wanted > 0 else 0


@_replicas("waitaof", 4, since="7.2.0", lane=Lane.SLOW, syntax="numlocal numreplicas timeout")
def waitaof(ctx: Context, args: list[bytes]) -> Reply:
    """Blocks until all of the preceding write commands sent by the connection are written to the \
append-only file of the master and/or replicas.

    Rather than wait for the next fsync, it makes one.
    """
    integer(args[1], 0, 1)
    wanted = natural(args[2])
    timeout = milliseconds(args[3], ctx.db.now)
    ctx.tx.wants_sync = True
    synced = [1, 0]
    return ctx.wait(args, (), timeout / 1000, NO_KIND, timed_out=synced) if wanted else synced
