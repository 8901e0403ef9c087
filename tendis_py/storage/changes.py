"""One signal of what has changed, for whoever watches, waits for, tracks or is notified of keys.

It comes from every path that writes: commands and runs of them, expiry, FLUSHALL, FLUSHDB and
SWAPDB, background jobs. A unit of work tells at its end what it has changed, as its undo list has
it. While nobody listens that costs a look at one attribute. Knows no clients.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Release = Callable[[], None]
"""Something that follows from a change; called once the change is committed, and as durable as
``appendfsync`` asks."""


Place = tuple[int, bytes]
"""Index of a database, user key."""


class Unmodified(int):
    """So many edits that count, but leave the key as it was for whoever watches or tracks it: of
    what a stream's groups know, say, or of how a value is kept. As Redis, which counts those and
    does not call ``signalModifiedKey``."""

    __slots__ = ()


class Ready(Unmodified):
    """As ``Unmodified``, but whoever waits for the key is to try again."""

    __slots__ = ()


class Expired(int):
    """Stands for the edits of a key that is deleted because it was due."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What one unit of work has changed: ``keys`` as index of the database and user key, each once,
    in the order in which they were first written; ``databases``: the indexes of those that were
    emptied or that now show what another showed. ``has`` tells whether there is a key now, during
    the call of a listener. ``author`` is whoever's commands did it, None for a job; ``expired``:
    those of the keys whose time had come, and that nobody has written since; ``ready``: keys that
    are as they were, but who waits for them is to try again."""

    keys: tuple[Place, ...]
    databases: frozenset[int]
    has: Callable[[Place], bool]
    author: object = field(default=None, compare=False)
    expired: frozenset[Place] = field(default=frozenset(), compare=False)
    ready: tuple[Place, ...] = field(default=(), compare=False)

    @property
    def concerned(self) -> tuple[Place, ...]:
        """The keys for which who waits is to try again."""
        return self.keys + self.ready


Listener = Callable[[Change, list[Release]], None]
"""Called in the thread that has made a change, right after its unit of work, the keys being locked
and the batch not committed. What others may know only then goes into the list; it is dropped when
the commit fails."""


class Interest:
    """Who wants to know. ``active`` is the quick test. Listeners come and go in any thread.

    Besides listeners there are askers, by whatever object stands for one: who runs commands looks
    for them at what ``Transaction.end_unit`` returns.
    """

    __slots__ = ("_askers", "_listeners", "_lock", "active")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._askers: set[object] = set()
        self.active = False

    def listen(self, listener: Listener) -> None:
        with self._lock:
            if listener not in self._listeners:
                self._listeners = (*self._listeners, listener)
            self.active = True

    def forget(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)
            self.active = bool(self._listeners or self._askers)

    def ask(self, asker: object, wants: bool) -> None:
        """Whether ``asker`` wants to know from now on."""
        with self._lock:
            if wants:
                self._askers.add(asker)
            else:
                self._askers.discard(asker)
            self.active = bool(self._listeners or self._askers)

    def tell(self, change: Change, outgoing: list[Release]) -> None:
        for listener in self._listeners:
            listener(change, outgoing)
