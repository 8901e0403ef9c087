"""Pending entries that go on to another consumer, and those that are given back. No RESP."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge, nsmallest
from itertools import islice

from tendis_py.numbers import INT64_MAX
from tendis_py.types.stream.entries import Entry, Stream
from tendis_py.types.stream.groups import Consumer, Group, Pending

Idle = tuple[Entry, Pending]
"""An entry that is pending, and how."""

_SORTED_AT_ONCE = 4096
"""A sort holds the GIL: this many take a few milliseconds."""
_MANY_DELETED = 4
"""Where entries turn out to be deleted, so many times as many are looked at next."""


def idle_entries(stream: Stream, group: Group, idle: int, count: int | None) -> list[Idle]:
    """What has been pending for ``idle`` ms or longer, at most ``count`` of it, in the order in
    which it is to go on: what was given back, then what was delivered longest ago. What was deleted
    from the stream is left out. All pending entries are looked at."""
    tx, now = stream.db.tx, stream.db.now
    tx.admit(group.pending)
    wanted = group.pending if count is None else count
    looked_at = wanted
    while True:
        pending = tx.pace.over(group.pending_entries())
        old = ((id_, entry) for id_, entry in pending if entry.idle(now) >= idle)
        first = list(islice(_in_turn(old, looked_at), looked_at))
        entries = stream.get_many([id_ for id_, _ in first])
        found = [
            ((id_, fields), entry)
            for (id_, entry), fields in zip(first, entries, strict=True)
            if fields is not None
        ]
        if len(found) >= wanted or len(first) < looked_at:
            return found[:wanted]
        looked_at *= _MANY_DELETED


def _in_turn(pending: Iterator[tuple[int, Pending]], number: int) -> Iterator[tuple[int, Pending]]:
    """The first ``number``, or more of them, in order."""
    if number <= _SORTED_AT_ONCE:
        return iter(nsmallest(number, pending, key=_turn))
    parts = []
    while part := sorted(islice(pending, _SORTED_AT_ONCE), key=_turn):
        parts.append(part)
    return merge(*parts, key=_turn)


def _turn(pending: tuple[int, Pending]) -> tuple[bool, int, int]:
    id_, entry = pending
    return not entry.given_back, entry.given_back or entry.delivered, id_


def claim(stream: Stream, group: Group, consumer: Consumer, entries: list[Idle]) -> None:
    """Have them be pending with ``consumer`` from now on, delivered once more."""
    now = stream.db.now
    for (id_, _), old in entries:
        deliveries = min(old.deliveries + 1, INT64_MAX)
        group.assign(id_, Pending(consumer.name, now, deliveries), old)
    if entries:
        consumer.active = now
