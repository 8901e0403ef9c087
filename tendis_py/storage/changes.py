"""One signal of what has changed, for whoever watches, waits for, tracks or is notified of keys.

It comes from every path that writes: commands and runs of them, expiry, FLUSHALL, FLUSHDB and
SWAPDB, background jobs. A unit of work tells at its end what it has changed, as its undo list has
it. While nobody listens that costs a look at one attribute. Knows no clients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Release = Callable[[], None]
"""Something that follows from a change; called once the change is committed, and as durable as
``appendfsync`` asks."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one unit of work has changed: ``keys`` as meta keys (namespace and user key), each once,
    in the order in which they were first written; ``databases``: the indexes of those that were
    emptied or that now show what another showed."""

    keys: tuple[bytes, ...]
    databases: frozenset[int]


Listener = Callable[[Change, list[Release]], None]
"""Called in the thread that has made a change, right after its unit of work, the keys being locked
and the batch not committed. What others may know only then goes into the list; it is dropped when
the commit fails."""


class Interest:
    """Who wants to know. ``active`` is the quick test. Listeners come and go in any thread."""

    __slots__ = ("_listeners", "active")

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self.active = False

    def listen(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)
        self.active = True

    def forget(self, listener: Listener) -> None:
        self._listeners = tuple(one for one in self._listeners if one != listener)
        self.active = bool(self._listeners)

    def tell(self, change: Change, outgoing: list[Release]) -> None:
        for listener in self._listeners:
            listener(change, outgoing)
