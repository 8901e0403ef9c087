from __future__ import annotations

import pytest

from tendis_py.storage import cursors as module
from tendis_py.storage.cursors import Cursors


def test_a_cursor_stands_for_its_position() -> None:
    cursors = Cursors(1)
    first, second = cursors.issue(b"a"), cursors.issue(b"b")
    assert first != second
    assert (cursors.position(first), cursors.position(second)) == (b"a", b"b")


def test_a_cursor_may_be_used_again() -> None:
    cursors = Cursors(1)
    first = cursors.issue(b"a")
    cursors.issue(b"b", after=first)
    assert cursors.position(first) == b"a"


def test_an_unknown_cursor_means_the_start() -> None:
    cursors = Cursors(100)
    assert cursors.issue(b"a") == 100
    assert cursors.position(0) == cursors.position(5) == cursors.position(2**64 - 1) == b""


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    issued = [cursors.issue(b"%d" % number) for number in range(5)]
    assert [cursors.position(cursor) for cursor in issued] == [b"", b"", b"2", b"3", b"4"]


def test_a_fast_iteration_leaves_a_slow_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CURSORS", 3)
    cursors = Cursors(1)
    slow = cursors.issue(b"slow")
    fast = 0
    for number in range(20):
        fast = cursors.issue(b"%d" % number, after=fast)
    assert cursors.position(slow) == b"slow"
    assert cursors.position(fast) == b"19"


def test_long_positions_count_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    cursors = Cursors(1)
    issued = [cursors.issue(b"x" * 4000) for _ in range(5)]
    assert [len(cursors.position(cursor)) for cursor in issued] == [0, 0, 0, 4000, 4000]
    huge = cursors.issue(b"x" * 50_000)
    assert len(cursors.position(huge)) == 50_000
    assert cursors.position(issued[-1]) == b""
    small = cursors.issue(b"a")
    assert cursors.position(huge) == b""
    assert cursors.position(small) == b"a"
