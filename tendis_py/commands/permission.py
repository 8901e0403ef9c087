"""Whether the user of a session may run a request, and the note that is made if not.

What asks: the gate of every request (gates.py), EXEC, clients that are unblocked, and scripts, for
each command that they call.
"""

from __future__ import annotations

from tendis_py.commands.client_line import client_line
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Command
from tendis_py.errors import NO_PERMISSION, ReplyError, acl_failure_in_script, no_permission
from tendis_py.resp.requests import Request
from tendis_py.services.acl.permits import Denial, Reason

TOPLEVEL, IN_MULTI, IN_SCRIPT = "toplevel", "multi", "lua"
"""Contexts of ACL LOG."""


def check(
    ctx: Context, command: Command, request: Request, context: str, runs: str = ""
) -> ReplyError | None:
    """The error of ``request`` if the session's user may not run it, which is noted in ACL LOG as
    having happened in that ``context``; None if it may. ``command`` and the arity are right.
    ``runs`` is what the client has asked for, if that is another command."""
    denial = denied(ctx, command, request)
    if denial is None:
        return None
    note(ctx, command, request, denial, context, runs)
    error = refusal(ctx.session.user.name, command, denial)
    return acl_failure_in_script(error) if context == IN_SCRIPT else error


def denied(ctx: Context, command: Command, request: Request) -> Denial | None:
    """As ``check``, asking only: why not, if it may not (``redis.acl_check_cmd``)."""
    permits = ctx.session.user.permits
    if permits is None:
        return None
    denial: Denial | None = permits.denial(command, request)
    return denial


def refusal(user: bytes, command: Command, denial: Denial) -> ReplyError:
    """What who is denied a request is told; the key or channel stays unsaid."""
    if denial.reason is Reason.COMMAND:
        return no_permission(user, command.name)
    return ReplyError(NO_PERMISSION[denial.reason.value])


def refusal_by_name(user: bytes, command: Command, request: Request, denial: Denial) -> bytes:
    """As ``refusal``, for who may know the key or channel (ACL DRYRUN)."""
    if denial.reason is Reason.COMMAND:
        name = command.name.encode()
        return b"User %b has no permissions to run the '%b' command" % (user, name)
    kind, thing = denial.reason.value.encode(), request[denial.position]
    return b"User %b has no permissions to access the '%b' %b" % (user, thing, kind)


def note(
    ctx: Context, command: Command, request: Request, denial: Denial, context: str, runs: str = ""
) -> None:
    """Put a denial into ACL LOG; see ``check``."""
    thing = command.name.encode() if denial.reason is Reason.COMMAND else request[denial.position]
    _log(ctx, denial.reason, context, thing, ctx.session.user.name, runs or command.name)


def note_wrong_password(ctx: Context, request: Request, name: bytes) -> None:
    """Somebody who wanted to be user ``name`` did not know the password."""
    context = TOPLEVEL if ctx.session.transaction is None else IN_MULTI
    command = request[0].decode("utf-8", "surrogateescape").lower()
    _log(ctx, Reason.AUTH, context, request[0], name, command)


def _log(
    ctx: Context, reason: Reason, context: str, thing: bytes, name: bytes, command: str
) -> None:
    services = ctx.services
    client = client_line(ctx.client, command, services.clock.monotonic()).removesuffix(b"\n")
    services.acl.log.add(reason, context, thing, name, client)
