"""An observation as the page gets it: plain lists and dictionaries, durations in ns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from tendis_py.services import Services
from tendis_py.services.doctor import PARTS
from tendis_py.services.observation import WINDOWS, Durations, Finding, Observation, StageFigures
from tendis_py.services.stages import BACKGROUND

TOP_COMMANDS = 12
TOP_KEYS = 5
SLOWLOG_ENTRIES = 8
SHOWN_ARGUMENTS = 120
"""Characters of a slow command."""

BESIDE = frozenset(("accept", *PARTS))
"""Stages that are a connection's, or a part of another one."""

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
    shown["whole"] = [_stage(stage) for stage in observation.whole_stages]
    shown["waiting"] = waiting(observation)
    shown["mean"] = mean_ns(observation, WINDOWS[0])
    shown["hot_keys"] = [
        [key[:SHOWN_ARGUMENTS], share] for key, share in observation.hot_keys[:TOP_KEYS]
    ]
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
    average, and p50, p99 and p99.9 of each stage that there was in the last ``window`` seconds."""
    recent = [
        (stage.stage, stage.recent[window])
        for stage in observation.whole_stages
        if window in stage.recent and stage.recent[window].count
    ]
    return {
        "time": observation.time,
        "rate": round(observation.requests_per_second, 1),
        "waiting": waiting(observation),
        "mean": mean_ns(observation, window),
        "stages": {name: [it.p50_ns, it.p99_ns, it.p999_ns] for name, it in recent},
    }


def waiting(observation: Observation) -> int:
    """How many requests nobody works on, in all queues."""
    return sum(
        queue.requests
        for queue in observation.queues
        if not queue.name.startswith(("responses", "messages"))
    )


def mean_ns(observation: Observation, window: int) -> int:
    """What a request took on average, in all its stages."""
    time_ns = requests = 0
    for stage in observation.stages:
        recent = stage.recent.get(window, Durations())
        if stage.pool != BACKGROUND and stage.stage not in BESIDE:
            time_ns += recent.sum_ns
        if stage.stage == "parse":
            requests += recent.count
    return time_ns // (requests or 1)


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
