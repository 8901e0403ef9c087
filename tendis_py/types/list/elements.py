"""Lists: reading, pushing, popping, moving. What happens in the middle of a list is in
edit.py. Python values on the keyspace; no RESP.

Pushing and popping one element, and reading a range of a few hundred, are the hot path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from tendis_py.numbers import strict_integer
from tendis_py.storage.codec import LIST, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import collection, listpack
from tendis_py.types.list.rows import FEW, ListRows, Packed, Span, keep, packed_row, row_with_rows

# Reading


def length(db: Database, key: bytes) -> int:
    row = collection.find(db, key, LIST)
    return 0 if row is None else row.count


def part(db: Database, key: bytes, first: int, last: int) -> list[bytes] | Iterator[bytes]:
    """The elements from rank ``first`` to ``last``, both included; negative ones count from the
    end. Many of them come as an iterator."""
    row = collection.find(db, key, LIST)
    if row is None:
        return []
    count = row.count
    first = max(first + count, 0) if first < 0 else first
    last = last + count if last < 0 else min(last, count - 1)
    if not row.version:
        found: list[bytes] = row.value.items[first : max(last + 1, 0)]
        return found
    number = last - first + 1
    if number <= 0:
        return []
    rows = ListRows(db, row)
    if number <= FEW:
        return rows.part(first, last + 1)
    db.tx.admit(number)
    return islice(rows.values(first), number)


def at(db: Database, row: CollectionRow, index: int) -> bytes | None:
    """The element of rank ``index``, from the end if negative; None where there is none."""
    rank = index + row.count if index < 0 else index
    if not 0 <= rank < row.count:
        return None
    if not row.version:
        value: bytes = row.value.items[rank]
        return value
    rows = ListRows(db, row)
    return rows.elements.get(rows.key(rank))


def items(db: Database, row: CollectionRow, *, reverse: bool = False) -> Iterator[bytes]:
    """All elements in order."""
    if row.version:
        return ListRows(db, row).values(reverse=reverse)
    return reversed(row.value.items) if reverse else iter(row.value.items)


def ranks(
    db: Database,
    row: CollectionRow,
    element: bytes,
    *,
    skip: int = 0,
    looks: int = 0,
    reverse: bool = False,
) -> Iterator[int]:
    """Where ``element`` stands, in order of appearance, without the first ``skip`` times. At most
    ``looks`` elements are looked at (0: all), from the end if ``reverse``."""
    looks = min(looks, row.count) or row.count
    if row.version:
        db.tx.admit(looks)
    values = enumerate(islice(items(db, row, reverse=reverse), looks))
    found = (row.count - 1 - at if reverse else at for at, value in values if value == element)
    return islice(found, min(skip, row.count), None)


# Writing


def store(db: Database, key: bytes, values: Iterable[bytes]) -> int:
    """Set ``key`` to a list of these, whatever it held before, or delete it when there are none;
    how many there are."""
    row = row_of(db, values)
    collection.keep(db, key, row, db.peek(key), edits=row.count or 1)
    return row.count


def row_of(db: Database, values: Iterable[bytes], *, large: bool = False) -> CollectionRow:
    """The row of a list of ``values``; the rows of a large one, which it is to be if ``large``, are
    written."""
    if large:
        return row_with_rows(db, values, 0)
    limit = db.limits.list_max_listpack_size
    rest = iter(values)
    first: list[bytes] = []
    size = listpack.EMPTY
    for value in rest:
        first.append(value)
        size += listpack.entry_size(value)
        if listpack.exceeds(limit, size, len(first)):
            return row_with_rows(db, chain(first, rest), 0)
    return packed_row(first, size)


def push(
    db: Database, key: bytes, values: Sequence[bytes], *, left: bool, create: bool = True
) -> int:
    """Add elements one after the other at an end; the length. Without ``create`` only if there is
    a list."""
    old = collection.peek(db, key, LIST)
    if old is None and not create:
        return 0
    if len(values) <= ITEMS_AT_ONCE:
        return _push(db, key, old, list(values), sum(map(len, values)), left).count
    db.tx.admit(len(values))
    if old is not None and old.version:
        for cut in db.tx.pace.cuts(len(values)):
            old = _push(db, key, old, list(values[cut]), 0, left)
        return old.count
    cuts = db.tx.pace.cuts
    added = sum(sum(map(len, values[cut])) for cut in cuts(len(values)))
    packed = Packed([], listpack.EMPTY) if old is None else old.value
    limit = db.limits.list_max_listpack_size
    if not listpack.exceeds(limit, packed.size + added, len(packed.items) + len(values)):
        return _push(db, key, old, list(values), added, left).count
    size = packed.size + sum(listpack.entries_size(values[cut]) for cut in cuts(len(values)))
    everything = chain(reversed(values), packed.items) if left else chain(packed.items, values)
    row = row_with_rows(db, everything, size, 0 if old is None else old.expire_at)
    db.put(key, row, old, edits=len(values))
    return row.count


def push_run(db: Database, key: bytes, values: list[bytes], *, left: bool) -> list[int] | None:
    """``push`` of each of these by itself: the lengths. None, and nothing is done, where a list is
    to be made, or a small one may become large on the way."""
    old = collection.peek(db, key, LIST)
    if old is None:
        return None
    most = listpack.most_size(values)
    length = old.count + len(values)
    limit = db.limits.list_max_listpack_size
    if not old.version and listpack.exceeds(limit, old.value.size + most, length):
        return None
    _push(db, key, old, values, most, left)
    return list(range(old.count + 1, length + 1))


def _push(
    db: Database, key: bytes, old: CollectionRow | None, values: list[bytes], added: int, left: bool
) -> CollectionRow:
    """The list's row then. ``added`` is what Redis takes the values for, in bytes, when it asks
    whether a listpack can hold them."""
    if old is not None and old.version:
        if len(values) > 1:
            db.tx.admit(len(values))
        span = ListRows(db, old).push(values, left=left)
        row = old.with_elements(span, old.count + len(values))
    else:
        packed = Packed([], listpack.EMPTY) if old is None else old.value
        together = values[::-1] + packed.items if left else packed.items + values
        size = packed.size + listpack.entries_size(values)
        grown = listpack.exceeds(
            db.limits.list_max_listpack_size, packed.size + added, len(together)
        )
        row = small_or_large(db, together, size, old, grown=grown)
    db.put(key, row, old, edits=len(values))
    return row


def small_or_large(
    db: Database, values: list[bytes], size: int, old: CollectionRow | None, *, grown: bool
) -> CollectionRow:
    """What becomes of a small list: a large one, if it has ``grown`` too large."""
    expire_at = 0 if old is None else old.expire_at
    if not grown:
        return packed_row(values, size, expire_at)
    db.tx.admit(len(values))
    return row_with_rows(db, values, size, expire_at)


def pop(db: Database, key: bytes, count: int, *, left: bool) -> list[bytes] | None:
    """Remove ``count`` elements, or all there are, from an end: the outermost first. None when
    there is no such key."""
    row = collection.peek(db, key, LIST)
    return None if row is None else _pop(db, key, row, count, left)


def pop_run(db: Database, key: bytes, number: int, *, left: bool) -> list[bytes | None]:
    """``pop`` of one element so many times: None for each that came too late.

    That is what popping them together does: a list that shrinks turns small, or goes, at the end
    if it would have on the way."""
    row = collection.peek(db, key, LIST)
    if row is None:
        return [None] * number
    popped = _pop(db, key, row, min(number, row.count), left)
    return [*popped, *[None] * (number - len(popped))]


def _pop(
    db: Database, key: bytes, row: CollectionRow, count: int, left: bool, *, counts: bool = True
) -> list[bytes]:
    """Without ``counts`` it is no edit by itself."""
    if count == 0:
        return []
    if not row.version:
        popped, rest = _split(row.value.items, count, left)
        edits = len(popped) if counts else 0
        if rest:
            size = row.value.size - listpack.entries_size(popped)
            db.put(key, packed_row(rest, size, row.expire_at), row, edits=edits)
        else:
            db.delete(key, row, edits=edits)
    else:
        count = min(count, row.count)
        popped = _pop_rows(db, key, row, count, left, edits=count if counts else 0)
    return popped if left else popped[::-1]


def _split(values: list[bytes], count: int, left: bool) -> tuple[list[bytes], list[bytes]]:
    """``count`` values from an end, and the others."""
    if left:
        return values[:count], values[count:]
    return values[-count:], values[:-count]


def _pop_rows(
    db: Database, key: bytes, row: CollectionRow, count: int, left: bool, *, edits: int
) -> list[bytes]:
    """The values removed, in order from left to right."""
    if count > 1:
        db.tx.admit(count)
    rows = ListRows(db, row)
    if count == row.count:
        values = list(rows.values())
        db.delete(key, row, edits=edits)
        return values
    first, stop = (0, count) if left else (row.count - count, row.count)
    if count > FEW:
        values = list(islice(rows.values(first), count))
        size = rows.span.resized(-listpack.entries_size(values))
        span = rows.keep_only(count, row.count, size) if left else rows.keep_only(0, first, size)
    else:
        keys = rows.keys(first, stop)
        values = rows.get_many(keys)
        span = rows.remove_end(keys, values, left=left)
    keep(db, key, row.with_elements(span, row.count - count), row, edits=edits)
    return values


def move(
    db: Database, source: bytes, target: bytes, *, from_left: bool, to_left: bool
) -> bytes | None:
    """Pop an element here and push it there; None when there is no source."""
    row = collection.peek(db, source, LIST)
    if row is None:
        return None
    if source == target:
        return _rotate(db, source, row, from_left, to_left)
    old = collection.peek(db, target, LIST)
    (value,) = _pop(db, source, row, 1, from_left, counts=False)
    # Redis does not look at the size of an integer that comes from a quicklist.
    added = 0 if row.version and strict_integer(value) is not None else len(value)
    _push(db, target, old, [value], added, to_left)
    return value


def move_many(
    db: Database,
    source: bytes,
    target: bytes,
    count: int,
    *,
    exactly: bool,
    as_block: bool,
    from_left: bool,
    to_left: bool,
) -> list[bytes] | None:
    """Pop ``count`` elements here, or all there are, and push them there: what was moved, in its
    order there. None, and nothing is done, when there is no source, or ``exactly`` so many are not
    there.

    They keep the order that they had (``as_block``), or are pushed one by one as they are popped.
    A list that is moved onto itself keeps its deadline.
    """
    row = collection.peek(db, source, LIST)
    if row is None or (exactly and row.count < count):
        return None
    collection.peek(db, target, LIST)  # WRONGTYPE comes before anything is popped
    count = min(count, row.count)
    db.tx.admit(count)
    if source == target and count == row.count:
        popped = list(items(db, row, reverse=not from_left))
    else:
        popped = _pop(db, source, row, count, from_left, counts=False)
    reverses = not from_left if as_block else to_left
    block = popped[::-1] if reverses else popped
    if source != target:
        push(db, target, block[::-1] if to_left else block, left=to_left)
    elif count == row.count:
        _replace_all(db, source, row, block)
    else:
        push(db, source, block[::-1] if to_left else block, left=to_left)
    return block


def _replace_all(db: Database, key: bytes, row: CollectionRow, values: list[bytes]) -> None:
    """Have the list be of these elements: its own, in another order maybe."""
    if row.version:
        new = row_with_rows(db, values, 0, row.expire_at)
    else:
        new = packed_row(values, row.value.size, row.expire_at)
    db.put(key, new, row, edits=len(values))


def _rotate(db: Database, key: bytes, row: CollectionRow, from_left: bool, to_left: bool) -> bytes:
    if row.version:
        return _rotate_rows(db, key, row, from_left, to_left)
    limit = db.limits.list_max_listpack_size
    size = row.value.size
    (value,), rest = _split(row.value.items, 1, from_left)
    together = [value, *rest] if to_left else [*rest, value]
    before = size - listpack.entry_size(value) + len(value)
    grown = listpack.exceeds(limit, before, row.count)
    grown = grown and not listpack.fits_again(limit, size, row.count)
    db.put(key, small_or_large(db, together, size, row, grown=grown), row)
    return value


def _rotate_rows(
    db: Database, key: bytes, row: CollectionRow, from_left: bool, to_left: bool
) -> bytes:
    rows = ListRows(db, row)
    rank = 0 if from_left else row.count - 1
    keys = rows.keys(rank, rank + 1)
    values = rows.get_many(keys)
    if from_left != to_left:
        rows.span = rows.remove_end(keys, values, left=from_left)
        rows.span = rows.push(values, left=to_left)
    span: Span = rows.span
    keep(db, key, row.changed(value=span), row)
    return values[0]
