"""Gates: what a request has to pass before its command runs.

They stand in the order of Redis' ``processCommand``, after the lookup and the arity. A session's
are compiled when its state has changed (``Session.compile_gates``); a session that is ``plain`` has
none, and its requests run without a look here unless ``GlobalGates.closed``. Knows no RESP and no
stage.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.registry import Command
from tendis_py.errors import MONITORS_NO_KEYS, NO_AUTH, HeldError, ReplyError
from tendis_py.resp.requests import Request
from tendis_py.session import Session

Gate = Callable[[Context, Command, Request], Any]
"""PASS, or a value that is the reply, the command not having run. ReplyError refuses the request,
HeldError has it wait: it comes again."""

PASS: Any = object()

_MAY_WRITE = frozenset(("write", "may_replicate"))
_ON_KEYS = _MAY_WRITE | {"readonly"}


def _authentication(ctx: Context, command: Command, request: Request) -> Any:
    if "no_auth" in command.flags or ctx.services.admits(ctx.session):
        return PASS
    raise ReplyError(NO_AUTH)


def _disk(ctx: Context, command: Command, request: Request) -> Any:
    """As in Redis, PING tells of it, too: whoever watches a server asks that."""
    failure = ctx.services.disk.failure
    if failure and ("write" in command.flags or command.name == "ping"):
        raise ReplyError(failure)
    return PASS


def _monitoring(ctx: Context, command: Command, request: Request) -> Any:
    """For Redis, who monitors is a kind of replica."""
    if not command.flags.isdisjoint(_ON_KEYS):
        raise ReplyError(MONITORS_NO_KEYS)
    return PASS


def _pause(ctx: Context, command: Command, request: Request) -> Any:
    if ctx.services.pause.holds(writes=not command.flags.isdisjoint(_MAY_WRITE)):
        raise HeldError
    return PASS


def gates_of(session: Session) -> tuple[Gate, ...]:
    """The gates of ``session``, in order; compiled if its state has changed."""
    gates: tuple[Gate, ...] | None = session.gates
    if gates is None:
        gates = session.gates = tuple(gate for gate, needed in _GATES if needed(session))
    return gates


def _always(session: Session) -> bool:
    return True


_GATES: tuple[tuple[Gate, Callable[[Session], bool]], ...] = (
    (_authentication, lambda session: not session.authenticated),
    (_disk, _always),
    (_monitoring, lambda session: session.monitors),
    (_pause, _always),
)
"""In the order of Redis: each with the question whether a session needs it."""
