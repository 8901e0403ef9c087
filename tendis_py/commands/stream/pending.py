"""Entries delivered and not acknowledged: XPENDING, XCLAIM and XAUTOCLAIM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.stream.arguments import natural_or_zero
from tendis_py.commands.stream.entries import entry_reply
from tendis_py.errors import (
    XAUTOCLAIM_COUNT,
    XAUTOCLAIM_MIN_IDLE,
    XCLAIM_IDLE,
    XCLAIM_MIN_IDLE,
    XCLAIM_RETRYCOUNT,
    XCLAIM_TIME,
    no_group,
    syntax_error,
    xclaim_option,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import NULL_ARRAY, Reply
from tendis_py.storage.changes import Unmodified
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import groups
from tendis_py.types.stream import ids as stream_id
from tendis_py.types.stream.entries import Fields, Stream
from tendis_py.types.stream.groups import Consumer, Group, Pending
from tendis_py.types.stream.ids import to_text

_command = partial(command, group="stream")


def existing(stream: Stream | None, key: bytes, name: bytes) -> tuple[Stream, Group]:
    """The group, and the stream that it is of. NOGROUP where either is not there."""
    group = None if stream is None else groups.find(stream, name)
    if stream is None or group is None:
        raise no_group(key, name)
    return stream, group


# XPENDING

_SUMMARY = 3
_RANGES = range(6, 10)
"""Numbers of arguments, name included, of the two forms."""


@_command(
    "xpending",
    -3,
    since="5.0.0",
    flags="readonly",
    keys=Keys("RO access"),
    complexity=(
        "O(N) with N being the number of elements returned, so asking for a small fixed number of "
        "entries per call is O(1). O(M), where M is the total number of entries scanned when used "
        "with the IDLE filter. When the command returns just the summary and the list of "
        "consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for "
        "iterating every consumer."
    ),
    tips=("nondeterministic_output",),
    syntax="key group [[IDLE min-idle-time] start end count [consumer]]",
)
def xpending(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the information and entries from a stream consumer group's pending entries list."""
    if len(args) == _SUMMARY:
        _, group = existing(streams.find(ctx.db, args[1]), args[1], args[2])
        return _summary(group)
    if len(args) not in _RANGES:
        raise syntax_error()
    at, idle = 3, 0
    if args[3].upper() == b"IDLE":
        idle = integer(args[4])
        if len(args) < _RANGES[0] + 2:
            raise syntax_error()
        at = 5
    count = natural_or_zero(args[at + 2])
    start = stream_id.interval_start(args[at])
    end = stream_id.interval_end(args[at + 1])
    consumer = args[at + 3] if at + 3 < len(args) else None
    _, group = existing(streams.find(ctx.db, args[1]), args[1], args[2])
    found = _pending(group, start, end, consumer)
    now = ctx.db.now
    old = ((id_, entry) for id_, entry in found if not idle or entry.idle(now) >= idle)
    if idle:
        ctx.tx.admit(group.pending)
    ctx.tx.admit(min(count, group.pending))
    return [
        [to_text(id_), entry.consumer, _shown_idle(entry, now), entry.deliveries]
        for id_, entry in islice(old, count)
    ]


def _shown_idle(entry: Pending, now: int) -> int:
    return -1 if entry.given_back else max(entry.idle(now), 0)


def _summary(group: Group) -> list[Reply]:
    if not group.pending:
        return [0, None, None, NULL_ARRAY]
    first, _ = next(group.pending_entries())
    last, _ = next(group.pending_entries(reverse=True))
    consumers = [
        [consumer.name, b"%d" % consumer.pending]
        for consumer in group.all_consumers()
        if consumer.pending
    ]
    return [group.pending, to_text(first), to_text(last), consumers]


def _pending(
    group: Group, start: int, end: int, consumer: bytes | None
) -> Iterator[tuple[int, Pending]]:
    if consumer is None:
        return group.pending_entries(start, end)
    return group.owned_entries(consumer, start, end)


# XCLAIM


@dataclass(slots=True)
class _Claim:
    """What becomes of an entry that a consumer takes over, and what is returned of it."""

    consumer: Consumer
    idle: int
    """Entries delivered in the last ``idle`` ms stay where they are."""
    delivered: int
    deliveries: int | None
    """None: one more than before, unless ``ids_only``."""
    ids_only: bool

    def take(self, group: Group, id_: int, old: Pending | None, now: int) -> bool:
        """Take an entry over, from nobody if ``old`` is None; whether it was idle long enough."""
        if old is not None and self.idle and old.idle(now) < self.idle:
            return False
        deliveries = self.deliveries
        if deliveries is None:
            deliveries = (old.deliveries if old else 1) + (not self.ids_only)
            deliveries = min(deliveries, INT64_MAX)
        group.assign(id_, Pending(self.consumer.name, self.delivered, deliveries), old)
        self.consumer.active = now
        return True

    def reply(self, id_: int, fields: Fields) -> Reply:
        return to_text(id_) if self.ids_only else entry_reply((id_, fields))


def _claimer(stream: Stream, group: Group, name: bytes, now: int) -> tuple[Consumer, int]:
    """The consumer of that name, and how many edits it took: 1 if it is new."""
    known = group.consumer(name)
    consumer = known or groups.create_consumer(stream, group, name, now)
    consumer.seen = now
    return consumer, int(known is None)


@_command(
    "xclaim",
    -6,
    since="5.0.0",
    flags="write fast",
    keys=Keys("RW update"),
    complexity=("O(log N) with N being the number of messages in the PEL of the consumer group."),
    tips=("nondeterministic_output",),
    syntax=(
        "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] "
        "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]"
    ),
    events=none,
)
def xclaim(ctx: Context, args: list[bytes]) -> Reply:
    """Changes, or acquires, ownership of a message in a consumer group, as if the message was
    delivered a consumer group member.
    """
    now = ctx.db.now
    stream, group = existing(streams.find(ctx.db, args[1]), args[1], args[2])
    idle = max(integer(args[4], error=XCLAIM_MIN_IDLE), 0)
    ids = []
    for argument in args[5:]:
        id_ = stream_id.parse_or_none(argument)
        if id_ is None:
            break
        ids.append(id_)
    chosen = _claim_options(args, 5 + len(ids), now)
    advances = chosen.last > group.last
    group.last = max(group.last, chosen.last)
    consumer, edits = _claimer(stream, group, args[3], now)
    claim = _Claim(consumer, idle, chosen.delivered, chosen.deliveries, chosen.ids_only)
    reply = []
    released = 0
    for id_, fields in zip(ids, stream.get_many(ids), strict=True):
        (old,) = group.pending_of([id_])
        if fields is None:
            if old is not None:
                group.release(id_, old)
                released += 1
        elif (old is not None or chosen.forces) and claim.take(group, id_, old, now):
            reply.append(claim.reply(id_, fields))
    group.save()
    taken = len(reply) + released
    stream.save(Unmodified(edits + (taken or int(advances))))
    return reply


@dataclass(slots=True)
class _ClaimOptions:
    """The options of XCLAIM, filled while they are read."""

    delivered: int
    deliveries: int | None = None
    forces: bool = False
    ids_only: bool = False
    last: int = 0


def _claim_options(args: list[bytes], at: int, now: int) -> _ClaimOptions:
    found = _ClaimOptions(delivered=now)
    while at < len(args):
        word = args[at].upper()
        value = args[at + 1] if at + 1 < len(args) else None
        if word == b"FORCE":
            found.forces = True
        elif word == b"JUSTID":
            found.ids_only = True
        elif value is None:
            raise xclaim_option(args[at])
        else:
            _read_claim_option(found, args[at], value, now)
            at += 1
        at += 1
    if not 0 <= found.delivered <= now:
        found.delivered = now
    return found


def _read_claim_option(found: _ClaimOptions, option: bytes, value: bytes, now: int) -> None:
    word = option.upper()
    if word == b"IDLE":
        found.delivered = now - integer(value, error=XCLAIM_IDLE)
    elif word == b"TIME":
        found.delivered = integer(value, error=XCLAIM_TIME)
    elif word == b"RETRYCOUNT":
        number = integer(value, error=XCLAIM_RETRYCOUNT)
        found.deliveries = number if number >= 0 else None
    elif word == b"LASTID":
        found.last = stream_id.parse(value)
    else:
        raise xclaim_option(option)


# XAUTOCLAIM

_DEFAULT_COUNT = 100
_ATTEMPTS = 10
"""Entries looked at for each that may be claimed."""
_HIGHEST_COUNT = INT64_MAX // 16


@_command(
    "xautoclaim",
    -6,
    since="6.2.0",
    flags="write fast",
    keys=Keys("RW delete"),
    complexity="O(1) if COUNT is small.",
    tips=("nondeterministic_output",),
    syntax="key group consumer min-idle-time start [COUNT count] [JUSTID]",
    events=none,
)
def xautoclaim(ctx: Context, args: list[bytes]) -> Reply:
    """Changes, or acquires, ownership of messages in a consumer group, as if the messages were
    delivered to as consumer group member.
    """
    now = ctx.db.now
    idle = max(integer(args[4], error=XAUTOCLAIM_MIN_IDLE), 0)
    start = stream_id.interval_start(args[5])
    count, ids_only = _autoclaim_options(args)
    stream, group = existing(streams.find(ctx.db, args[1]), args[1], args[2])
    consumer, edits = _claimer(stream, group, args[3], now)
    claim = _Claim(consumer, idle, now, None, ids_only)
    ctx.tx.admit(min(count * _ATTEMPTS, group.pending))
    claimed: list[Reply] = []
    deleted: list[bytes] = []
    rest = group.pending_entries(start)
    for id_, old in islice(rest, count * _ATTEMPTS):
        fields = stream.get(id_)
        if fields is None:
            group.release(id_, old)
            deleted.append(to_text(id_))
        elif claim.take(group, id_, old, now):
            claimed.append(claim.reply(id_, fields))
        if len(claimed) + len(deleted) == count:
            break
    group_end, _ = next(rest, (0, None))
    group.save()
    stream.save(Unmodified(edits + len(claimed) + len(deleted)))
    return [to_text(group_end), claimed, deleted]


def _autoclaim_options(args: list[bytes]) -> tuple[int, bool]:
    count, ids_only = _DEFAULT_COUNT, False
    at = 6
    while at < len(args):
        word = args[at].upper()
        if word == b"COUNT" and at + 1 < len(args):
            count = integer(args[at + 1], 1, _HIGHEST_COUNT, XAUTOCLAIM_COUNT)
            at += 2
        elif word == b"JUSTID":
            ids_only = True
            at += 1
        else:
            raise syntax_error()
    return count, ids_only
