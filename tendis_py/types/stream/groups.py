"""Consumer groups of a stream: what they have read, and what is pending with whom. No RESP.

All of it is rows of the stream, of four kinds, each with a byte in front:

    ``g`` group name                      number, last ID read, counts …
    ``c`` number | consumer name          times, count of pending entries
    ``p`` number | ID                     delivery time, delivery count, consumer name; or, of one
                                          that was given back, 2 ** 63 + its place, delivery count
    ``i`` number | consumer name | ID     (nothing): the pending entries of one consumer

The number (8 bytes) is never used again within the stream, so no row of a group that was destroyed
can be taken for one of its successor's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from tendis_py.numbers import INT64_MAX
from tendis_py.storage.codec import upper_bound
from tendis_py.storage.elements import Elements
from tendis_py.types.stream.entries import Entry, Fields, Stream
from tendis_py.types.stream.ids import GREATEST, SIZE, from_key, to_key

UNKNOWN = -1
"""Of ``Group.read``: it can't be told."""
NEVER = -1
"""Of ``Consumer.active``."""

_GROUP, _CONSUMER, _PENDING, _OWNED = b"g", b"c", b"p", b"i"
_GROUP_ROW = struct.Struct(">Q16sqQQ16sQ")
_CONSUMER_ROW = struct.Struct(">QqQ")
_PENDING_ROW = struct.Struct(">QQ")
_NUMBER = struct.Struct(">Q")
_NAME_SIZE = struct.Struct(">I")

_FEW = 1024
"""Rows from which on a range is deleted at once."""
_GIVEN_BACK = 1 << 63
"""What makes a delivery time the place of an entry that was given back."""
_PASSED = 256
"""So many pending entries may be gone before their tombstones are stepped over for good."""


class Pending(NamedTuple):
    """An entry that was delivered and not acknowledged. One that its consumer has given back
    (XNACK) is nobody's, as if delivered at the beginning of time."""

    consumer: bytes
    delivered: int
    """The last time, as a Unix time in ms."""
    deliveries: int
    given_back: int = 0
    """Of one that was: its place in their order, from 1 on."""

    def idle(self, now: int) -> int:
        """For how many ms it has not been delivered to anybody."""
        return INT64_MAX if self.given_back else now - self.delivered


class Consumer:
    """Times are Unix times in ms. Changed in place; its group's ``save`` writes it."""

    __slots__ = ("active", "name", "pending", "seen")

    def __init__(self, name: bytes, seen: int, active: int, pending: int) -> None:
        self.name = name
        self.seen = seen
        self.active = active
        """The last time it was given an entry; NEVER if it was not."""
        self.pending = pending


class Group:
    """One group, as one command works on it. Changed in place; ``save`` writes what is not
    written at once, which is its own row and those of its consumers."""

    __slots__ = (
        *("_consumers", "_first", "_given_back", "_number", "_passed", "_stored", "consumers"),
        *("last", "name", "pending", "read", "rows"),
    )

    def __init__(self, rows: Elements, name: bytes, raw: bytes) -> None:
        self.rows = rows
        self.name = name
        number, last, read, consumers, pending, first, passed = _GROUP_ROW.unpack_from(raw)
        self._number = _NUMBER.pack(number)
        self.last = from_key(last)
        """The last ID delivered."""
        self.read: int = read
        """How many entries it has read, of all ever added; or UNKNOWN."""
        self.consumers: int = consumers
        self.pending: int = pending
        self._first = from_key(first)  # no pending entry is before it
        self._passed: int = passed
        self._given_back = int.from_bytes(raw[_GROUP_ROW.size :], "big")  # so many places are taken
        self._consumers: dict[bytes, Consumer] = {}
        self._stored = {_GROUP + name: raw}

    def save(self) -> bool:
        """Whether the group has changed, not just a consumer of it."""
        if not self.pending:
            self._first = self._passed = self._given_back = 0
        elif self._passed >= _PASSED:
            self._first = next(self.pending_entries())[0]
            self._passed = 0
        (number,) = _NUMBER.unpack(self._number)
        raw = _GROUP_ROW.pack(
            number,
            to_key(self.last),
            self.read,
            self.consumers,
            self.pending,
            to_key(self._first),
            self._passed,
        )
        if self._given_back:
            raw += _NUMBER.pack(self._given_back)
        changed = self._set(_GROUP + self.name, raw)
        for consumer in self._consumers.values():
            raw = _CONSUMER_ROW.pack(consumer.seen, consumer.active, consumer.pending)
            self._set(self._consumer_key(consumer.name), raw)
        return changed

    def _set(self, key: bytes, raw: bytes) -> bool:
        if self._stored.get(key) == raw:
            return False
        self._stored[key] = raw
        self.rows.set(key, raw)
        return True

    # Consumers

    def consumer(self, name: bytes) -> Consumer | None:
        found = self._consumers.get(name)
        if found is None:
            key = self._consumer_key(name)
            raw = self.rows.get(key)
            if raw is None:
                return None
            self._stored[key] = raw
            found = self._consumers[name] = Consumer(name, *_CONSUMER_ROW.unpack(raw))
        return found

    def all_consumers(self) -> Iterator[Consumer]:
        """In order of their names, for reading."""
        lower = self._consumer_key(b"")
        for key, raw in self.rows.items(lower, upper_bound(lower)):
            yield Consumer(key[len(lower) :], *_CONSUMER_ROW.unpack(raw))

    def create_consumer(self, name: bytes, now: int) -> Consumer:
        """One of a name that no other has."""
        made = self._consumers[name] = Consumer(name, now, NEVER, 0)
        self.consumers += 1
        return made

    def delete_consumer(self, consumer: Consumer) -> None:
        """Along with its pending entries."""
        for id_ in list(self.owned(consumer.name)):
            self.rows.remove(self._pending_key(id_))
            self.rows.remove(self._owned_key(consumer.name, id_))
        self.rows.remove(self._consumer_key(consumer.name))
        del self._consumers[consumer.name]
        self.consumers -= 1
        self.pending -= consumer.pending
        self._passed += consumer.pending

    # Pending entries

    def pending_of(self, ids: Iterable[int]) -> list[Pending | None]:
        """What is pending under each ID."""
        values = self.rows.get_many(list(map(self._pending_key, ids)))
        return [None if raw is None else _unpack_pending(raw) for raw in values]

    def pending_entries(
        self, start: int = 0, end: int = GREATEST, *, reverse: bool = False
    ) -> Iterator[tuple[int, Pending]]:
        """All of the group from ``start`` to ``end``, both included, in order of their IDs."""
        if not self.pending or max(start, self._first) > end:
            return iter(())
        lower = self._pending_key(max(start, self._first))
        upper = self._pending_key(end) + b"\0"
        items = self.rows.items(lower, upper, reverse=reverse)
        return ((from_key(key), _unpack_pending(raw)) for key, raw in items)

    def owned(self, consumer: bytes, start: int = 0, end: int = GREATEST) -> Iterator[int]:
        """The IDs of what is pending with one consumer, in order."""
        if not self.pending or max(start, self._first) > end:
            return iter(())
        lower = self._owned_key(consumer, max(start, self._first))
        return map(from_key, self.rows.keys(lower, self._owned_key(consumer, end) + b"\0"))

    def owned_entries(
        self, consumer: bytes, start: int = 0, end: int = GREATEST
    ) -> Iterator[tuple[int, Pending]]:
        """As ``pending_entries``, of one consumer."""
        for id_ in self.owned(consumer, start, end):
            (entry,) = self.pending_of([id_])
            assert entry is not None
            yield id_, entry

    def assign(self, id_: int, new: Pending, old: Pending | None) -> None:
        """Make an entry pending, or pass it on; ``old`` is what was pending under the ID."""
        key = self._pending_key(id_)
        delivered = _GIVEN_BACK | new.given_back if new.given_back else new.delivered
        raw = _PENDING_ROW.pack(delivered, new.deliveries) + new.consumer
        if old is None:
            self.rows.add(key, raw)
            self._first = min(self._first, id_) if self.pending else id_
            self.pending += 1
        else:
            self.rows.set(key, raw)
            if old.consumer == new.consumer and bool(old.given_back) is bool(new.given_back):
                return
            self._disown(id_, old)
        if new.given_back:
            return
        self.rows.add(self._owned_key(new.consumer, id_))
        owner = self.consumer(new.consumer)
        assert owner is not None
        owner.pending += 1

    def give_back(self, id_: int, deliveries: int, old: Pending | None) -> None:
        """Have an entry be pending with nobody, and be the last of those that are; ``old`` as in
        ``assign``."""
        self._given_back += 1
        self.assign(id_, Pending(b"", 0, deliveries, self._given_back), old)

    def release(self, id_: int, old: Pending) -> None:
        """Have an entry pending no more."""
        self.rows.remove(self._pending_key(id_))
        self._disown(id_, old)
        self.pending -= 1
        self._passed += 1

    def _disown(self, id_: int, old: Pending) -> None:
        if old.given_back:
            return
        self.rows.remove(self._owned_key(old.consumer, id_))
        owner = self.consumer(old.consumer)
        assert owner is not None
        owner.pending -= 1

    def destroy(self) -> None:
        """Delete all rows of the group."""
        self.rows.remove(_GROUP + self.name)
        self._remove_all(_CONSUMER + self._number, self.consumers)
        self._remove_all(_PENDING + self._number, self.pending)
        self._remove_all(_OWNED + self._number, self.pending)

    def _remove_all(self, prefix: bytes, number: int) -> None:
        if number > _FEW:
            self.rows.remove_range(prefix, upper_bound(prefix))
        else:
            for key in list(self.rows.keys(prefix, upper_bound(prefix))):
                self.rows.remove(key)

    # Keys

    def _consumer_key(self, name: bytes) -> bytes:
        return _CONSUMER + self._number + name

    def _pending_key(self, id_: int) -> bytes:
        return _PENDING + self._number + to_key(id_)

    def _owned_key(self, consumer: bytes, id_: int) -> bytes:
        return _OWNED + self._number + _NAME_SIZE.pack(len(consumer)) + consumer + to_key(id_)


def _unpack_pending(raw: bytes) -> Pending:
    delivered, deliveries = _PENDING_ROW.unpack_from(raw)
    if delivered & _GIVEN_BACK:
        return Pending(b"", 0, deliveries, delivered & ~_GIVEN_BACK)
    return Pending(raw[_PENDING_ROW.size :], delivered, deliveries)


# The groups of a stream


def find(stream: Stream, name: bytes) -> Group | None:
    raw = stream.rows.get(_GROUP + name) if stream.groups else None
    return None if raw is None else Group(stream.rows, name, raw)


def all_groups(stream: Stream) -> list[Group]:
    """In order of their names."""
    if not stream.groups:
        return []
    items = stream.rows.items(_GROUP, upper_bound(_GROUP))
    return [Group(stream.rows, key[len(_GROUP) :], raw) for key, raw in items]


def create(stream: Stream, name: bytes, last: int, read: int) -> Group:
    """A group of a name that no other has. The stream is to be saved."""
    read = min(read, stream.added)
    stream.groups += 1
    stream.groups_made += 1
    nothing = bytes(SIZE)
    raw = _GROUP_ROW.pack(stream.groups_made, to_key(last), read, 0, 0, nothing, 0)
    stream.rows.add(_GROUP + name, raw)
    return Group(stream.rows, name, raw)


def create_consumer(stream: Stream, group: Group, name: bytes, now: int) -> Consumer:
    """A new consumer of ``group``, of which an event tells."""
    stream.db.note("t", "xgroup-createconsumer", stream.key)
    return group.create_consumer(name, now)


def destroy(stream: Stream, group: Group) -> None:
    """The stream is to be saved."""
    stream.db.tx.admit(group.pending)
    group.destroy()
    stream.groups -= 1


def lag(stream: Stream, group: Group) -> int | None:
    """How many entries the group has not read yet; None when that can't be told."""
    if not stream.added or not stream.length:
        return 0
    if group.last < stream.first and stream.max_deleted < stream.first:
        return stream.length
    if group.read != UNKNOWN and not stream.is_broken_from(group.last):
        return stream.added - group.read
    read = stream.entries_up_to(group.last)
    return None if read is None else stream.added - read


# Reading


def deliver(
    stream: Stream, group: Group, consumer: Consumer, entries: list[Entry], *, pending: bool
) -> None:
    """Note that ``consumer`` was given new entries, which are ``pending`` from now on."""
    now = stream.db.now
    for id_, _ in entries:
        if id_ > group.last:
            _advance(stream, group, id_)
    if pending and entries:
        ids = [id_ for id_, _ in entries]
        for id_, old in zip(ids, group.pending_of(ids), strict=True):
            group.assign(id_, Pending(consumer.name, now, 1), old)
        consumer.active = now


def _advance(stream: Stream, group: Group, id_: int) -> None:
    """Count one more entry as read by the group."""
    if (
        group.read != UNKNOWN
        and group.last >= stream.first
        and not stream.is_broken_from(group.last)
    ):
        group.read += 1
    elif stream.added:
        read = stream.entries_up_to(id_)
        group.read = UNKNOWN if read is None else read
    group.last = id_


def history(
    stream: Stream, group: Group, consumer: Consumer, after: int, count: int | None
) -> list[tuple[int, Fields | None]]:
    """What is pending with ``consumer`` from behind ``after`` on, delivered once more; None stands
    for the fields of an entry that was deleted."""
    ids = list(islice(group.owned(consumer.name, min(after + 1, GREATEST)), count))
    entries = stream.get_many(ids)
    for id_, fields, old in zip(ids, entries, group.pending_of(ids), strict=True):
        assert old is not None
        if fields is not None:
            again = Pending(consumer.name, stream.db.now, old.deliveries + 1)
            group.assign(id_, again, old)
    return list(zip(ids, entries, strict=True))


# References: entries that some group has yet to read, or to acknowledge


def is_referenced(groups: Iterable[Group], id_: int) -> bool:
    return any(id_ > group.last or group.pending_of([id_])[0] is not None for group in groups)


def release_everywhere(groups: Iterable[Group], id_: int) -> None:
    """Have an entry pending in none of ``groups``, which are to be saved."""
    for group in groups:
        (old,) = group.pending_of([id_])
        if old is not None:
            group.release(id_, old)
