"""The loops, against peers that are scripted and clocks that are made up."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from random import Random

import pytest
import trio

from tendis_py.load import schedule
from tendis_py.load.generator import ClosedLoop, Generator, Limits, OpenLoop
from tendis_py.load.recorded import Replay, read_recording
from tendis_py.load.source import Mix
from tendis_py.load.tally import by_kind
from tendis_py.load.templates import Template
from tests.support.reference import parse_requests

MS = 1_000_000
SECONDS = 20.0
"""Of real time, at the most."""

Peer = Callable[[socket.socket], None]
PING_BYTES = 14


class Clock:
    """10 µs pass with each look at it, or what a test says."""

    def __init__(self) -> None:
        self.now = 5 * MS
        self.step = MS // 100

    def __call__(self) -> int:
        self.now += self.step
        return self.now


def pings() -> Mix:
    return Mix([(Template("PING", b"*1\r\n$4\r\nPING\r\n", []), 1.0)], Random(1))


def limits(
    *, seconds: float | None = None, requests: int | None = None, warm_up: float = 0.0
) -> Limits:
    return Limits(seconds, requests, warm_up, patience=5.0)


def run(make: Callable[[select.epoll, list[socket.socket]], Generator], *peers: Peer) -> Generator:
    """Run a generator with one connection to each peer, which has a thread."""
    epoll = select.epoll()
    pairs = [socket.socketpair() for _ in peers]
    for near, far in pairs:
        near.setblocking(False)
        far.settimeout(SECONDS)
    threads = [
        threading.Thread(target=_serve, args=(peer, far), daemon=True)
        for peer, (_, far) in zip(peers, pairs, strict=True)
    ]
    for thread in threads:
        thread.start()
    generator = make(epoll, [near for near, _ in pairs])

    async def bounded() -> None:
        with trio.fail_after(SECONDS):
            await generator.run()

    trio.run(bounded)
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return generator


def _serve(peer: Peer, sock: socket.socket) -> None:
    with sock, contextlib.suppress(ConnectionError):
        peer(sock)


def chunks(sock: socket.socket) -> Iterator[bytes]:
    """What arrives until the other side closes."""
    while chunk := sock.recv(65536):
        yield chunk


def answering(reply: bytes, then: Callable[[], None] = lambda: None) -> Peer:
    """A server that says the same to all PINGs, and does something before each reply."""

    def serve(sock: socket.socket) -> None:
        received = answered = 0
        for chunk in chunks(sock):
            received += len(chunk)
            while received - answered * PING_BYTES >= PING_BYTES:
                then()
                answered += 1
                sock.sendall(reply)

    return serve


def test_so_many_requests_are_sent_and_answered() -> None:
    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        return ClosedLoop(epoll, sockets, pings(), 7, limits(requests=1_000))

    generator = run(make, answering(b"+PONG\r\n"), answering(b"+PONG\r\n"))
    assert (generator.tally.answered, generator.in_time) == (1_000, 1_000)
    assert generator.tally.latencies.total() == 1_000
    assert generator.tally.bytes_out == 14_000
    assert generator.tally.bytes_in == 7_000
    assert generator.failure == ""
    assert generator.progress() == 1


def test_the_warm_up_is_not_measured() -> None:
    clock = Clock()
    seen: list[int] = []

    def work() -> None:
        seen.append(clock.now)
        clock.now += MS

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        warm = limits(seconds=0.05, warm_up=0.05)
        return ClosedLoop(epoll, sockets, pings(), 1, warm, clock)

    generator = run(make, answering(b"+PONG\r\n", work))
    assert 30 < generator.tally.answered < len(seen) - 30
    assert generator.elapsed == pytest.approx(0.05, rel=0.1)


def test_errors_are_found_wherever_they_are() -> None:
    reply = b"*3\r\n+a\r\n-WRONGTYPE x\r\n*1\r\n-ERR y\r\n"

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        return ClosedLoop(epoll, sockets, pings(), 4, limits(requests=8))

    tally = run(make, answering(reply)).tally
    assert {code: error.count for code, error in tally.errors.items()} == {
        "WRONGTYPE": 8,
        "ERR": 8,
    }
    assert tally.answered == 8


def test_a_push_is_no_reply() -> None:
    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        return ClosedLoop(epoll, sockets, pings(), 4, limits(requests=8))

    tally = run(make, answering(b">2\r\n+invalidate\r\n*0\r\n%1\r\n+a\r\n,1.5\r\n")).tally
    assert (tally.answered, tally.pushes, tally.failed) == (8, 8, 0)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 400\r\n", "a reply is none"),
        (b"+PONG\r\n+PONG\r\n", "more replies than requests"),
    ],
)
def test_a_peer_that_speaks_otherwise_is_left(reply: bytes, why: str) -> None:
    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        return ClosedLoop(epoll, sockets, pings(), 1, limits(requests=8))

    generator = run(make, answering(reply))
    assert generator.failure.startswith(f"1 of 1 connections ended: {why}")
    assert generator.tally.lost == 1


@pytest.mark.parametrize("is_open", [False, True])
def test_the_rest_go_on_when_a_connection_ends(is_open: bool) -> None:
    def leave(sock: socket.socket) -> None:
        sock.recv(PING_BYTES)

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        bounds = limits(requests=100)
        if is_open:
            return OpenLoop(epoll, sockets, pings(), 1, bounds, schedule.constant(10_000))
        return ClosedLoop(epoll, sockets, pings(), 1, bounds)

    generator = run(make, leave, answering(b"+PONG\r\n"))
    assert generator.failure == "1 of 2 connections ended: the server has closed it"
    assert generator.tally.lost == 1
    assert generator.tally.answered == 99


@pytest.mark.parametrize("is_open", [False, True])
def test_a_peer_that_falls_silent_is_given_up(is_open: bool) -> None:
    clock = Clock()

    def silent(sock: socket.socket) -> None:
        sock.recv(PING_BYTES)
        sock.sendall(b"+PONG\r\n")
        for _ in chunks(sock):
            clock.step = 1_000 * MS

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        bounds = limits(seconds=100.0)
        if is_open:
            return OpenLoop(epoll, sockets, pings(), 1, bounds, schedule.constant(1_000), clock)
        return ClosedLoop(epoll, sockets, pings(), 1, bounds, clock)

    generator = run(make, silent)
    assert generator.failure == "no answer for 5 s"
    assert generator.tally.answered == 1
    assert generator.tally.unanswered >= 1
    assert max(us for _, us, _ in by_kind(generator.tally.latencies)) > 5_000_000


def test_requests_that_could_not_be_sent_in_time_count_from_when_they_were_due() -> None:
    """No coordinated omission: a server that stops for 50 ms delays all of those 50 ms."""
    clock = Clock()
    stops = iter([50 * MS])

    def stop() -> None:
        clock.now += next(stops, 0)

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        arrivals = schedule.constant(1_000)
        return OpenLoop(epoll, sockets, pings(), 1, limits(seconds=0.1), arrivals, clock)

    generator = run(make, answering(b"+PONG\r\n", stop))
    tally = generator.tally
    assert tally.answered == 100
    assert sum(n for _, us, n in by_kind(tally.latencies) if us >= 25_000) >= 25
    assert sum(n for _, us, n in by_kind(tally.services) if us >= 25_000) == 1


def test_arrivals_before_the_end_are_still_answered() -> None:
    clock = Clock()
    stops = iter([20 * MS])

    def stop() -> None:
        clock.now += next(stops, 0)

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        arrivals = schedule.constant(1_000)
        return OpenLoop(epoll, sockets, pings(), 2, limits(seconds=0.01), arrivals, clock)

    generator = run(make, answering(b"+PONG\r\n", stop))
    assert generator.tally.answered == 10
    assert generator.in_time <= 2  # the pipeline
    assert generator.tally.unanswered == 0


def test_transactions_of_a_recording_are_not_torn_apart() -> None:
    replay = Replay(read_recording([b"MULTI\n", b"GET a\n", b"EXEC\n", b"GET b\n"], "file"))
    received: list[list[bytes]] = []

    def peer(sock: socket.socket) -> None:
        for chunk in chunks(sock):
            requests = [request[0] for request in parse_requests(chunk).requests]
            received.append(requests)
            sock.sendall(b"+OK\r\n" * len(requests))

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        arrivals = schedule.constant(1_000_000)
        return OpenLoop(epoll, sockets, replay, 1, limits(requests=40), arrivals)

    generator = run(make, peer, peer)
    assert generator.tally.answered == 40
    assert all(b"MULTI" not in requests or b"EXEC" in requests for requests in received)


def test_more_than_a_socket_takes_at_once_is_sent() -> None:
    size = 300_000
    value = Template("ECHO", b"*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (size, b"x" * size), [])
    source = Mix([(value, 1.0)], Random(1))

    def slow(sock: socket.socket) -> None:
        lines = answered = 0
        for chunk in chunks(sock):
            lines += chunk.count(b"\n")
            sock.sendall(b"+OK\r\n" * (lines // 5 - answered))
            answered = lines // 5

    def closed(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        return ClosedLoop(epoll, sockets, source, 4, limits(requests=20))

    def opened(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        arrivals = schedule.constant(100_000)
        return OpenLoop(epoll, sockets, source, 4, limits(requests=20), arrivals)

    for make in (closed, opened):
        assert run(make, slow, slow).tally.bytes_out == 20 * (size + 14 + 11)


def test_an_interrupt_ends_it_with_what_was_measured() -> None:
    generators: list[Generator] = []

    def interrupt() -> None:
        if generators[0].tally.answered > 50:
            generators[0].interrupt()

    def make(epoll: select.epoll, sockets: list[socket.socket]) -> Generator:
        generators.append(ClosedLoop(epoll, sockets, pings(), 1, limits(seconds=1000.0)))
        return generators[0]

    generator = run(make, answering(b"+PONG\r\n", interrupt))
    assert generator.failure == "it was interrupted"
    assert generator.tally.answered > 50
    assert generator.elapsed > 0
