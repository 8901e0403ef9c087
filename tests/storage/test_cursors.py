from __future__ import annotations

import pytest

from tendis_py.storage import cursors as module
from tendis_py.storage.cursors import Cursors, Place


def position(cursors: Cursors, cursor: int) -> bytes:
    return cursors.place(cursor).position


def is_forgotten(cursors: Cursors, cursor: int) -> bool:
    place = cursors.place(cursor)
    assert not (place.position and place.at_least)
    return bool(place.at_least)


def test_a_cursor_stands_for_its_position() -> None:
    cursors = Cursors(1)
    first, second = cursors.issue(b"a", 10), cursors.issue(b"b", 20)
    assert first != second
    assert cursors.place(first) == Place(b"a", 10)
    assert cursors.place(second) == Place(b"b", 20)


def test_a_cursor_may_be_used_again() -> None:
    cursors = Cursors(1)
    first = cursors.issue(b"a", 1)
    cursors.issue(b"b", 2, after=first)
    assert position(cursors, first) == b"a"
    cursors.end(first)
    assert position(cursors, first) == b"a"


def test_an_unknown_cursor_means_the_start() -> None:
    cursors = Cursors(100)
    cursor = cursors.issue(b"a", 1)
    for other in (0, 1, 5, cursor - 64, cursor + 32, 2**53, 2**64 - 1):
        assert cursors.place(other) == Place()


def test_a_forgotten_cursor_tells_how_far_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 1)
    cursors = Cursors(1)
    for depth in (1, 2, 7, 8, 1000, 10**6, 2**30):
        cursor = cursors.issue(b"%d" % depth, depth)
        cursors.issue(b"other", 1)
        place = cursors.place(cursor)
        assert place.position == b""
        assert depth < place.at_least <= 2 * depth


def test_iterations_at_one_position_share_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 2)
    cursors = Cursors(1)
    slow = cursors.issue(b"slow", 1)
    assert len({cursors.issue(b"first page", 10) for _ in range(1000)}) == 1
    assert position(cursors, slow) == b"slow"


def test_one_that_goes_on_does_not_spend_what_another_is_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    slow = cursors.issue(b"0", 1, after=cursors.issue(b"begun", 1))
    fast = cursors.issue(b"0", 1)
    for number in range(1, 20):
        fast = cursors.issue(b"%d" % number, number + 1, after=fast)
    assert position(cursors, slow) == b"0"
    assert position(cursors, fast) == b"19"


def test_first_pages_are_forgotten_before_those_that_went_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    begun = cursors.issue(b"begun", 1)
    slow = cursors.issue(b"slow", 2, after=begun)
    pages = [cursors.issue(b"page %d" % number, 1) for number in range(20)]
    assert position(cursors, slow) == b"slow"
    assert is_forgotten(cursors, begun)
    assert is_forgotten(cursors, pages[0])
    assert position(cursors, pages[-1]) == b"page 19"


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    issued = [cursors.issue(b"%d" % number, 1) for number in range(5)]
    assert [is_forgotten(cursors, cursor) for cursor in issued] == [True, True] + 3 * [False]


def test_what_was_gone_on_from_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    slow = cursors.issue(b"slow", 1)
    fast = 0
    for number in range(20):
        fast = cursors.issue(b"%d" % number, number, after=fast)
    assert position(cursors, slow) == b"slow"
    assert position(cursors, fast) == b"19"


def test_long_positions_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    cursors = Cursors(1)
    issued = [cursors.issue(b"%d" % number * 4000, 1) for number in range(5)]
    assert [is_forgotten(cursors, cursor) for cursor in issued] == 3 * [True] + 2 * [False]
    huge = cursors.issue(b"x" * 50_000, 1)
    assert len(position(cursors, huge)) == 50_000
    assert is_forgotten(cursors, issued[-1])
    small = cursors.issue(b"a", 1)
    assert is_forgotten(cursors, huge)
    assert position(cursors, small) == b"a"
