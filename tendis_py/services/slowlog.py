"""SLOWLOG: the latest commands over the threshold, each with where its time went."""

from __future__ import annotations

import itertools
import time
from collections import deque
from dataclasses import dataclass

from tendis_py.resp.requests import Request
from tendis_py.session import Session

NEVER_NS = 2**63

MAX_ARGUMENTS = 32
MAX_ARGUMENT_BYTES = 128


@dataclass(frozen=True, slots=True)
class SlowlogEntry:
    """``time`` in Unix seconds, ``duration`` of the command in µs, ``stages``: name → µs."""

    id: int
    time: int
    duration: int
    arguments: list[bytes]
    address: str
    name: bytes
    stages: dict[str, int]


class Slowlog:
    """``threshold_ns``: commands that take longer are logged; negative logs none."""

    def __init__(self, threshold_us: int, max_length: int) -> None:
        self._ids = itertools.count()
        self.set_threshold(threshold_us)
        self.entries: deque[SlowlogEntry] = deque(maxlen=max_length)

    def set_threshold(self, microseconds: int) -> None:
        self.threshold_ns = microseconds * 1000 if microseconds >= 0 else NEVER_NS

    def set_max_length(self, length: int) -> None:
        self.entries = deque(self.entries, maxlen=length)

    def add(
        self, session: Session, request: Request, elapsed_ns: int, stages_ns: dict[str, int]
    ) -> None:
        entry = SlowlogEntry(
            id=next(self._ids),
            time=int(time.time()),
            duration=elapsed_ns // 1000,
            arguments=_shortened(request),
            address=session.address,
            name=session.name,
            stages={name: ns // 1000 for name, ns in stages_ns.items()},
        )
        self.entries.append(entry)

    def latest(self, count: int | None = None) -> list[SlowlogEntry]:
        """Entries, the latest first; ``count`` of them at the most."""
        entries = list(self.entries.copy())
        entries.reverse()
        return entries[:count]

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        self.entries.clear()


def _shortened(request: Request) -> list[bytes]:
    """As Redis: 32 arguments of 128 bytes, with a word on what was left out."""
    kept = request
    if len(request) > MAX_ARGUMENTS:
        more = len(request) - MAX_ARGUMENTS + 1
        kept = [*request[: MAX_ARGUMENTS - 1], b"... (%d more arguments)" % more]
    return [
        argument
        if len(argument) <= MAX_ARGUMENT_BYTES
        else argument[:MAX_ARGUMENT_BYTES]
        + b"... (%d more bytes)" % (len(argument) - MAX_ARGUMENT_BYTES)
        for argument in kept
    ]
