"""The table of what clients may keep: bounded, and free of clients that have gone."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from tendis_py.services.tracking_table import EVICTED_AT_ONCE, TrackingTable


def table(limit: int = 0, known: frozenset[int] | None = None) -> TrackingTable:
    return TrackingTable(lambda: limit, lambda id_: known is None or id_ in known)


_keys = st.sampled_from([b"a", b"b", b"c", b"d"])
_ids = st.integers(1, 12)


@given(st.lists(st.one_of(st.tuples(_keys, _ids), st.tuples(_keys)), max_size=80))
def test_what_is_added_is_there_until_it_is_taken(steps: list[tuple[bytes, int]]) -> None:
    tracked, expected = table(), defaultdict(set)
    for key, *ids in steps:
        if ids:
            tracked.add(key, ids[0])
            expected[key].add(ids[0])
        else:
            assert tracked.pop(key) == sorted(expected.pop(key, ()))
        assert len(tracked) == len(expected)
        assert tracked.items == sum(map(len, expected.values()))


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 30), _ids), max_size=120))
def test_no_more_keys_than_there_is_room_for(limit: int, reads: list[tuple[int, int]]) -> None:
    """Each that was read is there, or was told to be gone since."""
    tracked, expected = table(limit), defaultdict(set)
    for number, id_ in reads:
        key = b"%d" % number
        tracked.add(key, id_)
        expected[key].add(id_)
        for gone, ids in tracked.evict():
            assert gone != key or limit == 1
            assert ids == sorted(expected.pop(gone))
        assert len(tracked) == len(expected) <= limit
    assert {key: tracked.pop(key) for key in list(expected)} == {
        key: sorted(ids) for key, ids in expected.items()
    }
    assert (len(tracked), tracked.items) == (0, 0)


def test_a_lower_limit_is_kept_step_by_step() -> None:
    limits = [0]
    tracked = TrackingTable(lambda: limits[0], lambda id_: True)
    for number in range(3 * EVICTED_AT_ONCE):
        tracked.add(b"%d" % number, 1)
    assert tracked.evict() == []
    limits[0] = 10
    evicted = [len(tracked.evict()) for _ in range(4)]
    assert evicted == [EVICTED_AT_ONCE, EVICTED_AT_ONCE, EVICTED_AT_ONCE - 10, 0]


def test_a_key_that_ever_new_clients_read_does_not_grow() -> None:
    known = frozenset(range(1, 4))
    tracked = table(known=known)
    for id_ in range(1, 10_000):
        tracked.add(b"k", id_)
        assert tracked.items <= 2 * len(known) + 2 * 8
    assert known <= set(tracked.pop(b"k"))
    assert tracked.items == 0


def test_all_may_be_forgotten_at_once() -> None:
    tracked = table()
    for number in range(10_000):
        tracked.add(b"%d" % number, number % 3)
    tracked.take_all()()
    assert (len(tracked), tracked.items, tracked.pop(b"1")) == (0, 0, [])
