"""STAGES: where requests spend their time, stage by stage, and what is to be done about it."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

from tendis_py.commands.context import Context
from tendis_py.commands.help import help_lines
from tendis_py.commands.registry import command, container
from tendis_py.errors import unknown_stage, wrong_subcommand
from tendis_py.resp.replies import Reply, Verbatim
from tendis_py.services.doctor import diagnose, report
from tendis_py.services.observation import StageFigures

_ORIGIN = "tendis-py"
_SINCE = "8.2.0"

container(
    "stages",
    group="server",
    since=_SINCE,
    origin=_ORIGIN,
    summary="A container for commands that tell where requests spend their time.",
)

_stages = partial(
    command,
    group="server",
    since=_SINCE,
    origin=_ORIGIN,
    flags="admin noscript loading stale",
    tips=("nondeterministic_output", "request_policy:all_nodes", "response_policy:special"),
)


@_stages("stages|latency", -2, syntax="[stage]")
def stages_latency(ctx: Context, args: list[bytes]) -> Reply:
    """Returns how long requests take in each stage, by lane and thread pool.

    A map of stages, in the order in which a request comes through them. Each has an array of maps:
    ``lane``, ``pool``, ``all`` (since the last CONFIG RESETSTAT), ``10`` and ``60`` (in the last
    so many seconds), each of which maps ``count``, ``sum_ns``, ``p50_ns``, ``p90_ns``, ``p99_ns``,
    ``p999_ns`` and ``max_ns``.
    """
    wanted = _stage_named(args)
    found: dict[bytes, Reply] = {}
    for row in ctx.services.observatory.now().stages:
        if wanted is None or row.stage.encode() == wanted:
            rows = found.setdefault(row.stage.encode(), [])
            assert isinstance(rows, list)
            rows.append(_latency(row))
    if wanted is not None and not found:
        raise unknown_stage(wanted)
    return found


def _stage_named(args: list[bytes]) -> bytes | None:
    if len(args) > 3:
        raise wrong_subcommand("stages", args[1])
    return args[2].lower() if len(args) == 3 else None


def _latency(row: StageFigures) -> Reply:
    windows: dict[bytes, Reply] = {b"all": _figures(row.all)}
    windows |= {b"%d" % seconds: _figures(spent) for seconds, spent in row.recent.items()}
    return {b"lane": row.lane.encode(), b"pool": row.pool.encode(), **windows}


@_stages("stages|queues", 2)
def stages_queues(ctx: Context, args: list[bytes]) -> Reply:
    """Returns what waits in each queue, how much may, and how often there was no room.

    A map of queues, each a map. A capacity of 0 is no bound.
    """
    return {
        queue.name.encode(): _figures(queue, but="name")
        for queue in ctx.services.observatory.now().queues
    }


@_stages("stages|threads", 2)
def stages_threads(ctx: Context, args: list[bytes]) -> Reply:
    """Returns what part of the time each thread is busy, and what it gets done.

    A map of threads, each a map: ``pool``; ``busy``, from 0 to 1; ``batches`` and ``requests`` a
    second; ``connections``. All of the last ten seconds.
    """
    return {
        thread.name.encode(): _figures(thread, but="name")
        for thread in ctx.services.observatory.now().threads
    }


@_stages("stages|doctor", 2)
def stages_doctor(ctx: Context, args: list[bytes]) -> Reply:
    """Returns which stage is the bottleneck, and what to change, in plain words."""
    return Verbatim(report(diagnose(ctx.services.observatory.now())).encode())


@_stages("stages|findings", 2)
def stages_findings(ctx: Context, args: list[bytes]) -> Reply:
    """Returns what STAGES DOCTOR says, for programs.

    An array of maps, the worst first: ``cause``, ``stage``, ``share`` (of the requests' time),
    ``seen`` and ``advice``. When nothing is wrong the one cause is ``none``.
    """
    return [_figures(finding) for finding in diagnose(ctx.services.observatory.now())]


def _figures(record: Any, *, but: str = "") -> Reply:
    """A record of figures as a map."""
    found: dict[bytes, Reply] = {}
    for field in fields(record):
        if field.name != but:
            value = getattr(record, field.name)
            found[field.name.encode()] = value.encode() if isinstance(value, str) else value
    return found


@command("stages|help", 2, group="server", since=_SINCE, origin=_ORIGIN, flags="loading stale")
def stages_help(ctx: Context, args: list[bytes]) -> Reply:
    """Returns helpful text about the different subcommands."""
    return help_lines(
        "STAGES",
        (
            "LATENCY [<stage>]",
            "Return how long requests take in each stage, by lane and thread pool: since the\n"
            "last CONFIG RESETSTAT and in the last 10 and 60 seconds, in nanoseconds.",
        ),
        ("QUEUES", "Return what waits in each queue, how much may, and what was refused."),
        ("THREADS", "Return what part of the time each thread is busy, of the last 10 seconds."),
        ("DOCTOR", "Return which stage is the bottleneck and what to change, in plain words."),
        ("FINDINGS", "Return what DOCTOR says, for programs."),
    )
