"""Counts replies and their latencies: cheap to record, exact to 1 µs up to 2 ms, and to 0.1 %
above.

A latency and the kind of its request are one integer, and what is recorded is how often each was
seen: a batch of replies that came at once costs one update in C. HDR histograms are made of it at
the end (``hdrh`` takes 2 µs to record one value, more than all else that a request costs here).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

KIND_BITS = 12
KIND_MASK = (1 << KIND_BITS) - 1
_EXACT_US = 2048
_EXACT_BITS = 11

Counts = Counter[int]
"""Latency in µs << KIND_BITS | kind → how often."""


def coarse_us(us: int) -> int:
    """``us`` without what is below 0.1 % of it."""
    if us < _EXACT_US:
        return us
    shift = us.bit_length() - _EXACT_BITS
    return us >> shift << shift


@dataclass(frozen=True, slots=True)
class Stretch:
    """A second of a run, or what it is cut into. ``behind_ms``: for how long the oldest request
    that was due at its end had waited to be sent."""

    seconds: float
    requests: int
    errors: int
    p50_us: int
    p99_us: int
    max_us: int
    behind_ms: float


@dataclass(slots=True)
class ErrorTally:
    count: int
    example: str


@dataclass(slots=True)
class Tally:
    """``latencies`` are counted from when a request was due, ``services`` from when it was sent;
    in a closed loop that is the same, and ``services`` is empty."""

    latencies: Counts = field(default_factory=Counter)
    services: Counts = field(default_factory=Counter)
    recent: Counts = field(default_factory=Counter)
    """Latencies of the stretch that is under way."""
    errors: dict[str, ErrorTally] = field(default_factory=dict)
    answered: int = 0
    failed: int = 0
    pushes: int = 0
    lost: int = 0
    """Requests whose connection was closed before their reply."""
    unanswered: int = 0
    """Requests that were given up at the end."""
    bytes_in: int = 0
    bytes_out: int = 0
    course: list[Stretch] = field(default_factory=list)
    _failed_before: int = 0

    def record(self, us: int, kinds: Sequence[int]) -> None:
        """Replies of these kinds, all after ``us``."""
        base = coarse_us(us) << KIND_BITS
        if len(kinds) == 1:
            self.recent[base | kinds[0]] += 1
        else:
            self.recent.update([base | kind for kind in kinds])

    def record_each(self, now: int, replies: Sequence[tuple[int, int, int]]) -> None:
        """Replies that came at ``now`` to requests that were due, were sent, and are of a kind."""
        self.recent.update(
            [coarse_us((now - due) // 1000) << KIND_BITS | kind for due, _, kind in replies]
        )
        self.services.update(
            [coarse_us((now - sent) // 1000) << KIND_BITS | kind for _, sent, kind in replies]
        )

    def error(self, message: str) -> None:
        """A reply, or a part of one, was this error."""
        code = message.partition(" ")[0]
        self.failed += 1
        known = self.errors.get(code)
        if known is None:
            self.errors[code] = ErrorTally(1, message)
        else:
            known.count += 1

    def end_stretch(self, seconds: float, behind_ms: float) -> None:
        """The stretch that was under way is over, after so many seconds."""
        recent = self.recent
        total = recent.total()
        p50, p99, most = _percentiles(recent, (0.5, 0.99, 1.0)) if total else (0, 0, 0)
        failed = self.failed - self._failed_before
        self._failed_before = self.failed
        self.course.append(Stretch(seconds, total, failed, p50, p99, most, behind_ms))
        self.fold()

    def fold(self) -> None:
        """Take what is recent over into the whole."""
        self.latencies.update(self.recent)
        self.recent = Counter()


def by_kind(counts: Counts) -> Iterator[tuple[int, int, int]]:
    """(kind, µs, how often)."""
    for key, amount in counts.items():
        yield key & KIND_MASK, key >> KIND_BITS, amount


def _percentiles(counts: Counts, shares: Sequence[float]) -> list[int]:
    """µs that such shares of the latencies do not exceed, for ascending ``shares``."""
    total = counts.total()
    found: list[int] = []
    running = 0
    wanted = [share * total for share in shares]
    for key in sorted(counts):
        running += counts[key]
        while len(found) < len(wanted) and running >= wanted[len(found)]:
            found.append(key >> KIND_BITS)
    return found
