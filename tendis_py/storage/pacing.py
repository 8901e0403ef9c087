"""The pace of long iterations: on the slow lane they make way for threads that answer others."""

from __future__ import annotations

import time
from collections.abc import Iterator, MutableMapping
from itertools import islice
from typing import Any, TypeVar

from tendis_py.storage.keyspace import Keyspace

T = TypeVar("T")

ROWS_BETWEEN_RESTS = 64
REST_SECONDS = 0.0001
"""With both, KEYS over a million keys takes some seconds, and the p99 of ten others beside it is
3 ms instead of 15."""
ROWS_ALONE = 4096
"""Rows in which no reactor has had anything to do, after which it goes on without rests."""

ITEMS_AT_ONCE = 1024
"""What one call of the interpreter's own may go over, which holds the GIL to its end: a fraction of
a millisecond, where a million items would be a hundred."""


class Pace:
    """One executing thread's. ``rests``: whether it makes way at all; set on the slow lane."""

    __slots__ = ("_keyspace", "_rows_alone", "_turns_seen", "rests")

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self.rests = False
        self._turns_seen = 0
        self._rows_alone = 0  # since then

    def over(self, rows: Iterator[T]) -> Iterator[T]:
        """``rows``, with short rests in between, in which other threads get the GIL without having
        to wait for it."""
        return self._rest_between(rows) if self.rests else rows

    def _rest_between(self, rows: Iterator[T]) -> Iterator[T]:
        while part := list(islice(rows, ROWS_BETWEEN_RESTS)):
            yield from part
            self.rest(len(part))

    def cuts(self, number: int) -> Iterator[slice]:
        """Cuts a list of so many items: a few at a time, with rests in between."""
        yield slice(0, ITEMS_AT_ONCE)
        for start in range(ITEMS_AT_ONCE, number, ITEMS_AT_ONCE):
            self.rest(2 * ROWS_BETWEEN_RESTS)
            yield slice(start, start + ITEMS_AT_ONCE)

    def rest(self, rows: int) -> None:
        """After so many rows more: make way, unless there is nobody to make way for."""
        if not self.rests:
            return
        turns = self._keyspace.turns
        if turns != self._turns_seen:
            self._turns_seen = turns
            self._rows_alone = 0
        self._rows_alone += rows
        if self._rows_alone < ROWS_ALONE:
            time.sleep(REST_SECONDS)


def drain(items: MutableMapping[Any, Any] | list[Any]) -> None:
    """Let go of all items, a few at a time: to free a million in one go would hold the GIL."""
    if isinstance(items, list):
        while items:
            del items[-ITEMS_AT_ONCE:]
    else:
        while items:
            items.popitem()
