"""What entries take, at the bounds where listpack.c of Redis takes another encoding."""

import pytest

from tendis_py.types.listpack import entry_size

_INTEGERS = {
    1: [0, 127],
    2: [-1, 128, -4096, 4095],
    3: [-4097, 4096, -(1 << 15), (1 << 15) - 1],
    4: [1 << 15, -(1 << 23), (1 << 23) - 1],
    5: [1 << 23, -(1 << 31), (1 << 31) - 1],
    9: [1 << 31, -(1 << 63), (1 << 63) - 1],
}
_STRINGS = {0: 1, 20: 1, 63: 1, 64: 2, 4095: 2, 4096: 5, 20_000: 5}
"""Length → bytes of the head."""


@pytest.mark.parametrize("size", _INTEGERS)
def test_integers(size: int) -> None:
    """One byte more for the size again."""
    assert {entry_size(b"%d" % number) for number in _INTEGERS[size]} == {size + 1}


@pytest.mark.parametrize("length", _STRINGS)
def test_strings(length: int) -> None:
    inner = _STRINGS[length] + length
    backward = 1 if inner < 128 else 2 if inner < 16383 else 3
    assert entry_size(b"x" * length) == inner + backward


@pytest.mark.parametrize("text", [b"01", b"-0", b"+1", b"1 ", b"-", b"9223372036854775808"])
def test_what_looks_like_an_integer_is_a_string(text: bytes) -> None:
    assert entry_size(text) == len(text) + 2
