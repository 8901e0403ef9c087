from __future__ import annotations

import math
import random
import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import NOT_A_NUMBER, WRONG_TYPE, ReplyError, TooLargeError
from tendis_py.storage import order
from tendis_py.storage.codec import CollectionRow, encoding_name
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements
from tendis_py.storage.families import ROWS, SCORE
from tendis_py.types import set as sets
from tendis_py.types import zset, zset_algebra, zset_forms, zset_range, zset_run
from tendis_py.types.scores import (
    after,
    before,
    decode_score,
    decode_scores,
    encode_score,
    is_negative_zero,
    pack_score,
    unpack_score,
)
from tendis_py.types.zset_range import ByMember, ByRank, ByScore
from tests.support.store import NOW, Store

SMALLEST = math.ulp(0.0)
LARGEST = math.nextafter(math.inf, 0)
LONG = b"x" * 65

scores = st.floats(allow_nan=False) | st.sampled_from(
    [0.0, -0.0, SMALLEST, -SMALLEST, LARGEST, -LARGEST, math.inf, -math.inf, 1.0, -1.0]
)


def row_of(db: Database, key: bytes) -> CollectionRow:
    row = zset.find(db, key)
    assert row is not None
    return row


def contents(db: Database, key: bytes) -> list[tuple[bytes, float]]:
    return list(zset.items(db, row_of(db, key)))


def fill(store: Store, key: bytes, count: int) -> None:
    """A large sorted set: member 00005 scores 5."""
    zset.store(store.db, key, ((float(n), b"%05d" % n) for n in range(count)))
    store.commit()


# Scores


@given(scores)
def test_a_score_survives_but_for_the_sign_of_zero(score: float) -> None:
    assert decode_score(encode_score(score)) == score
    assert decode_score(encode_score(score) + b"member") == score
    assert struct.pack(">d", unpack_score(pack_score(score))) == struct.pack(">d", score)


@given(st.lists(scores | st.sampled_from([0.0, -0.0, math.inf, -math.inf])))
def test_scores_together_are_as_alone(scores: list[float]) -> None:
    encoded = [encode_score(score) + b"member" for score in scores]
    alone = [struct.pack(">d", decode_score(one)) for one in encoded]
    assert [struct.pack(">d", score) for score in decode_scores(encoded)] == alone


@given(scores, scores)
def test_encoded_scores_are_in_the_order_of_numbers(first: float, second: float) -> None:
    one, other = encode_score(first), encode_score(second)
    assert (one < other, one == other) == (first < second, first == second)


def test_special_scores_in_order() -> None:
    ordered = [-math.inf, -LARGEST, -1.0, -SMALLEST, 0.0, SMALLEST, 1.0, LARGEST, math.inf]
    for lower, higher in pairwise(ordered):
        assert encode_score(lower) < encode_score(higher)
    assert encode_score(-0.0) == encode_score(0.0)


def test_a_negative_zero_is_told_from_others() -> None:
    assert is_negative_zero(-0.0)
    assert not any(map(is_negative_zero, (0.0, -1.0, -SMALLEST, -math.inf)))


@given(scores)
def test_nothing_lies_between_a_score_and_the_place_after_it(score: float) -> None:
    start, end = before(score), after(score)
    assert start is not None
    assert start <= (score, b"")
    assert end is None or (score, b"\xff" * 9) < end
    assert (end is None) == (score == math.inf)


# Forms


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
        assert [is_negative_zero(score or 0.0) for score in zset.scores(db, key, [b"a"])] == [
            minus
        ] or zset.scores(db, key, [b"a"]) == [score]


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


# Ranges, on both forms and with and without an order index

changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "pop", "pop run", "cut", "rank", "commit"]),
        st.integers(0, 40),
    ),
    max_size=40,
)


@settings(max_examples=100)
@given(changes=changes, large=st.booleans(), near_end=st.sampled_from([1, 128]), seed=st.integers())
def test_against_a_model(
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[tuple[str, int]],
    large: bool,
    near_end: int,
    seed: int,
) -> None:
    """With order indexes in chunks so small that most of them is not in memory."""
    store = Store(tmp_path_factory.mktemp("model") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "CHUNK", 4)
        patch.setattr(zset_forms, "NEAR_END", near_end)
        patch.setattr(zset_range, "NEAR_END", near_end)
        try:
            _play(store, changes, large, random.Random(seed))
        finally:
            store.engine.close()


def _play(store: Store, changes: list[tuple[str, int]], large: bool, dice: random.Random) -> None:
    db = store.db
    model: dict[bytes, float] = {LONG: 0.5} if large else {}
    model |= {b"%d" % n: dice.choice([0.0, 1.0, 2.0]) for n in range(20)}
    zset.add(db, b"k", [(score, member) for member, score in model.items()])
    for kind, number in changes:
        member = b"%d" % number
        if kind == "put":
            model[member] = dice.choice([-1.0, 0.0, 1.0, 2.0])
            zset.add(db, b"k", [(model[member], member)])
        elif kind == "remove":
            assert zset.remove(db, b"k", [member]) == (model.pop(member, None) is not None)
        elif kind == "commit":
            store.commit()
        elif model:
            ordered = sorted((score, member) for member, score in model.items())
            if kind == "pop":
                highest = bool(number % 2)
                popped = zset.pop(db, b"k", row_of(db, b"k"), 1, highest=highest)
                assert popped == [ordered[-1 if highest else 0]]
                del model[popped[0][1]]
            elif kind == "pop run":
                highest = bool(number % 2)
                run = zset_run.pop(db, b"k", number % 7 + 1, highest=highest)
                if run is not None:
                    assert run == (ordered[::-1] if highest else ordered)[: number % 7 + 1]
                    for _, member in run:
                        del model[member]
            elif kind == "cut":
                first, last = sorted((dice.randint(0, 25), dice.randint(0, 25)))
                zset_range.remove(db, b"k", row_of(db, b"k"), ByRank(first, last))
                for _, member in ordered[first : last + 1]:
                    del model[member]
            else:
                score, member = dice.choice(ordered)
                found = zset_range.rank(db, b"k", member)
                assert found == (ordered.index((score, member)), score)
        _compare(db, model, dice)


def _compare(db: Database, model: dict[bytes, float], dice: random.Random) -> None:
    if not model:
        assert db.find(b"k") is None
        return
    row = row_of(db, b"k")
    ordered = sorted((score, member) for member, score in model.items())
    assert row.count == len(ordered)
    low, high = dice.choice([-math.inf, -1.0, 0.0, 1.0]), dice.choice([0.0, 1.0, 2.0, math.inf])
    offset, limit = dice.choice([0, 1, 5]), dice.choice([-1, 0, 3])
    start, stop = dice.randint(-25, 25), dice.randint(-25, 25)
    for reverse in (False, True):
        way = ordered[::-1] if reverse else ordered
        found = zset_range.select(
            db, row, ByScore(low, high), reverse=reverse, offset=offset, limit=limit
        )
        between = [pair for pair in way if low <= pair[0] <= high][offset:]
        assert list(found) == (between if limit < 0 else between[:limit])
        first = max(start + len(way), 0) if start < 0 else start
        last = stop + len(way) if stop < 0 else stop
        chosen = zset_range.select(db, row, ByRank(start, stop), reverse=reverse)
        assert list(chosen) == way[first : max(last + 1, 0)]
    assert zset.scores(db, b"k", [b"5", LONG]) == [model.get(b"5"), model.get(LONG)]


def test_members_of_equal_score(store: Store, db: Database) -> None:
    zset.store(db, b"small", [(0.0, b"%02d" % n) for n in range(50)])
    zset.store(db, b"large", [(0.0, b"%02d" % n) for n in range(500)])
    store.commit()
    for key in (b"small", b"large"):
        row = row_of(db, key)
        wanted = ByMember(b"10", b"12\0")
        assert [member for _, member in zset_range.select(db, row, wanted)] == [
            member for member, _ in contents(db, key) if b"10" <= member <= b"12"
        ]
        assert zset_range.count(db, row, ByMember(b"", None)) == row.count
        assert zset_range.count(db, row, ByMember(b"", b"")) == 0
        assert zset_range.count(db, row, ByMember(b"20", b"10")) == 0


def test_members_of_several_scores_do_not_crash(store: Store, db: Database) -> None:
    fill(store, b"k", 300)
    row = row_of(db, b"k")
    assert zset_range.count(db, row, ByMember(b"", None)) == 300
    assert list(zset_range.select(db, row, ByMember(b"a", b"b"), reverse=True)) == []


def test_removing_ranges(store: Store, db: Database) -> None:
    fill(store, b"k", 1000)
    assert zset_range.remove(db, b"k", row_of(db, b"k"), ByRank(0, 9)) == 10
    assert zset_range.remove(db, b"k", row_of(db, b"k"), ByScore(-math.inf, 20, False, True)) == 10
    store.commit()
    assert contents(db, b"k")[:2] == [(b"00020", 20.0), (b"00021", 21.0)]
    row = row_of(db, b"k")
    for family in (ROWS, SCORE):
        assert len(list(Elements(db.tx, row.version, family).keys())) == row.count == 980
    assert zset_range.remove(db, b"k", row, ByRank(0, -1)) == 980
    store.commit()
    assert store.is_empty
    assert store.garbage() == [row.version]


def test_random_members(store: Store, db: Database) -> None:
    fill(store, b"large", 300)
    zset.store(db, b"small", [(float(n), b"%d" % n) for n in range(30)])
    for key in (b"large", b"small"):
        row = row_of(db, key)
        there = {(score, member) for member, score in contents(db, key)}
        some = list(zset_range.random(db, row, 20))
        assert len(set(some)) == 20
        assert set(some) <= there
        assert set(zset_range.random(db, row, 1000)) == there
        draws = list(zset_range.random(db, row, -1000))
        assert len(draws) == 1000
        assert len(set(draws)) > 20


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


# Several


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
