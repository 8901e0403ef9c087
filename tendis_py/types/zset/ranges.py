"""Ranges of a sorted set: by rank, by score, by member among equal scores; and random members.

A range is asked for by one of the classes here, whatever the form of the sorted set. Knows no RESP
and no spelling of bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.limits import Limits
from tendis_py.types import collection
from tendis_py.types.zset import members as zset
from tendis_py.types.zset.forms import NEAR_END, Large, Pair, Small, view
from tendis_py.types.zset.scores import Place, after, before

Span = tuple[Place, Place]
"""From the first place to before the second."""


@dataclass(frozen=True, slots=True)
class ByRank:
    """From rank ``start`` to ``stop``, both included; negative ones count from the end."""

    start: int
    stop: int

    def within(self, size: int) -> range:
        """The ranks that there are of ``size`` elements."""
        start, stop = (rank + size if rank < 0 else rank for rank in (self.start, self.stop))
        return range(max(start, 0), min(stop + 1, size))


@dataclass(frozen=True, slots=True)
class ByScore:
    low: float
    high: float
    low_exclusive: bool = False
    high_exclusive: bool = False

    def span(self, ordered: Small | Large) -> Span:
        return (
            after(self.low) if self.low_exclusive else before(self.low),
            before(self.high) if self.high_exclusive else after(self.high),
        )


@dataclass(frozen=True, slots=True)
class ByMember:
    """Members from ``low`` to before ``high`` (None: to the end) where all scores are equal. Where
    they are not, bounds are among the members of the lowest score."""

    low: bytes
    high: bytes | None

    def span(self, ordered: Small | Large) -> Span:
        first = next(ordered.ranked(0))[0] if self.low or self.high is not None else 0.0
        return (
            (first, self.low) if self.low else before(-math.inf),
            None if self.high is None else (first, self.high),
        )


Range = ByRank | ByScore | ByMember


def select(
    db: Database,
    row: CollectionRow,
    wanted: Range,
    *,
    reverse: bool = False,
    offset: int = 0,
    limit: int = -1,
) -> Iterator[Pair]:
    """(score, member) of a range in order, or backwards; ranks count from where that begins. Of
    those not chosen by rank, ``limit`` from ``offset`` on (a negative limit is none, a negative
    offset leaves nothing)."""
    ordered = view(db, row)
    if isinstance(wanted, ByRank):
        ranks = wanted.within(row.count)
        return _ranked(db, ordered, ranks, reverse)
    if offset < 0 or limit == 0:
        return iter(())
    low, high = wanted.span(ordered)
    if ordered.has_order or offset > NEAR_END:
        ranks = range(ordered.rank(low), ordered.rank(high))
        if reverse:
            ranks = range(len(ordered) - ranks.stop, len(ordered) - ranks.start)
        return _ranked(db, ordered, ranks[offset : None if limit < 0 else offset + limit], reverse)
    found = ordered.between(low, high, reverse=reverse)
    return _admitted(db, islice(found, offset, None if limit < 0 else offset + limit))


def _ranked(db: Database, ordered: Small | Large, ranks: range, reverse: bool) -> Iterator[Pair]:
    """Those of ``ranks``, counted from the end if ``reverse``."""
    if not ranks:
        return iter(())
    db.tx.admit(len(ranks))
    first = len(ordered) - 1 - ranks.start if reverse else ranks.start
    return islice(ordered.ranked(first, reverse=reverse), len(ranks))


def _admitted(db: Database, pairs: Iterator[Pair]) -> Iterator[Pair]:
    """``pairs``, unless they are too many for the fast lane."""
    if not db.tx.fast_rows:
        return pairs
    few = list(islice(pairs, db.tx.fast_rows + 1))
    db.tx.admit(len(few))
    return iter(few)


def count(db: Database, row: CollectionRow, wanted: ByScore | ByMember) -> int:
    """How many are in the range."""
    ordered = view(db, row)
    low, high = wanted.span(ordered)
    return max(ordered.rank(high) - ordered.rank(low), 0)


def rank(
    db: Database, key: bytes, member: bytes, *, reverse: bool = False
) -> tuple[int, float] | None:
    """How many come before ``member``, or after it if ``reverse``, and its score."""
    row = zset.find(db, key)
    if row is None:
        return None
    ordered = view(db, row)
    score = ordered.score(member)
    if score is None:
        return None
    below = ordered.rank((score, member))
    return row.count - 1 - below if reverse else below, score


def remove(db: Database, key: bytes, row: CollectionRow, wanted: Range) -> int:
    """Remove all in the range; how many there were."""
    ordered = view(db, row)
    if _is_all(ordered, wanted):
        db.delete(key, row)
        return row.count
    ordered.ensure_order()
    pairs = list(select(db, row, wanted))
    zset.remove_pairs(db, key, row, pairs)
    return len(pairs)


def _is_all(ordered: Small | Large, wanted: Range) -> bool:
    """Whether a range leaves nothing out, which takes a look at both ends."""
    if isinstance(wanted, ByRank):
        return len(wanted.within(len(ordered))) == len(ordered)
    low, high = wanted.span(ordered)
    if low is None or next(ordered.ranked(0)) < low:
        return False
    last = len(ordered) - 1
    return high is None or next(ordered.ranked(last, reverse=True)) < high


def random(db: Database, row: CollectionRow, count: int) -> Iterator[Pair]:
    """``count`` different ones, or all; if negative, as many draws."""
    ordered = view(db, row)
    if count < 0:
        collection.admit_draws(db, -count)
        return (ordered.random(1)[0] for _ in range(-count))
    db.tx.admit(min(count, row.count))
    if count < row.count:
        return iter(ordered.random(count))
    return ordered.ranked(row.count - 1, reverse=True)


def store(
    db: Database,
    target: bytes,
    source: bytes,
    wanted: Range,
    *,
    reverse: bool = False,
    offset: int = 0,
    limit: int = -1,
) -> int:
    """Have ``target`` hold a range of ``source``, as ``select`` finds it; how many they are."""
    row = zset.find(db, source)
    pairs: Iterator[Pair] = iter(())
    if row is not None:
        pairs = select(db, row, wanted, reverse=reverse, offset=offset, limit=limit)
        limits = db.limits
        many = isinstance(wanted, ByRank) and (
            len(wanted.within(row.count)) > limits.zset_max_listpack_entries
        )
        if not many:
            pairs = _by_way_of_listpack(limits, pairs)
    return zset.store(db, target, pairs)


def _by_way_of_listpack(limits: Limits, pairs: Iterator[Pair]) -> Iterator[Pair]:
    """``pairs`` as Redis stores them where it does not know how many will come: into a listpack,
    which has no negative zero, until one is too many or too long for it."""
    room = limits.zset_max_listpack_entries
    for score, member in pairs:
        room = 0 if len(member) > limits.zset_max_listpack_value else room
        yield score + 0.0 if room > 0 else score, member  # -0.0 + 0.0 is 0.0
        room -= 1
