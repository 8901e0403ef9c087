"""DUMP and RESTORE: a value as bytes that Redis reads, too."""

from __future__ import annotations

from functools import partial
from typing import Any

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import GENERIC, Fired, ended, fired
from tendis_py.commands.registry import FAST_ROWS, Keys, command
from tendis_py.errors import (
    BAD_DATA_FORMAT,
    BAD_FREQUENCY,
    BAD_PAYLOAD,
    BUSY_KEY,
    NEGATIVE_IDLETIME,
    NEGATIVE_TTL,
    SYNTAX,
    ReplyError,
)
from tendis_py.numbers import INT64_MAX
from tendis_py.rdb import payload
from tendis_py.rdb.errors import CorruptError
from tendis_py.resp.replies import OK, Reply
from tendis_py.storage.codec import Row
from tendis_py.storage.events import Writes

_command = partial(command, group="generic", since="2.6.0")

_SMALL = (
    "For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply "
    "O(1)."
)
_MOST_FREQUENT = 255

_restore = partial(
    command,
    arity=-4,
    keys=Keys("OW update"),
    apart=True,
    complexity=(
        "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, "
        "where N is the number of Redis objects composing the value and M their average size. "
        f"{_SMALL} However for sorted set values the complexity is O(N*M*log(N)) because inserting "
        "values into sorted sets is O(log(N))."
    ),
    long_value=3,
    syntax="key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
)


@_command(
    "dump",
    2,
    flags="readonly",
    keys=Keys("RO access"),
    apart=True,
    complexity=(
        "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of "
        f"Redis objects composing the value and M their average size. {_SMALL}"
    ),
    tips=("nondeterministic_output",),
    syntax="key",
)
def dump(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a serialized representation of the value stored at a key."""
    row = ctx.db.find(args[1])
    if row is None:
        return None
    _admit(ctx, payload.work_of_dump(row))
    return payload.dump(ctx.db, row)


def _admit(ctx: Context, rows: int) -> None:
    """As ``Transaction.admit``, in every threading model: what is long runs in its own thread."""
    if rows > FAST_ROWS:
        ctx.need_slow_lane()


def _restore_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index, key = ctx.db.index, args[1]
    if writes.is_gone(index, key):
        yield from ended(writes, index, key)
    elif writes.changed(index, key):
        yield from fired(writes, GENERIC, "restore", index, key, new=True)


@_restore(
    "restore",
    group="generic",
    since="2.6.0",
    flags="write denyoom",
    categories="dangerous",
    events=_restore_events,
)
def restore(ctx: Context, args: list[Any]) -> Reply:
    """Creates a key from the serialized representation of a value."""
    options = _Options(args)
    db, key = ctx.db, args[1]
    old = db.peek(key)
    if old is not None and not options.replace:
        raise ReplyError(BUSY_KEY)
    ttl = integer(args[2])
    if ttl < 0:
        raise ReplyError(NEGATIVE_TTL)
    mark = ctx.tx.mark()
    row = restored(ctx, args[3])
    deadline = ttl if options.absolute or not ttl else ttl + db.now
    if deadline and (deadline <= db.now or deadline > INT64_MAX):
        ctx.tx.rollback_to(mark)  # what is written ahead already is garbage until a key names it
        if old is not None:
            db.delete(key, old)
        return OK
    row.expire_at = deadline
    db.put(key, row, old)
    if options.idle is not None:
        db.was_used(key, max(db.tx.second - options.idle, 0))
    if options.frequency is not None:
        ctx.services.key_sampler.set_frequency(key, options.frequency)
    return OK


@_restore(
    "restore-asking",
    group="server",
    since="3.0.0",
    flags="write denyoom asking",
    categories="keyspace dangerous",
    events=_restore_events,
)
def restore_asking(ctx: Context, args: list[Any]) -> Reply:
    """An internal command for migrating keys in a cluster."""
    return restore(ctx, args)


def restored(ctx: Context, serialized: Any) -> Row:
    """The row of a payload; ReplyError if it is none."""
    _admit(ctx, payload.work_of_restore(serialized))
    pace = ctx.tx.pace
    if not payload.is_sound(serialized, pace, any_checksum=ctx.services.takes_any_checksum):
        raise ReplyError(BAD_PAYLOAD)
    try:
        return payload.restore(ctx.db, serialized)
    except CorruptError:
        raise ReplyError(BAD_DATA_FORMAT) from None


class _Options:
    """What stands behind the value: in Redis' order, and with its errors."""

    __slots__ = ("absolute", "frequency", "idle", "replace")

    def __init__(self, args: list[bytes]) -> None:
        self.replace = self.absolute = False
        self.idle: int | None = None
        self.frequency: int | None = None
        words = iter(args[4:])
        for word in words:
            match word.upper():
                case b"REPLACE":
                    self.replace = True
                case b"ABSTTL":
                    self.absolute = True
                case b"IDLETIME" if self.frequency is None:
                    self.idle = integer(_following(words))
                    if self.idle < 0:
                        raise ReplyError(NEGATIVE_IDLETIME)
                case b"FREQ" if self.idle is None:
                    self.frequency = integer(_following(words))
                    if not 0 <= self.frequency <= _MOST_FREQUENT:
                        raise ReplyError(BAD_FREQUENCY)
                case _:
                    raise ReplyError(SYNTAX)


def _following(words: Any) -> bytes:
    word: bytes | None = next(words, None)
    if word is None:
        raise ReplyError(SYNTAX)
    return word
