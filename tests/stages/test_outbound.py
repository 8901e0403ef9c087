"""Connections to other servers: nothing that those do, or leave undone, keeps a thread for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tendis_py.stages.outbound import LONGEST_LINE, MOST_LOOK_UPS, Outbound, Resolver
from tests.support.servers import HOST, wait_until

SHORT, LONG = 0.05, 20.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener


@pytest.fixture
def link() -> Iterator[Outbound]:
    link = Outbound(Resolver())
    yield link
    link.close()


@pytest.fixture
def other(link: Outbound, listener: socket.socket) -> Iterator[socket.socket]:
    """The target's side of ``link``."""
    link.connect(HOST.encode(), listener.getsockname()[1], LONG)
    other, _ = listener.accept()
    other.settimeout(LONG)
    with other:
        yield other


def test_lines(link: Outbound, other: socket.socket) -> None:
    other.sendall(b"+OK\r\n-ERR no\n\r\n+")
    assert [link.line(LONG) for _ in range(3)] == [b"+OK", b"-ERR no", b""]
    other.sendall(b"OK\r\n")
    assert link.line(LONG) == b"+OK"
    other.close()
    with pytest.raises(ConnectionError):
        link.line(LONG)


def test_a_line_that_has_no_end(link: Outbound, other: socket.socket) -> None:
    other.sendall(b"x" * 8 * LONGEST_LINE)
    with pytest.raises(ConnectionError):
        link.line(LONG)


def test_a_target_that_says_nothing_or_half_of_it(link: Outbound, other: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        link.line(SHORT)
    other.sendall(b"+O")
    with pytest.raises(TimeoutError):
        link.line(SHORT)
    with pytest.raises(TimeoutError):
        link.line(0)


def test_what_is_sent_arrives(link: Outbound, other: socket.socket) -> None:
    parts = [b"a", b"b" * 70_000, b"", b"c" * 1000, b"d" * 64_000, b"e" * 300_000, b"f"]
    wanted = b"".join(parts)
    received = bytearray()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(link.send, parts, LONG)
        while len(received) < len(wanted):
            received += other.recv(1 << 20)
        sent.result(LONG)
    assert received == wanted


def test_a_target_that_takes_nothing(link: Outbound, other: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        link.send([bytes(1 << 20)] * 64, SHORT)


def test_nobody_listens(link: Outbound) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionError):
        link.connect(HOST.encode(), port, LONG)


def test_a_target_that_does_not_accept(link: Outbound) -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        with pytest.raises(TimeoutError):
            link.connect(HOST.encode(), full.getsockname()[1], SHORT)
        for one in waiting:
            one.close()


@pytest.mark.parametrize("step", ["line", "send"])
def test_what_waits_can_be_abandoned(link: Outbound, other: socket.socket, step: str) -> None:
    arguments: tuple[Any, ...] = () if step == "line" else ([bytes(1 << 20)] * 64,)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(getattr(link, step), *arguments, 10 * LONG)
        if step == "send":
            other.recv(1)
        link.abandon()
        assert isinstance(waits.exception(LONG), OSError)
    with pytest.raises(ConnectionError):
        link.line(LONG)


def test_one_that_is_abandoned_does_not_connect(link: Outbound, listener: socket.socket) -> None:
    link.abandon()
    with pytest.raises(ConnectionError):
        link.connect(HOST.encode(), listener.getsockname()[1], LONG)


class Names:
    """Names that are looked up for as long as the test likes."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0
        self._ask = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, **options: Any) -> Any:
        if options.get("flags"):
            return self._ask(host, port, **options)
        self.asked += 1
        self.answers.wait(LONG)
        return self._ask(HOST, port, **options)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    yield names
    names.answers.set()


def test_a_name(link: Outbound, listener: socket.socket, names: Names) -> None:
    names.answers.set()
    link.connect(b"some.where", listener.getsockname()[1], LONG)
    listener.accept()[0].close()


def test_a_name_that_nobody_knows(link: Outbound) -> None:
    with pytest.raises(OSError, match="not known"):
        link.connect(b"x" * 300, 1, LONG)


def test_a_name_that_takes_long(link: Outbound, names: Names) -> None:
    with pytest.raises(TimeoutError):
        link.connect(b"some.where", 1, SHORT)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(link.connect, b"some.where", 1, 10 * LONG)
        wait_until(lambda: names.asked == 2, "it asks")
        link.abandon()
        assert isinstance(waits.exception(LONG), ConnectionError)


def test_no_more_than_some_names_are_looked_up_at_once(names: Names) -> None:
    resolver = Resolver()
    for _ in range(MOST_LOOK_UPS + 3):
        with pytest.raises(TimeoutError):
            Outbound(resolver).connect(b"some.where", 1, SHORT / 10)
    assert names.asked <= MOST_LOOK_UPS
