"""CONFIG SET port and bind: listening elsewhere, without a break for who is in or stays."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.stages.doors import is_open
from tests.support.embedded import config_for, embedded
from tests.support.resp import Address, Disconnected, Error, RawClient
from tests.support.servers import (
    HOST,
    MODELS,
    ServerProcess,
    free_port,
    redis_process,
    running,
    tendis_process,
    wait_until,
)

OTHER = "127.0.0.2"
NOT_HERE = "192.0.2.199"


def pings(address: Address) -> bool:
    """Whether somebody answers there; nobody may leave a client waiting."""
    try:
        with RawClient(address) as client:
            return client.command("PING") == b"+PONG\r\n"
    except (ConnectionRefusedError, ConnectionResetError, Disconnected):
        return False


@contextlib.contextmanager
def taken(port: int = 0) -> Iterator[int]:
    """A port that another program listens on at HOST."""
    with socket.create_server((HOST, port)) as listener:
        yield listener.getsockname()[1]


class Teller:
    """Sets and asks, and keeps what came of it, ports by name."""

    def __init__(self, server: ServerProcess, client: RawClient, ports: dict[str, int]) -> None:
        self.server = server
        self.client = client
        self.ports = {"first": server.port, **ports}
        self.told: list[str] = []

    def say(self, line: str) -> None:
        """``CONFIG SET``, then where clients get in."""
        words = [str(self.ports.get(word, word.replace("_", " "))) for word in line.split()]
        reply = self.client.command("CONFIG", "SET", *("" if it == "none" else it for it in words))
        bind, port = (self.client.value("CONFIG", "GET", name)[1].decode() for name in WHERE)
        info = self.client.value("INFO", "server").decode()
        listeners = [it for it in info.split("\r\n") if it.startswith(("listener0", "tcp_port"))]
        if port == "0" or "-" in bind:  # Redis' line of a listener that is none, or not all
            listeners = listeners[:1]
        open_to = [
            f"{host}:{name}"
            for name in self.ports
            if name != "taken"
            for host in (HOST, OTHER)
            if pings((host, self.ports[name]))
        ]
        self.told.append(self.named(f"{line}: {reply!r} {bind} {port} {listeners} {open_to}"))

    def named(self, text: str) -> str:
        for name, port in self.ports.items():
            text = text.replace(str(port), name)
        return text


WHERE = ("bind", "port")

STORY = """
port taken
port second
port second
bind 127.0.0.1_127.0.0.2
bind 192.0.2.199
bind 127.0.0.2_192.0.2.199
bind -192.0.2.199_127.0.0.2
bind 127.0.0.1_127.0.0.1
bind *
bind *_127.0.0.1
bind 127.0.0.1
bind *_192.0.2.199
port first bind 127.0.0.2
bind 127.0.0.1 port taken
port taken bind 127.0.0.1
port second maxclients many
maxclients many port second
port 70000
port second bind no_such_address
bind none
bind 127.0.0.1
port 0
port first
bind 127.0.0.1__127.0.0.2
"""


def tell(server: ServerProcess, ports: dict[str, int]) -> list[str]:
    with running(server), server.client() as client:
        teller = Teller(server, client, ports)
        for line in STORY.strip().splitlines():
            teller.say(line)
        return teller.told


@pytest.fixture(scope="module")
def as_redis(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    with taken() as port:
        folder = tmp_path_factory.mktemp("redis")
        return tell(redis_process(folder), {"second": free_port(), "taken": port})


@pytest.mark.parametrize("model", MODELS)
def test_it_is_told_as_in_redis(tmp_path: Path, model: str, as_redis: list[str]) -> None:
    """Replies, what CONFIG GET and INFO say then, and where clients get in; all over one
    connection."""
    with taken() as port:
        server = tendis_process(tmp_path, model=model)
        told = tell(server, {"second": free_port(), "taken": port})
    assert told == as_redis


@pytest.mark.parametrize("model", MODELS)
def test_who_stays_has_no_break(tmp_path: Path, model: str) -> None:
    """Clients of an address that was one before get in all the time, also while a change fails."""
    server = tendis_process(tmp_path, model=model)
    with running(server), server.client() as client:
        over = threading.Event()
        failures: list[Exception] = []

        def come_and_go() -> None:
            try:
                while not over.is_set():
                    assert pings(server.address)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(30):
            wanted = (f"{HOST} {OTHER}", HOST, f"{HOST} {NOT_HERE}")[turn % 3]
            reply = client.value("CONFIG", "SET", "bind", wanted)
            assert isinstance(reply, Error) == (NOT_HERE in wanted)
        over.set()
        for thread in threads:
            thread.join(20)
        assert not failures


@pytest.mark.parametrize("model", MODELS)
def test_clients_are_spread_as_before(tmp_path: Path, model: str) -> None:
    """Each of several reactors takes clients from the new address."""
    server = tendis_process(tmp_path, "--io-threads", "3", model=model)
    with running(server), server.client() as client, contextlib.ExitStack() as stack:
        port = free_port()
        assert client.command("CONFIG", "SET", "port", port) == b"+OK\r\n"
        newcomers = [stack.enter_context(RawClient((HOST, port))) for _ in range(60)]
        for number, one in enumerate(newcomers):
            assert one.command("SET", f"k:{number}", "v") == b"+OK\r\n"
        assert client.value("DBSIZE") == len(newcomers)
        assert not pings(server.address)


def test_it_is_rewritten(tmp_path: Path) -> None:
    file = tmp_path / "tendis.conf"
    second = free_port()
    server = tendis_process(tmp_path)
    file.write_text(f"port {server.port}\nbind {HOST}\ndir {tmp_path}\n")
    server.command[3:] = [str(file)]
    with running(server), server.client() as client:
        assert client.command("CONFIG", "SET", "port", second) == b"+OK\r\n"
        assert client.command("CONFIG", "SET", "bind", f"{OTHER} -{NOT_HERE}") == b"+OK\r\n"
        assert client.command("CONFIG", "REWRITE") == b"+OK\r\n"
        assert client.command("SET", "k", "v") == b"+OK\r\n"
    assert file.read_text().splitlines()[:2] == [f"port {second}", f"bind {OTHER} -{NOT_HERE}"]
    server.address = (OTHER, second)
    with running(server), server.client() as client:
        assert client.value("GET", "k") == b"v"


def test_the_log_says_why(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    with taken() as port, running(server), server.client() as client:
        client.command("CONFIG", "SET", "port", port)
        client.command("CONFIG", "SET", "bind", "")
        assert f"can't listen on {HOST}:{port}: Address already in use" in server.log
        assert "not listening anywhere" in server.log


@pytest.mark.parametrize("model", MODELS)
def test_no_socket_is_left(tmp_path: Path, model: str) -> None:
    """Neither in the server, which closes what it no longer listens on, nor after its end."""
    ports = [free_port() for _ in range(2)]
    with embedded(config_for(tmp_path, threading_model=model)) as server:
        with RawClient((HOST, server.port)) as client:
            for port in itertools.islice(itertools.cycle(ports), 20):
                assert client.command("CONFIG", "SET", "port", port) == b"+OK\r\n"
                assert server.port == port
                assert server.listening == [f"{HOST}:{port}"]
        closing = server.doors._closing
        wait_until(lambda: not any(map(is_open, closing)), "the old ones are closed")
    assert not any(map(is_open, server.doors._tcp))
    for port in ports:
        with taken(port):
            pass
