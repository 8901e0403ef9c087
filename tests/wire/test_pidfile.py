"""The pidfile is the running server's: who does not get to run leaves it alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tendis_py.pidfile import PidFile
from tests.support.servers import MODELS, ServerProcess, free_port, running, tendis_process


def in_folder(folder: Path, *directives: str, port: int, model: str = MODELS[0]) -> ServerProcess:
    folder.mkdir(exist_ok=True)
    return tendis_process(folder, *directives, port=port, model=model)


@pytest.mark.parametrize("model", MODELS)
def test_a_server_that_can_not_start_leaves_it_alone(tmp_path: Path, model: str) -> None:
    pidfile = tmp_path / "tendis.pid"
    directives = ["--pidfile", str(pidfile)]
    first = in_folder(tmp_path / "first", *directives, port=free_port(), model=model)
    with running(first):
        content = f"{first.pid}\n"
        assert pidfile.read_text() == content
        for folder, port in (("first", free_port()), ("second", first.port), ("first", first.port)):
            second = in_folder(tmp_path / folder, *directives, port=port, model=model)
            done = subprocess.run(second.command, capture_output=True, text=True, timeout=20)
            assert done.returncode == 1
            assert "Traceback" not in done.stdout + done.stderr
            assert pidfile.read_text() == content
    assert not pidfile.exists()


def test_that_of_another_server_by_now_is_left_alone(tmp_path: Path) -> None:
    pidfile = tmp_path / "tendis.pid"
    directives = ["--pidfile", str(pidfile)]
    first = in_folder(tmp_path / "first", *directives, port=free_port())
    second = in_folder(tmp_path / "second", *directives, port=free_port())
    with running(first), running(second):
        first.stop()
        assert pidfile.read_text() == f"{second.pid}\n"
    assert not pidfile.exists()


def test_a_stale_one_is_replaced(tmp_path: Path) -> None:
    pidfile = tmp_path / "tendis.pid"
    pidfile.write_text("1\n")
    with running(tendis_process(tmp_path, "--pidfile", str(pidfile))) as server:
        assert pidfile.read_text() == f"{server.pid}\n"
    assert not pidfile.exists()


def test_a_server_runs_without_where_none_can_be_written(tmp_path: Path) -> None:
    pidfile = tmp_path / "nowhere" / "tendis.pid"
    with running(tendis_process(tmp_path, "--pidfile", str(pidfile))) as server:
        assert "Failed to write PID file: No such file or directory" in server.log


def test_one_that_was_not_written_is_not_removed(tmp_path: Path) -> None:
    """Even if it names this process: in containers, every server may be process 1."""
    path = tmp_path / "tendis.pid"
    path.write_text(f"{os.getpid()}\n")
    pidfile = PidFile(str(path))
    pidfile.remove()
    assert path.exists()
    pidfile.write()
    pidfile.remove()
    assert not path.exists()
    pidfile.remove()
    PidFile("").write()
    PidFile("").remove()
