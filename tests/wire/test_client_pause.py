"""CLIENT PAUSE in every threading model: crowds, pipelines, the slow lane, and who leaves while
waiting. Who waits, and until when, is in transcripts/pause.txt."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.services.clock import ManualClock
from tests.support.embedded import MovedTime, config_for, embedded, wait_until_idle
from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import ServerProcess, wait_until

LONG = 60_000
"""A pause, in ms, that no test waits for."""

WRITERS = 4


@pytest.fixture
def stage(tendis_in_moved_time: MovedTime) -> Iterator[MovedTime]:
    with tendis_in_moved_time.looking_rarely():
        yield tendis_in_moved_time


@pytest.fixture
def control(stage: MovedTime) -> Iterator[RawClient]:
    """A client that pauses writes; they are not paused any more when the test ends."""
    with stage.client() as client:
        client.command("FLUSHALL")
        yield client
        assert client.command("CLIENT", "UNPAUSE") == b"+OK\r\n"


def send(client: RawClient, *lines: str) -> None:
    client.send(b"".join(encode_request(line.encode().split()) for line in lines))


def test_slow_commands_wait_as_well(stage: MovedTime) -> None:
    """They go to the slow lane where there is one, and come back from it."""
    with stage.client() as client:
        client.command("FLUSHALL")
        send(client, f"CLIENT PAUSE {LONG} ALL", "KEYS *", "SET a 1", "KEYS *")
        assert client.reply() == b"+OK\r\n"
        assert stage.waits(client)
        stage.pass_time(LONG / 1000 - 1)
        assert stage.waits(client)
        stage.pass_time(1.1)
        replies = [client.reply() for _ in range(3)]
        assert replies == [b"*0\r\n", b"+OK\r\n", b"*1\r\n$1\r\na\r\n"]


def test_unpause_releases_a_crowd(stage: MovedTime, control: RawClient) -> None:
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(stage.client()) for _ in range(10)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for number, writer in enumerate(writers):
            send(writer, f"SET key:{number} 1")
        assert all(stage.waits(writer) for writer in writers)
        wait_until_idle(stage.server)
        assert control.command("CLIENT", "UNPAUSE") == b"+OK\r\n"
        assert [writer.reply() for writer in writers] == [b"+OK\r\n"] * 10


def test_the_end_in_its_time_releases_a_crowd(stage: MovedTime, control: RawClient) -> None:
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(stage.client()) for _ in range(10)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for number, writer in enumerate(writers):
            send(writer, f"SET key:{number} 1")
        assert all(stage.waits(writer) for writer in writers)
        wait_until_idle(stage.server)
        stage.pass_time(LONG / 1000 + 1)
        assert [writer.reply() for writer in writers] == [b"+OK\r\n"] * 10


def test_who_waits_is_seen_to(stage: MovedTime, control: RawClient) -> None:
    def blocked() -> bytes:
        return re.findall(rb"blocked_clients:(\d+)", control.value("INFO", "clients"))[0]

    with stage.client() as writer:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        number = b"id=%d " % writer.value("CLIENT", "ID")
        send(writer, "GET a", "SET a 1", "GET a")
        assert writer.reply() == b"$-1\r\n"
        assert stage.waits(writer)
        assert blocked() == b"1"
        (line,) = [one for one in control.value("CLIENT", "LIST").split(b"\n") if number in one]
        assert b" flags=b " in line
        assert b" cmd=set " in line
        control.command("CLIENT", "UNPAUSE")
        assert [writer.reply(), writer.reply()] == [b"+OK\r\n", b"$1\r\n1\r\n"]
        assert blocked() == b"0"
        assert b" flags=N " in writer.value("CLIENT", "INFO")


def test_who_is_blocked_and_leaves_is_not_counted(stage: MovedTime, control: RawClient) -> None:
    def blocked() -> bool:
        return b"blocked_clients:1" in control.value("INFO", "clients")

    with stage.client() as writer:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(writer, "SET a 1")
        assert stage.waits(writer)
        assert blocked()
    wait_until(lambda: not blocked(), "it is gone")


LOOKS = "DBSIZE|RANDOMKEY|GET k|TTL k|KEYS *|SCAN 0|TYPE k|OBJECT ENCODING k"


def test_nothing_expires(tendis: ServerProcess, redis_server: ServerProcess) -> None:
    """Neither by the sweep nor by those who look; what has expired is not seen, but counted."""

    def expired(client: RawClient) -> bytes:
        return re.findall(rb"expired_keys:(\d+)", client.value("INFO", "stats"))[0]

    answers = []
    for server in (tendis, redis_server):
        with server.client() as client:
            client.command("FLUSHALL")
            before = expired(client)
            send(client, "SET k v PX 200", f"CLIENT PAUSE {LONG} WRITE")
            assert [client.reply(), client.reply()] == [b"+OK\r\n"] * 2
            wait_until(lambda: client.command("EXISTS", "k") == b":0\r\n", "its time has come")
            seen = [client.command(*look.split()) for look in LOOKS.split("|")]
            assert expired(client) == before
            answers.append(seen)
            client.command("CLIENT", "UNPAUSE")
            wait_until(lambda client=client: client.command("DBSIZE") == b":0\r\n", "it goes")
            assert int(expired(client)) == int(before) + 1
    assert answers[0] == answers[1]
    assert answers[0][0] == b":1\r\n"


def test_a_pipeline_stops_at_its_first_write(stage: MovedTime, control: RawClient) -> None:
    with stage.client() as client:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(client, "GET a", "PING", "SET a 1", "GET a", "APPEND a 2", "GET a")
        assert [client.reply(), client.reply()] == [b"$-1\r\n", b"+PONG\r\n"]
        assert stage.waits(client)
        send(client, "APPEND a 3", "GET a")
        assert stage.waits(client)
        control.command("CLIENT", "UNPAUSE")
        replies = [client.reply() for _ in range(6)]
        assert replies == [
            b"+OK\r\n",
            b"$1\r\n1\r\n",
            b":2\r\n",
            b"$2\r\n12\r\n",
            b":3\r\n",
            b"$3\r\n123\r\n",
        ]


def test_a_pause_is_in_force_for_its_own_pipeline(stage: MovedTime, control: RawClient) -> None:
    with stage.client() as client:
        send(client, "SET a 1", f"CLIENT PAUSE {LONG} WRITE", *["SET a 2"] * 6, "GET a")
        assert [client.reply(), client.reply()] == [b"+OK\r\n", b"+OK\r\n"]
        assert stage.waits(client)
        assert control.command("GET", "a") == b"$1\r\n1\r\n"
        control.command("CLIENT", "UNPAUSE")
        assert [client.reply() for _ in range(7)] == [b"+OK\r\n"] * 6 + [b"$1\r\n2\r\n"]


def test_connections_go_on_in_the_order_they_came(stage: MovedTime, control: RawClient) -> None:
    """Where one thread does everything, as in Redis; elsewhere each connection has its order."""
    one_thread = stage.server.model.name == "redis"
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(stage.client()) for _ in range(9)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for number, writer in enumerate(writers):
            send(writer, f"APPEND a {number}")
            assert stage.waits(writer)
        control.command("CLIENT", "UNPAUSE")
        for writer in writers:
            writer.reply()
        text = control.value("GET", "a")
        assert text == b"012345678" if one_thread else sorted(text) == sorted(b"012345678")


def test_nothing_is_written_once_the_pause_is_confirmed(
    stage: MovedTime, control: RawClient
) -> None:
    stop = threading.Event()

    def write(name: int) -> None:
        with stage.client() as client:
            for turn in itertools.count():
                if stop.is_set():
                    return
                # Batches that take long enough to be under way when the pause begins.
                keys = [b"%d:%d:%d" % (name, turn, number) for number in range(1000)]
                client.pipeline([[b"SET", key, b""] for key in keys])

    def size() -> int:
        # DBSIZE, since reading a key would wait for those who are writing it.
        found: int = control.value("DBSIZE")
        return found

    def wait_for_writes() -> None:
        before = size()
        wait_until(lambda: size() > before, "they write")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            wait_for_writes()
            assert control.command("CLIENT", "PAUSE", LONG, "WRITE") == b"+OK\r\n"
            before = size()
            stage.settle([])  # whatever was under way
            assert size() == before
            control.command("CLIENT", "UNPAUSE")
    finally:
        control.command("CLIENT", "UNPAUSE")
        stop.set()
        for thread in threads:
            thread.join()


def cpu_seconds(server: ServerProcess) -> float:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def is_idle(server: ServerProcess) -> bool:
    """Whether it takes less than a fifth of a CPU, for half a second."""
    before = cpu_seconds(server)
    time.sleep(0.5)
    return cpu_seconds(server) - before < 0.1


def test_waiting_costs_nothing(tendis: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        control, *writers = [stack.enter_context(tendis.client()) for _ in range(21)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for writer in writers:
            send(writer, "SET a 1")
        wait_until(lambda: is_idle(tendis), "waiting costs nothing, once the tests before are over")
        assert not any(writer.has_more() for writer in writers)
        control.command("CLIENT", "UNPAUSE")
        assert [writer.reply() for writer in writers] == [b"+OK\r\n"] * 20


def test_who_leaves_while_waiting_has_not_written(stage: MovedTime, control: RawClient) -> None:
    control.command("CLIENT", "PAUSE", LONG, "WRITE")
    with stage.client() as client:
        send(client, "SET a 1")
        assert stage.waits(client)
    wait_until(lambda: control.value("CLIENT", "LIST").count(b"\n") == 1, "it is gone")
    control.command("CLIENT", "UNPAUSE")
    assert control.command("GET", "a") == b"$-1\r\n"


def test_who_is_killed_while_waiting_has_not_written(stage: MovedTime, control: RawClient) -> None:
    with stage.client() as client:
        name = client.value("CLIENT", "ID")
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(client, "SET a 1")
        assert stage.waits(client)
        assert control.command("CLIENT", "KILL", "ID", name) == b":1\r\n"
        with pytest.raises((Disconnected, ConnectionError)):
            client.reply()
    control.command("CLIENT", "UNPAUSE")
    assert control.command("GET", "a") == b"$-1\r\n"


def test_a_pause_does_not_hold_up_the_shutdown(tmp_path: Path) -> None:
    clock = ManualClock()
    config = config_for(tmp_path, shutdown_timeout="3600")
    with embedded(config, clock) as server, MovedTime(server, clock).client() as client:
        client.command("CLIENT", "PAUSE", LONG, "ALL")
        send(client, "SET a 1")
        assert MovedTime(server, clock).waits(client)
        server.shutdown()
        with pytest.raises((Disconnected, ConnectionError)):
            client.reply()
