"""Traces: what became of one request in so many, stage by stage, told to whoever collects them.

Knows neither batches nor OpenTelemetry: ``stages.tracing`` picks requests and follows them,
``traces`` exports what comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """A request that was picked, of a client at ``address``: its ``command`` (of subcommands the
    whole name), in which ``database``, since when it was here (perf_counter_ns), and as how many
    requests of its client that came in one piece. ``error`` is the first word of an error reply."""

    command: str
    database: int
    address: str
    received: int
    pipelined: int
    error: str


Span = tuple[str, int, int]
"""A stage, from when to when (perf_counter_ns)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """``requests`` shared the batch; ``reads_ns`` of it went into reads of RocksDB."""

    request: TracedRequest
    lane: str
    pool: str
    requests: int
    reads_ns: int
    stages: Sequence[Span]


Sink = Callable[[Trace], None]


class Tracing:
    """While there is no ``sink``, or ``ratio`` is 0, nothing is traced, and nothing costs but one
    look at ``active``. The sink is called in the thread of a reactor: it may not wait."""

    __slots__ = ("active", "ratio", "sink")

    def __init__(self) -> None:
        self.active = False
        self.ratio = 0.0
        self.sink: Sink | None = None

    def begin(self, sink: Sink, ratio: float) -> None:
        """Tell ``sink`` of a request in 1 / ``ratio``."""
        self.sink = sink
        self.set_ratio(ratio)

    def set_ratio(self, ratio: float) -> None:
        self.ratio = ratio
        self.active = self.sink is not None and ratio > 0

    def end(self) -> None:
        self.active = False
        self.sink = None
