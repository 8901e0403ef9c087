"""Sets on the keyspace: what is packed comes back, and large ones are what small ones are."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import SET, CollectionRow, decode
from tendis_py.storage.database import Database
from tendis_py.types.set import algebra
from tendis_py.types.set import members as sets
from tendis_py.types.set import random as randomly
from tendis_py.types.set.members import HASHTABLE, INTSET, LISTPACK
from tests.support.store import NOW, Store

LATER = NOW + 5000


def numbers(*bounds: int) -> list[bytes]:
    return [b"%d" % number for number in range(*bounds)]


def names(*bounds: int) -> list[bytes]:
    return [b"member:%06d" % number for number in range(*bounds)]


def fill(store: Store, key: bytes, members: list[bytes]) -> None:
    sets.add(store.db, key, members)
    store.commit()


def row_of(db: Database, key: bytes) -> CollectionRow:
    row = sets.find(db, key)
    assert row is not None
    return row


def content(db: Database, key: bytes) -> set[bytes]:
    """The members, each of which has come once, and is counted."""
    row = sets.find(db, key)
    if row is None:
        return set()
    found = list(sets.members(db, row))
    assert len(set(found)) == len(found) == row.count
    assert all(sets.contains_many(db, row, found))
    return set(found)


# Packing

INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True)
STRINGS = st.lists(st.binary(max_size=80), min_size=1, unique=True)


@given(INTEGERS)
def test_an_intset_comes_back_in_order(integers: list[int]) -> None:
    row = CollectionRow(SET, tuple(sorted(integers)), len(integers), encoding=INTSET)
    assert decode(row.encode()).value == tuple(sorted(integers))


@given(STRINGS)
def test_a_listpack_comes_back_in_its_order(members: list[bytes]) -> None:
    row = CollectionRow(SET, dict.fromkeys(members), len(members), encoding=LISTPACK)
    assert list(decode(row.encode()).value) == members


@pytest.mark.parametrize(
    ("members", "encoding"),
    [
        ([b"3", b"1", b"2"], INTSET),
        ([b"b", b"a", b"1"], LISTPACK),
        ([b"x" * 65, b"", b"\0\xff"], HASHTABLE),
        (numbers(600), HASHTABLE),
        (names(129), HASHTABLE),
    ],
    ids=["intset", "listpack", "long", "many integers", "many names"],
)
def test_it_is_on_the_disk(store: Store, members: list[bytes], encoding: int) -> None:
    fill(store, b"s", members)
    store.reopen()
    assert row_of(store.db, b"s").encoding == encoding
    assert content(store.db, b"s") == set(members)


# Small to large


def test_adding_to_a_packed_set_leaves_the_row_that_was(store: Store) -> None:
    fill(store, b"s", [b"a", b"b"])
    before = row_of(store.db, b"s")
    sets.add(store.db, b"s", [b"c"])
    sets.remove(store.db, b"s", [b"a"])
    assert list(before.value) == [b"a", b"b"]
    store.tx.rollback_command()
    assert content(store.db, b"s") == {b"a", b"b"}


def test_a_set_keeps_its_deadline_when_it_grows(store: Store) -> None:
    fill(store, b"s", [b"a"])
    row = row_of(store.db, b"s")
    store.db.put(b"s", row.with_expiry(LATER), row)
    sets.add(store.db, b"s", names(200))
    assert row_of(store.db, b"s").expire_at == LATER
    store.commit()
    store.check()


def test_a_set_that_is_emptied_is_gone(store: Store) -> None:
    for members in ([b"1"], [b"a"], [b"x" * 65]):
        fill(store, b"s", members)
        assert sets.remove(store.db, b"s", [*members, b"none"]) == 1
        assert store.db.peek(b"s") is None
        store.commit()
        assert store.is_empty


# Random members


@pytest.mark.parametrize("members", [numbers(8), [b"a", b"b", b"c"], [*names(9), b"x" * 65]])
def test_any_member_may_be_popped(store: Store, members: list[bytes]) -> None:
    fill(store, b"s", members)
    left = set(members)
    while left:
        member = randomly.pop(store.db, b"s")
        assert member in left
        left.remove(member)
        assert content(store.db, b"s") == left
    assert randomly.pop(store.db, b"s") is None


@pytest.mark.parametrize(
    "members", [numbers(8), [b"%c" % letter for letter in b"abcdefgh"], [*names(7), b"x" * 65]]
)
def test_each_member_has_the_same_chance(store: Store, members: list[bytes]) -> None:
    random.seed(1)
    fill(store, b"s", members)
    row = row_of(store.db, b"s")
    one = Counter(randomly.random_member(store.db, row) for _ in range(4000))
    several = Counter(member for _ in range(2000) for member in randomly.sample(store.db, row, 2))
    repeated = Counter(randomly.draws(store.db, row, 4000))
    for drawn in (one, several, repeated):
        assert set(drawn) == set(members)
        assert all(400 < often < 600 for often in drawn.values())


@pytest.mark.parametrize("count", [1, 900, 1100, 2999, 3000, 5000])
def test_a_sample_has_different_members(store: Store, count: int) -> None:
    members = names(3000)
    fill(store, b"s", members)
    row = row_of(store.db, b"s")
    drawn = randomly.sample(store.db, row, count)
    assert len(drawn) == len(set(drawn)) == min(count, 3000)
    assert set(drawn) <= set(members)


@pytest.mark.parametrize("count", [1, 500, 1100, 7000])
def test_draws_may_repeat(store: Store, count: int) -> None:
    members = names(700)
    fill(store, b"s", members)
    drawn = list(randomly.draws(store.db, row_of(store.db, b"s"), count))
    assert len(drawn) == count
    assert set(drawn) <= set(members)
    if count == 7000:
        assert len(set(drawn)) > 600


@pytest.mark.parametrize("size", [5, 700, 3000])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_what_is_popped_is_gone_and_the_rest_is_there(
    store: Store, size: int, share: float
) -> None:
    members = names(size)
    fill(store, b"s", members)
    row = row_of(store.db, b"s")
    store.db.put(b"s", row.with_expiry(LATER), row)
    store.commit()
    popped = randomly.pop_many(store.db, b"s", int(size * share))
    assert len(popped) == len(set(popped)) == int(size * share)
    store.commit()
    store.forget()
    assert content(store.db, b"s") == set(members) - set(popped)
    if len(popped) < size:
        assert row_of(store.db, b"s").expire_at == LATER
    store.check()


@pytest.mark.parametrize(
    ("left", "encoding"), [(100, LISTPACK), (129, HASHTABLE), (400, HASHTABLE)]
)
def test_a_rest_may_be_packed_again(store: Store, left: int, encoding: int) -> None:
    fill(store, b"s", names(1200))
    randomly.pop_many(store.db, b"s", 1200 - left)
    assert row_of(store.db, b"s").encoding == encoding


# Algebra, against Python's own

SIZES = (0, 1, 40, 300, 2000, 9000)


# Runs of requests taken at once


def test_a_run_of_pops_is_many_pops(store: Store) -> None:
    """And a sixth one, of more members than there are, is left to others."""
    members = names(0, 1000)
    fill(store, b"s", members)
    popped: list[bytes | None] = []
    for _ in range(6):
        popped += randomly.pop_run(store.db, b"s", 190) or []
        store.tx.undo.clear()
    assert len(set(popped)) == len(popped) == 950
    assert content(store.db, b"s") == set(members) - set(popped)
    store.commit()
    assert content(store.db, b"s") == set(members) - set(popped)


def test_a_run_of_pops_from_nothing_and_from_a_small_set(db: Database) -> None:
    assert randomly.pop_run(db, b"s", 4) == [None] * 4
    sets.add(db, b"s", names(0, 9))
    assert randomly.pop_run(db, b"s", 4) is None
    assert content(db, b"s") == set(names(0, 9))


def test_a_run_of_additions(store: Store) -> None:
    fill(store, b"s", names(0, 200))
    assert sets.add_run(store.db, b"s", names(0, 5)) == [0] * 5
    assert not store.tx.dirty
    assert sets.add_run(store.db, b"s", names(198, 202) + names(199, 202)) == [0, 0, 1, 1, 0, 0, 0]
    assert content(store.db, b"s") == set(names(0, 202))
    sets.add(store.db, b"small", names(0, 5))
    assert sets.add_run(store.db, b"small", names(0, 5)) is None


def drawn_sets(store: Store, seed: int) -> list[tuple[bytes, set[bytes]]]:
    random.seed(seed)
    drawn = []
    for number, size in enumerate(random.choices(SIZES, k=4)):
        of = random.choice([numbers(12000), numbers(size * 2), names(size + size // 2)])
        members = set(random.sample(of, min(size, len(of))))
        key = b"source:%d" % number
        if members:
            fill(store, key, sorted(members))
        drawn.append((key, members))
    return drawn


@pytest.mark.parametrize("seed", range(12))
def test_algebra_is_that_of_sets(store: Store, seed: int) -> None:
    drawn = drawn_sets(store, seed)
    keys = [key for key, _ in drawn]
    values = [members for _, members in drawn]
    db = store.db
    rows = algebra.find_all(db, keys)
    union = set().union(*values)
    intersection = values[0].intersection(*values[1:])
    difference = values[0].difference(*values[1:])
    assert sorted(algebra.union(db, rows)) == sorted(union)
    assert sorted(algebra.intersection(db, rows)) == sorted(intersection)
    assert sorted(algebra.difference(db, keys, rows)) == sorted(difference)
    assert algebra.count_intersection(db, rows, 0) == len(intersection)
    assert algebra.count_intersection(db, rows, 5) == min(5, len(intersection))
    assert algebra.store_union(db, b"union", rows) == len(union)
    assert algebra.store_intersection(db, b"intersection", rows) == len(intersection)
    assert algebra.store_difference(db, keys[0], keys, rows) == len(difference)
    store.commit()
    store.forget()
    assert content(db, b"union") == union
    assert content(db, b"intersection") == intersection
    assert content(db, keys[0]) == difference
    store.check()


@pytest.mark.parametrize("ratio", [1, 3, 5, 100])
@pytest.mark.parametrize("common", [0, 50, 150])
def test_large_sets_are_merged_or_asked(store: Store, ratio: int, common: int) -> None:
    """Whether one set is a few times the other or many times, all or nothing of it is shared."""
    small, large = names(150), names(150 - common, 150 - common + 150 * ratio)
    fill(store, b"small", small)
    fill(store, b"large", large)
    keys = [b"small", b"large"]
    rows = algebra.find_all(store.db, keys)
    assert list(algebra.intersection(store.db, rows)) == sorted({*small} & {*large})
    assert list(algebra.difference(store.db, keys, rows)) == sorted({*small} - {*large})
    assert list(algebra.difference(store.db, keys[::-1], rows[::-1])) == sorted({*large} - {*small})


@pytest.mark.parametrize("first", [names(60), names(600)], ids=["small", "large"])
@pytest.mark.parametrize("others", [(1500, 0), (0, 1100), (30, 3)])
def test_sources_may_be_thousands(
    store: Store, first: list[bytes], others: tuple[int, int]
) -> None:
    """More small, or large, sets than Python's stack is deep."""
    shared = [*first[:50], b"common"]
    sets.add(store.db, b"first", [*first, b"common"])
    keys = [b"first"]
    for size, number in zip((3, 200), others, strict=True):
        own = [shared, names(1000, 1000 + size)]
        for each in range(number):
            keys.append(b"%d:%d" % (size, each))
            sets.add(store.db, keys[-1], [*own[0][each % 2 :], *own[1]])
    store.commit()
    rows = algebra.find_all(store.db, keys)
    assert set(algebra.intersection(store.db, rows)) == {*shared[1:]}
    assert set(algebra.difference(store.db, keys, rows)) == {*first} - {*shared}
    assert algebra.count_intersection(store.db, rows, 7) == 7


def test_many_sources_ask_for_the_slow_lane(store: Store) -> None:
    store.tx.fast_rows = 100
    with pytest.raises(TooLargeError):
        algebra.find_all(store.db, numbers(101))


def test_what_a_batch_has_written_takes_part(store: Store) -> None:
    fill(store, b"a", names(200))
    fill(store, b"b", names(100, 300))
    sets.remove(store.db, b"a", names(100, 150))
    sets.add(store.db, b"a", names(290, 295))
    rows = algebra.find_all(store.db, [b"a", b"b"])
    assert set(algebra.intersection(store.db, rows)) == {*names(150, 200), *names(290, 295)}
    assert len(list(algebra.union(store.db, rows))) == 300 - 50 + 50


def test_a_stored_result_leaves_what_was_there_to_the_reclaimer(store: Store) -> None:
    fill(store, b"a", names(1000))
    fill(store, b"b", names(500, 2000))
    version = row_of(store.db, b"a").version
    assert algebra.store_union(store.db, b"a", algebra.find_all(store.db, [b"a", b"b"])) == 2000
    store.commit()
    assert store.garbage() == [version]
    store.reopen()
    assert content(store.db, b"a") == set(names(2000))


def test_what_is_large_asks_for_the_slow_lane_before_it_writes(store: Store) -> None:
    fill(store, b"a", names(3000))
    fill(store, b"b", names(2000, 4000))
    fill(store, b"few", names(1990, 2010))
    store.tx.fast_rows = 2048
    db = store.db
    row = row_of(db, b"a")
    both = algebra.find_all(db, [b"a", b"b"])
    with pytest.raises(TooLargeError):
        algebra.store_union(db, b"d", both)
    with pytest.raises(TooLargeError):
        algebra.intersection(db, both)
    with pytest.raises(TooLargeError):
        randomly.pop_many(db, b"a", 2500)
    with pytest.raises(TooLargeError):
        sets.add(db, b"new", names(3000))
    with pytest.raises(TooLargeError):
        randomly.draws(db, row, 5000)
    assert not store.tx.dirty
    few = algebra.find_all(db, [b"a", b"b", b"few"])
    assert algebra.count_intersection(db, few, 0) == 10
    assert list(algebra.difference(db, [b"few", b"a"], [few[2], few[0]])) == []
