"""List commands, but for those that wait. LPUSH, RPUSH, LPOP, RPOP and LRANGE are the hot path."""

from __future__ import annotations

from functools import partial
from itertools import islice

from tendis_py.commands.arguments import Option, columns, integer, natural, options, several
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed, ended, fired
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    INDEX_RANGE,
    LPOS_COUNT_NEGATIVE,
    LPOS_MAXLEN_NEGATIVE,
    LPOS_RANK_ZERO,
    ReplyError,
    syntax_error,
    wrong_arity,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import NULL_ARRAY, OK, Replies, Reply, Stream
from tendis_py.storage.codec import LIST
from tendis_py.storage.events import Event, Writes
from tendis_py.types import collection
from tendis_py.types.list import edit as list_edit
from tendis_py.types.list import elements as lists
from tendis_py.types.tail import rest

_command = partial(command, group="list")

_READ = Keys("RO access")
_TAKE = Keys("RW access delete")
_INSERT = Keys("RW insert")
_DELETE = Keys("RW delete")

_PER_ELEMENT = (
    "O(1) for each element added, so O(N) to add N elements when the command is called with "
    "multiple arguments."
)
_PER_ELEMENT_POPPED = "O(N) where N is the number of elements returned"

_ENDS = {b"LEFT": True, b"RIGHT": False}
"""Word → whether that is the left end."""


def is_left(argument: bytes) -> bool:
    """Of LEFT or RIGHT."""
    left = _ENDS.get(argument.upper())
    if left is None:
        raise syntax_error()
    return left


# Reading


@_command("llen", 2, since="1.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def llen(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the length of a list."""
    return lists.length(ctx.db, args[1])


@_command(
    "lrange",
    4,
    since="1.0.0",
    flags="readonly",
    keys=_READ,
    complexity=(
        "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest "
        "end (HEAD or TAIL) for large lists; and N is the number of elements in the specified "
        "range."
    ),
    syntax="key start stop",
)
def lrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a range of elements from a list."""
    found = lists.part(ctx.db, args[1], integer(args[2]), integer(args[3]))
    return found if isinstance(found, list) else Stream(found)


@_command(
    "lindex",
    3,
    since="1.0.0",
    flags="readonly",
    keys=_READ,
    complexity=(
        "O(N) where N is the number of elements to traverse to get to the element at index. This "
        "makes asking for the first or the last element of the list O(1)."
    ),
    syntax="key index",
)
def lindex(ctx: Context, args: list[bytes]) -> Reply:
    """Returns an element from a list by its index."""
    row = collection.find(ctx.db, args[1], LIST)
    return None if row is None else lists.at(ctx.db, row, integer(args[2]))


def _rank(argument: bytes) -> int:
    rank = integer(argument, -INT64_MAX)
    if rank == 0:
        raise ReplyError(LPOS_RANK_ZERO)
    return rank


_LPOS_OPTIONS = {
    b"RANK": Option("rank", _rank),
    b"COUNT": Option("count", partial(natural, error=LPOS_COUNT_NEGATIVE)),
    b"MAXLEN": Option("maxlen", partial(natural, error=LPOS_MAXLEN_NEGATIVE)),
}


@_command(
    "lpos",
    -3,
    since="6.0.6",
    flags="readonly",
    keys=_READ,
    complexity=(
        "O(N) where N is the number of elements in the list, for the average case. When searching "
        "for elements near the head or the tail of the list, or when the MAXLEN option is "
        "provided, the command may run in constant time."
    ),
    syntax="key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
)
def lpos(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the index of matching elements in a list."""
    chosen = options(args, 3, _LPOS_OPTIONS)
    rank = chosen.get("rank", 1)
    count = chosen.get("count")
    row = collection.find(ctx.db, args[1], LIST)
    if row is None:
        return None if count is None else []
    found = lists.ranks(
        ctx.db,
        row,
        args[2],
        skip=abs(rank) - 1,
        looks=chosen.get("maxlen", 0),
        reverse=rank < 0,
    )
    if count is None:
        return next(found, None)
    return list(islice(found, count or None))


# Adding


def _push(ctx: Context, args: list[bytes], *, left: bool, create: bool = True) -> int:
    return lists.push(ctx.db, args[1], rest(args, 2), left=left, create=create)


def _push_run(ctx: Context, requests: list[list[bytes]], *, left: bool) -> Replies | None:
    run = columns(requests, 3)
    return run and lists.push_run(ctx.db, run[1][0], run[2], left=left)


@_command(
    "lpush",
    -3,
    since="1.0.0",
    flags="write denyoom fast",
    keys=_INSERT,
    complexity=_PER_ELEMENT,
    syntax="key element [element ...]",
    run_on_key=partial(_push_run, left=True),
    events="lpush",
)
def lpush(ctx: Context, args: list[bytes]) -> Reply:
    """Prepends one or more elements to a list. Creates the key if it doesn't exist."""
    return _push(ctx, args, left=True)


@_command(
    "rpush",
    -3,
    since="1.0.0",
    flags="write denyoom fast",
    keys=_INSERT,
    complexity=_PER_ELEMENT,
    syntax="key element [element ...]",
    run_on_key=partial(_push_run, left=False),
    events="rpush",
)
def rpush(ctx: Context, args: list[bytes]) -> Reply:
    """Appends one or more elements to a list. Creates the key if it doesn't exist."""
    return _push(ctx, args, left=False)


@_command(
    "lpushx",
    -3,
    since="2.2.0",
    flags="write denyoom fast",
    keys=_INSERT,
    complexity=_PER_ELEMENT,
    syntax="key element [element ...]",
    events="lpush",
)
def lpushx(ctx: Context, args: list[bytes]) -> Reply:
    """Prepends one or more elements to a list only when the list exists."""
    return _push(ctx, args, left=True, create=False)


@_command(
    "rpushx",
    -3,
    since="2.2.0",
    flags="write denyoom fast",
    keys=_INSERT,
    complexity=_PER_ELEMENT,
    syntax="key element [element ...]",
    events="rpush",
)
def rpushx(ctx: Context, args: list[bytes]) -> Reply:
    """Appends an element to a list only when the list exists."""
    return _push(ctx, args, left=False, create=False)


_SIDES = {b"BEFORE": False, b"AFTER": True}
"""Word → whether that is behind the pivot."""


@_command(
    "linsert",
    5,
    since="2.2.0",
    flags="write denyoom",
    keys=_INSERT,
    complexity=(
        "O(N) where N is the number of elements to traverse before seeing the value pivot. This "
        "means that inserting somewhere on the left end on the list (head) can be considered O(1) "
        "and inserting somewhere on the right end (tail) is O(N)."
    ),
    syntax="key <BEFORE | AFTER> pivot element",
    events="linsert",
)
def linsert(ctx: Context, args: list[bytes]) -> Reply:
    """Inserts an element before or after another element in a list."""
    after = _SIDES.get(args[2].upper())
    if after is None:
        raise syntax_error()
    return list_edit.insert(ctx.db, args[1], args[3], args[4], after=after)


# Taking away


def _pop_run(ctx: Context, requests: list[list[bytes]], *, left: bool) -> Replies | None:
    first = requests[0]
    if len(first) != 2 or requests.count(first) < len(requests):
        return None
    return lists.pop_run(ctx.db, first[1], len(requests), left=left)


def _pop(ctx: Context, args: list[bytes], name: str, *, left: bool) -> Reply:
    if len(args) == 2:
        popped = lists.pop(ctx.db, args[1], 1, left=left)
        return popped and popped[0]
    if len(args) > 3:
        raise wrong_arity(name)
    popped = lists.pop(ctx.db, args[1], natural(args[2]), left=left)
    return NULL_ARRAY if popped is None else popped


@_command(
    "lpop",
    -2,
    since="1.0.0",
    flags="write fast",
    keys=_TAKE,
    complexity=_PER_ELEMENT_POPPED,
    syntax="key [count]",
    run_on_key=partial(_pop_run, left=True),
    events="lpop",
)
def lpop(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the first elements in a list after removing it.
    Deletes the list if the last element was popped.
    """
    return _pop(ctx, args, "lpop", left=True)


@_command(
    "rpop",
    -2,
    since="1.0.0",
    flags="write fast",
    keys=_TAKE,
    complexity=_PER_ELEMENT_POPPED,
    syntax="key [count]",
    run_on_key=partial(_pop_run, left=False),
    events="rpop",
)
def rpop(ctx: Context, args: list[bytes]) -> Reply:
    """Returns and removes the last elements of a list.
    Deletes the list if the last element was popped.
    """
    return _pop(ctx, args, "rpop", left=False)


def lmpop_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if isinstance(reply, list):
        key = reply[0]
        name = "lpop" if is_left(args[2 + integer(args[1])]) else "rpop"
        yield from changed(writes, "l", name, ctx.db.index, key)


@_command(
    "lmpop",
    -4,
    since="7.0.0",
    flags="write",
    keys=Keys("RW access delete", first=2, count=1),
    complexity=(
        "O(N+M) where N is the number of provided keys and M is the number of elements returned."
    ),
    syntax="numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    events=lmpop_events,
)
def lmpop(ctx: Context, args: list[bytes]) -> Reply:
    """Returns multiple elements from a list after removing them.
    Deletes the list if the last element was popped.
    """
    return pop_of_several(ctx, *several(args, 1))


def pop_of_several(ctx: Context, keys: list[bytes], end: bytes, count: int) -> Reply:
    left = is_left(end)
    for key in keys:
        popped = lists.pop(ctx.db, key, count, left=left)
        if popped is not None:
            return [key, popped]
    return NULL_ARRAY


@_command(
    "lrem",
    4,
    since="1.0.0",
    flags="write",
    keys=_DELETE,
    complexity=(
        "O(N+M) where N is the length of the list and M is the number of elements removed."
    ),
    syntax="key count element",
    events="lrem",
)
def lrem(ctx: Context, args: list[bytes]) -> Reply:
    """Removes elements from a list. Deletes the list if the last element was removed."""
    return list_edit.remove(ctx.db, args[1], integer(args[2], -INT64_MAX), args[3])


def _ltrim_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    """Whether or not there was something to trim."""
    index, key = ctx.db.index, args[1]
    if writes.is_gone(index, key) or ctx.db.peek(key) is not None:
        yield Event("l", "ltrim", index, key)
        yield from ended(writes, index, key)


@_command(
    "ltrim",
    4,
    since="1.0.0",
    flags="write",
    keys=_DELETE,
    complexity="O(N) where N is the number of elements to be removed by the operation.",
    syntax="key start stop",
    events=_ltrim_events,
)
def ltrim(ctx: Context, args: list[bytes]) -> Reply:
    """Removes elements from both ends a list. Deletes the list if all elements were trimmed."""
    list_edit.trim(ctx.db, args[1], integer(args[2]), integer(args[3]))
    return OK


# Changing and moving


@_command(
    "lset",
    4,
    since="1.0.0",
    flags="write denyoom",
    keys=Keys("RW update"),
    complexity=(
        "O(N) where N is the length of the list. Setting either the first or the last element of "
        "the list is O(1)."
    ),
    syntax="key index element",
    events="lset",
)
def lset(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the value of an element in a list by its index."""
    row = list_edit.existing(ctx.db, args[1])
    if list_edit.replace(ctx.db, args[1], integer(args[2]), args[3], row):
        return OK
    return ReplyError(INDEX_RANGE)  # not raised, since what has been written stays


def lmove_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    from_left, to_left = map(is_left, args[3:5])
    if reply is None or reply is NULL_ARRAY:
        return iter(())
    return _move_events(ctx, args, writes, from_left=from_left, to_left=to_left)


def rpoplpush_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    if reply is None or reply is NULL_ARRAY:
        return iter(())
    return _move_events(ctx, args, writes, from_left=False, to_left=True)


def _move_events(
    ctx: Context, args: list[bytes], writes: Writes, *, from_left: bool, to_left: bool
) -> Fired:
    index = ctx.db.index
    yield from fired(writes, "l", "lpush" if to_left else "rpush", index, args[2])
    yield Event("l", "lpop" if from_left else "rpop", index, args[1])
    yield from ended(writes, index, args[1])


@_command(
    "lmove",
    5,
    since="6.2.0",
    flags="write denyoom",
    keys=(_TAKE, Keys("RW insert", first=2)),
    syntax="source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    events=lmove_events,
)
def lmove(ctx: Context, args: list[bytes]) -> Reply:
    """Returns an element after popping it from one list and pushing it to another.
    Deletes the list if the last element was moved.
    """
    from_left, to_left = map(is_left, args[3:])
    return lists.move(ctx.db, args[1], args[2], from_left=from_left, to_left=to_left)


@_command(
    "rpoplpush",
    3,
    since="1.2.0",
    flags="write denyoom",
    keys=(_TAKE, Keys("RW insert", first=2)),
    syntax="source destination",
    events=rpoplpush_events,
)
def rpoplpush(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the last element of a list after removing and pushing it to another list.
    Deletes the list if the last element was popped.
    """
    return lists.move(ctx.db, args[1], args[2], from_left=False, to_left=True)
