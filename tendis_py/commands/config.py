"""CONFIG: the settings of the running server."""

from __future__ import annotations

import logging

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.protected import allows
from tendis_py.commands.registry import command, container
from tendis_py.errors import syntax_error
from tendis_py.log import NOTICE
from tendis_py.resp.replies import OK, Reply

log = logging.getLogger(__name__)

_ADMIN = "admin noscript loading stale"
_EVERYWHERE = ("request_policy:all_nodes", "response_policy:all_succeeded")

container(
    "config",
    group="server",
    since="2.0.0",
    summary="A container for server configuration commands.",
)


@command(
    "config|get",
    -3,
    group="server",
    since="2.0.0",
    flags=_ADMIN,
    complexity="O(N) when N is the number of configuration parameters provided",
    syntax="parameter [parameter ...]",
)
def config_get(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the effective values of configuration parameters."""
    return ctx.services.config.get(args[2:])


@command(
    "config|set",
    -4,
    group="server",
    since="2.0.0",
    flags=_ADMIN,
    complexity="O(N) when N is the number of configuration parameters provided",
    tips=_EVERYWHERE,
    syntax="parameter value [parameter value ...]",
)
def config_set(ctx: Context, args: list[bytes]) -> Reply:
    """Sets configuration parameters in-flight."""
    if len(args) % 2:
        raise syntax_error()
    config = ctx.services.config
    config.set(
        list(zip(args[2::2], args[3::2], strict=True)),
        may_set_protected=allows(config.enable_protected_configs, ctx.session),
    )
    return OK


@command("config|rewrite", 2, group="server", since="2.8.0", flags=_ADMIN, tips=_EVERYWHERE)
def config_rewrite(ctx: Context, args: list[bytes]) -> Reply:
    """Persists the effective configuration to file."""
    ctx.services.config.rewrite()
    log.log(NOTICE, "CONFIG REWRITE executed with success.")
    return OK


@command("config|resetstat", 2, group="server", since="2.0.0", flags=_ADMIN, tips=_EVERYWHERE)
def config_resetstat(ctx: Context, args: list[bytes]) -> Reply:
    """Resets the server's statistics.

    Those of commands, errors, the network and the stages; not the slow log.
    """
    ctx.services.reset_statistics()
    return OK


@command("config|help", 2, group="server", since="5.0.0", flags="loading stale")
def config_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "CONFIG",
        ("GET <pattern>", "Return parameters matching the glob-like <pattern> and their values."),
        ("SET <directive> <value>", "Set the configuration <directive> to <value>."),
        ("RESETSTAT", "Reset statistics reported by the INFO command."),
        ("REWRITE", "Rewrite the configuration file."),
    )
