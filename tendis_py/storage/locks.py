"""Locks on keys, for the threading models in which more than one thread executes.

A batch claims the whole set of its keys at once, before it runs, and holds it to its commit; a
claim that waits holds nothing, so there is no order to keep and no deadlock. ``exclusive`` claims
everything. Claims are granted in order of arrival where they conflict: nothing starves.

Knows nothing of what the keys mean. Keys are raw user keys, whatever their database.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


class Claim:
    """A set of keys held, or waited for, by one batch. ``keys`` None is all keys. ``event``: what
    it waited for, if it had to; ``contended``: a key that another claim had then."""

    __slots__ = ("contended", "event", "keys")

    def __init__(self, keys: set[bytes] | None) -> None:
        self.keys = keys
        self.event: threading.Event | None = None
        self.contended: bytes | None = None

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
    __slots__ = ("_contended", "_held", "_mutex", "_waiting")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: list[Claim] = []
        self._waiting: list[Claim] = []
        self._contended = 0

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
            claim.event = threading.Event()
            claim.contended = self._common_key(claim)
            self._waiting.append(claim)
            self._contended += 1
        claim.event.wait()
        return claim

    def _common_key(self, claim: Claim) -> bytes | None:
        """A key that ``claim`` waits for; None where it is about all keys."""
        if claim.keys is not None:
            for other in (*self._held, *self._waiting):
                if other.keys is not None and not claim.keys.isdisjoint(other.keys):
                    return next(iter(claim.keys & other.keys))
        return None

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

    def statistics(self) -> LockStatistics:
        with self._mutex:
            return LockStatistics(len(self._held), len(self._waiting), self._contended)
