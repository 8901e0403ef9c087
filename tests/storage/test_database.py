"""Databases as a whole: flushed, swapped, iterated, drawn from."""

from __future__ import annotations

from collections import Counter

import pytest

from tendis_py.errors import WriteStalledError
from tendis_py.storage import database as module
from tendis_py.storage.codec import LIST, STRING
from tests.support.store import NOW, Store

LATER = NOW + 5000

# Whole databases


def fill(store: Store, *keys: bytes, database: int = 0) -> None:
    for key in keys:
        store.put(key, b"v", database=database)
    store.commit()


def test_flushing_empties(store: Store) -> None:
    fill(store, b"a", b"b")
    fill(store, b"c", database=1)
    store.put(b"d", expire_at=LATER)
    store.tx.undo.clear()
    store.tx.flush_databases([0])
    assert store.value(b"a") is None
    assert store.db.counts().keys == 0
    assert list(store.tx.database(1).keys()) == [b"c"]
    store.put(b"a", b"new")
    store.commit()
    assert list(store.db.keys()) == [b"a"]
    store.reopen()
    assert list(store.db.keys()) == [b"a"]
    assert store.value(b"a") == b"new"
    assert store.value(b"c", 1) == b"v"
    assert store.keyspace.size(0).expires == 0


def test_flushing_what_is_empty_costs_nothing(store: Store) -> None:
    before = list(store.keyspace.namespaces)
    store.tx.flush_databases([0, 1, 2])
    assert not store.tx.commit()
    assert store.keyspace.namespaces == before


def test_a_flush_shows_when_it_is_committed(store: Store) -> None:
    fill(store, b"a")
    other = store.transaction()
    store.tx.flush_databases([0])
    other.begin(NOW)
    assert other.database(0).peek(b"a") is not None
    store.commit()
    other.begin(NOW)
    assert other.database(0).peek(b"a") is None
    assert other.database(0).counts().keys == 0


def test_a_flush_that_can_not_be_committed_never_was(store: Store) -> None:
    fill(store, b"a")
    before = list(store.keyspace.namespaces)
    store.tx.flush_databases([0])
    store.put(b"b")
    store.tx.rollback()
    store.tx.begin(NOW)
    assert list(store.db.keys()) == [b"a"]
    assert store.keyspace.namespaces == before
    store.tx.flush_databases([0])
    store.commit()
    assert list(store.db.keys()) == []


def test_swapping(store: Store) -> None:
    fill(store, b"a")
    fill(store, b"b", b"c", database=1)
    store.put(b"d", b"v")
    store.tx.undo.clear()
    store.tx.swap_databases(0, 1)
    assert [store.db.counts().keys, store.tx.database(1).counts().keys] == [2, 2]
    store.put(b"e", b"v")
    store.commit()
    for _ in range(2):
        assert list(store.db.keys()) == [b"b", b"c", b"e"]
        assert list(store.tx.database(1).keys()) == [b"a", b"d"]
        store.check()
        store.reopen()


def test_swapping_with_itself_and_back(store: Store) -> None:
    fill(store, b"a")
    store.tx.swap_databases(0, 0)
    store.commit()
    assert list(store.db.keys()) == [b"a"]
    store.tx.swap_databases(0, 2)
    store.tx.swap_databases(2, 0)
    store.commit()
    store.reopen()
    assert list(store.db.keys()) == [b"a"]


def test_swapping_and_flushing_in_one_batch(store: Store) -> None:
    fill(store, b"a")
    fill(store, b"b", database=1)
    store.tx.swap_databases(0, 1)
    store.tx.flush_databases([1])
    store.put(b"c")
    store.commit()
    store.reopen()
    assert list(store.db.keys()) == [b"b", b"c"]
    assert list(store.tx.database(1).keys()) == []
    store.check()


# Iteration


def test_keys_are_in_order_and_alive(store: Store) -> None:
    fill(store, b"b", b"a", b"", b"\xff", b"ab")
    assert list(store.db.keys()) == [b"", b"a", b"ab", b"b", b"\xff"]
    assert list(store.db.keys(b"a")) == [b"a", b"ab"]
    assert list(store.db.keys(b"\xff")) == [b"\xff"]
    store.put(b"aa", expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert list(store.db.keys()) == [b"", b"a", b"ab", b"b", b"\xff"]
    assert [key for key, _ in store.db.rows(b"a", b"aa")] == [b"ab"]
    assert [key for key, _ in store.db.rows(b"", b"b")] == [b"b", b"\xff"]


def look(store: Store, index: int = 0) -> list[object]:
    """What every way to iterate says of a database."""
    db = store.tx.database(index)
    found: list[object] = [list(db.keys()), list(db.rows()), list(db.keys(b"b"))]
    start: bytes | None = b""
    pages = []
    while start is not None:
        keys, start = db.page(b"", start, 3)
        pages.append(keys)
    return [*found, pages, db.counts().keys, db.random_key() in [*db.keys(), None]]


@pytest.mark.parametrize("deadline", [0, LATER])
def test_a_unit_of_work_sees_what_it_wrote_and_commits_none_of_it(
    store: Store, deadline: int
) -> None:
    fill(store, *(b"%b%d" % (letter, number) for letter in (b"a", b"b") for number in range(9)))
    before = look(store)
    store.put(b"first", b"unit")
    store.tx.undo.clear()
    mark = store.tx.mark()
    store.put(b"b0", b"other", expire_at=deadline)
    store.put(b"b55", b"", expire_at=deadline)
    store.delete(b"a3")
    store.db.set_all([b"c1", b"a1", b"c1"], [b"1", b"2", b"3"])
    keys = [b"a0", b"a1", b"a2", *(b"a%d" % number for number in range(4, 9))]
    keys += [b"b0", b"b1", b"b2", b"b3", b"b4", b"b5", b"b55", b"b6", b"b7", b"b8", b"c1", b"first"]
    assert list(store.db.keys()) == keys
    assert [key for key, _ in store.db.rows(b"", b"b55")] == keys[keys.index(b"b55") :]
    assert look(store)[4] == len(keys)
    assert b"first" not in [key[4:] for key in store.meta()], "half a unit would be committed"
    store.tx.rollback_to(mark)
    assert store.value(b"first") == b"unit"
    store.delete(b"first")
    store.tx.undo.clear()
    assert look(store) == before
    store.commit()
    store.check()


def test_a_random_key_of_a_unit(store: Store) -> None:
    """More than are listed: some on disk and gone, some only in the batch."""
    names = [b"%03d" % number for number in range(400)]
    fill(store, *names)
    for name in names[:300]:
        store.delete(name)
    store.put(b"new")
    left = {*names[300:], b"new"}
    for name in (b"x%03d" % number for number in range(300)):
        store.put(name)
        left.add(name)
    drawn = {store.db.random_key() for _ in range(2000)}
    assert drawn <= left
    assert len(drawn & {name for name in left if name is not None and name > b"n"}) > 100
    assert len(drawn & set(names)) > 20


def test_a_unit_may_empty_and_swap_databases_and_be_taken_back(store: Store) -> None:
    fill(store, b"a", b"b")
    fill(store, b"c", database=1)
    before = [look(store, index) for index in range(2)]
    mark = store.tx.mark()
    store.tx.flush_databases([0])
    store.put(b"d")
    store.tx.swap_databases(0, 1)
    store.put(b"e")
    assert [look(store, index)[0] for index in range(2)] == [[b"c", b"e"], [b"d"]]
    store.tx.rollback_to(mark)
    assert [look(store, index) for index in range(2)] == before
    store.commit()
    store.reopen()
    assert [look(store, index) for index in range(2)] == before
    store.check()


def test_an_iteration_merges_while_rocksdb_stalls(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the thread may not wait for it, nothing is committed in the middle of a batch."""
    fill(store, b"a", b"c")
    store.tx.may_wait = False
    store.put(b"b")
    store.tx.undo.clear()

    def stall(*_: object, may_wait: bool = True) -> None:
        assert not may_wait
        raise WriteStalledError

    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "write_batch", stall)
        assert list(store.db.keys()) == [b"a", b"b", b"c"]
    assert len(store.meta()) == 2
    assert list(store.db.keys()) == [b"a", b"b", b"c"]
    assert len(store.meta()) == 3


@pytest.mark.parametrize("deadline", [0, LATER])
def test_pages_put_together_are_all_keys(store: Store, deadline: int) -> None:
    names = sorted(b"%d" % number for number in range(100))
    for name in names:
        store.put(name, expire_at=deadline)
    store.commit()
    fill(store, b"other", database=1)
    for limit in (1, 7, 99, 100, 101):
        found: list[bytes] = []
        start: bytes | None = b""
        while start is not None:
            keys, start = store.db.page(b"", start, limit)
            assert len(keys) <= limit
            found += keys
        assert found == names


def test_a_page_of_a_prefix(store: Store) -> None:
    fill(store, b"a", b"b1", b"b2", b"b3", b"c")
    assert store.db.page(b"b", b"", 10) == ([b"b1", b"b2", b"b3"], None)
    assert store.db.page(b"b", b"", 2) == ([b"b1", b"b2"], b"b3")
    assert store.db.page(b"b", b"b3", 2) == ([b"b3"], None)
    assert store.db.page(b"b", b"z", 2) == ([], None)
    assert store.db.page(b"x", b"", 2) == ([], None)


def test_a_page_leaves_out_other_types_and_the_expired(store: Store) -> None:
    fill(store, b"a", b"b", b"c")
    store.put(b"bb", expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert store.db.page(b"", b"", 3) == ([b"a", b"b"], b"c")
    assert store.db.page(b"", b"", 9, STRING) == ([b"a", b"b", b"c"], None)
    assert store.db.page(b"", b"", 9, LIST) == ([], None)
    assert store.db.page(b"", b"", 2, LIST) == ([], b"bb")


def test_a_page_of_large_values_ends_early(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_BYTES", 1000)
    for number in range(10):
        store.put(b"%d" % number, b"x" * 400)
    store.commit()
    keys, rest = store.db.page(b"", b"", 10, STRING)
    assert 0 < len(keys) < 5
    assert rest == b"%d" % len(keys)


# Random keys


def test_no_random_key_of_nothing(store: Store) -> None:
    fill(store, b"a", database=1)
    assert store.db.random_key() is None
    store.put(b"gone", expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert store.db.random_key() is None


def test_a_random_key_of_few_is_uniform(store: Store) -> None:
    names = [b"a", b"b", b"bb", b"zzz", b""]
    fill(store, *names)
    drawn = Counter(store.db.random_key() for _ in range(500))
    assert set(drawn) == set(names)
    assert min(drawn.values()) > 50


def test_any_of_many_keys_can_come_up(store: Store) -> None:
    names = [b"user:%03d" % number for number in range(300)] + [b"user", b"v"]
    fill(store, *names)
    fill(store, b"other", database=1)
    drawn = {store.db.random_key() for _ in range(8000)}
    assert drawn <= set(names)
    assert len(drawn) > 290
    assert {b"user", b"v"} <= drawn


def test_a_random_key_is_alive(store: Store) -> None:
    fill(store, *[b"k%d" % number for number in range(10)])
    for number in range(300):
        store.put(b"x%d" % number, expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert {store.db.random_key() for _ in range(100)} <= {b"k%d" % n for n in range(10)}
    for number in range(10):
        store.delete(b"k%d" % number)
    store.commit(NOW + 1)
    assert store.db.random_key() is None
