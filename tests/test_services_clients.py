"""The registry of clients and CLIENT PAUSE, without a socket and without waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tendis_py.resp.requests import Request
from tendis_py.services import clients
from tendis_py.services.clients import Clients, Pause
from tendis_py.session import Peer, Session

THREADS = 8


class FakePeer:
    """A connection that counts how often it is told to close."""

    input_bytes = output_bytes = output_pieces = thread = 0

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def new_session() -> Session:
    peer: Peer = FakePeer()
    return Session(peer)


def only_writes(session: Session, request: Request, writes_only: bool) -> bool:
    return not writes_only or request[0] == b"SET"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time that pauses go by."""
    now = [1000.0]
    monkeypatch.setattr(clients, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


@pytest.fixture
def pause(clock: Callable[[float], None]) -> Pause:
    return Pause(only_writes)


def holds(pause: Pause, name: bytes = b"GET") -> bool:
    return pause.holds(new_session(), [name])


def test_no_pause_holds_nothing(pause: Pause) -> None:
    assert not holds(pause)
    assert pause.remaining == 0


def test_a_pause_ends_in_its_time(pause: Pause, clock: Callable[[float], None]) -> None:
    pause.start(5, writes_only=False)
    clock(4.9)
    assert holds(pause)
    assert pause.remaining == pytest.approx(0.1)
    clock(0.1)
    assert pause.remaining == 0
    assert not holds(pause)
    assert pause.until == 0, "the quick test is quick again"


def test_a_pause_of_writes_lets_reads_through(pause: Pause) -> None:
    pause.start(5, writes_only=True)
    assert holds(pause, b"SET")
    assert not holds(pause, b"GET")


def test_the_stricter_of_two_pauses_counts(pause: Pause) -> None:
    pause.start(5, writes_only=False)
    pause.start(5, writes_only=True)
    assert holds(pause, b"GET")


def test_a_pause_of_writes_becomes_one_of_all(pause: Pause) -> None:
    pause.start(5, writes_only=True)
    pause.start(5, writes_only=False)
    assert holds(pause, b"GET")


def test_the_later_end_of_two_pauses_counts(pause: Pause, clock: Callable[[float], None]) -> None:
    pause.start(5, writes_only=False)
    pause.start(1, writes_only=False)
    clock(4)
    assert holds(pause)


def test_a_past_pause_does_not_make_the_next_one_stricter(
    pause: Pause, clock: Callable[[float], None]
) -> None:
    pause.start(5, writes_only=False)
    clock(6)
    pause.start(5, writes_only=True)
    assert not holds(pause, b"GET")


def test_the_end_is_announced(pause: Pause) -> None:
    told: list[bool] = []
    pause.on_end(lambda: told.append(holds(pause)))
    pause.start(5, writes_only=False)
    pause.end()
    assert told == [False], "told once, and after the end"


def in_threads(work: Callable[[], None]) -> None:
    start = threading.Barrier(THREADS)

    def thread() -> None:
        start.wait()
        work()

    threads = [threading.Thread(target=thread) for _ in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_places_are_never_handed_out_twice(pause: Pause) -> None:
    registry = Clients(lambda: 100, pause)
    admitted: list[bool] = []
    in_threads(lambda: admitted.extend(registry.admit() for _ in range(50)))
    assert sum(admitted) == 100
    assert registry.rejected == 50 * THREADS - 100
    assert registry.accepted == 50 * THREADS
    assert registry.peak == 100


def test_a_place_comes_back_once(pause: Pause) -> None:
    registry = Clients(lambda: 1, pause)
    session = new_session()
    assert registry.admit()
    registry.add(session)
    assert not registry.admit()
    assert [registry.remove(session), registry.remove(session)] == [True, False]
    assert registry.admit()
    assert not registry.admit()


def test_a_place_that_nobody_used_comes_back(pause: Pause) -> None:
    registry = Clients(lambda: 1, pause)
    assert registry.admit()
    registry.release()
    assert registry.admit()


def test_a_higher_limit_takes_effect_at_once(pause: Pause) -> None:
    limit = [1]
    registry = Clients(lambda: limit[0], pause)
    assert [registry.admit(), registry.admit()] == [True, False]
    limit[0] = 2
    assert registry.admit()


def test_only_one_of_many_kills_counts(pause: Pause) -> None:
    registry = Clients(lambda: 1000, pause)
    sessions = [new_session() for _ in range(100)]
    for session in sessions:
        assert registry.admit()
        registry.add(session)
    killed: list[Session] = []
    in_threads(lambda: killed.extend(filter(registry.kill, sessions)))
    assert sorted(one.id for one in killed) == [one.id for one in sessions]
    assert all(session.closing for session in sessions)
    peers = [session.peer for session in sessions]
    assert all(isinstance(peer, FakePeer) and peer.closed == 1 for peer in peers)
    assert len(registry) == 0


def test_sessions_come_oldest_first_while_others_come_and_go(pause: Pause) -> None:
    registry = Clients(lambda: 10_000, pause)

    def come_and_go() -> None:
        for _ in range(200):
            session = new_session()
            registry.add(session)
            seen = [one.id for one in registry.all()]
            assert seen == sorted(seen)
            assert session.id in seen
            registry.sessions.pop(session.id)

    in_threads(come_and_go)
    assert registry.all() == []
