"""Consumer groups: XGROUP, XREADGROUP and what becomes of pending entries."""

from __future__ import annotations

from functools import partial
from itertools import islice

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Keys, command, container
from tendis_py.commands.stream.arguments import ReadOptions, read_options, referenced_ids
from tendis_py.commands.stream.entries import OUTCOMES, at_most, deletes_entries, entry_reply
from tendis_py.errors import (
    BUSY_GROUP,
    ENTRIES_READ_NEGATIVE,
    XGROUP_NO_KEY,
    ReplyError,
    meaningless_id,
    no_group,
    no_group_of_key,
    wrong_subcommand,
)
from tendis_py.resp.replies import NULL_ARRAY, OK, Pairs, Reply
from tendis_py.storage.changes import Ready, Unmodified
from tendis_py.storage.codec import STREAM
from tendis_py.types.stream import claims, groups
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import ids as stream_id
from tendis_py.types.stream.deletion import Deletion, Outcome
from tendis_py.types.stream.entries import Entry, Stream
from tendis_py.types.stream.groups import Consumer, Group

_command = partial(command, group="stream")

container(
    "xgroup", group="stream", since="5.0.0", summary="A container for consumer groups commands."
)

_IN_XREADGROUP = " in XREADGROUP with GROUP option"


# XGROUP


def _entries_read(argument: bytes) -> int:
    value = integer(argument)
    if value < 0 and value != groups.UNKNOWN:
        raise ReplyError(ENTRIES_READ_NEGATIVE)
    return value


def _group_options(args: list[bytes], *, creates: bool) -> tuple[int, bool]:
    """Entries read, and whether to create the stream: the options of XGROUP CREATE (``creates``)
    and XGROUP SETID."""
    read, makes_stream = groups.UNKNOWN, False
    at = 5
    while at < len(args):
        word = args[at].upper()
        if creates and word == b"MKSTREAM":
            makes_stream = True
            at += 1
        elif word == b"ENTRIESREAD" and at + 1 < len(args):
            read = _entries_read(args[at + 1])
            at += 2
        else:
            raise wrong_subcommand("xgroup", args[1])
    return read, makes_stream


def _stream(ctx: Context, key: bytes) -> Stream:
    stream = streams.peek(ctx.db, key)
    if stream is None:
        raise ReplyError(XGROUP_NO_KEY)
    return stream


def _group(stream: Stream, key: bytes, name: bytes) -> Group:
    group = groups.find(stream, name)
    if group is None:
        raise no_group_of_key(key, name)
    return group


def _last_id(argument: bytes, stream: Stream | None, *, lenient: bool = False) -> int:
    if argument == b"$":
        return 0 if stream is None else stream.last
    return stream_id.parse_lenient(argument) if lenient else stream_id.parse(argument)


_LONGEST_CREATE = 8
_SETID_LENGTHS = (5, 7)


@_command(
    "xgroup|create",
    -5,
    since="5.0.0",
    flags="write denyoom",
    keys=Keys("RW insert", first=2),
    syntax="key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]",
    events="xgroup-create",
)
def xgroup_create(ctx: Context, args: list[bytes]) -> Reply:
    """Creates a consumer group."""
    read, makes_stream = _group_options(args, creates=True)
    stream = found = streams.peek(ctx.db, args[2])
    if stream is None and not makes_stream:
        raise ReplyError(XGROUP_NO_KEY)
    if len(args) > _LONGEST_CREATE:
        raise wrong_subcommand("xgroup", args[1])
    last = _last_id(args[4], stream)
    if stream is None:
        stream = streams.create(ctx.db, args[2])
    if groups.find(stream, args[3]) is not None:
        raise ReplyError(BUSY_GROUP)
    groups.create(stream, args[3], last, read)
    stream.save(1 if found is None else Unmodified(1))
    return OK


@_command(
    "xgroup|setid",
    -5,
    since="5.0.0",
    flags="write",
    keys=Keys("RW update", first=2),
    syntax="key group <id | $> [ENTRIESREAD entries-read]",
    events="xgroup-setid",
)
def xgroup_setid(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the last-delivered ID of a consumer group."""
    read, _ = _group_options(args, creates=False)
    stream = _stream(ctx, args[2])
    group = _group(stream, args[2], args[3])
    if len(args) not in _SETID_LENGTHS:
        raise wrong_subcommand("xgroup", args[1])
    group.last = _last_id(args[4], stream, lenient=True)
    group.read = min(read, stream.added)
    group.save()
    stream.edited(1)
    return OK


@_command(
    "xgroup|destroy",
    4,
    since="5.0.0",
    flags="write",
    keys=Keys("RW delete", first=2),
    complexity=("O(N) where N is the number of entries in the group's pending entries list (PEL)."),
    syntax="key group",
    events="xgroup-destroy",
)
def xgroup_destroy(ctx: Context, args: list[bytes]) -> Reply:
    """Destroys a consumer group."""
    stream = _stream(ctx, args[2])
    group = groups.find(stream, args[3])
    if group is None:
        return 0
    groups.destroy(stream, group)
    stream.save(Ready(1))  # who waits for it is told that there is no such group
    return 1


@_command(
    "xgroup|createconsumer",
    5,
    since="6.2.0",
    flags="write denyoom",
    keys=Keys("RW insert", first=2),
    syntax="key group consumer",
    events=none,
)
def xgroup_createconsumer(ctx: Context, args: list[bytes]) -> Reply:
    """Creates a consumer in a consumer group."""
    stream = _stream(ctx, args[2])
    group = _group(stream, args[2], args[3])
    if group.consumer(args[4]) is not None:
        return 0
    groups.create_consumer(stream, group, args[4], ctx.db.now)
    group.save()
    stream.edited(1)
    return 1


@_command(
    "xgroup|delconsumer",
    5,
    since="5.0.0",
    flags="write",
    keys=Keys("RW delete", first=2),
    syntax="key group consumer",
    events="xgroup-delconsumer",
)
def xgroup_delconsumer(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes a consumer from a consumer group."""
    stream = _stream(ctx, args[2])
    group = _group(stream, args[2], args[3])
    consumer = group.consumer(args[4])
    if consumer is None:
        return 0
    ctx.tx.admit(consumer.pending)
    group.delete_consumer(consumer)
    group.save()
    stream.edited(1)
    return consumer.pending


@_command("xgroup|help", 2, since="5.0.0", flags="loading stale")
def xgroup_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "XGROUP",
        (
            "CREATE <key> <groupname> <id|$> [option]",
            "Create a new consumer group. Options are:\n"
            "* MKSTREAM\n"
            "  Create the empty stream if it does not exist.\n"
            "* ENTRIESREAD entries_read\n"
            "  Set the group's entries_read counter (internal use).",
        ),
        (
            "CREATECONSUMER <key> <groupname> <consumer>",
            "Create a new consumer in the specified group.",
        ),
        ("DELCONSUMER <key> <groupname> <consumer>", "Remove the specified consumer."),
        ("DESTROY <key> <groupname>", "Remove the specified group."),
        (
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "Set the current group ID and entries_read counter.",
        ),
    )


# Reading

_NEW = -1
"""The ID ``>``: what no consumer of the group was given yet."""


@_command(
    "xreadgroup",
    -7,
    since="5.0.0",
    flags="write blocking",
    keys=Keys("RO access", keyword="STREAMS", first=4, last=-1, limit=2),
    complexity=(
        "For each stream mentioned: O(M) with M being the number of elements returned. If M is "
        "constant (e.g. always asking for the first 10 elements with COUNT), you can consider it "
        "O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to "
        "serve the N clients blocked on the stream getting new data."
    ),
    syntax=(
        "GROUP group consumer [COUNT count] [BLOCK milliseconds] [CLAIM min-idle-time] [NOACK] "
        "STREAMS key [key ...] id [id ...]"
    ),
    newer="CLAIM: Redis 8.4",
    events=none,
)
def xreadgroup(ctx: Context, args: list[bytes]) -> Reply:
    """Returns new or historical messages from a stream for a consumer in a group.
    Blocks until a message is available otherwise.
    """
    chosen = read_options(ctx, args, in_group=True)
    positions = [
        _read_position(ctx, key, chosen.group, id_)
        for key, id_ in zip(chosen.keys, chosen.ids, strict=True)
    ]
    reply = Pairs()
    for key, position in zip(chosen.keys, positions, strict=True):
        entries = _read_stream(ctx, key, position, chosen)
        if entries is not None:
            reply.append((key, entries))
    if reply or chosen.block is None:
        return reply or NULL_ARRAY
    return ctx.wait(
        args,
        chosen.keys,
        chosen.block / 1000,
        STREAM,
        if_gone=True,
        alike=(chosen.group, tuple(chosen.keys)),
        is_worth_it=partial(_has_news, keys=chosen.keys, group=chosen.group),
    )


def _has_news(ctx: Context, keys: list[bytes], group: bytes) -> bool:
    """Whether there is an entry for a consumer of the group, or something to complain of."""
    for key in keys:
        try:
            stream = streams.peek(ctx.db, key)
        except ReplyError:
            return True
        found = None if stream is None else groups.find(stream, group)
        if stream is None or found is None or found.last < stream.last:
            return True
    return False


def _read_position(ctx: Context, key: bytes, group: bytes, id_: bytes) -> int:
    stream = streams.find(ctx.db, key)
    if stream is None or groups.find(stream, group) is None:
        raise no_group(key, group, _IN_XREADGROUP)
    if id_ in (b"$", b"+"):
        raise meaningless_id(id_.decode())
    return _NEW if id_ == b">" else stream_id.parse(id_)


def _read_stream(ctx: Context, key: bytes, position: int, chosen: ReadOptions) -> Reply:
    """The entries to return of one stream; None when it is not to be mentioned."""
    stream = streams.find(ctx.db, key)
    group = groups.find(stream, chosen.group) if stream else None
    assert stream is not None
    assert group is not None
    count = at_most(ctx, chosen.count)
    consumer, edits = group.consumer(chosen.consumer), 0
    if consumer is None:
        consumer = groups.create_consumer(stream, group, chosen.consumer, ctx.db.now)
        edits = 1
    consumer.seen = ctx.db.now
    changes = edits > 0
    reply: Reply = None
    if position != _NEW:
        found = groups.history(stream, group, consumer, position, count)
        ctx.tx.admit(len(found))
        changes |= any(fields is not None for _, fields in found)  # for Redis, that is no edit
        reply = [[stream_id.to_text(id_), fields or NULL_ARRAY] for id_, fields in found]
    else:
        given, delivered = _read_new(ctx, stream, group, consumer, count, chosen)
        if given:
            changes = True
            edits += delivered
        reply = given or None
    group.save()
    if changes:  # that a consumer was seen is none
        stream.edited(edits)
    return reply


def _read_new(
    ctx: Context,
    stream: Stream,
    group: Group,
    consumer: Consumer,
    count: int | None,
    chosen: ReadOptions,
) -> tuple[list[Reply], int]:
    """What CLAIM takes over, and then entries that nobody was given yet, as they are returned; and
    how many edits that is.

    Redis' manual: "Redis will first try to claim messages which have been pending for at least
    min-idle-time milliseconds … The pending messages with the highest idle time would be claimed
    first … If there are no such messages, Redis will continue as normal". Each entry comes with the
    ms since its last delivery, and the number of deliveries before this one.
    """
    claimed: list[claims.Idle] = []
    if chosen.idle is not None:
        claimed = claims.idle_entries(stream, group, chosen.idle, count)
    entries: list[Entry] = []
    if group.last < stream.last:
        left = None if count is None else count - len(claimed)
        entries = list(islice(stream.range(group.last + 1), left))
    ctx.tx.admit(len(claimed) + len(entries))
    claims.claim(stream, group, consumer, claimed)
    if entries:
        groups.deliver(stream, group, consumer, entries, pending=chosen.acknowledges)
    edits = len(claimed) + bool(entries)
    if chosen.idle is None:
        return [entry_reply(entry) for entry in entries], edits
    now = ctx.db.now
    given: list[Reply] = [
        [*entry_reply(entry), max(now - old.delivered, 0), old.deliveries] for entry, old in claimed
    ]
    return [*given, *([*entry_reply(entry), 0, 0] for entry in entries)], edits


# Acknowledging


@_command(
    "xack",
    -4,
    since="5.0.0",
    flags="write fast",
    keys=Keys("RW update"),
    complexity="O(1) for each message ID processed.",
    syntax="key group id [id ...]",
    events=none,
)
def xack(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of messages that were successfully acknowledged by the consumer group
    member of a stream.
    """
    stream = streams.find(ctx.db, args[1])
    group = groups.find(stream, args[2]) if stream else None
    if stream is None or group is None:
        return 0
    ids = list(dict.fromkeys(stream_id.parse(id_) for id_ in args[3:]))
    acknowledged = 0
    for id_, pending in zip(ids, group.pending_of(ids), strict=True):
        if pending is not None:
            group.release(id_, pending)
            acknowledged += 1
    if acknowledged:
        group.save()
        stream.edited(acknowledged)
    return acknowledged


@_command(
    "xackdel",
    -6,
    since="8.2.0",
    flags="write fast",
    keys=Keys("RW update delete"),
    complexity="O(1) for each message ID processed.",
    syntax="key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    events=deletes_entries,
)
def xackdel(ctx: Context, args: list[bytes]) -> Reply:
    """Acknowledges and deletes one or multiple messages for a stream consumer group."""
    stream = streams.find(ctx.db, args[1])
    references, given = referenced_ids(args, 3)
    if stream is None or groups.find(stream, args[2]) is None:
        return [OUTCOMES[Outcome.ABSENT]] * len(given)
    ids = [stream_id.parse(id_) for id_ in given]
    deletion = Deletion(stream, references)
    outcomes = deletion.acknowledge(args[2], ids)
    edits = len(outcomes) - outcomes.count(Outcome.ABSENT)
    deletion.save(edits if Outcome.DELETED in outcomes else Unmodified(edits))
    return [OUTCOMES[outcome] for outcome in outcomes]
