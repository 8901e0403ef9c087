"""Union, intersection and difference of sets. No RESP, no RocksDB.

Results are made member by member. Large sets come in the order of their bytes, so they are merged,
or one is walked and the others asked; no input is loaded. Rows of sources may be None: no such set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain, groupby, islice

from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.collection import elements
from tendis_py.types.hyperloglog.estimate import count_distinct
from tendis_py.types.set.members import HASHTABLE, INTSET, LISTPACK, Draft, find, members, store

_FEW = 1024
"""Members of all sets together up to which even large ones are united in memory."""
_MERGED = 6
"""A set is merged with the walk if it has at most this many times as many members; of a larger one
those wanted are looked up. To pass a member takes 0.5 µs, to look one up 0.3 to 3 µs."""
_AT_ONCE = 256
"""Members looked up together."""

Rows = Sequence[CollectionRow | None]


def find_all(db: Database, keys: Sequence[bytes]) -> list[CollectionRow | None]:
    """The sets at ``keys``, for a command that reads. ReplyError when one is of another type."""
    db.tx.admit(len(keys))
    return [find(db, key) for key in keys]


# Union


def union(db: Database, sources: Rows) -> Iterator[bytes]:
    """Members of any, each once."""
    rows = [row for row in sources if row is not None]
    total = sum(row.count for row in rows)
    db.tx.admit(total)
    if total > _FEW and any(row.version for row in rows):
        ordered = merge(*[_ordered(db, row) for row in rows])
        return (member for member, _ in groupby(ordered))
    found = dict.fromkeys(member for row in rows for member in members(db, row))
    if all(row.encoding == INTSET for row in rows):
        return iter(sorted(found, key=int))
    return iter(found)


def count_union(db: Database, sources: Rows, limit: int) -> int:
    """How many members there are; no more than ``limit`` are counted, unless that is 0."""
    return sum(1 for _ in islice(union(db, sources), limit or None))


def estimate_union(db: Database, sources: Rows) -> int:
    """About how many members there are, by a HyperLogLog that counts all of each source."""
    rows = [row for row in sources if row is not None]
    db.tx.admit(sum(row.count for row in rows))
    return count_distinct(chain.from_iterable(members(db, row) for row in rows))


def _ordered(db: Database, row: CollectionRow) -> Iterator[bytes]:
    """The members in the order of their bytes."""
    found = members(db, row)
    return found if row.version else iter(sorted(found))


# Intersection


def intersection(db: Database, sources: Rows) -> Iterator[bytes]:
    """Members that are in all."""
    rows = _by_size(sources)
    if not rows:
        return iter(())
    smallest, others = rows[0], [row for row in rows[1:] if row is not rows[0]]
    return _walk(db, smallest, others, present=True)


def count_intersection(db: Database, sources: Rows, limit: int) -> int:
    """How many members are in all; no more than ``limit`` are counted, unless that is 0."""
    return sum(1 for _ in islice(intersection(db, sources), limit or None))


def _by_size(sources: Rows) -> list[CollectionRow]:
    """The smallest first; none if a source is missing."""
    rows = [row for row in sources if row is not None]
    if len(rows) < len(sources):
        return []
    return sorted(rows, key=lambda row: row.count)


_Filter = Callable[[list[bytes]], "list[bytes] | None"]
"""Some members, in the order of the walk → those of them that pass; None: none will any more."""


def _walk(
    db: Database, row: CollectionRow, others: Sequence[CollectionRow], *, present: bool
) -> Iterator[bytes]:
    """Those members of ``row`` that are in all (``present``) or in none of ``others``."""
    large = [other for other in others if other.version]
    small = [other for other in others if not other.version]
    db.tx.admit(
        row.count + sum(other.count if _merges(row, other) else row.count for other in large)
    )
    found = members(db, row)
    if small and row.version:
        found = _filter_by_known(found, _known(db, small, present), present)
    elif small:
        found = _filter_few(db, found, small, present)
    if not large:
        return found
    return _filtered(
        found,
        [
            _merging(members(db, other), present)
            if _merges(row, other)
            else _asking(db, other, present)
            for other in large
        ],
    )


def _merges(row: CollectionRow, other: CollectionRow) -> bool:
    return bool(row.version) and other.count <= _MERGED * row.count


def _filtered(candidates: Iterator[bytes], filters: Sequence[_Filter]) -> Iterator[bytes]:
    """Part by part rather than filter on filter: those may be thousands, and Python's stack is
    not that deep."""
    while part := list(islice(candidates, _AT_ONCE)):
        for passing in filters:
            left = passing(part)
            if left is None:
                return
            part = left
            if not part:
                break
        yield from part


def _filter_few(
    db: Database, candidates: Iterator[bytes], small: Sequence[CollectionRow], present: bool
) -> Iterator[bytes]:
    few = list(candidates)
    for other in small:
        known = frozenset(members(db, other))
        few = [member for member in few if (member in known) is present]
        if not few:
            break
    return iter(few)


def _filter_by_known(
    candidates: Iterator[bytes], known: set[bytes], present: bool
) -> Iterator[bytes]:
    return (member for member in candidates if (member in known) is present)


def _known(db: Database, small: Sequence[CollectionRow], present: bool) -> set[bytes]:
    """What all (``present``) or any of these have."""
    known = set(members(db, small[0]))
    for other in small[1:]:
        if present:
            known.intersection_update(members(db, other))
        else:
            known.update(members(db, other))
    return known


def _merging(others: Iterator[bytes], present: bool) -> _Filter:
    """By a set that is walked along with the members, both in order."""
    other = next(others, None)

    def passing(part: list[bytes]) -> list[bytes] | None:
        nonlocal other
        if other is None and present:
            return None
        left = []
        for member in part:
            while other is not None and other < member:
                other = next(others, None)
            if (other == member) is present:
                left.append(member)
        return left

    return passing


def _asking(db: Database, row: CollectionRow, present: bool) -> _Filter:
    """By a set in which the members are looked up."""
    rows = elements(db, row)

    def passing(part: list[bytes]) -> list[bytes]:
        found = rows.get_many(part)
        return [
            member
            for member, value in zip(part, found, strict=True)
            if (value is not None) is present
        ]

    return passing


# Difference


def difference(db: Database, keys: Sequence[bytes], sources: Rows) -> Iterator[bytes]:
    """Members of the first that are in none of the others. ``keys``: where the sources are."""
    first = sources[0]
    if first is None or keys[0] in keys[1:]:
        return iter(())
    others = sorted(
        [row for row in sources[1:] if row is not None], key=lambda row: row.count, reverse=True
    )
    return _walk(db, first, others, present=False)


def count_difference(db: Database, keys: Sequence[bytes], sources: Rows, limit: int) -> int:
    """How many members of the first are in none of the others; no more than ``limit`` are counted,
    unless that is 0."""
    return sum(1 for _ in islice(difference(db, keys, sources), limit or None))


# Results that are kept. A source may be the destination.


def store_union(db: Database, destination: bytes, sources: Rows) -> int:
    """Keep the union; the number of its members."""
    return store(db, destination, union(db, sources), Draft(db.limits))


def store_intersection(db: Database, destination: bytes, sources: Rows) -> int:
    """Keep the intersection; the number of its members."""
    rows = _by_size(sources)
    result = intersection(db, sources)
    begins = INTSET if rows and rows[0].encoding == INTSET else LISTPACK
    return store(db, destination, result, Draft(db.limits, begins), narrow=True)


def store_difference(db: Database, destination: bytes, keys: Sequence[bytes], sources: Rows) -> int:
    """Keep the difference; the number of its members."""
    result = difference(db, keys, sources)
    return store(db, destination, result, _difference_draft(db, sources))


def _difference_draft(db: Database, sources: Rows) -> Draft:
    """What Redis begins with: nothing, or the whole first set, of which it then takes the others
    away (algorithm 2 of sunionDiffGenericCommand in t_set.c)."""
    draft = Draft(db.limits)
    rows = [row for row in sources if row is not None]
    first = sources[0]
    if first is not None and first.count * len(rows) // 2 > sum(row.count for row in rows):
        for member in members(db, first):
            draft.add(member)
            if draft.encoding == HASHTABLE:
                break
    return Draft(db.limits, draft.encoding)
