"""SLOWLOG: the latest commands over the threshold, each with where its time went; and requests that
took long in all, though their command did not."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass

from tendis_py.pieces import head
from tendis_py.resp.requests import Request
from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.session import Session

NEVER_NS = 2**63
NO_TIME_NS = 1
"""What a command takes that has waited in vain: with a threshold of 0 it is logged."""

MAX_ARGUMENTS = 32
MAX_ARGUMENT_BYTES = 128


@dataclass(frozen=True, slots=True)
class SlowlogEntry:
    """``time`` in Unix seconds, ``duration`` of the command in µs, or of all if the entry is there
    because of that; ``stages``: name → µs."""

    id: int
    time: int
    duration: int
    arguments: list[bytes]
    address: str
    name: bytes
    stages: dict[str, int]


class Slowlog:
    """``threshold_ns``: commands that take longer are to be reported to ``add``. That is the
    threshold of the log, or the latency monitor's where that is less. ``total_ns``: requests that
    take longer in all are to be reported to ``add_total``. A maximum length that has
    become less shows with the next entry, and 0 keeps the entries there are, as in Redis.
    Thread-safe."""

    def __init__(self, threshold_us: int, max_length: int, clock: Clock = REAL_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._entries: deque[SlowlogEntry] = deque()
        self._max_length = max_length
        self.logged_ns = self._monitored_ns = self.total_ns = NEVER_NS
        self.set_threshold(threshold_us)

    def set_threshold(self, microseconds: int) -> None:
        """Log commands that take so long; none when negative."""
        self.logged_ns = microseconds * 1000 if microseconds >= 0 else NEVER_NS
        self.threshold_ns = min(self.logged_ns, self._monitored_ns)

    def set_total_threshold(self, microseconds: int) -> None:
        """Log requests that take so long in all; none when negative."""
        self.total_ns = microseconds * 1000 if microseconds >= 0 else NEVER_NS

    def set_monitored(self, milliseconds: int) -> None:
        """Have commands reported that take so long for the latency monitor's sake; 0: none."""
        self._monitored_ns = milliseconds * 1_000_000 - 1 if milliseconds else NEVER_NS
        self.threshold_ns = min(self.logged_ns, self._monitored_ns)

    def set_max_length(self, length: int) -> None:
        self._max_length = length

    def add(
        self, session: Session, request: Request, elapsed_ns: int, stages_ns: dict[str, int]
    ) -> None:
        if elapsed_ns > self.logged_ns:
            self._add(session, shortened(request), elapsed_ns, stages_ns)

    def add_total(
        self, session: Session, arguments: list[bytes], total_ns: int, stages_ns: dict[str, int]
    ) -> None:
        """A request, ``shortened``, has taken so long from its bytes' being read to its reply's
        being sent."""
        if total_ns > self.total_ns:
            self._add(session, arguments, total_ns, {"total": total_ns, **stages_ns})

    def _add(
        self, session: Session, arguments: list[bytes], elapsed_ns: int, stages_ns: dict[str, int]
    ) -> None:
        with self._lock:
            if not self._max_length:
                return
            entry = SlowlogEntry(
                id=next(self._ids),
                time=self._clock.now_seconds(),
                duration=elapsed_ns // 1000,
                arguments=arguments,
                address=session.address,
                name=session.name,
                stages={name: ns // 1000 for name, ns in stages_ns.items()},
            )
            self._entries.append(entry)
            while len(self._entries) > self._max_length:
                self._entries.popleft()

    def latest(self, count: int | None = None) -> list[SlowlogEntry]:
        """Entries, the latest first; ``count`` of them at the most."""
        with self._lock:
            return list(itertools.islice(reversed(self._entries), count))

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        with self._lock:
            self._entries.clear()


def shortened(request: Request) -> list[bytes]:
    """As Redis: 32 arguments of 128 bytes, with a word on what was left out."""
    kept = request
    if len(request) > MAX_ARGUMENTS:
        more = len(request) - MAX_ARGUMENTS + 1
        kept = [*request[: MAX_ARGUMENTS - 1], b"... (%d more arguments)" % more]
    return [
        argument
        if len(argument) <= MAX_ARGUMENT_BYTES
        else head(argument, MAX_ARGUMENT_BYTES)
        + b"... (%d more bytes)" % (len(argument) - MAX_ARGUMENT_BYTES)
        for argument in kept
    ]
