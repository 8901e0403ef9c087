"""Transactions: MULTI, EXEC, DISCARD, WATCH and UNWATCH.

What is asked between MULTI and EXEC is kept by a gate (gates.py). EXEC is one unit of work and one
commit; it claims the keys of all that it runs and of all that is watched, and nothing else.
"""

from __future__ import annotations

from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.events import told_already
from tendis_py.commands.permission import IN_MULTI, denied, note
from tendis_py.commands.registry import FAST_ROWS, REGISTRY, Keys, command
from tendis_py.errors import (
    DISCARD_WITHOUT_MULTI,
    EXEC_ABORTED,
    EXEC_WITHOUT_MULTI,
    MULTI_NESTED,
    WATCH_IN_MULTI,
    ReplyError,
    no_longer_permitted,
)
from tendis_py.resp.replies import NULL_ARRAY, OK, EncodedArray, Payload, Reply
from tendis_py.services.watches import Seen
from tendis_py.session import Transaction

_command = partial(command, group="transactions")

_CHANGE_PERMITS = frozenset((b"acl", b"auth", b"hello"))


@_command(
    "multi",
    1,
    since="1.2.0",
    flags="noscript loading stale fast allow_busy",
    alters_session=True,
)
def multi(ctx: Context, args: list[bytes]) -> Reply:
    """Starts a transaction."""
    if ctx.session.transaction is not None:
        raise ReplyError(MULTI_NESTED)
    ctx.session.begin_transaction(Transaction(ctx.session.net_in))
    return OK


@_command(
    "exec",
    1,
    since="1.2.0",
    flags="noscript loading stale skip_slowlog",
    complexity="Depends on commands in the transaction",
    alters_session=True,
    events=told_already,
)
def exec_(ctx: Context, args: list[bytes]) -> Reply:
    """Executes all commands in a transaction."""
    session = ctx.session
    transaction = session.transaction
    if transaction is None:
        raise ReplyError(EXEC_WITHOUT_MULTI)
    if transaction.failed:
        _end(ctx)
        raise ReplyError(EXEC_ABORTED)
    if (
        transaction.is_slow
        or transaction.arguments > FAST_ROWS
        or len(session.watched) > FAST_ROWS
        or ctx.services.monitors.is_any  # what they have seen is not taken back
    ):
        ctx.need_slow_lane()
    if session.stale or _has_expired(ctx):
        _end(ctx)
        return NULL_ARRAY
    requests = transaction.requests
    payloads = _run(ctx, transaction)
    _end(ctx)
    return EncodedArray(len(requests), payloads)


def _run(ctx: Context, transaction: Transaction) -> list[Payload]:
    """The encoded replies. What the client's user may do is asked once more: its rules may have
    changed, or be changed here, or it may become another."""
    requests = transaction.requests
    if transaction.is_slow and transaction.apart:
        ctx.require(None)  # a script that wanted more would have begun again what can't be undone
    changes = transaction.is_slow and any(
        request[0].lower() in _CHANGE_PERMITS for request in requests
    )
    permits = ctx.session.user.permits
    if not changes and (permits is None or permits.leading(requests) == len(requests)):
        return ctx.run_unit(requests)
    ctx.need_slow_lane()
    if transaction.apart:
        ctx.require(None)
    payloads: list[Payload] = []
    for cut in ctx.tx.pace.cuts(len(requests)):
        for request in requests[cut]:
            command = REGISTRY.find(request)
            assert command is not None
            denial = denied(ctx, command, request)
            if denial is None:
                payloads += ctx.run_unit([request])
                continue
            note(ctx, command, request, denial, IN_MULTI, "exec")
            error = no_longer_permitted(denial.reason.value)
            ctx.counters.reject(None, error.code)
            payloads.append(ctx.session.encoders[ReplyError](error))
    return payloads


def _has_expired(ctx: Context) -> bool:
    """Whether a watched key was there, and is not any more: nobody has deleted it."""
    return any(
        seen is Seen.THERE and not ctx.tx.database(index).is_there(key)
        for (index, key), seen in ctx.session.watched.items()
    )


def _end(ctx: Context) -> None:
    ctx.session.end_transaction()
    ctx.services.watches.unwatch(ctx.session)


@_command(
    "discard",
    1,
    since="2.0.0",
    flags="noscript loading stale fast allow_busy",
    complexity="O(N), when N is the number of queued commands",
    alters_session=True,
)
def discard(ctx: Context, args: list[bytes]) -> Reply:
    """Discards a transaction."""
    if ctx.session.transaction is None:
        raise ReplyError(DISCARD_WITHOUT_MULTI)
    _end(ctx)
    return OK


@_command(
    "watch",
    -2,
    since="2.2.0",
    flags="noscript loading stale fast allow_busy",
    keys=Keys("RO", last=-1),
    complexity="O(1) for every key.",
    syntax="key [key ...]",
)
def watch(ctx: Context, args: list[bytes]) -> Reply:
    """Monitors changes to keys to determine the execution of a transaction."""
    session = ctx.session
    if session.transaction is not None:
        raise ReplyError(WATCH_IN_MULTI)
    if session.stale:
        return OK  # EXEC will run nothing, whatever happens now
    found = [((ctx.db.index, key), _seen(ctx, key)) for key in args[1:]]
    ctx.services.watches.watch(session, found)
    return OK


def _seen(ctx: Context, key: bytes) -> Seen:
    if ctx.db.is_there(key):
        return Seen.THERE
    return Seen.EXPIRED if ctx.db.has_row(key) else Seen.NOT_THERE


@_command(
    "unwatch",
    1,
    since="2.2.0",
    flags="noscript loading stale fast allow_busy",
)
def unwatch(ctx: Context, args: list[bytes]) -> Reply:
    """Forgets about watched keys of a transaction."""
    ctx.services.watches.unwatch(ctx.session)
    return OK
