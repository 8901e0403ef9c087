"""Starts a tendis-py of its own for an example: a free port, a temporary folder."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

START_SECONDS = 20.0


@contextlib.contextmanager
def running_server(*options: str) -> Iterator[int]:
    """The port of a server that ends, with its data, when the block does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tendis_py", "--port", str(port), "--bind", "127.0.0.1"]
        process = subprocess.Popen(
            [*command, "--dir", folder, "--loglevel", "warning", *options],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_until_listening(port, process)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(timeout=START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError("tendis-py did not start")
