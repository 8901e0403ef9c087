"""The end of a list, without a list of its own. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from tendis_py.storage.pacing import ITEMS_AT_ONCE


class Tail(Sequence[bytes]):
    """What ``items`` holds from ``start`` on. To copy a million references holds the GIL for some
    milliseconds, to free them, too, and the collector goes once over every list that is new."""

    __slots__ = ("_items", "_start")

    def __init__(self, items: list[bytes], start: int) -> None:
        self._items = items
        self._start = start

    def __len__(self) -> int:
        return len(self._items) - self._start

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        chosen = range(self._start, len(self._items))[at]
        if isinstance(chosen, int):
            return self._items[chosen]
        return [self._items[one] for one in chosen]

    def __iter__(self) -> Iterator[bytes]:
        for at in range(self._start, len(self._items), ITEMS_AT_ONCE):
            yield from self._items[at : at + ITEMS_AT_ONCE]

    def __reversed__(self) -> Iterator[bytes]:
        for at in range(len(self._items), self._start, -ITEMS_AT_ONCE):
            yield from reversed(self._items[max(at - ITEMS_AT_ONCE, self._start) : at])


def rest(items: list[bytes], start: int) -> Sequence[bytes]:
    """The items from ``start`` on: a list where they are few."""
    if len(items) - start <= ITEMS_AT_ONCE:
        return items[start:]
    return Tail(items, start)
