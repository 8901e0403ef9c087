"""Runs of pipelined commands, each on one member of the same large sorted set, taken at once.

What a run answers and leaves behind is what its commands would one after the other: one look at
the meta row, one read of all members, and of each only its last score written. Each function
returns None, having done nothing, where the run is not for it: small sets cost little as it is.
Knows no RESP.
"""

from __future__ import annotations

import math

from tendis_py.storage.codec import ZSET, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.families import SCORE
from tendis_py.types import collection
from tendis_py.types.zset.forms import Large, Pair
from tendis_py.types.zset.scores import encode_score, is_negative_zero, pack_score, unpack_score


def scores(db: Database, key: bytes, members: list[bytes]) -> list[float | None] | None:
    """The score of each member."""
    row = _peek_large(db, key)
    if row is None:
        return None
    found = collection.elements(db, row).get_many(members)
    tx = db.tx
    tx.counters.hits += len(members)
    if tx.touches:
        db.touch(key)
    return [None if packed is None else unpack_score(packed) for packed in found]


def add(db: Database, key: bytes, scores: list[float], members: list[bytes]) -> list[int] | None:
    """Give each member its score; 1 for one that was added, 0 for one that was there."""
    row = _peek_large(db, key)
    if row is None:
        return None
    known = _Members(db, row, members)
    latest = known.scores
    added = []
    edits = 0
    for score, member in zip(scores, members, strict=True):
        before = latest[member]
        if score != before:
            latest[member] = score
            edits += 1
        added.append(int(before is None))
    known.write(key, edits)
    return added


def increment(
    db: Database, key: bytes, addends: list[float], members: list[bytes]
) -> list[float] | None:
    """Add to each member's score, 0 where there is none; the sums."""
    row = _peek_large(db, key)
    if row is None:
        return None
    known = _Members(db, row, members)
    latest = known.scores
    totals = []
    edits = 0
    for by, member in zip(addends, members, strict=True):
        before = latest[member]
        total = by if before is None else before + by
        if math.isnan(total):
            return None
        if total != before:
            latest[member] = total
            edits += 1
        totals.append(total)
    known.write(key, edits)
    return totals


def pop(db: Database, key: bytes, number: int, *, highest: bool) -> list[Pair] | None:
    """The lowest, or the highest, again and again; never the last one."""
    row = _peek_large(db, key)
    if row is None or number >= row.count:
        return None
    order = collection.elements(db, row, SCORE)
    order.ensure_ends(row.count)
    taken = order.take_end(number, highest=highest)
    pairs = Large(db, row).pairs_of(taken)
    collection.elements(db, row).remove_many([member for _, member in pairs])
    db.put(key, row.with_elements(row.value, row.count - number), row, edits=number)
    return pairs


def _peek_large(db: Database, key: bytes) -> CollectionRow | None:
    row = db.peek(key)
    if row is None or row.type != ZSET or not row.version:
        return None
    return row  # type: ignore[return-value]


class _Members:
    """Members of a large sorted set with their ``scores``, None for one that is not there. Scores
    are changed there, and then written."""

    __slots__ = ("_before", "_db", "_row", "_rows", "scores")

    def __init__(self, db: Database, row: CollectionRow, members: list[bytes]) -> None:
        self._db = db
        self._row = row
        self._rows = collection.elements(db, row)
        self._before = dict(zip(members, self._rows.get_many(members), strict=True))
        self.scores = {
            member: None if packed is None else unpack_score(packed)
            for member, packed in self._before.items()
        }

    def write(self, key: bytes, edits: int) -> None:
        new, changed, left, taken = {}, {}, [], {}
        signed = self._row.value
        for member, before in self._before.items():
            score = self.scores[member]
            assert score is not None
            packed = pack_score(score)
            if packed == before:
                continue
            if before is None:
                new[member] = packed
            else:
                changed[member] = packed
                left.append(encode_score(unpack_score(before)) + member)
            taken[encode_score(score) + member] = b""
            if score == 0 and is_negative_zero(score):
                signed = True
        self._rows.add_many(new)
        self._rows.set_many(changed)
        order = collection.elements(self._db, self._row, SCORE)
        order.remove_many(left)
        order.add_many(taken)
        if new or signed != self._row.value:
            row = self._row.with_elements(signed, self._row.count + len(new))
            self._db.put(key, row, self._row, edits=edits)
        elif edits:
            self._db.edited(key, edits=edits)
