"""Cursors of SCAN and its kin: a number for each position handed out. Knows no keys or elements.

A cursor that has been forgotten means "from the start": elements may then be returned twice, never
missed, which is what SCAN promises.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict

MAX_CURSORS = 65536
MAX_BYTES = 16 << 20

_ENTRY_BYTES = 160
"""About what an entry takes besides its position."""


class Cursors:
    """The latest positions, at most MAX_CURSORS of them and about MAX_BYTES (but always one).

    Numbers count up from ``first``, which no earlier run of the server has reached: a cursor of
    such a run is unknown here, and does not skip what this one's would.
    """

    __slots__ = ("_bytes", "_lock", "_next", "_positions")

    def __init__(self, first: int) -> None:
        self._lock = threading.Lock()
        self._next = itertools.count(first)
        self._positions: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0

    def issue(self, position: bytes, after: int = 0) -> int:
        """A cursor for ``position``. ``after`` is the cursor that led there: it stays known, in
        case the client asks again, but becomes the first to be forgotten, so that an iteration in
        a hurry pushes out its own past and not another's present."""
        with self._lock:
            cursor = next(self._next)
            self._positions[cursor] = position
            self._bytes += _ENTRY_BYTES + len(position)
            if after in self._positions:
                self._positions.move_to_end(after, last=False)
            while len(self._positions) > MAX_CURSORS or (
                self._bytes > MAX_BYTES and len(self._positions) > 1
            ):
                _, forgotten = self._positions.popitem(last=False)
                self._bytes -= _ENTRY_BYTES + len(forgotten)
            return cursor

    def position(self, cursor: int) -> bytes:
        with self._lock:
            return self._positions.get(cursor, b"")
