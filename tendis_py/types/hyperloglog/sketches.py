"""HyperLogLogs under keys: strings whose bytes are those that Redis would have. No RESP."""

from __future__ import annotations

import random

from tendis_py.errors import HLL_NO_SUCH_KEY, HLL_NOT_SPARSE, ReplyError, hll_test_failed
from tendis_py.storage.codec import RAW, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.hyperloglog import encoding
from tendis_py.types.hyperloglog.encoding import DENSE, ENCODING_NAMES, REGISTERS, SPARSE, Draft
from tendis_py.types.hyperloglog.estimate import HIGHEST, cardinality, place
from tendis_py.types.string import values as strings
from tendis_py.types.string.fragments import whole

_ADMITTED = 128
"""What a HyperLogLog counts when a command that decodes several asks for the fast lane: 0.1 ms."""


def _value(db: Database, row: Row | None) -> bytes | None:
    """The HyperLogLog in a row; None where there is none. ReplyError when it is something else."""
    found = strings.checked(row)
    return None if found is None else encoding.checked(whole(db, found))


def _edited(db: Database, key: bytes, row: Row) -> Row:
    """The row of a command that edits strings in place, as the cardinality may be: Redis keeps the
    string as ``raw`` from here on, even where nothing is changed after all."""
    if isinstance(row, StringRow) and row.form != RAW:
        return _put(db, key, row.value, row)
    return row


def _put(db: Database, key: bytes, value: bytes, old: Row | None) -> Row:
    row = StringRow(value, 0 if old is None else old.expire_at, RAW)
    db.put(key, row, old)
    return row


def add(db: Database, key: bytes, elements: list[bytes]) -> bool:
    """Count ``elements`` in; whether that changed anything, be it that the key is new."""
    db.tx.admit(len(elements))
    old = db.peek(key)
    value = _value(db, old)
    draft = Draft(value or encoding.EMPTY, db.limits.hll_sparse_max_bytes)
    changed = value is None
    for element in elements:
        changed |= draft.raise_register(*place(element))
    if changed:
        draft.invalidate()
        _put(db, key, bytes(draft.data), old)
    elif old is not None:
        _edited(db, key, old)
    return changed


def count(db: Database, key: bytes) -> int:
    """About how many elements. What had to be computed is kept in the value."""
    row = db.find(key)
    value = _value(db, row)
    if row is None or value is None:
        return 0
    number = encoding.cached_cardinality(value)
    if number is not None:
        _edited(db, key, row)
        return number
    number = cardinality(encoding.registers(value))
    _put(db, key, encoding.with_cardinality(value, number), row)
    return number


def count_union(db: Database, keys: list[bytes]) -> int:
    """About how many elements there are in all together."""
    return cardinality(_union(db, keys)[0])


def _union(db: Database, keys: list[bytes]) -> tuple[bytes, bool]:
    """The registers of all together, and whether any of them is dense."""
    db.tx.admit(_ADMITTED * len(keys))
    registers, dense = bytes(REGISTERS), False
    for key in keys:
        value = _value(db, db.find(key))
        if value is not None:
            dense |= encoding.encoding_of(value) == DENSE
            registers = encoding.maximum(registers, encoding.registers(value))
    return registers, dense


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
    _put(db, key, encoding.to_dense(value), db.peek(key))
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
    return " ".join(
        f"{kind}:{register},{length}" if register else f"{kind}:{length}"
        for kind, register, length in encoding.runs(value)
    )


# Self test

_TEST_ROUNDS = 20
_TEST_RAISES = 2000
_TEST_CHECKPOINTS = frozenset((1, 10, 100, 1000, 10_000, 100_000))
_RELATIVE_ERROR = 1.04 / 128
"""The standard error with 2**14 registers."""


def test(sparse_max: int) -> None:
    """As Redis' self test, with 100,000 elements at the end and not 10,000,000: that registers hold
    what they are given, that the encodings agree, and that estimates are as good as they should be.
    ReplyError when one of this is not so."""
    for _ in range(_TEST_ROUNDS):
        _test_registers()
    _test_estimates(sparse_max)


def _test_registers() -> None:
    expected = bytearray(REGISTERS)
    draft = Draft(encoding.to_dense(encoding.EMPTY), 0)
    for index in random.sample(range(REGISTERS), _TEST_RAISES):
        expected[index] = random.randint(1, HIGHEST)
        draft.raise_register(index, expected[index])
    found = encoding.registers(bytes(draft.data))
    for index, (register, wanted) in enumerate(zip(found, expected, strict=True)):
        if register != wanted:
            raise hll_test_failed(f"Register {index} should be {wanted} but is {register}")


def _test_estimates(sparse_max: int) -> None:
    seed = random.getrandbits(64)
    dense = Draft(encoding.to_dense(encoding.EMPTY), 0)
    growing = Draft(encoding.EMPTY, sparse_max)
    for number in range(1, max(_TEST_CHECKPOINTS) + 1):
        place_ = place((number ^ seed).to_bytes(8, "little"))
        dense.raise_register(*place_)
        growing.raise_register(*place_)
        if number in _TEST_CHECKPOINTS:
            _test_estimate(number, bytes(dense.data), bytes(growing.data), sparse_max)


def _test_estimate(number: int, dense: bytes, growing: bytes, sparse_max: int) -> None:
    if number < sparse_max // 2 and encoding.encoding_of(growing) != SPARSE:
        raise hll_test_failed("sparse encoding not used")
    found = cardinality(encoding.registers(dense))
    if found != cardinality(encoding.registers(growing)):
        raise hll_test_failed("dense/sparse disagree")
    allowed = 1 if number == 10 else -(-_RELATIVE_ERROR * 6 * number // 1)
    if abs(found - number) > allowed:
        raise hll_test_failed(f"Too big error. card:{number} abserr:{abs(found - number)}")
