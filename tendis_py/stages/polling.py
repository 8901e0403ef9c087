"""How a reactor waits for its sockets: awake for a moment, then asleep.

Going to sleep is what makes a lone request dear. The kernel halts the processor, and what runs next
finds cold caches and, on a virtual machine, predictors that the hypervisor has emptied: the same
turn then takes several times as long (docs/measurements.md has the figures). So a reactor that has
just answered looks again and again before it sleeps, for as long as a client that waits for its
answer takes to ask for more. Looking costs processor time, so it is only done while it pays: each
time in vain makes it rarer.
"""

from __future__ import annotations

import select
from time import perf_counter_ns

AWAKE_NS = 50_000
"""For how long to look: a client on the same machine takes some 30 µs from reply to request."""

MOST_SKIPS = 32
"""After how many waits at most it is tried again whether looking pays."""

Events = list[tuple[int, int]]


class Poller:
    """One epoll's, in one thread."""

    __slots__ = ("_poll", "_skip", "_skips")

    def __init__(self, epoll: select.epoll) -> None:
        self._poll = epoll.poll
        self._skips = 1
        """How many waits to go to sleep at once, after one that was in vain."""
        self._skip = 0  # of those, still to come

    def wait(self, seconds: float, most: int) -> Events:
        """The next events, ``most`` at the most; none when nothing comes within ``seconds``."""
        poll = self._poll
        if self._skip:
            self._skip -= 1
            return poll(seconds, most)
        until = perf_counter_ns() + AWAKE_NS
        while perf_counter_ns() < until:
            events = poll(0, most)
            if events:
                self._skips = 1
                return events
        self._skip = self._skips
        self._skips = min(2 * self._skips, MOST_SKIPS)
        return poll(seconds, most)
