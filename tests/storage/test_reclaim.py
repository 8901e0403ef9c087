from __future__ import annotations

from pathlib import Path

import pytest

from tendis_py.storage import reclaim as module
from tendis_py.storage.codec import Collection, CollectionRow, register
from tendis_py.storage.elements import VersionWriter
from tendis_py.storage.families import ROWS
from tendis_py.storage.order import CHUNK, OrderIndex
from tendis_py.storage.reclaim import FEW_ELEMENTS, SLICE, Reclaimer, backlog
from tests.support.damage import damage
from tests.support.store import Store

FUTURE = 2**60

TEST_TYPE = 200
register(TEST_TYPE, Collection(("test",), lambda row: b"", lambda raw, row: None))


def reclaim(store: Store, reclaimer: Reclaimer | None = None) -> int:
    """Run jobs as the maintenance does, until there is nothing left; how many it took."""
    reclaimer = reclaimer or Reclaimer(store.keyspace)
    steps = 0
    while reclaimer.find():
        reclaimer.step(store.tx)
        store.commit()
        steps += 1
    reclaimer.compact()
    return steps


def flush(store: Store, *databases: int) -> None:
    store.tx.flush_databases(databases)
    store.commit()


def fill(store: Store, number: int, database: int = 0) -> None:
    for index in range(number):
        store.put(b"%d" % index, b"v", expire_at=FUTURE if index % 2 else 0, database=database)
    store.commit()


def test_there_is_nothing_to_do_at_first(store: Store) -> None:
    assert not Reclaimer(store.keyspace).find()


def test_a_flushed_database_leaves_the_disk(store: Store) -> None:
    fill(store, 10)
    fill(store, 4, database=1)
    flush(store, 0)
    store.put(b"new", b"v", expire_at=FUTURE)
    store.commit()
    assert len(store.meta()) == 15
    reclaim(store)
    assert len(store.meta()) == 5
    assert len(store.expires()) == 3
    assert store.value(b"new") == b"v"
    assert store.value(b"3", 1) == b"v"
    assert not list(store.keyspace.dead_namespaces())
    store.check()
    store.reopen()
    assert not Reclaimer(store.keyspace).find()
    assert len(store.keyspace.counts) == 3
    store.check()


def test_it_goes_in_slices(store: Store) -> None:
    fill(store, 3 * SLICE + 1)
    flush(store, 0)
    assert reclaim(store) == 5
    assert store.is_empty


def test_several_databases_one_after_the_other(store: Store) -> None:
    for database in range(3):
        fill(store, 3, database)
    flush(store, 0, 1, 2)
    fill(store, 2)
    flush(store, 0)
    assert len(list(store.keyspace.dead_namespaces())) == 4
    reclaim(store)
    assert store.is_empty
    store.check()


def test_it_begins_again_after_a_restart(store: Store) -> None:
    fill(store, 2 * SLICE)
    flush(store, 0)
    reclaimer = Reclaimer(store.keyspace)
    assert reclaimer.find()
    reclaimer.step(store.tx)
    store.commit()
    assert len(store.expires()) < SLICE
    store.reopen()
    reclaim(store)
    assert store.is_empty
    assert not list(store.keyspace.dead_namespaces())


def test_a_swapped_database_is_not_dead(store: Store) -> None:
    fill(store, 3)
    store.tx.swap_databases(0, 1)
    flush(store, 0)
    assert not Reclaimer(store.keyspace).find()
    flush(store, 1)
    reclaim(store)
    assert store.meta() == []


def test_what_a_batch_wrote_before_it_flushed_goes_too(store: Store) -> None:
    fill(store, 1)
    store.put(b"same batch", expire_at=FUTURE)
    store.tx.undo.clear()
    flush(store, 0)
    reclaim(store)
    assert store.is_empty
    store.check()


def large(store: Store, key: bytes, elements: int) -> None:
    """A collection with rows of its own."""
    writer = VersionWriter(store.tx)
    for number in range(elements):
        writer.add(b"%06d" % number, b"value")
    row = CollectionRow(TEST_TYPE, None, elements, version=writer.finish())
    store.db.put(key, row, store.db.peek(key))


@pytest.mark.parametrize("elements", [1, FEW_ELEMENTS, FEW_ELEMENTS + 1])
@pytest.mark.parametrize("how", ["deleted", "overwritten", "flushed"])
def test_large_collections_are_given_up(store: Store, elements: int, how: str) -> None:
    large(store, b"kept", 3)
    large(store, b"gone", elements)
    large(store, b"gone too", elements)
    store.commit()
    for key in (b"gone", b"gone too"):
        row = store.db.peek(key)
        assert row is not None
        if how == "deleted":
            store.db.delete(key, row)
        elif how == "overwritten":
            store.put(key)
    store.tx.undo.clear()
    if how == "flushed":
        flush(store, 0)
    else:
        store.commit()
        assert len(store.garbage()) == 2
    reclaim(store)
    assert store.garbage() == []
    assert len(list(store.engine.keys(ROWS, b"", None))) == (0 if how == "flushed" else 3)
    assert backlog(store.keyspace) == (0, 0)


def test_what_is_being_written_is_not_garbage(store: Store) -> None:
    """Rows written ahead are found by the reclaimer only if their commit never comes."""
    large(store, b"many", 3000)
    assert store.garbage()
    assert not Reclaimer(store.keyspace).find()
    store.tx.rollback()
    assert backlog(store.keyspace) == (0, 1)
    reclaim(store)
    assert not list(store.engine.keys(ROWS, b"", None))
    large(store, b"many", 3000)
    store.commit()
    assert store.garbage() == []
    assert len(list(store.engine.keys(ROWS, b"", None))) == 3000


def test_its_space_is_given_back(store: Store) -> None:
    rows = 2 * module.COMPACTION_ROWS
    for index in range(rows):
        store.put(b"%06d" % index, b"%d" % (index * 7919 % rows) * 20)
    store.commit()
    store.engine.flush()
    flush(store, 0)
    before = table_bytes(store.folder)
    reclaim(store)
    assert before > 100_000
    assert table_bytes(store.folder) < before / 10


def table_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.sst"))


def test_compaction_leaves_the_others_alone(store: Store) -> None:
    fill(store, 5, database=1)
    fill(store, module.COMPACTION_ROWS)
    flush(store, 0)
    reclaim(store)
    assert len(store.meta()) == 5
    assert store.db.counts().keys == 0
    store.forget()
    assert [store.value(b"%d" % index, 1) for index in range(6)] == [b"v"] * 5 + [None]
    store.check()


# What the cache and the order indexes hold of it


def test_nothing_is_held_once_all_databases_are_empty(store: Store) -> None:
    fill(store, 10)
    fill(store, 5, database=1)
    store.keyspace.orders.put(
        7, ROWS, OrderIndex([b"%05d" % number for number in range(5 * CHUNK)], keep=10 * CHUNK)
    )
    flush(store, 0, 1, 2)
    assert store.keyspace.cache.statistics().entries == 0
    assert len(store.keyspace.orders) == 0
    steps = 0
    while store.keyspace.orders.is_discarding:
        store.keyspace.orders.release()
        steps += 1
    assert steps == 2
    assert store.value(b"3") is None
    assert store.value(b"3", 1) is None


def test_rows_of_a_dead_namespace_leave_the_cache(store: Store) -> None:
    fill(store, 10)
    fill(store, 4, database=1)
    flush(store, 0)
    store.put(b"3", b"new")
    store.commit()
    reclaim(store)
    assert store.keyspace.cache.statistics().entries == 5
    assert store.value(b"3") == b"new"
    assert store.value(b"3", 1) == b"v"


def reopen_damaged(store: Store, family: str) -> None:
    store.engine.flush()
    store.engine.close()
    damage(store.folder, family)
    store.open()


def test_a_collection_that_cannot_be_read_is_left(store: Store) -> None:
    """It keeps nobody else from being reclaimed, and what it wrote of it is taken back."""
    versions = []
    for _ in range(3):
        writer = VersionWriter(store.tx)
        for number in range(500):
            writer.add(b"%04d" % number, b"value")
        versions.append(writer.finish())
        store.tx.discard_version(versions[-1])
    store.commit()
    reopen_damaged(store, "rows")
    reclaimer = Reclaimer(store.keyspace)
    assert reclaim(store, reclaimer) == 3
    assert store.garbage() == [versions[1]]
    assert not reclaimer.find(), "it does not come again"
    assert backlog(store.keyspace) == (0, 1)


def test_a_database_that_cannot_be_read_is_left(store: Store) -> None:
    fill(store, 1000, database=1)
    fill(store, 10)
    flush(store, 1)
    flush(store, 0)
    reopen_damaged(store, "meta")
    reclaimer = Reclaimer(store.keyspace)
    reclaim(store, reclaimer)
    assert len(list(store.keyspace.dead_namespaces())) == 1
    assert not reclaimer.find()
    assert backlog(store.keyspace) == (1, 0)


def test_the_backlog_counts_what_can_be_read(store: Store) -> None:
    for number in range(2000):
        store.tx.discard_version((1 << 63) + number)
    store.commit()
    reopen_damaged(store, "garbage")
    databases, collections = backlog(store.keyspace)
    assert databases == 0
    assert 100 < collections < 1900
    reclaim(store)
    assert backlog(store.keyspace) == (0, 0)
