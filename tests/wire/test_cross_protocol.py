"""Cross-protocol scripting: what a web page can have a browser send must not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.resp import RawClient, encode_request
from tests.support.servers import (
    HOST,
    MODELS,
    ServerProcess,
    redis_server_path,
    running,
    tendis_process,
    wait_until,
)

ATTACK = b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET intruder 1\r\nCONFIG SET requirepass x\r\n"
SET = b"SET intruder 1\r\n"

ATTACKS = {
    "a form": ATTACK,
    "a script's GET": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + SET,
    "post": b"post\r\n" + SET,
    "Host: of any case": b"hOsT: x\r\n" + SET,
    "quoted": b'"POST" x\r\n' + SET,
    "framed": encode_request([b"POST", b"/"]) + encode_request([b"SET", b"intruder", b"1"]),
    "framed Host:": encode_request([b"HOST:"]) + encode_request([b"SET", b"intruder", b"1"]) * 9,
    "after others": b"PING\r\n" * 9 + ATTACK,
    "after others, framed": encode_request([b"PING"]) * 9 + encode_request([b"Post"]) * 9 + SET,
    "with an unbalanced quote": b"POST / HTTP/1.1\r\n" + SET + b'Referer: "x\r\n',
    "without replies": b"CLIENT REPLY OFF\r\n" + ATTACK,
    "without the next reply": b"CLIENT REPLY SKIP\r\n" + ATTACK,
}

HARMLESS = (b"HEAD", b"OPTIONS", b"Host", b"Host:x", b"POST:", b"Posts")

WARNING = (
    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands "
    "to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to "
    "compromise your Redis instance. Connection from "
)


def attack(server: ServerProcess, data: bytes) -> bytes:
    """All that comes back for ``data`` until the server closes."""
    with server.client() as client:
        client.send(data)
        return client.until_closed()


@pytest.mark.parametrize("data", ATTACKS.values(), ids=list(ATTACKS))
def test_the_connection_ends_where_http_begins(
    tendis: ServerProcess, redis_server: ServerProcess, data: bytes
) -> None:
    for server in (tendis, redis_server):
        assert attack(server, data) == b""
        with server.client() as client:
            assert client.command("EXISTS", "intruder") == b":0\r\n"


def test_what_came_before_in_a_turn_of_its_own_is_answered(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        assert client.command("PING") == b"+PONG\r\n"
        client.send(ATTACK)
        assert client.until_closed() == b""
    with tendis.client() as client:
        client.send(b"KEYS nothing*\r\n" + ATTACK)
        assert client.until_closed() == b"*0\r\n", "a slow command runs alone"
        assert attack(tendis, b"EXISTS intruder\r\nQUIT\r\n") == b":0\r\n+OK\r\n"


def test_clients_that_are_busy_with_something_else(tendis: ServerProcess) -> None:
    """What arrives while the connection's batch is under way waits, and is dropped with it."""
    with tendis.client() as client:
        client.send(b"DEBUG SLEEP 0.1\r\n")
        client.send(ATTACK)
        client.send(SET)
        answer = client.until_closed()
    assert answer in (b"", b"+OK\r\n"), "the sleep is answered if its turn was another one"
    with tendis.client() as client:
        assert client.command("EXISTS", "intruder") == b":0\r\n"


def test_words_that_are_only_similar(tendis: ServerProcess, redis_server: ServerProcess) -> None:
    for word in HARMLESS:
        answers = []
        for server in (tendis, redis_server):
            with server.client() as client:
                answers.append(client.command(word, "x"))
                assert client.command("PING") == b"+PONG\r\n"
        assert answers[0] == answers[1]
        assert answers[0].startswith(b"-ERR unknown command")


@pytest.mark.parametrize("model", MODELS)
def test_before_auth(tmp_path: Path, model: str) -> None:
    server = tendis_process(tmp_path, "--requirepass", "secret", model=model)
    with running(server):
        for data in ATTACKS.values():
            if not data.startswith((b"CLIENT", b"KEYS")):
                assert attack(server, data) == b""
        with server.client() as client:
            assert client.command("AUTH", "secret") == b"+OK\r\n"
            assert client.command("EXISTS", "intruder") == b":0\r\n"


@pytest.mark.parametrize("model", MODELS)
def test_it_is_logged_once_a_minute(tmp_path: Path, model: str) -> None:
    assert WARNING.removesuffix("from ").encode() in redis_server_path().read_bytes()
    with running(tendis_process(tmp_path, model=model)) as server:
        with server.client() as client:
            port = client.socket.getsockname()[1]
            client.send(ATTACK)
            assert client.until_closed() == b""
        expected = f"# {WARNING}{HOST}:{port} aborted."
        wait_until(lambda: expected in server.log, "the warning is in the log")
        for _ in range(20):
            assert attack(server, ATTACK) == b""
        with server.client() as client:
            figures = client.value("INFO", "commandstats") + client.value("INFO", "errorstats")
            assert b"post" not in figures.lower()
            assert b"ERR" not in figures
    assert server.log.count(WARNING) == 1


def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "tendis.sock"
    with running(tendis_process(tmp_path, "--unixsocket", str(path))) as server:
        with RawClient(str(path)) as client:
            client.send(ATTACK)
            assert client.until_closed() == b""
        wait_until(lambda: WARNING in server.log, "the warning is in the log")
