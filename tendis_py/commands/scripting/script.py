"""SCRIPT: which scripts EVALSHA finds, and those that run."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import command, container
from tendis_py.commands.scripting.calls import caller_of
from tendis_py.errors import (
    SCRIPT_DEBUG_MODE,
    SCRIPT_FLUSH,
    SCRIPT_NO_DEBUGGER,
    ReplyError,
)
from tendis_py.resp.replies import OK, Reply
from tendis_py.services.scripts import parse

container(
    "script",
    group="scripting",
    since="2.6.0",
    summary="A container for Lua scripts management commands.",
)
_command = partial(command, group="scripting")


@_command(
    "script|load",
    3,
    since="2.6.0",
    flags="noscript stale",
    apart=True,
    complexity="O(N) with N being the length in bytes of the script body.",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    syntax="script",
)
def script_load(ctx: Context, args: list[bytes]) -> Reply:
    """Loads a server-side Lua script to the script cache."""
    script = parse(args[2])
    caller_of(ctx).compile(script)
    ctx.services.scripts.keep(script, stays=True)
    return script.sha


@_command(
    "script|exists",
    -3,
    since="2.6.0",
    flags="noscript",
    complexity=(
        "O(N) with N being the number of scripts to check (so checking a single script is an O(1) "
        "operation)."
    ),
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
    syntax="sha1 [sha1 ...]",
)
def script_exists(ctx: Context, args: list[bytes]) -> Reply:
    """Determines whether server-side Lua scripts exist in the script cache."""
    scripts = ctx.services.scripts
    return [int(sha.lower() in scripts) for sha in args[2:]]


@_command(
    "script|flush",
    -2,
    since="2.6.0",
    flags="noscript",
    complexity="O(N) with N being the number of scripts in cache",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
    syntax="[ASYNC | SYNC]",
)
def script_flush(ctx: Context, args: list[bytes]) -> Reply:
    """Removes all server-side Lua scripts from the script cache."""
    if len(args) > 3 or (len(args) == 3 and args[2].lower() not in (b"sync", b"async")):
        raise ReplyError(SCRIPT_FLUSH)
    ctx.services.scripts.flush()
    return OK


@_command(
    "script|kill",
    2,
    since="2.6.0",
    flags="noscript allow_busy",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)
def script_kill(ctx: Context, args: list[bytes]) -> Reply:
    """Terminates a server-side Lua script during execution."""
    ctx.services.scripts.kill(functions=False)
    return OK


@_command("script|debug", 3, since="3.2.0", flags="noscript", syntax="<YES | SYNC | NO>")
def script_debug(ctx: Context, args: list[bytes]) -> Reply:
    """Sets the debug mode of server-side Lua scripts."""
    mode = args[2].lower()
    if mode == b"no":
        return OK
    raise ReplyError(SCRIPT_NO_DEBUGGER if mode in (b"yes", b"sync") else SCRIPT_DEBUG_MODE)


@_command("script|help", 2, since="5.0.0", flags="loading stale")
def script_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "SCRIPT",
        ("DEBUG (YES|SYNC|NO)", "Set the debug mode for subsequent scripts executed."),
        (
            "EXISTS <sha1> [<sha1> ...]",
            "Return information about the existence of the scripts in the script cache.",
        ),
        (
            "FLUSH [ASYNC|SYNC]",
            "Flush the Lua scripts cache. Very dangerous on replicas.\n"
            "When called without the optional mode argument, the behavior is determined by the\n"
            "lazyfree-lazy-user-flush configuration directive. Valid modes are:\n"
            "* ASYNC: Asynchronously flush the scripts cache.\n"
            "* SYNC: Synchronously flush the scripts cache.",
        ),
        ("KILL", "Kill the currently executing Lua script."),
        ("LOAD <script>", "Load a script into the scripts cache without executing it."),
    )
