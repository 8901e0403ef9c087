"""Stream commands, but for consumer groups and XINFO."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice

from tendis_py.commands.arguments import Option, columns, integer, options
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed, none
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.stream.arguments import (
    add_options,
    check_limit,
    natural_or_zero,
    read_options,
    referenced_ids,
)
from tendis_py.errors import (
    ENTRIES_ADDED_NEGATIVE,
    NO_SUCH_KEY,
    STREAM_ID_ZERO,
    XREAD_NEW_ID,
    XSETID_ADDED_BELOW_LENGTH,
    XSETID_BELOW_DELETED,
    XSETID_BELOW_GIVEN_DELETED,
    XSETID_BELOW_TOP,
    ReplyError,
    wrong_arity,
)
from tendis_py.resp.replies import NULL_ARRAY, OK, Pairs, Replies, Reply, Stream
from tendis_py.storage.changes import Unmodified
from tendis_py.storage.codec import STREAM
from tendis_py.storage.events import Writes
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import ids as stream_id
from tendis_py.types.stream.deletion import Deletion, Outcome, References
from tendis_py.types.stream.entries import Entry
from tendis_py.types.stream.ids import to_text

_command = partial(command, group="stream")

_READ = Keys("RO access")
_UPDATE = Keys("RW update")
_DELETE = Keys("RW delete")

_EACH_DELETED = "O(1) for each single item to delete in the stream, regardless of the stream size."


def entry_reply(entry: Entry) -> list[Reply]:
    id_, fields = entry
    return [to_text(id_), fields]


def at_most(ctx: Context, count: int | None) -> int | None:
    """How many entries to read, of ``count`` that are asked for (None: all): on the fast lane no
    more than tell that they are too many for it."""
    limit = ctx.tx.fast_rows + 1 if ctx.tx.fast_rows else None
    return min((number for number in (count, limit) if number is not None), default=None)


def entries_reply(ctx: Context, entries: Iterator[Entry], count: int | None) -> Reply:
    """An array of the first ``count`` entries. TooLargeError if those are too many for the lane."""
    if not ctx.tx.fast_rows:
        return Stream(map(entry_reply, islice(entries, count)))
    few = list(islice(entries, at_most(ctx, count)))
    ctx.tx.admit(len(few))
    return list(map(entry_reply, few))


# Adding


def _xadd_run(ctx: Context, requests: list[list[bytes]]) -> Replies | None:
    length = len(requests[0])
    found = columns(requests, length)
    if found is None or length % 2 == 0 or found[2].count(b"*") < len(requests):
        return None
    ids = streams.append_run(ctx.db, found[1][0], [request[3:] for request in requests])
    return list(map(to_text, ids))


def _xadd_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    notes = list(writes.notes())
    yield from (note for note in notes if note.kind != "t")
    yield from changed(writes, "t", "xadd", ctx.db.index, args[1])
    yield from (note for note in notes if note.kind == "t")  # it is trimmed at last


@_command(
    "xadd",
    -5,
    since="5.0.0",
    flags="write denyoom fast",
    keys=Keys(
        "RW update",
        notes="UPDATE instead of INSERT because of the optional trimming feature",
    ),
    complexity=(
        "O(1) when adding a new entry, O(N) when trimming where N being the number of entries "
        "evicted."
    ),
    tips=("nondeterministic_output",),
    syntax=(
        "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [<MAXLEN | MINID> [= | ~] threshold "
        "[LIMIT count]] <* | id> field value [field value ...]"
    ),
    run_on_key=_xadd_run,
    events=_xadd_events,
)
def xadd(ctx: Context, args: list[bytes]) -> Reply:
    """Appends a new message to a stream. Creates the key if it doesn't exist."""
    if args[2] == b"*":
        if len(args) % 2 == 0:
            raise wrong_arity("xadd")
        return to_text(streams.append_run(ctx.db, args[1], [args[3:]])[0])
    chosen = add_options(args, is_add=True)
    at = chosen.position
    wanted, any_sequence = None, False
    if at < len(args) and args[at] != b"*":
        wanted, any_sequence = stream_id.parse_partial(args[at])
    check_limit(chosen, is_add=True)
    fields = args[at + 1 :]
    if not fields or len(fields) % 2:
        raise wrong_arity("xadd")
    if wanted == 0 and not any_sequence:
        raise ReplyError(STREAM_ID_ZERO)
    stream = streams.peek(ctx.db, args[1])
    if stream is None:
        if not chosen.creates:
            return None
        stream = streams.create(ctx.db, args[1])
    id_ = stream.next_id(wanted, any_sequence=any_sequence)
    stream.append(id_, fields)
    if chosen.trims:
        deletion = Deletion(stream, chosen.references or References.KEEP)
        deletion.trim(chosen.trimming(ctx.db.limits.stream_node_max_entries))
        deletion.save()
    else:
        stream.save()
    return to_text(id_)


# Reading


@_command("xlen", 2, since="5.0.0", flags="readonly fast", keys=Keys("RO"), syntax="key")
def xlen(ctx: Context, args: list[bytes]) -> Reply:
    """Return the number of messages in a stream."""
    stream = streams.find(ctx.db, args[1])
    return 0 if stream is None else stream.length


_RANGE_OPTIONS = {b"COUNT": Option("count", natural_or_zero)}


def _range(ctx: Context, args: list[bytes], first: bytes, last: bytes, reverse: bool) -> Reply:
    start = stream_id.interval_start(first)
    end = stream_id.interval_end(last)
    count = options(args, 4, _RANGE_OPTIONS).get("count")
    stream = streams.find(ctx.db, args[1])
    if stream is None:
        return []
    if count == 0:
        return NULL_ARRAY
    return entries_reply(ctx, stream.range(start, end, reverse=reverse), count)


@_command(
    "xrange",
    -4,
    since="5.0.0",
    flags="readonly",
    keys=_READ,
    complexity=(
        "O(N) with N being the number of elements being returned. If N is constant (e.g. always "
        "asking for the first 10 elements with COUNT), you can consider it O(1)."
    ),
    syntax="key start end [COUNT count]",
)
def xrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the messages from a stream within a range of IDs."""
    return _range(ctx, args, args[2], args[3], reverse=False)


@_command(
    "xrevrange",
    -4,
    since="5.0.0",
    flags="readonly",
    keys=_READ,
    complexity=(
        "O(N) with N being the number of elements returned. If N is constant (e.g. always asking "
        "for the first 10 elements with COUNT), you can consider it O(1)."
    ),
    syntax="key end start [COUNT count]",
)
def xrevrange(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the messages from a stream within a range of IDs in reverse order."""
    return _range(ctx, args, args[3], args[2], reverse=True)


@_command(
    "xread",
    -4,
    since="5.0.0",
    flags="readonly blocking",
    keys=Keys("RO access", keyword="STREAMS", first=1, last=-1, limit=2),
    complexity="",
    syntax="[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
)
def xread(ctx: Context, args: list[bytes]) -> Reply:
    """Returns messages from multiple streams with IDs greater than the ones requested.
    Blocks until a message is available otherwise.
    """
    chosen = read_options(ctx, args, in_group=False)
    positions = [
        _read_position(streams.find(ctx.db, key), id_)
        for key, id_ in zip(chosen.keys, chosen.ids, strict=True)
    ]
    reply = Pairs()
    for key, id_ in zip(chosen.keys, positions, strict=True):
        stream = streams.find(ctx.db, key)  # again: Redis looks at the types of all keys first
        if stream is None or id_ >= stream.last:
            continue
        entries = stream.range(id_ + 1)
        first = next(entries, None)
        if first is not None:
            reply.append((key, entries_reply(ctx, chain([first], entries), chosen.count)))
    if reply or chosen.block is None:
        return reply or NULL_ARRAY
    ids = [to_text(id_) for id_ in positions]  # what came after ``$`` is what is there now
    request = [*args[: -len(ids)], *ids]
    return ctx.wait(request, chosen.keys, chosen.block / 1000, STREAM)


def _read_position(stream: streams.Stream | None, id_: bytes) -> int:
    """What to read behind of."""
    if id_ == b"$":
        return stream.last if stream else 0
    if id_ == b"+":
        top = stream.top() if stream else None
        return top[0] - 1 if top else 0
    if id_ == b">":
        raise ReplyError(XREAD_NEW_ID)
    return stream_id.parse(id_)


# Deleting

OUTCOMES = {Outcome.DELETED: 1, Outcome.SPARED: 2, Outcome.ABSENT: -1}
"""What XDELEX and XACKDEL answer for each ID."""


@_command(
    "xdel",
    -3,
    since="5.0.0",
    flags="write fast",
    keys=_DELETE,
    complexity=_EACH_DELETED,
    syntax="key id [id ...]",
    events="xdel",
)
def xdel(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of messages after removing them from a stream."""
    stream = streams.peek(ctx.db, args[1])
    if stream is None:
        return 0
    ids = [stream_id.parse(id_) for id_ in args[2:]]
    gone = stream.present(ids)
    if gone:
        stream.delete(gone)
        stream.save(len(gone))
    return len(gone)


def deletes_entries(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    """``xdel`` if the outcomes that are replied say so."""
    if isinstance(reply, list) and OUTCOMES[Outcome.DELETED] in reply:
        yield from changed(writes, "t", "xdel", ctx.db.index, args[1])


@_command(
    "xdelex",
    -5,
    since="8.2.0",
    flags="write fast",
    keys=_DELETE,
    complexity=_EACH_DELETED,
    syntax="key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]",
    events=deletes_entries,
)
def xdelex(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes one or multiple entries from the stream."""
    stream = streams.peek(ctx.db, args[1])
    references, given = referenced_ids(args, 2)
    if stream is None:
        return [OUTCOMES[Outcome.ABSENT]] * len(given)
    ids = [stream_id.parse(id_) for id_ in given]
    deletion = Deletion(stream, references)
    outcomes = deletion.delete(ids)
    deletion.save(outcomes.count(Outcome.DELETED))
    return [OUTCOMES[outcome] for outcome in outcomes]


@_command(
    "xtrim",
    -4,
    since="5.0.0",
    flags="write",
    keys=_DELETE,
    complexity=(
        "O(N), with N being the number of evicted entries. Constant times are very small however, "
        "since entries are organized in macro nodes containing multiple entries that can be "
        "released with a single deallocation."
    ),
    tips=("nondeterministic_output",),
    syntax=("key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]"),
    events=none,
)
def xtrim(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes messages from the beginning of a stream."""
    chosen = add_options(args, is_add=False)
    check_limit(chosen, is_add=False)
    stream = streams.peek(ctx.db, args[1])
    if stream is None:
        return 0
    deletion = Deletion(stream, chosen.references or References.KEEP)
    deleted = deletion.trim(chosen.trimming(ctx.db.limits.stream_node_max_entries))
    if deleted:
        deletion.save(deleted)
    return deleted


# Replicating


def _entries_added(argument: bytes) -> int:
    value = integer(argument)
    if value < 0:
        raise ReplyError(ENTRIES_ADDED_NEGATIVE)
    return value


@_command(
    "xsetid",
    -3,
    since="5.0.0",
    flags="write denyoom fast",
    keys=_UPDATE,
    syntax="key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
    events="xsetid",
)
def xsetid(ctx: Context, args: list[bytes]) -> Reply:
    """An internal command for replicating stream values."""
    last = stream_id.parse(args[2])
    chosen = options(
        args,
        3,
        {
            b"ENTRIESADDED": Option("added", _entries_added),
            b"MAXDELETEDID": Option("max_deleted", partial(_max_deleted, last)),
        },
    )
    stream = streams.peek(ctx.db, args[1])
    if stream is None:
        raise ReplyError(NO_SUCH_KEY)
    if last < stream.max_deleted:
        raise ReplyError(XSETID_BELOW_DELETED)
    added = chosen.get("added", stream.added)
    top = stream.top()
    if top is not None:
        if last < top[0]:
            raise ReplyError(XSETID_BELOW_TOP)
        if "added" in chosen and added < stream.length:
            raise ReplyError(XSETID_ADDED_BELOW_LENGTH)
    stream.last = last
    stream.added = added
    stream.max_deleted = chosen.get("max_deleted") or stream.max_deleted
    stream.save(Unmodified(1))
    return OK


def _max_deleted(last: int, argument: bytes) -> int:
    value = stream_id.parse(argument)
    if last < value:
        raise ReplyError(XSETID_BELOW_GIVEN_DELETED)
    return value
