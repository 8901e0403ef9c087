from __future__ import annotations

import sys
import threading

import pytest

from tendis_py.storage import cache as module
from tendis_py.storage.cache import RowCache
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
        assert cache.statistics().bytes == 3 * 200 + len(b"bar") + len(b"e") + len(b"short")


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
    texts = list(store.keyspace.cache.young.values())
    held = 200 * len(texts) + sum(map(len, texts))
    assert store.keyspace.cache.statistics().bytes == held
