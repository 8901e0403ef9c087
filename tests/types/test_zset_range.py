"""Ranges, ranks and random members, on both forms and with and without an order index."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.storage import order
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements
from tendis_py.storage.families import ROWS, SCORE
from tendis_py.types.zset import forms as zset_forms
from tendis_py.types.zset import members as zset
from tendis_py.types.zset import ranges as zset_range
from tendis_py.types.zset import runs as zset_run
from tendis_py.types.zset.ranges import ByMember, ByRank, ByScore
from tests.support.sorted_sets import LONG, contents, fill, row_of
from tests.support.store import Store

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


@settings(max_examples=60)
@given(
    scores=st.lists(
        st.sampled_from([-math.inf, -2.5, -5e-324, 0.0, 5e-324, 1.0, 1.5, 1e300, math.inf]),
        min_size=1,
        max_size=30,
    ).map(sorted),
    bounds=st.lists(st.integers(-1, 31), min_size=2, max_size=2),
    large=st.booleans(),
)
def test_members_that_grow_with_their_scores(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float], bounds: list[int], large: bool
) -> None:
    store = Store(tmp_path_factory.mktemp("members") / "data")
    try:
        db = store.db
        pairs = [(score, b"%03d" % (n * 2)) for n, score in enumerate(scores)]
        pairs += [(math.inf, LONG)] if large else []
        zset.store(db, b"k", pairs)
        row = row_of(db, b"k")
        low, high = (b"%03d" % max(bound, 0) for bound in bounds)
        wanted = ByMember(b"" if bounds[0] < 0 else low, None if bounds[1] < 0 else high)
        right = [
            pair
            for pair in pairs
            if wanted.low <= pair[1] and (wanted.high is None or pair[1] < wanted.high)
        ]
        assert list(zset_range.select(db, row, wanted)) == right
        backwards = zset_range.select(db, row, wanted, reverse=True, offset=1, limit=3)
        assert list(backwards) == right[::-1][1:4]
        assert zset_range.count(db, row, wanted) == len(right)
        assert zset_range.remove(db, b"k", row, wanted) == len(right)
        assert zset.size(db, b"k") == len(pairs) - len(right)
    finally:
        store.engine.close()


def test_members_in_no_order_of_a_large_one(store: Store, db: Database) -> None:
    """Redis promises nothing; what comes is some of them, and what is counted is what comes."""
    pairs = [(float(n), b"%03d" % (n * 7919 % 1000)) for n in range(1000)]
    zset.store(db, b"k", pairs)
    store.commit()
    row = row_of(db, b"k")
    for low in range(0, 1000, 50):
        wanted = ByMember(b"%03d" % low, b"%03d" % (low + 100))
        found = list(zset_range.select(db, row, wanted))
        assert set(found) <= set(pairs)
        assert zset_range.count(db, row, wanted) == len(found)


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
