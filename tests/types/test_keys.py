from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import NO_SUCH_KEY, ReplyError
from tendis_py.storage.codec import LIST, STRING
from tendis_py.storage.database import Database
from tendis_py.storage.families import META
from tendis_py.types import keys
from tendis_py.types.string import counter
from tendis_py.types.string import values as strings
from tests.support.store import NOW, LargeRow, Store

LATER = NOW + 5000


def expiry_of(store: Store, key: bytes, database: int = 0) -> int | None:
    row = store.tx.database(database).peek(key)
    return None if row is None else row.expire_at


# Existence


def test_delete_tells_how_many_there_were(store: Store, db: Database) -> None:
    store.put(b"a")
    store.put(b"b", expire_at=LATER)
    store.put(b"gone", expire_at=NOW)
    assert keys.delete(db, [b"a", b"b", b"a", b"gone", b"never"]) == 2
    assert keys.delete(db, [b"a"]) == 0
    store.commit()
    assert store.is_empty


def test_existing_keys_count_as_often_as_they_are_named(store: Store, db: Database) -> None:
    store.put(b"a")
    assert keys.count_existing(db, [b"a", b"b", b"a"]) == 2
    assert (store.tx.counters.hits, store.tx.counters.misses) == (2, 1)


def test_touch_touches_even_for_a_client_that_does_not(store: Store, db: Database) -> None:
    store.put(b"a")
    store.commit(NOW + 9000)
    store.tx.touches = False
    assert keys.touch(db, [b"a", b"b", b"a"]) == 2
    assert db.last_use(b"a") == (NOW + 9000) // 1000


def test_counting_touches_but_for_a_client_that_does_not(store: Store, db: Database) -> None:
    for count in (
        lambda: counter.increment(db, b"n", 1),
        lambda: counter.increment_run(db, [b"n"]),
    ):
        store.commit(NOW)
        strings.put(db, b"n", b"5")
        store.commit(NOW + 9000)
        store.tx.touches = False
        count()
        assert db.last_use(b"n") == NOW // 1000
        store.tx.touches = True
        count()
        assert db.last_use(b"n") == (NOW + 9000) // 1000


def test_asking_does_not_touch(store: Store, db: Database) -> None:
    store.put(b"a", expire_at=LATER)
    store.commit(NOW + 9000)
    keys.count_existing(db, [b"a"])
    keys.type_name(db, b"a")
    keys.deadline(db, b"a")
    keys.memory_usage(db, b"a", 5)
    assert db.last_use(b"a") == NOW // 1000


def test_types_have_names(store: Store, db: Database) -> None:
    store.put(b"a")
    assert keys.type_name(db, b"a") == "string"
    assert keys.type_name(db, b"b") == "none"
    assert keys.type_named(b"String") == STRING
    assert keys.type_named(b"list") == LIST
    assert keys.type_named(b"none") == keys.type_named(b"\xff") == keys.UNKNOWN_TYPE


# Deadlines


def test_a_deadline_comes_and_goes(store: Store, db: Database) -> None:
    store.put(b"a", b"v")
    assert keys.deadline(db, b"a") == 0
    assert keys.deadline(db, b"b") is None
    assert keys.expire(db, b"a", LATER)
    assert keys.deadline(db, b"a") == LATER
    assert store.value(b"a") == b"v"
    assert keys.persist(db, b"a")
    assert keys.deadline(db, b"a") == 0
    assert not keys.persist(db, b"a")
    assert not keys.persist(db, b"b")
    assert not keys.expire(db, b"b", LATER)


@pytest.mark.parametrize("at", [NOW, NOW - 1, 1, 0, -1, -(2**63)])
def test_a_deadline_in_the_past_deletes(store: Store, db: Database, at: int) -> None:
    store.put(b"a", expire_at=LATER)
    assert keys.expire(db, b"a", at)
    assert store.value(b"a") is None
    assert not keys.expire(db, b"a", at)
    store.commit()
    assert store.is_empty


@pytest.mark.parametrize(
    ("condition", "none", "sooner", "same", "later"),
    [
        (keys.has_none, True, False, False, False),
        (keys.has_one, False, True, True, True),
        (keys.is_later, False, False, False, True),
        (keys.is_sooner, True, True, False, False),
    ],
)
def test_conditions(
    store: Store,
    db: Database,
    condition: keys.Condition,
    none: bool,
    sooner: bool,
    same: bool,
    later: bool,
) -> None:
    for old, new, holds in (
        (0, LATER, none),
        (LATER, LATER - 1, sooner),
        (LATER, LATER, same),
        (LATER, LATER + 1, later),
    ):
        store.put(b"a", expire_at=old)
        assert keys.expire(db, b"a", new, [condition]) is holds
        assert keys.deadline(db, b"a") == (new if holds else old)


def test_all_conditions_must_hold(store: Store, db: Database) -> None:
    store.put(b"a")
    assert not keys.expire(db, b"a", LATER, [keys.has_one, keys.is_sooner])
    assert keys.expire(db, b"a", LATER)
    assert keys.expire(db, b"a", LATER - 1, [keys.has_one, keys.is_sooner])
    assert not keys.expire(db, b"a", NOW - 1, [keys.is_later])
    assert store.value(b"a") is not None


# Names


def test_rename_carries_value_and_deadline(store: Store, db: Database) -> None:
    store.put(b"a", b"1", expire_at=LATER)
    store.put(b"b", b"2", expire_at=LATER + 1)
    keys.rename(db, b"a", b"b")
    assert store.value(b"a") is None
    assert store.value(b"b") == b"1"
    assert expiry_of(store, b"b") == LATER
    store.commit()
    assert [deadline for deadline, _ in store.expires()] == [LATER]
    store.check()


def test_rename_to_itself(store: Store, db: Database) -> None:
    store.put(b"a", b"1")
    keys.rename(db, b"a", b"a")
    assert store.value(b"a") == b"1"
    assert not keys.rename_if_free(db, b"a", b"a")


def test_rename_wants_a_source(db: Database) -> None:
    for rename in (keys.rename, keys.rename_if_free):
        with pytest.raises(ReplyError, match=NO_SUCH_KEY):
            rename(db, b"none", b"none")


def test_rename_if_free(store: Store, db: Database) -> None:
    store.put(b"a", b"1", expire_at=LATER)
    store.put(b"b", b"2")
    store.put(b"gone", expire_at=NOW)
    assert not keys.rename_if_free(db, b"a", b"b")
    assert keys.rename_if_free(db, b"a", b"gone")
    assert [store.value(key) for key in (b"a", b"b", b"gone")] == [None, b"2", b"1"]
    store.commit()
    store.check()


def test_move(store: Store, db: Database) -> None:
    other = store.tx.database(1)
    store.put(b"a", b"1", expire_at=LATER)
    store.put(b"b", b"2")
    store.put(b"b", b"other", database=1)
    assert keys.move(db, b"a", other)
    assert not keys.move(db, b"a", other)
    assert not keys.move(db, b"b", other)
    assert [store.value(key, 1) for key in (b"a", b"b")] == [b"1", b"other"]
    assert expiry_of(store, b"a", 1) == LATER
    store.commit()
    assert [store.keyspace.size(index).keys for index in (0, 1)] == [1, 2]
    store.check()


def test_a_large_collection_is_carried_not_copied(store: Store, db: Database) -> None:
    db.put(b"a", LargeRow(7, LATER), None)
    db.put(b"b", LargeRow(8), None)
    store.commit()
    keys.rename(db, b"a", b"b")
    store.tx.undo.clear()
    assert keys.move(db, b"b", store.tx.database(2))
    store.commit()
    row = store.tx.database(2).peek(b"b")
    assert row is not None
    assert (row.version, row.expire_at) == (7, LATER)
    assert store.garbage() == [8]
    keys.delete(store.tx.database(2), [b"b"])
    store.commit()
    assert store.garbage() == [7, 8]


def test_copy(store: Store, db: Database) -> None:
    other = store.tx.database(1)
    store.put(b"a", b"1", expire_at=LATER)
    assert keys.copy(db, b"a", db, b"b")
    assert not keys.copy(db, b"a", db, b"b")
    assert keys.copy(db, b"a", other, b"a")
    assert not keys.copy(db, b"none", db, b"b", replace=True)
    store.put(b"a", b"2")
    assert store.value(b"b") == store.value(b"a", 1) == b"1"
    assert expiry_of(store, b"b") == expiry_of(store, b"a", 1) == LATER
    assert keys.copy(db, b"a", db, b"b", replace=True)
    assert store.value(b"b") == b"2"
    assert expiry_of(store, b"b") == 0
    store.commit()
    store.check()


def test_a_copy_is_used_on_its_own(store: Store, db: Database) -> None:
    store.put(b"a")
    keys.copy(db, b"a", db, b"b")
    store.commit(NOW + 9000)
    db.find(b"b")
    assert db.last_use(b"a") == NOW // 1000


# Iteration


def test_matching(store: Store, db: Database) -> None:
    for name in (b"a", b"user:1", b"user:2", b"us*r", b"z"):
        store.put(name)
    store.put(b"user:gone", expire_at=NOW)
    store.put(b"user:other", database=1)
    store.commit()
    for pattern, found in (
        (b"*", [b"a", b"us*r", b"user:1", b"user:2", b"z"]),
        (b"user:*", [b"user:1", b"user:2"]),
        (b"us\\*r", [b"us*r"]),
        (b"?", [b"a", b"z"]),
        (b"", []),
    ):
        assert list(keys.matching(db, pattern)) == found


def scan_all(
    db: Database,
    count: int,
    pattern: bytes | None = None,
    type_: int | None = None,
    between: Callable[[], None] = lambda: None,
) -> list[bytes]:
    """A whole iteration; ``between`` is called after each step."""
    found: list[bytes] = []
    position: bytes | None = b""
    while position is not None:
        page, position = keys.scan(db, position, count, pattern, type_)
        found += page
        between()
    return found


@pytest.mark.parametrize("count", [1, 3, 10, 10**18])
def test_a_scan_returns_every_key_once(store: Store, db: Database, count: int) -> None:
    names = [b"%d" % number for number in range(25)]
    for name in names:
        store.put(name)
    store.commit()
    assert sorted(scan_all(db, count)) == sorted(names)
    assert sorted(scan_all(db, count, b"1*")) == sorted(n for n in names if n.startswith(b"1"))
    assert scan_all(db, count, b"[^1-9]") == [b"0"]
    assert scan_all(db, count, None, LIST) == []
    assert len(scan_all(db, count, b"*", STRING)) == 25


def test_a_prefix_costs_its_matches(store: Store, db: Database) -> None:
    for number in range(1000):
        store.put(b"a%d" % number)
    store.put(b"b1")
    store.commit()
    assert keys.scan(db, b"", 10, b"b*") == ([b"b1"], None)
    assert keys.scan(db, b"", 10, b"c*") == ([], None)
    page, rest = keys.scan(db, b"", 10, b"*b*")
    assert page == []
    assert rest is not None


def test_a_step_is_bounded(store: Store, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_COUNT", 7)
    for number in range(20):
        store.put(b"%02d" % number)
    store.commit()
    page, rest = keys.scan(db, b"", 10**9)
    assert len(page) == 7
    assert rest == b"07"


@pytest.mark.parametrize("pattern", [None, b"*", b"0*"])
def test_a_step_may_have_to_be_long(
    store: Store, db: Database, monkeypatch: pytest.MonkeyPatch, pattern: bytes | None
) -> None:
    monkeypatch.setattr(keys, "MAX_COUNT", 7)
    for number in range(90):
        store.put(b"0%02d" % number)
    store.commit()
    page, rest = keys.scan(db, b"", 3, pattern, at_least=32)
    assert page == [b"0%02d" % number for number in range(32)]
    assert rest == b"032"
    page, rest = keys.scan(db, b"", 3, pattern, at_least=128)
    assert len(page) == 90
    assert rest is None


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_separator_is_the_shortest_beginning_that_is_greater(one: bytes, other: bytes) -> None:
    lesser, greater = sorted((one, other))
    if lesser == greater:
        return
    found = keys.separator(lesser, greater)
    shorter = [greater[:size] for size in range(len(found))]
    assert lesser < found <= greater
    assert greater.startswith(found)
    assert all(beginning <= lesser for beginning in shorter)


NAMES = st.binary(max_size=2)


@settings(max_examples=60)
@given(
    stable=st.sets(NAMES, max_size=20),
    changes=st.lists(st.tuples(NAMES, st.booleans()), max_size=30),
    count=st.integers(1, 5),
)
def test_what_is_there_throughout_is_returned(
    tmp_path_factory: pytest.TempPathFactory,
    stable: set[bytes],
    changes: list[tuple[bytes, bool]],
    count: int,
) -> None:
    """Other keys come and go meanwhile, and the iteration sees them or not, but never twice."""
    store = Store(tmp_path_factory.mktemp("scan") / "data")
    for name in stable:
        store.put(name)
    store.commit()
    pending = list(changes)

    def change() -> None:
        for name, appears in pending[:2]:
            if name not in stable and appears:
                store.put(name)
            elif name not in stable and store.value(name) is not None:
                store.delete(name)
        del pending[:2]
        store.commit()

    found = scan_all(store.db, count, between=change)
    assert stable <= set(found)
    assert set(found) <= stable | {name for name, _ in changes}
    assert len(found) == len(set(found))
    store.engine.close()


# Facts


def test_memory_usage_grows_with_what_is_stored(store: Store, db: Database) -> None:
    def usage(key: bytes) -> int:
        found = keys.memory_usage(db, key, 5)
        assert found is not None
        return found

    store.put(b"a", b"")
    store.put(b"ab", b"")
    store.put(b"b", b"x" * 1000)
    store.put(b"c", b"", expire_at=LATER)
    assert usage(b"ab") == usage(b"a") + 1
    assert usage(b"b") == usage(b"a") + 1000
    assert usage(b"c") == 2 * usage(b"a") + 9 - 11  # an entry in the index, without a head
    assert keys.memory_usage(db, b"none", 5) is None


def test_memory_usage_is_about_what_the_disk_holds(store: Store, db: Database) -> None:
    source = random.Random(1)
    for number in range(3000):
        store.put(b"key:%06d" % number, source.randbytes(100))
    store.commit()
    told = sum(keys.memory_usage(db, key, 5) or 0 for key, _ in db.rows())
    store.engine.flush()
    held = store.engine.number("total-sst-files-size", META)
    assert 0.9 < told / held < 1.2
