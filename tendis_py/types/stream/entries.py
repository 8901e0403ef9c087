"""Streams: entries in order of their IDs. Values in, values out; no RESP, no RocksDB.

An entry is a row of the family ENTRIES, ID → field names and values in turn, so a range costs what
it returns. The meta row has what Redis keeps in the stream object, and the first and last of its
nodes (``nodes``); consumer groups (``groups``) and the nodes between are in ROWS. A
stream is never packed, and may be empty.

The ID of the first entry bounds every iteration from below: what trimming has deleted is not
walked over again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from tendis_py.errors import (
    STREAM_ENTRY_TOO_LARGE,
    STREAM_EXHAUSTED,
    STREAM_ID_NOT_GREATER,
    ReplyError,
)
from tendis_py.storage.changes import Unmodified
from tendis_py.storage.codec import (
    STREAM,
    Collection,
    CollectionRow,
    pack_items,
    register,
    unpack_items,
)
from tendis_py.storage.database import Database
from tendis_py.storage.elements import NewElements, VersionWriter
from tendis_py.storage.families import ENTRIES, ROWS
from tendis_py.types import collection
from tendis_py.types.stream import nodes as stream_nodes
from tendis_py.types.stream.ids import (
    GREATEST,
    SEQUENCE_MAX,
    SIZE,
    from_key,
    make,
    milliseconds,
    to_key,
)
from tendis_py.types.stream.nodes import Node, Nodes

Fields = list[bytes]
"""Names and values in turn."""
Entry = tuple[int, Fields]

_LARGEST_ENTRY = 1 << 30


class State(NamedTuple):
    """What the meta row keeps besides the number of entries. IDs are 0 where there is none."""

    last: int = 0
    """The last ID given out, deleted or not."""
    max_deleted: int = 0
    first: int = 0
    """The first entry's."""
    added: int = 0
    groups: int = 0
    groups_made: int = 0
    """So many numbers of groups are taken (``groups``)."""
    middle: int = 0
    head: Node | None = None
    tail: Node | None = None


_NODE_SIZE = SIZE + stream_nodes.PACKED_SIZE
_NO_NODE = bytes(_NODE_SIZE)
_HEAD = struct.Struct(">16s16s16sQQQQ")


def _pack(row: CollectionRow) -> bytes:
    state: State = row.value
    ids = (to_key(id_) for id_ in (state.last, state.max_deleted, state.first))
    head = _HEAD.pack(*ids, state.added, state.groups, state.groups_made, state.middle)
    return head + _pack_node(state.head) + _pack_node(state.tail)


def _unpack(raw: bytes, row: CollectionRow) -> State:
    last, deleted, first, added, groups, groups_made, middle = _HEAD.unpack_from(raw)
    head = _unpack_node(raw, _HEAD.size)
    tail = _unpack_node(raw, _HEAD.size + _NODE_SIZE)
    ids = from_key(last), from_key(deleted), from_key(first)
    return State(*ids, added, groups, groups_made, middle, head, tail)


def _pack_node(node: Node | None) -> bytes:
    return to_key(node.first) + stream_nodes.pack(node) if node else _NO_NODE


def _unpack_node(raw: bytes, at: int) -> Node | None:
    first = from_key(raw[at : at + SIZE])
    return stream_nodes.unpack(first, raw, at + SIZE) if first else None


register(STREAM, Collection(encodings=("stream",), pack=_pack, unpack=_unpack))


class Stream:
    """One stream, as one command works on it; ``save`` writes what has changed of the meta row,
    and counts so many ``edits``."""

    __slots__ = (
        *("_old", "_row", "added", "db", "entries", "first", "groups", "groups_made", "key"),
        *("last", "length", "max_deleted", "nodes", "rows"),
    )

    def __init__(self, db: Database, key: bytes, row: CollectionRow | None) -> None:
        self.db = db
        self.key = key
        self._old = row
        if row is None:
            version = db.tx.keyspace.new_version()
            row = CollectionRow(STREAM, State(), 0, version=version)
        self._row = row
        self.length = row.count
        self.entries = collection.elements(db, row, ENTRIES)
        self.rows = collection.elements(db, row, ROWS)
        state: State = row.value
        self.last = state.last
        self.max_deleted = state.max_deleted
        self.first = state.first
        self.added = state.added
        self.groups = state.groups
        self.groups_made = state.groups_made
        self.nodes = Nodes(self.rows, state.head, state.middle, state.tail)

    def save(self, edits: int = 1) -> None:
        state = self._state()
        if self._old is not None and state == self._old.value and self.length == self._old.count:
            if edits:
                self.db.edited(self.key, edits=edits)
            return
        row = self._row.with_elements(state, self.length)
        self.db.put(self.key, row, self._old, edits=edits)
        self._row = self._old = row

    def _state(self) -> State:
        nodes = self.nodes
        return State(
            self.last,
            self.max_deleted,
            self.first,
            self.added,
            self.groups,
            self.groups_made,
            nodes.middle,
            nodes.head,
            nodes.tail,
        )

    def edited(self, edits: int) -> None:
        """Something has changed that is not in the meta row, as its groups are: for Redis the
        stream is not modified by that."""
        self.db.edited(self.key, edits=Unmodified(edits))

    # Reading

    def range(
        self, start: int = 0, end: int = GREATEST, *, reverse: bool = False
    ) -> Iterator[Entry]:
        """Entries from ``start`` to ``end``, both included; reversed, from ``end`` back."""
        if not self.length:
            return iter(())
        items = self.entries.items(*self._bounds(start, end), reverse=reverse)
        return ((from_key(key), unpack_items(value)) for key, value in items)

    def ids(self, start: int = 0, end: int = GREATEST) -> Iterator[int]:
        """As ``range``, the IDs alone."""
        if not self.length:
            return iter(())
        return map(from_key, self.entries.keys(*self._bounds(start, end)))

    def _bounds(self, start: int, end: int) -> tuple[bytes, bytes | None]:
        start = max(start, self.first)
        return to_key(start), None if end >= GREATEST else to_key(max(end + 1, start))

    def get(self, id_: int) -> Fields | None:
        """One entry."""
        return self.get_many([id_])[0]

    def get_many(self, ids: Iterable[int]) -> list[Fields | None]:
        """The entries of ``ids``, None for what is not there."""
        values = self.entries.get_many(list(map(to_key, ids)))
        return [None if value is None else unpack_items(value) for value in values]

    def present(self, ids: Iterable[int]) -> set[int]:
        """Those of ``ids`` that have an entry."""
        asked = list(ids)
        values = self.entries.get_many(list(map(to_key, asked)))
        return {id_ for id_, value in zip(asked, values, strict=True) if value is not None}

    def top(self) -> Entry | None:
        """The last entry."""
        return next(self.range(reverse=True), None)

    # How far an ID is from the first entry ever, and what is missing on the way

    def is_broken_from(self, start: int) -> bool:
        """Whether the range from ``start`` on has lost entries that were not at its beginning
        (streamRangeHasTombstones)."""
        return bool(self.length and self.max_deleted) and start <= self.max_deleted

    def entries_up_to(self, id_: int) -> int | None:
        """How many entries were ever added up to ``id_``; None when that can't be told
        (streamEstimateDistanceFromFirstEverEntry)."""
        if not self.added:
            return 0
        if not self.length and id_ <= self.last:
            return self.added
        if id_ and id_ < self.max_deleted:
            return None
        if id_ >= self.last:
            return self.added if id_ == self.last else None
        if id_ <= self.first and self.max_deleted < max(self.first, 1):
            return self.added - self.length + (id_ == self.first)
        return None

    # Writing

    def next_id(self, wanted: int | None, *, any_sequence: bool = False) -> int:
        """The ID of the entry to be added: ``wanted``, with a generated sequence number if
        ``any_sequence``; without it, the time's. ReplyError when it is not above all others."""
        if self.last == GREATEST:
            raise ReplyError(STREAM_EXHAUSTED)
        if wanted is None:
            return max(make(self.db.now), self.last + 1)
        if any_sequence and milliseconds(wanted) == milliseconds(self.last):
            if self.last & SEQUENCE_MAX == SEQUENCE_MAX:
                raise ReplyError(STREAM_ID_NOT_GREATER)
            return self.last + 1
        if wanted <= self.last:
            raise ReplyError(STREAM_ID_NOT_GREATER)
        return wanted

    def append(self, id_: int, fields: Fields) -> None:
        """Add an entry; ``id_`` comes from ``next_id``."""
        if sum(map(len, fields)) > _LARGEST_ENTRY:
            raise ReplyError(STREAM_ENTRY_TOO_LARGE)
        self.nodes.append(id_, fields, self.db.limits)
        self._add(id_, fields)

    def _add(self, id_: int, fields: Fields) -> None:
        self.entries.add(to_key(id_), pack_items(fields))
        if not self.length:
            self.first = id_
        self.length += 1
        self.added += 1
        self.last = id_

    def delete(self, ids: AbstractSet[int]) -> None:
        """Delete the entries of ``ids``, all of which are there."""
        if not ids:
            return
        self.db.tx.admit(len(ids))
        first = self.first
        if first in ids:
            first = next((id_ for id_ in self.ids() if id_ not in ids), 0)
        shrunk: dict[int, tuple[Node, int]] = {}
        node = None
        for id_ in sorted(ids):
            if node is None or id_ > node.last:
                node = self.nodes.find(id_)
            shrunk[node.first] = node, shrunk.get(node.first, (node, 0))[1] + 1
        for id_ in ids:
            self.entries.remove(to_key(id_))
        for node, entries in shrunk.values():
            self.nodes.shrink(node, entries)
        self.length -= len(ids)
        self.first = first
        self.max_deleted = max(self.max_deleted, *ids)


class NewStream(Stream):
    """A stream that is made of what another one had. It belongs to no key; what is put into it is
    written ahead, each row once or the last time it comes, and not to be read."""

    __slots__ = ("_writer",)

    def __init__(self, db: Database) -> None:
        self._writer = VersionWriter(db.tx)
        empty = CollectionRow(STREAM, State(), 0, version=self._writer.version)
        super().__init__(db, b"", empty)
        self.entries = NewElements(self._writer, ENTRIES)
        self.rows = NewElements(self._writer, ROWS)
        self.nodes = Nodes(self.rows, None, 0, None)

    def put(self, id_: int, fields: Fields) -> None:
        """Add an entry, after all others, of a node that is added for itself."""
        self._add(id_, fields)

    def finish(self) -> CollectionRow:
        """Its row."""
        self._writer.finish()
        return self._row.with_elements(self._state(), self.length)


def find(db: Database, key: bytes) -> Stream | None:
    """The stream at ``key``, counted as a use of it. ReplyError when it is of another type."""
    row = collection.find(db, key, STREAM)
    return None if row is None else Stream(db, key, row)


def peek(db: Database, key: bytes) -> Stream | None:
    """As ``find``, without a trace."""
    row = collection.peek(db, key, STREAM)
    return None if row is None else Stream(db, key, row)


def create(db: Database, key: bytes) -> Stream:
    """An empty stream where there is no key."""
    return Stream(db, key, None)


def append_run(db: Database, key: bytes, entries: Iterable[Fields]) -> list[int]:
    """Add entries with the time's IDs, which are returned, to a stream that is created if need
    be."""
    stream = peek(db, key) or create(db, key)
    ids = []
    for fields in entries:
        id_ = stream.next_id(None)
        stream.append(id_, fields)
        ids.append(id_)
    stream.save(len(ids))
    return ids
