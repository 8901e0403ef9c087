"""Locks on keys, for the threading models in which more than one thread executes.

A batch claims the whole set of its keys at once, before it runs, and holds it to its commit; a
claim that waits holds nothing, so there is no order to keep and no deadlock. ``exclusive`` claims
everything. Claims are granted in order of arrival where they conflict: nothing starves.

Knows nothing of what the keys mean. Keys are raw user keys, whatever their database.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from time import perf_counter_ns

WAITS = 256
"""The latest waits whose key is remembered,"""
KEY_BYTES = 128
"""so much of it,"""
KEYS_COMPARED = 4096
"""if it is among so many of the claim with fewer keys."""


class Claim:
    """A set of keys held, or waited for, by one batch. ``keys`` None is all keys."""

    __slots__ = ("event", "keys")

    def __init__(self, keys: set[bytes] | None) -> None:
        self.keys = keys
        self.event: threading.Event | None = None

    def conflicts(self, other: Claim) -> bool:
        if self.keys is None or other.keys is None:
            return True
        return not self.keys.isdisjoint(other.keys)


@dataclass(frozen=True, slots=True)
class LockStatistics:
    """Claims held and waiting now; ``contended`` claims had to wait, since the start."""

    held: int
    waiting: int
    contended: int


class KeyLocks:
    __slots__ = ("_contended", "_held", "_mutex", "_waiting", "_waits")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: list[Claim] = []
        self._waiting: list[Claim] = []
        self._contended = 0
        self._waits: deque[tuple[bytes | None, int]] = deque(maxlen=WAITS)
        """For which key, None is all of them, somebody waited for how many ns."""

    def try_exclusive(self, everything: Claim) -> bool:
        """Claim all keys with ``everything``, the caller's ``Claim(None)``, if nobody holds or
        waits for any; never blocks."""
        with self._mutex:
            if self._held or self._waiting:
                return False
            self._held.append(everything)
            return True

    def acquire(self, keys: set[bytes] | None) -> Claim:
        """Block until ``keys`` (None: all) are free of earlier claims; they are held then."""
        claim = Claim(keys)
        with self._mutex:
            if not any(map(claim.conflicts, self._held)) and not any(
                map(claim.conflicts, self._waiting)
            ):
                self._held.append(claim)
                return claim
            keepers = [*self._held, *self._waiting]
            claim.event = threading.Event()
            self._waiting.append(claim)
            self._contended += 1
        since = perf_counter_ns()
        key = _common(keys, next(filter(claim.conflicts, keepers)).keys)
        del keepers  # with their keys
        claim.event.wait()
        self._waits.append((key, perf_counter_ns() - since))
        return claim

    def release(self, claim: Claim) -> None:
        with self._mutex:
            self._held.remove(claim)
            if self._waiting:
                self._grant()

    def _grant(self) -> None:
        """Give every waiting claim its keys that conflicts with none before it."""
        blocked: list[Claim] = []
        for claim in self._waiting:
            if any(map(claim.conflicts, self._held)) or any(map(claim.conflicts, blocked)):
                blocked.append(claim)
            else:
                self._held.append(claim)
                assert claim.event is not None
                claim.event.set()
        self._waiting = blocked

    def contended_keys(self, most: int) -> list[tuple[bytes | None, float]]:
        """What has been waited for lately, None is all keys at once, and what part of the waiting
        each has cost; the ``most`` expensive ones, and of a long key its beginning."""
        cost: Counter[bytes | None] = Counter()
        for key, waited in self._waits.copy():
            cost[key] += waited
        total = cost.total()
        return [(key, waited / total) for key, waited in cost.most_common(most)] if total else []

    def forget_waits(self) -> None:
        """As if nobody had waited so far."""
        self._waits.clear()

    def statistics(self) -> LockStatistics:
        with self._mutex:
            return LockStatistics(len(self._held), len(self._waiting), self._contended)


def _common(keys: set[bytes] | None, others: set[bytes] | None) -> bytes | None:
    """One of those that are in both sets; None where one of them is all keys."""
    if keys is None or others is None:
        return None
    few, many = (keys, others) if len(keys) < len(others) else (others, keys)
    found = next((key for key in islice(few, KEYS_COMPARED) if key in many), None)
    return None if found is None else found[:KEY_BYTES]
