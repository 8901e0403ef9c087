"""Programs of this machine that look at the server from outside, where it has them.

Knows nothing of what is tested.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import wait_until

SECONDS = 30.0


def program(name: str, package: str) -> str:
    """The path of a program; the test is skipped where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on PATH; it comes with Debian's {package}")
    return found


def output(*command: str | Path, given: bytes = b"", cwd: Path | None = None) -> str:
    """What a program says that ends well."""
    done = subprocess.run(
        command, input=given, cwd=cwd, capture_output=True, timeout=SECONDS, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def fetch(url: str, accept: str = "*/*") -> str:
    request = urllib.request.Request(url, headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def service(command: list[str], log: Path, url: str) -> Iterator[None]:
    """Run a program that serves HTTP, from when it answers at ``url`` until the end of the block;
    what it says goes to ``log``."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            fetch(url)
            return True
        return False

    try:
        wait_until(answers, f"{command[0]} answers", SECONDS)
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        finally:
            process.kill()
            process.wait(SECONDS)
