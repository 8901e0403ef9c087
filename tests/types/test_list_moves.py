"""Moving many elements of lists, small and large, against Python's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.errors import WRONG_TYPE, ReplyError, TooLargeError
from tendis_py.storage.database import Database
from tendis_py.types.list import elements as lists
from tests.support.store import NOW, Store

LATER = NOW + 5000


def moved(
    model: dict[bytes, list[bytes]],
    source: bytes,
    target: bytes,
    count: int,
    *,
    exactly: bool,
    as_block: bool,
    from_left: bool,
    to_left: bool,
) -> list[bytes] | None:
    here = model.get(source)
    if here is None or (exactly and len(here) < count):
        return None
    popped = [here.pop(0 if from_left else -1) for _ in range(min(count, len(here)))]
    there = model.setdefault(target, [])
    if as_block:
        block = popped if from_left else popped[::-1]
        there[:] = block + there if to_left else there + block
    else:
        block = popped[::-1] if to_left else popped
        for element in popped:
            there.insert(0 if to_left else len(there), element)
    for key in (source, target):
        if not model.get(key):
            model.pop(key, None)
    return block


_keys = st.sampled_from([b"a", b"b"])
_steps = st.tuples(_keys, _keys, st.integers(1, 12), *[st.booleans()] * 4)


@settings(max_examples=60)
@given(
    limit=st.sampled_from([3, 128]),
    sizes=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    steps=st.lists(_steps, min_size=1, max_size=8),
)
@example(limit=3, sizes=(7, 0), steps=[(b"a", b"a", 7, True, False, True, True)])
@example(limit=3, sizes=(7, 5), steps=[(b"a", b"b", 6, False, True, False, True)])
def test_they_move_as_in_python(
    limit: int,
    sizes: tuple[int, int],
    steps: list[tuple[bytes, bytes, int, bool, bool, bool, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        store.keyspace.limits.list_max_listpack_size = limit
        model: dict[bytes, list[bytes]] = {}
        for key, size in zip((b"a", b"b"), sizes, strict=True):
            values = [b"%b%d" % (key, number) for number in range(size)]
            if values:
                model[key] = values
                lists.push(store.db, key, values, left=False)
        for source, target, count, exactly, as_block, from_left, to_left in steps:
            how = {"exactly": exactly, "as_block": as_block}
            ends = {"from_left": from_left, "to_left": to_left}
            found = lists.move_many(store.db, source, target, count, **how, **ends)
            assert found == moved(model, source, target, count, **how, **ends)
            store.commit()
            for key in (b"a", b"b"):
                assert list(lists.part(store.db, key, 0, -1)) == model.get(key, [])
                assert lists.length(store.db, key) == len(model.get(key, []))
        store.check()
        store.engine.close()


def move(db: Database, source: bytes, target: bytes, count: int) -> list[bytes] | None:
    return lists.move_many(
        db, source, target, count, exactly=False, as_block=True, from_left=True, to_left=False
    )


@pytest.mark.parametrize("size", [5, 5000])
def test_a_list_that_is_moved_onto_itself_keeps_its_deadline(store: Store, size: int) -> None:
    db = store.db
    lists.push(db, b"k", [b"%d" % number for number in range(size)], left=False)
    row = db.peek(b"k")
    assert row is not None
    db.put(b"k", row.with_expiry(LATER), row)
    for count in (size, size - 1):
        found = move(db, b"k", b"k", count)
        assert found is not None
        assert len(found) == count
        store.commit()
        row = db.peek(b"k")
        assert row is not None
        assert row.expire_at == LATER
    store.check()


def test_nothing_is_popped_for_a_key_of_another_type(store: Store, db: Database) -> None:
    lists.push(db, b"k", [b"a"], left=True)
    store.put(b"s")
    with pytest.raises(ReplyError, match=WRONG_TYPE):
        move(db, b"k", b"s", 1)
    with pytest.raises(ReplyError, match=WRONG_TYPE):
        move(db, b"s", b"k", 1)
    assert lists.length(db, b"k") == 1


def test_many_elements_ask_for_the_slow_lane(store: Store, db: Database) -> None:
    lists.push(db, b"k", [b"a"] * 20, left=True)
    store.tx.fast_rows = 16
    with pytest.raises(TooLargeError):
        move(db, b"k", b"d", 17)
    assert move(db, b"k", b"d", 3) == [b"a"] * 3
