from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import HLL_CORRUPT, HLL_WRONG_TYPE, ReplyError
from tendis_py.storage.codec import RAW, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.hyperloglog import encoding as hll_encoding
from tendis_py.types.hyperloglog import sketches as hyperloglog
from tendis_py.types.hyperloglog.encoding import (
    DENSE,
    DENSE_SIZE,
    EMPTY,
    HEADER_SIZE,
    REGISTERS,
    SPARSE,
    Draft,
    encoding_of,
    maximum,
    packed,
    packed_value,
    registers,
    runs,
    to_dense,
    united,
)
from tendis_py.types.hyperloglog.estimate import cardinality, hash64, histogram, place
from tendis_py.types.string import values as strings
from tests.support.store import NOW, Store


@pytest.mark.parametrize("element", [b"", b"a", b"1234567", b"12345678", b"123456789", b"x" * 40])
def test_the_hash_is_that_of_its_definition(element: bytes) -> None:
    multiplier, mask = 0xC6A4A7935BD1E995, 2**64 - 1
    found = 0xADC83B19 ^ (len(element) * multiplier & mask)
    position = 0
    for position in range(8, len(element) + 1, 8):
        block = int.from_bytes(element[position - 8 : position], "little") * multiplier & mask
        found = (found ^ (block ^ block >> 47) * multiplier & mask) * multiplier & mask
    tail = element[len(element) // 8 * 8 :]
    for place_, byte in enumerate(tail):
        found ^= byte << 8 * place_
    if tail:
        found = found * multiplier & mask
    found = (found ^ found >> 47) * multiplier & mask
    assert hash64(element) == found ^ found >> 47


def test_registers_and_ranks_of_known_elements() -> None:
    """Seen with PFDEBUG DECODE on Redis 8.2.3."""
    assert sorted(map(place, (b"1", b"2", b"3"))) == [(7527, 1), (10973, 1), (15371, 4)]


some_registers = st.builds(
    lambda seed, highest: bytes(random.Random(seed).choices(range(highest + 1), k=REGISTERS)),
    st.integers(0, 1000),
    st.integers(1, 63),
)


@settings(max_examples=20)
@given(a=some_registers, b=some_registers)
def test_registers_at_once_are_registers_one_by_one(a: bytes, b: bytes) -> None:
    bits = 0
    for index, register in enumerate(a):
        bits |= register << 6 * index
    assert packed(a) == bits.to_bytes(REGISTERS * 6 // 8, "little")
    assert registers(to_dense(EMPTY)[:HEADER_SIZE] + packed(a)) == a
    assert maximum(a, b) == bytes(map(max, a, b))
    assert histogram(a) == [a.count(value) for value in range(64)]


raises = st.lists(
    st.tuples(st.integers(0, 300) | st.integers(0, REGISTERS - 1), st.integers(1, 4)), max_size=200
)


@settings(max_examples=60)
@given(raises=raises, in_order=st.booleans())
def test_sparse_registers_are_those_that_were_raised(
    raises: list[tuple[int, int]], in_order: bool
) -> None:
    draft, wanted = Draft(EMPTY, 3000), bytearray(REGISTERS)
    for index, register in sorted(raises) if in_order else raises:
        assert draft.raise_register(index, register) == (register > wanted[index])
        wanted[index] = max(wanted[index], register)
        found = list(runs(bytes(draft.data)))
        assert sum(length for _, _, length in found) == REGISTERS
    value = bytes(draft.data)
    assert encoding_of(value) == SPARSE
    assert registers(value) == wanted
    assert registers(to_dense(value)) == wanted


@settings(max_examples=30)
@given(st.lists(some_registers, max_size=4))
def test_dense_values_unite_to_the_largest_of_each(values: list[bytes]) -> None:
    found = united([packed_value(registers_) for registers_ in values])
    assert found == bytes(map(max, bytes(REGISTERS), bytes(REGISTERS), *values))


@settings(max_examples=20)
@given(raises=raises)
def test_in_order_a_place_known_changes_nothing(raises: list[tuple[int, int]]) -> None:
    known, anew = Draft(EMPTY, 3000), EMPTY
    for index, register in sorted(raises):
        known.raise_register(index, register)
        draft = Draft(anew, 3000)
        draft.raise_register(index, register)
        anew = bytes(draft.data)
    assert known.data == anew


@pytest.mark.parametrize("sparse_max", [18, 22, 300])
def test_it_becomes_dense_when_it_would_be_longer_than_allowed(sparse_max: int) -> None:
    draft = Draft(EMPTY, sparse_max)
    random_ = random.Random(1)
    wanted = bytearray(REGISTERS)
    while draft.data[4] == SPARSE:
        assert len(draft.data) <= sparse_max
        index = random_.randrange(REGISTERS)
        draft.raise_register(index, 3)
        wanted[index] = 3
    assert len(draft.data) == DENSE_SIZE
    assert registers(bytes(draft.data)) == wanted


def test_a_rank_above_32_needs_the_dense_encoding() -> None:
    draft = Draft(EMPTY, 3000)
    assert draft.raise_register(5, 32)
    assert encoding_of(bytes(draft.data)) == SPARSE
    assert draft.raise_register(5, 33)
    assert encoding_of(bytes(draft.data)) == DENSE
    assert not draft.raise_register(5, 33)
    assert draft.raise_register(REGISTERS - 1, 51)
    assert registers(bytes(draft.data)) == bytes(5) + b"\x21" + bytes(REGISTERS - 7) + b"\x33"


@pytest.mark.parametrize("number", [0, 1, 10, 1000, 20_000])
def test_estimates_are_close(number: int) -> None:
    draft = Draft(EMPTY, 3000)
    for element in range(number):
        draft.raise_register(*place(b"element %d" % element))
    found = cardinality(registers(bytes(draft.data)))
    assert abs(found - number) <= number * 0.03


def test_the_self_test_finds_nothing() -> None:
    hyperloglog.test(3000)


def test_the_self_test_is_over_before_others_notice() -> None:
    started = time.thread_time()
    hyperloglog.test(3000)
    assert time.thread_time() - started < 0.2  # 5 ms; with 100,000 elements it was 1.3 s


@pytest.mark.parametrize(
    ("name", "broken", "message"),
    [
        ("cardinality", lambda registers: cardinality(registers) * 2, "Too big error"),
        ("place", lambda element: (1, 1), "Too big error"),
    ],
)
def test_the_self_test_finds_a_wrong_estimate(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: object, message: str
) -> None:
    monkeypatch.setattr(hyperloglog, name, broken)
    with pytest.raises(ReplyError, match=message):
        hyperloglog.test(3000)


def test_the_self_test_finds_encodings_that_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hll_encoding._run_of, b"\x80", b"\x07")
    with pytest.raises(ReplyError, match="disagree"):
        hyperloglog.test(3000)


def test_the_self_test_finds_a_wrong_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hll_encoding, "_DOWN_4", hll_encoding._DOWN_2)
    with pytest.raises(ReplyError, match=r"^TESTFAILED Register \d+ should be \d+ but is \d+"):
        hyperloglog.test(3000)


# Under keys


def test_counting_keeps_what_it_computed(db: Database) -> None:
    assert hyperloglog.add(db, b"k", [b"a", b"b", b"a"])
    assert not hyperloglog.add(db, b"k", [b"b"])
    before = strings.get(db, b"k") or b""
    assert before[15] == 0x80
    assert hyperloglog.count(db, b"k") == 2
    after = strings.get(db, b"k") or b""
    assert after[8:16] == b"\x02" + bytes(7)
    assert hyperloglog.add(db, b"k", [b"c"])
    assert (strings.get(db, b"k") or b"")[8:16] == b"\x02" + bytes(6) + b"\x80"


def test_what_changes_nothing_writes_nothing(store: Store, db: Database) -> None:
    hyperloglog.add(db, b"k", [b"a"])
    hyperloglog.count(db, b"k")
    store.commit()
    hyperloglog.add(db, b"k", [b"a"])
    hyperloglog.count(db, b"k")
    hyperloglog.count_union(db, [b"k", b"k"])
    assert not store.tx.dirty


def test_it_keeps_its_deadline_and_is_raw(db: Database) -> None:
    strings.put_if(db, b"k", EMPTY, expire_at=NOW + 5000)
    hyperloglog.count(db, b"k")
    row = db.peek(b"k")
    assert isinstance(row, StringRow)
    assert (row.form, row.expire_at) == (RAW, NOW + 5000)
    hyperloglog.merge(db, b"k", [])
    row = db.peek(b"k")
    assert row is not None
    assert row.expire_at == NOW + 5000


def test_merging_counts_the_union(db: Database) -> None:
    hyperloglog.add(db, b"a", [b"%d" % number for number in range(100)])
    hyperloglog.add(db, b"b", [b"%d" % number for number in range(50, 3000)])
    union = hyperloglog.count_union(db, [b"a", b"b", b"none"])
    hyperloglog.merge(db, b"a", [b"b", b"none"])
    assert hyperloglog.encoding_name(db, b"a") == "dense"
    assert hyperloglog.count(db, b"a") == union
    assert abs(union - 3000) < 90


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", HLL_WRONG_TYPE),
        (EMPTY[:15], HLL_WRONG_TYPE),
        (b"HYLK" + EMPTY[4:], HLL_WRONG_TYPE),
        (b"HYLL\x02" + EMPTY[5:], HLL_WRONG_TYPE),
        (b"HYLL\x00" + EMPTY[5:], HLL_WRONG_TYPE),
        (EMPTY[:-2], HLL_CORRUPT),
        (EMPTY[:-2] + b"\x7f", HLL_CORRUPT),
        (EMPTY + b"\x80", HLL_CORRUPT),
        (EMPTY + b"\x7f\xff" * 100_000, HLL_CORRUPT),
        (EMPTY[:15] + b"\x80" + b"\x3f" * 4_000_000 + b"\xff", HLL_CORRUPT),
        (EMPTY[:-2] + b"\x40\0" * (REGISTERS - 1), HLL_CORRUPT),
    ],
)
def test_what_is_none_is_refused(db: Database, value: bytes, error: str) -> None:
    strings.put(db, b"k", value)
    with pytest.raises(ReplyError, match=error):
        hyperloglog.count_union(db, [b"k", b"none"])
    with pytest.raises(ReplyError, match=error):
        hyperloglog.merge(db, b"target", [b"k"])
    assert bytes(strings.get(db, b"k") or b"") == value


def test_what_is_too_long_is_not_read(
    db: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be a HyperLogLog: its head says all there is to say."""
    head = EMPTY[:15] + b"\x80"
    strings.put(db, b"k", head + b"\x3f" * 4_000_000)
    strings.put(db, b"cached", EMPTY[:16] + b"\x3f" * 4_000_000)
    store.commit()
    decoded: list[bytes] = []
    monkeypatch.setattr(hyperloglog, "whole", lambda db, row: decoded.append(b""))
    for ask in (
        lambda: hyperloglog.count(db, b"k"),
        lambda: hyperloglog.count_union(db, [b"k", b"k"]),
        lambda: hyperloglog.merge(db, b"k", []),
        lambda: hyperloglog.make_dense(db, b"k"),
        lambda: hyperloglog.decoded(db, b"k"),
        lambda: hyperloglog.registers(db, b"k"),
    ):
        with pytest.raises(ReplyError, match=HLL_CORRUPT):
            ask()
    assert hyperloglog.count(db, b"cached") == 0
    assert hyperloglog.encoding_name(db, b"k") == "sparse"
    assert not decoded
    monkeypatch.undo()
    with pytest.raises(ReplyError, match=HLL_CORRUPT):
        hyperloglog.add(db, b"k", [b"a"])


def test_a_forged_one_of_no_end_has_no_estimate() -> None:
    assert cardinality(b"\x3f" * REGISTERS) == -(2**63)
    value = hll_encoding.with_cardinality(EMPTY, -(2**63))
    assert hll_encoding.cached_cardinality(value) is None
