"""MONITOR, and what of requests it shows."""

from __future__ import annotations

from tendis_py.commands.context import Context
from tendis_py.commands.redaction import redacted
from tendis_py.commands.registry import Command, command
from tendis_py.errors import MONITOR_NESTED, ReplyError
from tendis_py.resp.replies import NO_REPLY, OK, Reply
from tendis_py.resp.requests import Request

_HIDDEN = frozenset(("admin", "skip_monitor"))
"""Flags of commands that are not shown."""


@command(
    "monitor",
    1,
    group="server",
    since="1.0.0",
    flags="admin noscript loading stale",
    complexity="",
    alters_session=True,
)
def monitor(ctx: Context, args: list[bytes]) -> Reply:
    """Listens for all requests received by the server in real-time."""
    if ctx.nested:
        raise ReplyError(MONITOR_NESTED)
    return OK if ctx.services.monitors.add(ctx.session, _show) else NO_REPLY


def _show(ctx: Context, command: Command, request: Request, waits: bool) -> None:
    """What has waited was shown when it began to."""
    is_again = ctx.session in ctx.services.waiters.sessions and not ctx.nested
    if _HIDDEN.isdisjoint(command.flags) and not is_again:
        ctx.services.monitors.show(ctx.session, redacted(request))
