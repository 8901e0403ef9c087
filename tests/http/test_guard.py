"""Who is let in, by address: without sockets, for a test comes from this machine only."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import trio

from tendis_py.commands.registry import REGISTRY
from tendis_py.http.guard import Guard
from tendis_py.server import Server
from tests.support.embedded import config_for

Scope = dict[str, Any]

LOCAL = ("127.0.0.1", 50000)
FAR = ("192.0.2.7", 50000)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    made = Server(config_for(tmp_path), port=0)
    yield made
    made.doors.close()
    made.keyspace.engine.close()


def status(
    server: Server, client: Any, local: Any, host: str = "localhost", credentials: str = ""
) -> int:
    """What a request from ``client`` that arrived at the address ``local`` is answered."""
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [
            (b"host", host.encode()),
            (b"authorization", b"Basic " + base64.b64encode(credentials.encode())),
        ],
        "client": client,
        "server": local,
    }
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    async def send(message: Any) -> None:
        sent.append(message)

    trio.run(Guard(app, server.services), scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("client", [LOCAL, ("::1", 1), ("::ffff:127.0.0.1", 1), ("127.8.8.8", 1)])
def test_this_machine_is_let_in(server: Server, client: Any) -> None:
    assert status(server, client, ("127.0.0.1", 80)) == 200


@pytest.mark.parametrize("client", [FAR, ("2001:db8::1", 1), ("", 1), None])
def test_protected_mode_keeps_others_out(server: Server, client: Any) -> None:
    local = ("192.0.2.1", 80)
    assert status(server, client, local, "db.example") == 403
    server.config.protected_mode = False
    assert status(server, client, local, "db.example") == 200
    server.config.protected_mode = True
    server.config.set([(b"requirepass", b"secret")])
    assert status(server, client, local, "db.example") == 401


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["on", ">p", "+info", "+slowlog"], 200),
        (["on", ">p", "+@all"], 200),
        (["on", ">p", "+info"], 401),
        (["on", ">q", "+@all"], 401),
        (["off", ">p", "+@all"], 401),
    ],
)
def test_who_may_not_ask_is_not_shown(server: Server, rules: list[str], expected: int) -> None:
    acl = server.services.acl
    acl.set_user(b"alice", [rule.encode() for rule in rules], REGISTRY)
    assert status(server, LOCAL, ("127.0.0.1", 80), credentials="alice:p") == 200
    acl.set_user(b"default", [b"off"], REGISTRY)
    assert status(server, LOCAL, ("127.0.0.1", 80), credentials="alice:p") == expected


def test_only_loopback_cares_for_its_name(server: Server) -> None:
    server.config.protected_mode = False
    assert status(server, FAR, ("192.0.2.1", 80), "db.example") == 200
    assert status(server, LOCAL, ("::1", 80), "db.example") == 403
    for host in ("192.0.2.1", "[2001:db8::1]:80", "127.0.0.1:80"):
        assert status(server, LOCAL, ("127.0.0.1", 80), host) == 200
    for host in ("[::1", "[::1]x", "127.0.0.1:x", "1", "0x7f.1", "localhost:", "local host"):
        expected = 200 if host in ("localhost:", "[::1") else 403
        assert status(server, LOCAL, ("127.0.0.1", 80), host) == expected
