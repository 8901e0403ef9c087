from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import CollectionRow, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.string import bitfield, bitmap
from tendis_py.types.string import values as strings
from tendis_py.types.string.bitfield import FAIL, GET, INCRBY, SAT, SET, WRAP, Format, Step
from tendis_py.types.string.fragments import FRAGMENT_BYTES, WHOLE_BYTES
from tests.support.store import Store

LIMIT = 1 << 29


def fill(db: Database, key: bytes, value: bytes, *, fragmented: bool) -> None:
    """A string of these bytes; ``fragmented`` as after an edit, if it is long enough."""
    strings.put(db, key, value)
    if fragmented and value:
        strings.overwrite(db, key, 0, value[:1], LIMIT)


def bits_of(value: bytes) -> str:
    return f"{int.from_bytes(value):0{len(value) * 8}b}" if value else ""


long_values = st.builds(
    lambda parts, tail: b"".join(parts) + tail,
    st.lists(
        st.sampled_from(
            [bytes(FRAGMENT_BYTES), b"\xff" * FRAGMENT_BYTES, b"\0" * 5000, b"\xff" * 5000, b"\x10"]
        ),
        max_size=7,
    ),
    st.binary(max_size=5),
)


@settings(max_examples=60)
@given(
    value=long_values,
    places=st.lists(st.tuples(st.integers(0, 250_000), st.integers(0, 250_000)), max_size=8),
    fragmented=st.booleans(),
)
def test_counting_and_finding_are_those_of_a_string_of_digits(
    value: bytes, places: list[tuple[int, int]], fragmented: bool
) -> None:
    digits = bits_of(value)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        fill(store.db, b"k", value, fragmented=fragmented)
        row = store.db.find(b"k")
        assert row is not None
        for first, last in [*places, (0, len(digits) - 1)]:
            bits = bitmap.interval(first, last, len(digits))
            part = digits[bits.start : bits.stop]
            assert bitmap.count(store.db, row, bits) == part.count("1")
            if bits:
                for bit in (0, 1):
                    at = digits.find(str(bit), bits.start, bits.stop)
                    assert bitmap.find(store.db, row, bit, bits) == (None if at < 0 else at)
        store.engine.close()


def test_a_bit_is_set_where_it_belongs(db: Database) -> None:
    for offset in (0, 9, 8 * WHOLE_BYTES - 1, 8 * WHOLE_BYTES, 4_294_967_295):
        assert bitmap.get_bit(db, b"k", offset) == 0
        assert bitmap.set_bit(db, b"k", offset, 1) == 0
        assert bitmap.get_bit(db, b"k", offset) == 1
        assert bitmap.set_bit(db, b"k", offset, 1) == 1
    assert strings.part(db, b"k", 0, 1) == b"\x80\x40"
    assert bitmap.set_bit(db, b"k", 0, 0) == 1
    assert bitmap.get_bit(db, b"k", 0) == 0


PLAIN: dict[bytes, Callable[[list[bool]], bool]] = {
    b"AND": lambda bits: all(bits),
    b"OR": lambda bits: any(bits),
    b"XOR": lambda bits: sum(bits) % 2 == 1,
    b"DIFF": lambda bits: bits[0] and not any(bits[1:]),
    b"DIFF1": lambda bits: not bits[0] and any(bits[1:]),
    b"ANDOR": lambda bits: bits[0] and any(bits[1:]),
    b"ONE": lambda bits: sum(bits) == 1,
}


@pytest.mark.parametrize("operation", sorted(PLAIN))
@settings(max_examples=40)
@given(values=st.lists(st.binary(max_size=4), min_size=2, max_size=4))
def test_operations_are_those_on_single_bits(operation: bytes, values: list[bytes]) -> None:
    length = max(map(len, values))
    sources = [int.from_bytes(value.ljust(length, b"\0")) for value in values]
    found = bitmap.OPERATIONS[operation](sources)
    for place in range(length * 8):
        bits = [bool(source >> place & 1) for source in sources]
        assert found >> place & 1 == PLAIN[operation](bits)
    assert found >> length * 8 == 0


@settings(max_examples=40)
@given(
    values=st.lists(long_values, min_size=1, max_size=3),
    operation=st.sampled_from([*sorted(PLAIN), b"NOT"]),
    fragmented=st.booleans(),
)
def test_long_strings_combine_as_whole_integers(
    values: list[bytes], operation: bytes, fragmented: bool
) -> None:
    values = values[:1] if operation == b"NOT" else [*values, values[0][5:]]
    length = max(map(len, values))
    whole = [int.from_bytes(value.ljust(length, b"\0")) for value in values]
    wanted = (
        whole[0] ^ (1 << 8 * length) - 1
        if operation == b"NOT"
        else bitmap.OPERATIONS[operation](whole)
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        names = [b"source%d" % number for number in range(len(values))]
        for name, value in zip(names, values, strict=True):
            fill(store.db, name, value, fragmented=fragmented)
        store.commit()
        assert bitmap.combine(store.db, b"source0", names, operation) == length
        found = strings.get(store.db, b"source0")
        assert found == (wanted.to_bytes(length) if length else None)
        row = store.db.peek(b"source0")
        assert isinstance(row, CollectionRow) == (length > WHOLE_BYTES)
        store.engine.close()


def test_a_sparse_result_costs_what_it_holds(store: Store, db: Database) -> None:
    bitmap.set_bit(db, b"a", 4_000_000_000, 1)
    bitmap.set_bit(db, b"b", 3_000_000_000, 1)
    assert bitmap.combine(db, b"both", [b"a", b"b"], b"OR") == 500_000_001
    row = db.peek(b"both")
    assert isinstance(row, CollectionRow)
    assert row.count == 2
    bitmap.combine(db, b"both", [b"a", b"b"], b"AND")
    row = db.find(b"both")
    assert isinstance(row, CollectionRow)
    assert (row.count, row.value) == (0, 500_000_001)
    assert bitmap.find(db, row, 1, range(4_000_000_008)) is None
    assert bitmap.find(db, row, 0, range(5, 4_000_000_008)) == 5


def test_a_result_of_many_fragments_is_written_ahead(store: Store, db: Database) -> None:
    bitmap.set_bit(db, b"k", 24_000_003, 1)
    assert bitmap.combine(db, b"not", [b"k"], b"NOT") == 3_000_001
    store.commit()
    store.forget()
    row = db.find(b"not")
    assert isinstance(row, CollectionRow)
    assert row.count == -(-3_000_001 // FRAGMENT_BYTES)
    everything = range(24_000_008)
    assert bitmap.count(db, row, everything) == 24_000_007
    assert bitmap.find(db, row, 0, everything) == 24_000_003
    assert store.garbage() == []


def test_much_is_for_the_slow_lane(store: Store, db: Database) -> None:
    db.put(b"whole", StringRow(b"\xff" * 1000 * FRAGMENT_BYTES), None)
    bitmap.set_bit(db, b"sparse", 4_000_000_000, 1)
    store.commit()
    store.tx.fast_rows = 1000
    whole, sparse = db.find(b"whole"), db.find(b"sparse")
    assert whole is not None
    assert sparse is not None
    with pytest.raises(TooLargeError):
        bitmap.count(db, whole, range(8 * 1000 * FRAGMENT_BYTES))
    with pytest.raises(TooLargeError):
        bitmap.combine(db, b"target", [b"whole", b"sparse"], b"AND")
    with pytest.raises(TooLargeError):
        bitmap.set_bit(db, b"whole", 5, 0)
    assert not store.tx.dirty
    assert bitmap.count(db, whole, range(8000, 16_000)) == 8000
    assert bitmap.count(db, sparse, range(4_000_000_001)) == 1


# Fields


@pytest.mark.parametrize("at", [0, 3, 8 * FRAGMENT_BYTES - 5, 8 * WHOLE_BYTES + 3])
@pytest.mark.parametrize("form", [Format(True, 64), Format(False, 63), Format(True, 1)])
def test_fields_hold_their_extremes_anywhere(db: Database, form: Format, at: int) -> None:
    for value in (form.low, form.high, 0):
        steps = [Step(SET, form, at, value), Step(GET, form, at)]
        assert bitfield.run(db, b"k", steps)[1] == value
    length = (at + form.bits + 7) // 8
    assert strings.length(db, b"k") == length
    bitfield.run(db, b"k", [Step(SET, form, at, -1)])
    ones = bits_of(strings.get(db, b"k") or b"")
    assert ones.rstrip("0") == "0" * at + "1" * form.bits


@pytest.mark.parametrize(
    ("overflow", "expected"), [(WRAP, -126), (SAT, 127), (FAIL, None)], ids=["wrap", "sat", "fail"]
)
def test_overflow(db: Database, overflow: bytes, expected: int | None) -> None:
    signed = Format(True, 8)
    bitfield.run(db, b"k", [Step(SET, signed, 0, 120)])
    assert bitfield.run(db, b"k", [Step(INCRBY, signed, 0, 10, overflow)]) == [expected]
    left = bitfield.look(db, b"k", [Step(GET, signed, 0)])
    assert left == [120 if expected is None else expected]


def test_a_step_that_fails_has_made_room_all_the_same(db: Database) -> None:
    assert bitfield.run(db, b"k", [Step(SET, Format(False, 2), 100, 9, FAIL)]) == [None]
    row = db.peek(b"k")
    assert isinstance(row, StringRow)
    assert row.value == bytes(13)
