"""The two forms of a sorted set: ``Small``, whole in its meta row, and ``Large``, in rows.

A large one has a row member → score in ROWS, and score | member in SCORE, whose order index answers
questions of rank. Both forms answer the same questions. Knows no keys, no commands.
"""

from __future__ import annotations

import random
import struct
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from typing import ClassVar

from tendis_py.storage.codec import (
    ZSET,
    Collection,
    CollectionRow,
    pack_items,
    register,
    unpack_items,
)
from tendis_py.storage.database import Database
from tendis_py.storage.families import SCORE
from tendis_py.types import collection
from tendis_py.types.zset.scores import (
    SCORE_SIZE,
    Place,
    decode_score,
    decode_scores,
    encode_score,
    unpack_score,
)

LISTPACK, SKIPLIST = range(2)

NEAR_END = 128
"""Elements from either end that are iterated to rather than to build an order index for."""

Pair = tuple[float, bytes]

_member_of = itemgetter(slice(SCORE_SIZE, None))
"""The member in an element of SCORE."""


class Small:
    """A small sorted set: (score, member) in order, and member → score. That of a row is never
    changed: take a ``copy``. Zeros have no sign here, as in Redis' listpacks."""

    __slots__ = ("pairs", "scores")

    has_order: ClassVar[bool] = True

    def __init__(self, pairs: list[Pair]) -> None:
        self.pairs = pairs
        self.scores = {member: score for score, member in pairs}

    def copy(self) -> Small:
        made = Small.__new__(Small)
        made.pairs = self.pairs.copy()
        made.scores = self.scores.copy()
        return made

    def put(self, member: bytes, score: float) -> None:
        self.discard(member)
        self.scores[member] = score + 0.0
        insort(self.pairs, (score + 0.0, member))

    def discard(self, member: bytes) -> None:
        score = self.scores.pop(member, None)
        if score is not None:
            del self.pairs[bisect_left(self.pairs, (score, member))]

    def __len__(self) -> int:
        return len(self.pairs)

    # As Large

    def score(self, member: bytes) -> float | None:
        return self.scores.get(member)

    def scores_of(self, members: list[bytes]) -> list[float | None]:
        return list(map(self.scores.get, members))

    def ensure_order(self) -> None:
        """It is in order."""

    def rank(self, place: Place) -> int:
        return len(self.pairs) if place is None else bisect_left(self.pairs, place)

    def between(self, low: Place, high: Place, *, reverse: bool = False) -> Iterator[Pair]:
        found = self.pairs[self.rank(low) : self.rank(high)]
        return reversed(found) if reverse else iter(found)

    def ranked(self, rank: int, *, reverse: bool = False) -> Iterator[Pair]:
        return reversed(self.pairs[: rank + 1]) if reverse else iter(self.pairs[rank:])

    def from_end(self, *, highest: bool) -> Iterator[Pair]:
        return reversed(self.pairs) if highest else iter(self.pairs)

    def random(self, count: int) -> list[Pair]:
        return random.sample(self.pairs, min(count, len(self.pairs)))


class Large:
    """A large sorted set, as its rows are now."""

    __slots__ = ("_count", "_order", "_rows", "_signed")

    def __init__(self, db: Database, row: CollectionRow) -> None:
        self._rows = collection.elements(db, row)
        self._order = collection.elements(db, row, SCORE)
        self._count = row.count
        self._signed = row.value is not None
        """Whether some zero has been a negative one, which SCORE does not tell."""

    def __len__(self) -> int:
        return self._count

    @property
    def has_order(self) -> bool:
        """Whether ranks cost no scan."""
        return self._order.has_order

    def score(self, member: bytes) -> float | None:
        packed = self._rows.get(member)
        return None if packed is None else unpack_score(packed)

    def scores_of(self, members: list[bytes]) -> list[float | None]:
        found = self._rows.get_many(members)
        return [None if packed is None else unpack_score(packed) for packed in found]

    def ensure_order(self) -> None:
        """Have ranks cost no scan from here on: for what loses members at an end again and again,
        where iterations would meet the tombstones of all that have gone."""
        self._order.ensure_order()

    def rank(self, place: Place) -> int:
        """How many are before ``place``."""
        return self._count if place is None else self._order.rank(element(place))

    def between(self, low: Place, high: Place, *, reverse: bool = False) -> Iterator[Pair]:
        """(score, member) from ``low`` to ``high``, or backwards."""
        if low is None:
            return iter(())
        upper = None if high is None else element(high)
        return self.pairs(self._order.between(element(low), upper, reverse=reverse))

    def ranked(self, rank: int, *, reverse: bool = False) -> Iterator[Pair]:
        """(score, member) from ``rank`` on, upwards or downwards."""
        skipped = self._count - 1 - rank if reverse else rank
        if skipped <= NEAR_END and not self._order.reaches(rank):
            return self.pairs(islice(self._order.keys(reverse=reverse), skipped, None))
        self._order.ensure_ends(self._count)
        return self.pairs(self._order.ranked(rank, reverse=reverse))

    def from_end(self, *, highest: bool) -> Iterator[Pair]:
        """(score, member) from the lowest or the highest on, by the order index: an iteration
        would meet the tombstones of all that have been popped."""
        self._order.ensure_ends(self._count)
        rank = self._count - 1 if highest else 0
        return self.pairs(self._order.ranked(rank, reverse=highest))

    def random(self, count: int) -> list[Pair]:
        """``count`` different ones, each with the same chance; all when there are fewer."""
        return list(self.pairs(iter(self._order.random(count))))

    def pairs(self, elements: Iterable[bytes]) -> Iterator[Pair]:
        """(score, member) of elements of SCORE whose members still have their rows."""
        for element in elements:
            member = element[SCORE_SIZE:]
            score = decode_score(element)
            if score == 0 and self._signed:
                packed = self._rows.get(member)
                assert packed is not None
                score = unpack_score(packed)
            yield score, member

    def pairs_of(self, elements: list[bytes]) -> list[Pair]:
        """As ``pairs``, at half the cost."""
        scores = decode_scores(elements)
        if self._signed and 0.0 in scores:
            return list(self.pairs(elements))
        return list(zip(scores, map(_member_of, elements), strict=True))


def element(place: tuple[float, bytes]) -> bytes:
    """The element in SCORE of a (score, member)."""
    score, member = place
    return encode_score(score) + member


def _pack(row: CollectionRow) -> bytes:
    if row.version:
        return b"" if row.value is None else b"-"
    pairs: list[Pair] = row.value.pairs
    scores = struct.pack(f">{len(pairs)}d", *[score for score, _ in pairs])
    return scores + pack_items([member for _, member in pairs])


def _unpack(raw: bytes, row: CollectionRow) -> Small | bool | None:
    if row.version:
        return True if raw else None
    scores = struct.unpack_from(f">{row.count}d", raw)
    members = unpack_items(raw, 8 * row.count)
    return Small(list(zip(scores, members, strict=True)))


def view(db: Database, row: CollectionRow) -> Small | Large:
    """The sorted set of ``row``, for reading."""
    if row.version:
        return Large(db, row)
    small: Small = row.value
    return small


register(ZSET, Collection(("listpack", "skiplist"), _pack, _unpack))
