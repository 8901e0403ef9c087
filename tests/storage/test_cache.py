from __future__ import annotations

import sys
import threading

import pytest

from tendis_py.storage import cache as module
from tendis_py.storage.cache import ABSENT_KEPT, RowCache
from tendis_py.storage.codec import ABSENT, Held, StringRow
from tests.support.store import Store


def row(size: int = 0) -> StringRow:
    return StringRow(b"x" * size)


@pytest.fixture
def cache() -> RowCache:
    return RowCache(100_000)


def fill(cache: RowCache, name: bytes) -> None:
    """Add enough for the young generation to turn."""
    for number in range(6):
        cache.add(b"%b%d" % (name, number), row(10_000))


def update(cache: RowCache, rows: dict[bytes, Held]) -> None:
    cache.update(rows, cache.growth(rows))


def test_what_was_added_is_young(cache: RowCache) -> None:
    kept = row()
    cache.add(b"k", kept)
    assert cache.young[b"k"] is kept
    assert cache.recall(b"k") is None


def test_a_generation_turns_at_half_the_limit(cache: RowCache) -> None:
    for number in range(4):
        cache.add(b"%d" % number, row(10_000))
        cache.trim()
    assert len(cache.young) == 4
    cache.add(b"4", row(10_000))
    cache.trim()
    assert not cache.young
    assert len(cache.old) == 5


def test_what_is_asked_for_again_stays(cache: RowCache) -> None:
    wanted = row()
    cache.add(b"wanted", wanted)
    for name in (b"a", b"b", b"c", b"d"):
        fill(cache, name)
        cache.trim()
        assert cache.recall(b"wanted") is wanted
        assert cache.young[b"wanted"] is wanted
        assert b"wanted" not in cache.old
    assert b"a0" not in cache.young | cache.old


def test_it_keeps_to_its_limit(cache: RowCache) -> None:
    for number in range(1000):
        cache.add(b"%d" % number, row(1000))
        cache.trim()
        figures = cache.statistics()
        assert figures.bytes <= figures.limit * 1.02
        assert figures.entries <= 100
    assert cache.statistics().rotations > 15


def test_an_update_replaces(cache: RowCache) -> None:
    cache.add(b"k", row())
    new = row(5)
    update(cache, {b"k": new, b"l": row()})
    assert cache.young[b"k"] is new
    assert cache.statistics().entries == 2


def test_what_is_replaced_no_longer_counts(cache: RowCache) -> None:
    update(cache, {b"k": b"bare" * 100, b"l": row(100), b"gone": ABSENT})
    cache.update_values({b"m": b"element" * 100, b"n": b"element"})
    for _ in range(2):
        update(cache, {b"k": row(5), b"l": b"bare", b"gone": b"bare"})
        update(cache, {b"k": b"bar", b"l": b"e"})
        cache.update_values({b"m": b"short", b"n": None})
        cache.forget(b"gone")
        assert cache.statistics().bytes == 3 * 129 + len(b"bar") + len(b"e") + len(b"short")


def test_an_update_hides_what_is_old(cache: RowCache) -> None:
    cache.add(b"k", row())
    fill(cache, b"a")
    cache.trim()
    new = row()
    update(cache, {b"k": new})
    fill(cache, b"b")
    cache.trim()
    assert cache.recall(b"k") is new


def test_forget_and_clear(cache: RowCache) -> None:
    cache.add(b"old", b"element")
    fill(cache, b"a")
    cache.trim()
    cache.add(b"young", b"element")
    cache.forget(b"old")
    cache.forget(b"young")
    cache.forget(b"never")
    assert b"old" not in cache.old
    assert b"young" not in cache.young
    cache.clear()
    assert (cache.statistics().entries, cache.statistics().bytes) == (0, 0)


def test_a_generation_is_freed_in_steps(cache: RowCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DISCARD_PER_STEP", 2)
    for name in (b"a", b"b"):
        fill(cache, name)
        cache.trim()
    left = []
    for _ in range(4):
        left.append(sum(map(len, cache._discarding)))
        cache.trim()
    assert left == [6, 4, 2, 0]


def test_what_is_cleared_is_freed_in_steps(
    cache: RowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DISCARD_PER_STEP", 2)
    for number in range(3):
        cache.add(b"%d" % number, row())
    cache.clear()
    cache.add(b"new", row())
    left = []
    while cache.is_discarding:
        left.append(sum(map(len, cache._discarding)))
        cache.trim()
    assert left[0] == 3
    assert left[-1] <= 2
    assert list(cache.young) == [b"new"]


def test_drop_takes_from_both_generations(cache: RowCache) -> None:
    cache.add(b"old", row())
    fill(cache, b"a")
    cache.trim()
    before = cache.statistics().bytes
    cache.add(b"young", row())
    assert None not in cache.look([b"old", b"young"])
    cache.drop([b"old", b"young", b"never"])
    assert cache.look([b"old", b"young"]) == [None, None]
    assert cache.statistics().bytes < before
    cache.drop(list(cache.young))
    cache.drop(list(cache.old))
    assert (cache.statistics().entries, cache.statistics().bytes) == (0, 0)


def test_threads_may_trim_at_the_same_time(
    cache: RowCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DISCARD_PER_STEP", 3)
    interval = sys.getswitchinterval()
    failures: list[BaseException] = []

    def work(name: bytes) -> None:
        try:
            for number in range(3000):
                cache.add(b"%b%d" % (name, number), row(2000))
                cache.trim()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in (b"a", b"b", b"c")]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(interval)
    assert not failures


@pytest.mark.parametrize("more", [b"b", b"c"])
def test_a_run_that_names_a_key_twice_counts_it_once(store: Store, more: bytes) -> None:
    """``more`` is written after the run: a key of the run, or another."""
    for key in (b"a", b"b"):
        store.put(key, b"before")
    store.commit()
    store.db.set_all([b"a", b"b", b"a"], [b"long" * 50, b"short", b"new"])
    store.put(more, b"after")
    store.commit()
    held = sum(128 + len(key) + len(text) for key, text in store.keyspace.cache.young.items())
    assert store.keyspace.cache.statistics().bytes == held


def test_keys_count(cache: RowCache) -> None:
    """Members of a set are nothing but keys."""
    key = b"k" * 5000
    cache.add(key, b"")
    update(cache, {key * 2: b"value"})
    cache.update_values({key * 3: b""})
    assert cache.bytes >= 30_000
    cache.drop([key, key * 2])
    cache.forget(key * 3)
    assert cache.bytes == 0


def test_what_comes_back_counts_once(cache: RowCache) -> None:
    cache.add(b"row", row(100))
    cache.add(b"outdated", b"value")
    before = cache.bytes
    cache._turn()
    cache.recall(b"row")
    assert cache.bytes == before
    cache.forget(b"outdated")
    cache.drop([b"row"])
    assert cache.bytes == 0


# Rows of keys that were deleted


def deleted(store: Store, number: int) -> list[bytes]:
    """Keys that are no more, the first deleted the longest ago."""
    store.keyspace.cache.limit = 1 << 30
    keys = [b"%05d" % index for index in range(number)]
    for key in keys:
        store.put(key)
    store.commit()
    for key in keys:
        row = store.db.peek(key)
        assert row is not None
        store.db.delete(key, row)
        store.tx.end_unit()
    store.commit()
    return [store.db.prefix + key for key in keys]


def test_deleted_rows_do_not_stay(store: Store) -> None:
    keys = deleted(store, ABSENT_KEPT + 3000)
    cache = store.keyspace.cache
    assert cache.look(keys) == [ABSENT] * len(keys)
    assert cache.drop_deleted()
    assert not cache.drop_deleted()
    assert cache.look(keys) == [None] * 3000 + [ABSENT] * ABSENT_KEPT
    assert not cache.drop_deleted()
    store.check()


def test_those_that_came_back_stay(store: Store) -> None:
    keys = deleted(store, ABSENT_KEPT + 3)
    store.put(b"00001", b"back")
    store.commit()
    cache = store.keyspace.cache
    assert not cache.drop_deleted()
    assert cache.look(keys[:4]) == [None, b"back", None, ABSENT]
    assert cache.bytes == sum(
        128 + len(key) + (0 if what is ABSENT else len(what)) for key, what in cache.young.items()
    )


def test_nothing_outdated_comes_up_when_they_go(store: Store) -> None:
    """A row that was deleted hides one of the old generation."""
    cache = store.keyspace.cache
    store.put(b"00000", b"outdated")
    store.commit()
    cache._turn()
    store.tx.meta[store.db.prefix + b"00000"] = b"new"
    keys = deleted(store, ABSENT_KEPT + 1)
    cache.old[keys[0]] = b"outdated"
    cache.drop_deleted()
    assert store.db.peek(b"00000") is None
    assert keys[0] not in cache.old


def test_what_was_taken_back_is_no_deletion(store: Store) -> None:
    store.put(b"k", b"v")
    store.commit()
    row = store.db.peek(b"k")
    assert row is not None
    store.db.delete(b"k", row)
    store.tx.rollback()
    store.put(b"other", b"v")
    store.commit()
    assert not store.keyspace.cache._deleted


def test_a_hollow_generation_turns(cache: RowCache) -> None:
    cache.limit = 1 << 30
    keys = [b"%d" % number for number in range(40_000)]
    for key in keys:
        cache.add(key, b"v")
    cache.turn_if_hollow()
    assert len(cache.young) == len(keys)
    cache.drop(keys[10:])
    assert sys.getsizeof(cache.young) > 1 << 20
    cache.turn_if_hollow()
    assert cache.recall(keys[0]) == b"v"
    cache.trim()
    cache.turn_if_hollow()
    while cache.is_discarding:
        cache.trim()
    assert sys.getsizeof(cache.young) + sys.getsizeof(cache.old) < 10_000
    assert cache.look(keys[:2]) == [b"v", None]
