"""What keyspace events a command fires: the second half of its declaration.

An ``Events`` is called, only while notifications are on, after a command that has answered without
an error, with its context, request, reply and what it has written. It yields events in Redis'
order. The usual ones are made here; those of one command stand beside its handler. What they leave
of ``Writes.notes`` (keys that were missed, or have expired) comes before all they yield.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from tendis_py.resp.replies import Reply
from tendis_py.resp.requests import Request
from tendis_py.storage.events import Event, Writes

if TYPE_CHECKING:
    from tendis_py.commands.context import Context

Fired = Iterator[Event]

Events = Callable[["Context", Request, Reply, Writes], Iterable[Event]]

KIND_OF_GROUP = {
    "generic": "g",
    "string": "$",
    "bitmap": "$",
    "hyperloglog": "$",
    "list": "l",
    "set": "s",
    "hash": "h",
    "sorted-set": "z",
    "geo": "z",
    "stream": "t",
    "sortedint": "d",
}
"""Group of commands → the letter of notify-keyspace-events for their events."""

GENERIC = "g"


def none(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Iterable[Event]:
    """Of a command that writes, and fires nothing."""
    return ()


def without_misses(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
    """Of a command that looks for a key, and to Redis does not miss it."""
    return (note for note in writes.notes() if note.kind != "m")


def fired(
    writes: Writes, kind: str, name: str, database: int, key: bytes, *, new: bool | None = None
) -> Fired:
    """An event, after ``new`` if the key was not there (or as given)."""
    if writes.take_new(database, key) if new is None else new:
        yield Event("n", "new", database, key)
    yield Event(kind, name, database, key)


def ended(writes: Writes, database: int, key: bytes) -> Fired:
    """``del``, if the key is gone."""
    if writes.is_gone(database, key):
        yield Event(GENERIC, "del", database, key)


def ends(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
    """``del``, if the first key is gone."""
    return ended(writes, ctx.db.index, request[1])


def fires(name: str, kind: str, *, at: int = 1) -> Events:
    """The event ``name`` if the key at position ``at`` has changed, then ``del`` if it is gone."""

    def events(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
        yield from changed(writes, kind, name, ctx.db.index, request[at])

    return events


def changed(writes: Writes, kind: str, name: str, database: int, key: bytes) -> Fired:
    """What ``fires`` fires."""
    if writes.changed(database, key):
        yield from fired(writes, kind, name, database, key)
        yield from ended(writes, database, key)


def stored(writes: Writes, kind: str, name: str, database: int, key: bytes) -> Fired:
    """The event ``name`` if ``key`` was overwritten; ``del`` if there was nothing to store."""
    if writes.is_gone(database, key):
        yield Event(GENERIC, "del", database, key)
    elif writes.changed(database, key):
        yield from fired(writes, kind, name, database, key)


def stores(name: str, kind: str, *, at: int = 1) -> Events:
    """``stored``, with the key at position ``at``."""

    def events(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
        yield from stored(writes, kind, name, ctx.db.index, request[at])

    return events


def deletes(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
    """``del`` of each key that was there."""
    for key in dict.fromkeys(request[1:]):
        yield from writes.notes(key)
        if writes.changed(ctx.db.index, key):
            yield Event(GENERIC, "del", ctx.db.index, key)


def expires_or_deletes(ctx: Context, request: Request, reply: Reply, writes: Writes) -> Fired:
    """``expire``, or ``del`` if that time is over."""
    index, key = ctx.db.index, request[1]
    if writes.changed(index, key):
        name = "del" if writes.is_gone(index, key) else "expire"
        yield Event(GENERIC, name, index, key)


def set_and_expire(ctx: Context, key: bytes, writes: Writes, *, expires: bool) -> Fired:
    """``set`` if ``key`` has changed, then ``expire`` if it got a deadline."""
    index = ctx.db.index
    if writes.changed(index, key):
        yield from fired(writes, "$", "set", index, key)
        if expires and writes.has_deadline(index, key):
            yield Event(GENERIC, "expire", index, key)


def told_already(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    """Of a command that runs others (EXEC, a script): each of them has told its own."""
    list(writes.notes())
    return iter(())
