"""Clients in threads: a bystander that measures what others feel, and writers that keep count."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.resp import Address, RawClient
from tests.support.servers import ServerProcess, wait_until

Work = Callable[[RawClient], None]


def together(address: Address, *works: Work, seconds: float = 30.0) -> None:
    """Run each in a thread with a client of its own, all starting at once; raises what the first
    that failed raised."""
    start = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Work) -> None:
        try:
            with RawClient(address) as client:
                start.wait(seconds)
                work(client)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), "a client is still waiting for its replies"
    if errors:
        raise errors[0]


@dataclass
class Bystander:
    """Waits that one ordinary client saw, in seconds, and what went wrong for it."""

    waits: list[float] = field(default_factory=list)
    error: BaseException | None = None

    def worst(self) -> float:
        return max(self.waits)


@contextlib.contextmanager
def bystander(server: ServerProcess, *, most: float = 3.0) -> Iterator[Bystander]:
    """Have another client SET and GET all through the block; AssertionError at its end when that
    failed or once took more than ``most`` seconds: a generous bound, for machines that are busy
    with other things. Latency itself is measured in bench/."""
    seen = Bystander()
    stop = threading.Event()

    def ask() -> None:
        try:
            with server.client() as client:
                while not stop.wait(0.002) or not seen.waits:
                    began = time.monotonic()
                    assert client.command("SET", "bystander", "here") == b"+OK\r\n"
                    assert client.command("GET", "bystander") == b"$4\r\nhere\r\n"
                    seen.waits.append(time.monotonic() - began)
        except BaseException as error:
            seen.error = error

    thread = threading.Thread(target=ask, name="bystander")
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(20.0)
    assert seen.error is None, f"the bystander failed: {seen.error!r}"
    assert seen.worst() < most, f"the bystander once waited {seen.worst():.3f} s"


@contextlib.contextmanager
def connections(
    address: Address, count: int, *, seconds: float = 10.0
) -> Iterator[list[RawClient]]:
    """``count`` clients, all closed at the end."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawClient(address, seconds=seconds)) for _ in range(count)]


def wait_until_read(server: ServerProcess, *clients: RawClient) -> None:
    """Until the server has read all that these have sent, or has closed them: by CLIENT LIST, so
    the server must know them already (they have been answered before)."""
    addresses = ("{}:{}".format(*client.socket.getsockname()).encode() for client in clients)
    sent = dict(zip(addresses, (client.sent for client in clients), strict=True))

    with server.client() as observer:

        def all_read() -> bool:
            listed = [
                dict(field.partition(b"=")[::2] for field in line.split(b" "))
                for line in observer.value("CLIENT", "LIST").splitlines()
            ]
            return all(int(one[b"tot-net-in"]) >= sent.get(one[b"addr"], 0) for one in listed)

        wait_until(all_read, "the server has read it all")
