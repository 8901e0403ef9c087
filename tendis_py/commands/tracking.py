"""CLIENT TRACKING and its kin: client-side caching, as a client asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.registry import command
from tendis_py.errors import (
    CACHING_NO,
    CACHING_NOT_TRACKING,
    CACHING_YES,
    TRACKING_BCAST_AND_OPT,
    TRACKING_BOTH_OPTS,
    TRACKING_NO_TARGET,
    TRACKING_ONE_REDIRECT,
    TRACKING_PREFIX,
    TRACKING_SWITCH_BCAST,
    TRACKING_SWITCH_OPT,
    ReplyError,
    overlapping_prefixes,
    syntax_error,
)
from tendis_py.resp.replies import OK, OrderedSet, Reply
from tendis_py.session import Tracking

_client = partial(command, group="connection", flags="noscript loading stale")


@_client(
    "client|tracking",
    -3,
    since="6.0.0",
    complexity="O(1). Some options may introduce additional complexity.",
    alters_session=True,
    syntax=(
        "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] "
        "[OPTOUT] [NOLOOP]"
    ),
)
def client_tracking(ctx: Context, args: list[bytes]) -> Reply:
    """Controls server-assisted client-side caching for the connection."""
    chosen = _options(ctx, args)
    match args[2].upper():
        case b"ON":
            ctx.services.tracking.start(ctx.session, _tracking(ctx.session.tracking, chosen))
        case b"OFF":
            ctx.services.tracking.stop(ctx.session)
        case _:
            raise syntax_error()
    return OK


@dataclass(slots=True)
class _Options:
    words: set[bytes] = field(default_factory=set)
    prefixes: list[bytes] = field(default_factory=list)
    redirect: int = 0


def _options(ctx: Context, args: list[bytes]) -> _Options:
    chosen = _Options()
    left = iter(args[3:])
    for argument in left:
        word = argument.upper()
        if word in (b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP"):
            chosen.words.add(word)
            continue
        value = next(left, None)
        if word == b"REDIRECT" and value is not None:
            if chosen.redirect:
                raise ReplyError(TRACKING_ONE_REDIRECT)
            chosen.redirect = integer(value)
            if chosen.redirect not in ctx.services.clients.sessions:
                raise ReplyError(TRACKING_NO_TARGET)
        elif word == b"PREFIX" and value is not None:
            chosen.prefixes.append(value)
        else:
            raise syntax_error()
    return chosen


def _tracking(before: Tracking | None, chosen: _Options) -> Tracking:
    """What is chosen by a client that tracks as ``before`` so far. ReplyError when that does not
    fit, or in itself."""
    broadcasts = b"BCAST" in chosen.words
    modes = chosen.words & {b"OPTIN", b"OPTOUT"}
    mode = min(modes, default=b"").decode().lower()
    if chosen.prefixes and not broadcasts:
        raise ReplyError(TRACKING_PREFIX)
    if before is not None and before.broadcasts != broadcasts:
        raise ReplyError(TRACKING_SWITCH_BCAST)
    if broadcasts and modes:
        raise ReplyError(TRACKING_BCAST_AND_OPT)
    if len(modes) > 1:
        raise ReplyError(TRACKING_BOTH_OPTS)
    if before is not None and mode and before.mode not in ("", mode):
        raise ReplyError(TRACKING_SWITCH_OPT)
    prefixes = chosen.prefixes
    if broadcasts:
        _check(prefixes, () if before is None else sorted(before.prefixes))
        prefixes = prefixes or [b""]
    return Tracking(
        broadcasts=broadcasts,
        prefixes=frozenset(prefixes),
        mode=mode,
        noloop=b"NOLOOP" in chosen.words,
        redirect=chosen.redirect,
    )


def _check(prefixes: list[bytes], before: Iterable[bytes]) -> None:
    """ReplyError when a key could begin with two prefixes."""
    for at, prefix in enumerate(prefixes):
        for other in before:
            if _overlap(prefix, other):
                raise overlapping_prefixes(prefix, "an existing", other)
        for other in prefixes[at + 1 :]:
            if _overlap(prefix, other):
                raise overlapping_prefixes(prefix, "another provided", other)


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


@_client("client|caching", 3, since="6.0.0", alters_session=True, syntax="<YES | NO>")
def client_caching(ctx: Context, args: list[bytes]) -> Reply:
    """Instructs the server whether to track the keys in the next request."""
    tracking = ctx.session.tracking
    if tracking is None:
        raise ReplyError(CACHING_NOT_TRACKING)
    match args[2].upper():
        case b"YES":
            if tracking.mode != "optin":
                raise ReplyError(CACHING_YES)
        case b"NO":
            if tracking.mode != "optout":
                raise ReplyError(CACHING_NO)
        case _:
            raise syntax_error()
    tracking.caching = True
    return OK


@_client("client|getredir", 2, since="6.0.0")
def client_getredir(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the client ID to which the connection's tracking notifications are redirected."""
    tracking = ctx.session.tracking
    return -1 if tracking is None else tracking.redirect


@_client("client|trackinginfo", 2, since="6.2.0")
def client_trackinginfo(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about server-assisted client-side caching for the connection."""
    tracking = ctx.session.tracking
    return {
        b"flags": OrderedSet([b"off"] if tracking is None else _flags(tracking)),
        b"redirect": -1 if tracking is None else tracking.redirect,
        b"prefixes": [] if tracking is None else sorted(tracking.prefixes),
    }


def _flags(tracking: Tracking) -> list[bytes]:
    flags = {
        b"on": True,
        b"bcast": tracking.broadcasts,
        b"optin": tracking.mode == "optin",
        b"caching-yes": tracking.caching and tracking.mode == "optin",
        b"optout": tracking.mode == "optout",
        b"caching-no": tracking.caching and tracking.mode == "optout",
        b"noloop": tracking.noloop,
        b"broken_redirect": tracking.broken,
    }
    return [flag for flag, applies in flags.items() if applies]
