"""COMMAND: what the registry knows, in the shapes that Redis describes commands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import count

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.key_specs import Keys, NoKeysError, legacy_range
from tendis_py.commands.manual import page
from tendis_py.commands.registry import CATEGORIES, FLAGS, REGISTRY, Command, command
from tendis_py.commands.syntax import Argument, parse
from tendis_py.errors import (
    INVALID_ARGUMENTS,
    NO_KEY_ARGUMENTS,
    NOT_A_COMMAND,
    NUMBER_OF_ARGUMENTS,
    ReplyError,
    syntax_error,
)
from tendis_py.glob import compile_glob
from tendis_py.resp.replies import Encoded, OrderedSet, Reply, encode

_ALL = "O(N) where N is the total number of Redis commands"
_NAMED = "O(N) where N is the number of commands to look up"

_command = partial(
    command, group="server", flags="loading stale", categories="connection", since="2.8.13"
)
_SHOWN_FLAGS = tuple(flag for flag in FLAGS if flag != "may_replicate")


@_command("command", -1, complexity=_ALL, tips=("nondeterministic_output_order",))
def command_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns detailed information about all commands."""
    return _all_info(ctx.session.protocol)


# Clients ask for everything when they start, and it takes milliseconds to put together.


@cache
def _all_info(protocol: int) -> Encoded:
    return Encoded(encode([info(found) for found in REGISTRY.commands.values()], protocol))


@cache
def _all_docs(protocol: int) -> Encoded:
    every = {found.name.encode(): docs(found) for found in REGISTRY.commands.values()}
    return Encoded(encode(every, protocol))


@_command("command|count", 2)
def command_count(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a count of commands."""
    return len(REGISTRY.commands)


@_command(
    "command|info",
    -2,
    complexity=_NAMED,
    tips=("nondeterministic_output_order",),
    syntax="[command-name [command-name ...]]",
)
def command_info(ctx: Context, args: list[bytes]) -> Reply:
    """Returns information about one, multiple or all commands."""
    if len(args) == 2:
        return _all_info(ctx.session.protocol)
    found = [REGISTRY.named(name) for name in args[2:]]
    return [None if one is None else info(one) for one in found]


@_command(
    "command|docs",
    -2,
    since="7.0.0",
    complexity=_NAMED,
    tips=("nondeterministic_output_order",),
    syntax="[command-name [command-name ...]]",
)
def command_docs(ctx: Context, args: list[bytes]) -> Reply:
    """Returns documentary information about one, multiple or all commands."""
    if len(args) == 2:
        return _all_docs(ctx.session.protocol)
    found = [one for one in map(REGISTRY.named, args[2:]) if one is not None]
    return {one.name.encode(): docs(one) for one in found}


@_command(
    "command|list",
    -2,
    since="7.0.0",
    complexity=_ALL,
    tips=("nondeterministic_output_order",),
    syntax="[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
)
def command_list(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a list of command names."""
    keep: Callable[[Command], bool] = bool
    if len(args) == 5 and args[2].upper() == b"FILTERBY":
        keep = _filter(args[3].upper(), args[4])
    elif len(args) != 2:
        raise syntax_error()
    return [one.name.encode() for one in REGISTRY.all() if keep(one)]


def _filter(kind: bytes, value: bytes) -> Callable[[Command], bool]:
    if kind == b"MODULE":
        return lambda found: False
    if kind == b"ACLCAT":
        category = value.lower().decode("utf-8", "surrogateescape")
        return lambda found: category in found.categories
    if kind == b"PATTERN":
        matches = compile_glob(value, ignore_case=True)
        return lambda found: matches(found.name.encode())
    raise syntax_error()


@_command(
    "command|getkeys",
    -3,
    complexity="O(N) where N is the number of arguments to the command",
    syntax="command [arg [arg ...]]",
)
def command_getkeys(ctx: Context, args: list[bytes]) -> Reply:
    """Extracts the key names from an arbitrary command."""
    return [key for key, _ in _keys(args[2:])]


@_command(
    "command|getkeysandflags",
    -3,
    since="7.0.0",
    complexity="O(N) where N is the number of arguments to the command",
    syntax="command [arg [arg ...]]",
)
def command_getkeysandflags(ctx: Context, args: list[bytes]) -> Reply:
    """Extracts the key names and access flags for an arbitrary command."""
    return [[key, OrderedSet(flags)] for key, flags in _keys(args[2:])]


def _keys(request: list[bytes]) -> list[tuple[bytes, tuple[str, ...]]]:
    found = REGISTRY.find(request)
    if found is None:
        raise ReplyError(NOT_A_COMMAND)
    if not any(spec.names_keys for spec in found.keys):
        raise ReplyError(NO_KEY_ARGUMENTS)
    if len(request) not in found.fits:
        raise ReplyError(NUMBER_OF_ARGUMENTS)
    try:
        keys = found.key_flags(request)
    except NoKeysError:
        keys = []
    if not keys and "no_mandatory_keys" not in found.flags:
        raise ReplyError(INVALID_ARGUMENTS)
    return keys


@_command("command|help", 2, since="5.0.0")
def command_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "COMMAND",
        ("(no subcommand)", "Return details about all Redis commands."),
        ("COUNT", "Return the total number of commands in this Redis server."),
        ("LIST", "Return a list of all commands in this Redis server."),
        (
            "INFO [<command-name> ...]",
            "Return details about multiple Redis commands.\n"
            "If no command names are given, documentation details for all\n"
            "commands are returned.",
        ),
        (
            "DOCS [<command-name> ...]",
            "Return documentation details about multiple Redis commands.\n"
            "If no command names are given, documentation details for all\n"
            "commands are returned.",
        ),
        ("GETKEYS <full-command>", "Return the keys from a full Redis command."),
        (
            "GETKEYSANDFLAGS <full-command>",
            "Return the keys and the access flags from a full Redis command.",
        ),
    )


# COMMAND INFO


def info(found: Command) -> list[Reply]:
    """The entry of COMMAND and COMMAND INFO."""
    return [
        found.name.encode(),
        found.arity,
        OrderedSet(flag for flag in _SHOWN_FLAGS if flag in found.flags),
        *legacy_range(found.keys),
        OrderedSet(f"@{category}" for category in CATEGORIES if category in found.categories),
        OrderedSet(tip.encode() for tip in found.tips),
        OrderedSet(map(_key_spec, found.keys)),
        # An array, but where there are none: that is how Redis answers.
        [info(sub) for sub in found.subcommands.values()] or OrderedSet(),
    ]


def _key_spec(spec: Keys) -> dict[bytes, Reply]:
    begin, find = _search(spec)
    return {
        **({b"notes": spec.notes.encode()} if spec.notes else {}),
        b"flags": OrderedSet(spec.words),
        b"begin_search": {b"type": begin[0], b"spec": begin[1]},
        b"find_keys": {b"type": find[0], b"spec": find[1]},
    }


_Step = tuple[bytes, dict[bytes, Reply]]


def _search(spec: Keys) -> tuple[_Step, _Step]:
    """Where a specification has its search begin, and how it finds the keys from there."""
    if spec.unknown:
        return (b"unknown", {}), (b"unknown", {})
    if spec.count is not None:
        first_key = spec.first - spec.count
        return (b"index", {b"index": spec.count}), (
            b"keynum",
            {b"keynumidx": 0, b"firstkey": first_key, b"keystep": spec.step},
        )
    begin: _Step = (b"index", {b"index": spec.first})
    if spec.keyword is not None:
        begin = b"keyword", {b"keyword": spec.keyword.encode(), b"startfrom": spec.first}
    return begin, (
        b"range",
        {b"lastkey": spec.last, b"keystep": spec.step, b"limit": spec.limit},
    )


# COMMAND DOCS


def docs(found: Command) -> dict[bytes, Reply]:
    """The entry of COMMAND DOCS."""
    described: dict[bytes, Reply] = {
        b"summary": found.summary.encode(),
        b"since": found.since.encode(),
        b"group": found.group.encode(),
    }
    if found.complexity:
        described[b"complexity"] = found.complexity.encode()
    known = page(found.name)
    if known is not None:
        described |= known
    elif found.docs_syntax:
        described[b"arguments"] = _arguments(parse(found.docs_syntax), _key_spec_numbers(found))
    if found.subcommands:
        described[b"subcommands"] = {
            sub.name.encode(): docs(sub) for sub in found.subcommands.values()
        }
    return described


def _key_spec_numbers(found: Command) -> Callable[[], int]:
    """Of each further key argument: which specification it falls under."""
    numbers = count()
    last = max(0, len(found.keys) - 1)
    return lambda: min(next(numbers), last)


def _arguments(
    arguments: Iterable[Argument], key_spec_number: Callable[[], int]
) -> list[dict[bytes, Reply]]:
    return [_argument(argument, key_spec_number) for argument in arguments]


def _argument(argument: Argument, key_spec_number: Callable[[], int]) -> dict[bytes, Reply]:
    described: dict[bytes, Reply] = {
        b"name": argument.name.encode(),
        b"type": argument.type.encode(),
    }
    if not argument.arguments:
        described[b"display_text"] = argument.name.encode()
    if argument.type == "key":
        described[b"key_spec_index"] = key_spec_number()
    if argument.token:
        described[b"token"] = argument.token.encode()
    flags = [
        name
        for name, given in (
            ("optional", argument.optional),
            ("multiple", argument.multiple),
            ("multiple_token", argument.repeats_token),
        )
        if given
    ]
    if flags:
        described[b"flags"] = OrderedSet(flags)
    if argument.arguments:
        described[b"arguments"] = _arguments(argument.arguments, key_spec_number)
    return described
