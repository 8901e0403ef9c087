"""Commits of many rows go through the journal: wherever they are interrupted, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tendis_py.errors import StorageError, WriteStalledError
from tendis_py.storage import journal, transaction
from tendis_py.storage.check import CLEAN, check_folder
from tendis_py.storage.engine import Engine, RowWrite
from tendis_py.storage.families import ROWS, SCORE
from tendis_py.types.checks import INSPECTORS
from tests.support.store import NOW, Store

KEYS = [b"%02d" % at for at in range(30)]
MORE = 10**6


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "MOST_ROWS", 20)
    monkeypatch.setattr(transaction, "SLICE_ROWS", 7)


class Fragile:
    """An engine's ``write``, which fails after so many calls, for so many more."""

    def __init__(self, engine: Engine, calls: int, failing: int = MORE) -> None:
        self.calls = 0
        self._broken = range(calls, calls + failing)
        self._write = engine.write

    def __call__(self, *arguments: object) -> None:
        self.calls += 1
        if self.calls - 1 in self._broken:
            raise StorageError("the disk is gone")
        self._write(*arguments)  # type: ignore[arg-type]


def settings(store: Store) -> list[bytes]:
    """What the journal has left."""
    return [
        key
        for prefix in (journal.JOURNAL_SETTING, journal.INTENT_SETTING)
        for key, _ in store.engine.settings(prefix)
    ]


def change(store: Store) -> None:
    """New keys, keys that are replaced, and keys that go."""
    store.db.set_all(KEYS, [b"new"] * len(KEYS))
    for key in KEYS[:5]:
        store.delete(key)
    store.put(b"due", expire_at=2 * NOW)


def before(store: Store) -> None:
    for key in KEYS[:10]:
        store.put(key, b"old")
    store.commit()


def outcome(store: Store) -> str:
    """Which of both states all of it is in."""
    store.forget()
    values = [store.value(key) for key in [*KEYS, b"due"]]
    size = store.db.counts()
    if values == [b"old"] * 10 + [None] * 21:
        assert (size.keys, size.expires) == (10, 0)
        return "before"
    assert values == [None] * 5 + [b"new"] * 25 + [b"v"]
    assert (size.keys, size.expires) == (26, 1)
    return "after"


def writes(store: Store, work: Callable[[], None]) -> int:
    """How many writes it takes."""
    counter = Fragile(store.engine, 0, failing=0)
    store.engine.write = counter  # type: ignore[method-assign]
    work()
    del store.engine.write  # type: ignore[method-assign]
    return counter.calls


def test_a_large_commit_is_published_and_leaves_nothing_behind(store: Store) -> None:
    before(store)
    change(store)
    store.commit()
    assert outcome(store) == "after"
    assert settings(store) == []
    store.reopen()
    assert outcome(store) == "after"


def test_a_small_one_is_one_write(store: Store) -> None:
    for key in KEYS[:20]:
        store.put(key)
    assert writes(store, store.commit) == 0, "it goes to RocksDB as a batch of its own"


def test_a_reactor_does_not_do_it(store: Store) -> None:
    change_ = [(b"%d" % at, b"v") for at in range(21)]
    store.db.set_all(*map(list, zip(*change_, strict=True)))
    store.tx.undo.clear()
    with pytest.raises(WriteStalledError):
        store.tx.commit(may_wait=False)
    assert settings(store) == []
    store.tx.commit()
    assert store.db.counts().keys == 21


def test_it_is_all_or_nothing_wherever_a_crash_comes(tmp_path: Path) -> None:
    outcomes = []
    for calls in range(MORE):
        store = Store(tmp_path / f"{calls}")
        before(store)
        change(store)
        store.engine.write = Fragile(store.engine, calls)  # type: ignore[method-assign]
        store.tx.undo.clear()
        try:
            store.tx.commit()
            finished = True
        except StorageError:
            finished = False
        store.engine.close()
        lines: list[str] = []
        assert check_folder(store.folder, INSPECTORS, lines.append) == CLEAN, lines
        store.open()
        outcomes.append(outcome(store))
        assert settings(store) == []
        store.engine.close()
        if finished:
            break
    assert outcomes == sorted(outcomes, reverse=True), "it becomes true once"
    assert outcomes.count("before") >= 3
    assert outcomes.count("after") >= 3


def test_what_could_not_be_staged_is_taken_back_at_once(store: Store) -> None:
    before(store)
    change(store)
    store.tx.undo.clear()
    store.engine.write = Fragile(store.engine, 2, failing=1)  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        store.tx.commit()
    store.tx.rollback()
    assert settings(store) == []
    assert outcome(store) == "before"


def test_a_write_error_in_between_is_mended_when_the_folder_is_open_anew(store: Store) -> None:
    before(store)
    change(store)
    store.tx.undo.clear()
    store.engine.write = Fragile(store.engine, 8)  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        store.tx.commit()
    store.tx.rollback()
    del store.engine.write  # type: ignore[method-assign]
    store.tx.begin(NOW)
    assert store.value(KEYS[0]) is None, "this slice was applied"
    assert store.value(KEYS[9]) == b"old", "this one was not"
    assert store.engine.reopen()
    store.keyspace.finish_commits()
    assert outcome(store) == "after"
    assert settings(store) == []


def test_ranges_are_deleted_before_rows_are_written(store: Store) -> None:
    store.tx.put_many(ROWS, {b"a%02d" % at: b"old" for at in range(30)})
    store.commit()
    store.tx.delete_range(ROWS, b"a", b"b")
    store.tx.put_many(ROWS, {b"a%02d" % at: b"new" for at in range(0, 60, 2)})
    store.tx.put_many(SCORE, {b"a%02d" % at: b"" for at in range(30)})
    store.commit()
    store.reopen()
    assert dict(store.tx.rows(ROWS, b"a", b"b")) == {
        b"a%02d" % at: b"new" for at in range(0, 60, 2)
    }
    assert len(list(store.tx.row_keys(SCORE, b"a", b"b"))) == 30


def test_large_values_make_small_slices(store: Store) -> None:
    rows: list[RowWrite] = [(ROWS, b"%d" % at, bytes(journal.SLICE_BYTES // 2)) for at in range(7)]
    assert [len(part) for part in journal.short_writes(rows)] == [2, 2, 2, 1]
    assert list(journal.short_writes(rows[:1])) == [rows[:1]]
