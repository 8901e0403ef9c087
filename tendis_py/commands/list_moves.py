"""LMOVEM and BLMOVEM: LMOVE of many elements, of Redis 8.10.

Its manual: "COUNT count moves up to count elements. If source holds fewer than count elements, all
of them are moved … EXACTLY exactly moves exactly exactly elements" or none, "returns the moved
elements" in destination order. OBO, one by one, pushes each as it is popped; BULK keeps the order
that they had. What it leaves open is that of the tests that came with it (redis#15405).
"""

from __future__ import annotations

from dataclasses import dataclass

from tendis_py.commands.arguments import integer, seconds
from tendis_py.commands.context import Context
from tendis_py.commands.list import is_left, lmove_events
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import COUNT_NOT_POSITIVE, syntax_error
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import NULL_ARRAY, Reply
from tendis_py.storage.codec import LIST
from tendis_py.types.list import elements as lists

_SELECTORS = {b"COUNT": False, b"EXACTLY": True}
"""Word → whether fewer are too few."""
_ORDERS = {b"OBO": False, b"BULK": True}
"""Word → whether the elements keep their order."""


@dataclass(frozen=True, slots=True)
class HowMany:
    """``[<COUNT count | EXACTLY exactly> <OBO | BULK>]``, and by default one."""

    count: int = 1
    exactly: bool = False
    as_block: bool = False


def how_many(args: list[bytes]) -> HowMany:
    """Of the arguments that follow where from and where to (and BLMOVEM's timeout)."""
    if not args:
        return HowMany()
    if len(args) != 3:
        raise syntax_error()
    exactly, as_block = _SELECTORS.get(args[0].upper()), _ORDERS.get(args[2].upper())
    if exactly is None or as_block is None:
        raise syntax_error()
    return HowMany(integer(args[1], 1, INT64_MAX, COUNT_NOT_POSITIVE), exactly, as_block)


@command(
    "lmovem",
    -5,
    group="list",
    since="8.10.0",
    flags="write denyoom",
    keys=(Keys("RW access delete"), Keys("RW insert", first=2)),
    complexity="O(N) where N is the number of elements moved.",
    syntax=(
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> "
        "[<COUNT count | EXACTLY exactly> <OBO | BULK>]"
    ),
    events=lmove_events,
)
def lmovem(ctx: Context, args: list[bytes]) -> Reply:
    """Moves up to (or exactly) a number of elements from one list to another and returns them.
    Deletes the source list if it becomes empty.
    """
    moved = _move(ctx, args, how_many(args[5:]))
    return NULL_ARRAY if moved is None else moved


@command(
    "blmovem",
    -6,
    group="list",
    since="8.10.0",
    flags="write denyoom blocking",
    keys=(Keys("RW access delete"), Keys("RW insert", first=2)),
    complexity="O(N) where N is the number of elements moved.",
    syntax=(
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout "
        "[<COUNT count | EXACTLY exactly> <OBO | BULK>]"
    ),
    events=lmove_events,
)
def blmovem(ctx: Context, args: list[bytes]) -> Reply:
    """Moves up to (or exactly) a number of elements from one list to another and returns them.
    Blocks until an element is available, or exactly so many are, otherwise.
    """
    asked = how_many(args[6:])
    timeout = seconds(args[5], ctx.db.now)
    moved = _move(ctx, args, asked)
    if moved is not None:
        return moved
    return ctx.wait(args, args[1:2], timeout, LIST, claims=args[1:3])


def _move(ctx: Context, args: list[bytes], asked: HowMany) -> list[bytes] | None:
    from_left, to_left = map(is_left, args[3:5])
    return lists.move_many(
        ctx.db,
        args[1],
        args[2],
        asked.count,
        exactly=asked.exactly,
        as_block=asked.as_block,
        from_left=from_left,
        to_left=to_left,
    )
