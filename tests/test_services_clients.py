"""The registry of clients, without a socket."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tendis_py.services.clients import Clients
from tendis_py.session import Peer, Session

THREADS = 8


class FakePeer:
    """A connection that counts how often it is told to close."""

    input_bytes = output_bytes = output_pieces = outbox_since = thread = 0

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def new_session() -> Session:
    peer: Peer = FakePeer()
    return Session(peer)


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


def test_places_are_never_handed_out_twice() -> None:
    registry = Clients(lambda: 100)
    admitted: list[bool] = []
    in_threads(lambda: admitted.extend(registry.admit() for _ in range(50)))
    assert sum(admitted) == 100
    assert registry.rejected == 50 * THREADS - 100
    assert registry.accepted == 50 * THREADS
    assert registry.peak == 100


def test_a_place_comes_back_once() -> None:
    registry = Clients(lambda: 1)
    session = new_session()
    assert registry.admit()
    registry.add(session)
    assert not registry.admit()
    assert [registry.remove(session), registry.remove(session)] == [True, False]
    assert registry.admit()
    assert not registry.admit()


def test_a_place_that_nobody_used_comes_back() -> None:
    registry = Clients(lambda: 1)
    assert registry.admit()
    registry.release()
    assert registry.admit()


def test_a_higher_limit_takes_effect_at_once() -> None:
    limit = [1]
    registry = Clients(lambda: limit[0])
    assert [registry.admit(), registry.admit()] == [True, False]
    limit[0] = 2
    assert registry.admit()


def test_only_one_of_many_kills_counts() -> None:
    registry = Clients(lambda: 1000)
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


def test_sessions_come_oldest_first_while_others_come_and_go() -> None:
    registry = Clients(lambda: 10_000)

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
