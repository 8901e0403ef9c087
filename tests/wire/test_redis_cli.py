"""redis-cli, as people use it: this machine's own if it has one, and a stand-in for it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from tests.support.resp import SECONDS, encode_request
from tests.support.servers import ROOT, ServerProcess, wait_until

Program = list[str]

PROGRAMS: dict[str, Program] = {"stand-in": [sys.executable, "-m", "tests.support.cli"]}
if OWN := shutil.which("redis-cli"):
    PROGRAMS["own"] = [OWN]

pytestmark = pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))

PATIENCE = 3 * SECONDS
"""What a program may take that starts an interpreter, on a busy machine."""


def run(program: Program, server: ServerProcess, *arguments: str, stdin: bytes = b"") -> str:
    """What redis-cli prints."""
    done = subprocess.run(
        [*program, "-p", str(server.port), *arguments],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
        cwd=ROOT,
    )
    assert not done.stderr
    return done.stdout.decode()


def in_a_terminal(
    program: Program, server: ServerProcess, *arguments: str, until: str, keys: bytes = b""
) -> str:
    """What redis-cli shows until ``until``, a pattern, is there; AssertionError if it never is."""
    terminal, side = pty.openpty()
    with subprocess.Popen(
        [*program, "-p", str(server.port), *arguments],
        stdin=side,
        stdout=side,
        stderr=side,
        cwd=ROOT,
        env={**os.environ, "TERM": "dumb"},  # others are asked where the cursor is
    ) as process:
        os.close(side)
        os.write(terminal, keys)
        shown, text = b"", ""
        end = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):  # the other side is closed
            while not re.search(until, text, re.MULTILINE):
                if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
                    break
                shown += os.read(terminal, 65536)
                text = re.sub(r"\x1b\[\d+m", "", shown.decode(errors="replace")).replace("\r", "")
        process.kill()
        os.close(terminal)
    assert re.search(until, text, re.MULTILINE), text
    return text


def fill(server: ServerProcess) -> None:
    with server.client() as client:
        client.command("FLUSHALL")
        client.command("SET", "small", "1")
        client.command("SET", "large", "x" * 100)
        client.command("RPUSH", "queue", "a", "b", "c")


@pytest.fixture(autouse=True)
def keys(tendis_default: ServerProcess) -> None:
    """A few keys of different sizes."""
    fill(tendis_default)


def test_commands(program: Program, tendis_default: ServerProcess) -> None:
    assert run(program, tendis_default, "get", "small") == "1\n"
    assert run(program, tendis_default, "-3", "lrange", "queue", "0", "-1") == "a\nb\nc\n"
    assert "WRONGTYPE" in run(program, tendis_default, "get", "queue")


def test_scan(program: Program, tendis_default: ServerProcess) -> None:
    found = run(program, tendis_default, "--scan", "--pattern", "*l*")
    assert sorted(found.split()) == ["large", "small"]


def test_bigkeys(program: Program, tendis_default: ServerProcess) -> None:
    report = run(program, tendis_default, "--bigkeys")
    assert "Sampled 3 keys in the keyspace!" in report
    assert re.search(r"Biggest string +found .+large.+ has 100 bytes", report)
    assert re.search(r"Biggest +list +found .+queue.+ has 3 items", report)


def test_memkeys(program: Program, tendis_default: ServerProcess) -> None:
    report = run(program, tendis_default, "--memkeys")
    assert "Sampled 3 keys in the keyspace!" in report
    assert re.search(r"Biggest string +found .+large.+ has \d+ bytes", report)


def test_hotkeys(program: Program, tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")

        def small_is_hot() -> bool:
            client.send(b"GET small\r\n" * 100)
            for _ in range(100):
                client.reply()
            return bool(client.value("OBJECT", "FREQ", "small") > 7)

        wait_until(small_is_hot, "it is seen how often it is used")
        report = run(program, tendis_default, "--hotkeys")
        client.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert "Sampled 3 keys in the keyspace!" in report
    hot = re.findall(r"hot key found with counter: (\d+)\s+keyname: \"?(\w+)", report)
    assert (hot[0][1], len(hot)) == ("small", 3)


def test_pipe(program: Program, tendis_default: ServerProcess) -> None:
    requests = [[b"SET", b"piped:%d" % number, b"x"] for number in range(5000)]
    report = run(
        program, tendis_default, "--pipe", stdin=b"".join(encode_request(one) for one in requests)
    )
    assert "errors: 0, replies: 5000" in report
    assert run(program, tendis_default, "dbsize") == "5003\n"


def test_stat(program: Program, tendis_default: ServerProcess) -> None:
    in_a_terminal(program, tendis_default, "--stat", "-i", "0.1", until=r"(^3 +\d[^\n]*\n){3}")


def test_latency(program: Program, tendis_default: ServerProcess) -> None:
    samples = r"min: \d+, max: \d+, avg: \d+\.\d+ \(\d\d samples\)"
    in_a_terminal(program, tendis_default, "--latency", until=samples)


def test_help(program: Program, tendis_default: ServerProcess) -> None:
    """redis-cli 7 and later ask for COMMAND DOCS before anything else."""
    shown = in_a_terminal(program, tendis_default, keys=b"help set\nquit\n", until="since: 1.0.0")
    assert "SET key value [" in shown


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("get small", {"GET"}),
        ("-3 lrange queue 0 -1", {"HELLO", "LRANGE"}),
        ("--scan --pattern '*l*'", {"SCAN"}),
        ("--bigkeys", {"DBSIZE", "SCAN", "TYPE", "STRLEN", "LLEN"}),
        ("--memkeys", {"DBSIZE", "SCAN", "TYPE", "MEMORY"}),
        ("--hotkeys", {"SCAN", "OBJECT"}),
        ("--pipe", {"ECHO"}),
    ],
)
def test_what_it_asks(
    program: Program, redis_server: ServerProcess, arguments: str, asked: set[str]
) -> None:
    """So the stand-in stands for redis-cli, and the real server's MONITOR says so."""
    fill(redis_server)
    with redis_server.client() as client:  # else there is no OBJECT FREQ
        client.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    with redis_server.client() as monitor, redis_server.client() as client:
        assert monitor.command("MONITOR") == b"+OK\r\n"
        run(program, redis_server, *shlex.split(arguments))
        client.command("PING", "the end")
        seen: list[str] = []
        while '"the end"' not in (line := monitor.line().decode()):
            seen.append(line.split('"')[1].upper())
        client.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert asked <= set(seen)
