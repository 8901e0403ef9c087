"""Hashes: values of fields under a key. Values in, values out; no RESP, no RocksDB.

``get`` and ``put`` are the hot path. Deadlines of fields are expiry.py's business.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress

from tendis_py.errors import (
    HASH_NOT_FLOAT,
    HASH_NOT_INTEGER,
    NOT_FINITE,
    OVERFLOW,
    ReplyError,
    wrong_type,
)
from tendis_py.numbers import INT64_MAX, INT64_MIN, strict_integer
from tendis_py.storage.codec import HASH, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.elements import VersionWriter
from tendis_py.storage.limits import Limits
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import collection, long_double
from tendis_py.types.hash.fields import (
    HASHTABLE,
    LISTPACK,
    Field,
    bury,
    change,
    deadlines_of,
    open_fields,
    pack_field,
    remove_due,
    unpack_field,
    visible_fields,
    visible_value,
)
from tendis_py.types.long_double import LongDouble
from tendis_py.types.scan import Step, rows
from tendis_py.types.shards import Shards

_FEW_DRAWS = 1000
"""Up to how many random fields are looked up one by one; more are met on a walk over the hash."""
_DRAWS_AT_ONCE = 1 << 18

Pair = tuple[bytes, bytes]


def find(db: Database, key: bytes) -> CollectionRow | None:
    """The row of ``key`` for a command that reads. ReplyError when it is of another type."""
    return collection.find(db, key, HASH)


def check(db: Database, key: bytes) -> None:
    """ReplyError when ``key`` is of another type."""
    collection.peek(db, key, HASH)


# Reading


def get(db: Database, key: bytes, field: bytes) -> bytes | None:
    row = db.find(key)
    if row is None:
        return None
    if row.type != HASH:
        raise wrong_type()
    assert isinstance(row, CollectionRow)
    if 0 < row.fields_due <= db.now:
        return _values_where_some_are_due(db, key, row, [field])[0]
    if row.version:
        return visible_value(collection.elements(db, row).get(field), db.now)
    value: bytes | None = row.value.get(field)
    return value


def get_run(db: Database, key: bytes, fields: list[bytes]) -> list[bytes | None] | None:
    """What ``get`` of each of ``fields`` returns; None when there is no such hash."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return None
    db.find(key)  # which counts as one use
    db.tx.counters.hits += len(fields) - 1
    return _values(db, key, row, fields)


def get_many(db: Database, key: bytes, fields: Sequence[bytes]) -> list[bytes | None]:
    row = find(db, key)
    if row is None:
        return [None] * len(fields)
    if row.version:
        db.tx.admit(len(fields))
    if len(fields) <= ITEMS_AT_ONCE:
        return _values(db, key, row, list(fields))
    found: list[bytes | None] = []
    for cut in db.tx.pace.cuts(len(fields)):
        found += _values(db, key, row, list(fields[cut]))
    return found


def _values(
    db: Database, key: bytes, row: CollectionRow, fields: list[bytes]
) -> list[bytes | None]:
    now = db.now
    if 0 < row.fields_due <= now:
        return _values_where_some_are_due(db, key, row, fields)
    if not row.version:
        return list(map(row.value.get, fields))
    return [visible_value(raw, now) for raw in collection.elements(db, row).get_many(fields)]


def _values_where_some_are_due(
    db: Database, key: bytes, row: CollectionRow, fields: list[bytes]
) -> list[bytes | None]:
    """As Redis, it deletes the hash when it meets a field that is due and none is left; and the
    field, for whom it is then to be told."""
    now = db.now
    if row.version:
        stored = collection.elements(db, row).get_many(fields)
        values = [visible_value(raw, now) for raw in stored]
    else:
        stored = list(map(row.value.get, fields))
        values = list(map(visible_fields(row, now).get, fields))
    if values.count(None) > stored.count(None):
        buried = bury(db, key, row)
        if not buried and db.tx.keyspace.notes_events and db.tx.keyspace.may_expire():
            remove_due(db, key, row)
    return values


def length(db: Database, key: bytes) -> int:
    """Number of fields; of a large hash with those due that the sweep has not come to yet."""
    row = find(db, key)
    if row is None:
        return 0
    return row.count if row.version else len(visible_fields(row, db.now))


def items(db: Database, key: bytes) -> Iterator[Pair]:
    """All fields with their values."""
    row = find(db, key)
    if row is None:
        return iter(())
    return _items(db, row)


def _items(db: Database, row: CollectionRow) -> Iterator[Pair]:
    if not row.version:
        return iter(visible_fields(row, db.now).items())
    db.tx.admit(row.count)
    now = db.now
    found = collection.elements(db, row).items()
    return (
        (field, value) for field, raw in found if (value := visible_value(raw, now)) is not None
    )


def dated_items(db: Database, row: CollectionRow) -> Iterator[tuple[bytes, Field]]:
    """All fields with their values and deadlines."""
    if row.version:
        found = collection.elements(db, row).items()
        pairs = ((field, unpack_field(raw)) for field, raw in found)
    else:
        due = deadlines_of(row)
        pairs = ((field, Field(value, due.get(field, 0))) for field, value in row.value.items())
    now = db.now
    return (pair for pair in pairs if not 0 < pair[1].deadline <= now)


def fields(db: Database, key: bytes) -> Iterator[bytes]:
    """All fields. Reads no values of a large hash whose fields have no deadlines."""
    row = find(db, key)
    if row is None:
        return iter(())
    if row.version and not 0 < row.fields_due <= db.now:
        db.tx.admit(row.count)
        return collection.elements(db, row).keys()
    return (field for field, _ in _items(db, row))


def scan(db: Database, row: CollectionRow, step: Step) -> tuple[list[bytes], bytes | None]:
    """A step of an iteration over fields and values, one after the other."""
    found, rest = _scan(db, row, step)
    return [part for pair in found for part in pair], rest


def scan_names(db: Database, row: CollectionRow, step: Step) -> tuple[list[bytes], bytes | None]:
    """As ``scan``, without the values."""
    found, rest = _scan(db, row, step)
    return [field for field, _ in found], rest


def _scan(db: Database, row: CollectionRow, step: Step) -> tuple[list[Pair], bytes | None]:
    if not row.version:
        present = visible_fields(row, db.now)
        return [(field, present[field]) for field in step.filter(list(present))], None
    found, rest = rows(db, row, step)
    now = db.now
    return [
        (field, value) for field, raw in found if (value := visible_value(raw, now)) is not None
    ], rest


# Random fields


def random_fields(db: Database, key: bytes, count: int) -> Iterable[Pair]:
    """``count`` different fields with their values; all of them when there are fewer."""
    row = find(db, key)
    if row is None or not count or bury(db, key, row):
        return []
    if count >= row.count:
        return _items(db, row)
    present = _all_if_known(db, row)
    if present is not None:
        return random.sample(present, min(count, len(present)))
    if count <= _FEW_DRAWS:
        db.tx.admit(count)
        return _with_values(db, row, collection.elements(db, row).random(count))
    return compress(_items(db, row), collection.lots(row.count, count))


def random_draws(db: Database, key: bytes, count: int) -> Iterator[Pair]:
    """``count`` fields with their values, each drawn from all; none from an empty hash."""
    row = find(db, key)
    if row is None or bury(db, key, row):
        return iter(())
    collection.admit_draws(db, count)
    present = _all_if_known(db, row)
    if present is not None:
        return (random.choice(present) for _ in range(count if present else 0))
    if count <= _FEW_DRAWS:
        rows = collection.elements(db, row)
        return iter(_with_values(db, row, [rows.random(1)[0] for _ in range(count)]))
    db.tx.admit(row.count)
    return _many_draws(db, row, count)


def _many_draws(db: Database, row: CollectionRow, count: int) -> Iterator[Pair]:
    while count:
        number = min(count, _DRAWS_AT_ONCE)
        often = Counter(random.choices(range(row.count), k=number))
        pairs = enumerate(_items(db, row))
        drawn = [pair for rank, pair in pairs for _ in range(often[rank])]
        random.shuffle(drawn)
        yield from drawn
        count -= number


def _with_values(db: Database, row: CollectionRow, fields: list[bytes]) -> list[Pair]:
    values = collection.elements(db, row).get_many(fields)
    return [
        (field, unpack_field(raw).value)
        for field, raw in zip(fields, values, strict=True)
        if raw is not None
    ]


def _all_if_known(db: Database, row: CollectionRow) -> list[Pair] | None:
    """All fields, where they are at hand, or where some of a large hash are due: then ranks among
    its rows say nothing."""
    if row.version and not 0 < row.fields_due <= db.now:
        return None
    return list(_items(db, row))


# Writing


def put(db: Database, key: bytes, field: bytes, value: bytes) -> bool:
    """Set one field, which loses its deadline; whether it is new."""
    row = collection.peek(db, key, HASH)
    if row is None or row.encoding == LISTPACK:
        limits = db.limits
        fields = {field: value} if row is None else {**row.value, field: value}
        if len(fields) <= limits.hash_max_listpack_entries and len(
            field
        ) <= limits.hash_max_listpack_value >= len(value):
            return _replace(db, key, row, fields, 1) > 0
    elif row.version and not row.fields_due:
        elements = collection.elements(db, row)
        is_new = elements.get(field) is None
        if is_new:
            elements.add(field, pack_field(value))
        else:
            elements.set(field, pack_field(value))
        db.put(key, row.with_elements(row.value, row.count + is_new), row)
        return is_new
    return _put_with_care(db, key, row, [(field, value)]) > 0


def put_run(db: Database, key: bytes, fields: list[bytes], values: list[bytes]) -> list[int] | None:
    """``put`` fields one after the other: for each, 1 if it is new. None, and nothing is done, when
    the hash has deadlines, or grows out of a listpack."""
    row = collection.peek(db, key, HASH)
    pairs = dict(zip(fields, values, strict=True))
    if row is None or row.encoding == LISTPACK:
        after = pairs if row is None else {**row.value, **pairs}
        if not _fits(db.limits, after, fields, values):
            return None
        new = set(pairs) if row is None else pairs.keys() - row.value.keys()
        _replace(db, key, row, after, len(fields))
    elif row.fields_due or not row.version:
        return None
    else:
        new = _put_rows(db, key, row, pairs, len(fields))
    return collection.first_times(fields, new)


def _fits(
    limits: Limits, after: dict[bytes, bytes], fields: list[bytes], values: list[bytes]
) -> bool:
    """Whether ``after`` may be a listpack that ``fields`` and ``values`` went into."""
    longest = max(map(len, chain(fields, values)))
    return (
        len(after) <= limits.hash_max_listpack_entries and longest <= limits.hash_max_listpack_value
    )


def _put_rows(
    db: Database, key: bytes, row: CollectionRow, pairs: dict[bytes, bytes], edits: int
) -> set[bytes]:
    """Set fields of a large hash without deadlines; those that are new."""
    rows = collection.elements(db, row)
    fields = list(pairs)
    found = rows.get_many(fields)
    new = {field for field, raw in zip(fields, found, strict=True) if raw is None}
    rows.put_many({field: pack_field(value) for field, value in pairs.items()}, new)
    db.put(key, row.with_elements(row.value, row.count + len(new)), row, edits=edits)
    return new


def put_many(db: Database, key: bytes, pairs: list[Pair]) -> int:
    """Set fields, which lose their deadlines; how many are new."""
    if len(pairs) > ITEMS_AT_ONCE:
        return _put_very_many(db, key, pairs)
    row = collection.peek(db, key, HASH)
    if row is None or row.encoding == LISTPACK:
        limits = db.limits
        fields = dict(pairs) if row is None else {**row.value, **dict(pairs)}
        if (
            max(len(pairs), len(fields)) <= limits.hash_max_listpack_entries
            and max(map(len, chain.from_iterable(pairs))) <= limits.hash_max_listpack_value
        ):
            return _replace(db, key, row, fields, len(pairs))
    elif row.version and not row.fields_due:
        return len(_put_rows(db, key, row, dict(pairs), len(pairs)))
    return _put_with_care(db, key, row, pairs)


def _put_very_many(db: Database, key: bytes, pairs: list[Pair]) -> int:
    """As ``put_many``, a few at a time: others get the GIL in between."""
    db.tx.admit(len(pairs))
    row = collection.peek(db, key, HASH)
    if row is not None and bury(db, key, row):
        row = None
    is_plain = row is None or row.encoding == LISTPACK
    if is_plain and len(pairs) > db.limits.hash_max_listpack_entries:
        return _write_large(db, key, row, pairs)
    if row is not None and row.version:
        return sum(put_many(db, key, pairs[cut]) for cut in db.tx.pace.cuts(len(pairs)))
    return _put_with_care(db, key, row, pairs)


def _write_large(db: Database, key: bytes, row: CollectionRow | None, pairs: list[Pair]) -> int:
    """Make a large hash of a small one without deadlines, or of none, and these; how many fields
    are new."""
    writer = VersionWriter(db.tx)
    known: Shards[None] = Shards()
    before = () if row is None else row.value.items()
    cuts = db.tx.pace.cuts(len(pairs))
    for field, value in chain(before, chain.from_iterable(pairs[cut] for cut in cuts)):
        writer.add(field, pack_field(value))
        known.of(field)[field] = None
    count = len(known)
    known.clear()
    large = (row or CollectionRow(HASH, None, 0)).changed(
        value=b"", count=count, version=writer.finish(), encoding=HASHTABLE
    )
    db.put(key, large, row, edits=len(pairs))
    return count - len(before)


def _replace(
    db: Database, key: bytes, row: CollectionRow | None, fields: dict[bytes, bytes], edits: int
) -> int:
    """Write a listpack; how many more fields it has than it had."""
    count = len(fields)
    if row is None:
        db.put(key, CollectionRow(HASH, fields, count), None, edits=edits)
        return count
    db.put(key, row.changed(value=fields, count=count), row, edits=edits)
    return count - row.count


def _put_with_care(db: Database, key: bytes, row: CollectionRow | None, pairs: list[Pair]) -> int:
    """Set fields of a hash that is large, or has deadlines, or grows out of a listpack."""
    changing = change(db, key, row, [field for field, _ in pairs])
    changing.expect(len(pairs))
    created = sum([changing.put(field, value) for field, value in pairs])
    changing.save(len(pairs))
    return created


def put_new(db: Database, key: bytes, field: bytes, value: bytes) -> bool:
    """Set a field unless it is there; whether that was done."""
    changing = change(db, key, collection.peek(db, key, HASH), [field])
    if changing.get(field) is not None:
        return False
    changing.put(field, value)
    changing.save()
    return True


def delete(db: Database, key: bytes, fields: Sequence[bytes]) -> int:
    """Delete fields; how many there were: one that is due counts, as it does for Redis."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return 0
    if len(fields) > ITEMS_AT_ONCE:
        db.tx.admit(len(fields))
        return sum(delete(db, key, fields[cut]) for cut in db.tx.pace.cuts(len(fields)))
    changing = open_fields(db, key, row, list(fields))
    deleted = sum([changing.discard(field) for field in fields])
    changing.save(deleted)
    return deleted


def take(db: Database, key: bytes, fields: list[bytes]) -> list[bytes | None]:
    """Delete fields; the values they had."""
    row = collection.peek(db, key, HASH)
    if row is None:
        return [None] * len(fields)
    changing = change(db, key, row, fields)
    taken: list[bytes | None] = []
    for field in fields:
        found = changing.get(field)
        taken.append(None if found is None else found.value)
        if found is not None:
            changing.remove(field)
    changing.save(len(fields) - taken.count(None))
    return taken


# Counting


def increment(db: Database, key: bytes, field: bytes, by: int) -> int:
    """Add to the integer that a field's value spells, 0 where there is none; the sum. The field
    keeps its deadline."""
    changing = change(db, key, collection.peek(db, key, HASH), [field])
    found = changing.get(field)
    number = 0 if found is None else strict_integer(found.value)
    if number is None:
        raise ReplyError(HASH_NOT_INTEGER)
    number += by
    if not INT64_MIN <= number <= INT64_MAX:
        raise ReplyError(OVERFLOW)
    changing.put(field, b"%d" % number, keep=True)
    changing.save()
    return number


def increment_real(db: Database, key: bytes, field: bytes, by: LongDouble) -> bytes:
    """Add to the number that a field's value spells, 0 where there is none; the sum as it is
    stored. The field keeps its deadline."""
    changing = change(db, key, collection.peek(db, key, HASH), [field])
    found = changing.get(field)
    number = long_double.parse(b"0" if found is None else found.value)
    if number is None:
        raise ReplyError(HASH_NOT_FLOAT)
    number += by
    if number.infinite:
        raise ReplyError(NOT_FINITE)
    text = bytes(number)
    changing.put(field, text, keep=True)
    changing.save()
    return text
