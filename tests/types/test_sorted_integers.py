"""Sorted integers on the keyspace: as a Python set in order, small and large."""

from __future__ import annotations

import random
import shutil
import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tendis_py.errors import ReplyError, TooLargeError
from tendis_py.storage.codec import SORTEDINT, CollectionRow, decode
from tendis_py.storage.database import Database
from tendis_py.storage.limits import DefaultLimits
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import keys
from tendis_py.types import sorted_integers as integers
from tendis_py.types.set import members as sets
from tendis_py.types.sorted_integers import END, INTSET, SKIPLIST
from tests.support.store import NOW, Store

LATER = NOW + 5000
MOST = DefaultLimits.set_max_intset_entries
HUGE = END - 1

NUMBERS = st.integers(0, HUGE) | st.integers(0, 30) | st.integers(HUGE - 30, HUGE)


def fill(store: Store, key: bytes, numbers: list[int]) -> None:
    integers.add(store.db, key, numbers)
    store.commit()


def row_of(db: Database, key: bytes) -> CollectionRow:
    row = integers.find(db, key)
    assert row is not None
    return row


def content(db: Database, key: bytes) -> list[int]:
    """All, which are counted, and found one by one."""
    row = integers.find(db, key)
    if row is None:
        return []
    found = list(integers.select(db, row))
    assert len(found) == row.count
    assert all(integers.contains_many(db, row, found))
    return found


def expected(
    numbers: list[int], low: int, end: int, *, reverse: bool, offset: int, limit: int
) -> list[int]:
    chosen = [number for number in sorted(numbers, reverse=reverse) if low <= number < end]
    return chosen[offset:][: limit or None]


@given(st.lists(NUMBERS, min_size=1, unique=True))
def test_small_ones_come_back_in_order(numbers: list[int]) -> None:
    row = CollectionRow(SORTEDINT, tuple(sorted(numbers)), len(numbers), encoding=INTSET)
    assert decode(row.encode()).value == tuple(sorted(numbers))


@pytest.mark.parametrize(
    ("numbers", "encoding"),
    [
        ([3, 1, HUGE, 0, 2], INTSET),
        (list(range(MOST)), INTSET),
        (list(range(MOST, -1, -1)), SKIPLIST),
        ([HUGE - number * number for number in range(3000)], SKIPLIST),
        ([7] * 3000, SKIPLIST),
    ],
    ids=["few", "as many as fit", "one more", "very many", "the same again and again"],
)
def test_they_are_on_the_disk(store: Store, numbers: list[int], encoding: int) -> None:
    fill(store, b"s", numbers)
    store.reopen()
    assert row_of(store.db, b"s").encoding == encoding
    assert content(store.db, b"s") == sorted(set(numbers))


def test_a_thousand_that_are_there_already_leave_nothing_without_an_owner(store: Store) -> None:
    """They make a large one of it, as of a set, and none is added."""
    fill(store, b"s", [1, 2, 3])
    assert integers.add(store.db, b"s", [1, 2, 3] * ITEMS_AT_ONCE) == 0
    store.commit()
    assert row_of(store.db, b"s").version
    assert store.garbage() == []
    assert content(store.db, b"s") == [1, 2, 3]


def test_adding_to_small_ones_leaves_the_row_that_was(store: Store) -> None:
    fill(store, b"s", [1, 5])
    before = row_of(store.db, b"s")
    integers.add(store.db, b"s", [3])
    integers.remove(store.db, b"s", [1])
    assert before.value == (1, 5)
    store.tx.rollback_command()
    assert content(store.db, b"s") == [1, 5]


def test_they_keep_their_deadline_when_they_grow(store: Store) -> None:
    fill(store, b"s", [1])
    row = row_of(store.db, b"s")
    store.db.put(b"s", row.with_expiry(LATER), row)
    for number in (3 * ITEMS_AT_ONCE, 600):
        integers.add(store.db, b"s", list(range(number)))
        assert row_of(store.db, b"s").expire_at == LATER
        store.commit()
        store.check()


@pytest.mark.parametrize("size", [3, 600])
def test_those_whose_time_has_come_are_begun_anew(store: Store, size: int) -> None:
    fill(store, b"s", list(range(size)))
    row = row_of(store.db, b"s")
    store.db.put(b"s", row.with_expiry(LATER), row)
    store.commit(now=LATER)
    assert integers.find(store.db, b"s") is None
    assert integers.add(store.db, b"s", [1]) == 1
    store.commit()
    assert content(store.db, b"s") == [1]
    assert row_of(store.db, b"s").expire_at == 0
    store.check()


@pytest.mark.parametrize("numbers", [[1, 2], list(range(600))])
def test_those_that_are_emptied_are_gone(store: Store, numbers: list[int]) -> None:
    fill(store, b"s", numbers)
    assert integers.remove(store.db, b"s", [*numbers, *numbers, 999]) == len(numbers)
    assert store.db.peek(b"s") is None
    assert integers.remove(store.db, b"s", numbers) == 0
    store.commit()
    assert store.is_empty


def test_another_type_is_in_the_way(db: Database) -> None:
    sets.add(db, b"set", [b"1"])
    integers.add(db, b"s", [1])
    for call in (integers.add, integers.remove):
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            call(db, b"set", [1])
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        integers.find(db, b"set")
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        sets.add(db, b"s", [b"1"])


# Ranges


@pytest.mark.parametrize("size", [0, 1, 30, 600, 5000])
@pytest.mark.parametrize("with_order", [False, True])
def test_a_range_is_a_slice(store: Store, size: int, with_order: bool) -> None:
    draw = random.Random(size)
    numbers = draw.sample(range(4 * size), size)
    db = store.db
    integers.add(db, b"s", [*numbers, 0, HUGE])
    numbers = content(db, b"s")
    store.commit()
    row = row_of(db, b"s")
    if with_order and row.version:
        list(integers.select(db, row, offset=1000, limit=1))
    for _ in range(150):
        bounds = [*draw.choices(numbers, k=2), draw.randrange(4 * size + 1), 0, END]
        low, end = draw.choice(bounds), draw.choice(bounds)
        page = {
            "reverse": draw.random() < 0.5,
            "offset": draw.choice([0, 1, 7, 511, 512, 513, 2000, HUGE]),
            "limit": draw.choice([0, 1, 10, 700, HUGE]),
        }
        found = list(integers.select(db, row, low, end, **page))
        assert found == expected(numbers, low, end, **page), (low, end, page)


def test_what_is_long_asks_for_the_slow_lane_before_it_writes(store: Store) -> None:
    fill(store, b"s", list(range(3000)))
    store.tx.fast_rows = 2048
    db = store.db
    row = row_of(db, b"s")
    many = list(range(4000, 7000))
    for ask in (
        lambda: integers.add(db, b"s", many),
        lambda: integers.add(db, b"new", many),
        lambda: integers.remove(db, b"s", many),
        lambda: integers.contains_many(db, row, many),
        lambda: integers.select(db, row),
        lambda: integers.select(db, row, offset=1000, limit=1),
        lambda: keys.copy(db, b"s", db, b"copy"),
    ):
        with pytest.raises(TooLargeError):
            ask()
    assert not store.tx.dirty
    assert list(integers.select(db, row, 10, limit=2)) == [10, 11]
    store.tx.fast_rows = 0
    list(integers.select(db, row, offset=1000, limit=1))
    store.tx.fast_rows = 2048
    assert list(integers.select(db, row, offset=1000, limit=2)) == [1000, 1001]
    with pytest.raises(TooLargeError):
        integers.select(db, row)


# Runs of requests taken at once


def test_a_run_of_additions(store: Store) -> None:
    fill(store, b"s", list(range(600)))
    db = store.db
    assert integers.add_run(db, b"s", [0, 1, 599]) == [0, 0, 0]
    assert not store.tx.dirty
    assert integers.add_run(db, b"s", [599, 600, 601, 600, HUGE]) == [0, 1, 1, 0, 1]
    assert content(db, b"s") == [*range(602), HUGE]
    integers.add(db, b"small", [1])
    assert integers.add_run(db, b"small", [1, 2]) is None
    assert integers.add_run(db, b"none", [1, 2]) is None
    assert content(db, b"small") == [1]


# Against a plain model

FEW = [b"a", b"b", b"c"]
KEYS = st.sampled_from(FEW)
SOME = st.lists(NUMBERS, min_size=1, max_size=12)


class Model(RuleBasedStateMachine):
    """Commands of this type and those about keys of any, commits, failures, restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root / "data")
        self.keep_low()
        self.model: dict[bytes, set[int]] = {}
        self.durable: dict[bytes, set[int]] = {}

    def keep_low(self) -> None:
        """Have them get large soon."""
        limits = DefaultLimits()
        limits.set_max_intset_entries = 6
        self.store.keyspace.limits = limits

    def teardown(self) -> None:
        self.store.engine.close()
        shutil.rmtree(self.root)

    @property
    def db(self) -> Database:
        return self.store.db

    def copied(self) -> dict[bytes, set[int]]:
        return {key: set(numbers) for key, numbers in self.model.items()}

    def settle(self, key: bytes, numbers: set[int]) -> None:
        if numbers:
            self.model[key] = numbers
        else:
            self.model.pop(key, None)

    @rule(key=KEYS, new=SOME)
    def add(self, key: bytes, new: list[int]) -> None:
        before = self.model.get(key, set())
        assert integers.add(self.db, key, new) == len(before | set(new)) - len(before)
        self.settle(key, before | set(new))

    @rule(key=KEYS, start=st.integers(0, 50), size=st.integers(1, 40))
    def add_a_stretch(self, key: bytes, start: int, size: int) -> None:
        self.add(key, list(range(start, start + size)))

    @rule(key=KEYS, new=SOME)
    def add_one_by_one(self, key: bytes, new: list[int]) -> None:
        run = integers.add_run(self.db, key, new)
        before = self.model.get(key, set())
        if run is not None:
            assert sum(run) == len(before | set(new)) - len(before)
            self.settle(key, before | set(new))

    @rule(key=KEYS, unwanted=SOME, share=st.integers(0, 4))
    def remove(self, key: bytes, unwanted: list[int], share: int) -> None:
        before = self.model.get(key, set())
        unwanted += islice(sorted(before), len(before) * share // 4)
        assert integers.remove(self.db, key, unwanted) == len(before & set(unwanted))
        self.settle(key, before - set(unwanted))

    @rule(key=KEYS, wanted=SOME)
    def ask(self, key: bytes, wanted: list[int]) -> None:
        row = integers.find(self.db, key)
        known = self.model.get(key)
        assert (row is None) == (known is None)
        if row is not None and known is not None:
            there = integers.contains_many(self.db, row, wanted)
            assert there == [number in known for number in wanted]

    @rule(
        key=KEYS,
        bounds=st.tuples(NUMBERS, NUMBERS.map(lambda number: number + 1)),
        reverse=st.booleans(),
        offset=st.integers(0, 9) | st.integers(510, 520),
        limit=st.integers(0, 9),
    )
    def list_some(
        self, key: bytes, bounds: tuple[int, int], reverse: bool, offset: int, limit: int
    ) -> None:
        row = integers.find(self.db, key)
        if row is not None:
            found = integers.select(
                self.db, row, *bounds, reverse=reverse, offset=offset, limit=limit
            )
            numbers = list(self.model[key])
            assert list(found) == expected(
                numbers, *bounds, reverse=reverse, offset=offset, limit=limit
            )

    @rule(source=KEYS, other=KEYS)
    def copy(self, source: bytes, other: bytes) -> None:
        copied = keys.copy(self.db, source, self.db, other, replace=True)
        assert copied == (source in self.model)
        if copied:
            self.model[other] = set(self.model[source])

    @precondition(lambda self: self.model)
    @rule(data=st.data(), other=KEYS)
    def rename(self, data: st.DataObject, other: bytes) -> None:
        source = data.draw(st.sampled_from(sorted(self.model)))
        keys.rename(self.db, source, other)
        self.model[other] = self.model.pop(source)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        assert keys.delete(self.db, [key]) == (self.model.pop(key, None) is not None)

    @rule()
    def commit(self) -> None:
        self.store.commit()
        self.durable = self.copied()

    @rule()
    def fail(self) -> None:
        self.store.tx.rollback()
        self.store.tx.begin(NOW)
        self.model = {key: set(numbers) for key, numbers in self.durable.items()}

    @rule()
    def forget(self) -> None:
        self.store.forget()

    @rule()
    def crash(self) -> None:
        self.store.reopen()
        self.keep_low()
        self.model = {key: set(numbers) for key, numbers in self.durable.items()}

    @invariant()
    def all_is_there(self) -> None:
        for key in FEW:
            assert content(self.db, key) == sorted(self.model.get(key, ()))


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=35, stateful_step_count=25, deadline=None)


@pytest.mark.soak
class TestModelAtLength(Model.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=1000, stateful_step_count=25, deadline=None)
