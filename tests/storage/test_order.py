"""The order index against a sorted list; chunks are small, so that they split and empty often."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tendis_py.storage import order
from tendis_py.storage.order import OrderIndex, OrderIndexes

KEYS = st.binary(max_size=2)


class Rows:
    """The sorted element keys an index is about, and how often and how many it has read."""

    def __init__(self, keys: list[bytes]) -> None:
        self.keys = keys
        self.reads = 0
        self.keys_read = 0

    def read(self, lower: bytes, upper: bytes | None, *, reverse: bool = False) -> Iterator[bytes]:
        self.reads += 1
        found = [key for key in self.keys if lower <= key and (upper is None or key < upper)]
        for key in reversed(found) if reverse else found:
            self.keys_read += 1
            yield key


def numbered(count: int) -> list[bytes]:
    return [b"%06d" % number for number in range(count)]


def check(index: OrderIndex, rows: Rows) -> None:
    """Every question has the answer a sorted list gives."""
    keys, read = rows.keys, rows.read
    assert index.size == len(keys)
    for rank, key in enumerate(keys):
        assert index.select(rank, read) == key
        assert index.rank(key, read) == rank
    assert list(index.iterate(0, read)) == keys
    assert list(index.iterate(len(keys) - 1, read, reverse=True)) == keys[::-1]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "CHUNK", 4)


class Machine(RuleBasedStateMachine):
    """Writes and questions in any order, the keys in memory forgotten now and then."""

    @initialize(keys=st.sets(KEYS, max_size=30), ends=st.booleans())
    def build(self, keys: set[bytes], ends: bool) -> None:
        self.rows = Rows(sorted(keys))
        self.index = OrderIndex.of_ends(len(keys)) if ends else OrderIndex(self.rows.keys)

    def _add(self, key: bytes) -> None:
        if key not in self.rows.keys:
            insort(self.rows.keys, key)
            self.index.add(key)

    @rule(key=KEYS)
    def add(self, key: bytes) -> None:
        self._add(key)

    @rule(first=st.integers(0, 255), count=st.integers(1, 25))
    def add_many_in_one_place(self, first: int, count: int) -> None:
        for second in range(count):
            self._add(bytes([first, second]))

    @rule(data=st.data(), count=st.integers(1, 12))
    def remove_neighbours(self, data: st.DataObject, count: int) -> None:
        if self.rows.keys:
            at = data.draw(st.integers(0, len(self.rows.keys) - 1))
            for key in self.rows.keys[at : at + count]:
                self.rows.keys.remove(key)
                self.index.discard(key)

    @rule()
    def remove_all(self) -> None:
        while self.rows.keys:
            self.index.discard(self.rows.keys.pop())

    @rule(count=st.integers(1, 12))
    def take_random(self, count: int) -> None:
        left = min(count, len(self.rows.keys))
        while left:
            taken = self.index.take_random(left, self.rows.read)
            assert 0 < len(set(taken)) <= left
            left -= len(taken)
            self.rows.keys = [key for key in self.rows.keys if key not in taken]

    @rule(count=st.integers(1, 12), highest=st.booleans())
    def take_end(self, count: int, highest: bool) -> None:
        keys = self.rows.keys
        taken = self.index.take_end(count, self.rows.read, highest=highest)
        assert taken == (keys[::-1] if highest else keys)[:count]
        self.rows.keys = [key for key in keys if key not in taken]

    @rule()
    def forget(self) -> None:
        self.index.forget()

    @rule()
    def forget_soon(self) -> None:
        self.index.forgetful = True

    @rule(key=KEYS)
    def rank(self, key: bytes) -> None:
        assert self.index.rank(key, self.rows.read) == bisect_left(self.rows.keys, key)

    @rule(data=st.data())
    def select(self, data: st.DataObject) -> None:
        if self.rows.keys:
            rank = data.draw(st.integers(0, len(self.rows.keys) - 1))
            assert self.index.select(rank, self.rows.read) == self.rows.keys[rank]

    @rule(rank=st.integers(0, 40), count=st.integers(0, 40), reverse=st.booleans())
    def iterate(self, rank: int, count: int, reverse: bool) -> None:
        found = list(islice(self.index.iterate(rank, self.rows.read, reverse=reverse), count))
        keys = self.rows.keys
        if rank >= len(keys):
            assert found == []
        else:
            assert found == (keys[rank::-1] if reverse else keys[rank:])[:count]

    @invariant()
    def it_adds_up(self) -> None:
        index = self.index
        assert order.CHUNK == 4
        assert index.size == sum(index._counts) == len(self.rows.keys)
        assert index.loaded == sum(len(keys) for keys in index._keys if keys)
        assert index._most >= max(index._counts)
        assert index._firsts[0] == b""
        assert index._firsts == sorted(set(index._firsts))
        assert all(index._counts) or len(index._counts) == 1
        for count, keys in zip(index._counts, index._keys, strict=True):
            assert keys is None or (len(keys) == count and count <= 2 * order.CHUNK)


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


TestOrderIndex = Machine.TestCase


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("rank", [0, -1])
def test_reads_do_not_cover_what_has_been_popped(rank: int, ends: bool) -> None:
    """The engine would walk over a tombstone for each of them."""
    rows = Rows(numbered(40))
    index = OrderIndex.of_ends(40) if ends else OrderIndex(rows.keys)
    popped: list[bytes] = []

    def read(lower: bytes, upper: bytes | None, *, reverse: bool = False) -> Iterator[bytes]:
        assert not [key for key in popped[: -order.CHUNK] if lower <= key < (upper or b"~")]
        return rows.read(lower, upper, reverse=reverse)

    for size in range(40, 0, -1):
        assert index.reaches(rank % size)
        popped.append(index.select(rank % size, read))
        rows.keys.remove(popped[-1])
        index.discard(popped[-1])
        index.forgetful = True
    assert rows.reads == 40
    assert rows.keys_read <= 40 * 2 * order.CHUNK


@pytest.mark.parametrize("highest", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_nor_when_one_of_them_comes_back(ends: bool, highest: bool) -> None:
    rows = Rows(numbered(40))
    index = OrderIndex.of_ends(40) if ends else OrderIndex(rows.keys)
    popped = index.take_end(20, rows.read, highest=highest)
    rows.keys = [key for key in rows.keys if key not in popped]
    insort(rows.keys, popped[3])
    index.add(popped[3])
    rows.keys_read = 0
    assert index.take_end(1, rows.read, highest=highest) == [popped[3]]
    assert rows.keys_read == 0
    rows.keys.remove(popped[3])
    way = rows.keys[::-1] if highest else rows.keys

    def read(lower: bytes, upper: bytes | None, *, reverse: bool = False) -> Iterator[bytes]:
        assert not [key for key in popped if lower <= key < (upper or b"~")]
        return rows.read(lower, upper, reverse=reverse)

    assert index.take_end(4, read, highest=highest) == way[:4]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9, 40])
def test_what_it_is_built_from(count: int) -> None:
    rows = Rows(numbered(count))
    check(OrderIndex(rows.keys), rows)


@given(st.lists(st.binary(max_size=12), unique=True, max_size=60))
@settings(max_examples=50)
def test_any_keys(keys: list[bytes]) -> None:
    rows = Rows(sorted(keys))
    check(OrderIndex(rows.keys), rows)


def test_a_chunk_that_has_grown_unread_is_cut_when_it_is_read() -> None:
    rows = Rows(numbered(8))
    index = OrderIndex(rows.keys)
    for number in range(20):
        insort(rows.keys, key := b"000004-%02d" % number)
        index.add(key)
    check(index, rows)
    assert max(index._counts) <= 2 * order.CHUNK


def test_the_last_chunk_may_grow_unread_and_be_read_backwards() -> None:
    rows = Rows(numbered(4))
    index = OrderIndex(rows.keys)
    for key in numbered(30)[4:]:
        rows.keys.append(key)
        index.add(key)
    assert list(index.iterate(29, rows.read, reverse=True)) == rows.keys[::-1]


def test_pops_at_both_ends_read_a_chunk_once() -> None:
    rows = Rows(numbered(40))
    index = OrderIndex(rows.keys)
    while rows.keys:
        lowest = index.select(0, rows.read)
        assert lowest == rows.keys.pop(0)
        index.discard(lowest)
        if rows.keys:
            highest = index.select(index.size - 1, rows.read)
            assert highest == rows.keys.pop()
            index.discard(highest)
    assert rows.reads == 10


@pytest.mark.parametrize("reverse", [False, True])
def test_of_ends_only_as_much_is_read_as_is_asked_for(reverse: bool) -> None:
    rows = Rows(numbered(40))
    index = OrderIndex.of_ends(40)
    last = 39 if reverse else 0
    way = rows.keys[::-1] if reverse else list(rows.keys)
    assert list(islice(index.iterate(last, rows.read, reverse=reverse), 6)) == way[:6]
    assert rows.keys_read == index.loaded == 8
    assert index.take_end(10, rows.read, highest=reverse) == way[:10]
    assert rows.keys_read == 12
    rows.keys = sorted(way[10:])
    assert not index.whole
    assert [rank for rank in range(30) if index.reaches(rank)] == [0, 1, 2, 3, 26, 27, 28, 29]
    check(index, rows)


def test_of_ends_writes_in_between_are_counted() -> None:
    rows = Rows(numbered(40))
    index = OrderIndex.of_ends(40)
    for key in (b"000020-", b"", b"~"):
        insort(rows.keys, key)
        index.add(key)
    rows.keys.remove(b"000030")
    index.discard(b"000030")
    assert index.select(0, rows.read) == b""
    assert index.select(41, rows.read) == b"~"
    assert rows.keys_read == 8
    check(index, rows)


@pytest.mark.parametrize("removed", [range(0), range(4, 20), range(24, 40)])
def test_random_keys_have_the_same_chance(removed: range) -> None:
    """In chunks that are all full, and where most are almost empty."""
    keys = numbered(40)
    left = [keys[number] for number in range(40) if number not in removed or number % 4 == 0]
    counts: Counter[bytes] = Counter()
    for _ in range(100 * len(left)):
        rows = Rows(list(keys))
        index = OrderIndex(keys)
        for key in set(keys) - set(left):
            rows.keys.remove(key)
            index.discard(key)
        counts.update(index.take_random(1, rows.read))
    assert sorted(counts) == left
    assert min(counts.values()) > 50
    assert max(counts.values()) < 160


def test_there_is_no_random_key_of_none() -> None:
    with pytest.raises(IndexError):
        OrderIndex([]).take_random(1, Rows([]).read)


def test_keys_are_forgotten_at_the_next_use() -> None:
    rows = Rows(numbered(40))
    index = OrderIndex(rows.keys)
    check(index, rows)
    assert index.loaded == 40
    index.forgetful = True
    assert index.select(0, rows.read) == rows.keys[0]
    assert index.loaded == 4
    assert not index.forgetful


def test_memory_is_about_what_is_loaded() -> None:
    rows = Rows(numbered(4000))
    index = OrderIndex(rows.keys)
    empty = index.memory
    assert list(index.iterate(0, rows.read)) == rows.keys
    assert index.memory - empty > 4000 * 60
    index.forget()
    assert index.memory == empty


# All of them


def filled(count: int) -> OrderIndex:
    rows = Rows(numbered(count))
    index = OrderIndex(rows.keys)
    check(index, rows)
    return index


def test_indexes_by_version_and_family() -> None:
    indexes = OrderIndexes(1 << 20)
    one, other = filled(4), filled(8)
    indexes.put(1, 1, one)
    indexes.put(1, 2, other)
    assert indexes.get(1, 1) is one
    assert indexes.get(1, 2) is other
    assert indexes.get(2, 1) is None
    assert len(indexes) == 2
    assert indexes.memory == one.memory + other.memory
    indexes.drop(1, 1)
    indexes.drop(1, 1)
    assert indexes.get(1, 1) is None
    indexes.clear()
    assert len(indexes) == 0


def test_trim_takes_keys_in_memory_first_then_the_oldest_indexes() -> None:
    indexes = OrderIndexes(0)
    built = [filled(40) for _ in range(3)]
    for version, index in enumerate(built):
        indexes.put(version, 1, index)
    indexes.limit = indexes.memory - 1
    indexes.trim()
    assert [index.forgetful for index in built] == [True, False, False]
    assert len(indexes) == 3
    boundaries = sum(len(index._firsts) * order._CHUNK_BYTES for index in built)
    indexes.limit = boundaries
    for index in built:
        index.forget()
    indexes.trim()
    assert len(indexes) == 3
    indexes.limit = boundaries - 1
    indexes.trim()
    assert [indexes.get(version, 1) for version in range(3)] == [None, *built[1:]]
    indexes.limit = 0
    indexes.trim()
    assert indexes.memory == 0


def test_what_a_new_index_may_keep_falls_with_what_others_have() -> None:
    indexes = OrderIndexes(filled(400).memory * 2)
    spare = indexes.spare_keys
    assert spare == indexes.limit // (2 * order._KEY_BYTES)
    indexes.put(1, 1, filled(400))
    assert spare // 2 - 1 <= indexes.spare_keys <= spare // 2
    for version in range(2, 5):
        indexes.put(version, 1, filled(400))
    assert indexes.spare_keys == 0
    indexes.trim()
    for version in range(1, 5):
        indexes.drop(version, 1)
    indexes.trim()
    assert indexes.spare_keys == spare
