"""Which keys requests are about, always known from a small sample: for diagnoses, OBJECT FREQ.

Each executing thread looks at one request now and then, which stands for all since it last did. And
whoever has to wait for a lock says for which key. Knows no commands.
"""

from __future__ import annotations

import threading
from math import isqrt
from time import perf_counter_ns

from tendis_py.services.heaviest import Heaviest
from tendis_py.services.shown import shown

LOOK_NS = 5_000_000
"""Between two looks of one thread: two hundred a second cost less than a thousandth of its time."""

WINDOW_NS = 5_000_000_000
HALVE_NS = 600_000_000_000
_KEPT_RECENT = 100
_KEPT = 1000

FREQ_AT_FIRST = 5
MOST_FREQ = 255


class Recent:
    """The heaviest keys of the last five to ten seconds. Not thread-safe."""

    __slots__ = ("_before", "_now", "_until")

    def __init__(self) -> None:
        self._before = self._now = Heaviest(_KEPT_RECENT)
        self._until = 0

    def add(self, key: bytes | None, weight: int, now_ns: int) -> None:
        """None: it has no key, and counts in all the same."""
        self._turn(now_ns)
        if key is None:
            self._now.total += weight
        else:
            self._now.add(key, weight)

    def shares(self, count: int, now_ns: int) -> list[tuple[bytes, float]]:
        """The heaviest and their shares of all the weight."""
        self._turn(now_ns)
        both = Heaviest(2 * _KEPT_RECENT)
        for one in (self._before, self._now):
            for key, weight in one.top(2 * _KEPT_RECENT):
                both.add(key, weight)
        total = self._before.total + self._now.total
        return [(key, weight / total) for key, weight in both.top(count)] if total else []

    def _turn(self, now_ns: int) -> None:
        if now_ns >= self._until:
            gone = now_ns >= self._until + WINDOW_NS
            self._before = Heaviest(_KEPT_RECENT) if gone else self._now
            self._now = Heaviest(_KEPT_RECENT)
            self._until = now_ns + WINDOW_NS


class KeySampler:
    """Any thread may call any method. Times are those of ``perf_counter_ns``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = Recent()
        self._waited = Recent()
        self._ever = Heaviest(_KEPT)
        self._halve_at = perf_counter_ns() + HALVE_NS

    def note(self, key: bytes | None, requests: int, now_ns: int) -> None:
        """One of so many requests was about ``key``, or about none."""
        with self._lock:
            self._asked.add(key, requests, now_ns)
            if key is not None:
                self._ever.add(key, requests)
            if now_ns >= self._halve_at:
                self._ever.halve()
                self._halve_at = now_ns + HALVE_NS

    def note_wait(self, key: bytes | None, waited_ns: int, now_ns: int) -> None:
        """A batch has waited so long for the lock of ``key``, or of them all."""
        with self._lock:
            self._waited.add(key, waited_ns, now_ns)

    def hot(self, count: int = 10) -> list[tuple[str, float]]:
        """The keys that most requests were about lately, as text, with the share of all
        requests."""
        return self._shown(self._asked, count)

    def contended(self, count: int = 10) -> list[tuple[str, float]]:
        """The keys whose locks were waited for the longest lately, as text, with the share of all
        such waiting."""
        return self._shown(self._waited, count)

    def _shown(self, recent: Recent, count: int) -> list[tuple[str, float]]:
        with self._lock:
            shares = recent.shares(count, perf_counter_ns())
        return [(shown(key), share) for key, share in shares]

    def reset(self) -> None:
        """Forget what is recent; how often keys are used is no statistic."""
        with self._lock:
            self._asked, self._waited = Recent(), Recent()

    def set_frequency(self, key: bytes, frequency: int) -> None:
        """Have ``frequency`` tell that, or FREQ_AT_FIRST if it is less, until the key is used."""
        steps = max(frequency - FREQ_AT_FIRST, 0)
        with self._lock:
            self._ever.set(key, 5 * steps * (steps - 1) + steps)

    def frequency(self, key: bytes, idle_minutes: int) -> int:
        """How often ``key`` is used, as Redis' logarithmic counter tells it with the default
        settings: 5 at first, a step more after 1 + 10 n uses, n being the steps before, one less
        a minute."""
        with self._lock:
            uses = self._ever.weight(key)
        steps = (4 + isqrt(16 + 20 * uses)) // 10  # 5 n (n - 1) + n uses make n steps
        return max(min(FREQ_AT_FIRST + steps, MOST_FREQ) - idle_minutes, 0)
