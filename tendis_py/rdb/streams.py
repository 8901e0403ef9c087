"""Streams as RDB has them: nodes of entries, groups, what is pending with whom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from tendis_py.numbers import INT64_MAX
from tendis_py.rdb import formats, listpack, sink
from tendis_py.rdb.distinct import Known
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.listpack import Entry
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.types.shards import Shards
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import groups, nodes
from tendis_py.types.stream.entries import Fields, NewStream, Stream
from tendis_py.types.stream.groups import NEVER, UNKNOWN, Group, Pending
from tendis_py.types.stream.ids import (
    GREATEST,
    SEQUENCE_MAX,
    SIZE,
    from_key,
    make,
    milliseconds,
    sequence,
    to_key,
)

READS = frozenset(
    {formats.STREAM_LISTPACKS, formats.STREAM_LISTPACKS_2, formats.STREAM_LISTPACKS_3}
)
_DELETED, _SAME_FIELDS = 1, 2
"""Flags of an entry in a node."""
_LEAST_ENTRY = 12
"""Bytes that an entry takes in a node at least: it is in six pieces."""
_UNKNOWN = SEQUENCE_MAX
"""How many entries a group has read, where that can't be told."""

# Writing


def write(db: Database, row: Row) -> Iterator[bytes]:
    """Nodes as Redis would have them by now, without the entries that were deleted. What was given
    back (XNACK), which this format does not know, is pending with the group's first consumer, as if
    delivered at the beginning of time: so it is the first to be claimed."""
    assert isinstance(row, CollectionRow)
    stream = Stream(db, b"", row)
    number = sum(1 for node in stream.nodes if node.live)
    yield bytes([formats.STREAM_LISTPACKS_3]) + sink.length(number)
    entries = stream.range()
    ahead = next(entries, None)
    for node in stream.nodes:
        last = node.last
        found = []
        while ahead is not None and ahead[0] <= last:
            found.append(ahead)
            ahead = next(entries, None)
        if found:
            packed = listpack.pack(_node(node.first, found))
            yield sink.length(SIZE) + to_key(node.first) + sink.length(len(packed)) + packed
    yield sink.length(stream.length)
    for id_ in (stream.last, stream.first, stream.max_deleted):
        yield _id(id_)
    all_groups = groups.all_groups(stream)
    yield sink.length(stream.added) + sink.length(len(all_groups))
    for group in all_groups:
        yield from _group(group)


def _id(id_: int) -> bytes:
    return sink.length(milliseconds(id_)) + sink.length(sequence(id_))


def _node(first: int, found: list[streams.Entry]) -> Iterator[Entry]:
    """What is in the listpack of the node begun with the ID ``first``."""
    names = found[0][1][::2]
    yield len(found)
    yield 0  # deleted
    yield len(names)
    yield from names
    yield 0
    for id_, fields in found:
        same = fields[::2] == names
        yield _SAME_FIELDS if same else 0
        yield milliseconds(id_) - milliseconds(first)
        yield sequence(id_) - sequence(first)
        if same:
            yield from fields[1::2]
            yield len(names) + 3
        else:
            yield len(fields) // 2
            yield from fields
            yield len(fields) + 4


def _group(group: Group) -> Iterator[bytes]:
    read = _UNKNOWN if group.read == UNKNOWN else group.read
    yield sink.string(group.name) + _id(group.last) + sink.length(read)
    yield sink.length(group.pending)
    for id_, entry in group.pending_entries():
        yield to_key(id_) + sink.number(entry.delivered) + sink.length(entry.deliveries)
    owned = sum(consumer.pending for consumer in group.all_consumers())
    given_back = group.pending - owned
    consumers = group.all_consumers()
    if given_back and not group.consumers:
        consumers = iter([groups.Consumer(b"", 0, NEVER, 0)])
    yield sink.length(max(group.consumers, bool(given_back)))
    for consumer in consumers:
        yield sink.string(consumer.name) + sink.number(consumer.seen) + sink.number(consumer.active)
        yield sink.length(consumer.pending + given_back)
        yield from map(to_key, group.owned(consumer.name))
        if given_back:
            pending = group.pending_entries()
            yield from (to_key(id_) for id_, entry in pending if entry.given_back)
            given_back = 0


# Reading


def read(db: Database, source: Source, form: int) -> Row:
    stream = NewStream(db)
    for _ in range(source.length()):
        _read_node(stream, source)
    if source.length() != stream.length:
        raise CorruptError("stream: its length")
    added = stream.length
    last = _read_id(source)
    if last < stream.last:
        raise CorruptError("stream: its last ID")
    stream.last = last
    if form != formats.STREAM_LISTPACKS:
        _read_id(source)  # of the first entry
        stream.max_deleted = _read_id(source)
        added = source.length()
    elif not added:
        stream.first = GREATEST  # as Redis has it, which looks for the first entry in vain
    stream.added = added
    known = Known()
    try:
        for _ in range(source.length()):
            name = source.string()
            known.add(name)
            _read_group(stream, source, form, name)
    finally:
        known.clear()
    return stream.finish()


def _read_id(source: Source) -> int:
    return make(source.length(), source.length())


def _read_key(source: Source) -> int:
    key = source.string()
    if len(key) != SIZE:
        raise CorruptError("stream: the ID of a node")
    return from_key(key)


def _read_node(stream: NewStream, source: Source) -> None:
    first = _read_key(source)
    if stream.nodes.tail is not None and first <= stream.nodes.tail.last:
        raise CorruptError("stream: the order of nodes")
    inner = source.inner()
    size = inner.left
    stream.db.tx.admit(stream.length + size // _LEAST_ENTRY)
    found = listpack.entries(inner)
    live, deleted, number = _integer(found), _integer(found), _integer(found)
    names = _texts(found, number)
    if live < 0 or deleted < 0 or _integer(found):
        raise CorruptError("stream: the head of a node")
    last, left = first - 1, [live, deleted]
    for _ in range(live + deleted):
        flags = _integer(found)
        id_ = _sum(first, _integer(found), _integer(found))
        if id_ <= last:
            raise CorruptError("stream: the order of entries")
        last = id_
        fields, pieces = _fields(found, names if flags & _SAME_FIELDS else None)
        if _integer(found) != pieces:
            raise CorruptError("stream: an entry")
        gone = flags & _DELETED
        left[gone] -= 1
        if not gone:
            stream.put(id_, fields)
    if any(left) or last < first or next(found, None) is not None:
        raise CorruptError("stream: the number of entries")
    stream.nodes.add(nodes.of_listpack(first, last, live, deleted, size, names))


def _sum(first: int, above: int, below: int) -> int:
    return make(milliseconds(first) + above & SEQUENCE_MAX, sequence(first) + below & SEQUENCE_MAX)


def _fields(found: Iterator[Entry], names: list[bytes] | None) -> tuple[Fields, int]:
    """Names and values of an entry, and how many pieces it is in; with the node's ``names`` if it
    does not repeat them."""
    if names is None:
        number = _integer(found)
        return _texts(found, 2 * number), 2 * number + 4
    values = _texts(found, len(names))
    return list(chain.from_iterable(zip(names, values, strict=True))), len(names) + 3


def _texts(found: Iterator[Entry], number: int) -> list[bytes]:
    if number < 0:
        raise CorruptError("stream: a number of fields")
    return [listpack.text(_any(found)) for _ in range(number)]


def _any(found: Iterator[Entry]) -> Entry:
    entry = next(found, None)
    if entry is None:
        raise CorruptError("stream: a node that breaks off")
    return entry


def _integer(found: Iterator[Entry]) -> int:
    entry = next(found, None)
    if not isinstance(entry, int):
        raise CorruptError("stream: a number")
    return entry


_Nobodys = Shards[tuple[int, int]]
"""ID (16 bytes) → delivery time and count of what is pending with a consumer still to come."""


def _read_group(stream: NewStream, source: Source, form: int, name: bytes) -> None:
    last = _read_id(source)
    if form == formats.STREAM_LISTPACKS:
        known = stream.entries_up_to(last)
        read = UNKNOWN if known is None else known
    else:
        read = source.length()
    group = groups.create(stream, name, last, UNKNOWN if read > INT64_MAX else read)
    pending: _Nobodys = Shards()
    try:
        for _ in range(source.length()):
            id_ = source.read(SIZE)
            part = pending.of(id_)
            if id_ in part:
                raise CorruptError("stream: pending twice")
            part[id_] = _time(source), min(source.length(), INT64_MAX)
        for _ in range(source.length()):
            _read_consumer(group, source, form, pending)
        if len(pending):
            raise CorruptError("stream: pending with nobody")
    finally:
        pending.clear()
    group.save()


def _time(source: Source) -> int:
    at = source.number()
    if at < 0:
        raise CorruptError("stream: a time")
    return at


def _read_consumer(group: Group, source: Source, form: int, pending: _Nobodys) -> None:
    name = source.string()
    if group.consumer(name) is not None:
        raise CorruptError("stream: a consumer twice")
    consumer = group.create_consumer(name, _time(source))
    consumer.active = consumer.seen
    if form == formats.STREAM_LISTPACKS_3:
        consumer.active = source.number()
    for _ in range(source.length()):
        id_ = source.read(SIZE)
        found = pending.of(id_).pop(id_, None)
        if found is None:
            raise CorruptError("stream: pending with a consumer alone")
        group.assign(from_key(id_), Pending(name, *found), None)
