"""Entries that were given back, and which pending entries go on first."""

from __future__ import annotations

import pytest

from tendis_py.errors import TooLargeError
from tendis_py.storage.database import Database
from tendis_py.types.keys import copy
from tendis_py.types.stream import claims, groups
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream.entries import Stream
from tendis_py.types.stream.groups import Group, Pending
from tendis_py.types.stream.ids import make
from tests.support.store import NOW, Store

LATER = NOW + 1000


def load(db: Database, key: bytes = b"s") -> tuple[Stream, Group]:
    stream = streams.peek(db, key)
    assert stream is not None
    group = groups.find(stream, b"g")
    assert group is not None
    return stream, group


def make_pending(db: Database, number: int) -> None:
    """A stream of so many entries, all delivered to the consumer ``c``."""
    stream = streams.create(db, b"s")
    for at in range(1, number + 1):
        stream.append(make(at), [b"f", b"%d" % at])
    groups.create(stream, b"g", 0, groups.UNKNOWN)
    stream.save()
    _, group = load(db)
    consumer = group.create_consumer(b"c", db.now)
    groups.deliver(stream, group, consumer, list(stream.range()), pending=True)
    group.save()


def give_back(group: Group, *numbers: int) -> None:
    for number in numbers:
        (old,) = group.pending_of([make(number)])
        group.give_back(make(number), 1, old)
    group.save()


def idle(db: Database, least: int, count: int | None = None, key: bytes = b"s") -> list[int]:
    """The first halves of the IDs of what is idle, in order."""
    stream, group = load(db, key)
    return [id_ >> 64 for (id_, _), _ in claims.idle_entries(stream, group, least, count)]


def test_what_was_given_back_comes_first_and_in_order(store: Store, db: Database) -> None:
    make_pending(db, 5)
    give_back(load(db)[1], 4, 2)
    store.commit()
    store.reopen()
    give_back(load(store.db)[1], 5, 4)
    store.commit(LATER)
    store.reopen()
    store.tx.begin(LATER)
    assert idle(store.db, 1000) == [2, 5, 4, 1, 3]
    assert idle(store.db, 1001) == [2, 5, 4]
    assert idle(store.db, 2**63 - 1) == [2, 5, 4]
    assert idle(store.db, 0, 4) == [2, 5, 4, 1]
    assert idle(store.db, 0, 0) == []


def test_it_is_nobodys(store: Store, db: Database) -> None:
    make_pending(db, 3)
    give_back(load(db)[1], 1, 3)
    _, group = load(db)
    assert group.pending == 3
    consumer = group.consumer(b"c")
    assert consumer is not None
    assert consumer.pending == 1
    assert list(group.owned(b"c")) == [make(2)]
    assert group.pending_of([make(1), make(3)]) == [
        Pending(b"", 0, 1, 1),
        Pending(b"", 0, 1, 2),
    ]


def test_a_consumer_without_a_name_may_take_it(db: Database) -> None:
    make_pending(db, 1)
    give_back(load(db)[1], 1)
    stream, group = load(db)
    nameless = group.create_consumer(b"", db.now)
    claims.claim(stream, group, nameless, claims.idle_entries(stream, group, 0, None))
    group.save()
    _, group = load(db)
    assert group.pending_of([make(1)]) == [Pending(b"", NOW, 2)]
    assert list(group.owned(b"")) == [make(1)]
    give_back(group, 1)
    assert list(load(db)[1].owned(b"")) == []


def test_places_begin_anew_once_nothing_is_pending(db: Database) -> None:
    make_pending(db, 2)
    give_back(load(db)[1], 1)
    _, group = load(db)
    for number in (1, 2):
        (old,) = group.pending_of([make(number)])
        assert old is not None
        group.release(make(number), old)
    group.save()
    _, group = load(db)
    group.give_back(make(2), 0, None)
    assert group.pending_of([make(2)]) == [Pending(b"", 0, 0, 1)]


def test_a_copy_has_it(db: Database) -> None:
    make_pending(db, 3)
    give_back(load(db)[1], 3, 1)
    assert copy(db, b"s", db, b"t")
    assert idle(db, 1, key=b"t") == [3, 1]


def test_deleted_entries_are_passed_over(db: Database) -> None:
    make_pending(db, 200)
    stream, _ = load(db)
    stream.delete(set(map(make, range(1, 191))))
    stream.save()
    assert idle(db, 0, 3) == [191, 192, 193]
    assert idle(db, 0) == list(range(191, 201))
    assert load(db)[1].pending == 200


def test_many_pending_entries_ask_for_the_slow_lane(store: Store, db: Database) -> None:
    make_pending(db, 20)
    store.tx.fast_rows = 16
    stream, group = load(db)
    with pytest.raises(TooLargeError):
        claims.idle_entries(stream, group, 0, 1)
