"""Versions of collections whose rows are written before the commit that names them."""

from __future__ import annotations

import pytest

from tendis_py.storage import elements as module
from tendis_py.storage.elements import Elements, VersionWriter
from tendis_py.storage.families import ROWS, SCORE
from tendis_py.storage.reclaim import Reclaimer, garbage
from tests.support.store import Store


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AHEAD_ROWS", 5)


def rows_of(store: Store, version: int, family: int = ROWS) -> list[bytes]:
    return list(Elements(store.transaction(), version, family).keys())


def test_few_elements_are_part_of_the_batch(store: Store) -> None:
    writer = VersionWriter(store.tx)
    for at in range(4):
        writer.add(b"%d" % at, b"v")
    version = writer.finish()
    assert rows_of(store, version) == []
    assert len(list(Elements(store.tx, version).keys())) == 4
    store.tx.rollback_command()
    store.commit()
    assert rows_of(store, version) == []
    assert store.garbage() == []


@pytest.mark.parametrize("number", [5, 6, 23])
def test_many_are_written_ahead_and_kept_by_the_commit(store: Store, number: int) -> None:
    writer = VersionWriter(store.tx)
    for at in range(number):
        writer.add(b"%02d" % at, b"v%d" % at, SCORE if at % 2 else ROWS)
    assert store.garbage() == [writer.version]
    assert list(garbage(store.keyspace)) == [], "the reclaimer would take it"
    version = writer.finish()
    assert Elements(store.tx, version).get(b"02") == b"v2"
    assert Elements(store.tx, version, SCORE).get(b"03") == b"v3"
    assert not Reclaimer(store.keyspace).find()
    store.commit()
    assert store.garbage() == []
    assert not store.keyspace.building
    assert len(rows_of(store, version) + rows_of(store, version, SCORE)) == number


@pytest.mark.parametrize("end", ["fails", "rollback", "crash"])
def test_what_was_written_ahead_in_vain_is_garbage(store: Store, end: str) -> None:
    writer = VersionWriter(store.tx)
    for at in range(12):
        writer.add(b"%02d" % at)
    if end == "fails":
        store.tx.rollback_command()
        store.commit()
    elif end == "rollback":
        writer.finish()
        store.tx.rollback()
    else:
        writer.finish()
        store.reopen()
    assert not store.keyspace.building
    assert store.garbage() == [writer.version]
    reclaimer = Reclaimer(store.keyspace)
    assert reclaimer.find()
    reclaimer.step(store.tx)
    store.commit()
    assert rows_of(store, writer.version) == []
    assert store.garbage() == []


def test_reading_a_source_does_not_end_what_is_being_written_ahead(store: Store) -> None:
    """An earlier command of the batch has written to the source that is read last."""
    source = Elements(store.tx, store.keyspace.new_version(), SCORE)
    for at in range(6):
        source.add(b"%03d" % at)
    store.commit()
    source.add(b"zzz")
    store.tx.undo.clear()
    writer = VersionWriter(store.tx)
    for at in range(7):
        writer.add(b"%d" % at)
    for element, _ in source.items():
        writer.add(element)
        assert not Reclaimer(store.keyspace).find()
    version = writer.finish()
    store.commit()
    assert len(rows_of(store, version)) == 14


def test_a_version_committed_after_the_reclaimer_saw_it_stays(store: Store) -> None:
    writer = VersionWriter(store.tx)
    for at in range(7):
        writer.add(b"%d" % at)
    store.keyspace.building.clear()  # as the reclaimer's look at it, begun before the commit
    reclaimer = Reclaimer(store.keyspace)
    assert reclaimer.find()
    version = writer.finish()
    store.commit()
    reclaimer.step(store.tx)
    store.commit()
    assert len(rows_of(store, version)) == 7


def test_the_cache_takes_the_beginning(store: Store) -> None:
    cache = store.keyspace.cache
    writer = VersionWriter(store.tx)
    for at in range(1000):
        writer.add(b"%04d" % at, b"v" * 100, SCORE if at % 2 else ROWS)
    prefix = writer.finish().to_bytes(8, "big")
    store.commit()
    held = [key for key in cache.young if key.startswith(prefix)]
    assert held == [prefix + b"%04d" % at for at in range(0, 2 * len(held), 2)]
    assert 0 <= cache.bytes - cache.limit // module.CACHED_SHARE < 5 * 300
