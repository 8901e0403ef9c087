"""Publish and subscribe. A confirmation stands where a reply would, and is sent under CLIENT REPLY
OFF, too: that keeps back replies only."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Keys, Lane, command, container
from tendis_py.errors import SSUBSCRIBE_WAITS, ReplyError, wrong_subcommand
from tendis_py.pieces import joined
from tendis_py.resp.replies import NO_REPLY, Encoded, Push, Reply
from tendis_py.services.pattern_index import channel_glob
from tendis_py.services.pubsub import Kind

_pubsub = partial(command, group="pubsub", flags="pubsub loading stale")
_subscription = partial(
    command,
    group="pubsub",
    flags="pubsub noscript loading stale",
    lane=Lane.FAST,  # very many names are for the slow one
    alters_session=True,
)

_ROWS_FOR_A_PATTERN = 64
"""In whose time one is compiled."""

# Subscribing


@_subscription(
    "subscribe",
    -2,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to subscribe to.",
    syntax="channel [channel ...]",
)
def subscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Listens for messages published to channels."""
    return _subscribe(ctx, b"subscribe", Kind.CHANNEL, args[1:])


@_subscription(
    "psubscribe",
    -2,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to subscribe to.",
    syntax="pattern [pattern ...]",
)
def psubscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Listens for messages published to channels that match one or more patterns."""
    ctx.tx.admit(_ROWS_FOR_A_PATTERN * len(args))
    return _subscribe(ctx, b"psubscribe", Kind.PATTERN, args[1:])


@_subscription(
    "ssubscribe",
    -2,
    since="7.0.0",
    keys=Keys(flags="not_key", last=-1),
    complexity="O(N) where N is the number of shard channels to subscribe to.",
    syntax="shardchannel [shardchannel ...]",
)
def ssubscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Listens for messages published to shard channels."""
    if ctx.nested:
        raise ReplyError(SSUBSCRIBE_WAITS)
    return _subscribe(ctx, b"ssubscribe", Kind.SHARD_CHANNEL, args[1:])


@_subscription(
    "unsubscribe",
    -1,
    since="2.0.0",
    complexity="O(N) where N is the number of channels to unsubscribe.",
    syntax="[channel [channel ...]]",
)
def unsubscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Stops listening to messages posted to channels."""
    return _unsubscribe(ctx, b"unsubscribe", Kind.CHANNEL, args[1:])


@_subscription(
    "punsubscribe",
    -1,
    since="2.0.0",
    complexity="O(N) where N is the number of patterns to unsubscribe.",
    syntax="[pattern [pattern ...]]",
)
def punsubscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Stops listening to messages published to channels that match one or more patterns."""
    return _unsubscribe(ctx, b"punsubscribe", Kind.PATTERN, args[1:])


@_subscription(
    "sunsubscribe",
    -1,
    since="7.0.0",
    keys=Keys(flags="not_key", last=-1),
    complexity="O(N) where N is the number of shard channels to unsubscribe.",
    syntax="[shardchannel [shardchannel ...]]",
)
def sunsubscribe(ctx: Context, args: list[bytes]) -> Reply:
    """Stops listening to messages posted to shard channels."""
    return _unsubscribe(ctx, b"sunsubscribe", Kind.SHARD_CHANNEL, args[1:])


def _subscribe(ctx: Context, word: bytes, kind: Kind, names: list[bytes]) -> Reply:
    counts = ctx.services.pubsub.subscribe(ctx.session, kind, names)
    ctx.services.acl.check_subscriptions(ctx.session)
    return _confirmed(ctx, word, zip(names, counts, strict=True))


def _unsubscribe(ctx: Context, word: bytes, kind: Kind, names: list[bytes]) -> Reply:
    """From all, when there are no names: one confirmation for each, or one of nothing."""
    session = ctx.session
    if not names and session.subscriptions is not None:
        own = session.subscriptions.of(kind)
        ctx.tx.admit(len(own))
        names = list(own)
    if not names:
        left = 0 if session.subscriptions is None else session.subscriptions.counted_with(kind)
        return _confirmed(ctx, word, [(None, left)])
    counts = ctx.services.pubsub.unsubscribe(session, kind, names)
    return _confirmed(ctx, word, zip(names, counts, strict=True))


def _confirmed(ctx: Context, word: bytes, counts: Iterable[tuple[bytes | None, int]]) -> Reply:
    """One message for each name and count."""
    encode = ctx.session.encoders[Push]
    confirmations = joined([encode(Push([word, name, count])) for name, count in counts])
    if ctx.session.reply_mode == "on":
        return Encoded(confirmations)
    ctx.replies.append(confirmations)
    return NO_REPLY


# Publishing


@_pubsub(
    "publish",
    3,
    since="2.0.0",
    flags="pubsub loading stale fast may_replicate",
    long_value=2,
    complexity="O(N+M) where N is the number of clients subscribed to the receiving channel and M "
    "is the total number of subscribed patterns (by any client).",
    syntax="channel message",
)
def publish(ctx: Context, args: list[bytes]) -> Reply:
    """Posts a message to a channel."""
    return ctx.publish(args[1], args[2])


@_pubsub(
    "spublish",
    3,
    since="7.0.0",
    flags="pubsub loading stale fast may_replicate",
    keys=Keys(flags="not_key"),
    lane=Lane.CONTROL,
    long_value=2,
    complexity="O(N) where N is the number of clients subscribed to the receiving shard channel.",
    syntax="shardchannel message",
)
def spublish(ctx: Context, args: list[bytes]) -> Reply:
    """Post a message to a shard channel"""
    return ctx.publish_to_shard(args[1], args[2])


# Looking at it

container("pubsub", group="pubsub", since="2.8.0", summary="A container for Pub/Sub commands.")


@_pubsub(
    "pubsub|channels",
    -2,
    since="2.8.0",
    complexity="O(N) where N is the number of active channels, and assuming constant time pattern "
    "matching (relatively short channels and patterns)",
    syntax="[pattern]",
)
def pubsub_channels(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the active channels."""
    return _names(ctx, args, Kind.CHANNEL)


@_pubsub(
    "pubsub|shardchannels",
    -2,
    since="7.0.0",
    complexity="O(N) where N is the number of active shard channels, and assuming constant time "
    "pattern matching (relatively short shard channels).",
    syntax="[pattern]",
)
def pubsub_shardchannels(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the active shard channels."""
    return _names(ctx, args, Kind.SHARD_CHANNEL)


def _names(ctx: Context, args: list[bytes], kind: Kind) -> Reply:
    if len(args) > 3:
        raise wrong_subcommand("pubsub", args[1])
    ctx.tx.admit(ctx.services.pubsub.count(kind))
    names = ctx.services.pubsub.names(kind)
    if len(args) == 2:
        return names
    matches = channel_glob(args[2])
    return [name for name in names if matches(name)]


@_pubsub("pubsub|numpat", 2, since="2.8.0")
def pubsub_numpat(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a count of unique pattern subscriptions."""
    return ctx.services.pubsub.count(Kind.PATTERN)


@_pubsub(
    "pubsub|numsub",
    -2,
    since="2.8.0",
    complexity="O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    syntax="[channel [channel ...]]",
)
def pubsub_numsub(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a count of subscribers to channels."""
    return _subscribers(ctx, args[2:], Kind.CHANNEL)


@_pubsub(
    "pubsub|shardnumsub",
    -2,
    since="7.0.0",
    complexity="O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard "
    "channels",
    syntax="[shardchannel [shardchannel ...]]",
)
def pubsub_shardnumsub(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the count of subscribers of shard channels."""
    return _subscribers(ctx, args[2:], Kind.SHARD_CHANNEL)


def _subscribers(ctx: Context, names: list[bytes], kind: Kind) -> Reply:
    ctx.tx.admit(len(names))
    counts = ctx.services.pubsub.subscribers(kind, names)
    return [part for pair in zip(names, counts, strict=True) for part in pair]


@command(
    "pubsub|help", 2, group="pubsub", since="6.2.0", flags="loading stale", categories="-pubsub"
)
def pubsub_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "PUBSUB",
        (
            "CHANNELS [<pattern>]",
            "Return the currently active channels matching a <pattern> (default: '*').",
        ),
        ("NUMPAT", "Return number of subscriptions to patterns."),
        (
            "NUMSUB [<channel> ...]",
            "Return the number of subscribers for the specified channels, excluding\n"
            "pattern subscriptions(default: no channels).",
        ),
        (
            "SHARDCHANNELS [<pattern>]",
            "Return the currently active shard level channels matching a <pattern> (default: '*').",
        ),
        (
            "SHARDNUMSUB [<shardchannel> ...]",
            "Return the number of subscribers for the specified shard level channel(s)",
        ),
    )
