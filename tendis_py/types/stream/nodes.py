"""How Redis would have divided a stream into nodes: listpacks of up to so many entries and bytes.

Nothing is stored that way here, but approximate trimming (``MAXLEN ~``) removes whole nodes, so
what it leaves depends on where they begin. A ``Node`` counts what Redis' listpack would hold; the
first and the last node live in the stream's meta row, those in between are rows, written once when
a node is full. Appending and trimming thus read nothing.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from tendis_py.storage.elements import Elements
from tendis_py.storage.limits import Limits
from tendis_py.types import listpack
from tendis_py.types.stream.ids import GREATEST, from_key, milliseconds, sequence, to_key

_KIND = b"n"
_LARGEST = 1 << 30
"""Bytes of a listpack, whatever the configuration says (STREAM_LISTPACK_MAX_SIZE)."""
_PACKED = struct.Struct(">16sQQQI")


class Node(NamedTuple):
    """``first`` is the ID it was begun with, ``last`` the last one added, deleted or not."""

    first: int
    last: int
    live: int
    deleted: int
    size: int
    """Bytes of its entries in a listpack."""
    fields: int
    """A checksum of the field names that its entries need not repeat."""


def pack(node: Node) -> bytes:
    """All but ``first``, which is the row's key."""
    return _PACKED.pack(to_key(node.last), node.live, node.deleted, node.size, node.fields)


def unpack(first: int, raw: bytes, at: int = 0) -> Node:
    last, live, deleted, size, fields = _PACKED.unpack_from(raw, at)
    return Node(first, from_key(last), live, deleted, size, fields)


PACKED_SIZE = _PACKED.size


class Nodes:
    """The nodes of one stream. ``middle`` counts those between ``head`` and ``tail``; the only
    node there is, is the tail."""

    __slots__ = ("_rows", "head", "middle", "tail")

    def __init__(self, rows: Elements, head: Node | None, middle: int, tail: Node | None) -> None:
        self._rows = rows
        self.head = head
        self.middle = middle
        self.tail = tail

    def __len__(self) -> int:
        return self.middle + (self.head is not None) + (self.tail is not None)

    def __iter__(self) -> Iterator[Node]:
        """All, in order."""
        if self.head is not None:
            yield self.head
            if self.middle:
                yield from self._between()
        if self.tail is not None:
            yield self.tail

    def _between(self, upper: int = GREATEST, *, reverse: bool = False) -> Iterator[Node]:
        assert self.head is not None
        rows = self._rows.items(
            _KIND + to_key(self.head.first + 1), _KIND + to_key(upper), reverse=reverse
        )
        return (unpack(from_key(key), value) for key, value in rows)

    def append(self, id_: int, fields: list[bytes], limits: Limits) -> None:
        """Count an entry in: in the last node while it has room."""
        if self.tail is not None and id_ < self.tail.first:
            self.drop_first(list(self), None)  # left without entries, and XSETID went back
        if self.tail is not None and _has_room(self.tail, fields, limits):
            self.tail = _extend(self.tail, id_, fields)
        else:
            self.add(_begin(id_, fields))

    def add(self, node: Node) -> None:
        """Have ``node`` be the last one."""
        if self.tail is not None:
            if self.head is None:
                self.head = self.tail
            else:
                self._rows.add(_KIND + to_key(self.tail.first), pack(self.tail))
                self.middle += 1
        self.tail = node

    def find(self, id_: int) -> Node:
        """The node that an entry is counted in."""
        assert self.tail is not None
        if id_ >= self.tail.first:
            return self.tail
        assert self.head is not None
        if id_ <= self.head.last or not self.middle:
            return self.head
        return next(self._between(id_ + 1, reverse=True))

    def shrink(self, node: Node, entries: int, *, keep: bool = False) -> None:
        """Mark ``entries`` of ``node`` deleted. It goes with its last one unless ``keep``: when
        Redis trims a node in part, which ends with an entry deleted before, it keeps it."""
        left = node._replace(live=node.live - entries, deleted=node.deleted + entries)
        if not left.live and not keep:
            self._drop(node)
        elif self.tail is not None and node.first == self.tail.first:
            self.tail = left
        elif self.head is not None and node.first == self.head.first:
            self.head = left
        else:
            self._rows.set(_KIND + to_key(node.first), pack(left))

    def drop_first(self, dropped: list[Node], rest: Node | None) -> None:
        """Give up the first nodes; ``rest`` is the one that follows, None when they are all."""
        if not dropped:
            return
        assert self.tail is not None
        kept = {self.tail.first} if self.head is None else {self.head.first, self.tail.first}
        for node in dropped if rest is None else [*dropped, rest]:
            if node.first not in kept:
                self._remove(node)
        if rest is None:
            self.head = self.tail = None
        else:
            self.head = None if rest.first == self.tail.first else rest

    def _remove(self, node: Node) -> None:
        """Delete the row of a node in between."""
        self._rows.remove(_KIND + to_key(node.first))
        self.middle -= 1

    def _drop(self, node: Node) -> None:
        assert self.tail is not None
        if node.first == self.tail.first:
            self.tail = self._pop(reverse=True)
        elif self.head is not None and node.first == self.head.first:
            self.head = self._pop(reverse=False)
        else:
            self._remove(node)

    def _pop(self, *, reverse: bool) -> Node | None:
        """What takes the place of the head, or of the tail (``reverse``)."""
        if not self.middle:
            if not reverse:
                return None
            head, self.head = self.head, None
            return head
        node = next(self._between(reverse=reverse))
        self._remove(node)
        return node


def radix_tree_nodes(firsts: Sequence[bytes], depth: int = 0) -> int:
    """Nodes of a radix tree of different keys, in order: of what follows their first ``depth``
    bytes, which they have in common."""
    if not firsts:
        return 1
    if len(firsts) == 1:
        return 1 + (depth < len(firsts[0]))
    first, last = firsts[0], firsts[-1]
    shared = next(at for at in range(depth, len(first)) if first[at] != last[at])
    branches = groupby(firsts, key=itemgetter(shared))
    below = sum(radix_tree_nodes(list(branch), shared + 1) for _, branch in branches)
    return 1 + (shared > depth) + below


def of_listpack(
    first: int, last: int, live: int, deleted: int, size: int, names: list[bytes]
) -> Node:
    """The node that a listpack of ``size`` bytes is, whose entries need not repeat ``names``."""
    counts = listpack.integer_size(live) + listpack.integer_size(deleted)
    return Node(first, last, live, deleted, size - listpack.EMPTY - counts, _checksum(names))


def _begin(id_: int, fields: list[bytes]) -> Node:
    names = fields[::2]
    master = 2 + listpack.integer_size(len(names)) + listpack.entries_size(names)
    size = master + _entry_size(id_, id_, fields, repeats=True)
    return Node(id_, id_, 1, 0, size, _checksum(names))


def _extend(node: Node, id_: int, fields: list[bytes]) -> Node:
    repeats = _checksum(fields[::2]) == node.fields
    size = node.size + _entry_size(node.first, id_, fields, repeats=repeats)
    return Node(node.first, id_, node.live + 1, node.deleted, size, node.fields)


def _has_room(node: Node, fields: list[bytes], limits: Limits) -> bool:
    most_bytes = min(limits.stream_node_max_bytes or _LARGEST, _LARGEST)
    most_entries = limits.stream_node_max_entries
    counts = listpack.integer_size(node.live) + listpack.integer_size(node.deleted)
    if listpack.EMPTY + counts + node.size + sum(map(len, fields)) >= most_bytes:
        return False
    return not most_entries or node.live + node.deleted < most_entries


def _entry_size(first: int, id_: int, fields: list[bytes], *, repeats: bool) -> int:
    """Bytes of an entry in the listpack of the node begun with ``first``; one that ``repeats`` the
    node's field names goes without them."""
    number = len(fields) // 2
    size = 2 + listpack.integer_size(milliseconds(id_) - milliseconds(first))
    size += listpack.integer_size(sequence(id_) - sequence(first))
    if repeats:
        stored, pieces = fields[1::2], number + 3
    else:
        size += listpack.integer_size(number)
        stored, pieces = fields, 2 * number + 4
    return size + listpack.entries_size(stored) + listpack.integer_size(pieces)


def _checksum(names: list[bytes]) -> int:
    return zlib.crc32(b"\0".join(names), len(names))
