"""Lists on a keyspace: a plain model, runs, and much at once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tendis_py.errors import INDEX_RANGE, NO_SUCH_KEY, WRONG_TYPE, ReplyError, TooLargeError
from tendis_py.storage import order
from tendis_py.storage.codec import LIST, CollectionRow, encoding_name
from tendis_py.storage.database import Database
from tendis_py.storage.families import ROWS
from tendis_py.storage.limits import DefaultLimits
from tendis_py.types import collection, listpack
from tendis_py.types.list import edit as list_edit
from tendis_py.types.list import elements as lists
from tendis_py.types.list import rows as list_rows
from tests.support.store import NOW, Store

KEY = b"list"
OTHER = b"other"


class Limits(DefaultLimits):
    def __init__(self, list_max_listpack_size: int) -> None:
        self.list_max_listpack_size = list_max_listpack_size


def row_of(db: Database, key: bytes = KEY) -> CollectionRow:
    row = collection.peek(db, key, LIST)
    assert row is not None
    return row


def content(db: Database, key: bytes = KEY) -> list[bytes]:
    row = collection.peek(db, key, LIST)
    return [] if row is None else list(lists.items(db, row))


def encoding(db: Database, key: bytes = KEY) -> str:
    return encoding_name(row_of(db, key))


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def large(store: Store, values: list[bytes], key: bytes = KEY) -> Database:
    """A list of ``values`` in rows, however few they are."""
    store.keyspace.limits = Limits(1)
    lists.store(store.db, key, values)
    store.commit()
    return store.db


# A model

COUNTS = [0, 1, 2, 3, -1, -2]


class Model:
    """Does everything to a list on the keyspace and to a Python list."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.db = store.db
        self.random = random.Random(seed)
        self.wanted: dict[bytes, list[bytes]] = {KEY: [], OTHER: []}

    def step(self) -> None:
        key = self.random.choice([KEY, KEY, OTHER])
        operation = self.random.choice(OPERATIONS)
        operation(self, key, self.wanted[key])
        if self.random.random() < 0.3:
            self.store.commit()
        else:
            self.store.tx.undo.clear()
        if self.random.random() < 0.1:
            self.store.forget()
        if self.random.random() < 0.05:
            self.store.keyspace.orders.clear()
        self.check(key, self.wanted[key])

    def value(self) -> bytes:
        return self.random.choice([b"x", b"x", b"y", b"z", b"7", b"1000", b"l" * 70])

    def left(self) -> bool:
        return self.random.random() < 0.5

    def push(self, key: bytes, wanted: list[bytes]) -> None:
        values = [self.value() for _ in range(self.random.randint(1, 4))]
        left = self.left()
        wanted[:] = values[::-1] + wanted if left else wanted + values
        assert lists.push(self.db, key, values, left=left) == len(wanted)

    def pop(self, key: bytes, wanted: list[bytes]) -> None:
        count = self.random.choice([1, 1, 1, 2, 3])
        left = self.left()
        popped = lists.pop(self.db, key, count, left=left)
        assert popped == ((wanted[:count] if left else wanted[::-1][:count]) or None)
        wanted[:] = wanted[count:] if left else wanted[: max(len(wanted) - count, 0)]

    def push_run(self, key: bytes, wanted: list[bytes]) -> None:
        values = [self.value() for _ in range(self.random.randint(1, 6))]
        left, before = self.left(), len(wanted)
        lengths = lists.push_run(self.db, key, values, left=left)
        if lengths is not None:
            assert lengths == list(range(before + 1, before + len(values) + 1))
            wanted[:] = values[::-1] + wanted if left else wanted + values

    def pop_run(self, key: bytes, wanted: list[bytes]) -> None:
        left = self.left()
        popped = [(wanted.pop(0 if left else -1) if wanted else None) for _ in range(4)]
        assert lists.pop_run(self.db, key, 4, left=left) == popped

    def insert(self, key: bytes, wanted: list[bytes]) -> None:
        pivot, value = self.value(), self.value()
        after = self.left()
        known = bool(wanted)
        found = pivot in wanted
        if found:
            wanted.insert(wanted.index(pivot) + after, value)
        size = list_edit.insert(self.db, key, pivot, value, after=after)
        assert size == (len(wanted) if found else -1 if known else 0)

    def remove(self, key: bytes, wanted: list[bytes]) -> None:
        count, element = self.random.choice(COUNTS), self.value()
        places = [at for at, value in enumerate(wanted) if value == element]
        if count:
            places = places[:count] if count > 0 else places[count:]
        wanted[:] = [value for at, value in enumerate(wanted) if at not in places]
        assert list_edit.remove(self.db, key, count, element) == len(places)

    def trim(self, key: bytes, wanted: list[bytes]) -> None:
        first, last = self.random.choice([0, 0, 1, 2, -30]), self.random.choice([-1, -1, -2, 30])
        stop = len(wanted) + last + 1 if last < 0 else last + 1
        first_kept = max(first + len(wanted), 0) if first < 0 else first
        wanted[:] = wanted[first_kept : max(stop, 0)]
        list_edit.trim(self.db, key, first, last)

    def replace(self, key: bytes, wanted: list[bytes]) -> None:
        if wanted:
            index = self.random.randrange(-len(wanted), len(wanted))
            wanted[index] = self.value()
            row = list_edit.existing(self.db, key)
            assert list_edit.replace(self.db, key, index, wanted[index], row)

    def move(self, key: bytes, wanted: list[bytes]) -> None:
        target = self.random.choice([KEY, OTHER])
        from_left, to_left = self.left(), self.left()
        moved = lists.move(self.db, key, target, from_left=from_left, to_left=to_left)
        if not wanted:
            assert moved is None
            return
        assert moved == wanted.pop(0 if from_left else -1)
        self.wanted[target].insert(0 if to_left else len(self.wanted[target]), moved)

    def check(self, key: bytes, wanted: list[bytes]) -> None:
        row = collection.peek(self.db, key, LIST)
        if row is None:
            assert not wanted
            return
        assert row.count == len(wanted)
        assert list(lists.items(self.db, row)) == wanted
        assert list(lists.items(self.db, row, reverse=True)) == wanted[::-1]
        assert list(lists.part(self.db, key, 0, -1)) == wanted
        assert list(lists.part(self.db, key, 2, -2)) == wanted[2:-1]
        index = self.random.randrange(-len(wanted), len(wanted))
        assert lists.at(self.db, row, index) == wanted[index]
        assert row.encoding == bool(row.version)
        size = listpack.EMPTY + listpack.entries_size(wanted)
        assert row.value.size in ((0, size) if row.version else (size,))

    def check_rows(self) -> None:
        """Nothing on the disk but the rows of these lists, and of versions among the garbage."""
        self.store.commit()
        versions = {row.version for key in (KEY, OTHER) if (row := self.db.peek(key)) is not None}
        stored = {int.from_bytes(raw[:8], "big") for raw in self.store.engine.keys(ROWS, b"", None)}
        assert stored <= versions | set(self.store.garbage())
        assert not versions & set(self.store.garbage())


OPERATIONS: list[Callable[[Model, bytes, list[bytes]], None]] = [
    Model.push,
    Model.push,
    Model.push,
    Model.push_run,
    Model.push_run,
    Model.pop,
    Model.pop_run,
    Model.insert,
    Model.insert,
    Model.remove,
    Model.trim,
    Model.replace,
    Model.move,
]


@pytest.mark.parametrize("limit", [1, 2, 8, 128, -2])
@pytest.mark.parametrize("few", [1, 1024])
def test_a_list_is_a_list(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int, few: int
) -> None:
    """In whatever shape: ``few`` of 1 reads by iteration, removes ranges and writes anew."""
    for module in (lists, list_edit, list_rows):
        monkeypatch.setattr(module, "FEW", few)
    monkeypatch.setattr(list_edit, "_BATCH_ROWS", few)
    monkeypatch.setattr(list_rows, "_PART", 3)
    monkeypatch.setattr(order, "CHUNK", 4)
    store.keyspace.limits = Limits(limit)
    for seed in range(4):
        model = Model(store, seed)
        for _ in range(150):
            model.step()
        model.check_rows()
        for key in (KEY, OTHER):
            lists.store(store.db, key, [])
        store.commit()
        store.check()


def test_an_undone_command_leaves_the_list_as_it_was(store: Store) -> None:
    db = large(store, numbers(20))
    list_edit.insert(db, KEY, b"7", b"x", after=True)
    store.commit()
    assert lists.at(db, row_of(db), 8) == b"x"  # there is an order index now
    before = content(db)
    for change in (
        lambda: lists.push(db, KEY, [b"a", b"b"], left=True),
        lambda: lists.pop(db, KEY, 3, left=False),
        lambda: list_edit.insert(db, KEY, b"x", b"y", after=False),
        lambda: list_edit.remove(db, KEY, 0, b"5"),
        lambda: list_edit.trim(db, KEY, 5, 10),
        lambda: lists.move(db, KEY, KEY, from_left=True, to_left=False),
    ):
        change()
        assert content(db) != before
        store.tx.rollback_command()
        assert content(db) == before
        assert list(lists.part(db, KEY, 3, 12)) == before[3:13]


def test_all_is_there_after_a_crash(store: Store) -> None:
    large(store, numbers(20))
    list_edit.insert(store.db, KEY, b"7", b"x", after=True)
    lists.push(store.db, KEY, [b"end"], left=False)
    lists.push(store.db, OTHER, [b"small"], left=False)
    store.commit()
    store.reopen()
    store.keyspace.limits = Limits(1)
    assert content(store.db) == [*numbers(8), b"x", *numbers(20)[8:], b"end"]
    assert content(store.db, OTHER) == [b"small"]
    assert lists.pop(store.db, KEY, 1, left=False) == [b"end"]


# What stays dense: one row each, no iterator, no order index


def span_of(db: Database) -> list_rows.Span:
    span = row_of(db).value
    assert isinstance(span, list_rows.Span)
    return span


def test_ends_leave_a_list_dense(store: Store) -> None:
    db = large(store, numbers(20))
    lists.push(db, KEY, [b"a"], left=True)
    lists.push(db, KEY, [b"b"], left=False)
    lists.pop(db, KEY, 2, left=True)
    list_edit.trim(db, KEY, 2, -3)
    list_edit.insert(db, KEY, b"3", b"2", after=False)
    list_edit.insert(db, KEY, b"18", b"19", after=True)
    list_edit.remove(db, KEY, 1, b"2")
    list_edit.remove(db, KEY, -1, b"19")
    lists.move(db, KEY, KEY, from_left=True, to_left=False)
    assert content(db) == [*numbers(19)[4:], b"3"]
    span = span_of(db)
    assert span.dense
    assert span.tail - span.head == row_of(db).count
    assert len(store.keyspace.orders) == 0


def test_the_middle_makes_it_sparse(store: Store) -> None:
    db = large(store, numbers(5))
    list_edit.remove(db, KEY, 0, b"2")
    assert not span_of(db).dense
    assert lists.part(db, KEY, 1, 2) == [b"1", b"3"]


# Runs


def test_a_run_of_pushes_is_taken_where_no_list_changes_its_shape(store: Store) -> None:
    db = store.db
    store.keyspace.limits = Limits(8)
    assert lists.push_run(db, KEY, [b"a"], left=True) is None
    lists.push(db, KEY, [b"a"], left=True)
    store.commit()
    assert lists.push_run(db, KEY, numbers(8), left=False) is None
    assert not store.tx.dirty
    assert lists.push_run(db, KEY, numbers(7), left=False) == list(range(2, 9))
    assert encoding(db) == "listpack"
    large(store, numbers(5))
    assert lists.push_run(db, KEY, [b"b", b"c", b"d"], left=True) == [6, 7, 8]
    assert content(db) == [b"d", b"c", b"b", *numbers(5)]


def test_a_run_of_pushes_keeps_off_the_limit(store: Store) -> None:
    """A listpack is asked before each value, when that still counts with all its digits."""
    store.keyspace.limits = Limits(-1)
    filler = [b"x" * (4096 - listpack.EMPTY - 30)]
    lists.push(store.db, KEY, filler, left=True)
    assert lists.push_run(store.db, KEY, [b"1" * 19, b"2" * 19], left=True) is None
    for _ in range(2):
        lists.push(store.db, KEY, [b"1" * 19], left=True)
    assert encoding(store.db) == "quicklist"


def test_a_run_of_pops_goes_on_where_there_is_nothing_left(store: Store) -> None:
    db = large(store, numbers(3))
    assert lists.pop_run(db, KEY, 5, left=False) == [b"2", b"1", b"0", None, None]
    assert db.peek(KEY) is None
    assert lists.pop_run(db, KEY, 2, left=True) == [None, None]


# Much at once


def test_a_long_list(store: Store) -> None:
    db = store.db
    values = numbers(6000)
    assert lists.push(db, KEY, values, left=True) == 6000
    assert lists.store(db, OTHER, iter(values)) == 6000
    store.commit()
    assert content(db) == values[::-1]
    assert not isinstance(lists.part(db, OTHER, 0, -1), list)
    assert list(lists.part(db, OTHER, 1000, -1000)) == values[1000:-999]
    list_edit.trim(db, OTHER, 1500, -1501)
    assert content(db, OTHER) == values[1500:4500]
    assert encoding(db, OTHER) == "quicklist"
    list_edit.trim(db, OTHER, 1500, 1502)
    assert content(db, OTHER) == values[3000:3003]
    assert encoding(db, OTHER) == "listpack"
    assert lists.pop(db, KEY, 5990, left=True) == values[10:][::-1]
    assert encoding(db) == "listpack"
    store.commit()
    assert len(store.garbage()) == 2


def test_much_removed_is_written_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_edit, "_BATCH_ROWS", 100)
    db = large(store, [b"x", b"y"] * 200)
    version = row_of(db).version
    assert list_edit.remove(db, KEY, -150, b"x") == 150
    assert content(db) == [b"x", b"y"] * 50 + [b"y"] * 150
    assert span_of(db).dense
    store.commit()
    assert store.garbage() == [version]


def test_a_long_command_asks_for_the_slow_lane(store: Store) -> None:
    db = large(store, numbers(50))
    store.tx.fast_rows = 20
    row = row_of(db)
    for command in (
        lambda: lists.push(db, KEY, numbers(30), left=True),
        lambda: lists.pop(db, KEY, 30, left=True),
        lambda: list_edit.insert(db, KEY, b"1", b"x", after=True),
        lambda: list_edit.remove(db, KEY, 1, b"1"),
        lambda: lists.ranks(db, row, b"1"),
    ):
        with pytest.raises(TooLargeError):
            command()
        assert not store.tx.dirty
    assert list(lists.ranks(db, row, b"1", looks=10)) == [1]


def test_store_overwrites_whatever_was_there(store: Store) -> None:
    db = store.db
    store.put(KEY, b"text", expire_at=NOW + 1000)
    assert lists.store(db, KEY, [b"a", b"b"]) == 2
    assert content(db) == [b"a", b"b"]
    assert row_of(db).expire_at == 0
    large(store, numbers(5))
    assert lists.store(db, KEY, lists.items(db, row_of(db), reverse=True)) == 5
    assert content(db) == numbers(5)[::-1]
    assert lists.store(db, KEY, []) == 0
    assert db.peek(KEY) is None


def test_what_is_no_list(store: Store) -> None:
    db = store.db
    store.put(KEY, b"text")
    lists.push(db, OTHER, [b"a"], left=True)
    for command in (
        lambda: lists.push(db, KEY, [b"a"], left=True, create=False),
        lambda: lists.pop(db, KEY, 0, left=True),
        lambda: lists.move(db, OTHER, KEY, from_left=True, to_left=True),
        lambda: list_edit.trim(db, KEY, 0, 1),
    ):
        with pytest.raises(ReplyError, match=WRONG_TYPE):
            command()
    with pytest.raises(ReplyError, match=NO_SUCH_KEY):
        list_edit.existing(db, b"none")
    with pytest.raises(ReplyError, match=INDEX_RANGE):
        list_edit.replace(db, OTHER, 1, b"x", row_of(db, OTHER))
    assert content(db, OTHER) == [b"a"]
