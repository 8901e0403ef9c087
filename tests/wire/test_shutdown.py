"""SIGTERM, restarts, and two servers on one folder."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.resp import Disconnected, encode_request
from tests.support.servers import (
    MODELS,
    ServerProcess,
    free_port,
    running,
    tendis_process,
    wait_until,
)

SHUTDOWN_SECONDS = 5.0
"""What a shutdown under load may take: requests under way are short."""


class Writer:
    """A client that writes as fast as it is answered, ``depth`` commands at a time, and remembers
    the last number that was acknowledged."""

    def __init__(self, server: ServerProcess, name: str, depth: int) -> None:
        self.name = name
        self.acknowledged = 0
        self.error: BaseException | None = None
        self._server = server
        self._depth = depth
        self.thread = threading.Thread(target=self._run, name=name)
        self.thread.start()

    def _run(self) -> None:
        number = 0
        try:
            with self._server.client() as client:
                while True:
                    numbers = range(number + 1, number + 1 + self._depth)
                    number = numbers[-1]
                    client.send(
                        b"".join(
                            encode_request([b"SET", self.key(one), b"%d" % one]) for one in numbers
                        )
                    )
                    for one in numbers:
                        assert client.reply() == b"+OK\r\n"
                        self.acknowledged = one
        except (Disconnected, ConnectionError):
            pass
        except BaseException as error:
            self.error = error

    def key(self, number: int) -> bytes:
        return b"%b:%d" % (self.name.encode(), number)


@pytest.mark.parametrize("model", MODELS)
def test_sigterm_under_load_loses_nothing_acknowledged(tmp_path: Path, model: str) -> None:
    server = tendis_process(tmp_path, model=model)
    try:
        server.start()
        writers = [
            Writer(server, f"writer-{index}", depth) for index, depth in enumerate([1, 1, 1, 50])
        ]
        wait_until(
            lambda: all(one.acknowledged > 50 or one.error for one in writers), "there is load"
        )
        began = time.monotonic()
        server.stop()
        took = time.monotonic() - began
        for writer in writers:
            writer.thread.join(10.0)
            assert writer.error is None, writer.error
        server.start()
        with server.client() as client:
            for writer in writers:
                for first in range(1, writer.acknowledged + 1, 1000):
                    numbers = range(first, min(first + 1000, writer.acknowledged + 1))
                    replies = client.pipeline([[b"GET", writer.key(one)] for one in numbers])
                    for one, reply in zip(numbers, replies, strict=True):
                        assert reply == b"$%d\r\n%d\r\n" % (len(str(one)), one)
        server.stop()
    finally:
        server.kill()
    assert took < SHUTDOWN_SECONDS, f"shutting down took {took:.1f} s"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_clients_do_not_delay_the_end(tmp_path: Path, number: signal.Signals) -> None:
    server = tendis_process(tmp_path)
    server.start()
    try:
        with server.client() as idle, server.client() as half:
            half.send(b"*2\r\n$3\r\nGET\r\n")
            assert idle.command("SET", "a", "1") == b"+OK\r\n"
            assert server.process is not None
            began = time.monotonic()
            server.process.send_signal(number)
            assert server.process.wait(10.0) == 0
            assert time.monotonic() - began < 2.0
            assert idle.until_closed() == half.until_closed() == b""
    finally:
        server.kill()
    assert "Traceback" not in server.log


def test_a_client_that_does_not_read_does_not_hold_the_end_up(tmp_path: Path) -> None:
    """It is waited for until shutdown-timeout, no longer."""
    server = tendis_process(tmp_path, "--shutdown-timeout", "1")
    with running(server), server.client() as client, server.client() as observer:
        assert client.command("SET", "big", b"x" * 1_000_000) == b"+OK\r\n"
        client.send(encode_request([b"GET", b"big"]) * 100)
        wait_until(lambda: b" events=rw " in observer.value("CLIENT", "LIST"), "replies wait")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4.0


@pytest.mark.parametrize("model", MODELS)
def test_data_survives_a_restart(tmp_path: Path, model: str) -> None:
    values = {b"%d" % index: bytes([index]) * index for index in range(256)}
    server = tendis_process(tmp_path, model=model)
    with running(server), server.client() as client:
        client.pipeline([[b"SET", key, value] for key, value in values.items()])
    with running(server), server.client() as client:
        for key, value in values.items():
            assert client.value("GET", key) == value


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    with running(tendis_process(tmp_path)) as first, first.client() as client:
        client.command("SET", "a", "1")
        second = tendis_process(tmp_path, port=free_port())
        done = subprocess.run(second.command, capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert f"'{tmp_path / 'tendis-data'}' is in use by another process" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert client.value("GET", "a") == b"1"


def test_a_folder_of_another_program_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tendis-data"
    folder.mkdir()
    (folder / "CURRENT").write_text("not RocksDB's\n")
    done = subprocess.run(
        tendis_process(tmp_path).command, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "tendis-data" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (folder / "CURRENT").read_text() == "not RocksDB's\n"
