"""Ranges of a sorted set: by rank, by score, by member among equal scores; and random members.

A range is asked for by one of the classes here, whatever the form of the sorted set. Knows no RESP
and no spelling of bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.limits import Limits
from tendis_py.types import collection
from tendis_py.types.collection import admitted
from tendis_py.types.zset import members as zset
from tendis_py.types.zset.forms import NEAR_END, Large, Pair, Small, view
from tendis_py.types.zset.scores import Place, after, before, numbered_score, score_number

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
    """Members from ``low`` to before ``high`` (None: to the end), where the order is that of
    members: all scores are equal, or grow with the members. For Redis the result is unspecified
    elsewhere; of a small sorted set this gives what it gives, as its walk is not left to chance.
    """

    low: bytes
    high: bytes | None

    def span(self, ordered: Small | Large) -> Span:
        return (
            _boundary(ordered, self.low) if self.low else before(-math.inf),
            None if self.high is None else _boundary(ordered, self.high),
        )

    def walk(self, ordered: Small, *, reverse: bool, offset: int) -> Iterator[Pair]:
        """As Redis walks a listpack: nothing, unless either end of it is within the bound that is
        next to the other; from the first within the bound it comes from, if that is within the
        other one, too; ``offset`` further, whatever those are; until one is not within the other.
        """
        pairs = ordered.pairs
        if not self._is_below(pairs[0][1]) or pairs[-1][1] < self.low:
            return iter(())
        starts: Callable[[bytes], bool] = self.low.__le__
        goes_on: Callable[[bytes], bool] = self._is_below
        if reverse:
            pairs, starts, goes_on = pairs[::-1], goes_on, starts
        first = next((at for at, (_, member) in enumerate(pairs) if starts(member)), None)
        if first is None or not goes_on(pairs[first][1]):
            return iter(())
        return takewhile(lambda pair: goes_on(pair[1]), islice(pairs, first + offset, None))

    def _is_below(self, member: bytes) -> bool:
        return self.high is None or member < self.high


def _boundary(ordered: Small | Large, bound: bytes) -> Place:
    """Where members are ``bound`` or more from there on, if they grow with the scores: some place
    with less before it and ``bound`` or more after it, if not.

    It bisects the scores: at the most 64 times, it looks for the first element from one on.
    """
    first, _ = next(ordered.ranked(0))
    last, _ = next(ordered.ranked(len(ordered) - 1, reverse=True))
    if first == last:
        return first, bound
    low, high = score_number(first), score_number(last) + 1
    while low < high:
        middle = (low + high) // 2
        score, member = next(ordered.between(before(numbered_score(middle)), None))
        if member >= bound:
            high = middle
        else:
            low = score_number(score) + 1
    if low > score_number(last):
        return last, bound
    below = ordered.between(before(-math.inf), before(numbered_score(low)), reverse=True)
    score, _ = next(below, (first, b""))
    return score, bound


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
    if isinstance(wanted, ByMember) and isinstance(ordered, Small):
        found = wanted.walk(ordered, reverse=reverse, offset=offset)
        return admitted(db, islice(found, None if limit < 0 else limit))
    low, high = wanted.span(ordered)
    if ordered.has_order or offset > NEAR_END:
        ranks = range(ordered.rank(low), ordered.rank(high))
        if reverse:
            ranks = range(len(ordered) - ranks.stop, len(ordered) - ranks.start)
        return _ranked(db, ordered, ranks[offset : None if limit < 0 else offset + limit], reverse)
    found = ordered.between(low, high, reverse=reverse)
    return admitted(db, islice(found, offset, None if limit < 0 else offset + limit))


def _ranked(db: Database, ordered: Small | Large, ranks: range, reverse: bool) -> Iterator[Pair]:
    """Those of ``ranks``, counted from the end if ``reverse``."""
    if not ranks:
        return iter(())
    db.tx.admit(len(ranks))
    first = len(ordered) - 1 - ranks.start if reverse else ranks.start
    return islice(ordered.ranked(first, reverse=reverse), len(ranks))


def count(db: Database, row: CollectionRow, wanted: ByScore | ByMember) -> int:
    """How many are in the range."""
    ordered = view(db, row)
    if isinstance(wanted, ByMember) and isinstance(ordered, Small):
        return sum(1 for _ in wanted.walk(ordered, reverse=False, offset=0))
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
        db.delete(key, row, edits=row.count)
        return row.count
    ordered.ensure_order()
    pairs = list(select(db, row, wanted))
    zset.remove_pairs(db, key, row, pairs)
    return len(pairs)


def _is_all(ordered: Small | Large, wanted: Range) -> bool:
    """Whether a range leaves nothing out, which takes a look at both ends."""
    if isinstance(wanted, ByRank):
        return len(wanted.within(len(ordered))) == len(ordered)
    if isinstance(wanted, ByMember) and isinstance(ordered, Small):
        return False  # `select` tells
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
