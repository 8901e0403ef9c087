"""Sorting a list, a set or a sorted set, by its elements or by what other keys say of them.

The order is Redis', ties included, but for those that a LIMIT cuts through when sorting by text of
other keys. Knows no RESP.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from tendis_py.errors import SORT_NOT_FLOAT, ReplyError, wrong_type
from tendis_py.storage.codec import LIST, SET, ZSET, CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.hash import values as hashes
from tendis_py.types.list import elements as lists
from tendis_py.types.set import members as sets
from tendis_py.types.string import values as strings
from tendis_py.types.zset import members as zset
from tendis_py.types.zset.forms import view

# Patterns

THE_ELEMENT = b"#"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Where to look up something about an element: the string at a key, or a field of the hash
    there, ``weight_*`` or ``user_*->name``. The element takes the place of the star."""

    before: bytes
    after: bytes
    field: bytes | None

    @classmethod
    def parse(cls, text: bytes) -> Pattern | None:
        """None when ``text`` has no star."""
        before, star, after = text.partition(b"*")
        if not star:
            return None
        name, _, field = after.partition(b"->")
        return cls(before, name, field) if field else cls(before, after, None)

    def look_up(self, db: Database, element: bytes) -> bytes | None:
        """None when it is not there, or of another type."""
        key = self.before + element + self.after
        try:
            if self.field is None:
                found = strings.get(db, key)
                return None if found is None else bytes(found)
            return hashes.get(db, key, self.field)
        except ReplyError:  # WRONGTYPE
            return None


def values(db: Database, elements: Iterable[bytes], gets: list[bytes]) -> Iterator[bytes | None]:
    """For each element what each of ``gets`` tells of it: THE_ELEMENT, or a pattern. One without
    a star tells nothing."""
    patterns = [Pattern.parse(get) for get in gets]
    for element in elements:
        for get, pattern in zip(gets, patterns, strict=True):
            if pattern is not None:
                yield pattern.look_up(db, element)
            else:
                yield element if get == THE_ELEMENT else None


# Order


@dataclass(slots=True)
class Sorting:
    """What order to bring elements into, and which of them are wanted.

    ``by`` is a pattern. ``alpha`` compares bytes, else they are numbers. ``keeps_order`` leaves
    them as they are; only ``descending`` counts then. ``start`` and ``count`` choose a part of the
    result; a negative count is all. ``exact``: the result is stored. What is shown is compared as
    C strings, up to the first NUL. ``for_script``: a script is not to see how a set is kept.
    """

    by: bytes | None = None
    alpha: bool = False
    descending: bool = False
    keeps_order: bool = False
    start: int = 0
    count: int = -1
    exact: bool = False
    for_script: bool = False

    def part(self, size: int) -> slice:
        """Of ``size`` elements those wanted."""
        start = min(max(self.start, 0), size)
        return slice(start, size if self.count < 0 else min(start + self.count, size))


def find(db: Database, key: bytes) -> CollectionRow | None:
    """The row of what can be sorted. WRONGTYPE when ``key`` holds something else."""
    row = db.find(key)
    if row is not None and row.type not in (LIST, SET, ZSET):
        raise wrong_type()
    return row  # type: ignore[return-value]


def elements(db: Database, key: bytes, sorting: Sorting, lookups: int = 0) -> Iterator[bytes]:
    """The elements wanted, in order. ``lookups``: how many other keys the caller is going to look
    at for each of them. ReplyError when they should be numbers and are not."""
    row = find(db, key)
    if row is None:
        return iter(())
    part = sorting.part(row.count)
    wanted = max(part.stop - part.start, 0)
    if sorting.keeps_order and row.type != SET:
        db.tx.admit(wanted * (1 + lookups))
        return _in_order(db, key, row, part, sorting.descending) if wanted else iter(())
    pattern = None if sorting.by is None else Pattern.parse(sorting.by)
    db.tx.admit(row.count * (1 if pattern is None else 2) + wanted * lookups)
    found = _unsorted(db, row)
    # What is stored does not depend on how the set happens to be kept.
    if sorting.keeps_order and not sorting.exact and not sorting.for_script:
        return islice(found, part.start, part.stop)
    ordered: Iterator[bytes]
    if sorting.keeps_order:
        ordered = _ordered(_by_text(db, found, None, exact=True), itemgetter(0), sorting.descending)
    elif sorting.alpha:
        ranked = _by_text(db, found, pattern, exact=sorting.exact)
        ordered = _ordered(ranked, itemgetter(0), sorting.descending)
    else:
        ordered = _ordered(_by_number(db, found, pattern), None, sorting.descending)
    return islice(ordered, part.start, part.stop)


def _in_order(
    db: Database, key: bytes, row: CollectionRow, part: slice, descending: bool
) -> Iterator[bytes]:
    """A part, not empty, of a list or a sorted set in its own order, or in reverse."""
    number = part.stop - part.start
    if row.type == ZSET:
        first = row.count - 1 - part.start if descending else part.start
        ranked = view(db, row).ranked(first, reverse=descending)
        return (member for _, member in islice(ranked, number))
    if not descending:
        return iter(lists.part(db, key, part.start, part.stop - 1))
    return _backwards(lists.part(db, key, row.count - part.stop, row.count - 1 - part.start))


def _backwards(elements: Iterable[bytes]) -> Iterator[bytes]:
    """They go as they come: a million would not be freed at once."""
    found = list(elements)
    while found:
        yield found.pop()


def _unsorted(db: Database, row: CollectionRow) -> Iterator[bytes]:
    if row.type == LIST:
        return lists.items(db, row)
    if row.type == SET:
        return sets.members(db, row)
    return (member for member, _ in zset.items(db, row))


_Ranked = Iterator[tuple[Any, bytes]]
"""What an element goes by, and the element."""


def _by_text(
    db: Database, found: Iterator[bytes], pattern: Pattern | None, *, exact: bool
) -> _Ranked:
    """Those of which nothing is known come first."""
    seen = bytes if exact else _c_string
    if pattern is None:
        return ((seen(element), element) for element in found)
    texts = ((pattern.look_up(db, element), element) for element in found)
    return (
        ((False, b"") if text is None else (True, seen(text)), element) for text, element in texts
    )


def _by_number(db: Database, found: Iterator[bytes], pattern: Pattern | None) -> _Ranked:
    """Elements of the same number are in the order of their bytes; one of which nothing is known
    has 0."""
    if pattern is None:
        return ((_number(element), element) for element in found)
    return ((_number(pattern.look_up(db, element) or b""), element) for element in found)


_RUN = 4096


def _ordered(
    ranked: _Ranked, key: Callable[[tuple[Any, bytes]], Any] | None, descending: bool
) -> Iterator[bytes]:
    """The elements, sorted. Many are sorted, and freed, in runs that are merged: other threads
    would get no turn while that is done to a million at once."""
    runs = []
    while run := sorted(islice(ranked, _RUN), key=key, reverse=descending):
        runs.append(run)
    return _merged(runs, key, descending)


def _merged(
    runs: list[list[tuple[Any, bytes]]],
    key: Callable[[tuple[Any, bytes]], Any] | None,
    descending: bool,
) -> Iterator[bytes]:
    try:
        merged = merge(*runs, key=key, reverse=descending) if len(runs) > 1 else chain(*runs)
        for _, element in merged:
            yield element
    finally:
        for run in runs:
            run.clear()


def _c_string(text: bytes) -> bytes:
    return text.partition(b"\0")[0]


_NUMBER = re.compile(
    rb"[+-]?(?:(?:\d++\.?+\d*+|\.\d++)(?:e[+-]?\d++)?|inf(?:inity)?)", re.IGNORECASE
)


def _number(text: bytes) -> float:
    """A double as SORT reads it: up to the first NUL; nothing at all is 0, and what is too large
    infinite."""
    text = _c_string(text)
    if not text:
        return 0.0
    if _NUMBER.fullmatch(text) is None:
        raise ReplyError(SORT_NOT_FLOAT)
    return float(text)
