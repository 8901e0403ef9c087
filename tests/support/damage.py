"""Damage to the data files of a folder that no server has open. Knows what RocksDB writes at the
end of them, as far as it takes to find the blocks of one column family."""

from __future__ import annotations

import re
from pathlib import Path

_FLIPPED = 8


def data_files(folder: Path, family: str) -> list[Path]:
    """The data files of a column family, the largest first."""
    name = bytes([len(family)]) + b"name" + family.encode()  # of its property block
    files = [path for path in folder.glob("*.sst") if name in path.read_bytes()]
    return sorted(files, key=lambda path: path.stat().st_size, reverse=True)


def data_file(folder: Path, family: str) -> Path:
    """The largest data file of a column family."""
    return data_files(folder, family)[0]


def data_size(path: Path) -> int:
    """How many bytes of a data file are blocks of rows; they are its first."""
    _, _, after = path.read_bytes().rpartition(b"data.size")
    size = shift = 0
    for byte in after:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return size


def flip(path: Path, at: int) -> None:
    """Flip some bytes; a second time, and they are as they were."""
    with path.open("r+b") as file:
        file.seek(at)
        flipped = bytes(byte ^ 0xFF for byte in file.read(_FLIPPED))
        file.seek(at)
        file.write(flipped)


def damage(folder: Path, family: str, share: float = 0.5) -> Path:
    """Damage the block at that ``share`` of the rows in a family's largest file, which is
    returned."""
    path = data_file(folder, family)
    flip(path, int((data_size(path) - _FLIPPED) * share))
    return path


def damage_row(folder: Path, family: str, part: bytes) -> bytes:
    """Damage the block of the first row in each file of which a part matches ``part``, whose first
    group is returned. Rows must not be compressed; keys are, but for one in 16."""
    found = b""
    for path in data_files(folder, family):
        match = re.search(part, path.read_bytes()[: data_size(path)])
        if match is not None:
            flip(path, match.start())
            found = match[1]
    assert found, f"{part!r} is in no file of {family}"
    return found
