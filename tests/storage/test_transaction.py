from __future__ import annotations

import itertools
from typing import Any

import pytest

from tendis_py.errors import StorageError, WriteStalledError
from tendis_py.storage.codec import StringRow
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META, ROWS
from tendis_py.storage.transaction import Transaction
from tests.support.store import NOW, LargeRow, Store

LATER = NOW + 5000

# Reading and writing


def test_a_batch_reads_its_own_writes(store: Store) -> None:
    store.put(b"a", b"1")
    assert store.value(b"a") == b"1"
    assert store.db.counts().keys == 1
    assert store.meta() == []
    store.delete(b"a")
    assert store.value(b"a") is None
    store.put(b"a", b"2")
    store.commit()
    assert store.value(b"a") == b"2"
    store.forget()
    assert store.value(b"a") == b"2"


def test_another_transaction_sees_only_what_is_committed(store: Store) -> None:
    other = store.transaction()
    store.put(b"a", b"1")
    assert other.database(0).counts().keys == 0
    store.commit()
    row = other.database(0).peek(b"a")
    assert row is not None
    assert row.value == b"1"
    assert other.database(0).counts().keys == 1


def test_databases_are_apart(store: Store) -> None:
    store.put(b"a", b"0")
    store.put(b"a", b"1", database=1)
    store.commit()
    store.delete(b"a", database=1)
    store.commit()
    assert store.value(b"a") == b"0"
    assert store.value(b"a", 1) is None


@pytest.mark.parametrize("key", [b"", b"\0", b"\xff" * 20, b"x" * 10_000])
def test_a_key_is_any_bytes(store: Store, key: bytes) -> None:
    store.put(key, b"v", expire_at=LATER)
    store.commit()
    store.reopen()
    assert store.value(key) == b"v"
    assert [name for _, name in store.expires()] == [store.db.prefix + key]


def test_an_expired_row_is_deleted_when_it_is_met(store: Store) -> None:
    store.put(b"a", expire_at=NOW + 10)
    store.commit(NOW + 9)
    assert store.value(b"a") == b"v"
    store.commit(NOW + 10)
    assert store.value(b"a") is None
    assert store.tx.counters.expired == 1
    assert store.value(b"a") is None
    assert store.tx.counters.expired == 1
    store.commit()
    assert store.is_empty
    assert store.db.counts().keys == 0
    store.check()


def test_an_expired_row_on_disk_is_deleted_when_it_is_met(store: Store) -> None:
    store.put(b"a", expire_at=NOW + 10)
    store.commit()
    store.reopen()
    store.tx.begin(NOW + 10)
    assert store.db.find(b"a") is None
    store.commit()
    assert store.meta() == []
    store.check()


# What leaves a trace


def test_find_counts_and_touches(store: Store) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    assert store.db.find(b"a") is not None
    assert store.db.last_use(b"a") == (NOW + 9000) // 1000
    assert store.db.find(b"b") is None
    assert (store.tx.counters.hits, store.tx.counters.misses) == (1, 1)


def test_inspect_counts_and_does_not_touch(store: Store) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    assert store.db.inspect(b"a") is not None
    assert store.db.last_use(b"a") == NOW // 1000
    assert store.db.inspect(b"b") is None
    assert (store.tx.counters.hits, store.tx.counters.misses) == (1, 1)


def test_peek_leaves_no_trace(store: Store) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    assert store.db.peek(b"a") is not None
    assert store.db.last_use(b"a") == NOW // 1000
    assert store.db.peek(b"b") is None
    assert (store.tx.counters.hits, store.tx.counters.misses) == (0, 0)


def test_a_client_may_ask_not_to_touch(store: Store) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    store.tx.touches = False
    assert store.db.find(b"a") is not None
    assert store.db.find_bare(b"a") is not None
    assert store.db.find_many([b"a"]) == [b"v"]
    assert store.db.last_use(b"a") == NOW // 1000
    assert store.tx.counters.hits == 3


def test_such_a_client_keeps_the_age_of_what_it_alters(store: Store) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    store.tx.touches = False
    for key, deadline, age in ((b"a", LATER, 9), (b"new", 0, 0)):
        old = store.db.peek(key)
        row = old.with_expiry(deadline) if old else StringRow(b"v")
        store.db.put(key, row, old)
        assert store.tx.second - store.db.last_use(key) == age


def test_another_transaction_may_go_on_counting(store: Store) -> None:
    store.db.find(b"a")
    other = Transaction(store.keyspace, store.tx.counters)
    other.begin(NOW)
    other.database(0).find(b"a")
    assert store.tx.counters.misses == 2


# Taking back


def test_a_failed_command_is_taken_back_alone(store: Store) -> None:
    store.put(b"kept", b"1", expire_at=LATER)
    store.put(b"gone", b"1")
    store.commit()
    store.put(b"kept", b"2")
    store.tx.undo.clear()
    store.put(b"kept", b"3", expire_at=LATER + 1)
    store.put(b"new", b"v", expire_at=LATER)
    store.delete(b"gone")
    store.tx.put(ROWS, b"row", b"element")
    store.tx.discard_version(7)
    store.tx.rollback_command()
    assert [store.value(key) for key in (b"kept", b"new", b"gone")] == [b"2", None, b"1"]
    assert (store.db.counts().keys, store.db.counts().expires) == (2, 0)
    store.commit()
    assert store.engine.get(ROWS, b"row") is None
    assert not store.garbage()
    assert not store.expires()
    store.reopen()
    store.check()


def test_a_failed_commit_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(b"a", b"1")
    store.commit()
    store.put(b"a", b"2", expire_at=LATER)
    store.put(b"b")
    store.tx.undo.clear()

    def fail(*arguments: object, **options: object) -> None:
        raise StorageError("write failed")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "write_batch", fail)
        with pytest.raises(StorageError):
            store.tx.commit()
    store.tx.rollback()
    assert not store.tx.dirty
    assert store.value(b"a") == b"1"
    assert store.value(b"b") is None
    assert (store.db.counts().keys, store.db.counts().expires) == (1, 0)
    store.check()


def test_a_stalled_commit_is_made_later(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put(b"a", b"1", expire_at=LATER)
    store.tx.undo.clear()

    def stall(*arguments: object, **options: object) -> None:
        raise WriteStalledError

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "write_batch", stall)
        with pytest.raises(WriteStalledError):
            store.tx.commit(may_wait=False)
    assert store.keyspace.size(0).keys == 0
    assert store.tx.commit()
    assert store.keyspace.size(0).keys == 1
    store.check()


def test_commit_says_whether_the_batch_wrote(store: Store) -> None:
    assert not store.tx.commit()
    store.put(b"a")
    store.tx.undo.clear()
    assert store.tx.commit()
    store.tx.begin(NOW)
    assert not store.tx.commit()


def test_commit_knows_of_what_an_iteration_committed_before(store: Store) -> None:
    """What asks whether to fsync is the end of the batch."""
    store.put(b"a")
    store.tx.undo.clear()
    assert list(store.db.keys()) == [b"a"]
    assert store.tx.commit()
    store.tx.begin(NOW)
    assert not store.tx.commit()


def test_changes_are_counted(store: Store) -> None:
    store.put(b"a")
    store.put(b"b")
    store.commit()
    store.delete(b"a")
    store.commit()
    assert store.tx.counters.changes == 3


# Deadlines


def test_the_expiry_index_follows_the_row(store: Store) -> None:
    for expire_at in (LATER, LATER + 1, 0, LATER + 2):
        store.put(b"a", expire_at=expire_at)
        store.commit()
        assert [deadline for deadline, _ in store.expires()] == ([expire_at] if expire_at else [])
        assert store.db.counts().expires == bool(expire_at)
    store.delete(b"a")
    store.commit()
    assert store.expires() == []
    store.check()


def test_several_deadlines_in_one_batch_leave_one(store: Store) -> None:
    for expire_at in (LATER, LATER + 1, 0, LATER, LATER + 3):
        store.put(b"a", expire_at=expire_at)
        store.tx.undo.clear()
    store.commit()
    assert [deadline for deadline, _ in store.expires()] == [LATER + 3]
    store.check()


def test_a_commit_lowers_the_low_water_mark(store: Store) -> None:
    store.keyspace.expiry_low_water.raise_to(LATER + 1)
    store.put(b"a", expire_at=LATER)
    assert store.keyspace.expiry_low_water.deadline == LATER + 1
    store.commit()
    assert store.keyspace.expiry_low_water.deadline == LATER
    store.put(b"b", expire_at=LATER + 10)
    store.commit()
    assert store.keyspace.expiry_low_water.deadline == LATER


# Large collections


def put_large(store: Store, key: bytes, version: int, expire_at: int = 0) -> None:
    store.db.put(key, LargeRow(version, expire_at), store.db.peek(key))
    store.commit()


def test_a_deleted_collection_is_left_to_the_reclaimer(store: Store) -> None:
    put_large(store, b"a", 7)
    store.delete(b"a")
    store.commit()
    assert store.garbage() == [7]


def test_so_is_an_overwritten_one(store: Store) -> None:
    put_large(store, b"a", 7)
    put_large(store, b"a", 7)
    assert store.garbage() == []
    put_large(store, b"a", 8)
    assert store.garbage() == [7]
    store.put(b"a", b"string")
    store.commit()
    assert store.garbage() == [7, 8]
    put_large(store, b"a", 9)
    store.db.set(b"a", b"string")
    store.commit()
    assert store.garbage() == [7, 8, 9]


def test_so_is_an_expired_one(store: Store) -> None:
    put_large(store, b"a", 7, LATER)
    store.tx.begin(LATER)
    assert store.value(b"a") is None
    store.commit()
    assert store.garbage() == [7]


def test_a_carried_row_keeps_its_elements(store: Store) -> None:
    put_large(store, b"a", 7, LATER)
    put_large(store, b"b", 8)
    other = store.tx.database(1)
    moves = ((store.db, b"a", store.db, b"b"), (store.db, b"b", other, b"c"))
    for source, key, target, name in moves:
        row = source.peek(key)
        assert row is not None
        old = target.peek(name)
        source.detach(key, row)
        target.put(name, row, old)
        store.commit()
    assert store.garbage() == [8]
    found = other.peek(b"c")
    assert found is not None
    assert (found.version, found.expire_at) == (7, LATER)
    assert [(deadline, key) for deadline, key in store.expires()] == [(LATER, other.prefix + b"c")]
    assert store.db.counts().keys == 0
    store.check()


# What the disk holds


def test_ranges_are_deleted_before_rows_are_written(store: Store) -> None:
    store.tx.put(ROWS, b"b", b"1")
    store.commit()
    store.tx.put(ROWS, b"a", b"2")
    store.tx.delete_range(ROWS, b"a", b"c")
    store.tx.put(ROWS, b"a", b"2")
    store.commit()
    assert list(store.engine.items(ROWS, b"", None)) == [(b"a", b"2")]


def test_rows_of_other_families_are_read_through_the_batch(store: Store) -> None:
    store.tx.put(ROWS, b"r", b"1")
    assert store.tx.get(ROWS, b"r") == b"1"
    store.commit()
    assert store.tx.get(ROWS, b"r") == b"1"
    store.tx.put(ROWS, b"r", None)
    assert store.tx.get(ROWS, b"r") is None
    store.commit()
    assert store.engine.get(ROWS, b"r") is None


def test_a_batch_is_one_write(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[Any] = []
    write = Engine.write_batch

    def counting(engine: Engine, batch: Any, **options: Any) -> None:
        writes.append(batch)
        write(engine, batch, **options)

    monkeypatch.setattr(Engine, "write_batch", counting)
    for number, database in itertools.product(range(5), range(3)):
        store.put(b"%d" % number, expire_at=LATER, database=database)
        store.tx.undo.clear()
    store.delete(b"1")
    store.tx.swap_databases(0, 1)
    store.commit()
    assert len(writes) == 1
    assert len(store.meta()) == 14
    assert store.engine.get(META, store.db.prefix + b"2") is not None
