from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import NOT_FLOAT, NOT_INTEGER, ReplyError, TooLargeError
from tendis_py.pieces import Pieces
from tendis_py.storage.codec import CollectionRow, StringRow, decode
from tendis_py.storage.database import Database
from tendis_py.storage.families import ROWS
from tendis_py.types import keys
from tendis_py.types.string import counter
from tendis_py.types.string import values as strings
from tendis_py.types.string.fragments import (
    FRAGMENT_BYTES,
    LONG_BYTES,
    WHOLE_BYTES,
    Draft,
    fragmented_row,
)
from tests.support.store import NOW, Store

LIMIT = 1 << 29
LATER = NOW + 5000


def row_of(db: Database, key: bytes = b"k") -> CollectionRow:
    row = db.peek(key)
    assert isinstance(row, CollectionRow)
    return row


def stored(store: Store, version: int) -> dict[int, bytes]:
    """The fragments on the disk: number → bytes."""
    lower, upper = version.to_bytes(8, "big"), (version + 1).to_bytes(8, "big")
    rows = store.engine.items(ROWS, lower, upper)
    return {int.from_bytes(key[8:], "big"): value for key, value in rows}


def test_a_string_is_whole_up_to_a_length(db: Database) -> None:
    assert strings.overwrite(db, b"k", WHOLE_BYTES - 1, b"x", LIMIT) == WHOLE_BYTES
    assert isinstance(db.peek(b"k"), StringRow)
    assert strings.append(db, b"k", b"y", LIMIT) == WHOLE_BYTES + 1
    assert row_of(db).value == WHOLE_BYTES + 1
    assert strings.get(db, b"k") == bytes(WHOLE_BYTES - 1) + b"xy"


@pytest.mark.parametrize("size", [LONG_BYTES, LONG_BYTES + 1, LONG_BYTES + FRAGMENT_BYTES])
def test_a_string_that_is_set_is_whole_up_to_a_length(
    store: Store, db: Database, size: int
) -> None:
    value = b"abc" + bytes(3 * FRAGMENT_BYTES) + b"x" * (size - 6 - 3 * FRAGMENT_BYTES) + b"\0\0\0"
    ways: list[Callable[[bytes], object]] = [
        lambda key: strings.put(db, key, value),
        lambda key: strings.put_all(db, [b"other", key], [b"v", value]),
        lambda key: strings.put_if(db, key, value, expire_at=LATER),
        lambda key: strings.put_all_if(db, [key], [value], exists=False),
        lambda key: strings.append(db, key, value, LIMIT),
    ]
    for number, write in enumerate(ways):
        key = b"%d" % number
        write(key)
        row = db.peek(key)
        assert row is not None
        assert bool(row.version) == (size > LONG_BYTES)
        assert row.expire_at == (LATER if number == 2 else 0)
        assert bytes(strings.get(db, key) or b"") == value
        assert strings.length(db, key) == size
    store.commit()
    store.check()


@settings(max_examples=60)
@given(st.lists(st.integers(1, 3 * FRAGMENT_BYTES), min_size=1, max_size=20), st.booleans())
def test_what_comes_in_pieces_is_stored_as_one_string(sizes: list[int], edit: bool) -> None:
    sizes.append(LONG_BYTES)
    parts = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    value = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        db = store.db
        if edit:
            strings.overwrite(db, b"k", 0, b"before" * FRAGMENT_BYTES, LIMIT)
            strings.overwrite(db, b"k", 5, Pieces(parts), LIMIT)
            value = b"befor" + value
        else:
            strings.put(db, b"k", Pieces(parts))
        store.commit()
        found = strings.get(db, b"k")
        assert found is not None
        assert bytes(found)[: len(value)] == value
        store.check()
        store.engine.close()


def test_a_long_string_is_read_as_it_was(store: Store, db: Database) -> None:
    before = b"x" * 3 * LONG_BYTES
    strings.put(db, b"k", before)
    store.commit()
    found = strings.get(db, b"k")
    strings.overwrite(db, b"k", LONG_BYTES, b"y", LIMIT)
    db.delete(b"k", row_of(db))
    store.commit()
    assert isinstance(found, Pieces)
    assert bytes(found) == before


def test_zeros_take_no_memory(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", LIMIT - 1, b"x", LIMIT)
    store.commit()
    found = strings.get(db, b"k")
    part = strings.part(db, b"k", 7, -1)
    for text, size in ((found, LIMIT), (part, LIMIT - 7)):
        assert isinstance(text, Pieces)
        assert len(text) == size
        assert sum(map(len, {id(one): one for one in text.parts}.values())) < 1 << 20
        assert text.parts[-1].endswith(b"\0x")


def test_a_far_byte_costs_one_fragment(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", LIMIT - 1, b"x", LIMIT)
    row = row_of(db)
    store.commit()
    assert (row.value, row.count) == (LIMIT, 1)
    number = LIMIT // FRAGMENT_BYTES - 1
    assert stored(store, row.version) == {number: bytes(FRAGMENT_BYTES - 1) + b"x"}
    assert strings.part(db, b"k", -2, -1) == b"\0x"
    assert strings.part(db, b"k", 0, 2) == b"\0\0\0"
    assert strings.length(db, b"k") == LIMIT


def test_an_edit_writes_only_the_fragments_it_touches(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", 0, b"a" * 10 * FRAGMENT_BYTES, LIMIT)
    store.commit()
    version = row_of(db).version
    strings.overwrite(db, b"k", 2 * FRAGMENT_BYTES - 1, b"bb", LIMIT)
    written = {int.from_bytes(key[8:], "big") for key in store.tx.families[ROWS]}
    assert written == {1, 2}
    assert row_of(db).version == version
    strings.append(db, b"k", b"c", LIMIT)
    assert len(store.tx.families[ROWS]) == 3


def test_fragments_that_become_zero_are_dropped(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", 0, b"a" * 6 * FRAGMENT_BYTES, LIMIT)
    store.commit()
    strings.overwrite(db, b"k", FRAGMENT_BYTES, bytes(2 * FRAGMENT_BYTES), LIMIT)
    strings.overwrite(db, b"k", 4 * FRAGMENT_BYTES + 3, bytes(FRAGMENT_BYTES - 3), LIMIT)
    store.commit()
    row = row_of(db)
    found = stored(store, row.version)
    assert (row.count, sorted(found)) == (4, [0, 3, 4, 5])
    assert found[4] == b"aaa"


def test_a_row_reads_back_as_it_was_written() -> None:
    row = fragmented_row(123_456, 7, 99, LATER)
    back = decode(row.encode())
    assert isinstance(back, CollectionRow)
    assert (back.value, back.count, back.version, back.expire_at) == (123_456, 7, 99, LATER)


def test_it_keeps_its_deadline(db: Database) -> None:
    strings.put_if(db, b"k", b"text", expire_at=LATER)
    strings.overwrite(db, b"k", 100_000, b"x", LIMIT)
    assert row_of(db).expire_at == LATER
    strings.append(db, b"k", b"x", LIMIT)
    assert row_of(db).expire_at == LATER


def test_setting_deleting_and_taking_give_up_the_fragments(store: Store, db: Database) -> None:
    versions = []
    for _ in range(3):
        strings.overwrite(db, b"k", 20_000, b"x", LIMIT)
        versions.append(row_of(db).version)
        store.commit()
        if len(versions) == 1:
            strings.put(db, b"k", b"new")
        elif len(versions) == 2:
            keys.delete(db, [b"k"])
        strings.take(db, b"k")
        store.commit()
    assert store.garbage() == versions


def test_a_copy_goes_its_own_way(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", 20_000, b"x", LIMIT)
    store.commit()
    assert keys.copy(db, b"k", db, b"copy")
    strings.overwrite(db, b"copy", 0, b"y", LIMIT)
    store.commit()
    assert strings.part(db, b"k", 0, 0) == b"\0"
    assert strings.part(db, b"copy", 0, 0) == b"y"
    assert strings.part(db, b"copy", -1, -1) == b"x"


def test_a_run_of_gets_leaves_it_to_single_ones(store: Store, db: Database) -> None:
    strings.put(db, b"a", b"v")
    strings.overwrite(db, b"k", 20_000, b"x", LIMIT)
    assert strings.get_run(db, [b"a", b"k"]) is None
    assert strings.get_run(db, [b"a", b"a"]) == [b"v", b"v"]
    strings.put_all(db, [b"a", b"k"], [b"w", b"w"])
    assert strings.get_many(db, [b"a", b"k"]) == [b"w", b"w"]


def test_many_strings_at_once(db: Database) -> None:
    strings.put(db, b"a", b"v")
    strings.overwrite(db, b"k", 20_000, b"x", LIMIT)
    strings.overwrite(db, b"l", 20_000, b"y", LIMIT)
    long = bytes(20_000)
    assert strings.get_many(db, [b"k", b"a", b"none", b"l"]) == [
        long + b"x",
        b"v",
        None,
        long + b"y",
    ]


def test_it_is_no_number(db: Database) -> None:
    strings.overwrite(db, b"k", 20_000, b"x", LIMIT)
    with pytest.raises(ReplyError, match=NOT_INTEGER):
        counter.increment(db, b"k", 1)
    with pytest.raises(ReplyError, match=NOT_FLOAT):
        counter.increment_real(db, b"k", b"1")


def test_much_is_for_the_slow_lane(store: Store, db: Database) -> None:
    strings.overwrite(db, b"k", 0, b"x" * 400 * FRAGMENT_BYTES, LIMIT)
    store.commit()
    store.tx.fast_rows = 1000
    with pytest.raises(TooLargeError):
        strings.get(db, b"k")
    with pytest.raises(TooLargeError):
        strings.overwrite(db, b"k", 0, b"y" * 300 * FRAGMENT_BYTES, LIMIT)
    assert not store.tx.dirty
    assert strings.part(db, b"k", 0, 20 * FRAGMENT_BYTES) == b"x" * (20 * FRAGMENT_BYTES + 1)
    store.tx.fast_rows = 0
    assert bytes(strings.get(db, b"k") or b"") == b"x" * 400 * FRAGMENT_BYTES


EDGES = sorted(
    {
        base + by
        for base in (0, *(FRAGMENT_BYTES * n for n in (1, 2, 4, 5, 30)))
        for by in (-1, 0, 3)
    }
    - {-1}
)
edits = st.lists(
    st.tuples(
        st.sampled_from(EDGES),
        st.sampled_from([b"\0", b"x", b"yz\0", bytes(5000), b"abcd" * 3000, b"q" * 4096]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(edits=edits, looks=st.lists(st.tuples(st.sampled_from(EDGES), st.sampled_from(EDGES))))
def test_it_holds_what_a_plain_string_would(
    edits: list[tuple[int, bytes]], looks: list[tuple[int, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        db, plain = store.db, bytearray()
        for number, (offset, piece) in enumerate(edits):
            plain += bytes(max(offset + len(piece) - len(plain), 0))
            plain[offset : offset + len(piece)] = piece
            assert strings.overwrite(db, b"k", offset, piece, LIMIT) == len(plain)
            if number % 2:
                store.commit()
                store.forget()
        for first, last in looks:
            assert strings.part(db, b"k", first, last) == plain[first : last + 1]
        assert strings.get(db, b"k") == bytes(plain)
        store.commit()
        row = db.peek(b"k")
        assert row is not None
        assert (row.version > 0) == (len(plain) > WHOLE_BYTES)
        if row.version:
            found = stored(store, row.version)
            assert len(found) == row_of(db).count
            assert all(fragment and fragment[-1] for fragment in found.values())
        store.engine.close()


def test_a_draft_reads_what_it_wrote(store: Store, db: Database) -> None:
    draft = Draft(db, b"k", None)
    draft.write(FRAGMENT_BYTES * 9 - 2, b"abcd")
    assert draft.read(FRAGMENT_BYTES * 9 - 3, FRAGMENT_BYTES * 9 + 4) == b"\0abcd\0\0"
    assert draft.read(0, 2) == b"\0\0"
    assert db.peek(b"k") is None
    draft.save()
    assert strings.part(db, b"k", -4, -1) == b"abcd"
