"""Keyspace notifications: events of keys, published to whoever subscribes to their channels.

What a command fires is declared with it (``commands/events.py``); storage and types note what only
they know (``storage/events.py``). Here it is put together, filtered by notify-keyspace-events, and
published once it is committed. Knows no command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tendis_py.services.pubsub import BY_EVENT, BY_KEY, PubSub
from tendis_py.storage.events import EXPIRED, Event, Writes, noted
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction

Publish = Callable[[bytes, bytes], object]
"""Channel, message → has it sent once the batch is committed."""

_BY_KEY, _BY_EVENT = "K", "E"
_MISSES = "m"
_EXPIRY = frozenset("xh")
"""Of keys, of fields."""


class Notifications:
    """``active``: events are published; ``tells_expiry``: those of keys or fields that expire, too,
    which should come in time. Any thread may call any method."""

    __slots__ = ("_classes", "_keyspace", "_pubsub", "active", "tells_expiry")

    def __init__(self, keyspace: Keyspace, pubsub: PubSub) -> None:
        self._keyspace = keyspace
        self._pubsub = pubsub
        self._classes: frozenset[str] = frozenset()
        self.active = self.tells_expiry = False

    def set_classes(self, letters: str) -> None:
        """``letters`` as in notify-keyspace-events, without A."""
        channels = {_BY_KEY, _BY_EVENT} & set(letters)
        self._classes = frozenset(letters) if channels else frozenset()
        self.active = bool(self._classes - channels)
        self.tells_expiry = self.active and not self._classes.isdisjoint(_EXPIRY)
        self._keyspace.notes_events = self.active

    def observe(self, ctx: Any, command: Any, request: list[bytes], mark: int, reply: Any) -> None:
        """An observer: fire what the command has noted and, unless that says otherwise, then what
        it declares."""
        if not any(self._heard()) or (command.events is None and len(ctx.tx.undo) == mark):
            return
        writes = Writes(ctx.tx, mark)
        events: list[Event] = []
        if command.events is not None:
            events += command.events(ctx, request, reply, writes)
        self._fire(ctx.publish, [*writes.notes(), *events])

    def fire_after_failure(self, ctx: Any, notes: list[Event]) -> None:
        """A command has raised, having made these ``notes``, and all it has done is taken back. As
        in Redis, the keys that it missed are told, and those that were due are deleted."""
        for note in notes:
            if note.name == EXPIRED:
                ctx.tx.database(note.database).peek(note.key)
        self._fire(
            ctx.publish, [note for note in notes if note.kind == _MISSES or note.name == EXPIRED]
        )

    def fire_noted(self, tx: Transaction) -> None:
        """Of a background job, before its unit of work ends."""
        self._fire(partial(self._pubsub.publish, tx.outgoing), noted(tx))

    def _heard(self) -> tuple[bool, bool]:
        """Whether somebody may hear of events by key, and by event."""
        classes, heard = self._classes, self._pubsub.heard_from
        return (
            _BY_KEY in classes and heard[BY_KEY] > 0,
            _BY_EVENT in classes and heard[BY_EVENT] > 0,
        )

    def _fire(self, publish: Publish, events: Iterable[Event]) -> None:
        classes = self._classes
        by_key, by_event = self._heard()
        for kind, name, database, key in events:
            if kind in classes:
                event = name.encode()
                if by_key:
                    publish(b"%b%d__:%b" % (BY_KEY, database, key), event)
                if by_event:
                    publish(b"%b%d__:%b" % (BY_EVENT, database, event), key)
