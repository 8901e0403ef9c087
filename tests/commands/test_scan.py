"""Iterations: SCAN and its kin through the dispatcher, while positions are forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.config import Config
from tendis_py.services import Services
from tendis_py.storage import cursors
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.dispatching import Thread
from tests.support.resp import decode

STEPS = 500
"""No iteration here may take as many."""

NAMES = [b"%03d" % number for number in range(60)]

Scan = Callable[..., tuple[bytes, list[bytes]]]


def thread_in(folder: Path) -> Thread:
    """To be closed by ``thread.tx.keyspace.engine.close()``."""
    return Thread(Services(Config(), Keyspace(Engine(folder))))


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[Thread]:
    thread = thread_in(tmp_path / "data")
    yield thread
    thread.tx.keyspace.engine.close()


@pytest.fixture
def scan(thread: Thread) -> Scan:
    def step(*words: bytes) -> tuple[bytes, list[bytes]]:
        cursor, found = decode(thread.run_requests([list(words)]))
        return cursor, found

    return step


def fill(thread: Thread, names: list[bytes]) -> None:
    """The names as keys, as members of a set, of a sorted set, and as fields of a hash."""
    thread.run_requests([[b"SET", name, b"v"] for name in names])
    pairs = [part for name in names for part in (name, b"1")]
    flipped = [part for name in names for part in (b"1", name)]
    thread.run_requests(
        [
            [b"SELECT", b"1"],
            [b"SADD", b"set", b"x" * 100, *names],
            [b"ZADD", b"zset", b"1", b"x" * 100, *flipped],
            [b"HSET", b"hash", b"x" * 100, b"1", *pairs],
            [b"SELECT", b"0"],
        ]
    )


KINDS = [
    ([b"SCAN"], 0, 1),
    ([b"SSCAN", b"set"], 1, 1),
    ([b"ZSCAN", b"zset"], 1, 2),
    ([b"HSCAN", b"hash"], 1, 2),
    ([b"HSCAN", b"hash"], 1, 1),
]
"""Command, database, and how many parts of the reply an element is."""


def request(kind: int, cursor: bytes, count: int) -> list[bytes]:
    words, _, _ = KINDS[kind]
    novalues = [b"NOVALUES"] if kind == 4 else []
    return [*words, cursor, b"COUNT", b"%d" % count, *novalues]


@settings(max_examples=60)
@given(
    iterations=st.lists(
        st.tuples(st.integers(0, len(KINDS) - 1), st.integers(1, 20)), min_size=1, max_size=5
    ),
    kept=st.integers(1, 4),
    order=st.lists(st.integers(0, 4), min_size=1, max_size=20),
    changes=st.lists(st.integers(0, 59), max_size=20),
)
def test_every_iteration_ends_and_misses_nothing_whatever_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory,
    iterations: list[tuple[int, int]],
    kept: int,
    order: list[int],
    changes: list[int],
) -> None:
    """Several at once, in any order, with room for fewer positions than there are iterations;
    others begin between their steps, and keys come and go."""
    thread = thread_in(tmp_path_factory.mktemp("scan") / "data")
    fill(thread, NAMES)
    stays = set(NAMES) - {NAMES[number] for number in changes}
    at = [b"0"] * len(iterations)
    found: list[set[bytes]] = [set() for _ in iterations]
    running = set(range(len(iterations)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursors, "MAX_CURSORS", kept)
        for step in range(STEPS):
            number = order[step % len(order)]
            if number not in running:
                number = min(running)
            kind, count = iterations[number]
            _, database, parts = KINDS[kind]
            name = NAMES[changes[step % len(changes)]] if changes else b"none"
            change = [b"SET", name, b"v"] if step % 2 else [b"DEL", name]
            other = [b"SCAN", b"0", b"COUNT", b"%d" % (step % 30 + 1)]
            thread.run_requests([change, other, [b"SELECT", b"%d" % database]])
            at[number], page = decode(thread.run_requests([request(kind, at[number], count)]))
            thread.run_requests([[b"SELECT", b"0"]])
            found[number].update(page[::parts])
            if at[number] == b"0":
                running.discard(number)
                assert found[number] >= (stays if kind == 0 else set(NAMES))
            if not running:
                break
    thread.tx.keyspace.engine.close()
    assert not running


def test_members_too_large_to_be_remembered(
    thread: Thread, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two in turn, one element a step, and what tells the members apart is at their ends."""
    monkeypatch.setattr(cursors, "MAX_BYTES", 150_000)
    members = [b"x" * 100_000 + b"%d" % number for number in range(5)]
    thread.run_requests([[b"SADD", b"k", *members]])
    at = [b"0", b"0"]
    found: list[set[bytes]] = [set(), set()]
    for step in range(STEPS):
        number = step % 2
        at[number], page = scan(b"SSCAN", b"k", at[number], b"COUNT", b"1")
        found[number].update(page)
        if at[number] == b"0":
            assert found[number] == set(members)
            found[number] = set()
            if step > 50:
                break
    assert at[number] == b"0"


def test_a_position_is_no_longer_than_it_must_be(thread: Thread, scan: Scan) -> None:
    members = [b"%d" % number + b"x" * 1_000_000 for number in range(5)]
    thread.run_requests([[b"SADD", b"k", *members]])
    cursor, _ = scan(b"SSCAN", b"k", b"0", b"COUNT", b"1")
    place = thread.tx.keyspace.cursors.place(int(cursor))
    assert place.position == b"1"


@pytest.mark.parametrize("counts", [[10], range(1, 60)])
def test_a_slow_iteration_while_others_begin(
    thread: Thread, scan: Scan, monkeypatch: pytest.MonkeyPatch, counts: Sequence[int]
) -> None:
    monkeypatch.setattr(cursors, "MAX_CURSORS", 8)
    fill(thread, NAMES)
    cursor, steps = b"0", 0
    found: list[bytes] = []
    while True:
        cursor, page = scan(b"SCAN", cursor, b"COUNT", b"7")
        found += page
        steps += 1
        if cursor == b"0":
            break
        thread.run_requests([[b"SCAN", b"0", b"COUNT", b"%d" % count] for count in counts])
    assert set(found) == set(NAMES)
    assert steps <= 10  # 9 without the others: at most its first page was forgotten


def test_with_room_enough_each_element_comes_once(thread: Thread, scan: Scan) -> None:
    fill(thread, NAMES)
    cursor, found = scan(b"SCAN", b"0", b"COUNT", b"7")
    while cursor != b"0":
        assert int(cursor) < 2**53
        cursor, page = scan(b"SCAN", cursor, b"COUNT", b"7")
        found += page
    assert found == NAMES


@pytest.mark.parametrize("cursor", [b"1", b"12345", b"9007199254740991", b"18446744073709551615"])
def test_a_cursor_that_nobody_handed_out_is_the_start(
    thread: Thread, scan: Scan, cursor: bytes
) -> None:
    fill(thread, NAMES)
    assert scan(b"SCAN", cursor, b"COUNT", b"5") == scan(b"SCAN", b"0", b"COUNT", b"5")
