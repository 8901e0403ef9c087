"""Cursors of SCAN and its kin: a number for each position handed out. Knows no keys or elements.

Positions are kept in memory, and no bound is so high that nobody could push a slow iteration's out.
So every iteration ends whatever is forgotten: a cursor says in its lowest bits how deep it is, as
the power of two above the number of elements looked at until there. From one whose position is
forgotten the iteration begins again, but with a step of so many elements: that comes out behind
the position, and the next cursor is deeper. Elements may be returned twice then, never missed,
which is what SCAN promises.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

MAX_CURSORS = 65536
MAX_BYTES = 16 << 20

_ENTRY_BYTES = 240
"""About what an entry takes besides its position."""

_DEPTH_BITS = 5
_DEEPEST = (1 << _DEPTH_BITS) - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where an iteration goes on: at ``position``, before which it has looked at ``depth``
    elements. In its next step it is to look at ``at_least`` so many, however few are asked for."""

    position: bytes = b""
    depth: int = 0
    at_least: int = 0


_START = Place()


class _Entry:
    """``holders``: how many iterations have been handed it and have not gone on. ``continued``:
    whether one of them has come further than its first page."""

    __slots__ = ("continued", "depth", "holders", "position")

    def __init__(self, position: bytes) -> None:
        self.position = position
        self.depth = 0
        self.holders = 0
        self.continued = False

    @property
    def worth(self) -> int:
        """Entries of less worth are forgotten before others."""
        if not self.holders:
            return _SPENT
        return _CONTINUED if self.continued else _FIRST_PAGE


_SPENT, _FIRST_PAGE, _CONTINUED = range(3)


class Cursors:
    """The latest positions, at most MAX_CURSORS of them and about MAX_BYTES (but always one).

    Numbers count up from ``first``, which no earlier run of the server has reached: a cursor that
    this run has not handed out means the start. Iterations at the same position share a number.
    Forgotten first are positions that all have gone on from, which stay known until then in case a
    client asks again; then first pages, since many an iteration is given up after one; of either
    those that were handed out longest ago.
    """

    __slots__ = ("_bytes", "_entries", "_first", "_lock", "_next", "_numbers", "_queues")

    def __init__(self, first: int) -> None:
        self._lock = threading.Lock()
        self._first = self._next = first
        self._entries: dict[int, _Entry] = {}
        self._numbers: dict[bytes, int] = {}
        self._queues: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(3)]
        """By worth."""
        self._bytes = 0

    def place(self, cursor: int) -> Place:
        """Where to go on from ``cursor``."""
        number = cursor >> _DEPTH_BITS
        with self._lock:
            entry = self._entries.get(number)
            if entry is not None:
                return Place(entry.position, entry.depth)
            if self._was_issued(number):
                return Place(at_least=1 << (cursor & _DEEPEST))
        return _START

    def issue(self, position: bytes, depth: int, after: int = 0) -> int:
        """A cursor for ``position``, before which ``depth`` elements have been looked at. ``after``
        is the cursor that led there."""
        with self._lock:
            self._leave(after)
            number = self._numbers.get(position)
            if number is None:
                number = self._add(position)
            entry = self._entries[number]
            del self._queues[entry.worth][number]
            continued = self._was_issued(after >> _DEPTH_BITS)
            if entry.holders:
                depth = max(depth, entry.depth)
                continued |= entry.continued
            entry.holders += 1
            entry.depth = depth
            entry.continued = continued
            self._queues[entry.worth][number] = None
            self._trim(number)
            return number << _DEPTH_BITS | min(depth.bit_length(), _DEEPEST)

    def end(self, cursor: int) -> None:
        """The iteration that was at ``cursor`` is over."""
        with self._lock:
            self._leave(cursor)

    def _was_issued(self, number: int) -> bool:
        return self._first <= number < self._next

    def _add(self, position: bytes) -> int:
        number = self._next
        self._next += 1
        self._entries[number] = _Entry(position)
        self._numbers[position] = number
        self._queues[_SPENT][number] = None
        self._bytes += _ENTRY_BYTES + len(position)
        return number

    def _leave(self, cursor: int) -> None:
        """One iteration less is at ``cursor``."""
        number = cursor >> _DEPTH_BITS
        entry = self._entries.get(number)
        if entry is None or not entry.holders:
            return
        del self._queues[entry.worth][number]
        entry.holders -= 1
        self._queues[entry.worth][number] = None

    def _trim(self, kept: int) -> None:
        """Forget what is too much, but not number ``kept``."""
        while len(self._entries) > MAX_CURSORS or (
            self._bytes > MAX_BYTES and len(self._entries) > 1
        ):
            queue, number = next(
                (queue, number) for queue in self._queues for number in queue if number != kept
            )
            del queue[number]
            entry = self._entries.pop(number)
            del self._numbers[entry.position]
            self._bytes -= _ENTRY_BYTES + len(entry.position)
