"""What is written for node.js: ioredis and node-redis, BullMQ, Bull and Bee-Queue, Redlock, a
family of rate limiters. ``node/*.js`` are programs that check what they get; npm brings the
libraries."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import program
from tests.support.servers import ServerProcess

PROGRAMS = sorted((Path(__file__).parent / "node").glob("*.js"))
SECONDS = 120.0

pytestmark = pytest.mark.soak


@pytest.fixture(scope="session")
def server(tendis: ServerProcess) -> ServerProcess:
    """In each threading model."""
    return tendis


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the libraries and the programs."""
    npm = program("npm", "npm")
    program("node", "nodejs")
    found = tmp_path_factory.mktemp("node")
    for path in [*PROGRAMS, PROGRAMS[0].parent / "package.json"]:
        shutil.copy(path, found)
    installed = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=found,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program(server: ServerProcess, folder: Path, program: Path) -> None:
    done = subprocess.run(
        ["node", program.name, str(server.port)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
