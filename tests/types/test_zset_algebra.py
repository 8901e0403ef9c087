"""Unions, intersections and differences of sorted sets and sets."""

from __future__ import annotations

import math

import pytest

from tendis_py.storage.database import Database
from tendis_py.types.set import members as sets
from tendis_py.types.zset import algebra as zset_algebra
from tendis_py.types.zset import members as zset
from tests.support.sorted_sets import fill
from tests.support.store import Store


def test_sums_of_infinities_are_zero(db: Database) -> None:
    zset.add(db, b"a", [(math.inf, b"m")])
    zset.add(db, b"b", [(-math.inf, b"m")])
    rows = zset_algebra.find_all(db, [b"a", b"b"])
    for operation in (zset_algebra.union, zset_algebra.intersection):
        assert list(operation(db, rows, [1.0, 1.0], zset_algebra.total)) == [(0.0, b"m")]
        assert list(operation(db, rows, [0.0, 0.0], zset_algebra.total)) == [(0.0, b"m")]


def test_sets_score_one(store: Store, db: Database) -> None:
    sets.add(db, b"s", [b"%05d" % n for n in range(0, 1000, 2)])
    fill(store, b"z", 600)
    rows = zset_algebra.find_all(db, [b"z", b"s", b"missing"])
    shared = zset_algebra.intersection(db, rows[:2], [1.0, 2.0], zset_algebra.total)
    assert sorted(shared) == [(n + 2.0, b"%05d" % n) for n in range(0, 600, 2)]
    assert zset_algebra.count_intersection(db, rows[:2], 10) == 10
    assert zset_algebra.count_intersection(db, rows[:2], 0) == 300
    assert zset_algebra.count_intersection(db, rows, 0) == 0
    left = zset_algebra.difference(db, rows)
    assert sorted(left) == [(float(n), b"%05d" % n) for n in range(1, 600, 2)]


def test_large_unions_are_merged(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, b"a", 300)
    fill(store, b"b", 200)
    zset.add(db, b"c", [(0.5, b"00007"), (-1.0, b"z"), (2.0, b"")])
    sets.add(db, b"s", [b"9", b"00008"])
    rows = zset_algebra.find_all(db, [b"a", b"b", b"c", b"s", b"missing"])
    weights = [1.0, -0.1, 3.0, 0.7, 2.0]
    for aggregate in (zset_algebra.total, zset_algebra.least, zset_algebra.greatest):
        in_memory = sorted(zset_algebra.union(db, rows, weights, aggregate))
        with monkeypatch.context() as patch:
            patch.setattr(zset_algebra, "_IN_MEMORY", 10)
            assert sorted(zset_algebra.union(db, rows, weights, aggregate)) == in_memory


def test_long_results_are_sorted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [(float(-n % 37), b"%d" % n) for n in range(1000)]
    monkeypatch.setattr(zset_algebra, "_SORTED_AT_ONCE", 64)
    assert list(zset_algebra.in_order(iter(pairs))) == sorted(pairs)
    assert list(zset_algebra.in_order(iter(()))) == []
