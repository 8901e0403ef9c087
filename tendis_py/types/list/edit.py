"""Lists: what happens at any place in them. Python values on the keyspace; no RESP."""

from __future__ import annotations

from itertools import islice

from tendis_py.errors import INDEX_RANGE, NO_SUCH_KEY, ReplyError
from tendis_py.storage.codec import LIST, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types import collection, listpack
from tendis_py.types.list.elements import small_or_large
from tendis_py.types.list.keys import between, number_of
from tendis_py.types.list.rows import FEW, ListRows, Packed, Span, keep, packed_row, row_with_rows

_BATCH_ROWS = 16384
"""Rows removed in one batch at the most; to be rid of more, the rest is written anew."""


def _outgrows(db: Database, row: CollectionRow, value: bytes) -> bool:
    """Whether Redis makes a quicklist of a small list before it looks where to put ``value``."""
    limit = db.limits.list_max_listpack_size
    return listpack.exceeds(limit, row.value.size + len(value), row.count + 1)


def insert(db: Database, key: bytes, pivot: bytes, value: bytes, *, after: bool) -> int:
    """Insert beside the first ``pivot``: the length; -1 when that is not there, 0 when there is no
    such key."""
    row = collection.peek(db, key, LIST)
    if row is None:
        return 0
    if row.version:
        return _insert_row(db, key, row, pivot, value, after)
    packed: Packed = row.value
    values, size = packed.items, packed.size
    grown = _outgrows(db, row, value)
    found = pivot in values
    if found:
        rank = values.index(pivot) + after
        values = [*values[:rank], value, *values[rank:]]
        size += listpack.entry_size(value)
    if found or grown:
        anew = small_or_large(db, values, size, row, grown=grown)
        db.put(key, anew, row, edits=int(found))
    return len(values) if found else -1


def _insert_row(
    db: Database, key: bytes, row: CollectionRow, pivot: bytes, value: bytes, after: bool
) -> int:
    db.tx.admit(row.count)
    rows = ListRows(db, row)
    neighbours = _neighbours(rows, pivot, after)
    if neighbours is None:
        return -1
    low, high = neighbours
    span = rows.span
    if low is None or high is None:
        span = rows.push([value], left=low is None)
    else:
        rows.elements.add(between(low, high), value)
        size = span.resized(listpack.entry_size(value))
        span = Span(span.head, span.tail, False, size)
    db.put(key, row.changed(value=span, count=row.count + 1), row)
    return row.count + 1


def _neighbours(
    rows: ListRows, pivot: bytes, after: bool
) -> tuple[bytes | None, bytes | None] | None:
    """The keys beside a place before or after the first ``pivot``, None at an end of the list;
    None when the pivot is not there."""
    items = rows.items()
    before: bytes | None = None
    for key, value in items:
        if value == pivot:
            return (key, next(items, (None, b""))[0]) if after else (before, key)
        before = key
    return None


def replace(db: Database, key: bytes, index: int, value: bytes, row: CollectionRow) -> bool:
    """Give the element of rank ``index``, from the end if negative, another value.

    When there is none, that is an error; but False, which must not undo anything, if Redis has
    made a quicklist of the list before it saw that.
    """
    rank = index + row.count if index < 0 else index
    if row.version:
        if not 0 <= rank < row.count:
            raise ReplyError(INDEX_RANGE)
        _replace_row(db, key, row, rank, value)
        return True
    limit = db.limits.list_max_listpack_size
    packed: Packed = row.value
    values, size = packed.items, packed.size
    grown = _outgrows(db, row, value)
    found = 0 <= rank < row.count
    if not found and not grown:
        raise ReplyError(INDEX_RANGE)
    if found:
        size += listpack.entry_size(value) - listpack.entry_size(values[rank])
        values = [*values[:rank], value, *values[rank + 1 :]]
        grown = grown and not listpack.fits_again(limit, size, row.count)
    anew = small_or_large(db, values, size, row, grown=grown)
    db.put(key, anew, row, edits=int(found))
    return found


def _replace_row(db: Database, key: bytes, row: CollectionRow, rank: int, value: bytes) -> None:
    rows = ListRows(db, row)
    place = rows.key(rank)
    (before,) = rows.get_many([place])
    rows.elements.set(place, value)
    span = rows.span
    size = span.resized(listpack.entry_size(value) - listpack.entry_size(before))
    keep(db, key, row.changed(value=Span(span.head, span.tail, span.dense, size)), row)


def existing(db: Database, key: bytes) -> CollectionRow:
    """The row of a list to be written. ReplyError when there is none."""
    row = collection.peek(db, key, LIST)
    if row is None:
        raise ReplyError(NO_SUCH_KEY)
    return row


def trim(db: Database, key: bytes, first: int, last: int) -> None:
    """Keep the elements from rank ``first`` to ``last``, both included; negative ones count from
    the end."""
    row = collection.peek(db, key, LIST)
    if row is None:
        return
    count = row.count
    first = max(first + count, 0) if first < 0 else first
    stop = (last + count if last < 0 else min(last, count - 1)) + 1
    edits = count - max(stop - first, 0)
    if first >= stop:
        db.delete(key, row, edits=edits)
    elif not edits:
        db.edited(key, edits=0)  # Redis takes the key for modified all the same
    elif row.version:
        _trim_rows(db, key, row, first, stop)
    else:
        values, dropped = row.value.items, row.value.items[:first] + row.value.items[stop:]
        size = row.value.size - listpack.entries_size(dropped)
        db.put(key, packed_row(values[first:stop], size, row.expire_at), row, edits=edits)


def _trim_rows(db: Database, key: bytes, row: CollectionRow, first: int, stop: int) -> None:
    rows = ListRows(db, row)
    count = row.count
    if count - (stop - first) > FEW:
        rows.span = rows.keep_only(first, stop)
    else:
        left = rows.keys(0, first) if first else []
        right = rows.keys(stop, count) if stop < count else []
        if left:
            rows.span = rows.remove_end(left, rows.get_many(left), left=True)
        if right:
            rows.span = rows.remove_end(right, rows.get_many(right), left=False)
    trimmed = row.changed(value=rows.span, count=stop - first)
    keep(db, key, trimmed, row, edits=count - trimmed.count)


def remove(db: Database, key: bytes, count: int, element: bytes) -> int:
    """Remove the first ``count`` elements of that value, the last -``count`` if negative, all if 0;
    how many those were."""
    row = collection.peek(db, key, LIST)
    if row is None:
        return 0
    if row.version:
        return _remove_rows(db, key, row, count, element)
    packed: Packed = row.value
    present = packed.items.count(element)
    if present == 0:
        return 0
    removed = min(abs(count) or present, present)
    if count < 0:
        rest = _without(packed.items[::-1], removed, element)[::-1]
    else:
        rest = _without(packed.items, removed, element)
    size = packed.size - removed * listpack.entry_size(element)
    collection.keep(db, key, packed_row(rest, size, row.expire_at), row, edits=removed)
    return removed


def _without(values: list[bytes], count: int, element: bytes) -> list[bytes]:
    """``values`` but for the first ``count`` that are ``element``."""
    rest: list[bytes] = []
    start = 0
    for _ in range(count):
        at = values.index(element, start)
        rest += values[start:at]
        start = at + 1
    return rest + values[start:]


def _remove_rows(db: Database, key: bytes, row: CollectionRow, count: int, element: bytes) -> int:
    db.tx.admit(row.count)
    rows = ListRows(db, row)
    places = (place for place, value in rows.items(reverse=count < 0) if value == element)
    found = list(islice(places, abs(count) or None))
    removed = len(found)
    if removed == row.count:
        db.delete(key, row, edits=removed)
    elif removed > _BATCH_ROWS:
        _write_anew(db, key, row, found)
    elif found:
        keys = found[::-1] if count < 0 else found
        span = _remove_keys(rows, keys, element)
        rest = row.changed(value=span, count=row.count - removed)
        keep(db, key, rest, row, edits=removed)
    return removed


def _remove_keys(rows: ListRows, keys: list[bytes], element: bytes) -> Span:
    """Remove rows, in order, all of which hold ``element``; the span afterwards."""
    span = rows.span
    first, last = number_of(keys[0]), number_of(keys[-1])
    together = span.dense and last - first + 1 == len(keys)
    if together and (first == span.head or last + 1 == span.tail):
        return rows.remove_end(keys, [element] * len(keys), left=first == span.head)
    for key in keys:
        rows.elements.remove(key)
    size = span.resized(-len(keys) * listpack.entry_size(element))
    return Span(span.head, span.tail, False, size)


def _write_anew(db: Database, key: bytes, row: CollectionRow, removed: list[bytes]) -> None:
    """Write what is left of a large list under another version, or packed."""
    gone = set(removed)
    rest = (value for place, value in ListRows(db, row).items() if place not in gone)
    limit = db.limits.list_max_listpack_size
    count = row.count - len(removed)
    if listpack.fits_again(limit, listpack.least_size(count), count):
        few = list(rest)
        size = listpack.EMPTY + listpack.entries_size(few)
        grown = not listpack.fits_again(limit, size, count)
        anew = small_or_large(db, few, size, row, grown=grown)
    else:
        anew = row_with_rows(db, rest, 0, row.expire_at)
    db.put(key, anew, row, edits=len(removed))
