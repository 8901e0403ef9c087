"""How much happens in a second, as Redis says it: the mean of the last sixteen samples, one each
100 ms."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from tendis_py.services.stats import Stats

SAMPLES = 16
SAMPLE_SECONDS = 0.1


class Rate:
    """Of one counter. One thread samples, any thread may read."""

    __slots__ = ("_samples", "_time", "_value")

    def __init__(self) -> None:
        self._samples = deque([0.0] * SAMPLES, maxlen=SAMPLES)
        self._value: int | None = None
        self._time = 0.0

    def sample(self, value: int, now: float) -> None:
        """The counter stands at ``value`` at ``now`` (seconds). Where it was set back, counting
        goes on from there."""
        if self._value is not None and now > self._time and value >= self._value:
            self._samples.append((value - self._value) / (now - self._time))
        self._value, self._time = value, now

    @property
    def per_second(self) -> float:
        return sum(self._samples.copy()) / SAMPLES


class Rates:
    """The rates that INFO shows as ``instantaneous_…``."""

    def __init__(self, stats: Stats, turns: Callable[[], int]) -> None:
        """``turns`` tells how many turns all reactors have made."""
        self._stats = stats
        self._turns = turns
        self.reset()

    def reset(self) -> None:
        self.commands, self.net_input, self.net_output = Rate(), Rate(), Rate()
        self.turns, self.busy_ns = Rate(), Rate()

    def sample(self, now: float | None = None) -> None:
        """To be called each SAMPLE_SECONDS; ``now`` in monotonic seconds."""
        now = monotonic() if now is None else now
        totals = self._stats.totals()
        self.commands.sample(totals.commands, now)
        self.net_input.sample(totals.net_input, now)
        self.net_output.sample(totals.net_output, now)
        self.turns.sample(self._turns(), now)
        self.busy_ns.sample(self._stats.busy_ns(), now)
