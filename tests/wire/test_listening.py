"""Where clients may come from: TCP, IPv6, Unix sockets, several addresses; and who is refused."""

from __future__ import annotations

import contextlib
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load import connections
from tests.support.resp import Address, Disconnected, RawClient, encode_request
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


def has_address(family: socket.AddressFamily, address: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(family) as probe:
        probe.bind((address, 0))
        return True
    return False


def outer_addresses() -> list[str]:
    """IPv4 addresses of this host that are not loopback; connecting UDP sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        address: str = probe.getsockname()[0]
        return [] if address.startswith("127.") else [address]
    return []


LOOPBACK = ["127.0.0.1", "127.0.0.2", *(["::1"] if has_address(socket.AF_INET6, "::1") else [])]
"""Of both families where this host has both."""

OUTER = outer_addresses()
"""What protected mode is about. ``tests/stages/test_accept.py`` tests it on hosts without."""


def pings(address: Address) -> bool:
    with RawClient(address) as client:
        return client.command("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("model", MODELS)
def test_unix_sockets(tmp_path: Path, model: str) -> None:
    path = tmp_path / "tendis.sock"
    directives = ["--unixsocket", str(path), "--unixsocketperm", "700"]
    with running(tendis_process(tmp_path, *directives, model=model)) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with connections(str(path), 20) as clients, server.client() as over_tcp:
            for index, client in enumerate(clients):
                assert client.command("SET", f"unix:{index}", index) == b"+OK\r\n"
                assert over_tcp.value("GET", f"unix:{index}") == b"%d" % index
    assert not path.exists(), "the server did not remove its socket"


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tendis.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with running(tendis_process(tmp_path, "--unixsocket", str(path))):
        assert pings(str(path))


@pytest.mark.parametrize("model", MODELS)
def test_several_addresses_of_both_families(tmp_path: Path, model: str) -> None:
    with running(tendis_process(tmp_path, "--bind", *LOOPBACK, model=model)) as server:
        for host in LOOPBACK:
            for _ in range(4):  # reactors that listen each get some
                assert pings((host, server.port))


def test_an_address_that_may_be_missing(tmp_path: Path) -> None:
    directives = ["--bind", "127.0.0.1", "-192.0.2.199"]
    with running(tendis_process(tmp_path, *directives)) as server:
        assert pings(server.address)


def test_an_address_that_is_missing(tmp_path: Path) -> None:
    status, output = run_briefly(tendis_process(tmp_path, "--bind", "192.0.2.199"))
    assert status == 1
    assert "192.0.2.199" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("model", MODELS)
def test_a_port_in_use(tmp_path: Path, model: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        status, output = run_briefly(tendis_process(tmp_path, port=port, model=model))
    assert status == 1
    assert f"{HOST}:{port}" in output
    assert "Address already in use" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("host", LOOPBACK)
def test_an_address_in_use_is_not_one_that_may_be_missing(tmp_path: Path, host: str) -> None:
    others = [one for one in LOOPBACK if one != host]
    with listening(host) as port:
        server = tendis_process(tmp_path, "--bind", *others, f"-{host}", port=port)
        status, output = run_briefly(server)
    assert status == 1
    assert f"{port}: Address already in use" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("model", MODELS)
def test_the_default_addresses_are_all_needed(tmp_path: Path, model: str) -> None:
    """``* -::*``: whoever has the port of one family does not get the other one's clients."""
    for host in LOOPBACK:
        with listening(host) as port:
            server = tendis_process(tmp_path, "--bind", "*", "-::*", port=port, model=model)
            status, output = run_briefly(server)
        assert status == 1
        assert f"{port}: Address already in use" in output
        assert "Traceback" not in output


@contextlib.contextmanager
def listening(host: str) -> Iterator[int]:
    """Another program on a port of this host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        yield taken.getsockname()[1]


def test_what_is_not_an_address(tmp_path: Path) -> None:
    """A leading - does not forgive it."""
    for wrong in ("a" * 70, "é" * 70, "\udcff", ""):
        server = tendis_process(tmp_path, "--bind", f"-{wrong}", HOST)
        status, output = run_briefly(server)
        assert status == 1
        assert f"can't listen on {wrong}:{server.port}: " in output.replace("\\udcff", "\udcff")
        assert "Traceback" not in output


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("other", ["kvrocks", "tendis"])
def test_two_servers_on_one_port(tmp_path: Path, model: str, other: str) -> None:
    """Nor do they share it when both would let their reactors share theirs (SO_REUSEPORT)."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with running(tendis_process(folders[0], model=model)) as first, first.client() as client:
        client.command("SET", "a", "1")
        second = tendis_process(folders[1], port=first.port, model=other)
        status, output = run_briefly(second)
        assert status == 1
        assert f"can't listen on {HOST}:{first.port}: Address already in use" in output
        assert "Traceback" not in output
        for _ in range(10):
            with first.client() as another:
                assert another.value("GET", "a") == b"1"


def test_of_servers_that_start_together_one_gets_the_port(tmp_path: Path) -> None:
    port = free_port()
    servers = []
    for index in range(4):
        folder = tmp_path / str(index)
        folder.mkdir()
        servers.append(tendis_process(folder, port=port, model="kvrocks"))
    processes = [
        subprocess.Popen(one.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for one in servers
    ]
    try:
        wait_until(lambda: [p.poll() for p in processes].count(1) == 3, "three give up", 30.0)
        assert eventually_pings(servers[0])
        for process in processes:
            if process.poll() is None:
                process.terminate()
        outputs = [process.communicate(timeout=20)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert sorted(process.returncode for process in processes) == [0, 1, 1, 1]
    assert sum("Address already in use" in output for output in outputs) == 3


@pytest.mark.parametrize(
    ("model", "directives"),
    [
        *((model, ("--port", "0")) for model in MODELS),
        (MODELS[0], ("--bind", "")),
        (MODELS[0], ("--bind", "-192.0.2.199")),
    ],
)
def test_nowhere_to_listen(tmp_path: Path, model: str, directives: tuple[str, ...]) -> None:
    status, output = run_briefly(tendis_process(tmp_path, *directives, model=model))
    assert status == 1
    assert "Configured to not listen anywhere" in output
    assert "Ready to accept connections" not in output
    assert "Traceback" not in output


def test_no_address_but_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "only.sock"
    server = tendis_process(tmp_path, "--unixsocket", str(path), "--bind", "")
    server.address = str(path)
    with running(server):
        assert pings(str(path))


def test_a_unix_socket_that_another_server_has_taken_over_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tendis.sock"
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (tendis_process(one, "--unixsocket", str(path)) for one in folders)
    with running(first):
        with running(second):
            first.stop()
            assert pings(str(path))
        assert not path.exists()


def run_briefly(server: ServerProcess) -> tuple[int, str]:
    """Exit status and output of a server that should not come up."""
    done = subprocess.run(server.command, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


def refusal(address: Address) -> bytes:
    """What a client that is not let in gets to read."""
    with RawClient(address) as client:
        return client.until_closed()


@pytest.mark.parametrize("model", MODELS)
def test_protected_mode(tmp_path: Path, model: str) -> None:
    (tmp_path / "redis").mkdir()
    addresses = ["--bind", HOST, *OUTER]
    with (
        running(redis_process(tmp_path / "redis", *addresses)) as redis,
        running(tendis_process(tmp_path, *addresses, model=model)) as server,
    ):
        assert pings(server.address)
        for outer in OUTER:
            refused = refusal((outer, server.port))
            assert refused.startswith(b"-DENIED")
            assert refused == refusal((outer, redis.port))
    options = [*addresses, "--protected-mode", "no"]
    with running(tendis_process(tmp_path, *options, model=model)) as server:
        assert all(pings((host, server.port)) for host in (HOST, *OUTER))


def test_a_password_lifts_protected_mode(tmp_path: Path) -> None:
    with running(
        tendis_process(tmp_path, "--bind", HOST, *OUTER, "--requirepass", "secret")
    ) as server:
        for host in (HOST, *OUTER):
            with RawClient((host, server.port)) as client:
                assert client.command("PING") == b"-NOAUTH Authentication required.\r\n"


@pytest.mark.parametrize("model", MODELS)
def test_over_maxclients(tmp_path: Path, model: str) -> None:
    (tmp_path / "redis").mkdir()
    with (
        running(redis_process(tmp_path / "redis", "--maxclients", "5")) as redis,
        running(tendis_process(tmp_path, "--maxclients", "5", model=model)) as server,
    ):
        for one in (redis, server):
            with connections(one.address, 5) as clients:
                for client in clients:
                    assert client.command("PING") == b"+PONG\r\n"
                for _ in range(20):
                    assert refusal(one.address) == b"-ERR max number of clients reached\r\n"
                for client in clients:
                    assert client.command("PING") == b"+PONG\r\n"
                clients[0].close()
                assert eventually_pings(one)


def eventually_pings(server: ServerProcess) -> bool:
    """A place becomes free a moment after its client has gone."""
    for _ in range(200):
        with contextlib.suppress(Disconnected, ConnectionError), server.client() as client:
            client.send(encode_request([b"PING"]))
            if client.reply() == b"+PONG\r\n":
                return True
    return False


def test_port_zero_is_no_tcp(tmp_path: Path) -> None:
    path = tmp_path / "only.sock"
    with running(tendis_process(tmp_path, "--unixsocket", str(path), port=0)) as server:
        assert server.address == str(path)
        assert pings(str(path))


@pytest.mark.parametrize("model", ["tendis", "kvrocks"])
def test_ports_are_free_again_at_once(tmp_path: Path, model: str) -> None:
    """Restarting does not have to wait for old connections to time out."""
    port = free_port()
    for _ in range(3):
        server = tendis_process(tmp_path, port=port, model=model)
        with running(server), server.client() as client:
            assert client.command("PING") == b"+PONG\r\n"
