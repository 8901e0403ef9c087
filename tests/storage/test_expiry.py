from __future__ import annotations

import pytest

from tendis_py.errors import UnreadableError
from tendis_py.storage.codec import HASH, CollectionRow, Row, deadline_key
from tendis_py.storage.database import Database
from tendis_py.storage.expiry import MOST_WRITES, SLICE, Expiry
from tendis_py.storage.families import EXPIRES, ROWS
from tendis_py.types.hash.fields import Dated, remove_due
from tests.support.damage import damage
from tests.support.store import NOW, LargeRow, Store

AFTERWARDS = NOW + 1000
FUTURE = 2**60


@pytest.fixture
def expiry(store: Store) -> Expiry:
    return Expiry(store.keyspace, remove_due)


def sweep(store: Store, expiry: Expiry) -> int:
    """Run jobs as the maintenance does, until nothing is due; how many it took."""
    jobs = 0
    store.tx.begin(AFTERWARDS)
    while due := expiry.due(AFTERWARDS):
        expiry.expire(store.tx, due)
        store.commit(AFTERWARDS)
        jobs += 1
    store.tx.begin(NOW)
    return jobs


def test_nothing_is_due_at_first(store: Store, expiry: Expiry) -> None:
    assert expiry.due(AFTERWARDS) is None


def test_what_is_due_goes_and_the_rest_stays(store: Store, expiry: Expiry) -> None:
    store.put(b"due", expire_at=NOW + 1)
    store.put(b"later", expire_at=FUTURE)
    store.put(b"never")
    store.put(b"due", expire_at=NOW + 2, database=1)
    store.commit()
    assert sweep(store, expiry) == 1
    assert [key[4:] for key in store.meta()] == [b"later", b"never"]
    assert [deadline for deadline, _ in store.expires()] == [FUTURE]
    assert store.tx.counters.expired == 2
    store.reopen()
    store.check()


def test_the_next_deadline_is_that_of_what_was_not_due(store: Store, expiry: Expiry) -> None:
    assert expiry.next_deadline() is None
    store.put(b"due", expire_at=NOW + 1)
    store.put(b"later", expire_at=AFTERWARDS + 7)
    store.commit()
    assert expiry.next_deadline() == NOW + 1
    assert sweep(store, expiry) == 1
    assert expiry.next_deadline() == AFTERWARDS + 7
    store.put(b"sooner", expire_at=AFTERWARDS + 3)
    store.commit()
    assert expiry.next_deadline() == AFTERWARDS + 3


def test_the_keys_to_lock_are_user_keys(store: Store, expiry: Expiry) -> None:
    store.put(b"a", expire_at=NOW + 1)
    store.put(b"a", expire_at=NOW + 2, database=1)
    store.put(b"b", expire_at=NOW + 3)
    store.commit()
    due = expiry.due(AFTERWARDS)
    assert due is not None
    assert due.keys == {b"a", b"b"}
    assert [deadline for deadline, _, _ in due.entries] == [NOW + 1, NOW + 2, NOW + 3]


def test_a_sweep_goes_in_slices(store: Store, expiry: Expiry) -> None:
    for number in range(3 * SLICE + 1):
        store.put(b"%d" % number, expire_at=NOW + 1)
    store.commit()
    assert sweep(store, expiry) == 4
    assert store.is_empty
    store.check()


def test_a_key_that_got_another_deadline_stays(store: Store, expiry: Expiry) -> None:
    """It changed between the look and the job."""
    store.put(b"a", expire_at=NOW + 1)
    store.put(b"b", expire_at=NOW + 1)
    store.put(b"c", expire_at=NOW + 1)
    store.commit()
    due = expiry.due(AFTERWARDS)
    assert due is not None
    store.put(b"a", expire_at=FUTURE)
    store.put(b"b", expire_at=0)
    store.delete(b"c")
    store.commit(AFTERWARDS)
    expiry.expire(store.tx, due)
    store.commit()
    assert [key[4:] for key in store.meta()] == [b"a", b"b"]
    assert [deadline for deadline, _ in store.expires()] == [FUTURE]
    assert store.tx.counters.expired == 0
    store.check()


def test_a_stale_entry_goes_alone(store: Store, expiry: Expiry) -> None:
    store.put(b"a", b"v")
    prefix = store.db.prefix
    for meta_key in (prefix + b"a", prefix + b"none", b"\xff\0\0\0of no database"):
        store.tx.put(EXPIRES, deadline_key(NOW, meta_key), b"")
    store.commit()
    sweep(store, expiry)
    assert store.expires() == []
    assert store.value(b"a") == b"v"


def test_an_entry_stays_when_the_clock_was_set_back(store: Store, expiry: Expiry) -> None:
    store.put(b"a", expire_at=NOW + 1)
    store.commit()
    due = expiry.due(AFTERWARDS)
    assert due is not None
    store.tx.begin(NOW)
    expiry.expire(store.tx, due)
    store.commit()
    assert store.value(b"a") == b"v"
    assert len(store.expires()) == 1
    sweep(store, expiry)
    assert store.is_empty


def test_a_deadline_committed_late_is_swept(store: Store, expiry: Expiry) -> None:
    """The sweep passed by between the command and its commit."""
    store.put(b"a", expire_at=NOW + 1)
    assert expiry.due(AFTERWARDS) is None
    store.commit()
    sweep(store, expiry)
    assert store.is_empty


def test_the_mark_stands_where_sweeping_goes_on(store: Store, expiry: Expiry) -> None:
    for number in range(SLICE + 1):
        store.put(b"%d" % number, expire_at=NOW + 1 + number)
    store.commit()
    assert expiry.due(AFTERWARDS) is not None
    assert store.keyspace.expiry_low_water.deadline == NOW + 1
    sweep(store, expiry)
    assert store.keyspace.expiry_low_water.deadline > AFTERWARDS


def test_a_large_collection_is_left_to_the_reclaimer(store: Store, expiry: Expiry) -> None:
    store.db.put(b"a", LargeRow(7, NOW + 1), None)
    store.commit()
    sweep(store, expiry)
    assert store.garbage() == [7]
    assert store.meta() == []


def test_it_goes_on_after_a_restart(store: Store) -> None:
    store.put(b"a", expire_at=NOW + 1)
    store.commit()
    store.reopen()
    sweep(store, Expiry(store.keyspace, remove_due))
    assert store.is_empty
    store.check()


def test_entries_of_a_flushed_database_go(store: Store, expiry: Expiry) -> None:
    store.put(b"a", expire_at=NOW + 1)
    store.commit()
    store.tx.flush_databases([0])
    store.put(b"a", b"new")
    store.commit()
    sweep(store, expiry)
    assert store.expires() == []
    assert store.value(b"a") == b"new"


def test_a_deadline_now_is_due(store: Store, expiry: Expiry) -> None:
    store.put(b"a", expire_at=NOW + 7)
    store.commit()
    assert expiry.due(NOW + 6) is None
    assert expiry.due(NOW + 7) is not None


def test_the_mark_goes_on_among_keys_of_one_deadline(store: Store, expiry: Expiry) -> None:
    """Or each look would walk over the tombstones of all slices before it."""
    for number in range(2 * SLICE):
        store.put(b"%04d" % number, expire_at=NOW + 1)
    store.commit(AFTERWARDS)
    due = expiry.due(AFTERWARDS)
    assert due is not None
    expiry.expire(store.tx, due)
    store.commit(AFTERWARDS)
    assert expiry.due(AFTERWARDS) is not None
    rest = deadline_key(NOW + 1, store.db.prefix + b"%04d" % SLICE)
    assert store.keyspace.expiry_low_water.position == rest


def test_the_cache_takes_in_nothing_of_a_sweep(store: Store, expiry: Expiry) -> None:
    for number in range(10):
        store.put(b"%d" % number, expire_at=NOW + 1)
    store.commit()
    sweep(store, expiry)
    assert store.keyspace.cache.statistics().entries == 0
    assert store.keyspace.cache.statistics().bytes == 0
    for number in range(10):
        store.put(b"%d" % number, expire_at=NOW + 1)
    store.commit()
    store.reopen()
    sweep(store, Expiry(store.keyspace, remove_due))
    assert store.keyspace.cache.statistics().entries == 0
    store.put(b"new")
    store.commit()
    assert store.keyspace.cache.statistics().entries == 1


def test_a_sweep_can_be_taken_back(store: Store, expiry: Expiry) -> None:
    for number in range(5):
        store.put(b"%d" % number, expire_at=NOW + 1)
    store.commit(AFTERWARDS)
    due = expiry.due(AFTERWARDS)
    assert due is not None
    expiry.expire(store.tx, due)
    assert store.db.counts().keys == 0
    store.tx.rollback_command()
    assert (store.db.counts().keys, store.db.counts().expires) == (5, 5)
    store.tx.rollback()
    store.check()
    sweep(store, expiry)
    assert store.is_empty


def test_nothing_goes_while_nothing_may_expire(store: Store, expiry: Expiry) -> None:
    store.put(b"a", expire_at=NOW + 1)
    store.commit(AFTERWARDS)
    due = expiry.due(AFTERWARDS)
    assert due is not None
    store.keyspace.may_expire = lambda: False
    assert expiry.due(AFTERWARDS) is None
    expiry.expire(store.tx, due)
    store.commit()
    assert len(store.meta()) == 1
    store.keyspace.may_expire = lambda: True
    sweep(store, expiry)
    assert store.is_empty


def test_a_job_leaves_what_is_too_much_for_it(store: Store) -> None:
    """Hashes may each have many fields that are due."""
    removed = []

    def remove_many(db: Database, key: bytes, row: Row) -> None:
        removed.append(key)
        for number in range(MOST_WRITES):
            db.tx.put(ROWS, b"%s%d" % (key, number), None)
        db.delete(key, row)

    for key in (b"a", b"b", b"c"):
        row = CollectionRow(HASH, Dated({b"f": b"v"}), 1, encoding=1)
        row.value.deadlines = {b"f": NOW + 1}
        row.fields_due = NOW + 1
        store.db.put(key, row, None)
    store.commit()
    assert sweep(store, Expiry(store.keyspace, remove_many)) == 3
    assert removed == [b"a", b"b", b"c"]
    assert store.is_empty


DAMAGED = 2000
"""Keys, of which a block with some 40 can't be read."""


def damaged_store(store: Store, family: str, expire_at: int) -> None:
    """Keys that are due one after the other, in a folder in which a block is damaged."""
    for number in range(DAMAGED):
        store.put(b"%04d" % number, b"value", expire_at=expire_at + number % 10)
    store.commit()
    store.engine.flush()
    store.engine.close()
    damage(store.folder, family)
    store.open()


def test_what_cannot_be_read_is_passed_over(store: Store) -> None:
    damaged_store(store, "meta", NOW + 1)
    expiry = Expiry(store.keyspace, remove_due)
    assert sweep(store, expiry) < DAMAGED // SLICE + 10
    left = store.keyspace.size(0).keys
    assert 10 < left < 200
    assert expiry.due(AFTERWARDS) is None, "they do not come again"
    assert len(store.expires()) == left, "each has its deadline still"
    store.put(b"other", expire_at=NOW + 5)
    store.commit()
    assert sweep(store, expiry)
    assert store.keyspace.size(0).keys == left
    assert expiry.due(AFTERWARDS) is None


def test_a_damaged_index_is_swept_up_to_the_damage(store: Store) -> None:
    damaged_store(store, "expires", NOW + 1)
    expiry = Expiry(store.keyspace, remove_due)
    sweep(store, expiry)
    left = store.keyspace.size(0).keys
    assert 100 < left < DAMAGED - 100
    assert expiry.due(AFTERWARDS) is None
    store.put(b"new", expire_at=AFTERWARDS + 1)
    store.commit()
    due = expiry.due(AFTERWARDS + 2)
    assert due is not None, "what becomes due from now on is seen to"
    assert due.keys == {b"new"}


def test_a_hash_that_cannot_be_read_keeps_its_fields(store: Store) -> None:
    def remove(db: Database, key: bytes, row: Row) -> None:
        db.tx.put(ROWS, key, b"half done")
        if key == b"b":
            raise UnreadableError("Corruption")
        db.delete(key, row)

    for key in (b"a", b"b", b"c"):
        row = CollectionRow(HASH, Dated({b"f": b"v"}), 1, encoding=1)
        row.value.deadlines = {b"f": NOW + 1}
        row.fields_due = NOW + 1
        store.db.put(key, row, None)
    store.commit()
    assert sweep(store, Expiry(store.keyspace, remove)) == 1
    assert [key[4:] for key in store.meta()] == [b"b"]
    assert [deadline for deadline, _ in store.expires()] == [NOW + 1]
    assert list(store.engine.keys(ROWS, b"", None)) == [b"a", b"c"]
