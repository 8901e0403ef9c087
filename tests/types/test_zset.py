"""Sorted sets: their forms, and what changes them."""

from __future__ import annotations

import math

import pytest

from tendis_py.errors import NOT_A_NUMBER, WRONG_TYPE, ReplyError, TooLargeError
from tendis_py.storage.codec import encoding_name
from tendis_py.storage.database import Database
from tendis_py.storage.families import ROWS, SCORE
from tendis_py.types.zset import algebra as zset_algebra
from tendis_py.types.zset import members as zset
from tendis_py.types.zset import ranges as zset_range
from tendis_py.types.zset.ranges import ByRank, ByScore
from tendis_py.types.zset.scores import is_negative_zero
from tests.support.sorted_sets import LONG, contents, fill, row_of
from tests.support.store import NOW, Store


def test_a_small_one_is_packed_and_read_back(store: Store, db: Database) -> None:
    zset.add(db, b"k", [(2.0, b"b"), (-math.inf, b""), (2.0, b"a\0"), (0.1, b"\xff")])
    store.commit()
    store.forget()
    assert encoding_name(row_of(db, b"k")) == "listpack"
    assert contents(db, b"k") == [(b"", -math.inf), (b"\xff", 0.1), (b"a\0", 2.0), (b"b", 2.0)]


@pytest.mark.parametrize("pairs", [[(1.0, LONG)], [(float(n), b"%d" % n) for n in range(129)]])
def test_a_large_one_has_rows(store: Store, db: Database, pairs: list[tuple[float, bytes]]) -> None:
    for pair in pairs:
        zset.add(db, b"k", [pair])
    store.commit()
    store.forget()
    row = row_of(db, b"k")
    assert encoding_name(row) == "skiplist"
    assert row.count == len(pairs)
    assert contents(db, b"k") == [(member, score) for score, member in pairs]


def test_what_the_row_of_a_small_one_holds_is_never_changed(store: Store, db: Database) -> None:
    zset.add(db, b"k", [(1.0, b"a"), (2.0, b"b")])
    store.commit()
    row = row_of(db, b"k")
    zset.add(db, b"k", [(3.0, b"a"), (4.0, b"c")])
    zset.remove(db, b"k", [b"b"])
    assert row.value.pairs == [(1.0, b"a"), (2.0, b"b")]
    assert row.value.scores == {b"a": 1.0, b"b": 2.0}
    store.tx.rollback_command()
    assert contents(db, b"k") == [(b"a", 1.0), (b"b", 2.0)]


def test_a_large_one_keeps_the_sign_of_zero_and_a_small_one_does_not(
    store: Store, db: Database
) -> None:
    zset.add(db, b"small", [(-0.0, b"a")])
    zset.store(db, b"stored", [(-0.0, b"a")])
    zset.add(db, b"large", [(0.0, b"b"), (0.0, LONG)])
    zset.add(db, b"large", [(-0.0, b"a")])
    zset.store(db, b"copy", ((score, member) for member, score in contents(db, b"large")))
    store.commit()
    store.forget()
    for key, minus in ((b"small", False), (b"stored", False), (b"large", True), (b"copy", True)):
        member, score = contents(db, key)[0]
        assert (member, is_negative_zero(score)) == (b"a", minus), key
        assert [
            is_negative_zero(score) for score in zset.scores(db, key, [b"a"]) if score is not None
        ] == [minus]


def test_adding_to_a_large_one_writes_two_rows_and_its_meta_row(store: Store, db: Database) -> None:
    fill(store, b"k", 200)
    zset.add(db, b"k", [(5.5, b"new")])
    assert (len(store.tx.families[ROWS]), len(store.tx.families[SCORE])) == (1, 1)
    assert len(store.tx.meta) == 1
    store.commit()
    zset.add(db, b"k", [(6.5, b"new")])
    assert (len(store.tx.families[ROWS]), len(store.tx.families[SCORE])) == (1, 2)
    assert not store.tx.meta
    store.commit()
    zset.add(db, b"k", [(6.5, b"new")])
    assert not store.tx.dirty


# Changing


def test_conditions_of_adding(db: Database) -> None:
    pairs = [(5.0, b"a"), (5.0, b"n")]
    zset.add(db, b"k", [(1.0, b"a")])
    assert zset.add(db, b"k", pairs, only_existing=True) == (0, 1)
    assert zset.add(db, b"k", [(9.0, b"a"), (1.0, b"n")], only_new=True) == (1, 0)
    assert zset.add(db, b"k", [(4.0, b"a"), (2.0, b"n")], only_greater=True) == (0, 1)
    assert zset.add(db, b"k", [(6.0, b"a"), (1.0, b"n")], only_less=True) == (0, 1)
    assert contents(db, b"k") == [(b"n", 1.0), (b"a", 5.0)]
    assert zset.add(db, b"missing", pairs, only_existing=True) == (0, 0)
    assert db.find(b"missing") is None


def test_a_sum_that_is_no_number_changes_nothing(db: Database) -> None:
    zset.add(db, b"k", [(math.inf, b"a")])
    with pytest.raises(ReplyError, match=NOT_A_NUMBER.replace("(", r"\(").replace(")", r"\)")):
        zset.increment(db, b"k", b"a", -math.inf)
    assert contents(db, b"k") == [(b"a", math.inf)]


def test_other_types_are_refused(store: Store, db: Database) -> None:
    store.put(b"s")
    for refused in (
        lambda: zset.scores(db, b"s", [b"a"]),
        lambda: zset.add(db, b"s", [(1.0, b"a")]),
        lambda: zset.remove(db, b"s", [b"a"]),
        lambda: zset_algebra.find_all(db, [b"missing", b"s"]),
    ):
        with pytest.raises(ReplyError, match=WRONG_TYPE):
            refused()


def test_store_overwrites_what_was_there(store: Store, db: Database) -> None:
    fill(store, b"large", 300)
    store.put(b"string", expire_at=NOW + 1000)
    assert zset.store(db, b"large", [(1.0, b"a")]) == 1
    assert zset.store(db, b"string", [(1.0, b"a")]) == 1
    assert contents(db, b"large") == contents(db, b"string") == [(b"a", 1.0)]
    assert row_of(db, b"string").expire_at == 0
    assert zset.store(db, b"string", []) == zset.store(db, b"missing", []) == 0
    assert db.find(b"string") is None
    store.commit()
    assert len(store.garbage()) == 1
    store.check()


@pytest.mark.parametrize("count", [200, 3000])
def test_the_source_of_a_result_may_be_its_target(store: Store, db: Database, count: int) -> None:
    fill(store, b"k", count)
    zset_range.store(db, b"k", b"k", ByRank(10, -1))
    rows = zset_algebra.find_all(db, [b"k", b"k"])
    zset.store(db, b"k", zset_algebra.union(db, rows, [1.0, 1.0], zset_algebra.total))
    store.commit()
    store.forget()
    assert contents(db, b"k") == [(b"%05d" % n, 2.0 * n) for n in range(10, count)]


def test_a_conversion_that_changes_no_score_leaves_no_rows_behind(store: Store) -> None:
    """Redis converts before it looks at scores; rows without a meta row would stay for ever."""
    zset.add(store.db, b"z", [(1.0, b"m")])
    store.commit()
    store.keyspace.limits.zset_max_listpack_entries = 0
    try:
        assert not zset.add_one(store.db, b"z", 1.0, b"m")
        assert zset.increment(store.db, b"z", b"m", 0.0) == 1.0
        assert zset.increment(store.db, b"z", b"m", 1.0, only_new=True) is None
        store.commit()
    finally:
        del store.keyspace.limits.zset_max_listpack_entries
    row = store.db.peek(b"z")
    assert row is not None
    prefixes = {key[:8] for key in store.engine.keys(ROWS, b"", None)}
    assert prefixes == {row.version.to_bytes(8, "big")}


# Lanes


def test_much_is_not_done_on_the_fast_lane(store: Store, db: Database) -> None:
    fill(store, b"k", 1000)
    row = row_of(db, b"k")
    store.tx.fast_rows = 100
    for large in (
        lambda: list(zset_range.select(db, row, ByRank(0, -1))),
        lambda: list(zset_range.select(db, row, ByScore(-math.inf, math.inf))),
        lambda: zset_range.count(db, row, ByScore(0, 5)),
        lambda: zset_range.remove(db, b"k", row, ByScore(0, 500)),
        lambda: zset.pop(db, b"k", row, 500),
        lambda: zset.store(db, b"t", zset_algebra.difference(db, [row, None])),
        lambda: zset.store(db, b"t", zset_algebra.intersection(db, [row], [1.0], max)),
        lambda: zset.store(db, b"t", zset_algebra.union(db, [row], [1.0], max)),
        lambda: zset.remove(db, b"k", [b"%d" % n for n in range(101)]),
        lambda: zset.add(db, b"t", [(1.0, b"%d" % n) for n in range(101)]),
    ):
        with pytest.raises(TooLargeError):
            large()
        assert not store.tx.undo
    assert len(list(zset_range.select(db, row, ByRank(0, 50)))) == 51
    assert len(list(zset_range.select(db, row, ByScore(0, 1000), limit=50))) == 50
