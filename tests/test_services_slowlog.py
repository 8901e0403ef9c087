"""The slow log: what is kept, how it is shortened, and what is never shown."""

from __future__ import annotations

import threading

import pytest

from tendis_py.commands.redaction import redacted
from tendis_py.services.slowlog import Slowlog
from tendis_py.session import Session


class NoPeer:
    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def close(self) -> None:
        raise AssertionError("nobody closes it")


def session() -> Session:
    return Session(NoPeer(), address="1.2.3.4:5")


def filled(length: int, *, most: int = 128) -> Slowlog:
    log = Slowlog(0, most)
    for number in range(length):
        log.add(session(), [b"GET", b"%d" % number], 1_500_999, {"queue": 2_999})
    return log


def ids(log: Slowlog, count: int | None = None) -> list[int]:
    return [entry.id for entry in log.latest(count)]


def test_an_entry() -> None:
    (entry,) = filled(1).latest()
    assert (entry.id, entry.duration, entry.arguments) == (0, 1500, [b"GET", b"0"])
    assert (entry.address, entry.name, entry.stages) == ("1.2.3.4:5", b"", {"queue": 2})


def test_the_latest_come_first() -> None:
    log = filled(5)
    assert ids(log) == [4, 3, 2, 1, 0]
    assert ids(log, 2) == [4, 3]
    assert ids(log, 0) == []
    assert len(log) == 5


def test_the_oldest_go_first() -> None:
    assert ids(filled(5, most=3)) == [4, 3, 2]


def test_a_shorter_maximum_counts_from_the_next_entry_on() -> None:
    log = filled(5)
    log.set_max_length(2)
    assert len(log) == 5
    log.add(session(), [b"GET"], 1, {})
    assert ids(log) == [5, 4]


def test_a_maximum_of_0_adds_none_and_forgets_none() -> None:
    log = filled(2)
    log.set_max_length(0)
    log.add(session(), [b"GET"], 1, {})
    assert ids(log) == [1, 0]


def test_ids_go_on_after_reset() -> None:
    log = filled(3)
    log.clear()
    assert len(log) == 0
    log.add(session(), [b"GET"], 1, {})
    assert ids(log) == [3]


@pytest.mark.parametrize(("us", "ns", "logged"), [(10, 9_999, False), (10, 10_001, True)])
def test_threshold(us: int, ns: int, logged: bool) -> None:
    log = Slowlog(us, 128)
    assert (ns > log.threshold_ns) is logged
    log.set_threshold(-1)
    assert log.threshold_ns > 2**62


def test_long_requests_are_shortened_as_redis_does() -> None:
    log = Slowlog(0, 128)
    log.add(session(), [b"x" * 129, *[b"%d" % number for number in range(40)]], 1, {})
    (entry,) = log.latest()
    assert len(entry.arguments) == 32
    assert entry.arguments[0] == b"x" * 128 + b"... (1 more bytes)"
    assert entry.arguments[-2:] == [b"29", b"... (10 more arguments)"]
    log.add(session(), [b"x" * 128] * 32, 1, {})
    assert log.latest(1)[0].arguments == [b"x" * 128] * 32


def test_threads_do_not_lose_the_bound() -> None:
    log = Slowlog(0, 10)

    def add() -> None:
        for _ in range(500):
            log.add(session(), [b"GET"], 1, {})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(log) == list(range(1999, 1989, -1))


HIDDEN = b"(redacted)"


@pytest.mark.parametrize(
    ("request_line", "hidden"),
    [
        ("AUTH pw", {1}),
        ("auth user pw", {1, 2}),
        ("AUTH a b c", set()),
        ("AUTH", set()),
        ("HELLO 3 AUTH user pw", {3, 4}),
        ("HELLO 3 SETNAME AUTH auth user pw SETNAME x", {5, 6}),
        ("HELLO 3 nonsense AUTH user pw", set()),
        ("HELLO 3 AUTH user", set()),
        ("HELLO", set()),
        ("CONFIG SET requirepass pw", {3}),
        ("config set hz 10 RequirePass pw timeout 1", {5}),
        ("CONFIG SET masterauth pw tls-key-file-pass x masteruser y", {3, 5, 7}),
        ("CONFIG SET requirepass", set()),
        ("CONFIG GET requirepass", set()),
        ("CONFIG", set()),
        ("ACL SETUSER bob on >pw", {2, 3, 4}),
        ("ACL LIST", set()),
        ("MIGRATE h 1 k 0 9 AUTH pw", {7}),
        ("migrate h 1 k 0 9 copy auth2 user pw keys auth x", {8, 9}),
        ("MIGRATE h 1 k 0 9 nonsense AUTH pw", set()),
        ("MIGRATE h 1 k 0 9 AUTH2 pw", set()),
        ("MIGRATE h 1 auth", set()),
        ("SET requirepass pw", set()),
    ],
)
def test_secrets_are_hidden_where_redis_hides_them(request_line: str, hidden: set[int]) -> None:
    request = request_line.encode().split()
    before = list(request)
    expected = [HIDDEN if at in hidden else word for at, word in enumerate(request)]
    assert redacted(request) == expected
    assert request == before
    if not hidden:
        assert redacted(request) is request
