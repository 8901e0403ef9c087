"""Data folders that are not whole: refused at the start, and left as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tendis_py.errors import StorageError
from tendis_py.storage.check import CANT_OPEN, check_folder
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META
from tendis_py.types.checks import INSPECTORS
from tests.support.servers import running, tendis_process


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def make(folder: Path) -> None:
    """A folder with a row in a data file, and one in the log."""
    engine = Engine(folder)
    engine.write([(META, b"a", b"1")])
    engine.flush()
    engine.write([(META, b"b", b"2")])
    engine.close()


def refusal(folder: Path) -> str:
    """Why neither a start nor a check takes the folder; neither may change anything."""
    before = contents(folder)
    with pytest.raises(StorageError) as refused:
        Engine(folder)
    lines: list[str] = []
    assert check_folder(folder, INSPECTORS, lines.append) == CANT_OPEN
    assert lines == [str(refused.value)]
    assert contents(folder) == before
    return lines[0]


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        (["*.sst"], "CURRENT and MANIFEST-* and *.log"),
        (["*.log"], "CURRENT and MANIFEST-*:"),
        (["*.sst", "*.log"], "CURRENT and MANIFEST-*:"),
        (["MANIFEST-*", "*.sst", "*.log", "LOCK"], "CURRENT:"),
        (["MANIFEST-*"], "CURRENT and *.log"),
        (["OPTIONS-*"], "CURRENT and MANIFEST-* and *.log"),
    ],
)
def test_remains_of_a_database_are_refused(tmp_path: Path, kept: list[str], missing: str) -> None:
    make(tmp_path)
    keep = {path for pattern in kept for path in tmp_path.glob(pattern)}
    assert len(keep) >= len(kept)
    for path in set(tmp_path.iterdir()) - keep:
        path.unlink()
    assert f"but not {missing}" in refusal(tmp_path)


@pytest.mark.parametrize("left", [[], ["LOCK", "LOG", "IDENTITY", "MANIFEST-000001"]])
def test_a_making_that_was_interrupted_is_begun_again(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).touch()
    make(tmp_path)


def test_the_server_says_what_is_missing(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    with running(server), server.client() as client:
        assert client.command("SET", "a", "1") == b"+OK\r\n"
        assert client.command("SAVE") == b"+OK\r\n"
    folder = tmp_path / "tendis-data"
    for path in [folder / "CURRENT", *folder.glob("*.log")]:
        path.unlink()
    before = contents(folder)
    done = subprocess.run(server.command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "but not CURRENT and *.log" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert contents(folder) == before
