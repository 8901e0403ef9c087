"""MODULE: there are none, and none can be loaded."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.protected import allows
from tendis_py.commands.registry import command, container
from tendis_py.errors import MODULE_NOT_ALLOWED, MODULE_NOT_LOADED, NO_SUCH_MODULE, ReplyError
from tendis_py.resp.replies import Reply

container(
    "module",
    group="server",
    since="4.0.0",
    summary="A container for module commands.",
)

_module = partial(command, group="server", since="4.0.0", flags="admin noscript no_async_loading")


@command(
    "module|list",
    2,
    group="server",
    since="4.0.0",
    flags="admin noscript",
    complexity="O(N) where N is the number of loaded modules.",
    tips=("nondeterministic_output_order",),
)
def module_list(ctx: Context, args: list[bytes]) -> Reply:
    """Returns all loaded modules."""
    return []


@_module("module|load", -3, syntax="path [arg [arg ...]]")
def module_load(ctx: Context, args: list[bytes]) -> Reply:
    """Loads a module.

    Redis' modules are for its own process: none can be loaded, whoever asks.
    """
    raise _refusal(ctx, MODULE_NOT_LOADED)


@_module(
    "module|loadex",
    -3,
    since="7.0.0",
    syntax="path [CONFIG name value [CONFIG name value ...]] [ARGS args [args ...]]",
)
def module_loadex(ctx: Context, args: list[bytes]) -> Reply:
    """Loads a module using extended parameters."""
    raise _refusal(ctx, MODULE_NOT_LOADED)


@_module("module|unload", 3, syntax="name")
def module_unload(ctx: Context, args: list[bytes]) -> Reply:
    """Unloads a module."""
    raise _refusal(ctx, NO_SUCH_MODULE)


def _refusal(ctx: Context, failure: str) -> ReplyError:
    allowed = allows(ctx.services.config.enable_module_command, ctx.session)
    return ReplyError(failure if allowed else MODULE_NOT_ALLOWED)


@command("module|help", 2, group="server", since="5.0.0", flags="loading stale")
def module_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "MODULE",
        ("LIST", "Return a list of loaded modules."),
        (
            "LOAD <path> [<arg> ...]",
            "Load a module library from <path>, passing to it any optional arguments.",
        ),
        (
            "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
            "Load a module library from <path>, while passing it module configurations and "
            "optional arguments.",
        ),
        ("UNLOAD <name>", "Unload a module."),
    )
