"""Which keys weigh the most: exact where they are few, and close enough where they are many."""

from __future__ import annotations

import random

from tendis_py.services.heaviest import LONGEST_KEY, Heaviest


def test_few_keys_are_weighed_exactly() -> None:
    found = Heaviest(2)
    for key, weight in ((b"a", 1), (b"b", 5), (b"a", 3), (b"c", 2), (b"d", 0)):
        found.add(key, weight)
    assert found.top(9) == [(b"b", 5), (b"a", 4), (b"c", 2)]
    assert found.top(1) == [(b"b", 5)]
    assert found.total == 11
    assert (found.weight(b"a"), found.weight(b"x")) == (4, 0)


def test_many_keys_take_bounded_memory_and_hide_no_heavy_one() -> None:
    draw = random.Random(1)
    keep = 50
    found = Heaviest(keep)
    heavy = {b"heavy%d" % number: 0 for number in range(10)}
    for number in range(50_000):
        key, weight = b"light%d" % number, draw.randrange(10)
        if number % 5 == 0:
            key = draw.choice(list(heavy))
            heavy[key] += weight
        found.add(key, weight)
        assert len(found._weights) <= 2 * keep
    top = dict(found.top(10))
    assert top.keys() == heavy.keys()
    missing = [heavy[key] - weight for key, weight in top.items()]
    assert min(missing) >= 0
    assert max(missing) <= found.total / (keep + 1)


def test_long_keys_count_for_the_total_only() -> None:
    found = Heaviest(10)
    found.add(b"x" * (LONGEST_KEY + 1), 5)
    found.add(b"y" * LONGEST_KEY, 1)
    assert found.total == 6
    assert [weight for _, weight in found.top(9)] == [1]


def test_halving() -> None:
    found = Heaviest(10)
    for key, weight in ((b"a", 5), (b"b", 1)):
        found.add(key, weight)
    found.halve()
    assert (found.total, found.top(9)) == (3, [(b"a", 2)])
