"""FUNCTION: libraries of functions, which are part of the data.

What changes them claims LIBRARIES, so that one does at a time, and leaves the keys to others: the
code of a library may take half a second to load. What there is, or will be once the batch is
committed, is a ``Catalogue`` (services/functions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter_ns

from tendis_py.commands.context import Context
from tendis_py.commands.events import none
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import Lane, command, container
from tendis_py.commands.scripting.fcall import catalogue_of, functions_of
from tendis_py.errors import (
    FUNCTION_FLUSH_MODE,
    FUNCTION_RESTORE_POLICY,
    LIBRARY_NAME_MISSING,
    ReplyError,
    function_argument,
    function_option,
    wrong_subcommand,
)
from tendis_py.glob import compile_glob
from tendis_py.rdb.functions import codes_in, dump_functions
from tendis_py.resp.replies import OK, OrderedSet, Reply, Stream
from tendis_py.services.functions import STATE, Catalogue, empty, name_of
from tendis_py.services.scripts import Running
from tendis_py.storage.libraries import Library, library_key, library_setting

LIBRARIES = b"\0tendis-py: libraries of functions"
"""Stands for all of them among the keys that are locked."""

_ROWS_FOR_A_LIBRARY = 32
"""In whose time one is loaded."""

_ON_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")
_NUMBER = "O(N) where N is the number of functions"

_function = partial(command, group="scripting", flags="noscript", since="7.0.0")
_writer = partial(
    _function,
    flags="write noscript",
    events=none,
    claims=lambda request: [LIBRARIES],
    tips=_ON_ALL_SHARDS,
)
_loader = partial(_writer, flags="write denyoom noscript", lane=Lane.SLOW, apart=True)

container(
    "function", group="scripting", since="7.0.0", summary="A container for function commands."
)


def _replace(
    ctx: Context, catalogue: Catalogue, gone: Iterable[bytes], new: Iterable[Library]
) -> None:
    settings: dict[bytes, bytes | None] = {library_key(name): None for name in gone}
    settings.update(map(library_setting, new))
    ctx.tx.keep(STATE, catalogue, list(settings.items()))


# Changing them


@_loader(
    "function|load",
    -3,
    complexity="O(1) (considering compilation time is redundant)",
    syntax="[REPLACE] function-code",
)
def function_load(ctx: Context, args: list[bytes]) -> Reply:
    """Creates a library."""
    *words, code = args[2:]
    for word in words:
        if word.upper() != b"REPLACE":
            raise function_option(word)
    before = catalogue_of(ctx)
    name = name_of(code)
    if not words:
        before.check_new(name)
    library = functions_of(ctx).read(name, code)
    _replace(ctx, before.with_library(library), (), (library,))
    return name


@_writer("function|delete", 3, syntax="library-name")
def function_delete(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes a library and its functions."""
    _replace(ctx, catalogue_of(ctx).without_library(args[2]), (args[2],), ())
    return OK


@_writer(
    "function|flush",
    -2,
    complexity="O(N) where N is the number of functions deleted",
    syntax="[ASYNC | SYNC]",
)
def function_flush(ctx: Context, args: list[bytes]) -> Reply:
    """Deletes all libraries and functions."""
    if len(args) > 3:
        raise wrong_subcommand("function", args[1])
    if len(args) == 3 and args[2].upper() not in (b"ASYNC", b"SYNC"):
        raise ReplyError(FUNCTION_FLUSH_MODE)
    before = catalogue_of(ctx)
    ctx.tx.admit(len(before.libraries))
    _replace(ctx, empty(), before.libraries, ())
    return OK


@_loader(
    "function|restore",
    -3,
    complexity="O(N) where N is the number of functions on the payload",
    syntax="serialized-value [FLUSH | APPEND | REPLACE]",
)
def function_restore(ctx: Context, args: list[bytes]) -> Reply:
    """Restores all libraries from a payload."""
    if len(args) > 4:
        raise wrong_subcommand("function", args[1])
    policy = args[3].upper() if len(args) == 4 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise ReplyError(FUNCTION_RESTORE_POLICY)
    restored = _read(ctx, args)
    before = catalogue_of(ctx)
    if policy == b"FLUSH":
        _replace(ctx, restored, before.libraries, restored.libraries.values())
    else:
        after = before.joined(restored, replaces=policy == b"REPLACE")
        _replace(ctx, after, (), restored.libraries.values())
    return OK


def _read(ctx: Context, args: list[bytes]) -> Catalogue:
    """The libraries in a payload. Very many take long: who asks sees it run, and may kill it."""
    functions, scripts = functions_of(ctx), ctx.services.scripts
    found = empty()
    running = Running(b"RESTORE", args[:2], is_function=True)
    scripts.begin(running)
    try:
        for code in codes_in(args[2], ctx.tx.pace):
            name = name_of(code)
            found.check_new(name)
            found.add(functions.read(name, code, running))
            ctx.tx.pace.rest(_ROWS_FOR_A_LIBRARY)
    finally:
        scripts.end(running)
    return found


# Looking at them


@_function("function|dump", 2, complexity=_NUMBER)
def function_dump(ctx: Context, args: list[bytes]) -> Reply:
    """Dumps all libraries into a serialized binary payload."""
    catalogue = catalogue_of(ctx)
    ctx.tx.admit(catalogue.rows)
    libraries = catalogue.libraries
    return dump_functions((library.code for library in libraries.values()), ctx.tx.pace)


@_function(
    "function|list",
    -2,
    complexity=_NUMBER,
    tips=("nondeterministic_output_order",),
    syntax="[LIBRARYNAME library-name-pattern] [WITHCODE]",
)
def function_list(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about all libraries."""
    with_code = False
    matches: Callable[[bytes], bool] | None = None
    words = iter(args[2:])
    for word in words:
        if not with_code and word.upper() == b"WITHCODE":
            with_code = True
        elif matches is None and word.upper() == b"LIBRARYNAME":
            pattern = next(words, None)
            if pattern is None:
                raise ReplyError(LIBRARY_NAME_MISSING)
            matches = compile_glob(pattern, ignore_case=True)
        else:
            raise function_argument(word)
    catalogue = catalogue_of(ctx)
    ctx.tx.admit(catalogue.rows)
    return Stream(
        _described(library, with_code)
        for library in ctx.tx.pace.over(iter(catalogue.libraries.values()))
        if matches is None or matches(library.name)
    )


def _described(library: Library, with_code: bool) -> dict[bytes, Reply]:
    described: dict[bytes, Reply] = {
        b"library_name": library.name,
        b"engine": b"LUA",
        b"functions": [
            {
                b"name": function.name,
                b"description": function.description,
                b"flags": OrderedSet(function.flags),
            }
            for function in library.functions
        ],
    }
    if with_code:
        described[b"library_code"] = library.code
    return described


@_function(
    "function|stats",
    2,
    flags="noscript allow_busy",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def function_stats(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about a function during execution."""
    catalogue = catalogue_of(ctx)
    running = next((one for one in ctx.services.scripts.running if one.is_function), None)
    described: dict[bytes, Reply] | None = None
    if running is not None:
        described = {
            b"name": running.name,
            b"command": running.request,
            b"duration_ms": (perf_counter_ns() - running.started) // 1_000_000,
        }
    counts = {
        b"libraries_count": len(catalogue.libraries),
        b"functions_count": catalogue.registered,
    }
    return {b"running_script": described, b"engines": {b"LUA": counts}}


@_function(
    "function|kill",
    2,
    flags="noscript allow_busy",
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)
def function_kill(ctx: Context, args: list[bytes]) -> Reply:
    """Terminates a function during execution."""
    ctx.services.scripts.kill(functions=True)
    return OK


@command("function|help", 2, group="scripting", since="7.0.0", flags="loading stale")
def function_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "FUNCTION",
        (
            "LOAD [REPLACE] <FUNCTION CODE>",
            "Create a new library with the given library name and code.",
        ),
        ("DELETE <LIBRARY NAME>", "Delete the given library."),
        (
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "Return general information on all the libraries:\n"
            "* Library name\n"
            "* The engine used to run the Library\n"
            "* Functions list\n"
            "* Library code (if WITHCODE is given)\n"
            "It also possible to get only function that matches a pattern using LIBRARYNAME "
            "argument.",
        ),
        (
            "STATS",
            "Return information about the current function running:\n"
            "* Function name\n"
            "* Command used to run the function\n"
            "* Duration in MS that the function is running\n"
            "If no function is running, return nil\n"
            "In addition, returns a list of available engines.",
        ),
        ("KILL", "Kill the current running function."),
        (
            "FLUSH [ASYNC|SYNC]",
            "Delete all the libraries.\n"
            "When called without the optional mode argument, the behavior is determined by the\n"
            "lazyfree-lazy-user-flush configuration directive. Valid modes are:\n"
            "* ASYNC: Asynchronously flush the libraries.\n"
            "* SYNC: Synchronously flush the libraries.",
        ),
        (
            "DUMP",
            "Return a serialized payload representing the current libraries, can be restored using "
            "FUNCTION RESTORE command",
        ),
        (
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "Restore the libraries represented by the given payload, it is possible to give a "
            "restore policy to\n"
            "control how to handle existing libraries (default APPEND):\n"
            "* FLUSH: delete all existing libraries.\n"
            "* APPEND: appends the restored libraries to the existing libraries. On collision, "
            "abort.\n"
            "* REPLACE: appends the restored libraries to the existing libraries, On collision, "
            "replace the old\n"
            "  libraries with the new libraries (notice that even on this option there is a chance "
            "of failure\n"
            "  in case of functions name collision with another library).",
        ),
    )
