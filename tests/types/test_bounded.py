"""Counting within bounds, against plain numbers, and the order of long doubles."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.errors import APPLIED_OVERFLOW, ReplyError
from tendis_py.numbers import INT64_MAX, INT64_MIN
from tendis_py.storage.codec import NATURAL, StringRow
from tendis_py.storage.database import Database
from tendis_py.types import long_double
from tendis_py.types.long_double import GREATEST, INFINITY, LongDouble
from tendis_py.types.string import bounded
from tendis_py.types.string.bounded import Step
from tests.support.store import NOW, Store

LATER = NOW + 5000


def number(text: str) -> LongDouble:
    found = long_double.parse(text.encode())
    assert found is not None
    return found


def exact(value: LongDouble) -> Fraction:
    return value.mantissa * Fraction(2) ** value.exponent


_texts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000).map(
    "{:f}".format
)


@given(_texts, _texts)
@example("0", "-0")
@example("0.1", "0.10000000000000000000001")
def test_long_doubles_are_in_order(a: str, b: str) -> None:
    left, right = number(a), number(b)
    assert (left <= right) is (exact(left) <= exact(right))
    assert exact(left - right) == -exact(right - left)


def test_the_ends_of_long_doubles() -> None:
    assert not GREATEST.infinite
    assert (GREATEST + GREATEST).infinite
    assert GREATEST <= INFINITY
    assert not INFINITY <= GREATEST
    assert number("-inf") <= -GREATEST
    assert (number("-inf") + number("1")) <= -GREATEST
    assert long_double.parse(bytes(GREATEST)) == GREATEST


_few = st.sampled_from([0, 1, -1, 5, 12, -30, INT64_MAX, INT64_MIN, INT64_MAX - 3])


@settings(max_examples=100)
@given(
    held=st.none() | _few,
    by=_few,
    bounds=st.lists(_few, min_size=2, max_size=2).map(sorted),
    saturates=st.booleans(),
)
def test_a_step_is_plain_arithmetic(
    held: int | None, by: int, bounds: list[int], saturates: bool
) -> None:
    low, high = bounds
    number = held or 0
    clipped = min(max(number + by, low), high)
    refused = clipped != number + by and not saturates
    fits = refused or INT64_MIN <= clipped - number <= INT64_MAX
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        db = store.db
        if held is not None:
            store.put(b"k", b"%d" % held, LATER)
        step = Step(by, low, high, saturates)
        if fits:
            found = bounded.step_integer(db, b"k", step, lambda old: 0)
            assert found == ((number, 0) if refused else (clipped, clipped - number))
        else:
            with pytest.raises(ReplyError, match=APPLIED_OVERFLOW):
                bounded.step_integer(db, b"k", step, lambda old: 0)
        row = db.peek(b"k")
        if fits and not refused:
            assert row is not None
            assert (int(row.value), row.expire_at) == (clipped, 0)
        else:
            assert (None if row is None else int(row.value)) == held
            assert row is None or row.expire_at == LATER
        store.engine.close()


def test_where_it_does_not_expire_any_more_it_is_an_integer_still(db: Database) -> None:
    bounded.step_integer(db, b"k", Step(5, INT64_MIN, INT64_MAX, False), lambda old: LATER)
    bounded.step_integer(db, b"k", Step(5, INT64_MIN, INT64_MAX, False), lambda old: old)
    row = db.peek(b"k")
    assert isinstance(row, StringRow)
    assert (row.value, row.form, row.expire_at) == (b"10", NATURAL, LATER)


def test_a_deadline_that_has_passed_deletes_at_once(db: Database) -> None:
    step = Step(1, INT64_MIN, INT64_MAX, False)
    assert bounded.step_integer(db, b"k", step, lambda old: NOW) == (1, 1)
    assert db.peek(b"k") is None
    bounded.step_integer(db, b"k", step, lambda old: 0)
    assert bounded.step_integer(db, b"k", step, lambda old: NOW) == (2, 1)
    assert db.peek(b"k") is None
    assert db.counts().keys == 0
