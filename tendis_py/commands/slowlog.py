"""SLOWLOG: the latest slow commands, as Redis shows them, and with where their time went."""

from __future__ import annotations

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import command, container
from tendis_py.errors import SLOWLOG_COUNT, wrong_subcommand
from tendis_py.numbers import INT64_MAX
from tendis_py.resp.replies import OK, Reply
from tendis_py.services.slowlog import SlowlogEntry

_ADMIN = "admin loading stale"
_DEFAULT_COUNT = 10

container("slowlog", group="server", since="2.2.12", summary="A container for slow log commands.")


@command(
    "slowlog|get",
    -2,
    group="server",
    since="2.2.12",
    flags=_ADMIN,
    complexity="O(N) where N is the number of entries returned",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
    syntax="[count]",
)
def slowlog_get(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the slow log's entries."""
    return [_entry(entry) for entry in _latest(ctx, args)]


@command(
    "slowlog|stages",
    -2,
    group="server",
    origin="tendis-py",
    since="2.2.12",
    flags=_ADMIN,
    complexity="O(N) where N is the number of entries returned",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
    syntax="[count]",
)
def slowlog_stages(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the slow log's entries, each with the time it spent in every stage.

    Redis does not have this. A seventh element maps the stage to µs: ``queue`` from reading to
    the thread that executes, ``lock`` waiting for keys, ``execute``, ``batch`` the other commands
    of the same batch, ``commit`` up to when the batch is as durable as appendfsync asks.

    An entry that is there for what the request took in all (``slowlog-total-slower-than``) has that
    for its duration and as ``total``; ``batch`` is then the request's commands and others', and
    ``respond`` and ``write`` say when the reply was at hand to be sent, and was sent.
    """
    return [
        [*_entry(entry), {name.encode(): us for name, us in entry.stages.items()}]
        for entry in _latest(ctx, args)
    ]


def _latest(ctx: Context, args: list[bytes]) -> list[SlowlogEntry]:
    if len(args) > 3:
        raise wrong_subcommand(args[0].decode(), args[1])
    count = integer(args[2], -1, INT64_MAX, SLOWLOG_COUNT) if len(args) == 3 else _DEFAULT_COUNT
    return ctx.services.slowlog.latest(None if count < 0 else count)


def _entry(entry: SlowlogEntry) -> list[Reply]:
    return [
        entry.id,
        entry.time,
        entry.duration,
        entry.arguments,
        entry.address.encode("utf-8", "surrogateescape"),
        entry.name,
    ]


@command(
    "slowlog|len",
    2,
    group="server",
    since="2.2.12",
    flags=_ADMIN,
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)
def slowlog_len(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the number of entries in the slow log."""
    return len(ctx.services.slowlog)


@command(
    "slowlog|reset",
    2,
    group="server",
    since="2.2.12",
    flags=_ADMIN,
    complexity="O(N) where N is the number of entries in the slowlog",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)
def slowlog_reset(ctx: Context, args: list[bytes]) -> Reply:
    """Clears all entries from the slow log."""
    ctx.services.slowlog.clear()
    return OK


@command("slowlog|help", 2, group="server", since="6.2.0", flags="loading stale")
def slowlog_help(ctx: Context, args: list[bytes]) -> Reply:
    """Show helpful text about the different subcommands"""
    return help_lines(
        "SLOWLOG",
        (
            "GET [<count>]",
            "Return top <count> entries from the slowlog (default: 10, -1 mean all).\n"
            "Entries are made of:\n"
            "id, timestamp, time in microseconds, arguments array, client IP and port,\n"
            "client name",
        ),
        (
            "STAGES [<count>]",
            "As GET, with a seventh element: the time in each stage, in microseconds.",
        ),
        ("LEN", "Return the length of the slowlog."),
        ("RESET", "Reset the slowlog."),
    )
