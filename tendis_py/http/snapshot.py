"""An observation as the page gets it: plain lists and dictionaries, durations in ns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from tendis_py.services import Services
from tendis_py.services.observation import Durations, Finding, Observation, StageFigures

TOP_COMMANDS = 12
SLOWLOG_ENTRIES = 8
SHOWN_ARGUMENTS = 120
"""Characters of a slow command."""

BACKGROUND = "background"
"""Pool of what no request waits for."""
BESIDE = ("accept", "engine")
"""Stages that are not a request's, and a part of another one."""

_PLAIN = (
    *("time", "uptime", "model", "requests_per_second", "input_bytes_per_second"),
    *("output_bytes_per_second", "inline_share", "hits", "misses", "row_cache_bytes"),
    *("row_cache_hits", "row_cache_misses", "expiry_lag_ms", "garbage", "connected_clients"),
    *("blocked_clients", "subscribed_clients", "tracking_clients"),
)


def snapshot_of(
    observation: Observation,
    findings: Sequence[Finding],
    shares: Mapping[str, float],
    services: Services,
) -> dict[str, Any]:
    """All that the page shows of one moment; the busiest commands and the latest slow ones only.
    ``shares``: stage → part of the requests' time."""
    shown = {name: getattr(observation, name) for name in _PLAIN}
    shown["stages"] = [_stage(stage) for stage in observation.stages]
    shown["queues"] = [_record(queue) for queue in observation.queues]
    shown["threads"] = [_record(thread) for thread in observation.threads]
    busiest = sorted(observation.commands, key=attrgetter("per_second", "calls"), reverse=True)
    shown["commands"] = [
        {
            "name": command.name,
            "calls": command.calls,
            "failed": command.failed,
            "rejected": command.rejected,
            "per_second": command.per_second,
            "service": _durations(command.service),
            "total": _durations(command.total),
        }
        for command in busiest[:TOP_COMMANDS]
    ]
    shown["engine"] = _record(observation.engine)
    shown["findings"] = [_record(finding) for finding in findings]
    shown["shares"] = {stage: round(share, 4) for stage, share in shares.items()}
    shown["slowlog"] = [
        {
            "id": entry.id,
            "time": entry.time,
            "us": entry.duration,
            "command": b" ".join(entry.arguments).decode("utf-8", "replace")[:SHOWN_ARGUMENTS],
            "stages": entry.stages,
        }
        for entry in services.slowlog.latest(SLOWLOG_ENTRIES)
    ]
    return shown


def moment_of(observation: Observation, window: int) -> dict[str, Any]:
    """A point of the history: requests a second, those that wait, the time that a request takes on
    average, and of each stage p50, p99 and p99.9 of the last ``window`` seconds, where most of its
    requests go by; of those that had any."""
    main: dict[str, tuple[bool, int, list[int]]] = {}
    time_ns = requests = 0
    for stage in observation.stages:
        recent = stage.recent.get(window, Durations())
        if not recent.count:
            continue
        is_own = stage.pool != BACKGROUND
        if is_own and stage.stage not in BESIDE:
            time_ns += recent.sum_ns
        if is_own and stage.stage == "parse":
            requests += recent.count
        found = (is_own, recent.count, [recent.p50_ns, recent.p99_ns, recent.p999_ns])
        main[stage.stage] = max(main.get(stage.stage, found), found)
    return {
        "time": observation.time,
        "rate": round(observation.requests_per_second, 1),
        "waiting": sum(queue.requests for queue in observation.queues),
        "mean": time_ns // (requests or 1),
        "stages": {name: percentiles for name, (_, _, percentiles) in main.items()},
    }


def _record(figures: Any) -> dict[str, Any]:
    """A record of plain values (``asdict`` copies mappings, and can't all kinds of them)."""
    return {name: getattr(figures, name) for name in figures.__slots__}


def _stage(figures: StageFigures) -> dict[str, Any]:
    return {
        "stage": figures.stage,
        "lane": figures.lane,
        "pool": figures.pool,
        "all": _durations(figures.all),
        "recent": {str(window): _durations(recent) for window, recent in figures.recent.items()},
    }


def _durations(figures: Durations) -> list[int]:
    """Count, sum, p50, p90, p99, p99.9, max."""
    return [
        *(figures.count, figures.sum_ns, figures.p50_ns, figures.p90_ns, figures.p99_ns),
        *(figures.p999_ns, figures.max_ns),
    ]
