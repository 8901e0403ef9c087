"""How much happens in a second, as Redis says it: the mean of the last sixteen samples, one each
100 ms. Knows nothing of what is measured."""

from __future__ import annotations

from collections import deque
from time import monotonic

SAMPLES = 16
SAMPLE_SECONDS = 0.1


class Rate:
    """Of one counter. ``sample`` is one thread's, any may read ``per_second``."""

    __slots__ = ("_samples", "_time", "_value")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._samples = deque([0.0] * SAMPLES, maxlen=SAMPLES)
        self._value: int | None = None
        self._time = 0.0

    def sample(self, value: int, now: float | None = None) -> None:
        """The counter is at ``value`` at ``now`` (monotonic seconds); it may have been set back."""
        now = monotonic() if now is None else now
        if self._value is not None and now > self._time and value >= self._value:
            self._samples.append((value - self._value) / (now - self._time))
        self._value, self._time = value, now

    @property
    def per_second(self) -> float:
        return sum(self._samples.copy()) / SAMPLES
