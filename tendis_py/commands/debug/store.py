"""DEBUG RELOAD, LOADAOF and POPULATE: the data as a whole."""

from __future__ import annotations

import logging

from tendis_py.commands.arguments import natural
from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import ANY_NUMBER, all_keys, form
from tendis_py.commands.server import save
from tendis_py.errors import (
    NOT_RELOADED,
    RELOAD_OPTIONS,
    STRING_TOO_LONG,
    ReplyError,
    StorageError,
)
from tendis_py.log import NOTICE
from tendis_py.pieces import BLOCK_BYTES, Pieces, Text
from tendis_py.resp.replies import OK, Reply
from tendis_py.types.string import values as strings

log = logging.getLogger(__name__)

_RELOAD_OPTIONS = {b"MERGE", b"NOFLUSH", b"NOSAVE"}
_ATTEMPTS = 50
"""To find nobody using the folder: 5 seconds, after which it is not reloaded."""


@form(
    "RELOAD [option ...]",
    most=ANY_NUMBER,
    claims=all_keys,
    help="Save, close the data folder and open it anew: what is read from now on\n"
    "comes from the disk. There is no file besides that could hold other data, so\n"
    "the options that Redis knows change nothing:\n"
    "* MERGE, NOFLUSH: as without.\n"
    "* NOSAVE: does not count as a save.",
)
def debug_reload(ctx: Context, args: list[bytes]) -> Reply:
    if not _RELOAD_OPTIONS.issuperset(option.upper() for option in args[2:]):
        raise ReplyError(RELOAD_OPTIONS)
    if all(option.upper() != b"NOSAVE" for option in args[2:]):
        save(ctx, args)
    _reload(ctx)
    log.log(NOTICE, "DB reloaded by DEBUG RELOAD")
    return OK


@form(
    "LOADAOF",
    most=ANY_NUMBER,
    claims=all_keys,
    help="As RELOAD NOSAVE: the log is a part of the data folder.",
)
def debug_loadaof(ctx: Context, args: list[bytes]) -> Reply:
    _reload(ctx)
    log.log(NOTICE, "Append Only File loaded by DEBUG LOADAOF")
    return OK


def _reload(ctx: Context) -> None:
    """What a transaction has not committed yet stays as it is."""
    keyspace = ctx.services.keyspace
    try:
        keyspace.engine.flush()  # or opening would read the log, with the GIL held
        reloaded = any(keyspace.reload() for _ in range(_ATTEMPTS))
    except StorageError as error:
        log.error("not reloaded: %s", error)
        reloaded = False
    if not reloaded:
        raise ReplyError(NOT_RELOADED)


_KEYS_AT_ONCE = 512
_LONGEST_PREFIX = 127
"""As in Redis, where the key is printed into so many bytes."""


@form(
    "POPULATE <count> [<prefix>] [<size>]",
    claims=all_keys,
    help="Create <count> string keys named key:<num>. If <prefix> is specified then\n"
    "it is used instead of the 'key' prefix. Keys that are there are left alone.",
)
def debug_populate(ctx: Context, args: list[bytes]) -> Reply:
    """Outside of a transaction each slice is committed for itself."""
    count = natural(args[2])
    prefix = args[3] if len(args) > 3 else b"key"
    size = natural(args[4]) if len(args) > 4 else 0
    if size > ctx.services.config.proto_max_bulk_len:
        raise ReplyError(STRING_TOO_LONG)
    tx, db = ctx.tx, ctx.db
    step = _slice_of(size)
    for start in range(0, count, step):
        numbers = range(start, min(start + step, count))
        keys = [(b"%b:%d" % (prefix, number))[:_LONGEST_PREFIX] for number in numbers]
        db.load(keys)
        for key, number in zip(keys, numbers, strict=True):
            if db.peek(key) is None:
                strings.put(db, key, _value(number, size))
        tx.pace.rest(_KEYS_AT_ONCE)
        if not ctx.nested:
            tx.end_unit()
            tx.settle()
    return OK


def _value(number: int, size: int) -> Text:
    """Of ``size`` bytes, if that is not 0; in pieces where it is long."""
    value = b"value:%d" % number
    if not size:
        return value
    if size <= BLOCK_BYTES:
        return value[:size].ljust(size, b"\0")
    whole, rest = divmod(size, BLOCK_BYTES)
    zeros = bytes(BLOCK_BYTES)
    return Pieces([value.ljust(BLOCK_BYTES, b"\0"), *[zeros] * (whole - 1), zeros[:rest]])


def _slice_of(size: int) -> int:
    """How many keys with values of so many bytes are one commit."""
    return max(1, min(_KEYS_AT_ONCE, (1 << 20) // (size + 1)))
