"""XNACK: consumers give back what they were given, of Redis 8.8.

Its manual: an entry "is marked as unowned", "is assigned a last delivery time of 0", "is placed at
the end of the NACKed portion of the PEL", and so comes first "regardless of the min-idle-time" of
who claims. SILENT "decrements the delivery counter by 1", FAIL "keeps" it, FATAL "sets [it] to the
maximum value". What it leaves open, errors and their order, is that of its tests
(tests/unit/type/stream-cgroups.tcl).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.stream.pending import existing
from tendis_py.errors import (
    XNACK_MISMATCH,
    XNACK_MODE,
    XNACK_NO_IDS,
    XNACK_NUMIDS,
    XNACK_RETRYCOUNT,
    ReplyError,
    xnack_option,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import Reply
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import ids as stream_id

_MODES: dict[bytes, Callable[[int], int]] = {
    b"SILENT": lambda deliveries: max(deliveries - 1, 0),
    b"FAIL": lambda deliveries: deliveries,
    b"FATAL": lambda deliveries: INT64_MAX,
}
"""Word → the number of deliveries, from what it was."""
_FIRST_OPTION = 4


@dataclass(slots=True)
class _Options:
    """Filled while they are read."""

    ids: list[bytes] = field(default_factory=list)
    deliveries: int | None = None
    forces: bool = False


@command(
    "xnack",
    -7,
    group="stream",
    since="8.8.0",
    flags="write fast",
    keys=Keys("RW update"),
    complexity="O(1) for each message ID processed.",
    syntax=("key group <SILENT | FAIL | FATAL> IDS numids id [id ...] [RETRYCOUNT count] [FORCE]"),
    events=none,
)
def xnack(ctx: Context, args: list[bytes]) -> Reply:
    """Releases pending messages back to the group's PEL without acknowledging them, making them
    available for re-delivery.
    """
    stream, group = existing(streams.find(ctx.db, args[1]), args[1], args[2])
    mode = _MODES.get(args[3].upper())
    if mode is None:
        raise ReplyError(XNACK_MODE)
    chosen = _options(args)
    ids = [stream_id.parse(id_) for id_ in chosen.ids]
    given_back = 0
    for id_ in ids:
        (old,) = group.pending_of([id_])
        if old is None and not (chosen.forces and stream.get(id_) is not None):
            continue
        deliveries = chosen.deliveries
        if deliveries is None:
            deliveries = mode(old.deliveries if old else 0)
        group.give_back(id_, deliveries, old)
        given_back += 1
    if given_back:
        group.save()
        stream.edited(given_back)
    return given_back


def _options(args: list[bytes]) -> _Options:
    """``IDS numids id [id ...] [RETRYCOUNT count] [FORCE]``, in any order."""
    found = _Options()
    at = _FIRST_OPTION
    while at < len(args):
        word = args[at].upper()
        more = len(args) - at - 1
        if word == b"IDS" and more and not found.ids:
            number = integer(args[at + 1], 1, INT64_MAX, XNACK_NUMIDS)
            at += 2
            if number > len(args) - at:
                raise ReplyError(XNACK_MISMATCH)
            found.ids = args[at : at + number]
            at += number
        elif word == b"RETRYCOUNT" and more:
            found.deliveries = integer(args[at + 1])
            if found.deliveries < 0:
                raise ReplyError(XNACK_RETRYCOUNT)
            at += 2
        elif word == b"FORCE":
            found.forces = True
            at += 1
        else:
            raise xnack_option(args[at])
    if not found.ids:
        raise ReplyError(XNACK_NO_IDS)
    return found
