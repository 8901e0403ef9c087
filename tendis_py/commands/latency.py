"""LATENCY: how long commands took, in Redis' buckets, and which were over the threshold when."""

from __future__ import annotations

from functools import partial

from tendis_py.commands import latency_doctor
from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import REGISTRY, Command, command, container
from tendis_py.errors import no_samples, printable
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.services.histogram import Buckets, below, count

_LIMITS = [1024 << power for power in range(20)]
"""Redis' buckets in ns, each twice as wide as the one before; the last one has no end."""

_LABELS = [((1024 << power) + (8 << power) - 1) // 1000 for power in range(20)]
"""Their ends in µs as Redis shows them: of the bucket of its HDR histogram that holds the limit."""

_LAST_LABEL = 1073741

container(
    "latency",
    group="server",
    since="2.8.13",
    summary="A container for latency diagnostics commands.",
)


@command(
    "latency|histogram",
    -2,
    group="server",
    since="7.0.0",
    flags="admin noscript loading stale",
    complexity="O(N) where N is the number of commands with latency information being retrieved.",
    tips=("nondeterministic_output", "request_policy:all_nodes", "response_policy:special"),
    syntax="[command [command ...]]",
)
def latency_histogram(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the cumulative distribution of latencies of a subset or all commands."""
    recorded = ctx.services.stats.latencies.buckets()
    wanted = _named(args[2:]) if len(args) > 2 else list(recorded)
    return {
        found.name.encode(): {b"calls": count(buckets), b"histogram_usec": _cumulative(buckets)}
        for found in wanted
        if (buckets := recorded.get(found)) is not None
    }


def _named(names: list[bytes]) -> list[Command]:
    """The commands of those names; a container stands for its subcommands, what is unknown for
    nothing."""
    found: list[Command] = []
    for name in names:
        head, _, sub = name.partition(b"|")
        named = REGISTRY.lookup(head)
        if named is None:
            continue
        if sub:
            found += [one for one in [named.subcommands.get(sub.lower())] if one is not None]
        else:
            found += [named, *named.subcommands.values()]
    return found


def _cumulative(buckets: Buckets) -> dict[int, int]:
    """End of each bucket that holds calls, in µs → how many calls ended by then."""
    result: dict[int, int] = {}
    before = 0
    for label, calls in zip(
        (*_LABELS, _LAST_LABEL), (*below(buckets, _LIMITS), count(buckets)), strict=True
    ):
        if calls > before:
            result[label] = calls
            before = calls
    return result


_latency = partial(
    command,
    group="server",
    since="2.8.13",
    flags="admin noscript loading stale",
    tips=("nondeterministic_output", "request_policy:all_nodes", "response_policy:special"),
)


@_latency("latency|latest", 2)
def latency_latest(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the latest latency samples for all events."""
    return [
        [name.encode(), *spikes.samples[-1], spikes.worst]
        for name, spikes in ctx.services.latency.events().items()
    ]


@_latency("latency|history", 3, syntax="event")
def latency_history(ctx: Context, args: list[bytes]) -> Reply:
    """Returns timestamp-latency samples for an event."""
    spikes = ctx.services.latency.events().get(printable(args[2]))
    return [] if spikes is None else [list(sample) for sample in spikes.samples]


@_latency(
    "latency|reset",
    -2,
    tips=("request_policy:all_nodes", "response_policy:agg_sum"),
    syntax="[event [event ...]]",
)
def latency_reset(ctx: Context, args: list[bytes]) -> Reply:
    """Resets the latency data for one or more events."""
    return ctx.services.latency.reset([printable(name) for name in args[2:]] or None)


@_latency("latency|graph", 3, syntax="event")
def latency_graph(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a latency graph for an event."""
    name = printable(args[2])
    spikes = ctx.services.latency.events().get(name)
    if spikes is None:
        raise no_samples(args[2])
    return Verbatim(latency_doctor.graph(name, spikes, ctx.services.clock.now_seconds()).encode())


@_latency("latency|doctor", 2)
def latency_doctor_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a human-readable latency analysis report."""
    services = ctx.services
    now = services.clock.now_seconds()
    return Verbatim(latency_doctor.report(services.latency.events(), services.config, now).encode())


@command("latency|help", 2, group="server", since="2.8.13", flags="loading stale")
def latency_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "LATENCY",
        ("DOCTOR", "Return a human readable latency analysis report."),
        ("GRAPH <event>", "Return an ASCII latency graph for the <event> class."),
        ("HISTORY <event>", "Return time-latency samples for the <event> class."),
        ("LATEST", "Return the latest latency samples for all events."),
        (
            "RESET [<event> ...]",
            "Reset latency data of one or more <event> classes.\n"
            "(default: reset all data for all event classes)",
        ),
        (
            "HISTOGRAM [COMMAND ...]",
            "Return a cumulative distribution of latencies in the format of a histogram for the "
            "specified command names.\n"
            "If no commands are specified then all histograms are replied.",
        ),
    )
