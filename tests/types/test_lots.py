"""Drawing many: exactly so many, and each as often as any other."""

import random
from collections import Counter

import pytest

from tendis_py.types.collection import lots


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
def test_just_so_many_are_drawn(size: int) -> None:
    for count in {0, size // 3, size}:
        drawn = list(lots(size, count))
        assert (len(drawn), sum(drawn)) == (size, count)


def test_each_choice_has_the_same_chance() -> None:
    random.seed(1)
    rounds = 6000
    choices = Counter(tuple(lots(4, 2)) for _ in range(rounds))
    assert len(choices) == 6
    assert all(abs(often - rounds / 6) < 150 for often in choices.values())
