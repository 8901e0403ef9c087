"""A tendis-py server inside the test's own process, for tests that look into it or break it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import trio

from tendis_py.config import Config
from tendis_py.server import Server, serve
from tendis_py.services.clock import REAL_CLOCK, Clock
from tests.support.servers import HOST

SECONDS = 20.0


def config_for(folder: Path, **settings: str) -> Config:
    """A configuration with its data in ``folder``; ``settings`` by attribute name."""
    config = Config()
    config.assign(["bind", HOST])
    config.assign(["dir", str(folder)])
    for name, value in settings.items():
        config.assign([name.replace("_", "-"), value])
    return config


@contextlib.contextmanager
def embedded(config: Config, clock: Clock = REAL_CLOCK) -> Iterator[Server]:
    """Run ``serve(config, port=0, clock=clock)`` in a thread of its own; yields the running server.

    What ended the server otherwise than by ``shutdown`` is raised at the end of the block.
    """
    handoff: queue.SimpleQueue[Server | BaseException] = queue.SimpleQueue()
    failure: list[BaseException] = []

    async def run() -> None:
        async with serve(config, port=0, clock=clock) as server:
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
