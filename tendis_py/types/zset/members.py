"""Sorted sets: members in the order of their scores, ties in that of their bytes.

Finding, reading by member, and changing. Ranges and operations on several sets are in modules of
their own. Knows no RESP.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice

from tendis_py.errors import NOT_A_NUMBER, ReplyError
from tendis_py.storage.codec import ZSET, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements, VersionWriter
from tendis_py.storage.families import SCORE
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import collection
from tendis_py.types import scan as scans
from tendis_py.types.shards import Shards
from tendis_py.types.zset.forms import LISTPACK, SKIPLIST, Pair, Small, view
from tendis_py.types.zset.scores import (
    SCORE_SIZE,
    after,
    before,
    decode_score,
    encode_score,
    is_negative_zero,
    pack_score,
    unpack_score,
)

# Reading


def find(db: Database, key: bytes) -> CollectionRow | None:
    """The row of ``key`` for a command that reads. ReplyError when it is of another type."""
    return collection.find(db, key, ZSET)


def peek(db: Database, key: bytes) -> CollectionRow | None:
    """The row of ``key`` for a command that writes. ReplyError when it is of another type."""
    return collection.peek(db, key, ZSET)


def size(db: Database, key: bytes) -> int:
    row = find(db, key)
    return 0 if row is None else row.count


def score(db: Database, key: bytes, member: bytes) -> float | None:
    row = find(db, key)
    if row is None:
        return None
    if not row.version:
        return view(db, row).score(member)
    packed = collection.elements(db, row).get(member)
    return None if packed is None else unpack_score(packed)


def scores(db: Database, key: bytes, members: Sequence[bytes]) -> list[float | None]:
    """The score of each of ``members``, None for one that is not there."""
    row = find(db, key)
    if row is None:
        return [None] * len(members)
    db.tx.admit(len(members))
    there = view(db, row)
    found: list[float | None] = []
    for cut in db.tx.pace.cuts(len(members)):
        found += there.scores_of(list(members[cut]))
    return found


def items(
    db: Database, row: CollectionRow, *, reverse: bool = False
) -> Iterator[tuple[bytes, float]]:
    """(member, score) of all, in order."""
    for score, member in view(db, row).ranked(row.count - 1 if reverse else 0, reverse=reverse):
        yield member, score


def by_score(
    db: Database,
    row: CollectionRow,
    low: float,
    high: float,
    *,
    low_exclusive: bool = False,
    high_exclusive: bool = False,
) -> Iterator[tuple[bytes, float]]:
    """(member, score) of those with low <= score <= high, or < where exclusive, in order."""
    first = after(low) if low_exclusive else before(low)
    last = before(high) if high_exclusive else after(high)
    for score, member in view(db, row).between(first, last):
        yield member, score


# Changing


class Edit:
    """The changes that one command makes to the sorted set at ``key``, whose row ``peek`` gave;
    ``close`` has to follow, whatever was changed: ``entries`` members may come, the first of which
    is ``first``, and a sorted set that they may make large is so from the start."""

    __slots__ = (
        *("_count", "_db", "_edits", "_key", "_old", "_order", "_rows", "_signed", "_small"),
        "_stale",
    )

    def __init__(
        self,
        db: Database,
        key: bytes,
        row: CollectionRow | None,
        entries: int = 0,
        first: bytes = b"",
    ) -> None:
        self._db = db
        self._key = key
        self._old = row
        self._edits = 0
        self._stale = False
        """Whether the meta row has to be written."""
        self._signed = False
        self._small: Small | None = None
        if row is None:
            self._count = 0
            self._small = Small([])
            if entries > db.limits.zset_max_listpack_entries or self._is_long(first):
                self._enlarge(self._small)
        else:
            self._count = row.count
            if row.version:
                self._attach(row.version)
                self._signed = row.value is not None
            else:
                self._small = row.value
                if entries > db.limits.zset_max_listpack_entries:
                    self._enlarge(row.value)

    def _is_long(self, member: bytes) -> bool:
        return len(member) > self._db.limits.zset_max_listpack_value

    def _attach(self, version: int) -> None:
        self._rows = Elements(self._db.tx, version)
        self._order = Elements(self._db.tx, version, SCORE)

    def _enlarge(self, small: Small) -> None:
        self._attach(large_row(self._db, small.pairs).version)
        self._small = None
        self._stale = True

    def score(self, member: bytes) -> float | None:
        if self._small is not None:
            return self._small.scores.get(member)
        packed = self._rows.get(member)
        return None if packed is None else unpack_score(packed)

    def end(self, *, highest: bool) -> Pair:
        """The lowest, or the highest, (score, member)."""
        if self._small is not None:
            return self._small.pairs[-1 if highest else 0]
        self._order.ensure_ends(self._count)
        element = self._order.select(self._count - 1 if highest else 0)
        score, member = decode_score(element), element[SCORE_SIZE:]
        if score == 0 and self._signed:
            packed = self._rows.get(member)
            assert packed is not None
            score = unpack_score(packed)
        return score, member

    def scores_of(self, members: list[bytes]) -> dict[bytes, float | None]:
        if self._small is not None:
            return {member: self._small.scores.get(member) for member in members}
        found = self._rows.get_many(members)
        return {
            member: None if packed is None else unpack_score(packed)
            for member, packed in zip(members, found, strict=True)
        }

    def put(self, member: bytes, score: float, before: float | None) -> None:
        """Give ``member`` a score other than ``before``, which it has (None: it is new)."""
        self._edits += 1
        small = self._small
        if small is not None:
            limit = self._db.limits.zset_max_listpack_entries
            if before is None and (len(small) >= limit or self._is_long(member)):
                self._enlarge(small)
            else:
                self._own(small).put(member, score)
                self._count += before is None
                return
        if before is None:
            self._rows.add(member, pack_score(score))
            self._count += 1
            self._stale = True
        else:
            self._rows.set(member, pack_score(score))
            self._order.remove(encode_score(before) + member)
        self._order.add(encode_score(score) + member)
        if score == 0 and not self._signed and is_negative_zero(score):
            self._signed = self._stale = True

    def remove(self, member: bytes, score: float) -> None:
        """Remove a member that is there and has ``score``."""
        self._edits += 1
        if self._small is not None:
            self._own(self._small).discard(member)
        else:
            self._rows.remove(member)
            self._order.remove(encode_score(score) + member)
        self._count -= 1
        self._stale = True

    def remove_pairs(self, pairs: list[Pair]) -> None:
        """As ``remove`` for each, and ``close``."""
        if self._old is not None and len(pairs) == self._count:
            self._db.delete(self._key, self._old, edits=len(pairs))
            return
        for score, member in pairs:
            self.remove(member, score)
        self.close()

    def _own(self, small: Small) -> Small:
        """``small``, or a copy of it while it is still that of the row."""
        if self._old is not None and small is self._old.value:
            small = self._small = small.copy()
        self._stale = True
        return small

    def close(self) -> None:
        if not self._stale:
            if self._edits:
                self._db.edited(self._key, edits=self._edits)
            return
        old = self._old
        row = CollectionRow(ZSET, None, self._count) if old is None else old.changed()
        row.count = self._count
        if self._small is not None:
            row.value = self._small
        else:
            row.version, row.encoding = self._rows.version, SKIPLIST
            row.value = True if self._signed else None
        collection.keep(self._db, self._key, row, old, edits=self._edits)


def small_row(pairs: Iterable[Pair]) -> CollectionRow:
    """The row of a small sorted set, whose members come in any order."""
    small = Small(sorted((score + 0.0, member) for score, member in pairs))
    return CollectionRow(ZSET, small, len(small))


def large_row(db: Database, pairs: Iterable[Pair]) -> CollectionRow:
    """Write the rows of a large sorted set; its meta row."""
    writer = VersionWriter(db.tx)
    count = 0
    signed = False
    for score, member in pairs:
        count += 1
        if score == 0 and not signed:
            signed = is_negative_zero(score)
        writer.add(member, pack_score(score))
        writer.add(encode_score(score) + member, family=SCORE)
    return CollectionRow(
        ZSET, True if signed else None, count, version=writer.finish(), encoding=SKIPLIST
    )


def add(
    db: Database,
    key: bytes,
    pairs: list[Pair],
    *,
    only_new: bool = False,
    only_existing: bool = False,
    only_greater: bool = False,
    only_less: bool = False,
) -> tuple[int, int]:
    """Add members, or give them other scores, so far as the conditions allow; how many were added,
    and how many of those that were there have changed. The last two conditions are about scores,
    and let new members in."""
    row = peek(db, key)
    if row is None and only_existing:
        return 0, 0
    db.tx.admit(len(pairs))
    wanted = partial(
        _is_wanted,
        only_new=only_new,
        only_existing=only_existing,
        only_greater=only_greater,
        only_less=only_less,
    )
    if len(pairs) <= ITEMS_AT_ONCE:
        return _add(db, key, row, pairs, wanted)
    cuts = db.tx.pace.cuts(len(pairs))
    if row is not None and row.version:
        counts = [_add(db, key, peek(db, key), pairs[cut], wanted) for cut in cuts]
        return sum(added for added, _ in counts), sum(changed for _, changed in counts)
    if len(pairs) > db.limits.zset_max_listpack_entries:
        return _add_to_large(db, key, row, chain.from_iterable(pairs[cut] for cut in cuts), wanted)
    return _add(db, key, row, pairs, wanted)


_Wanted = Callable[[float, float | None], bool]
"""A score, the one that the member has → whether it is to be set."""


def _is_wanted(
    score: float,
    before: float | None,
    *,
    only_new: bool,
    only_existing: bool,
    only_greater: bool,
    only_less: bool,
) -> bool:
    if before is None:
        return not only_existing
    return not (
        only_new
        or score == before
        or (only_greater and score < before)
        or (only_less and score > before)
    )


def _add(
    db: Database, key: bytes, row: CollectionRow | None, pairs: list[Pair], wanted: _Wanted
) -> tuple[int, int]:
    edit = Edit(db, key, row, len(pairs), pairs[0][1])
    known = edit.scores_of([member for _, member in pairs])
    added = changed = 0
    for score, member in pairs:
        before = known[member]
        if wanted(score, before):
            added += before is None
            changed += before is not None
            edit.put(member, score, before)
            known[member] = score
    edit.close()
    return added, changed


def _add_to_large(
    db: Database, key: bytes, row: CollectionRow | None, pairs: Iterable[Pair], wanted: _Wanted
) -> tuple[int, int]:
    """Make a large sorted set of a small one, or of none, and these, whose scores are written once
    they are final."""
    known: Shards[float] = Shards()
    small = () if row is None else row.value.pairs
    for score, member in small:
        known.of(member)[member] = score
    added = changed = 0
    for score, member in pairs:
        part = known.of(member)
        before = part.get(member)
        if wanted(score, before):
            added += before is None
            changed += before is not None
            part[member] = score
    written = large_row(db, ((score, member) for member, score in known.items()))
    known.clear()
    large = (row or written).changed(
        value=written.value, count=written.count, version=written.version, encoding=SKIPLIST
    )
    db.put(key, large, row, edits=added + changed)
    return added, changed


def add_one(db: Database, key: bytes, score: float, member: bytes) -> bool:
    """As ``add`` of one, without conditions: whether it was added."""
    edit = Edit(db, key, peek(db, key), 1, member)
    before = edit.score(member)
    if score != before:
        edit.put(member, score, before)
    edit.close()
    return before is None


def increment(
    db: Database,
    key: bytes,
    member: bytes,
    by: float,
    *,
    only_new: bool = False,
    only_existing: bool = False,
    only_greater: bool = False,
    only_less: bool = False,
) -> float | None:
    """Add to the score of ``member``, 0 where there is none, if the conditions allow; the sum, or
    None when they do not."""
    row = peek(db, key)
    if row is None and only_existing:
        return None
    edit = Edit(db, key, row, 1, member)
    old = edit.score(member)
    total = _total(
        old,
        by,
        refused=only_existing if old is None else only_new,
        only_greater=only_greater,
        only_less=only_less,
    )
    if total is not None and total != old:
        edit.put(member, total, old)
    edit.close()
    return total


def _total(
    old: float | None, by: float, *, refused: bool, only_greater: bool, only_less: bool
) -> float | None:
    """The sum, None where a condition forbids it."""
    if refused:
        return None
    if old is None:
        return by
    total = old + by
    if math.isnan(total):
        raise ReplyError(NOT_A_NUMBER)
    if (only_greater and total <= old) or (only_less and total >= old):
        return None
    return total


def remove(db: Database, key: bytes, members: Sequence[bytes]) -> int:
    """Remove members; how many there were."""
    row = peek(db, key)
    if row is None:
        return 0
    db.tx.admit(len(members))
    if len(members) > ITEMS_AT_ONCE:
        return sum(remove(db, key, members[cut]) for cut in db.tx.pace.cuts(len(members)))
    edit = Edit(db, key, row)
    known = edit.scores_of(list(members))
    pairs = [(score, member) for member, score in known.items() if score is not None]
    edit.remove_pairs(pairs)
    return len(pairs)


def remove_pairs(db: Database, key: bytes, row: CollectionRow, pairs: list[Pair]) -> None:
    """Remove members that are there and have these scores."""
    Edit(db, key, row).remove_pairs(pairs)


def pop(
    db: Database, key: bytes, row: CollectionRow, count: int, *, highest: bool = False
) -> list[Pair]:
    """Remove up to ``count`` of the lowest, or of the highest, and return them."""
    count = min(count, row.count)
    db.tx.admit(count)
    pairs = list(islice(view(db, row).from_end(highest=highest), count))
    remove_pairs(db, key, row, pairs)
    return pairs


def pop_one(db: Database, key: bytes, *, highest: bool = False) -> Pair | None:
    """As ``pop`` of one, if there is any."""
    row = peek(db, key)
    if row is None:
        return None
    edit = Edit(db, key, row)
    pair = score, member = edit.end(highest=highest)
    edit.remove(member, score)
    edit.close()
    return pair


def store(db: Database, key: bytes, pairs: Iterable[Pair], *, each_counts: bool = False) -> int:
    """Have ``key`` hold these, each member once, in any order, whatever it held before; nothing
    is left of it when there are none. How many they are; ``each_counts``: as edits, too."""
    old = db.peek(key)
    limits = db.limits
    rest = iter(pairs)
    few = list(islice(rest, limits.zset_max_listpack_entries + 1))
    if not few:
        if old is not None:
            db.delete(key, old)
        return 0
    longest = max(len(member) for _, member in few)
    if len(few) <= limits.zset_max_listpack_entries and longest <= limits.zset_max_listpack_value:
        small = Small(sorted((score + 0.0, member) for score, member in few))
        row = CollectionRow(ZSET, small, len(few), encoding=LISTPACK)
    else:
        row = large_row(db, chain(few, rest))
    db.put(key, row, old, edits=row.count if each_counts else 1)
    return row.count


# Iteration


def scan(
    db: Database, row: CollectionRow, step: scans.Step
) -> tuple[list[tuple[bytes, float]], bytes | None]:
    """(member, score) of one step, and the member to go on from (None at the end)."""
    if not row.version:
        small: Small = row.value
        found = step.filter([member for _, member in small.pairs])
        return [(member, small.scores[member]) for member in found], None
    rows, rest = scans.rows(db, row, step)
    return [(member, unpack_score(packed)) for member, packed in rows], rest
