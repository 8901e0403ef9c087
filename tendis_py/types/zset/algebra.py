"""Union, intersection and difference of sorted sets, and of sets, whose members all score 1.

Rows of sources may be None: no such key. Results are (score, member) in no order, each member once;
``in_order`` sorts them. Knows no RESP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from heapq import merge
from itertools import chain, groupby, islice
from operator import itemgetter

from tendis_py.errors import wrong_type
from tendis_py.storage.codec import SET, ZSET, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements
from tendis_py.types.set import members as sets
from tendis_py.types.zset.forms import Pair, view
from tendis_py.types.zset.scores import unpack_score

Rows = Sequence[CollectionRow | None]

Result = Iterator[Pair]

_member = itemgetter(0)
_member_of_pair = itemgetter(1)

Aggregate = Callable[[float, float], float]
"""The score of a member so far, its score in one more source → its score with that."""

_AT_ONCE = 256
"""Members looked up together."""
_IN_MEMORY = 65536
"""Members of all sources together up to which they are united in memory."""
_SORTED_AT_ONCE = 4096
"""A sort holds the GIL: this many take a millisecond or two."""


def total(so_far: float, score: float) -> float:
    """The sum; 0 for inf - inf."""
    found = so_far + score
    return 0.0 if math.isnan(found) else found


def least(so_far: float, score: float) -> float:
    return score if score < so_far else so_far


def greatest(so_far: float, score: float) -> float:
    return score if score > so_far else so_far


def find_all(db: Database, keys: Sequence[bytes]) -> list[CollectionRow | None]:
    """The sets and sorted sets at ``keys``. ReplyError when one is of another type."""
    db.tx.admit(len(keys))
    rows: list[CollectionRow | None] = []
    for key in keys:
        row = db.find(key)
        if row is not None and row.type not in (SET, ZSET):
            raise wrong_type()
        rows.append(row)  # type: ignore[arg-type]
    return rows


def in_order(pairs: Result) -> Iterator[Pair]:
    parts = []
    while part := sorted(islice(pairs, _SORTED_AT_ONCE)):
        parts.append(part)
    return merge(*parts) if len(parts) > 1 else chain(*parts)


def union(
    db: Database,
    rows: Rows,
    weights: Sequence[float],
    aggregate: Aggregate,
    *,
    counts: bool = False,
) -> Result:
    """Members of any source; a score of 0 × inf counts as 0. Where the union ``counts``, all of
    them score 1 before they are weighted."""
    sources = _by_size(rows, weights)
    size = sum(row.count for row, _ in sources)
    db.tx.admit(size)
    weighted = [_weighted(db, row, weight, counts) for row, weight in sources]
    if size > _IN_MEMORY:
        return _merged(weighted, aggregate)
    found: dict[bytes, float] = {}
    for member, score in chain(*weighted):
        before = found.get(member)
        found[member] = score if before is None else aggregate(before, score)
    return ((score, member) for member, score in found.items())


def _merged(weighted: list[Iterator[tuple[bytes, float]]], aggregate: Aggregate) -> Result:
    """The union of sources that are in the order of their members, one after the other."""
    for member, found in groupby(merge(*weighted, key=_member), _member):
        yield reduce(aggregate, [score for _, score in found]), member


def intersection(
    db: Database,
    rows: Rows,
    weights: Sequence[float],
    aggregate: Aggregate,
    *,
    counts: bool = False,
) -> Result:
    """Members of all sources; ``counts`` as in ``union``."""
    if None in rows:
        return
    (smallest, weight), *others = _by_size(rows, weights)
    db.tx.admit(smallest.count * len(rows))
    pairs = _pairs(db, smallest)
    while part := list(islice(pairs, _AT_ONCE)):
        found = {member: weight if counts else _product(weight, score) for score, member in part}
        for row, its_weight in others:
            members = list(found)
            for member, score in zip(members, _scores_of(db, row, members), strict=True):
                if score is None:
                    del found[member]
                else:
                    weighted = its_weight if counts else score * its_weight
                    found[member] = aggregate(found[member], weighted)
        for member, score in found.items():
            yield score, member


def count_intersection(db: Database, rows: Rows, limit: int) -> int:
    """How many members all sources share; no more than ``limit`` are counted, unless that is 0."""
    shared = intersection(db, rows, [1.0] * len(rows), total)
    return sum(1 for _ in islice(shared, limit or None))


def difference(db: Database, rows: Rows) -> Result:
    """Members of the first source that are in no other, with their scores."""
    first, *others = rows
    if first is None:
        return
    db.tx.admit(first.count * len(rows))
    pairs = _pairs(db, first)
    while part := list(islice(pairs, _AT_ONCE)):
        found = {member: score for score, member in part}
        for row in others:
            members = list(found)
            if row is not None:
                for member, score in zip(members, _scores_of(db, row, members), strict=True):
                    if score is not None:
                        del found[member]
        for member, score in found.items():
            yield score, member


def _by_size(rows: Rows, weights: Sequence[float]) -> list[tuple[CollectionRow, float]]:
    """The sources that are there with their weights, the smallest first, as Redis adds them up."""
    there = [(row, weight) for row, weight in zip(rows, weights, strict=True) if row is not None]
    return sorted(there, key=lambda source: source[0].count)


def _weighted(
    db: Database, row: CollectionRow, weight: float, counts: bool
) -> Iterator[tuple[bytes, float]]:
    """(member, weighted score) of a source, in the order of the members."""
    pairs = _pairs(db, row)
    if not row.version:
        pairs = iter(sorted(pairs, key=_member_of_pair))
    if counts:
        return ((member, weight) for _, member in pairs)
    return ((member, _product(weight, score)) for score, member in pairs)


def _product(weight: float, score: float) -> float:
    found = weight * score
    return 0.0 if math.isnan(found) else found


def _pairs(db: Database, row: CollectionRow) -> Iterator[Pair]:
    """(score, member) of a source, in no order."""
    if row.type == SET:
        return ((1.0, member) for member in sets.members(db, row))
    if row.version:
        items = Elements(db.tx, row.version).items()
        return ((unpack_score(packed), member) for member, packed in items)
    return iter(row.value.pairs)


def _scores_of(db: Database, row: CollectionRow, members: list[bytes]) -> Sequence[float | None]:
    if row.type == SET:
        return [1.0 if there else None for there in sets.contains_many(db, row, members)]
    return view(db, row).scores_of(members)
