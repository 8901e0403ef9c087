"""``Tail``: what a slice from there on would be."""

import pytest

from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types.tail import Tail, rest


@pytest.mark.parametrize("start", [0, 2, 500])
@pytest.mark.parametrize("size", [500, ITEMS_AT_ONCE + 2, 5000])
def test_it_is_as_a_slice(size: int, start: int) -> None:
    items = [b"%d" % number for number in range(size)]
    tail, right = Tail(items, start), items[start:]
    assert len(tail) == len(right)
    assert list(tail) == right
    assert list(reversed(tail)) == right[::-1]
    for cut in (slice(0, 10), slice(5, 2000), slice(len(right) - 3, 9000), slice(9000, 9999)):
        assert tail[cut] == right[cut]
    if right:
        assert (tail[0], tail[-1]) == (right[0], right[-1])
    with pytest.raises(IndexError):
        tail[len(right)]


def test_few_are_a_list() -> None:
    items = [b"x"] * (ITEMS_AT_ONCE + 3)
    assert isinstance(rest(items, 3), list)
    assert isinstance(rest(items, 2), Tail)
    assert list(rest(items, 2)) == items[2:]
