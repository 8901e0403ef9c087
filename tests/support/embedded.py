"""A tendis-py server inside the test's own process, for tests that look into it or break it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import trio

from tendis_py.config import Config
from tendis_py.server import Server, serve
from tendis_py.services.clock import REAL_CLOCK, Clock, ManualClock
from tendis_py.stages.reactor import Reactor
from tests.support.resp import RawClient
from tests.support.servers import HOST, wait_until

SECONDS = 20.0

RARELY: Any = 1 / 300
"""As ``hz``: what happens, happens because a thread was woken, not because it looked around."""


def config_for(folder: Path, **settings: str) -> Config:
    """A configuration with its data in ``folder``; ``settings`` by attribute name."""
    config = Config()
    config.assign(["bind", HOST])
    config.assign(["enable-debug-command", "yes"])
    config.assign(["dir", str(folder)])
    for name, value in settings.items():
        config.assign([name.replace("_", "-"), value])
    return config


@contextlib.contextmanager
def embedded(
    config: Config, clock: Clock = REAL_CLOCK, *, dashboard_port: int | None = None
) -> Iterator[Server]:
    """Run ``serve(config, port=0, …)`` in a thread of its own; yields the running server.

    What ended the server otherwise than by ``shutdown`` is raised at the end of the block.
    """
    handoff: queue.SimpleQueue[Server | BaseException] = queue.SimpleQueue()
    failure: list[BaseException] = []

    async def run() -> None:
        async with serve(config, port=0, dashboard_port=dashboard_port, clock=clock) as server:
            handoff.put(server)
            await server.stopping.wait()

    def thread() -> None:
        try:
            trio.run(run)
        except BaseException as error:
            failure.append(error)
            handoff.put(error)

    runner = threading.Thread(target=thread, name="embedded-server")
    runner.start()
    started = handoff.get(timeout=SECONDS)
    if isinstance(started, BaseException):
        runner.join(SECONDS)
        raise started
    try:
        yield started
    finally:
        started.shutdown()
        runner.join(SECONDS)
    assert not runner.is_alive(), f"the server did not end within {SECONDS} s"
    if failure:
        raise failure[0]


class MovedTime:
    """A running server whose clock only tests move: a Stage for transcripts (see transcript.py),
    and whatever else has to know that a request waits, rather than hope so after a while."""

    def __init__(self, server: Server, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock

    def client(self, *, protocol: int = 2) -> RawClient:
        return RawClient((HOST, self.server.port), protocol=protocol)

    def pass_time(self, seconds: float) -> None:
        """Move the clock; returns when every thread has noticed, and has answered what only
        waited for that. Otherwise what is said next might overtake a reactor that wakes up."""
        self.clock.advance(seconds)
        self.settle(())

    @contextlib.contextmanager
    def looking_rarely(self) -> Iterator[None]:
        """For a block, the server's threads look around of themselves every few minutes only."""
        usual = self.server.config.hz
        self.server.config.hz = RARELY
        try:
            yield
        finally:
            self.server.config.hz = usual
            self.clock.advance(0)  # wakes them

    def waits(self, client: RawClient) -> bool:
        """Whether what ``client`` has sent is left without an answer (so far)."""
        self.settle([client])
        return not client.has_more()

    def settle(self, clients: Collection[RawClient]) -> None:
        """Return once the server has read all that ``clients`` have sent, and nothing of anybody
        is under way: what has no answer now waits for time, or for others."""
        sent = {_address(client): client.sent for client in clients}

        def settled() -> bool:
            read: dict[str, int] = {}
            for reactor in self.server.reactors:
                bytes_read, unfinished = _look_into(reactor)
                read |= bytes_read
                if unfinished:
                    return False
            return all(read.get(address) == count for address, count in sent.items())

        wait_until(settled, "the server has dealt with all it was sent")


def wait_until_idle(server: Server) -> None:
    """Until the reactors have gone to sleep, as far as one can see from outside: then only what
    wakes them makes them do anything."""
    seen: list[list[int]] = [[]]

    def no_turns() -> bool:
        seen.append([reactor.statistics().turns for reactor in server.reactors])
        return seen[-2] == seen[-1]

    wait_until(no_turns, "the reactors sleep")


def _address(client: RawClient) -> str:
    host, port = client.socket.getsockname()
    return f"{host}:{port}"


def _look_into(reactor: Reactor) -> tuple[dict[str, int], bool]:
    """Bytes that were read of each client, and whether anything is under way, at one moment: seen
    in the reactor's own thread, which alone changes both."""
    seen: queue.SimpleQueue[tuple[dict[str, int], bool]] = queue.SimpleQueue()

    def look() -> None:
        sessions = [connection.session for connection in reactor.connections.values()]
        seen.put(({one.address: one.net_in for one in sessions}, reactor.unfinished))

    reactor.call_soon(look)
    return seen.get(timeout=SECONDS)
