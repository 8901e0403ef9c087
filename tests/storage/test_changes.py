"""The signal of what has changed: from every path that writes, once it is sure."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.errors import StorageError
from tendis_py.storage.changes import Change, Release
from tendis_py.storage.codec import StringRow
from tendis_py.storage.expiry import Due, Expiry
from tendis_py.types import keys as all_keys
from tendis_py.types.hash.fields import remove_due
from tests.support.store import NOW, Store


class Ear:
    """Hears of the changes, by user key and index of the database."""

    def __init__(self, store: Store) -> None:
        self.heard: list[tuple[list[bytes], set[int]]] = []
        self.released: list[int] = []
        self._store = store
        store.keyspace.interest.listen(self.listen)

    def listen(self, change: Change, outgoing: list[Release]) -> None:
        self.heard.append(([key for _, key in change.keys], set(change.databases)))
        number = len(self.heard)
        outgoing.append(lambda: self.released.append(number))

    def unit(self) -> list[tuple[list[bytes], set[int]]]:
        """What is heard at the end of a unit of work."""
        self.heard.clear()
        self._store.tx.end_unit()
        return self.heard.copy()


@pytest.fixture
def ear(store: Store) -> Ear:
    return Ear(store)


def test_writes_are_heard_once_a_unit(store: Store, ear: Ear) -> None:
    assert ear.unit() == []
    store.put(b"b")
    store.put(b"a")
    store.put(b"b", b"again")
    store.delete(b"a")
    assert ear.unit() == [([b"b", b"a"], set())]
    store.db.set(b"b", b"2")
    assert ear.unit() == [([b"b"], set())]
    store.db.set_all([b"x", b"b", b"x"], [b"1", b"2", b"3"])
    assert ear.unit() == [([b"x", b"b"], set())]
    store.db.edited(b"large")
    assert ear.unit() == [([b"large"], set())]
    store.value(b"x")
    assert ear.unit() == []


def test_both_names_of_a_key_are_heard(store: Store, ear: Ear) -> None:
    store.put(b"old")
    ear.unit()
    row = store.db.peek(b"old")
    assert row is not None
    all_keys.rename(store.db, b"old", b"new")
    assert ear.unit() == [([b"old", b"new"], set())]


def test_what_is_taken_back_is_not_heard(store: Store, ear: Ear) -> None:
    store.put(b"a")
    mark = store.tx.mark()
    store.put(b"b")
    store.tx.rollback_to(mark)
    assert ear.unit() == [([b"a"], set())]


def test_expiry_is_heard_whoever_meets_it(store: Store, ear: Ear) -> None:
    for name in (b"a", b"b"):
        store.put(name, expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert store.db.find(b"a") is None
    assert ear.unit() == [([b"a"], set())]
    meta_key = store.db.prefix + b"b"
    Expiry(store.keyspace, remove_due).expire(store.tx, Due([(NOW + 1, 0, meta_key)], {b"b"}))
    assert ear.unit() == [([b"b"], set())]


def test_databases_are_heard(store: Store, ear: Ear) -> None:
    store.put(b"a")
    store.commit()
    ear.heard.clear()
    store.tx.flush_databases(range(3))
    assert ear.unit() == [([], {0})]
    store.tx.swap_databases(0, 2)
    assert ear.unit() == [([], {0, 2})]


def test_what_follows_from_a_change_waits_for_the_commit(store: Store, ear: Ear) -> None:
    store.put(b"a")
    ear.unit()
    assert ear.released == []
    store.tx.commit()
    store.tx.release()
    assert ear.released == [1]
    store.tx.release()
    assert ear.released == [1]


def test_a_failing_commit_releases_only_what_was_committed_before(
    store: Store, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(b"a")
    ear.unit()
    assert list(store.db.keys()) == [b"a"]
    store.db.put(b"b", StringRow(b"v"), None)
    store.tx.end_unit()

    def refuse(*_: object, **__: Any) -> None:
        raise StorageError("no space left on device")

    monkeypatch.setattr(store.engine, "write_batch", refuse)
    with pytest.raises(StorageError):
        store.tx.commit()
    store.tx.rollback()
    store.tx.release(settled_only=True)
    assert ear.released == [1]
    assert store.tx.outgoing == []


def test_nobody_has_to_listen(store: Store) -> None:
    interest = store.keyspace.interest
    ear, other = Ear(store), Ear(store)
    interest.forget(ear.listen)
    assert interest.active
    store.put(b"a")
    store.tx.end_unit()
    assert (len(ear.heard), len(other.heard)) == (0, 1)
    interest.forget(other.listen)
    assert not interest.active


def test_changes_are_counted_as_they_are_made_and_taken_back(store: Store) -> None:
    counters = store.tx.counters
    store.put(b"a")
    mark = store.tx.mark()
    store.db.put(b"b", StringRow(b"v"), None, edits=3)
    store.db.set_all([b"c", b"d"], [b"1", b"2"])
    assert counters.changes == 6
    store.tx.rollback_to(mark)
    assert counters.changes == 1
    store.put(b"e", expire_at=NOW + 1)
    store.commit(NOW + 1)
    assert (store.value(b"e"), counters.changes) == (None, 2), "expiry is no change of data"
    store.commit(NOW + 1)
    store.tx.flush_databases([0, 1])
    store.tx.swap_databases(0, 1)
    assert counters.changes == 2 + 1 + 1
