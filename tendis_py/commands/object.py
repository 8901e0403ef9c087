"""OBJECT: what is known of a key besides its value."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.events import without_misses
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Keys, command, container
from tendis_py.errors import LFU_POLICY, NO_LFU_POLICY, ReplyError
from tendis_py.resp.replies import Reply
from tendis_py.storage.codec import CollectionRow, Row, StringRow, encoding_name
from tendis_py.types.string import values as strings

container(
    "object",
    group="generic",
    since="2.2.3",
    summary="A container for object introspection commands.",
    categories="-keyspace",
)

_object = partial(
    command,
    arity=3,
    group="generic",
    flags="readonly",
    keys=Keys("RO", first=2),
    tips=("nondeterministic_output",),
    events=without_misses,
    syntax="key",
)


@_object("object|encoding", since="2.2.3")
def object_encoding(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the internal encoding of a Redis object."""
    row = ctx.db.inspect(args[2])
    return None if row is None else encoding(args[2], row).encode()


def encoding(key: bytes, row: Row) -> str:
    """The encoding that Redis would give the value."""
    if isinstance(row, StringRow):
        return strings.encoding(key, row)
    assert isinstance(row, CollectionRow)
    return encoding_name(row)


@_object("object|freq", since="4.0.0")
def object_freq(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the logarithmic access frequency counter of a Redis object.

    Nothing is evicted here, but tools that look for hot keys ask for it. It is estimated from a
    sample of all requests.
    """
    if ctx.db.inspect(args[2]) is None:
        return None
    if not _is_lfu(ctx):
        raise ReplyError(NO_LFU_POLICY)
    return ctx.services.key_sampler.frequency(args[2], _idle_seconds(ctx, args[2]) // 60)


def _is_lfu(ctx: Context) -> bool:
    return ctx.services.config.maxmemory_policy.endswith("-lfu")


def _idle_seconds(ctx: Context, key: bytes) -> int:
    return max(ctx.db.now // 1000 - ctx.db.last_use(key), 0)


@_object("object|idletime", since="2.2.3")
def object_idletime(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the time since the last access to a Redis object."""
    if ctx.db.inspect(args[2]) is None:
        return None
    if _is_lfu(ctx):
        raise ReplyError(LFU_POLICY)
    return _idle_seconds(ctx, args[2])


@_object("object|refcount", since="2.2.3")
def object_refcount(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the reference count of a value of a key."""
    return None if ctx.db.inspect(args[2]) is None else 1


@command("object|help", 2, group="generic", since="6.2.0", flags="loading stale")
def object_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "OBJECT",
        (
            "ENCODING <key>",
            "Return the kind of internal representation used in order to store the value\n"
            "associated with a <key>.",
        ),
        (
            "FREQ <key>",
            "Return the access frequency index of the <key>. The returned integer is\n"
            "proportional to the logarithm of the recent access frequency of the key.",
        ),
        (
            "IDLETIME <key>",
            "Return the idle time of the <key>, that is the approximated number of\n"
            "seconds elapsed since the last access to the key.",
        ),
        (
            "REFCOUNT <key>",
            "Return the number of references of the value associated with the specified\n<key>.",
        ),
    )
