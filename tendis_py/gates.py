"""Gates: what a request has to pass before its command runs.

They stand in the order of Redis' ``processCommand``, after the lookup and the arity. A session's
are compiled when its state has changed (``Session.compile_gates``); a session that is ``plain`` has
none, and its requests run without a look here unless ``GlobalGates.closed``. Knows no RESP and no
stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tendis_py.commands.claims import claims_of
from tendis_py.commands.context import Context
from tendis_py.commands.permission import IN_MULTI, TOPLEVEL, check
from tendis_py.commands.registry import REGISTRY, Command, Lane
from tendis_py.errors import (
    MONITORS_NO_KEYS,
    NO_AUTH,
    NOT_IN_MULTI,
    HeldError,
    ReplyError,
    not_while_subscribed,
)
from tendis_py.resp.replies import QUEUED
from tendis_py.resp.requests import Request
from tendis_py.session import Session

Gate = Callable[[Context, Command, Request], Any]
"""PASS, or a value that is the reply, the command not having run. ReplyError refuses the request,
HeldError has it wait: it comes again."""

PASS: Any = object()

_ON_KEYS = frozenset(("readonly", "write", "may_replicate"))
_WHILE_SUBSCRIBED = frozenset(
    (
        *("subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"),
        *("ping", "quit", "reset"),
    )
)


def _authentication(ctx: Context, command: Command, request: Request) -> Any:
    if "no_auth" in command.flags or ctx.services.acl.admits(ctx.session):
        return PASS
    raise ReplyError(NO_AUTH)


def _not_in_transaction(ctx: Context, command: Command, request: Request) -> Any:
    if "no_multi" in command.flags:
        raise ReplyError(NOT_IN_MULTI)
    return PASS


def _permission(ctx: Context, command: Command, request: Request) -> Any:
    context = TOPLEVEL if ctx.session.transaction is None else IN_MULTI
    error = check(ctx, command, request, context)
    if error is not None:
        raise error
    return PASS


def _disk(ctx: Context, command: Command, request: Request) -> Any:
    """As in Redis, PING tells of it, too: whoever watches a server asks that."""
    failure = ctx.services.disk.failure
    if failure and ("write" in command.flags or command.name == "ping" or _writes(ctx, command)):
        raise ReplyError(failure)
    return PASS


def _subscribed(ctx: Context, command: Command, request: Request) -> Any:
    """RESP2 can't tell a reply from a message."""
    if command.name not in _WHILE_SUBSCRIBED:
        raise not_while_subscribed(command.name)
    return PASS


def _monitoring(ctx: Context, command: Command, request: Request) -> Any:
    """For Redis, who monitors is a kind of replica."""
    if not command.flags.isdisjoint(_ON_KEYS):
        raise ReplyError(MONITORS_NO_KEYS)
    return PASS


def _busy(ctx: Context, command: Command, request: Request) -> Any:
    """Nobody waits for the keys of a script that has run for long."""
    if ctx.refusal and not _has_keys(ctx, command, request):
        raise ReplyError(ctx.refusal)
    return PASS


def _has_keys(ctx: Context, command: Command, request: Request) -> bool:
    """Whether all is locked that a request needs now."""
    session = ctx.session
    if session.needs_all_keys:
        return ctx.holds(None)
    transaction = session.transaction
    if transaction is None:
        return ctx.holds(claims_of(command, request))
    if command.name != "exec":
        return command.is_queued or ctx.holds(claims_of(command, request))
    commands = map(REGISTRY.find, transaction.requests)
    return ctx.holds({key for _, key in session.watched}) and all(
        ctx.holds(claims_of(one, queued))
        for one, queued in zip(commands, transaction.requests, strict=True)
        if one is not None
    )


def _pause(ctx: Context, command: Command, request: Request) -> Any:
    if ctx.services.pause.holds(writes=command.may_write or _writes(ctx, command)):
        raise HeldError
    return PASS


def _writes(ctx: Context, command: Command) -> bool:
    """Whether that is EXEC of something that may write."""
    transaction = ctx.session.transaction
    return command.name == "exec" and transaction is not None and transaction.may_write


def _queue(ctx: Context, command: Command, request: Request) -> Any:
    if not command.is_queued:
        return PASS
    queue(ctx.session, command, request)
    return QUEUED


def queue(session: Session, command: Command, request: Request) -> None:
    """Keep a request for EXEC, unless that will run nothing."""
    transaction = session.transaction
    assert transaction is not None
    if transaction.failed or session.stale:
        return
    transaction.requests.append(request)
    transaction.arguments += len(request)
    transaction.may_write |= command.may_write
    transaction.apart |= command.apart
    transaction.is_slow |= command.runs_once or command.lane_of(request) is Lane.SLOW


def gates_of(session: Session) -> tuple[Gate, ...]:
    """The gates of ``session``, in order; compiled if its state has changed."""
    gates: tuple[Gate, ...] | None = session.gates
    if gates is None:
        gates = session.gates = tuple(gate for gate, needed in _GATES if needed(session))
    return gates


def _always(session: Session) -> bool:
    return True


def _in_transaction(session: Session) -> bool:
    return session.transaction is not None


_GATES: tuple[tuple[Gate, Callable[[Session], bool]], ...] = (
    (_not_in_transaction, _in_transaction),
    (_authentication, lambda session: not session.authenticated),
    (_permission, lambda session: session.user.permits is not None),
    (_disk, _always),
    (_subscribed, lambda session: session.protocol == 2 and session.subscriptions is not None),
    (_monitoring, lambda session: session.monitors),
    (_busy, _always),
    (_pause, _always),
    (_queue, _in_transaction),
)
"""In the order of Redis: each with the question whether a session needs it."""
