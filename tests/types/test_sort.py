"""SORT beyond what the transcripts ask of Redis: patterns, many elements, claims."""

from __future__ import annotations

import random

import pytest

import tendis_py.commands  # declares them  # noqa: F401
from tendis_py.commands.registry import REGISTRY
from tendis_py.errors import TooLargeError
from tendis_py.session import Session
from tendis_py.stages.connection import GONE
from tendis_py.stages.plan import plan
from tendis_py.storage.database import Database
from tendis_py.types import sort as sorts
from tendis_py.types.list import elements as lists
from tendis_py.types.sort import Pattern, Sorting


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (b"nosort", None),
        (b"", None),
        (b"a->b", None),
        (b"*", Pattern(b"", b"", None)),
        (b"w_*", Pattern(b"w_", b"", None)),
        (b"a*b*c", Pattern(b"a", b"b*c", None)),
        (b"o_*->f", Pattern(b"o_", b"", b"f")),
        (b"o_*_x->f->g*", Pattern(b"o_", b"_x", b"f->g*")),
        (b"a->b*", Pattern(b"a->b", b"", None)),
        (b"o_*->", Pattern(b"o_", b"->", None)),
    ],
)
def test_patterns(text: bytes, pattern: Pattern | None) -> None:
    assert Pattern.parse(text) == pattern


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("part", [slice(0, None), slice(0, 10), slice(7000, 7100)])
def test_many_are_sorted_as_few_are(
    db: Database, alpha: bool, descending: bool, part: slice
) -> None:
    numbers = [random.Random(1).randrange(5000) for _ in range(10_000)]
    lists.store(db, b"many", (b"%d" % number for number in numbers))
    count = -1 if part.stop is None else part.stop - part.start
    sorting = Sorting(alpha=alpha, descending=descending, start=part.start, count=count)
    texts = [b"%d" % number for number in numbers]
    right = sorted(texts, key=None if alpha else int, reverse=descending)[part]
    assert list(sorts.elements(db, b"many", sorting)) == right


def test_equal_texts_keep_their_order_however_many(db: Database) -> None:
    texts = [b"%d\0%d" % (number % 3, number) for number in range(10_000)]
    lists.store(db, b"many", texts)
    for descending in (False, True):
        right = sorted(texts, key=lambda text: text[:1], reverse=descending)
        found = list(sorts.elements(db, b"many", Sorting(alpha=True, descending=descending)))
        assert found == right


def test_a_part_in_its_own_order_does_not_read_the_rest(db: Database) -> None:
    lists.store(db, b"many", (b"%d" % number for number in range(10_000)))
    db.tx.fast_rows = 100
    sorting = Sorting(keeps_order=True, start=5000, count=3)
    assert list(sorts.elements(db, b"many", sorting)) == [b"5000", b"5001", b"5002"]
    sorting = Sorting(keeps_order=True, start=5000, count=3, descending=True)
    assert list(sorts.elements(db, b"many", sorting)) == [b"4999", b"4998", b"4997"]
    with pytest.raises(TooLargeError):
        sorts.elements(db, b"many", Sorting())


ALL_KEYS = None


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("SORT a", {b"a"}),
        ("SORT a STORE b STORE c", {b"a", b"b", b"c"}),
        ("SORT a BY nosort GET #", {b"a"}),
        ("SORT a BY w_*", ALL_KEYS),
        ("SORT a get w_*->f STORE b", ALL_KEYS),
        ("SORT_RO a BY w_*", ALL_KEYS),
        ("SORT_RO a", {b"a"}),
        ("SORT", set()),
        ("GEORADIUS a 1 2 3 m STORE b STORE c storedist d", {b"a", b"b", b"c", b"d"}),
        ("GEORADIUS a 1 2 3 m STOREDIST STORE STORE b", {b"a", b"STORE", b"b"}),
        ("GEORADIUSBYMEMBER a m 3 m STORE b STORE c", {b"a", b"b", b"c"}),
        ("GEORADIUS", set()),
    ],
)
def test_whatever_is_read_or_written_is_claimed(text: str, claims: set[bytes] | None) -> None:
    request = text.encode().split()
    assert REGISTRY.find(request) is not None
    found = plan(Session(GONE), [request]).keys
    if claims is ALL_KEYS:
        assert found is None
    else:
        assert found is not None
        assert found >= claims


@pytest.mark.parametrize("descending", [False, True])
def test_many_in_their_own_order(db: Database, descending: bool) -> None:
    texts = [b"%d" % number for number in range(10_000)]
    lists.store(db, b"many", texts)
    sorting = Sorting(keeps_order=True, descending=descending, start=3, count=5000)
    right = (texts[::-1] if descending else texts)[3:5003]
    assert list(sorts.elements(db, b"many", sorting)) == right
