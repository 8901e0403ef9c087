"""kill -9 at any moment, that of the start included: the note on the files never refuses what a
killed process has left."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META
from tests.support.servers import ROOT

WRITER = """
import sys
from pathlib import Path
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META

engine = Engine(Path(sys.argv[1]), options={"write_buffer_size": "64kb"})
last = next(engine.keys(META, b"", None, reverse=True), b"-1")
number = int(last)
print(flush=True)
while True:
    for _ in range(50):
        number += 1
        other = 1 + number // 400 % 5
        engine.write([(META, b"%012d" % number, b"x" * 1000), (other, b"%d" % number, b"")])
    if number % 700 == 0:
        engine.flush()
    print(number, flush=True)
    engine.note_files()
"""


def run_cycles(folder: Path, cycles: int) -> None:
    """Each kills a writer before it has opened the folder, or after some writes; their notes are
    written far more often than a server's."""
    least = -1
    for _ in range(cycles):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        try:
            for _ in range(random.choice((0, 1, 2, 5, 20))):
                line = writer.stdout.readline()
                assert line, "it has ended by itself"
                least = max(least, int(line or b"-1") if line.strip() else least)
            with_luck = random.uniform(0.0, 0.4)
            try:
                writer.wait(with_luck)
                raise AssertionError("it has ended by itself")
            except subprocess.TimeoutExpired:
                pass
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
    engine = Engine(folder)
    keys = list(engine.keys(META, b"", None))
    engine.close()
    assert keys == [b"%012d" % number for number in range(len(keys))]
    assert len(keys) > least


def test_killed_at_any_moment(tmp_path: Path) -> None:
    run_cycles(tmp_path / "data", cycles=12)


@pytest.mark.soak
def test_killed_many_times_at_any_moment(tmp_path: Path) -> None:
    run_cycles(tmp_path / "data", cycles=300)
