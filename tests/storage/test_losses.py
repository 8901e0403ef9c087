"""A folder that has lost something: refused, and left as it is; but for the end of the log, which a
crash may leave torn."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tendis_py.errors import StorageError
from tendis_py.storage.check import CANT_OPEN, check_folder
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META
from tendis_py.storage.losses import NOTE, mend_log, refuse_losses
from tendis_py.storage.wal import BLOCK, Damage, find_cut, find_damage
from tendis_py.types.checks import INSPECTORS
from tests.support.servers import tendis_process

KEYS = 1000


def copy_folder(source: Path, target: Path) -> None:
    """Of an open store, which deletes a file now and then that it needs no more."""

    def copy(file: str, to: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(file, to)

    shutil.copytree(source, target, copy_function=copy)


def killed(folder: Path, *, keys: int = KEYS, noted: bool = True) -> Path:
    """What a server leaves that is killed after so many writes; ``noted``: a second later."""
    alive = folder / "alive"
    engine = Engine(alive)
    value = random.Random(1).randbytes(500)
    for number in range(keys):
        engine.write([(META, b"%06d" % number, value[: number % 500])])
    if noted:
        engine.note_files()
    dead = folder / "dead"
    copy_folder(alive, dead)
    engine.close()
    return dead


def log_of(folder: Path) -> Path:
    return max(folder.glob("*.log"))


def manifest_of(folder: Path) -> Path:
    return folder / (folder / "CURRENT").read_text().strip()


def shorten(file: Path, count: int) -> None:
    os.truncate(file, file.stat().st_size - count)


def flip(file: Path, place: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(place)
        flipped = bytes(byte ^ 0xFF for byte in opened.read(8))
        opened.seek(place)
        opened.write(flipped)


def contents(folder: Path) -> dict[str, bytes]:
    """But for RocksDB's diary, which it begins anew before it looks at anything."""
    files = (path for path in folder.iterdir() if not path.name.startswith("LOG"))
    return {path.name: path.read_bytes() for path in files}


def keys_of(folder: Path, **options: str) -> int:
    engine = Engine(folder, options=options)
    found = list(engine.keys(META, b"", None))
    engine.close()
    assert found == [b"%06d" % number for number in range(len(found))]
    return len(found)


def refusal(folder: Path) -> str:
    """Why neither a start nor a check takes the folder; neither may change anything."""
    before = contents(folder)
    with pytest.raises(StorageError) as refused:
        Engine(folder)
    lines: list[str] = []
    assert check_folder(folder, INSPECTORS, lines.append) == CANT_OPEN
    assert lines == [str(refused.value)]
    assert contents(folder) == before
    assert "copy" in lines[0]
    return lines[0]


def test_what_is_whole_opens(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    assert find_damage(log_of(folder)) is None
    assert find_damage(manifest_of(folder)) is None
    assert keys_of(folder) == KEYS
    assert keys_of(folder) == KEYS


def test_damage_in_the_middle_of_the_log(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    log = log_of(folder)
    flip(log, log.stat().st_size // 2)
    reason = refusal(folder)
    assert f"'{log}' is damaged at byte " in reason
    assert "--rocksdb.wal_recovery_mode point_in_time" in reason
    assert 0 < keys_of(folder, wal_recovery_mode="point_in_time") < KEYS
    assert 0 < keys_of(folder) < KEYS


def test_an_older_log_is_damaged(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "alive", options={"write_buffer_size": "64kb"})
    for number in range(KEYS):
        engine.write([(META, b"%06d" % number, bytes(100))])
    copy_folder(engine.path, tmp_path / "dead")
    engine.close()
    first, *later = sorted((tmp_path / "dead").glob("*.log"))
    assert later
    shorten(first, 10)
    assert f"'{first}' is damaged at byte " in refusal(tmp_path / "dead")


def test_the_newest_log_is_missing(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    log = log_of(folder)
    log.unlink()
    reason = refusal(folder)
    assert f"'{log}' is missing" in reason
    (folder / NOTE).unlink()
    assert NOTE in reason
    assert keys_of(folder) == 0


def test_an_older_log_is_missing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "alive", options={"write_buffer_size": "64kb"})
    for number in range(KEYS):
        engine.write([(META, b"%06d" % number, bytes(100))])
    engine.note_files()
    copy_folder(engine.path, tmp_path / "dead")
    engine.flush()
    engine.close()
    first, *later = sorted((tmp_path / "dead").glob("*.log"))
    assert later
    first.unlink()
    assert f"'{first}' is missing" in refusal(tmp_path / "dead")
    assert keys_of(engine.path) == KEYS, "they were deleted because they were not needed"


@pytest.mark.parametrize("after", ["a kill", "a stop"])
def test_the_manifest_is_cut_in_half(tmp_path: Path, after: str) -> None:
    folder = killed(tmp_path)
    if after == "a stop":
        keys_of(folder)
    manifest = manifest_of(folder)
    shorten(manifest, manifest.stat().st_size // 2)
    assert f"'{manifest}' has " in refusal(folder)


def test_the_manifest_is_damaged(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    manifest = manifest_of(folder)
    flip(manifest, 100)
    assert f"'{manifest}' is damaged at byte " in refusal(folder)


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST"])
def test_a_file_that_says_nothing(tmp_path: Path, name: str) -> None:
    folder = killed(tmp_path)
    file = folder / "CURRENT" if name == "CURRENT" else manifest_of(folder)
    file.write_bytes(bytes(file.stat().st_size))
    with pytest.raises(StorageError):
        Engine(folder)


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("lost", [1, 7, 60, 2000])
def test_a_torn_end_of_the_log_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, noted: bool, lost: int
) -> None:
    folder = killed(tmp_path, noted=noted)
    shorten(log_of(folder), lost)
    lines: list[str] = []
    before = contents(folder)
    check_folder(folder, INSPECTORS, lines.append)
    assert any(f"'{log_of(folder)}' ends in the middle of a write" in line for line in lines)
    assert contents(folder) == before
    with caplog.at_level(logging.WARNING):
        assert KEYS - lost // 200 - 2 < keys_of(folder) < KEYS
    assert "are cut off" in caplog.text
    assert keys_of(folder) < KEYS


def test_a_last_write_that_never_reached_the_disk(tmp_path: Path) -> None:
    """The file has its length, and other bytes: after a power cut."""
    folder = killed(tmp_path, noted=False)
    log = log_of(folder)
    flip(log, log.stat().st_size - 20)
    assert keys_of(folder) == KEYS - 1


def test_a_last_write_that_had_reached_the_disk(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    log = log_of(folder)
    flip(log, log.stat().st_size - 20)
    assert f"'{log}' is damaged" in refusal(folder)


def test_half_of_the_log_is_more_than_a_torn_end(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    log = log_of(folder)
    shorten(log, log.stat().st_size // 2)
    assert f"'{log}' has " in refusal(folder)


def test_an_old_note_refuses_nothing(tmp_path: Path) -> None:
    """After a kill the note may be of a while ago."""
    folder = killed(tmp_path)
    note = (folder / NOTE).read_bytes()
    for _ in range(3):
        engine = Engine(folder)
        engine.write([(META, b"%06d" % number, b"") for number in range(KEYS)])
        engine.flush()
        engine.close()
        (folder / NOTE).write_bytes(note)
    assert keys_of(folder) == KEYS


@pytest.mark.parametrize("text", [b"", b"\0\0\0", b"MANIFEST", b"000004.log 99999999\n00000000\n"])
def test_a_note_that_is_not_whole_is_none(tmp_path: Path, text: bytes) -> None:
    folder = killed(tmp_path)
    (folder / NOTE).write_bytes(text)
    assert keys_of(folder) == KEYS


def edit_nothing(data: bytearray) -> None:
    pass


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (edit_nothing, None),
        (lambda data: data.extend(bytes(100)), None),
        (lambda data: data.extend(b"\1"), (True, True)),
        (lambda data: data.extend(b"\xff" * 100), (False, True)),
        (lambda data: data.__delitem__(slice(-3, None)), (True, True)),
        (lambda data: data.__delitem__(slice(3 * BLOCK + 1, None)), (True, True)),
        (lambda data: data.__setitem__(3 * BLOCK, data[3 * BLOCK] ^ 1), (False, False)),
        (lambda data: data.__setitem__(2 * BLOCK + 5, 255), (False, False)),
    ],
)
def test_the_walk(
    tmp_path: Path, edit: Callable[[bytearray], None], found: tuple[bool, bool] | None
) -> None:
    """Writes of all lengths, one of them over several blocks."""
    engine = Engine(tmp_path / "data")
    lengths = [*range(0, 3000, 50), 2 * BLOCK, *range(300)]
    for number, length in enumerate(lengths):
        engine.write([(META, b"%d" % number, random.Random(length).randbytes(length))])
    data = bytearray(log_of(engine.path).read_bytes())
    engine.close()
    edit(data)
    file = tmp_path / "log"
    file.write_bytes(data)
    damage = find_damage(file)
    assert found == (damage and (damage.is_cut, damage.is_last))
    assert find_cut(file) == (damage if found and found[0] else None)
    if damage is not None:
        file.write_bytes(data[: damage.offset])
        assert find_damage(file) is None
        assert damage == Damage(damage.offset, *(found or ()))


def test_the_server_says_what_is_lost(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    server.start()
    with server.client() as client:
        for number in range(KEYS):
            assert client.command("SET", f"key:{number}", "1") == b"+OK\r\n"
    server.kill()
    log = log_of(tmp_path / "tendis-data")
    flip(log, log.stat().st_size // 2)
    done = subprocess.run(server.command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"{log.name}' is damaged at byte " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    server.command += ["--rocksdb.wal_recovery_mode", "point_in_time"]
    server.start()
    with server.client() as client:
        assert 0 < client.value("DBSIZE") < KEYS
    server.stop()


def test_a_start_that_is_killed_after_it_has_cut_off_a_long_write(tmp_path: Path) -> None:
    """The next one misses nothing, though it is more than a crash would leave."""
    engine = Engine(tmp_path / "alive")
    engine.write([(META, b"000000", b"")])
    engine.write([(META, b"000001", random.Random(1).randbytes(4 * BLOCK))])
    engine.note_files()
    folder = tmp_path / "dead"
    copy_folder(engine.path, folder)
    engine.close()
    shorten(log_of(folder), 10)
    assert refuse_losses(folder)
    mend_log(folder, StorageError("damaged"), cut=True)
    assert refuse_losses(folder) == []
    assert keys_of(folder) == 1
