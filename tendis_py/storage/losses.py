"""What a folder has lost: files that were longer, records of the log that can't be read.

RocksDB takes a log that is missing, and one or a MANIFEST that is short, as if nothing more had
ever been written, and deletes the data files that a short MANIFEST does not name. So a note beside
them says how long they were once all of it was durable, written anew each second. It is behind
what a killed process has left, and never ahead. A folder without one is taken as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from tendis_py.errors import StorageError
from tendis_py.storage.folder import lock_folder
from tendis_py.storage.wal import BLOCK, Damage, find_cut, find_damage

NOTE = "tendis-files"

_MANIFEST = re.compile(r"MANIFEST-\d+")
_LOG = re.compile(r"\d+\.log")

_TAKE_IT = f"or remove {NOTE} to go on with what there is"
_GO_ON = "or start once with --rocksdb.wal_recovery_mode point_in_time to go on without it"

Sizes = dict[str, int]
"""File name → bytes."""


def sizes_of(path: Path, *, logs: bool) -> Sizes:
    """Of the MANIFEST in use, and of the ``logs``. The MANIFEST is durable on return."""
    sizes = {}
    with contextlib.suppress(FileNotFoundError):  # it was replaced just now
        manifest = _manifest(path)
        with manifest.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        sizes[manifest.name] = size
    if logs:
        for log in _logs(path):
            with contextlib.suppress(FileNotFoundError):
                sizes[log.name] = log.stat().st_size
    return sizes


def write_note(path: Path, sizes: Sizes) -> None:
    """Note ``sizes``, which are durable. OSError when there is no room for it."""
    text = "".join(f"{name} {size}\n" for name, size in sizes.items()).encode()
    new = path / f"{NOTE}.new"
    new.write_bytes(text + b"%08x\n" % zlib.crc32(text))
    new.replace(path / NOTE)


def read_note(path: Path) -> Sizes:
    """What was noted last; nothing when that can't be read, as after a power cut."""
    try:
        text, _, check = (path / NOTE).read_bytes()[:-1].rpartition(b"\n")
        if check != b"%08x" % zlib.crc32(text + b"\n"):
            return {}
        lines = [line.split() for line in text.decode().splitlines()]
        return {name: int(size) for name, size in lines}
    except (OSError, ValueError):
        return {}


@dataclass(frozen=True, slots=True)
class _Loss:
    file: Path
    noted: int
    left: int | None

    def __str__(self) -> str:
        if self.left is None:
            return f"'{self.file}' is missing, which had {self.noted} bytes"
        return f"'{self.file}' has {self.left} bytes of the {self.noted} that it had"


def refuse_losses(path: Path) -> list[str]:
    """Remarks on what is missing. StorageError when it is more than the end of the last write, as
    after a crash on a disk that was not quite done with what it had confirmed."""
    remarks = []
    logs = _logs(path)
    for loss in _losses(path, logs):
        is_end = logs and loss.file == logs[-1] and loss.left is not None
        if not is_end or loss.noted - (loss.left or 0) >= BLOCK:
            raise StorageError(
                f"{loss}. What it had would be lost; the folder is left as it is. Restore the "
                f"file, or the folder, from a copy, {_TAKE_IT}"
            )
        remarks.append(str(loss))
    return remarks


def _losses(path: Path, logs: list[Path]) -> list[_Loss]:
    noted = read_note(path)
    losses = []
    with contextlib.suppress(OSError):  # which RocksDB refuses
        manifest = _manifest(path)
        size = manifest.stat().st_size
        if size < noted.get(manifest.name, 0):
            losses.append(_Loss(manifest, noted[manifest.name], size))
    for name, size in noted.items():
        if not _LOG.fullmatch(name):
            continue
        log = path / name
        if log in logs:
            left = log.stat().st_size
            if left < size:
                losses.append(_Loss(log, size, left))
        elif size and not any(_number(other) > _number(log) for other in logs):
            losses.append(_Loss(log, size, None))  # others go when a newer one is there
    return losses


def mend_log(path: Path, refusal: StorageError, *, cut: bool) -> str:
    """RocksDB has refused a folder that nobody uses, for a file is damaged. If that is the end of
    the log, a write that was under way in a crash, ``cut`` it off; what there is to say about it.
    StorageError, which names the file, when it is anything else."""
    logs = [log for log in _logs(path) if log.stat().st_size]
    if logs and (damage := find_cut(logs[-1])) is not None:
        return _end(logs[-1], damage, cut)
    for file in [*logs, _manifest(path)]:
        damage = find_damage(file) if file.exists() else None
        if damage is None:
            continue
        confirmed = read_note(path).get(file.name, 0)
        if logs and file == logs[-1] and damage.is_last and damage.offset >= confirmed:
            return _end(file, damage, cut)
        raise StorageError(
            f"'{file}' is damaged at byte {damage.offset} of {file.stat().st_size}; the folder is "
            "left as it is. Restore the file, or the folder, from a copy"
            + (f", {_GO_ON} and all that was written later" if file in logs else "")
        )
    raise refusal


def _end(log: Path, damage: Damage, cut: bool) -> str:
    size = log.stat().st_size
    told = f"'{log}' ends in the middle of a write, as after a crash"
    what = f"its last {size - damage.offset} bytes"
    if not cut:
        return f"{told}: {what} will be cut off"
    lock = lock_folder(log.parent)
    try:
        with log.open("r+b") as file:
            file.truncate(damage.offset)
            os.fsync(file.fileno())
    finally:
        os.close(lock)
    return f"{told}: {what} are cut off"


def _manifest(path: Path) -> Path:
    """The one in use, by CURRENT; a name that no file has where that names none."""
    name = (path / "CURRENT").read_bytes().strip().decode("latin-1")
    return path / (name if _MANIFEST.fullmatch(name) else "MANIFEST")


def _logs(path: Path) -> list[Path]:
    """The oldest first."""
    return sorted((file for file in path.glob("*.log") if _LOG.fullmatch(file.name)), key=_number)


def _number(log: Path) -> int:
    return int(log.stem)
