"""Each test finds the server empty, and nobody waiting or subscribed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import ServerProcess, wait_until

IDLE = (b"blocked_clients:0\r", b"pubsub_clients:0\r", b"watching_clients:0\r")


@pytest.fixture(scope="session")
def server(tendis_default: ServerProcess) -> ServerProcess:
    """For libraries that are tried in the default model alone."""
    return tendis_default


@pytest.fixture(autouse=True)
def as_it_was(server: ServerProcess) -> Iterator[None]:
    yield
    with server.client() as client:
        client.command("FLUSHALL")
        client.command("CONFIG", "SET", "notify-keyspace-events", "")
        wait_until(
            lambda: all(line in client.value("INFO", "clients") for line in IDLE),
            "the library has let go of its connections",
        )
