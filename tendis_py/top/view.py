"""What a snapshot looks like: panels, each of which fits itself to the width it is given.

The same for the live screen and for a snapshot on paper. Knows no terminal and no server.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from tendis_py.top import plain
from tendis_py.top.listing import Cell, Column, Facts, Listing, Sparkline, bar
from tendis_py.top.snapshot import ALL, Command, Durations, Finding, Snapshot, Stage
from tendis_py.top.words import count, duration, percent, size, span

HISTORY = 120
"""Snapshots that the throughput line goes back."""

COMMANDS = 12
SLOW_ENTRIES = 8
WORDS_OF_SLOW = 120

PARTS = {"engine": "execute"}
"""Stage → the one whose time includes its time."""

BACKGROUND = "background"
"""The pool of what no request waits for."""

MODELS = {
    "tendis": "tendis: reactors read, parse and answer; while nothing is under way they "
    "execute, too, otherwise executors do; slow commands have a thread of their own.",
    "kvrocks": "kvrocks: each thread accepts, reads, executes and answers its own connections.",
    "memcached": "memcached: connections are dealt in turn to threads, each of which does all for "
    "its own.",
    "redis": "redis: one thread does everything.",
    "redis-io": "redis-io: many threads read and answer, one executes, by rounds with one commit "
    "each.",
}

WINDOWS = {10: "last 10 s", 60: "last minute", ALL: "since the start"}
ORDERS = ("time", "calls", "slowest")


@dataclass(slots=True)
class View:
    """What is looked at, and how: ``window`` of the stages, and whether by ``lanes``; ``order`` of
    the commands. ``lost``: why the server is not there, empty while it is."""

    target: str
    seen: Snapshot | None = None
    lost: str = ""
    window: int = 10
    lanes: bool = False
    order: str = ORDERS[0]
    throughput: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def show(self, seen: Snapshot) -> None:
        """Go on to the next snapshot."""
        self.seen, self.lost = seen, ""
        if seen.seconds:
            self.throughput.append(seen.rate("total_commands_processed"))


@dataclass(frozen=True, slots=True)
class Panel:
    """``draw`` is asked only for a snapshot that the panel ``applies`` to. Where there is room,
    what goes ``left`` stands beside what goes ``right``; the others have the whole width."""

    name: str
    place: Literal["top", "left", "right", "bottom"]
    title: Callable[[View], str]
    draw: Callable[[View, Snapshot], RenderableType]
    applies: Callable[[Snapshot], bool] = lambda seen: True


def heading(view: View) -> Text:
    """Which server, for how long it has been up; or that it is gone."""
    seen = view.seen
    line = Text()
    if seen is not None:
        line.append(seen.product, "bold").append(" at ")
    line.append(view.target, "" if seen else "bold")
    if view.lost:
        return line.append(f"   gone: {view.lost}; trying again", "bold red")
    if seen is not None:
        line.append(f"   up {span(seen.number('uptime_in_seconds'))}")
        line.append(f"   {count(seen.rate('total_commands_processed'))} requests/s", "bold")
        clients = seen.number("connected_clients")
        line.append(f"   {count(clients)} client{'' if clients == 1 else 's'}")
    return line


def _bottleneck(view: View, seen: Snapshot) -> RenderableType:
    return Group(*map(_finding, seen.findings or plain.findings(seen)))


def _finding(found: Finding) -> Text:
    calm = found.cause == "none"
    text = Text()
    if not calm:
        text.append(
            f"{found.cause.replace('_', ' ')}  ",
            "bold red" if found.share >= 0.5 else "bold yellow",
        )
    text.append(found.seen, "green" if calm else "")
    if found.advice:
        text.append(f" {found.advice}", "dim")
    return text


def _throughput(view: View, seen: Snapshot) -> RenderableType:
    hits, misses = seen.since.get("keyspace_hits", 0.0), seen.since.get("keyspace_misses", 0.0)
    rows = [
        ("requests/s", count(seen.rate("total_commands_processed"))),
        ("received/s", size(seen.rate("total_net_input_bytes"))),
        ("sent/s", size(seen.rate("total_net_output_bytes"))),
        ("errors/s", count(seen.rate("total_error_replies"))),
        ("keys found", percent(hits / (hits + misses)) if hits + misses else "-"),
        ("expired/s", count(seen.rate("expired_keys"))),
    ]
    return Group(Sparkline(view.throughput), Facts(rows))


def _stages(view: View, seen: Snapshot) -> RenderableType:
    own = Counter(
        {(one.name, one.lane, one.pool): _own(one, view.window, seen) for one in seen.stages}
    )
    whole = own.total() or 1.0
    for one in seen.stages:
        own[one.name, "", ""] += own[one.name, one.lane, one.pool]
    columns = [
        Column("stage", is_text=True),
        *([Column("lane", 3, is_text=True), Column("pool", 4, is_text=True)] if view.lanes else []),
        Column("share"),
        Column("", 2, is_text=True),
        Column("requests", 6),
        Column("mean", 5),
        Column("p50", 1),
        Column("p99"),
        Column("p99.9", 3),
        Column("max", 4),
    ]
    rows: list[list[Cell]] = []
    for stage in seen.stages if view.lanes else seen.whole_stages:
        spent = stage.windows.get(view.window, Durations())
        if spent.count:
            share = own[stage.name, stage.lane, stage.pool] / whole
            rows.append(
                [
                    stage.name,
                    *((stage.lane, stage.pool) if view.lanes else ()),
                    percent(share),
                    bar(share, colour="cyan"),
                    count(spent.count),
                    duration(spent.sum / spent.count),
                    *_durations(spent, "p50", "p99", "p999", "max"),
                ]
            )
    if not rows:
        return Text("No request has come.", "dim")
    return Listing(columns, rows)


def _own(stage: Stage, window: int, seen: Snapshot) -> float:
    """The requests' time that is spent in ``stage``, without that of its parts, as the server's own
    diagnosis reckons."""
    if stage.pool == BACKGROUND:
        return 0.0
    parts = [
        one.windows[window].sum
        for one in seen.stages
        if PARTS.get(one.name) == stage.name
        and (one.lane, one.pool) == (stage.lane, stage.pool)
        and window in one.windows
    ]
    return max(0.0, stage.windows.get(window, Durations()).sum - sum(parts))


def _queues(view: View, seen: Snapshot) -> RenderableType:
    columns = [
        Column("queue", is_text=True),
        Column("waiting"),
        Column("", 1, is_text=True),
        Column("room", 2),
        Column("peak", 3),
        Column("bytes", 5),
        Column("refused", 4),
        Column("paused", 6),
    ]
    rows: list[list[Cell]] = [
        [
            queue.name.replace("_", " "),
            count(queue.requests),
            bar(queue.requests / queue.capacity) if queue.capacity else "",
            count(queue.capacity) if queue.capacity else "any",
            count(queue.peak),
            size(queue.bytes),
            count(queue.refused),
            count(queue.paused),
        ]
        for queue in seen.queues
    ]
    return Listing(columns, rows)


def _threads(view: View, seen: Snapshot) -> RenderableType:
    columns = [
        Column("thread", is_text=True),
        Column("busy"),
        Column("", 1, is_text=True),
        Column("requests/s"),
        Column("batches/s", 3),
        Column("clients", 2),
    ]
    rows: list[list[Cell]] = [
        [
            thread.name,
            percent(thread.busy),
            bar(thread.busy),
            count(thread.requests),
            count(thread.batches),
            count(thread.connections) if thread.pool == "reactor" else "",
        ]
        for thread in seen.threads
    ]
    model = seen.info.get("threading_model", "")
    words = MODELS.get(model, "")
    if model == "tendis" and "inline_share" in seen.info:
        words += f" {percent(seen.number('inline_share'))} of the batches ran in a reactor."
    return Group(Text(words, "dim"), Listing(columns, rows))


def _engine(view: View, seen: Snapshot) -> RenderableType:
    number = seen.number
    level0 = sum(
        seen.pairs(name).get("level0_files", 0) for name in seen.info if name.startswith("cf_")
    )
    return Facts(
        [
            ("memtables", size(number("memtable_bytes"))),
            ("waiting to be flushed", count(number("immutable_memtables"))),
            ("level 0 files", count(level0)),
            ("behind in compaction", size(number("pending_compaction_bytes"))),
            ("stalls", f"{count(number('stalls'))}, {number('stalled_seconds'):.1f} s"),
            ("stopped", "yes" if number("write_stopped") else "no"),
            ("block cache", _of(number("block_cache_bytes"), number("block_cache_capacity"))),
            ("row cache", _of(number("mem_row_cache"), number("mem_row_cache_limit"))),
            ("log", size(number("log_bytes"))),
            ("files", size(number("live_sst_bytes"))),
            ("to reclaim", count(number("garbage_collections") + number("garbage_databases"))),
        ]
    )


def _of(used: float, limit: float) -> str:
    return f"{size(used)} of {size(limit)}" if limit else size(used)


def _commands(view: View, seen: Snapshot) -> RenderableType:
    with_total = any(command.total.count for command in seen.commands)
    columns = [
        Column("command", is_text=True),
        Column("calls/s"),
        Column("calls", 5),
        Column("load", 2),
        Column("usec/call", 6),
        Column("p50", 3),
        Column("p99", 1),
        Column("p99.9", 4),
        *([Column("total p50", 5), Column("total p99", 1)] if with_total else []),
        Column("failed", 7),
        Column("rejected", 8),
    ]
    found = sorted(seen.commands, key=_ORDER[view.order], reverse=True)[:COMMANDS]
    rows = [
        [
            command.name.replace("|", " ").upper(),
            count(command.per_second),
            count(command.calls),
            percent(command.load),
            duration(command.usec / command.calls if command.calls else 0),
            *_durations(command.service, "p50", "p99", "p999"),
            *(_durations(command.total, "p50", "p99") if with_total else ()),
            count(command.failed),
            count(command.rejected),
        ]
        for command in found
    ]
    return Listing(columns, rows)


def _by_time(command: Command) -> tuple[float, float]:
    return command.load, command.usec


def _by_calls(command: Command) -> tuple[float, float]:
    return command.per_second, command.calls


def _by_slowness(command: Command) -> tuple[float, float]:
    return max(command.total.p99, command.service.p99), command.usec


_ORDER: dict[str, Callable[[Command], tuple[float, float]]] = dict(
    zip(ORDERS, (_by_time, _by_calls, _by_slowness), strict=True)
)


def _durations(durations: Durations, *names: str) -> list[str]:
    """Figures of something that may not have happened."""
    if not durations.count:
        return ["-"] * len(names)
    return [duration(getattr(durations, name)) for name in names]


def _slow_log(view: View, seen: Snapshot) -> RenderableType:
    if not seen.slow:
        return Text("Empty.", "dim")
    now = seen.number("server_time_usec") / 1e6 or time.time()
    with_stages = any(entry.stages for entry in seen.slow)
    columns = [
        Column("age", 3),
        Column("took"),
        *([Column("longest stage", 4, is_text=True)] if with_stages else []),
        Column("client", 5, is_text=True),
        Column("request", is_text=True),
    ]
    rows = [
        [
            span(max(0.0, now - entry.time)),
            duration(entry.usec),
            *([_worst_stage(entry.stages)] if with_stages else []),
            entry.client,
            " ".join(entry.words)[:WORDS_OF_SLOW],
        ]
        for entry in seen.slow[:SLOW_ENTRIES]
    ]
    return Listing(columns, rows)


def _worst_stage(stages: Mapping[str, int]) -> str:
    if not stages:
        return "-"
    worst = max(stages, key=lambda name: stages[name])
    return f"{worst} {duration(stages[worst])}"


def _clients(view: View, seen: Snapshot) -> RenderableType:
    number = seen.number
    return Facts(
        [
            ("connected", f"{count(number('connected_clients'))} of {count(number('maxclients'))}"),
            ("blocked", count(number("blocked_clients"))),
            ("subscribed", count(number("pubsub_clients"))),
            ("tracking", count(number("tracking_clients"))),
            ("watching", count(number("watching_clients"))),
            ("new/s", count(seen.rate("total_connections_received"))),
            ("rejected", count(number("rejected_connections"))),
            ("largest output", size(number("client_recent_max_output_buffer"))),
        ]
    )


def _memory(view: View, seen: Snapshot) -> RenderableType:
    number = seen.number
    limit = number("mem_total_limit") or number("maxmemory")
    keys = sum(
        seen.pairs(name).get("keys", 0)
        for name in seen.info
        if name[:2] == "db" and name[2:].isdecimal()
    )
    return Facts(
        [
            ("used", _of(number("used_memory"), limit)),
            ("resident", size(number("used_memory_rss"))),
            ("peak", size(number("used_memory_peak"))),
            ("keys", count(keys)),
            ("evicted/s", count(seen.rate("evicted_keys"))),
        ]
    )


PANELS = (
    Panel("bottleneck", "top", lambda view: "Bottleneck", _bottleneck),
    Panel(
        "stages",
        "top",
        lambda view: f"Stages, {WINDOWS[view.window]}",
        _stages,
        lambda seen: bool(seen.stages),
    ),
    Panel("commands", "top", lambda view: f"Commands, by {view.order}", _commands),
    Panel("throughput", "left", lambda view: "Throughput", _throughput),
    Panel("queues", "left", lambda view: "Queues", _queues, lambda seen: bool(seen.queues)),
    Panel("clients", "left", lambda view: "Clients", _clients),
    Panel("threads", "right", lambda view: "Threads", _threads, lambda seen: bool(seen.threads)),
    Panel("memory", "right", lambda view: "Memory", _memory),
    Panel(
        "engine",
        "right",
        lambda view: "RocksDB",
        _engine,
        lambda seen: "memtable_bytes" in seen.info,
    ),
    Panel("slowlog", "bottom", lambda view: "Slow log", _slow_log),
)
"""In the order in which they are read."""
