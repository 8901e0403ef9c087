"""What the offline check (storage/check.py) looks at in a collection of each type: whether its rows
agree among themselves and with its meta row. Knows how each type keeps its rows, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, cast

from tendis_py.storage.check import Inspect, Stored, StoredElements
from tendis_py.storage.codec import (
    HASH,
    LIST,
    SET,
    SORTEDINT,
    STREAM,
    STRING,
    ZSET,
    CollectionRow,
    unpack_items,
    upper_bound,
)
from tendis_py.storage.elements import Elements
from tendis_py.storage.families import COLUMN_FAMILIES, ENTRIES, ROWS, SCORE
from tendis_py.types import listpack
from tendis_py.types.hash import fields as hash_fields
from tendis_py.types.list.keys import position
from tendis_py.types.list.rows import Packed, Span
from tendis_py.types.set.members import INTSET
from tendis_py.types.sorted_integers import INTEGER_SIZE
from tendis_py.types.stream import entries as stream
from tendis_py.types.stream import groups as stream_group
from tendis_py.types.stream.ids import from_key, to_text
from tendis_py.types.stream.nodes import Nodes
from tendis_py.types.string.fragments import FRAGMENT_BYTES
from tendis_py.types.zset.forms import Small
from tendis_py.types.zset.scores import SCORE_SIZE, encode_score, unpack_score


def _counted(row: CollectionRow, found: int, what: str) -> Iterator[str]:
    if found != row.count:
        yield f"it counts {row.count} elements and has {found} {what}"


def _rows(row: CollectionRow, stored: Stored, family: int) -> Iterator[str]:
    """Whether there are as many rows as the collection counts elements, and any."""
    yield from _counted(row, stored(family).count(), f"rows in {COLUMN_FAMILIES[family]}")
    if not row.count:
        yield "it is empty"


def _packed(row: CollectionRow, value: Any) -> Iterator[str]:
    """Whether a small collection has as many elements as it counts, and any."""
    yield from _counted(row, len(value), "in its row")
    if not row.count:
        yield "it is empty"


# Strings in fragments


def _string(row: CollectionRow, stored: Stored) -> Iterator[str]:
    yield from _counted(row, stored(ROWS).count(), "fragments")
    for element, fragment in stored(ROWS).items():
        number = int.from_bytes(element, "big")
        if number * FRAGMENT_BYTES + len(fragment) > row.value:
            yield f"fragment {number} is beyond its {row.value} bytes"
        elif len(fragment) > FRAGMENT_BYTES or not fragment or fragment.endswith(b"\0"):
            yield f"fragment {number} is not as it is stored"


# Sets


def _set(row: CollectionRow, stored: Stored) -> Iterator[str]:
    if row.version:
        yield from _rows(row, stored, ROWS)
        return
    yield from _packed(row, row.value)
    if row.encoding == INTSET and any(low >= high for low, high in pairwise(row.value)):
        yield "its integers are not in order"


# Sorted integers


def _sorted_integers(row: CollectionRow, stored: Stored) -> Iterator[str]:
    if not row.version:
        yield from _packed(row, row.value)
        if any(low >= high for low, high in pairwise(row.value)):
            yield "its integers are not in order"
        return
    yield from _rows(row, stored, ROWS)
    for element, value in stored(ROWS).items():
        if len(element) != INTEGER_SIZE or value:
            yield f"row {element!r} is no integer"


# Sorted sets


def _zset(row: CollectionRow, stored: Stored) -> Iterator[str]:
    if not row.version:
        small: Small = row.value
        yield from _packed(row, small.scores)
        if any(low >= high for low, high in pairwise(small.pairs)):
            yield "its members are not in order"
        return
    yield from _rows(row, stored, ROWS)
    yield from _rows(row, stored, SCORE)
    scores = stored(ROWS)
    for element, _ in stored(SCORE).items():
        member = element[SCORE_SIZE:]
        packed = scores.get(member)
        if packed is None:
            yield f"member {member!r} is in the order and has no score"
        elif encode_score(unpack_score(packed)) != element[:SCORE_SIZE]:
            yield f"member {member!r} has a score and another one in the order"


# Hashes


def _hash(row: CollectionRow, stored: Stored) -> Iterator[str]:
    if not row.version:
        yield from _packed(row, row.value)
        return
    yield from _rows(row, stored, ROWS)
    by_deadline = stored(SCORE)
    dated = 0
    for field, raw in stored(ROWS).items():
        deadline = hash_fields.unpack_field(raw).deadline
        if deadline:
            dated += 1
            if by_deadline.get(_dated(deadline, field)) is None:
                yield f"field {field!r}: its deadline {deadline} is not indexed"
    if by_deadline.count() != dated:
        yield f"{dated} fields have a deadline and {by_deadline.count()} are indexed"
    first, stated = next(by_deadline.keys(), b""), row.value
    if bool(first) != bool(stated) or not first.startswith(stated):
        yield f"its earliest deadline is {first!r}, it says {stated!r}"


def _dated(deadline: int, field: bytes) -> bytes:
    return deadline.to_bytes(hash_fields.DEADLINE_SIZE, "big") + field


# Lists


def _list(row: CollectionRow, stored: Stored) -> Iterator[str]:
    value: Packed | Span = row.value
    if isinstance(value, Packed):
        yield from _packed(row, value.items)
        size = listpack.EMPTY + listpack.entries_size(value.items)
    else:
        yield from _rows(row, stored, ROWS)
        yield from _positions(row, value, stored(ROWS))
        size = 0
        if value.size:
            values = (element for _, element in stored(ROWS).items())
            size = listpack.EMPTY + listpack.entries_size(values)
    if size != value.size:
        yield f"its elements take {size} bytes, it says {value.size}"


def _positions(row: CollectionRow, span: Span, rows: StoredElements) -> Iterator[str]:
    outside = sum(1 for _ in rows.keys(upper=position(span.head)))
    outside += sum(1 for _ in rows.keys(position(span.tail)))
    if outside:
        yield f"{outside} elements are not between its ends"
    if span.dense:
        for at, key in enumerate(rows.keys(), span.head):
            if key != position(at):
                yield f"it says it has no gaps, and has one at element {at - span.head}"
                return


# Streams


def _stream(row: CollectionRow, stored: Stored) -> Iterator[str]:
    state: stream.State = row.value
    yield from _counted(row, stored(ENTRIES).count(), "entries")
    first, last = 0, 0
    for key, raw in stored(ENTRIES).items():
        last = from_key(key)
        first = first or last
        unpack_items(raw)
    if row.count and first != state.first:
        yield f"its first entry is {to_text(first)!r}, it says {to_text(state.first)!r}"
    if last > state.last:
        yield f"entry {to_text(last)!r} is beyond its last ID {to_text(state.last)!r}"
    rows = stored(ROWS)
    nodes = Nodes(cast(Elements, rows), state.head, state.middle, state.tail)
    yield from _counted(row, sum(node.live for node in nodes), "in its nodes")
    expected = state.middle + state.groups
    for name, raw in rows.items(b"g", upper_bound(b"g")):
        group = stream_group.Group(cast(Elements, rows), name[1:], raw)
        given_back = sum(1 for _, entry in group.pending_entries() if entry.given_back)
        expected += group.consumers + 2 * group.pending - given_back
        for text in _group(group):
            yield f"group {group.name!r}: {text}"
    if rows.count() != expected:
        yield f"its groups and nodes should have {expected} rows, and have {rows.count()}"


def _group(group: stream_group.Group) -> Iterator[str]:
    pending = sum(1 for _ in group.pending_entries())
    if pending != group.pending:
        yield f"it counts {group.pending} pending entries and has {pending}"
    for consumer in group.all_consumers():
        owned = 0
        for id_ in group.owned(consumer.name):
            owned += 1
            (entry,) = group.pending_of([id_])
            if entry is None or entry.consumer != consumer.name:
                yield f"{to_text(id_)!r} counts as pending with {consumer.name!r} and is not"
        if owned != consumer.pending:
            yield f"consumer {consumer.name!r} counts {consumer.pending} pending and has {owned}"


INSPECTORS: Mapping[int, Inspect] = {
    STRING: _string,
    LIST: _list,
    SET: _set,
    ZSET: _zset,
    HASH: _hash,
    STREAM: _stream,
    SORTEDINT: _sorted_integers,
}
