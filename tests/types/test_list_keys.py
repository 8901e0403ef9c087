"""The keys of list elements: there is always one in between."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.types.list.keys import MIDDLE, between, number_of, position, positions


def test_positions_are_in_order() -> None:
    keys = positions(MIDDLE - 300, MIDDLE + 300)
    assert keys == sorted(keys)
    assert keys[300] == position(MIDDLE)
    assert [number_of(key) - MIDDLE for key in keys] == list(range(-300, 300))
    assert positions(MIDDLE - 300, MIDDLE + 300, b"prefix") == [b"prefix" + key for key in keys]
    for first, stop in ((0, 0), (0, 1), (255, 256), (255, 257), (1, 511), (511, 1025)):
        assert positions(first, stop) == [position(number) for number in range(first, stop)]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 40), st.booleans()), max_size=40))
def test_there_is_always_a_key_between(places: list[tuple[float, int, bool]]) -> None:
    """Runs of insertions, each beside the one before, on either side of it."""
    keys = positions(MIDDLE, MIDDLE + 3)
    for place, times, ascending in places:
        at = int(place * (len(keys) - 1))
        for _ in range(times):
            key = between(keys[at], keys[at + 1])
            assert keys[at] < key < keys[at + 1]
            assert key[-4:] != bytes(4)
            keys.insert(at + 1, key)
            at += ascending
    assert keys[-1] < position(MIDDLE + 3)


@pytest.mark.parametrize("choose", [0, 1, -2, -1])
def test_keys_in_between_stay_short(choose: int) -> None:
    """Insertions at one place only, 5,000 of them."""
    keys = [position(MIDDLE), position(MIDDLE + 1)]
    longest = 0
    for _ in range(5000):
        at = choose if choose >= 0 else len(keys) + choose - 1
        at = max(0, min(at, len(keys) - 2))
        keys.insert(at + 1, between(keys[at], keys[at + 1]))
        longest = max(longest, len(keys[at + 1]))
    assert all(low < high for low, high in pairwise(keys))
    assert longest <= 16


def test_cutting_the_same_gap_takes_a_digit_each_dozen_times() -> None:
    low, high = position(MIDDLE), position(MIDDLE + 1)
    for step in range(400):
        key = between(low, high)
        assert low < key < high
        low, high = (key, high) if step % 2 else (low, key)
    assert len(key) < 200


def test_neighbours_of_removed_positions_and_full_digits() -> None:
    full = position(MIDDLE) + b"\xff" * 8
    tight = position(MIDDLE) + b"\0\0\0\0\0\0\0\1"
    for low, high in (
        (position(MIDDLE), position(MIDDLE + 5)),
        (position(MIDDLE + (1 << 32) - 1), position(MIDDLE + (1 << 32))),
        (full, position(MIDDLE + 1)),
        (position(MIDDLE), tight),
        (tight, position(MIDDLE) + b"\0\0\0\1"),
    ):
        assert low < between(low, high) < high
