"""HyperLogLogs under keys: strings whose bytes are those that Redis would have. No RESP."""

from __future__ import annotations

import math
import random

from tendis_py.errors import (
    HLL_CORRUPT,
    HLL_NO_SUCH_KEY,
    HLL_NOT_SPARSE,
    ReplyError,
    hll_test_failed,
)
from tendis_py.storage.changes import Unmodified
from tendis_py.storage.codec import RAW, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.hyperloglog import encoding
from tendis_py.types.hyperloglog.encoding import (
    DENSE,
    ENCODING_NAMES,
    HEADER_SIZE,
    LONGEST,
    REGISTERS,
    SPARSE,
    Draft,
)
from tendis_py.types.hyperloglog.estimate import HIGHEST, cardinality, place
from tendis_py.types.string import values as strings
from tendis_py.types.string.fragments import read, size, whole

_ADMITTED = 64
"""What a HyperLogLog counts when a command that decodes several asks for the fast lane: 50 µs."""


def _value(db: Database, row: Row | None) -> bytes | None:
    """The HyperLogLog in a row; None where there is none. ReplyError when it is something else.

    Of one that is too long to be decoded only the head is read: INVALIDOBJ when that is tried."""
    found = strings.checked(row)
    if found is None:
        return None
    if size(found) > LONGEST:
        return encoding.checked(read(db, found, 0, HEADER_SIZE))
    return encoding.checked(whole(db, found))


def _whole_value(db: Database, row: Row | None) -> bytes | None:
    """As ``_value``, but all of it, however long: to change registers, as Redis does, whatever
    there is behind them."""
    found = strings.checked(row)
    return None if found is None else encoding.checked(whole(db, found))


def _edited(db: Database, key: bytes, row: Row) -> Row:
    """The row of a command that edits strings in place, as the cardinality may be: Redis keeps the
    string as ``raw`` from here on, even where nothing is changed after all."""
    if isinstance(row, StringRow) and row.form != RAW:
        return _put(db, key, row.value, row, edits=Unmodified(0))
    return row


def _put(db: Database, key: bytes, value: bytes, old: Row | None, *, edits: int = 1) -> Row:
    row = StringRow(value, 0 if old is None else old.expire_at, RAW)
    db.put(key, row, old, edits=edits)
    return row


def add(db: Database, key: bytes, elements: list[bytes]) -> bool:
    """Count ``elements`` in; whether that changed anything, be it that the key is new."""
    db.tx.admit(len(elements))
    old = db.peek(key)
    value = _whole_value(db, old)
    draft = Draft(value or encoding.EMPTY, db.limits.hll_sparse_max_bytes)
    edits = int(value is None)
    for element in elements:
        edits += draft.raise_register(*place(element))
    if edits:
        draft.invalidate()
        _put(db, key, bytes(draft.data), old, edits=edits)
    elif old is not None:
        _edited(db, key, old)
    return edits > 0


def count(db: Database, key: bytes) -> int:
    """About how many elements. What had to be computed is kept in the value, if it may."""
    row = db.find(key)
    value = _value(db, row)
    if row is None or value is None:
        return 0
    number = encoding.cached_cardinality(value)
    if number is not None:
        _edited(db, key, row)
        return number
    number = cardinality(encoding.registers(value))
    if db.tx.keyspace.may_expire():
        _put(db, key, encoding.with_cardinality(value, number), row)
    return number


def count_union(db: Database, keys: list[bytes]) -> int:
    """About how many elements there are in all together."""
    return cardinality(_union(db, keys)[0])


def _union(db: Database, keys: list[bytes]) -> tuple[bytes, bool]:
    """The registers of all together, and whether any of them is dense."""
    db.tx.admit(_ADMITTED * len(keys))
    dense: list[bytes] = []
    registers = bytes(REGISTERS)
    for key in keys:  # in order: of two that are wrong the first is what is told of
        value = _value(db, db.find(key))
        if value is None:
            continue
        if encoding.encoding_of(value) == DENSE:
            dense.append(value)
        else:
            registers = encoding.maximum(registers, encoding.registers(value))
    if dense:
        registers = encoding.maximum(registers, encoding.united(dense))
    return registers, bool(dense)


def merge(db: Database, target: bytes, sources: list[bytes]) -> None:
    """Count into ``target`` what was counted in ``sources``."""
    registers, dense = _union(db, [target, *sources])
    old = db.peek(target)
    value = _value(db, old) or encoding.EMPTY
    if dense:
        value = encoding.to_dense(value)
        draft = Draft(value[: encoding.HEADER_SIZE] + encoding.packed(registers), 0)
    else:
        draft = Draft(value, db.limits.hll_sparse_max_bytes)
        for index, register in enumerate(registers):
            if register:
                draft.raise_register(index, register)
    draft.invalidate()
    _put(db, target, bytes(draft.data), old)


# Debugging


def inspect(db: Database, key: bytes) -> bytes:
    """The value, for a look at its encoding. ReplyError when there is none."""
    row = db.peek(key)
    value = _value(db, row)
    if row is None or value is None:
        raise ReplyError(HLL_NO_SUCH_KEY)
    _edited(db, key, row)
    return value


def make_dense(db: Database, key: bytes) -> bool:
    """Have the value be dense; whether it was not."""
    value = inspect(db, key)
    if encoding.encoding_of(value) == DENSE:
        return False
    _put(db, key, encoding.to_dense(value), db.peek(key), edits=Unmodified(1))
    return True


def registers(db: Database, key: bytes) -> list[int]:
    """What each register is; the value is dense afterwards."""
    make_dense(db, key)
    return list(encoding.registers(inspect(db, key)))


def encoding_name(db: Database, key: bytes) -> str:
    """``dense`` or ``sparse``."""
    return ENCODING_NAMES[encoding.encoding_of(inspect(db, key))]


def decoded(db: Database, key: bytes) -> str:
    """The opcodes of a sparse value, as ``z:length``, ``Z:length`` or ``v:value,length``."""
    value = inspect(db, key)
    if encoding.encoding_of(value) != SPARSE:
        raise ReplyError(HLL_NOT_SPARSE)
    row = db.peek(key)
    if row is None or size(row) > LONGEST:
        raise ReplyError(HLL_CORRUPT)  # Redis shows what there is, in gigabytes of it
    return " ".join(
        f"{kind}:{register},{length}" if register else f"{kind}:{length}"
        for kind, register, length in encoding.runs(value)
    )


# Self test

_TEST_ROUNDS = 8
_TEST_RAISES = 100
_TEST_ADDED = (1, 10, 100)
_TEST_IDEAL = (1000, 10_000, 100_000, 1_000_000, 10_000_000)
_RELATIVE_ERROR = 1.04 / 128
"""The standard error with 2**14 registers."""

_SOME_REGISTER = bytes(byte % (HIGHEST + 1) for byte in range(256))


def test(sparse_max: int) -> None:
    """As Redis' self test: that registers hold what they are given, that the encodings agree, and
    that estimates of up to 10,000,000 are as good as they should be. Where Redis adds so many
    elements, this makes the registers that they would come to: a self test holds everybody up in
    the models whose reactors execute, and so takes 5 ms. ReplyError when something is not so."""
    for _ in range(_TEST_ROUNDS):
        _test_registers()
    _test_added(sparse_max)
    for number in _TEST_IDEAL:
        dense = encoding.packed_value(_ideal_registers(number))
        _test_estimate(number, cardinality(encoding.registers(dense)))


def _test_registers() -> None:
    expected = bytearray(random.randbytes(REGISTERS).translate(_SOME_REGISTER))
    draft = Draft(encoding.packed_value(bytes(expected)), 0)
    for index in random.sample(range(REGISTERS), _TEST_RAISES):
        wanted = random.randint(1, HIGHEST)
        expected[index] = max(expected[index], wanted)
        draft.raise_register(index, wanted)
    found = encoding.registers(bytes(draft.data))
    if found != expected:
        pairs = enumerate(zip(found, expected, strict=True))
        index, (register, wanted) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
        raise hll_test_failed(f"Register {index} should be {wanted} but is {register}")


def _test_added(sparse_max: int) -> None:
    seed = random.getrandbits(64)
    dense = Draft(encoding.to_dense(encoding.EMPTY), 0)
    growing = Draft(encoding.EMPTY, sparse_max)
    for number in range(1, max(_TEST_ADDED) + 1):
        place_ = place((number ^ seed).to_bytes(8, "little"))
        dense.raise_register(*place_)
        growing.raise_register(*place_)
        if number not in _TEST_ADDED:
            continue
        if number < sparse_max // 2 and encoding.encoding_of(bytes(growing.data)) != SPARSE:
            raise hll_test_failed("sparse encoding not used")
        registers = encoding.registers(bytes(dense.data))
        if registers != encoding.registers(bytes(growing.data)):
            raise hll_test_failed("dense/sparse disagree")
        _test_estimate(number, cardinality(registers))


def _ideal_registers(number: int) -> bytes:
    """What ``number`` elements come to on the average: as many registers of each value as are
    likely."""
    registers = b""
    for value in range(HIGHEST + 1):
        below = round(REGISTERS * math.exp(-number / REGISTERS / 2**value))
        registers += bytes((value,)) * (below - len(registers))
    return registers.ljust(REGISTERS, bytes((HIGHEST,)))


def _test_estimate(number: int, found: int) -> None:
    allowed = 1 if number == 10 else -(-_RELATIVE_ERROR * 6 * number // 1)
    if abs(found - number) > allowed:
        raise hll_test_failed(f"Too big error. card:{number} abserr:{abs(found - number)}")
