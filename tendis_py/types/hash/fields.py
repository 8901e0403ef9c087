"""The fields of a hash: how they are kept, and one command's changes to them.

Small: a dict in Redis' listpack order; a ``Dated`` one as soon as fields may have deadlines.
Large: ROWS of field → 0 | value, or 1 | deadline (8 bytes) | value; the fields that have a
deadline also in SCORE, as deadline | field, so that what is due is a range. The first of these is
the value of the meta row (its beginning; empty: none), and a search for the next one starts there:
before it lie the tombstones of thousands.

A deadline is a Unix time in ms, 0 for none. A field whose time has come is not there for anybody,
but takes its place until the sweep, or a write, removes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from tendis_py.storage.codec import (
    HASH,
    Collection,
    CollectionRow,
    Row,
    pack_items,
    register,
    unpack_items,
)
from tendis_py.storage.database import Database
from tendis_py.storage.elements import VersionWriter
from tendis_py.storage.expiry import SLICE
from tendis_py.storage.families import SCORE
from tendis_py.types import collection

LISTPACK, LISTPACKEX, HASHTABLE = range(3)

_MAX_DEAD = 4096
DEADLINE_SIZE = 8
_FIRST_SIZE = 72
"""Of the first deadline and its field, what the meta row keeps: fields may be long."""


class Field(NamedTuple):
    value: bytes
    deadline: int


class Dated(dict[bytes, bytes]):
    """A small hash that keeps deadlines (those of the fields that have one): first these fields,
    the earliest first, then the others."""

    __slots__ = ("deadlines",)

    deadlines: dict[bytes, int]


# Encoding


def _pack(row: CollectionRow) -> bytes:
    if row.version:
        first: bytes = row.value
        return first
    packed = pack_items([*row.value, *row.value.values()])
    if row.encoding == LISTPACK:
        return packed
    deadlines = [row.value.deadlines.get(field, 0) for field in row.value]
    return struct.pack(f">{len(deadlines)}Q", *deadlines) + packed


def _unpack(raw: bytes, row: CollectionRow) -> dict[bytes, bytes] | bytes:
    if row.version:
        row.fields_due = _deadline_in(raw)
        return raw
    dated = row.encoding == LISTPACKEX
    items = unpack_items(raw, DEADLINE_SIZE * row.count if dated else 0)
    fields = dict(zip(items[: row.count], items[row.count :], strict=True))
    if not dated:
        return fields
    deadlines = struct.unpack_from(f">{row.count}Q", raw)
    value = Dated(fields)
    value.deadlines = {
        field: deadline for field, deadline in zip(fields, deadlines, strict=True) if deadline
    }
    row.fields_due = min(value.deadlines.values(), default=0)
    return value


register(HASH, Collection(("listpack", "listpackex", "hashtable"), _pack, _unpack))


def _deadline_key(deadline: int, field: bytes) -> bytes:
    return deadline.to_bytes(DEADLINE_SIZE, "big") + field


def _deadline_in(deadline_key: bytes) -> int:
    return int.from_bytes(deadline_key[:DEADLINE_SIZE], "big")


def pack_field(value: bytes, deadline: int = 0) -> bytes:
    """The row of a large hash's field."""
    if not deadline:
        return b"\0" + value
    return b"\1" + deadline.to_bytes(DEADLINE_SIZE, "big") + value


def unpack_field(raw: bytes) -> Field:
    if raw[0]:
        return Field(raw[1 + DEADLINE_SIZE :], int.from_bytes(raw[1 : 1 + DEADLINE_SIZE], "big"))
    return Field(raw[1:], 0)


def visible_value(raw: bytes | None, now: int) -> bytes | None:
    """The value in a large hash's row; None when there is none, or its time has come."""
    if raw is None:
        return None
    if not raw[0]:
        return raw[1:]
    field = unpack_field(raw)
    return field.value if field.deadline > now else None


def visible_fields(row: CollectionRow, now: int) -> dict[bytes, bytes]:
    """What a small hash holds; not to be changed."""
    fields: dict[bytes, bytes] = row.value
    if not 0 < row.fields_due <= now:
        return fields
    due = row.value.deadlines
    return {field: value for field, value in fields.items() if due.get(field, now + 1) > now}


def deadlines_of(row: CollectionRow) -> dict[bytes, int]:
    """The deadlines of a small hash's fields; not to be changed."""
    found: dict[bytes, int] = row.value.deadlines if row.encoding == LISTPACKEX else {}
    return found


def all_items(db: Database, row: CollectionRow) -> Iterator[tuple[bytes, bytes, int]]:
    """(field, value, deadline) of all fields, those that are due included."""
    if not row.version:
        deadlines = deadlines_of(row)
        for field, value in row.value.items():
            yield field, value, deadlines.get(field, 0)
        return
    db.tx.admit(row.count)
    for field, raw in collection.elements(db, row).items():
        yield field, *unpack_field(raw)


# Changes


class SmallHash:
    """A small hash, or none, in the hands of a command; it may come out of them large."""

    def __init__(self, db: Database, key: bytes, row: CollectionRow | None) -> None:
        self._db = db
        self._key = key
        self._row = row
        self._values: dict[bytes, bytes] = {}
        self._deadlines: dict[bytes, int] = {}
        self._moved: dict[bytes, None] = {}
        """Fields that got a deadline, in the order they got it."""
        self._discarded: set[bytes] = set()
        self._encoding = LISTPACK
        self._expired = 0
        self._changed = False
        if row is not None:
            self._encoding = row.encoding
            self._values = dict(visible_fields(row, db.now))
            self._expired = len(row.value) - len(self._values)
            self._deadlines = {field: at for field, at in deadlines_of(row).items() if at > db.now}

    def get(self, field: bytes) -> Field | None:
        value = self._values.get(field)
        return None if value is None else Field(value, self._deadlines.get(field, 0))

    def expect(self, fields: int) -> None:
        """So many fields are going to be put: if they are too many for a small hash, it becomes a
        large one, even when some are the same."""
        if fields > self._db.limits.hash_max_listpack_entries:
            self._encoding = HASHTABLE

    def put(self, field: bytes, value: bytes, *, keep: bool = False) -> bool:
        """Set a field, which loses its deadline unless it is to ``keep`` it; whether it is new."""
        values = self._values
        is_new = field not in values
        if not keep and self._deadlines.pop(field, 0):
            del values[field]
        values[field] = value
        limits = self._db.limits
        if (
            len(values) > limits.hash_max_listpack_entries
            or len(value) > limits.hash_max_listpack_value
            or len(field) > limits.hash_max_listpack_value
        ):
            self._encoding = HASHTABLE
        self._changed = True
        return is_new

    def allow_deadlines(self) -> None:
        """The hash keeps deadlines from now on, even if it will have none."""
        if self._encoding == LISTPACK:
            self._encoding = LISTPACKEX
            self._changed = True

    def set_deadline(self, field: bytes, deadline: int) -> None:
        """Give a field that is there a deadline, or with 0 none."""
        values = self._values
        values[field] = values.pop(field)
        self._moved.pop(field, None)
        self._deadlines.pop(field, None)
        if deadline:
            self._moved[field] = None
            self._deadlines[field] = deadline
        self._changed = True

    def remove(self, field: bytes) -> None:
        """Delete a field that is there."""
        del self._values[field]
        self._discarded.add(field)
        self._deadlines.pop(field, None)
        self._changed = True

    def discard(self, field: bytes) -> bool:
        """Delete a field, be it due; whether it was there."""
        if field in self._values:
            self.remove(field)
            return True
        row = self._row
        if row is None or field not in row.value or field in self._discarded:
            return False
        self._discarded.add(field)
        self._expired -= 1
        self._changed = True  # none that is due was taken over
        return True

    def purge(self, limit: int) -> None:
        """Delete what is due: all of it, few as these fields are."""
        self._changed = True  # it was not taken over in the first place

    def save(self, edits: int = 1) -> None:
        if not self._changed:
            return
        if self._expired:
            _note_expired(self._db, self._key, self._expired, died=not (self._values or edits))
        if self._row is None and not self._values:  # all that was set has expired already
            self._db.edited(self._key, edits=edits)
            return
        row = self._row or CollectionRow(HASH, None, 0)
        version = 0
        value: dict[bytes, bytes] | bytes = self._values
        if self._encoding == HASHTABLE and self._values:
            version, value = self._write_elements()
        elif self._encoding == LISTPACKEX:
            value = self._in_order()
        row = row.changed(
            value=value,
            count=len(self._values),
            version=version,
            encoding=self._encoding,
            fields_due=min(self._deadlines.values(), default=0),
        )
        collection.keep(self._db, self._key, row, self._row, edits=edits)

    def _in_order(self) -> Dated:
        """As Redis keeps it: among equal deadlines, the one that was set last comes first."""
        values, deadlines, moved = self._values, self._deadlines, self._moved
        dated = [field for field in reversed(moved) if field in deadlines]
        dated += [field for field in values if field in deadlines and field not in moved]
        return dated_in_order(values, deadlines, dated)

    def _write_elements(self) -> tuple[int, bytes]:
        """The version, and what a large hash has as its value."""
        writer = HashWriter(self._db)
        for field, value in self._values.items():
            writer.add(field, value, self._deadlines.get(field, 0))
        row = writer.finish()
        return row.version, row.value


def dated_in_order(
    values: dict[bytes, bytes], deadlines: dict[bytes, int], dated: list[bytes]
) -> Dated:
    """A small hash whose fields ``dated`` have ``deadlines``, and where they are equal come in this
    order."""
    ordered = Dated({field: values[field] for field in sorted(dated, key=deadlines.__getitem__)})
    ordered.update(values)
    ordered.deadlines = deadlines
    return ordered


def small_row(values: dict[bytes, bytes]) -> CollectionRow:
    """The row of a small hash; with a ``Dated`` one of those that keep deadlines."""
    if not isinstance(values, Dated):
        return CollectionRow(HASH, values, len(values))
    due = min(values.deadlines.values(), default=0)
    return CollectionRow(HASH, values, len(values), encoding=LISTPACKEX, fields_due=due)


class HashWriter:
    """Writes the fields of a new large hash, each once."""

    __slots__ = ("_count", "_first", "_writer")

    def __init__(self, db: Database) -> None:
        self._writer = VersionWriter(db.tx)
        self._count = 0
        self._first = b""

    def add(self, field: bytes, value: bytes, deadline: int = 0) -> None:
        self._writer.add(field, pack_field(value, deadline))
        self._count += 1
        if deadline:
            key = _deadline_key(deadline, field)
            self._writer.add(key, family=SCORE)
            if not self._first or key < self._first:
                self._first = key

    def finish(self) -> CollectionRow:
        """Its row."""
        first = self._first[:_FIRST_SIZE]
        return CollectionRow(
            HASH,
            first,
            self._count,
            version=self._writer.finish(),
            encoding=HASHTABLE,
            fields_due=_deadline_in(first),
        )


class LargeHash:
    """A large hash in the hands of a command that says which ``fields`` it is about."""

    def __init__(
        self, db: Database, key: bytes, row: CollectionRow, fields: Iterable[bytes]
    ) -> None:
        self._db = db
        self._key = key
        self._row = row
        self._rows = collection.elements(db, row)
        self._by_deadline = collection.elements(db, row, SCORE)
        self._found: dict[bytes, bytes | None] = {}
        self._count = row.count
        self._first: bytes = row.value
        self._first_is_gone = False
        self._expired = 0
        self._changed = False
        self._look_up(list(fields))

    def _look_up(self, fields: list[bytes]) -> None:
        if len(fields) == 1:
            self._found[fields[0]] = self._rows.get(fields[0])
            return
        self._found.update(zip(fields, self._rows.get_many(fields), strict=True))

    def get(self, field: bytes) -> Field | None:
        raw = self._found[field]
        if raw is None:
            return None
        found = unpack_field(raw)
        return None if 0 < found.deadline <= self._db.now else found

    def expect(self, fields: int) -> None:
        """There is room for any number."""

    def put(self, field: bytes, value: bytes, *, keep: bool = False) -> bool:
        """Set a field, which loses its deadline unless it is to ``keep`` it; whether it is new."""
        old = self.get(field)
        self._write(field, value, old.deadline if old is not None and keep else 0)
        return old is None

    def allow_deadlines(self) -> None:
        """Large hashes always do."""

    def set_deadline(self, field: bytes, deadline: int) -> None:
        """Give a field that is there a deadline, or with 0 none."""
        raw = self._found[field]
        assert raw is not None
        self._write(field, unpack_field(raw).value, deadline)

    def _write(self, field: bytes, value: bytes, deadline: int) -> None:
        raw = self._found[field]
        packed = pack_field(value, deadline)
        if raw is None:
            self._rows.add(field, packed)
            self._count += 1
        else:
            self._rows.set(field, packed)
        before = 0 if raw is None else unpack_field(raw).deadline
        if before != deadline:
            self._move_deadline(field, before, deadline)
        self._found[field] = packed
        self._changed = True

    def remove(self, field: bytes) -> None:
        """Delete a field that is there, be it due."""
        raw = self._found[field]
        assert raw is not None
        self._rows.remove(field)
        self._move_deadline(field, unpack_field(raw).deadline, 0)
        self._found[field] = None
        self._count -= 1
        self._changed = True

    def discard(self, field: bytes) -> bool:
        """Delete a field, be it due; whether it was there."""
        if self._found[field] is None:
            return False
        self.remove(field)
        return True

    def _move_deadline(self, field: bytes, before: int, after: int) -> None:
        if before:
            key = _deadline_key(before, field)
            self._by_deadline.remove(key)
            self._first_is_gone |= key.startswith(self._first)
        if after:
            key = _deadline_key(after, field)
            self._by_deadline.add(key)
            if not self._first or key[:_FIRST_SIZE] <= self._first:
                self._first = key[:_FIRST_SIZE]
                self._first_is_gone = False

    def purge(self, limit: int) -> None:
        """Delete what is due, ``limit`` fields at the most."""
        keys = self._by_deadline.keys(self._first, _deadline_key(self._db.now + 1, b""))
        due = [key[DEADLINE_SIZE:] for key in islice(keys, limit)]
        self._look_up(due)
        for field in due:
            self.remove(field)
        self._expired += len(due)

    def save(self, edits: int = 1) -> None:
        if not self._changed:
            return
        if self._expired:
            _note_expired(self._db, self._key, self._expired, died=not (self._count or edits))
        first = self._first
        if self._first_is_gone:
            first = next(self._by_deadline.keys(first), b"")[:_FIRST_SIZE]
        row = self._row.changed(value=first, count=self._count, fields_due=_deadline_in(first))
        collection.keep(self._db, self._key, row, self._row, edits=edits)


def open_fields(
    db: Database, key: bytes, row: CollectionRow | None, fields: list[bytes]
) -> SmallHash | LargeHash:
    """The hash of ``row``, just peeked at, for a command to change these ``fields``, and others
    not; ``save`` ends it, and counts so many ``edits``."""
    db.tx.admit(len(fields))
    if row is None or not row.version:
        return SmallHash(db, key, row)
    return LargeHash(db, key, row, fields)


def change(
    db: Database, key: bytes, row: CollectionRow | None, fields: list[bytes]
) -> SmallHash | LargeHash:
    """As ``open_fields``, but of a hash in which all is due nothing is left, and what comes into
    it is a new hash: a deadline of the old key's would be the end of new data."""
    db.tx.admit(len(fields))
    if row is not None and bury(db, key, row):
        row = None
    return open_fields(db, key, row, fields)


# Death


def bury(db: Database, key: bytes, row: CollectionRow) -> bool:
    """Delete a hash if all its fields are due; whether that was done."""
    if not 0 < row.fields_due <= db.now or not _is_dead(db, row):
        return False
    db.delete(key, row, edits=0)
    _note_expired(db, key, row.count, died=True)
    return True


def remove_due(db: Database, key: bytes, row: Row) -> None:
    """Delete fields whose time has come: of a large hash a slice, since the sweep comes back."""
    assert isinstance(row, CollectionRow)
    changing = open_fields(db, key, row, [])
    changing.purge(SLICE)
    changing.save(0)


def _note_expired(db: Database, key: bytes, fields: int, *, died: bool) -> None:
    """So many fields are deleted because their time has come, and the hash with them if it
    ``died`` of that."""
    db.tx.counters.expired_fields += fields
    db.note("h", "hexpired", key)
    if died:
        db.note("g", "del", key)


def _is_dead(db: Database, row: CollectionRow) -> bool:
    """Whether all fields are due, where some are. Of a large hash with more than _MAX_DEAD fields
    this is for the sweep to find out, slice by slice: here it would be a scan each time."""
    if not row.version:
        return not visible_fields(row, db.now)
    by_deadline = collection.elements(db, row, SCORE)
    if row.count > _MAX_DEAD:
        return False
    last = next(by_deadline.keys(reverse=True), None)
    if last is None or _deadline_in(last) > db.now:
        return False
    db.tx.admit(row.count)
    return sum(1 for _ in by_deadline.keys(row.value)) == row.count
