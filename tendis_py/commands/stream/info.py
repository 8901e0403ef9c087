"""XINFO: what is known of a stream, its groups and their consumers."""

from __future__ import annotations

from functools import partial
from itertools import islice

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Keys, command, container
from tendis_py.commands.stream.entries import entry_reply
from tendis_py.errors import NO_SUCH_KEY, ReplyError, no_group_of_key, wrong_subcommand
from tendis_py.resp.replies import Reply
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import groups
from tendis_py.types.stream.entries import Stream
from tendis_py.types.stream.groups import Consumer, Group
from tendis_py.types.stream.ids import to_key, to_text
from tendis_py.types.stream.nodes import radix_tree_nodes

_command = partial(command, group="stream", since="5.0.0")

container(
    "xinfo",
    group="stream",
    since="5.0.0",
    summary="A container for stream introspection commands.",
)

_READ = Keys("RO access", first=2)
_DEFAULT_COUNT = 10
_COUNTED_KEYS = 1000
_SHORT, _FULL, _COUNTED = 3, 4, 6
"""Numbers of arguments, name included, of the forms of XINFO STREAM."""


def _existing(ctx: Context, key: bytes) -> Stream:
    stream = streams.find(ctx.db, key)
    if stream is None:
        raise ReplyError(NO_SUCH_KEY)
    return stream


@_command("xinfo|stream", -3, flags="readonly", keys=_READ, syntax="key [FULL [COUNT count]]")
def xinfo_stream(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about a stream."""
    stream = _existing(ctx, args[2])
    facts: dict[bytes, Reply] = {
        b"length": stream.length,
        b"radix-tree-keys": len(stream.nodes),
        b"radix-tree-nodes": _radix_tree_nodes(stream),
        b"last-generated-id": to_text(stream.last),
        b"max-deleted-entry-id": to_text(stream.max_deleted),
        b"entries-added": stream.added,
        b"recorded-first-entry-id": to_text(stream.first),
    }
    if len(args) == _SHORT:
        first, last = next(stream.range(), None), stream.top()
        facts[b"groups"] = stream.groups
        facts[b"first-entry"] = None if first is None else entry_reply(first)
        facts[b"last-entry"] = None if last is None else entry_reply(last)
        return facts
    count = _full_count(args)
    ctx.tx.admit(min(count or stream.length, stream.length))
    facts[b"entries"] = [entry_reply(entry) for entry in islice(stream.range(), count)]
    facts[b"groups"] = [
        _full_group(ctx, stream, group, count) for group in groups.all_groups(stream)
    ]
    return facts


def _radix_tree_nodes(stream: Stream) -> int:
    """Those of the radix tree that Redis would find its listpacks with: counted if they are not
    too many, else what they would be if no branches but the first were shared."""
    keys = len(stream.nodes)
    if keys > _COUNTED_KEYS:
        return 2 * keys + 2
    return radix_tree_nodes([to_key(node.first) for node in stream.nodes])


def _full_count(args: list[bytes]) -> int | None:
    """The number of entries of each kind that XINFO STREAM FULL returns; None for all."""
    if len(args) not in (_FULL, _COUNTED) or args[3].upper() != b"FULL":
        raise wrong_subcommand("xinfo", args[1])
    if len(args) == _FULL:
        return _DEFAULT_COUNT
    if args[4].upper() != b"COUNT":
        raise wrong_subcommand("xinfo", args[1])
    count = integer(args[5])
    return _DEFAULT_COUNT if count < 0 else count or None


def _group_facts(stream: Stream, group: Group) -> dict[bytes, Reply]:
    return {
        b"last-delivered-id": to_text(group.last),
        b"entries-read": None if group.read == groups.UNKNOWN else group.read,
        b"lag": groups.lag(stream, group),
    }


def _full_group(
    ctx: Context, stream: Stream, group: Group, count: int | None
) -> dict[bytes, Reply]:
    if count is None:
        ctx.tx.admit(group.pending)
    pending = [
        [to_text(id_), entry.consumer, entry.delivered, entry.deliveries]
        for id_, entry in islice(group.pending_entries(), count)
    ]
    consumers = list(group.all_consumers())
    given_back = group.pending - sum(consumer.pending for consumer in consumers)
    return {
        b"name": group.name,
        **_group_facts(stream, group),
        b"pel-count": group.pending,
        **({b"nacked-count": given_back} if given_back else {}),  # of Redis 8.8
        b"pending": pending,
        b"consumers": [_full_consumer(group, consumer, count) for consumer in consumers],
    }


def _full_consumer(group: Group, consumer: Consumer, count: int | None) -> dict[bytes, Reply]:
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen,
        b"active-time": consumer.active,
        b"pel-count": consumer.pending,
        b"pending": [
            [to_text(id_), entry.delivered, entry.deliveries]
            for id_, entry in islice(group.owned_entries(consumer.name), count)
        ],
    }


@_command("xinfo|groups", 3, flags="readonly", keys=_READ, syntax="key")
def xinfo_groups(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a list of the consumer groups of a stream."""
    stream = _existing(ctx, args[2])
    return [
        {
            b"name": group.name,
            b"consumers": group.consumers,
            b"pending": group.pending,
            **_group_facts(stream, group),
        }
        for group in groups.all_groups(stream)
    ]


@_command(
    "xinfo|consumers",
    4,
    flags="readonly",
    keys=_READ,
    tips=("nondeterministic_output",),
    syntax="key group",
)
def xinfo_consumers(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a list of the consumers in a consumer group."""
    stream = _existing(ctx, args[2])
    group = groups.find(stream, args[3])
    if group is None:
        raise no_group_of_key(args[2], args[3])
    now = ctx.db.now
    return [
        {
            b"name": consumer.name,
            b"pending": consumer.pending,
            b"idle": max(now - consumer.seen, 0),
            b"inactive": (
                groups.NEVER if consumer.active == groups.NEVER else now - consumer.active
            ),
        }
        for consumer in group.all_consumers()
    ]


@_command("xinfo|help", 2, flags="loading stale")
def xinfo_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "XINFO",
        ("CONSUMERS <key> <groupname>", "Show consumers of <groupname>."),
        ("GROUPS <key>", "Show the stream consumer groups."),
        ("STREAM <key> [FULL [COUNT <count>]", "Show information about the stream."),
    )
