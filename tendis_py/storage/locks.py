"""Locks on keys, for the threading models in which more than one thread executes.

A batch claims the whole set of its keys at once, before it runs, and holds it to its commit; a
claim that waits holds nothing, not even a thread, so there is no order to keep and no deadlock.
Claims are granted in order of arrival where they conflict: nothing starves.

A *long* claim may be held for as long as a script likes. Whoever waits for one is *stuck*, and does
not stand in the way of others that are not long: else one client that wants all keys would hold up
everybody. Once it is *busy* nobody waits for it any more: see ``set_busy``.

Few claims are held, for threads hold them, so a claim is compared with each of those. Thousands may
wait: what they want is found by key, but for those that want many keys, or all.

Knows nothing of what the keys mean. Keys are raw user keys, whatever their database.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

BROAD = 512
"""A claim of so many keys is not looked up by each of them."""


def _nothing() -> None:
    """Whoever asked looks for itself."""


class Claim:
    """A set of keys held, or waited for, by one batch. ``keys`` None is all keys. If it had to
    wait, ``on_granted`` is called once it is held, in the thread that has released what it waited
    for; or once it is ``withdrawn``, and not held. ``contended``: one of the keys that others had
    then; None where it is about all keys."""

    __slots__ = (
        "_number",
        "_stuck",
        "busy",
        "contended",
        "is_long",
        "keys",
        "on_granted",
        "withdrawn",
    )

    def __init__(
        self,
        keys: set[bytes] | None,
        on_granted: Callable[[], None] = _nothing,
        *,
        is_long: bool = False,
    ) -> None:
        self.keys = keys
        self.on_granted = on_granted
        self.is_long = is_long
        self.busy = ""
        """What to tell those who want one of its keys, if they are not to wait any more."""
        self.withdrawn = False
        self.contended: bytes | None = None
        self._stuck = False
        """Whether it waits for a long one."""
        self._number = 0
        """Among those that wait: who came first."""

    @property
    def is_broad(self) -> bool:
        return self.keys is None or len(self.keys) >= BROAD

    def conflicts(self, other: Claim) -> bool:
        if self.keys is None or other.keys is None:
            return True
        return not self.keys.isdisjoint(other.keys)


@dataclass(frozen=True, slots=True)
class LockStatistics:
    """Claims held and waiting now, ``peak_waiting`` at the most; ``contended`` claims had to wait,
    since the start."""

    held: int
    waiting: int
    peak_waiting: int
    contended: int


class KeyLocks:
    __slots__ = (
        "_broad",
        "_contended",
        "_held",
        "_long",
        "_mutex",
        "_narrow",
        "_numbers",
        "_peak",
        "_wanted",
        "busy",
    )

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._held: list[Claim] = []
        self._long = 0
        """How many long claims are held or wait."""
        self.busy: tuple[Claim, ...] = ()
        """Those that are busy; to be read in any thread."""
        self._broad: list[Claim] = []
        """Those that wait for many keys, in order."""
        self._narrow: dict[Claim, None] = {}
        """The others that wait, in order."""
        self._wanted: dict[bytes, deque[Claim]] = {}
        """Those by key, each in order."""
        self._numbers = itertools.count(1)
        self._contended = self._peak = 0

    @property
    def in_use(self) -> bool:
        """Whether a claim is held or waits."""
        return bool(self._held or self._broad or self._narrow)

    def try_exclusive(self, everything: Claim) -> bool:
        """Claim all keys with ``everything``, the caller's ``Claim(None)``, if nobody holds or
        waits for any; never waits."""
        with self._mutex:
            if self._held or self._broad or self._narrow:
                return False
            self._held.append(everything)
            return True

    def ask(self, claim: Claim) -> bool:
        """Whether ``claim`` is held now. If not it waits, and is told."""
        with self._mutex:
            self._long += claim.is_long
            if self._is_free(claim):
                self._held.append(claim)
                claim.on_granted = _nothing  # which may hold a lot
                return True
            claim._number = next(self._numbers)
            claim.contended = self._contended_key(claim)
            claim._stuck = self._long > 0 and self._is_stuck(claim)
            self._contended += 1
            if claim.is_broad:
                self._broad.append(claim)
            else:
                self._narrow[claim] = None
                for key in claim.keys or ():
                    self._wanted.setdefault(key, deque()).append(claim)
            self._peak = max(self._peak, len(self._broad) + len(self._narrow))
            return False

    def are_free(self, keys: set[bytes] | None) -> bool:
        """Whether a claim of ``keys`` would be held at once, as things are."""
        with self._mutex:
            return self._is_free(Claim(keys))

    def long_held(self) -> list[Claim]:
        """The long claims that are held."""
        if not self._long:
            return []
        with self._mutex:
            return [claim for claim in self._held if claim.is_long]

    def release(self, claim: Claim) -> None:
        granted: list[Claim] = []
        with self._mutex:
            self._held.remove(claim)
            self._long -= claim.is_long
            if claim.busy:
                self.busy = tuple(one for one in self.busy if one is not claim)
            if self._broad or self._narrow:
                granted = self._grant(claim)
        _tell(granted)

    def set_busy(self, claim: Claim, reason: str) -> None:
        """Who wants a key of ``claim``, a long one that is held, is to be told ``reason`` rather
        than wait: those who do are withdrawn, and told to ask again."""
        with self._mutex:
            if claim not in self._held or claim.busy:
                return
            claim.busy = reason
            self.busy = (*self.busy, claim)
            found = [one for one in (*self._broad, *self._narrow) if one.conflicts(claim)]
            for one in found:
                one.withdrawn = True
                self._leave(one)
                self._long -= one.is_long
            found += self._grant_all()
        _tell(found)

    def _is_free(self, claim: Claim) -> bool:
        """Whether nobody holds any of its keys, nor has waited for one."""
        if any(map(claim.conflicts, self._held)):
            return False
        if self._long:
            return not self._is_behind(claim)
        if any(map(claim.conflicts, self._broad)):
            return False
        if claim.keys is None:
            return not self._narrow
        return self._wanted.keys().isdisjoint(claim.keys)

    def _is_behind(self, claim: Claim) -> bool:
        """Whether it comes after another one that waits, where there are long ones."""
        number = claim._number or math.inf

        def stands_before(one: Claim) -> bool:
            return one._number < number and (claim.is_long or not one._stuck)

        if any(one.conflicts(claim) and stands_before(one) for one in self._broad):
            return True
        if claim.keys is None:
            return any(map(stands_before, self._narrow))
        wanted = self._wanted.keys() & claim.keys
        return any(any(map(stands_before, self._wanted[key])) for key in wanted)

    def _is_stuck(self, claim: Claim) -> bool:
        """Whether it waits for a long one, or for one that does."""
        return any(one.is_long and one.conflicts(claim) for one in self._held) or (
            claim.is_long
            and any(
                one._stuck and one.conflicts(claim)
                for one in (*self._broad, *self._narrow)
                if one is not claim and (not claim._number or one._number < claim._number)
            )
        )

    def _contended_key(self, claim: Claim) -> bytes | None:
        """One of its keys that are another's, if there is one among the first few."""
        keys = claim.keys
        if keys is None:
            return None
        for key in itertools.islice(keys, BROAD):
            if key in self._wanted or any(
                other.keys is not None and key in other.keys
                for other in (*self._held, *self._broad)
            ):
                return key
        return None

    def _grant(self, released: Claim) -> list[Claim]:
        """Give claims their keys that have waited for ``released``, and for no other any more."""
        if released.is_long:
            return self._grant_all()
        granted = [claim for claim in self._broad if self._has_come(claim)]
        for claim in granted:
            self._broad.remove(claim)
        for claim in self._waiting_for(released):
            if self._has_come(claim):
                granted.append(claim)
                self._leave(claim)
        if any(claim.is_long for claim in granted):
            granted += self._grant_all()
        return granted

    def _grant_all(self) -> list[Claim]:
        """As ``_grant``, where who is stuck has changed."""
        granted: list[Claim] = []
        changed = True
        while changed:
            changed = False
            waiting = sorted((*self._broad, *self._narrow), key=_number_of)
            for claim in waiting:
                claim._stuck = self._is_stuck(claim)
            for claim in waiting:
                if self._has_come(claim):
                    granted.append(claim)
                    self._leave(claim)
                    changed = changed or claim.is_long
        return granted

    def _has_come(self, claim: Claim) -> bool:
        """Whether a claim that waits conflicts with none that is held or came before it; it is held
        then."""
        number = claim._number
        if any(map(claim.conflicts, self._held)):
            return False
        if self._long:
            if self._is_behind(claim):
                return False
        elif any(one._number < number and one.conflicts(claim) for one in self._broad):
            return False
        elif (keys := claim.keys) is None:
            if self._narrow and next(iter(self._narrow))._number < number:
                return False
        elif any(self._wanted[key][0]._number < number for key in self._wanted.keys() & keys):
            return False
        self._held.append(claim)
        return True

    def _waiting_for(self, released: Claim) -> Iterable[Claim]:
        """Those with few keys that may have, in order."""
        if released.keys is None:
            return list(self._narrow)
        found: set[Claim] = set()
        for key in self._wanted.keys() & released.keys:
            queue = self._wanted[key]
            if self._long:
                found.update(queue)
            else:
                found.add(queue[0])
        return sorted(found, key=_number_of)

    def _leave(self, claim: Claim) -> None:
        """It does not wait any more."""
        if claim not in self._narrow:
            self._broad.remove(claim)
            return
        del self._narrow[claim]
        for key in claim.keys or ():
            queue = self._wanted[key]
            queue.remove(claim)
            if not queue:
                del self._wanted[key]

    def statistics(self) -> LockStatistics:
        with self._mutex:
            waiting = len(self._broad) + len(self._narrow)
            return LockStatistics(len(self._held), waiting, self._peak, self._contended)

    def reset_peak(self) -> None:
        """Forget what waited before."""
        with self._mutex:
            self._peak = len(self._broad) + len(self._narrow)


def _number_of(claim: Claim) -> int:
    return claim._number


def _tell(claims: Iterable[Claim]) -> None:
    for one in claims:
        tell, one.on_granted = one.on_granted, _nothing
        tell()
