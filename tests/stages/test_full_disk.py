"""A disk that takes no more: writes are refused, reads go on, nothing acknowledged is lost.

No file of the server may grow beyond a limit that is set and lifted from outside (RLIMIT_FSIZE):
the log meets it, and data files that are flushed do.
"""

from __future__ import annotations

import contextlib
import random
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.resp import RawClient
from tests.support.servers import MODELS, ServerProcess, running, tendis_process, wait_until

REFUSED = b"-MISCONF Errors writing to the AOF file: File too large\r\n"
TOLD = "commands that write are refused"
SOLVED = "commands that write are accepted again"
VALUE = random.Random(1).randbytes(1000)


def limit(server: ServerProcess, size: int = resource.RLIM_INFINITY) -> None:
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def log_bytes(server: ServerProcess) -> int:
    return max(path.stat().st_size for path in (server.folder / "tendis-data").glob("*.log"))


@contextlib.contextmanager
def no_room(server: ServerProcess) -> Iterator[None]:
    """For a block; the server may end in it."""
    limit(server, log_bytes(server) + 1500)
    yield
    if server.process is not None:
        limit(server)


def fill(client: RawClient) -> int:
    """Write until that is refused: how many keys, from key:0 on, were acknowledged."""
    for number in range(20_000):
        reply = client.command("SET", f"key:{number}", VALUE)
        if reply != b"+OK\r\n":
            assert reply == REFUSED
            return number
    raise AssertionError("the limit does not limit")


def wait_for_room(client: RawClient) -> None:
    wait_until(lambda: client.command("PING") == b"+PONG\r\n", "writes are accepted again")


def check_keys(server: ServerProcess, written: int) -> None:
    with server.client() as client:
        assert client.value("DBSIZE") == written
        for number in range(written):
            assert client.value("GET", f"key:{number}") == VALUE


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("appendfsync", ["always", "everysec", "no"])
def test_writes_are_refused_until_there_is_room(
    tmp_path: Path, model: str, appendfsync: str
) -> None:
    server = tendis_process(tmp_path, "--appendfsync", appendfsync, model=model)
    with running(server), server.client() as client:
        with no_room(server):
            written = fill(client)
            assert written > 0
            asked = {
                "SET key:0 y": REFUSED,
                "GET key:0": b"$1000\r\n" + VALUE + b"\r\n",
                "PING": REFUSED,
                "FLUSHALL": REFUSED,
                "GETEX key:0": REFUSED,
                "PFCOUNT key:x": b":0\r\n",
                "KEYS key:x": b"*0\r\n",
                "DBSIZE": b":%d\r\n" % written,
            }
            assert client.pipeline([line.encode().split() for line in asked]) == [*asked.values()]
            with server.client() as other:
                assert other.command("SET", "a", "1") == REFUSED
                assert other.value("GET", "key:0") == VALUE
            assert b"aof_last_write_status:err" in client.value("INFO", "persistence")
        wait_for_room(client)
        assert b"aof_last_write_status:ok" in client.value("INFO", "persistence")
        check_keys(server, written)
        assert client.command("SET", f"key:{written}", VALUE) == b"+OK\r\n"
        server.kill()
        server.start()
        check_keys(server, written + 1)
    assert server.log.count(TOLD) == server.log.count(SOLVED) == 1


@pytest.mark.parametrize("appendfsync", ["always", "everysec", "no"])
def test_a_server_ends_in_order_while_there_is_no_room(tmp_path: Path, appendfsync: str) -> None:
    server = tendis_process(tmp_path, "--appendfsync", appendfsync)
    server.start()
    try:
        with server.client() as client, no_room(server):
            written = fill(client)
            assert client.command("SAVE") == b"-ERR\r\n"
            assert client.command("BGSAVE") == b"+Background saving started\r\n"
            wait_until(lambda: "Background saving error" in server.log, "it has failed")
            assert b"rdb_last_bgsave_status:err" in client.value("INFO", "persistence")
            server.stop()
        server.start()
        check_keys(server, written)
        server.stop()
    finally:
        server.kill()


def test_the_data_files_of_many_writes_find_no_room(tmp_path: Path) -> None:
    """It is a flush in the background that fails, and the next write that tells."""
    server = tendis_process(tmp_path, "--rocksdb.write_buffer_size", "64kb")
    with running(server), server.client() as client:
        limit(server, 300_000)
        written = fill(client)
        limit(server)
        wait_for_room(client)
        check_keys(server, written)


def test_a_result_that_is_written_ahead_finds_no_room(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    with running(server), server.client() as client:
        for start in range(0, 6000, 1000):
            client.command("SADD", "s", *[f"member:{start + index}" for index in range(1000)])
        with no_room(server):
            assert client.command("SUNIONSTORE", "t", "s", "u") == REFUSED
            assert client.value("SCARD", "s") == 6000
        wait_for_room(client)
        assert client.value("EXISTS", "t") == 0
        assert client.value("SUNIONSTORE", "t", "s", "u") == 6000
    assert server.log.count(TOLD) == 1


def test_a_key_that_expires_meanwhile_is_gone(tmp_path: Path) -> None:
    """Nothing is written for that before there is room."""
    server = tendis_process(tmp_path)
    with running(server), server.client() as client:
        client.command("SET", "brief", "1", "PX", "1500")
        client.command("PFADD", "sketch", "a", "b", "c")
        with no_room(server):
            fill(client)
            assert client.value("PFCOUNT", "sketch") == 3
            wait_until(lambda: client.command("GET", "brief") == b"$-1\r\n", "it has expired")
            assert client.value("PFCOUNT", "sketch", "brief") == 3
        wait_for_room(client)
        assert client.command("SET", "a", "1") == b"+OK\r\n"
    assert server.log.count(TOLD) == 1


def test_options_that_were_changed_outlast_it(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    with running(server), server.client() as client:
        assert client.command("CONFIG", "SET", "rocksdb.write_buffer_size", "64kb") == b"+OK\r\n"
        with no_room(server):
            fill(client)
        wait_for_room(client)
        options = max((tmp_path / "tendis-data").glob("OPTIONS-*")).read_text()
        assert "write_buffer_size=65536" in options


def test_a_start_without_room_says_so(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    server.start()
    with server.client() as client:
        client.command("SET", "a", VALUE)
    server.kill()
    done = subprocess.run(
        ["prlimit", "--fsize=1000", *server.command], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    with running(server), server.client() as client:
        assert client.value("GET", "a") == VALUE
