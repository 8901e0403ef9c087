"""Who is let in: protected mode, by the address a client comes from."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tendis_py.config import Config
from tendis_py.services.acl import Acl
from tendis_py.services.clients import Clients
from tendis_py.services.clock import REAL_CLOCK
from tendis_py.stages.accept import DENIED, Doorkeeper
from tests.support.servers import HOST, redis_server_path

SECONDS = 10.0
LOCAL = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
OUTER = ["198.51.100.7", "10.0.0.1", "0.0.0.0", "2001:db8::7", "fe80::7%eth0", "::ffff:10.0.0.1"]


class ArrivalFrom(socket.socket):
    """The server's end of a connection, as if its client were at ``address``."""

    address = ""

    def getpeername(self) -> tuple[str, int]:
        return self.address, 50_000


@contextlib.contextmanager
def arrival(address: str) -> Iterator[tuple[ArrivalFrom, socket.socket]]:
    """Both ends of a connection that comes from ``address``."""
    with socket.create_server((HOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=SECONDS)
        accepted, _ = listener.accept()
    with client, ArrivalFrom(fileno=accepted.detach()) as ours:
        ours.address = address
        yield ours, client


def doorkeeper(*directives: str) -> Doorkeeper:
    """With room for a single client."""
    config = Config()
    for directive in directives:
        config.assign(directive.split())
    clients = Clients(lambda: 1)
    acl = Acl(config, clients, REAL_CLOCK)
    services: Any = SimpleNamespace(config=config, clients=clients, acl=acl)
    return Doorkeeper(services)


@pytest.mark.parametrize("address", OUTER)
def test_protected_mode_refuses_who_comes_from_beyond_loopback(address: str) -> None:
    keeper = doorkeeper()
    for _ in range(2):  # whoever is refused takes up no room
        with arrival(address) as (ours, client):
            assert not keeper.admit(ours)
            assert client.makefile("rb").read() == DENIED
    with arrival(LOCAL[0]) as (ours, _):
        assert keeper.admit(ours)


def test_the_refusal_is_in_words_of_redis() -> None:
    assert DENIED in redis_server_path().read_bytes()


@pytest.mark.parametrize("address", LOCAL)
def test_protected_mode_admits_loopback(address: str) -> None:
    with arrival(address) as (ours, _):
        assert doorkeeper().admit(ours)


@pytest.mark.parametrize("directive", ["protected-mode no", "requirepass secret"])
def test_what_lifts_protected_mode(directive: str) -> None:
    with arrival(OUTER[0]) as (ours, _):
        assert doorkeeper(directive).admit(ours)
