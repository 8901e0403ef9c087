"""What there is to show of a server at one moment, read from its replies.

A server of ours tells of its stages, queues and threads (``STAGES``); of another one these are
empty. Times are in µs, rates a second. Every text is safe to print. Knows no connection.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tendis_py.top.words import clean

ALL = 0
"""As a window: since the start, or the last CONFIG RESETSTAT."""

_WINDOWS = {"all": ALL, "10": 10, "60": 60}
_SUFFIXES = {ALL: "", 10: "_10s", 60: "_60s"}
"""Of names in INFO."""


@dataclass(frozen=True, slots=True)
class Durations:
    count: int = 0
    sum: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    max: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """``windows``: seconds → durations in these."""

    name: str
    lane: str
    pool: str
    windows: Mapping[int, Durations]


@dataclass(frozen=True, slots=True)
class Queue:
    """A ``capacity`` of 0 has no bound."""

    name: str
    requests: int
    bytes: int
    peak: int
    capacity: int
    refused: int
    paused: int


@dataclass(frozen=True, slots=True)
class Thread:
    """``busy`` from 0 to 1; all of the last ten seconds."""

    name: str
    pool: str
    busy: float
    batches: float
    requests: float
    connections: int


@dataclass(frozen=True, slots=True)
class Command:
    """``service`` is the time in the command itself, ``total`` from reading it to its reply;
    ``usec`` the sum of the former. ``per_second``, and ``load``, seconds of service a second, are
    since the snapshot before."""

    name: str
    calls: int
    usec: float
    failed: int
    rejected: int
    per_second: float
    load: float
    service: Durations
    total: Durations


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """``stages``: name → µs, of a server that tells."""

    number: int
    time: int
    usec: int
    words: Sequence[str]
    client: str
    stages: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, or that nothing is: ``share`` is of the requests' time."""

    cause: str
    stage: str
    share: float
    seen: str
    advice: str


@dataclass(frozen=True, slots=True)
class Answers:
    """Replies as they came, at ``time`` (in seconds, of any clock); None for what the server does
    not have."""

    time: float
    info: str
    slowlog: Any = None
    latency: Any = None
    queues: Any = None
    threads: Any = None
    findings: Any = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    time: float
    info: Mapping[str, str]
    commands: Sequence[Command]
    slow: Sequence[SlowEntry]
    stages: Sequence[Stage] = ()
    """By lane and pool."""
    whole_stages: Sequence[Stage] = ()
    """Each for all lanes and pools."""
    queues: Sequence[Queue] = ()
    threads: Sequence[Thread] = ()
    findings: Sequence[Finding] = ()
    seconds: float = 0.0
    """Since the snapshot before; 0 for the first."""
    since: Mapping[str, float] = field(default_factory=dict)
    """By how much the numbers in ``info`` have grown since that."""

    def number(self, name: str) -> float:
        """A figure of INFO, 0 if it is not there."""
        return _number(self.info.get(name, ""))

    def pairs(self, name: str) -> Mapping[str, float]:
        """A figure of INFO that is several: ``a=1,b=2``."""
        return dict(_pairs(self.info.get(name, "")))

    def rate(self, name: str) -> float:
        """By how much a second a counter of INFO grows."""
        return self.since.get(name, 0.0) / self.seconds if self.seconds else 0.0

    @property
    def is_ours(self) -> bool:
        return "tendis_py_version" in self.info

    @property
    def product(self) -> str:
        """The server's name and version."""
        for name in ("tendis-py", "valkey", "kvrocks", "dragonfly", "tendis", "keydb"):
            version = self.info.get(f"{name.replace('-', '_')}_version")
            if version:
                return f"{name} {version}"
        return f"redis {self.info.get('redis_version', '?')}"


def snapshot(answers: Answers, before: Snapshot | None) -> Snapshot:
    """Read ``answers``; what grows is compared with ``before``, if that is of the same run of the
    server. Raises ValueError for what is no reply of these commands."""
    try:
        return _read(answers, before)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _read(answers: Answers, before: Snapshot | None) -> Snapshot:
    info = parse_info(answers.info)
    if before is not None and (
        answers.time <= before.time or info.get("run_id") != before.info.get("run_id")
    ):
        before = None
    seconds = answers.time - before.time if before else 0.0
    stages = list(_stages(answers.latency))
    return Snapshot(
        time=answers.time,
        info=info,
        commands=list(_commands(info, before, seconds)),
        slow=[_slow_entry(entry) for entry in answers.slowlog or ()],
        stages=stages,
        whole_stages=[_whole(name, info) for name in dict.fromkeys(one.name for one in stages)],
        queues=list(_queues(answers.queues)),
        threads=list(_threads(answers.threads)),
        findings=list(_findings(answers.findings)),
        seconds=seconds,
        since=_growth(before.info, info) if before else {},
    )


def parse_info(text: str) -> dict[str, str]:
    """The fields of INFO, of all sections."""
    fields = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            fields[clean(name)] = clean(value)
    return fields


def _growth(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, float]:
    grown = {}
    for name, value in now.items():
        if name in before:
            difference = _number(value) - _number(before[name])
            if difference > 0:  # less than before: CONFIG RESETSTAT
                grown[name] = difference
    return grown


def _commands(
    info: Mapping[str, str], before: Snapshot | None, seconds: float
) -> Iterator[Command]:
    known = {command.name: command for command in before.commands} if before else {}
    for field_name, value in info.items():
        if not field_name.startswith("cmdstat_"):
            continue
        name = field_name.removeprefix("cmdstat_")
        figures = dict(_pairs(value))
        calls, usec = int(figures.get("calls", 0)), figures.get("usec", 0.0)
        earlier = known.get(name)
        more = calls - (earlier.calls if earlier else 0)
        more_usec = usec - (earlier.usec if earlier else 0.0)
        yield Command(
            name=name,
            calls=calls,
            usec=usec,
            failed=int(figures.get("failed_calls", 0)),
            rejected=int(figures.get("rejected_calls", 0)),
            per_second=max(0, more) / seconds if seconds else 0.0,
            load=max(0.0, more_usec) / 1e6 / seconds if seconds else 0.0,
            service=_percentiles(info.get(f"latency_percentiles_usec_{name}", ""), calls, usec),
            total=_percentiles(info.get(f"latency_percentiles_total_usec_{name}", ""), calls, 0),
        )


def _percentiles(text: str, calls: int, usec: float) -> Durations:
    found = dict(_pairs(text))
    if not found:
        return Durations()
    return Durations(
        calls, usec, found.get("p50", 0.0), found.get("p99", 0.0), found.get("p99.9", 0.0)
    )


def _pairs(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            yield name, _number(value)


def _number(text: str) -> float:
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _slow_entry(entry: Sequence[Any]) -> SlowEntry:
    """Read an entry of SLOWLOG GET: four elements before Redis 4, six since, seven of ours."""
    number, time, usec, words, *more = entry
    client = clean(str(more[0])) if more else ""
    stages = _mapping(more[2]) if len(more) > 2 else {}
    return SlowEntry(
        number=int(number),
        time=int(time),
        usec=int(usec),
        words=[clean(str(word)) for word in words],
        client=client,
        stages={clean(str(name)): int(spent) for name, spent in stages.items()},
    )


def _mapping(reply: Any) -> dict[str, Any]:
    """A map: one in RESP3, names and values in turn in RESP2."""
    if isinstance(reply, dict):
        return reply
    if not isinstance(reply, list) or len(reply) % 2:
        raise ValueError("no map")
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _stages(reply: Any) -> Iterator[Stage]:
    for name, rows in _entries(reply):
        for row in map(_mapping, rows):
            spent = {window: _durations(row[key]) for key, window in _WINDOWS.items() if key in row}
            yield Stage(name, clean(str(row["lane"])), clean(str(row["pool"])), spent)


def _whole(name: str, info: Mapping[str, str]) -> Stage:
    """A stage as INFO has it."""
    spent = {}
    for window, suffix in _SUFFIXES.items():
        figures = dict(_pairs(info.get(f"stage_{name}{suffix}", "")))
        spent[window] = Durations(
            int(figures.get("calls", 0)),
            *(
                figures.get(field_name, 0.0)
                for field_name in ("usec", "p50", "p99", "p99.9", "max")
            ),
        )
    return Stage(name, "", "", spent)


def _durations(reply: Any) -> Durations:
    figures = _mapping(reply)
    return Durations(
        int(_finite(figures["count"])),
        *(
            _finite(figures[name]) / 1000
            for name in ("sum_ns", "p50_ns", "p99_ns", "p999_ns", "max_ns")
        ),
    )


def _queues(reply: Any) -> Iterator[Queue]:
    for name, figures in _entries(reply):
        row = _mapping(figures)
        yield Queue(
            name=name,
            requests=int(_finite(row["requests"])),
            bytes=int(_finite(row["bytes"])),
            peak=int(_finite(row["peak_requests"])),
            capacity=int(_finite(row["capacity_requests"])),
            refused=int(_finite(row["refused"])),
            paused=int(_finite(row["paused"])),
        )


def _threads(reply: Any) -> Iterator[Thread]:
    for name, figures in _entries(reply):
        row = _mapping(figures)
        yield Thread(
            name=name,
            pool=clean(str(row["pool"])),
            busy=_finite(row["busy"]),
            batches=_finite(row["batches"]),
            requests=_finite(row["requests"]),
            connections=int(_finite(row["connections"])),
        )


def _findings(reply: Any) -> Iterator[Finding]:
    for row in map(_mapping, reply or ()):
        texts = [clean(str(row[name])) for name in ("cause", "stage", "seen", "advice")]
        cause, stage, seen, advice = texts
        yield Finding(cause, stage, _finite(row["share"]), seen, advice)


def _finite(reply: Any) -> float:
    number = float(reply)
    if not math.isfinite(number):
        raise ValueError(f"{number} is no figure")
    return number


def _entries(reply: Any) -> Iterator[tuple[str, Any]]:
    if reply is not None:
        yield from ((clean(str(name)), value) for name, value in _mapping(reply).items())
