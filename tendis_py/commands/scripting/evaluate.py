"""EVAL and its kin: a script runs as one unit, with the keys that it has named.

What names too few runs again with all keys (``Context.require``), and what takes long again in a
thread of its own: so nothing of a script may be told before it has ended.
"""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import told_already
from tendis_py.commands.registry import Keys, command
from tendis_py.commands.scripting.calls import caller_of, show
from tendis_py.errors import (
    NO_SCRIPT,
    NUMKEYS_NEGATIVE,
    NUMKEYS_TOO_MANY,
    SCRIPT_MAY_WRITE,
    ReplyError,
)
from tendis_py.resp.replies import Reply
from tendis_py.resp.requests import Request
from tendis_py.services.scripts import Script

_WORST = "We cannot tell how the keys will be used so we assume the worst, {}"

_command = partial(
    command,
    group="scripting",
    complexity="Depends on the script that is executed.",
    apart=True,
    events=told_already,
)
_of_body = partial(_command, syntax="script numkeys [key [key ...]] [arg [arg ...]]")
_of_sha = partial(_command, syntax="sha1 numkeys [key [key ...]] [arg [arg ...]]")

_SHA_LENGTH = 40
_FEW = {b"%d" % number: number for number in range(10)}

_FLAGS = "noscript stale skip_monitor no_mandatory_keys"


@_of_body(
    "eval",
    -3,
    since="2.6.0",
    flags=f"{_FLAGS} may_replicate",
    keys=Keys("RW access update", first=3, count=2, notes=_WORST.format("RW and UPDATE")),
)
def eval_(ctx: Context, args: list[bytes]) -> Reply:
    """Executes a server-side Lua script."""
    return _evaluate(ctx, args, only_reads=False)


@_of_body(
    "eval_ro",
    -3,
    since="7.0.0",
    flags=f"readonly {_FLAGS}",
    keys=Keys("RO access", first=3, count=2, notes=_WORST.format("RO and ACCESS")),
)
def eval_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Executes a read-only server-side Lua script."""
    return _evaluate(ctx, args, only_reads=True)


def _run_same(ctx: Context, requests: list[Request]) -> list[Reply] | None:
    """EVALSHA of one script, several times."""
    sha = requests[0][1]
    if len(sha) != _SHA_LENGTH or not all(request[1] == sha for request in requests):
        return None
    script = ctx.services.scripts.find(sha)
    if script is None:
        return None
    keys = list(map(number_of_keys, requests))
    caller = caller_of(ctx)
    function = caller.ready().compile(script, script.code)
    return caller.run_each(function, requests, keys, script.sha, script.only_reads)


@_of_sha(
    "evalsha",
    -3,
    since="2.6.0",
    flags=f"{_FLAGS} may_replicate",
    keys=Keys("RW access update", first=3, count=2),
    run=_run_same,
)
def evalsha(ctx: Context, args: list[bytes]) -> Reply:
    """Executes a server-side Lua script by SHA1 digest."""
    return _evaluate_known(ctx, args, only_reads=False)


@_of_sha(
    "evalsha_ro",
    -3,
    since="7.0.0",
    flags=f"readonly {_FLAGS}",
    keys=Keys("RO access", first=3, count=2),
)
def evalsha_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Executes a read-only server-side Lua script by SHA1 digest."""
    return _evaluate_known(ctx, args, only_reads=True)


def _evaluate(ctx: Context, args: list[bytes], *, only_reads: bool) -> Reply:
    show(ctx, args)
    keys = number_of_keys(args)
    scripts = ctx.services.scripts
    script = scripts.of(args[1])
    if script.sha not in scripts:
        caller_of(ctx).compile(script)
        scripts.keep(script, stays=False)
    return _run(ctx, args, script, keys, only_reads=only_reads)


def _evaluate_known(ctx: Context, args: list[bytes], *, only_reads: bool) -> Reply:
    show(ctx, args)
    if len(args[1]) != _SHA_LENGTH:
        raise ReplyError(NO_SCRIPT)
    keys = number_of_keys(args)
    script = ctx.services.scripts.find(args[1])
    if script is None:
        raise ReplyError(NO_SCRIPT)
    return _run(ctx, args, script, keys, only_reads=only_reads)


def number_of_keys(args: list[bytes]) -> int:
    """How many of the arguments from the fourth on are keys."""
    number = _FEW.get(args[2])
    if number is None:
        number = integer(args[2])
    if number > len(args) - 3:
        raise ReplyError(NUMKEYS_TOO_MANY)
    if number < 0:
        raise ReplyError(NUMKEYS_NEGATIVE)
    return number


def _run(ctx: Context, args: list[bytes], script: Script, keys: int, *, only_reads: bool) -> Reply:
    if only_reads and script.flags is not None and not script.only_reads:
        raise ReplyError(SCRIPT_MAY_WRITE)
    caller = caller_of(ctx)
    function = caller.ready().compiled.get(script)
    if function is None:
        function = caller.compile(script)
    return caller.run(function, args, keys, script.sha, only_reads or script.only_reads)
