from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tendis_py.errors import StorageError
from tendis_py.storage.codec import deadline_key
from tendis_py.storage.cursors import Place
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace, LowWater
from tests.support.store import Store


def test_databases_start_empty_and_apart(store: Store) -> None:
    assert len(set(store.keyspace.namespaces)) == len(store.keyspace.namespaces)
    assert [store.keyspace.size(index).keys for index in range(3)] == [0, 0, 0]


def test_data_and_figures_survive_a_restart(store: Store) -> None:
    store.put(b"a", b"1")
    store.commit()
    store.put(b"b", b"2", expire_at=2**50)
    store.put(b"c", b"3", database=2)
    store.commit()
    store.delete(b"a")
    store.commit()
    store.put(b"lost", b"not committed")
    store.reopen()
    assert [store.value(b"a"), store.value(b"b"), store.value(b"lost")] == [None, b"2", None]
    assert store.value(b"c", 2) == b"3"
    sizes = [store.keyspace.size(index) for index in range(3)]
    assert [(size.keys, size.expires) for size in sizes] == [(1, 1), (0, 0), (1, 0)]
    store.check()


def test_more_databases_may_be_asked_for_later(store: Store) -> None:
    store.put(b"k", database=2)
    store.commit()
    namespaces = store.keyspace.namespaces
    store.engine.close()
    store.engine = Engine(store.folder)
    larger = Keyspace(store.engine, databases=8)
    assert larger.namespaces[:3] == namespaces
    assert len(set(larger.namespaces)) == 8
    assert larger.size(2).keys == 1


def test_fewer_databases_hide_and_keep_the_others(store: Store) -> None:
    store.put(b"k", b"v", database=2)
    store.commit()
    store.engine.close()
    store.engine = Engine(store.folder)
    Keyspace(store.engine, databases=1)
    store.reopen()
    assert store.value(b"k", 2) == b"v"


def test_versions_and_cursors_are_never_used_again(store: Store) -> None:
    versions, cursors = [], []
    for _ in range(3):
        versions += [store.keyspace.new_version() for _ in range(3)]
        cursors += [store.keyspace.cursors.issue(b"%d" % n, 10**9) for n in range(3)]
        store.reopen()
    assert sorted(set(versions)) == versions
    assert sorted(set(cursors)) == cursors
    assert min(versions) > 0
    assert min(cursors) > 0
    assert max(cursors) < 2**53  # a client may keep it in a double


def test_a_cursor_of_an_earlier_run_means_the_start(store: Store) -> None:
    cursor = store.keyspace.cursors.issue(b"far", 5)
    store.reopen()
    for number in range(5):
        store.keyspace.cursors.issue(b"%d" % number, 5)
    assert store.keyspace.cursors.place(cursor) == Place()


def test_a_folder_in_use_is_refused(store: Store) -> None:
    with pytest.raises(StorageError, match="in use by another process"):
        Engine(store.folder)


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "deep" / "data")
    assert len(Keyspace(engine).namespaces) == 16
    engine.close()


# The low water mark of the expiry index


def test_the_mark_is_raised_and_lowered() -> None:
    mark = LowWater()
    assert mark.raise_to(100) == b""
    assert mark.raise_to(50) == deadline_key(100, b"")
    assert mark.deadline == 100
    mark.lower(70)
    mark.lower(80)
    assert mark.deadline == 70
    assert mark.raise_to(70) == deadline_key(70, b"")


def test_the_mark_stands_among_rows_of_one_deadline() -> None:
    mark = LowWater()
    mark.raise_to(71)
    found = deadline_key(70, b"m")
    mark.lower_to(70, found)
    assert mark.deadline == 70
    assert mark.raise_to(71) == found
    mark.lower_to(70, found)
    mark.lower(70)  # a commit with the same deadline, before or after that row
    assert mark.raise_to(71) == deadline_key(70, b"")


def test_no_deadline_is_left_below_the_mark() -> None:
    """Commits lower the mark after they have written, a sweep raises it before it looks: whoever
    comes first, the entry is found now or by the next sweep."""
    mark = LowWater()
    written: set[int] = set()
    swept: set[int] = set()

    def commit(first: int) -> None:
        for deadline in range(first, 2000, 4):
            written.add(deadline)
            if deadline <= mark.deadline:
                mark.lower(deadline)

    def sweep() -> None:
        lower = mark.raise_to(5000)
        swept.update(deadline for deadline in list(written) if deadline_key(deadline, b"") >= lower)

    threads = [threading.Thread(target=commit, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sweep()
    sweep()
    assert swept == written == set(range(2000))
