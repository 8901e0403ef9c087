"""Which clients may keep which keys: names of keys → ids of clients, in bounded memory.

Names are put into a young generation; when that is half as large as all may be, it becomes the old
one, which is what gives way when there are too many. Knows no client. Not thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tendis_py.storage.pacing import drain

EVICTED_AT_ONCE = 100
"""How many give way at a time, as in Redis, when the limit was lowered."""

_FEW = 8
_FREED_AT_ONCE = 4096

Ids = int | set[int]
"""Of one client, as most often, or of several."""


class TrackingTable:
    """``limit()``: for how many keys there is room, 0 for any number. ``is_known``: whether there
    still is a client of that id."""

    def __init__(self, limit: Callable[[], int], is_known: Callable[[int], bool]) -> None:
        self._limit = limit
        self._is_known = is_known
        self._young: dict[bytes, Ids] = {}
        self._old: dict[bytes, Ids] = {}
        self._purge_at: dict[bytes, int] = {}
        """From so many ids on those of clients that have gone are looked for."""
        self.items = 0
        """Pairs of a key and an id."""

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def add(self, key: bytes, id_: int) -> None:
        """``id_`` may keep ``key``."""
        old = self._old
        held = self._young.get(key) or old.get(key)
        if held is None:
            if not old and 2 * len(self._young) >= (self._limit() or len(self._young) + 1):
                self._age()
            self._young[key] = id_
        elif isinstance(held, set):
            if id_ in held:
                return
            held.add(id_)
            if len(held) > self._purge_at.get(key, _FEW):
                self._purge(key, held)
        elif held == id_:
            return
        else:
            (old if key in old else self._young)[key] = {held, id_}
        self.items += 1

    def pop(self, key: bytes) -> list[int]:
        """Who may have kept ``key``: nobody does from now on."""
        held = self._young.pop(key, None) or self._old.pop(key, None)
        return [] if held is None else self._forget(key, held)

    def evict(self) -> list[tuple[bytes, list[int]]]:
        """Let keys go that there is no room for, or some of them; who may have kept them."""
        gone: list[tuple[bytes, list[int]]] = []
        limit = self._limit()
        while limit and len(self) > limit and len(gone) < EVICTED_AT_ONCE:
            if not self._old:
                self._age()
            key, held = self._old.popitem()
            gone.append((key, self._forget(key, held)))
        return gone

    def take_all(self) -> Callable[[], None]:
        """Forget everything; what is returned frees the memory, a little at a time: that of many
        keys in a thread of its own, for it takes a tenth of a second a million."""
        generations: list[Any] = [self._young, self._old, self._purge_at]
        self._young, self._old, self._purge_at = {}, {}, {}
        self.items = 0

        def free() -> None:
            for generation in generations:
                drain(generation)

        if sum(map(len, generations)) <= _FREED_AT_ONCE:
            return free
        return threading.Thread(target=free, name="tracking-table").start

    def _age(self) -> None:
        self._old, self._young = self._young, self._old

    def _forget(self, key: bytes, held: Ids) -> list[int]:
        ids = sorted(held) if isinstance(held, set) else [held]
        self.items -= len(ids)
        self._purge_at.pop(key, None)
        return ids

    def _purge(self, key: bytes, held: set[int]) -> None:
        """A key that never changes is read by ever new clients: let go of those that have gone,
        whenever there are twice as many as were left."""
        gone = [id_ for id_ in held if not self._is_known(id_)]
        held.difference_update(gone)
        self.items -= len(gone)
        self._purge_at[key] = 2 * len(held) + _FEW
