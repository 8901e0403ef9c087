"""MONITOR beside the real server: what is shown, how it looks, and in which order."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests.support.dialogue import listen, must_be_alike, said
from tests.support.embedded import MovedTime, config_for, embedded
from tests.support.load import together
from tests.support.resp import RawClient, encode_request
from tests.support.servers import (
    HOST,
    MODELS,
    ServerProcess,
    redis_process,
    running,
    tendis_process,
    wait_until,
)
from tests.support.transcript import RealTime

DIALOGUES = {
    "what is shown, and what is not": """
        B PING
        M MONITOR
        B SET k v | GET nothing | SELECT 3 | GET x | SELECT 0 | set K v EX 10
        B CONFIG GET x | SLOWLOG RESET | CLIENT GETNAME | CLIENT LIST ID 99999
        B NOTHING a | GET | LPUSH K 1
        B INFO nothing | COMMAND LIST FILTERBY PATTERN get | FLUSHALL | OBJECT HELP | PING
        B RESET
        B QUIT
        """,
    "unusual bytes": r"""
        B PING
        M MONITOR
        B ECHO "a\"b\x00\n\r\t\xff\\ \a\b'~\x7f\x1f" | ECHO "" | ECHO "\xc3\xa4"
        """,
    "secrets": """
        B PING
        M MONITOR
        B AUTH a b
        B AUTH x | AUTH a b c | AUTH | HELLO 3 AUTH default
        B HELLO 3 AUTH a b
        B HELLO 3 AUTH a b SETNAME x
        B CONFIG SET requirepass "" | HELLO x
        """,
    "the own requests": """
        M MONITOR
        M:1 MONITOR | PING
        M PING | GET k | SET k 1 | SCAN 0 | DBSIZE | SWAPDB 0 1 | TOUCH | NOTHING | OBJECT HELP
        M CLIENT INFO | SELECT 2 | PING | MEMORY PURGE
        B SET k 1
        M RESET
        B SET k 1
        M PING | GET k
        """,
    "one pipeline": """
        M MONITOR | SELECT 2 | GET k | PING
        M QUIT
        """,
    "in RESP2": """
        B PING
        m MONITOR
        B SET k v
        m PING
        m QUIT
        """,
    "without replies": """
        B PING
        M MONITOR
        M:0 CLIENT REPLY SKIP
        M:1 PING | PING
        M:1 CLIENT REPLY OFF | PING | CLIENT REPLY ON
        B PING
        """,
    "two of them": """
        B PING
        M MONITOR
        N MONITOR
        B SET k 1 | SET j 1
        N RESET
        B SET k 1 | SET j 1
        """,
    "killed": """
        B PING
        M MONITOR
        B CLIENT KILL TYPE replica | CLIENT KILL TYPE pubsub | SET k 1 | CLIENT KILL ID $M | PING
        """,
    "besides tracking": """
        B PING
        M MONITOR | CLIENT TRACKING ON
        A CLIENT TRACKING ON | GET k | CLIENT CACHING YES
        A SET k 1 | PING
        B SET k 1 | FLUSHALL
        M CLIENT INFO | CLIENT TRACKING OFF | CLIENT INFO
        """,
    "transactions": """
        B PING
        M MONITOR
        B MULTI | SET k 1 | GET k | EXEC
        B MULTI | DISCARD
        B MULTI | SET k | EXEC
        M MULTI | SET a 1 | EXEC
        """,
    "in a transaction": """
        M MULTI | MONITOR | EXEC
        """,
    "messages": """
        B PING
        M MONITOR
        B SUBSCRIBE ch | UNSUBSCRIBE | PUBLISH a b
        M PUBLISH x y
        """,
    "blocked": """
        B PING
        C PING
        M MONITOR
        B:0 BLPOP k 0
        M hears
        C LPUSH k 1
        """,
}

LINE = re.compile(rb'\+\d+\.\d{6} \[0 127\.0\.0\.1:(\d+)\] "SET" "(\d+)" "(\d+)"\r\n')


LINE_OF_TIME = re.compile(rb'\+(\d+)\.(\d{6}) \[0 (.*)\] "TIME"\r\n')


@pytest.mark.parametrize("name", DIALOGUES)
def test_requests_are_shown_as_by_redis(
    tendis_in_moved_time: MovedTime, redis_server: ServerProcess, name: str
) -> None:
    lines = said(DIALOGUES[name])
    ours = listen(lines, tendis_in_moved_time)
    must_be_alike(ours, listen(lines, RealTime(redis_server)))


def test_when_and_from_where(tendis: ServerProcess) -> None:
    with tendis.client() as monitor, tendis.client() as client:
        assert monitor.command("MONITOR") == b"+OK\r\n"
        before = client.value("TIME")
        asked = client.value("TIME")
        found = [LINE_OF_TIME.fullmatch(monitor.reply()) for _ in range(2)]
        shown = [int(one[1] + one[2]) for one in found if one is not None]
        assert [int(b"%b%06d" % (one, int(rest))) for one, rest in (before, asked)] <= shown
        address = "{}:{}".format(*client.socket.getsockname()).encode()
        assert [one and one[3] for one in found] == [address] * 2


def test_a_unix_socket_is_named_as_by_redis(tmp_path: Path) -> None:
    shown = []
    for start in (tendis_process, redis_process):
        folder = tmp_path / start.__name__
        folder.mkdir()
        with (
            running(start(folder, "--unixsocket", str(tmp_path / "s"))) as server,
            server.client() as monitor,
            RawClient(str(tmp_path / "s")) as client,
        ):
            monitor.command("MONITOR")
            client.command("PING")
            shown.append(monitor.reply().partition(b" ")[2])
    assert shown[0] == shown[1] == b'[0 unix:%b] "PING"\r\n' % bytes(tmp_path / "s")


def test_a_long_value_is_shown_whole(tendis: ServerProcess) -> None:
    value = b"x\n" * 2_000_000
    with tendis.client() as monitor, tendis.client() as client:
        monitor.command("MONITOR")
        assert client.command("SET", "k", value) == b"+OK\r\n"
        assert client.value("GET", "k") == value
        line = monitor.reply()
        assert line.endswith(b'"SET" "k" "%b"\r\n' % value.replace(b"\n", b"\\n"))
        client.command("DEL", "k")


def test_lines_about_a_key_are_in_the_order_of_what_happened(tendis: ServerProcess) -> None:
    """Clients write to the same few keys, in pipelines; the last line of a key has its value, and
    each client's lines are in its order."""
    pipelines, length, clients = 20, 10, 4

    def write(client: RawClient) -> None:
        for pipeline in range(pipelines):
            numbers = range(pipeline * length, (pipeline + 1) * length)
            client.pipeline([[b"SET", b"%d" % (one % 3), b"%d" % one] for one in numbers])

    with tendis.client() as monitor, tendis.client() as client:
        assert monitor.command("MONITOR") == b"+OK\r\n"
        together(tendis.address, *[write] * clients)
        by_client: dict[bytes, list[int]] = {}
        last: dict[bytes, bytes] = {}
        for _ in range(clients * pipelines * length):
            line = LINE.fullmatch(monitor.reply())
            assert line is not None
            by_client.setdefault(line[1], []).append(int(line[3]))
            last[line[2]] = line[3]
        assert list(by_client.values()) == [list(range(pipelines * length))] * clients
        assert {key: client.value("GET", key) for key in last} == last
        client.command("DEL", *last)


def test_who_does_not_read_is_limited_as_a_normal_client(tmp_path: Path) -> None:
    with running(tendis_process(tmp_path)) as server, server.client() as client:
        limits = "normal 1mb 0 0 replica 1 0 0"
        client.command("CONFIG", "SET", "client-output-buffer-limit", limits)
        with server.client() as monitor:
            assert monitor.command("MONITOR") == b"+OK\r\n"
            ask = encode_request([b"ECHO", b"x" * 10_000]) * 100

            def is_gone() -> bool:
                client.send(ask)
                for _ in range(100):
                    client.reply()
                return b"flags=O" not in client.command("CLIENT", "LIST")

            wait_until(is_gone, "the monitor is closed", 60.0)
        assert b"client_output_buffer_limit_disconnections:1\r" in client.command("INFO", "stats")


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_left_when_the_last_one_leaves(tmp_path: Path, model: str) -> None:
    """However it does; requests are then run together again."""
    config = config_for(tmp_path, threading_model=model)
    with embedded(config) as server, contextlib.ExitStack() as stack:
        gates = server.services.global_gates
        monitors = [
            stack.enter_context(RawClient((HOST, server.port), protocol=3)) for _ in range(4)
        ]
        last = monitors[3].value("CLIENT", "ID")
        other = stack.enter_context(RawClient((HOST, server.port)))
        for monitor in monitors:
            monitor.command("MONITOR")
            assert gates.closed
        monitors[0].command("RESET")
        monitors[1].close()
        monitors[2].command("CLIENT", "TRACKING", "ON")
        other.command("CLIENT", "KILL", "ID", last)
        assert gates.closed
        monitors[2].command("QUIT")
        wait_until(lambda: not gates.one_by_one, "nobody monitors")
        assert server.services.witnesses == ()
        assert monitors[0].command("PING") == b"+PONG\r\n"


def test_one_that_only_listens_is_not_idle(tendis_in_moved_time: MovedTime) -> None:
    with tendis_in_moved_time.client() as monitor, tendis_in_moved_time.client() as client:
        client.command("CONFIG", "SET", "timeout", 10)
        monitor.command("MONITOR")
        client.command("PING")
        tendis_in_moved_time.pass_time(11)
        assert client.until_closed() == b""
        with tendis_in_moved_time.client() as other:
            other.command("CONFIG", "SET", "timeout", 0)
        assert monitor.command("ECHO", "x") != b""
