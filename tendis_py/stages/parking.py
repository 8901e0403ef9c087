"""Connections whose next request may not run yet, until something lets it, or their time is up.

A parked connection has no batch under way, and holds no thread and no lock; what it sends meanwhile
waits behind. Used in the reactor's thread only.
"""

from __future__ import annotations

import itertools
import math
from heapq import heapify, heappop, heappush

from tendis_py.services.clients import Clients
from tendis_py.stages.connection import Connection

_FEW = 64
_MOST_DUE = 256


class Parking:
    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._numbers = itertools.count()
        self._parked: dict[Connection, int] = {}
        """Each with the number of its place, in order of arrival."""
        self._deadlines: list[tuple[float, int, Connection]] = []
        """A heap of (until, number, connection); those that have left stay in it."""
        self.deadline = math.inf
        """When the first of them is due (monotonic seconds), or earlier."""

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._parked

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, connection: Connection, until: float) -> None:
        """Keep ``connection`` until then (monotonic seconds), unless it is called before."""
        number = next(self._numbers)
        self._parked[connection] = number
        heappush(self._deadlines, (until, number, connection))
        self.deadline = self._deadlines[0][0]
        self._clients.set_blocked(connection.session, True)

    def leave(self, connection: Connection) -> bool:
        """Take ``connection`` out; whether it was here."""
        if self._parked.pop(connection, None) is None:
            return False
        if len(self._deadlines) > 2 * len(self._parked) + _FEW:
            self._forget_those_gone()
        self._clients.set_blocked(connection.session, False)
        return True

    def _forget_those_gone(self) -> None:
        """A deadline may be far off: who left long before it is not to be kept until then."""
        self._deadlines = [one for one in self._deadlines if self._parked.get(one[2]) == one[1]]
        heapify(self._deadlines)

    def call_paused(self) -> list[Connection]:
        """Take those out, in the order they came, that wait for nothing but the time."""
        called = [connection for connection in self._parked if connection.wait is None]
        for connection in called:
            self.leave(connection)
        self._forget_those_gone()
        self.deadline = self._deadlines[0][0] if self._deadlines else math.inf
        return called

    def call_due(self, now: float) -> list[Connection]:
        """Take those out whose time is up at ``now``, in the order of their deadlines; if there are
        very many, the first of them."""
        due: list[Connection] = []
        while self._deadlines and self._deadlines[0][0] <= now and len(due) < _MOST_DUE:
            _, number, connection = heappop(self._deadlines)
            if self._parked.get(connection) == number and self.leave(connection):
                due.append(connection)
        self.deadline = self._deadlines[0][0] if self._deadlines else math.inf
        return due
