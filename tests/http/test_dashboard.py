"""The HTTP port: what it answers, to whom, and that nobody who misuses it harms the data path."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tendis_py.http import dashboard as dashboard_module
from tendis_py.http import feed, worker
from tendis_py.http.worker import Worker
from tendis_py.server import Server
from tendis_py.stages.listening import ListenError
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient, decode
from tests.support.servers import HOST, free_port, wait_until

SECONDS = 10.0
KB = 1024

PATHS = ("/", "/dashboard.css", "/dashboard.js", "/icon.svg", "/metrics")

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path), dashboard_port=0) as running:
        yield running


def ask(server: Server, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    port = server.dashboard.port
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()


def send(server: Server, data: bytes) -> bytes:
    """What is answered to ``data`` until the connection is closed."""
    with socket.create_connection((HOST, server.dashboard.port), SECONDS) as sock:
        sock.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while more := sock.recv(1 << 16):
                received += more
        return received


class Events:
    """One who watches."""

    def __init__(self, server: Server) -> None:
        port = server.dashboard.port
        self._connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS)
        self._connection.request("GET", "/events")
        self.answer = self._connection.getresponse()

    def next(self, name: str) -> Any:
        """The content of the next event of that name."""
        while True:
            line = self.answer.readline()
            assert line, "the stream has ended"
            if line == f"event: {name}\n".encode():
                return json.loads(self.answer.readline().removeprefix(b"data: "))

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def is_well(server: Server) -> bool:
    with RawClient((HOST, server.port)) as client:
        return client.command("PING") == b"+PONG\r\n"


# What is answered


def test_the_page_is_light_and_needs_nobody_else(server: Server) -> None:
    weight = 0
    for path in PATHS[:-1]:
        status, headers, content = ask(server, path)
        assert status == 200
        weight += len(content) + sum(len(name) + len(value) for name, value in headers.items())
        others = set(re.findall(rb"https?://[^\s\"'`)]+", content))
        assert others <= {b"http://www.w3.org/2000/svg"}  # a name, which nobody fetches
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in headers)
        assert ask(server, path, if_none_match=headers["etag"])[0::2] == (304, b"")
        head_status, head_headers, nothing = ask(server, path, "HEAD")
        assert (head_status, nothing) == (200, b"")
        assert head_headers["content-length"] == str(len(content))
    assert weight < 100 * KB


def test_events_begin_with_the_past_and_go_on(server: Server) -> None:
    with RawClient((HOST, server.port)) as client:
        for _ in range(100):
            client.command("SET", "key", "x")
        client.command("CONFIG", "SET", "slowlog-log-slower-than", "0")
        client.command("ECHO", b"\xff<b>" + b"x" * 1000)
    with Events(server) as events:
        assert events.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert events.answer.getheader("cache-control") == "no-store"
        history = events.next("history")
        assert all(moment["rate"] >= 0 for moment in history)
        events.next("snapshot")
        found = events.next("snapshot")
    calls = {command["name"]: command["calls"] for command in found["commands"]}
    assert calls["set"] == 100
    assert {stage["stage"] for stage in found["stages"]} >= {"parse", "execute", "commit", "write"}
    assert [queue["name"] for queue in found["queues"]][:2] == ["work", "slow"]
    assert found["slowlog"][0]["command"].startswith("ECHO �<b>xxx")
    assert len(found["slowlog"][0]["command"]) == 120
    assert found["findings"][0]["seen"]
    head = send(server, b"HEAD /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/nothing", "GET", None, 404),
        ("/metrics/", "GET", None, 404),
        ("/%2e%2e/pyproject.toml", "GET", None, 404),
        ("/static/dashboard.js", "GET", None, 404),
        ("/", "POST", b"x" * 100_000, 405),
        ("/metrics", "DELETE", None, 405),
        ("/events", "PUT", b"", 405),
        ("/", "GET", b"x", 413),
        ("/nothing", "POST", b"x", 404),
    ],
)
def test_other_requests_have_clear_answers(
    server: Server, path: str, method: str, body: bytes | None, status: int
) -> None:
    found, headers, _ = ask(server, path, method, body)
    assert found == status
    if status == 405:
        assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "data",
    [
        b"*1\r\n$4\r\nPING\r\n\r\n",
        b"PING\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_garbage_is_refused_and_the_connection_closed(server: Server, data: bytes) -> None:
    answer = send(server, data)
    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer
    assert is_well(server)


def test_a_head_may_not_be_long(server: Server) -> None:
    long = b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 100_000
    assert send(server, long).startswith(b"HTTP/1.1 431") or send(server, long) == b""


def test_there_are_no_websockets(server: Server) -> None:
    upgrade = (
        b"GET /events HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert send(server, upgrade).startswith(b"HTTP/1.1 403")


# Who may ask


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:8080", "LOCALHOST:1"])
def test_this_machine_may_be_asked_for(server: Server, host: str) -> None:
    assert ask(server, "/metrics", host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
def test_names_of_others_are_refused_on_loopback(server: Server, host: str) -> None:
    for path in ("/", "/events", "/metrics", "/nothing"):
        assert ask(server, path, host=host)[0] == 403


def test_other_sites_can_link_but_not_read(server: Server) -> None:
    assert ask(server, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    for path in ("/events", "/metrics", "/dashboard.js"):
        assert ask(server, path, sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403
    assert ask(server, "/metrics", sec_fetch_site="same-origin", sec_fetch_mode="cors")[0] == 200


def test_the_password_is_asked_for(server: Server) -> None:
    with RawClient((HOST, server.port)) as client:
        client.command("CONFIG", "SET", "requirepass", "geheim:ß")
    for path in (*PATHS, "/events", "/nothing"):
        status, headers, content = ask(server, path)
        assert status == 401
        assert headers["www-authenticate"].startswith("Basic ")
        assert len(content) < 100
    wrong = ["default:", "default:geheim", "other:geheim:ß", ":geheim:ß", "default", ""]
    for credentials in wrong:
        encoded = b64encode(credentials.encode()).decode()
        assert ask(server, "/metrics", authorization=f"Basic {encoded}")[0] == 401
    for header in ("Basic ???", "Bearer x", "Basic", "Basic  "):
        assert ask(server, "/metrics", authorization=header)[0] == 401
    right = b64encode("default:geheim:ß".encode()).decode()
    for scheme in ("Basic", "basic"):
        assert ask(server, "/metrics", authorization=f"{scheme} {right}")[0] == 200


# Bounds


def test_so_many_may_watch(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_WATCHERS", 2)
    with contextlib.ExitStack() as watching:
        first, _ = (watching.enter_context(Events(server)) for _ in range(2))
        first.next("snapshot")
        status, headers, _ = ask(server, "/events")
        assert (status, headers["retry-after"]) == (503, "10")
        assert ask(server, "/metrics")[0] == 200
        first.close()
        wait_until(lambda: _may_watch(server), "a place is free again")


def _may_watch(server: Server) -> bool:
    with Events(server) as events:
        return events.answer.status == 200


@pytest.mark.parametrize("many", [300, pytest.param(5000, marks=pytest.mark.soak)])
def test_however_many_streams_are_opened_clients_are_served(server: Server, many: int) -> None:
    request = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with contextlib.ExitStack() as opened, RawClient((HOST, server.port)) as client:
        socks = []
        for _ in range(many):
            sock = socket.create_connection((HOST, server.dashboard.port), SECONDS)
            socks.append(opened.enter_context(sock))
            with contextlib.suppress(OSError):  # refused before it could ask
                sock.sendall(request)
            assert client.command("PING") == b"+PONG\r\n"
        statuses = []
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                statuses.append(sock.recv(12))
        assert statuses.count(b"HTTP/1.1 200") == feed.MAX_WATCHERS
        assert set(statuses) <= {b"HTTP/1.1 200", b"HTTP/1.1 503", b""}
        assert statuses.count(b"HTTP/1.1 503") > many / 2


def test_a_head_has_to_come_soon(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEADER_SECONDS", 0.1)

    async def visit(port: int) -> None:
        stream = await trio.open_tcp_stream(HOST, port)
        await stream.send_all(b"GET / HTTP/1.1\r\nho")
        assert await stream.receive_some() == b""
        await stream.aclose()

    serve_and(server, lambda port, _: visit(port))


def test_who_does_not_read_is_let_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SEND_SECONDS", 0.1)

    async def visit(port: int, visitors: set[Any]) -> None:
        stream = await trio.open_tcp_stream(HOST, port)
        await stream.send_all(b"GET /dashboard.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 1000)
        while not visitors:
            await trio.lowlevel.checkpoint()
        while visitors:
            await trio.sleep(0.01)
        await stream.aclose()

    serve_and(server, visit)


def serve_and(server: Server, visit: Any) -> None:
    """Run a worker for the time of ``visit(port, visitors)``."""

    async def main() -> None:
        made = Worker(server.services)
        sock = socket.create_server((HOST, 0))
        stop = trio.Event()
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(made.serve, [sock], stop)
                await visit(sock.getsockname()[1], made.visitors)
                stop.set()

    trio.run(main)


def test_the_server_ends_while_somebody_watches_and_does_not_read(tmp_path: Path) -> None:
    with (
        contextlib.ExitStack() as opened,
        embedded(config_for(tmp_path), dashboard_port=0) as server,
    ):
        opened.enter_context(Events(server)).next("history")
        deaf = socket.create_connection((HOST, server.dashboard.port), SECONDS)
        opened.enter_context(deaf)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(b"GET /dashboard.js HTTP/1.1\r\nhost: localhost\r\n\r\n" * 200)


# Failures, and settings


def test_what_fails_is_logged_once_and_comes_back(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("no figures")

    with Events(server) as events:
        events.next("snapshot")
        with monkeypatch.context() as broken:
            broken.setattr(server.services.observatory, "now", fail)
            events.next("trouble")
            events.next("trouble")
            assert ask(server, "/")[0] == 200
            assert ask(server, "/metrics")[0] == 500
        events.next("snapshot")
    assert caplog.text.count("nothing to show") == 1
    assert is_well(server)


def test_a_dashboard_that_crashes_is_back_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(*_: object) -> None:
        raise RuntimeError("crashed")

    monkeypatch.setattr(dashboard_module, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as broken:
        broken.setattr(Worker, "serve", crash)
        with embedded(config_for(tmp_path), dashboard_port=0) as server:
            wait_until(lambda: caplog.text.count("the dashboard failed") > 1, "crashes")
            assert is_well(server)
            broken.undo()
            assert ask(server, "/")[0] == 200


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    with embedded(config_for(tmp_path)) as server:
        assert (server.dashboard.port, server.dashboard.addresses) == (0, [])


def set_port(client: RawClient, port: int) -> bytes:
    return client.command("CONFIG", "SET", "dashboard-port", str(port))


def test_the_port_can_be_changed(tmp_path: Path) -> None:
    with (
        embedded(config_for(tmp_path)) as server,
        RawClient((HOST, server.port)) as client,
        socket.create_server((HOST, 0)) as taken,
    ):
        first, second = free_port(), free_port()
        assert set_port(client, first) == b"+OK\r\n"
        with Events(server) as events:
            events.next("history")
            assert set_port(client, second) == b"+OK\r\n"
            assert server.dashboard.addresses[0] == f"{HOST}:{second}"
            while events.answer.readline():
                pass  # until it has ended
        assert ask(server, "/")[0] == 200
        refusal = set_port(client, taken.getsockname()[1])
        assert b"can't listen on" in refusal
        assert b"in use" in refusal
        wait_until(lambda: ask(server, "/")[0] == 200, "it is where it was")
        assert decode(client.command("CONFIG", "GET", "dashboard-port"))[1] == b"%d" % second
        assert set_port(client, 0) == b"+OK\r\n"
        with pytest.raises(OSError):
            socket.create_connection((HOST, second), SECONDS)


def test_a_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        config = config_for(tmp_path, dashboard_port=str(taken.getsockname()[1]))
        with pytest.raises(ListenError, match="in use"), embedded(config):
            pass
    with embedded(config):
        pass


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_module, "PACKAGES", ("starlette", "no_such_package"))
    config = config_for(tmp_path, dashboard_port=str(free_port()))
    wanted = r"needs no_such_package, .* pip install 'tendis-py\[dashboard\]'"
    with pytest.raises(ListenError, match=wanted), embedded(config):
        pass
    config.dashboard_port = 0
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        assert b"pip install" in set_port(client, free_port())
        assert decode(client.command("CONFIG", "GET", "dashboard-port"))[1] == b"0"
