"""DEBUG itself: who may, and which form."""

from __future__ import annotations

from tendis_py.commands.context import Context
from tendis_py.commands.debug.forms import FORMS, Form
from tendis_py.commands.help import help_lines
from tendis_py.commands.protected import allows
from tendis_py.commands.registry import Lane, command
from tendis_py.errors import DEBUG_NOT_ALLOWED, ReplyError, wrong_subcommand
from tendis_py.resp.replies import Reply


def _claims(args: list[bytes]) -> list[bytes] | None:
    found = FORMS.get(args[1].lower()) if len(args) > 1 else None
    return [] if found is None else found.claims(args)


@command(
    "debug",
    -2,
    group="server",
    since="1.0.0",
    flags="admin noscript loading stale",
    complexity="Depends on subcommand.",
    lane=Lane.SLOW,
    apart=True,
    claims=_claims,
)
def debug(ctx: Context, args: list[bytes]) -> Reply:
    """A container for debugging commands."""
    if not allows(ctx.services.config.enable_debug_command, ctx.session):
        raise ReplyError(DEBUG_NOT_ALLOWED)
    name = args[1].lower()
    if name == b"help" and len(args) == 2:
        return help_lines("DEBUG", *((found.usage, found.help) for found in _in_order()))
    found = FORMS.get(name)
    if found is None or len(args) not in found.lengths:
        raise wrong_subcommand("debug", args[1])
    return found.handler(ctx, args)


def _in_order() -> list[Form]:
    return [FORMS[name] for name in sorted(FORMS) if FORMS[name].help]
