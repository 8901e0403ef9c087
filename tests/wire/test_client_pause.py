"""CLIENT PAUSE in every threading model: who waits, in what order it goes on, and how soon."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import ServerProcess, tendis_process, wait_until

LONG = 60_000
"""A pause, in ms, that no test waits for."""

WRITERS = 4

SOON = 0.5
"""Seconds that a release may take on a loaded machine; an idle reactor looks around only every
second in these tests (``hz``)."""


@pytest.fixture(autouse=True)
def idle_reactors_sleep(tendis: ServerProcess) -> Iterator[None]:
    with tendis.client() as client:
        client.command("CONFIG", "SET", "hz", "1")
        yield
        client.command("CONFIG", "SET", "hz", "10")


@pytest.fixture
def control(tendis: ServerProcess) -> Iterator[RawClient]:
    """A client that pauses writes; they are not paused any more when the test ends."""
    with tendis.client() as client:
        client.command("FLUSHALL")
        yield client
        assert client.command("CLIENT", "UNPAUSE") == b"+OK\r\n"


def send(client: RawClient, *lines: str) -> None:
    client.send(b"".join(encode_request(line.encode().split()) for line in lines))


def nothing_comes(client: RawClient, seconds: float = 0.05) -> bool:
    client.socket.settimeout(seconds)
    try:
        client.reply()
    except TimeoutError:
        return True
    else:
        return False
    finally:
        client.socket.settimeout(10)


def test_all_commands_wait_for_the_end(tendis: ServerProcess) -> None:
    with tendis.client() as one, tendis.client() as other:
        began = time.monotonic()
        send(one, "CLIENT PAUSE 200 ALL")
        assert one.reply() == b"+OK\r\n"
        send(one, "PING")
        send(other, "CLIENT UNPAUSE")
        assert other.reply() == b"+OK\r\n", "held back as any other"
        assert time.monotonic() - began >= 0.2
        assert one.reply() == b"+PONG\r\n"
        assert time.monotonic() - began < 0.2 + SOON


def test_slow_commands_wait_as_well(tendis: ServerProcess) -> None:
    """They go to the slow lane where there is one, and come back from it."""
    with tendis.client() as client:
        client.command("FLUSHALL")
        began = time.monotonic()
        send(client, "CLIENT PAUSE 100 ALL", "KEYS *", "SET a 1", "KEYS *")
        assert [client.reply() for _ in range(4)] == [
            b"+OK\r\n",
            b"*0\r\n",
            b"+OK\r\n",
            b"*1\r\n$1\r\na\r\n",
        ]
        assert 0.1 <= time.monotonic() - began < 0.1 + SOON


def test_a_pause_of_writes_lets_others_read(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as writer, tendis.client() as reader:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(writer, "SET a 1")
        assert nothing_comes(writer)
        assert reader.command("GET", "a") == b"$-1\r\n"
        assert reader.command("PING") == b"+PONG\r\n"


def test_unpause_releases_at_once(tendis: ServerProcess, control: RawClient) -> None:
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(tendis.client()) for _ in range(10)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for number, writer in enumerate(writers):
            send(writer, f"SET key:{number} 1")
        assert all(nothing_comes(writer, 0.01) for writer in writers)
        began = time.monotonic()
        assert control.command("CLIENT", "UNPAUSE") == b"+OK\r\n"
        assert [writer.reply() for writer in writers] == [b"+OK\r\n"] * 10
        assert time.monotonic() - began < SOON


def test_what_is_refused_anyway_does_not_wait(tendis: ServerProcess) -> None:
    with tendis.client() as client:
        client.command("CLIENT", "PAUSE", 300, "ALL")
        began = time.monotonic()
        assert client.command("SET", "a").startswith(b"-ERR wrong number")
        assert client.command("NOSUCH").startswith(b"-ERR unknown command")
        assert client.command("CLIENT", "NOSUCH").startswith(b"-ERR unknown subcommand")
        assert time.monotonic() - began < 0.3
        assert client.command("PING") == b"+PONG\r\n"


def test_who_waits_is_seen_to(tendis: ServerProcess, control: RawClient) -> None:
    def blocked() -> bytes:
        return re.findall(rb"blocked_clients:(\d+)", control.value("INFO", "clients"))[0]

    with tendis.client() as writer:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        number = b"id=%d " % writer.value("CLIENT", "ID")
        send(writer, "GET a", "SET a 1", "GET a")
        assert writer.reply() == b"$-1\r\n"
        wait_until(lambda: blocked() == b"1", "it is blocked")
        (line,) = [one for one in control.value("CLIENT", "LIST").split(b"\n") if number in one]
        assert b" flags=b " in line
        assert b" cmd=set " in line
        control.command("CLIENT", "UNPAUSE")
        assert [writer.reply(), writer.reply()] == [b"+OK\r\n", b"$1\r\n1\r\n"]
        assert blocked() == b"0"
        assert b" flags=N " in writer.value("CLIENT", "INFO")


def test_who_is_blocked_and_leaves_is_not_counted(
    tendis: ServerProcess, control: RawClient
) -> None:
    def blocked() -> bool:
        return b"blocked_clients:1" in control.value("INFO", "clients")

    with tendis.client() as writer:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(writer, "SET a 1")
        wait_until(blocked, "it is blocked")
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


def test_a_pipeline_stops_at_its_first_write(tendis: ServerProcess, control: RawClient) -> None:
    with tendis.client() as client:
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(client, "GET a", "PING", "SET a 1", "GET a", "APPEND a 2", "GET a")
        assert [client.reply(), client.reply()] == [b"$-1\r\n", b"+PONG\r\n"]
        assert nothing_comes(client)
        send(client, "APPEND a 3", "GET a")
        assert nothing_comes(client)
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


def test_a_pause_is_in_force_for_its_own_pipeline(
    tendis: ServerProcess, control: RawClient
) -> None:
    with tendis.client() as client:
        send(client, "SET a 1", f"CLIENT PAUSE {LONG} WRITE", *["SET a 2"] * 6, "GET a")
        assert [client.reply(), client.reply()] == [b"+OK\r\n", b"+OK\r\n"]
        assert nothing_comes(client)
        assert control.command("GET", "a") == b"$1\r\n1\r\n"
        control.command("CLIENT", "UNPAUSE")
        assert [client.reply() for _ in range(7)] == [b"+OK\r\n"] * 6 + [b"$1\r\n2\r\n"]


def test_connections_go_on_in_the_order_they_came(
    tendis: ServerProcess, control: RawClient
) -> None:
    """Where one thread does everything, as in Redis; elsewhere each connection has its order."""
    one_thread = control.value("CONFIG", "GET", "threading-model")[1] == b"redis"
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(tendis.client()) for _ in range(9)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for number, writer in enumerate(writers):
            send(writer, f"APPEND a {number}")
            assert nothing_comes(writer, 0.01)
        control.command("CLIENT", "UNPAUSE")
        for writer in writers:
            writer.reply()
        text = control.value("GET", "a")
        assert text == b"012345678" if one_thread else sorted(text) == sorted(b"012345678")


def test_nothing_is_written_once_the_pause_is_confirmed(
    tendis: ServerProcess, control: RawClient
) -> None:
    stop = threading.Event()

    def write(name: int) -> None:
        with tendis.client() as client:
            for turn in itertools.count():
                if stop.is_set():
                    return
                # Batches that take long enough to be under way when the pause begins.
                keys = [b"%d:%d:%d" % (name, turn, number) for number in range(1000)]
                client.pipeline([[b"SET", key, b""] for key in keys])

    def they_write() -> bool:
        size = control.value("DBSIZE")
        time.sleep(0.005)
        return bool(control.value("DBSIZE") > size)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            # DBSIZE, since reading a key would wait for those who are writing it.
            wait_until(they_write, "they write")
            assert control.command("CLIENT", "PAUSE", LONG, "WRITE") == b"+OK\r\n"
            before = control.value("DBSIZE")
            time.sleep(0.05)
            assert control.value("DBSIZE") == before
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


def test_waiting_costs_nothing(tendis: ServerProcess, control: RawClient) -> None:
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(tendis.client()) for _ in range(20)]
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        for writer in writers:
            send(writer, "SET a 1")
        assert nothing_comes(writers[0])
        wait_until(lambda: is_idle(tendis), "waiting costs nothing, once the tests before are over")


def test_who_leaves_while_waiting_has_not_written(
    tendis: ServerProcess, control: RawClient
) -> None:
    control.command("CLIENT", "PAUSE", LONG, "WRITE")
    with tendis.client() as client:
        send(client, "SET a 1")
        assert nothing_comes(client)
    wait_until(lambda: control.value("CLIENT", "LIST").count(b"\n") == 2, "it is gone")
    control.command("CLIENT", "UNPAUSE")
    assert control.command("GET", "a") == b"$-1\r\n"


def test_who_is_killed_while_waiting_has_not_written(
    tendis: ServerProcess, control: RawClient
) -> None:
    with tendis.client() as client:
        name = client.value("CLIENT", "ID")
        control.command("CLIENT", "PAUSE", LONG, "WRITE")
        send(client, "SET a 1")
        assert nothing_comes(client)
        assert control.command("CLIENT", "KILL", "ID", name) == b":1\r\n"
        with pytest.raises((Disconnected, ConnectionError)):
            client.reply()
    control.command("CLIENT", "UNPAUSE")
    assert control.command("GET", "a") == b"$-1\r\n"


def test_a_pause_does_not_hold_up_the_shutdown(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    server.start()
    try:
        with server.client() as client:
            client.command("CLIENT", "PAUSE", LONG, "ALL")
            send(client, "SET a 1")
            assert nothing_comes(client)
            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < 5
    finally:
        server.kill()
