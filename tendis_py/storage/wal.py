"""RocksDB's logs, the write-ahead log and the MANIFEST: where they end, where one is damaged.

A file is blocks of 32 KB, each a row of fragments: masked CRC32C (4), length (2), type (1), bytes.
A record is one fragment, or several from FIRST to LAST. RocksDB says that a log is damaged, not
where; it verifies the checksums in any case, so that only what it refuses is looked at here, some
10 MB a second. (https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format)
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

BLOCK = 32 * 1024

_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_NOTHING = 0
"""Type of what was allocated and never written."""
_TYPES = frozenset((_FULL, _FIRST, _MIDDLE, _LAST, 9, 10, 130))
"""Also those that tell how records are compressed, and the like; they are as FULL."""


@dataclass(frozen=True, slots=True)
class Damage:
    """From byte ``offset`` on a file can't be read, which is the beginning of a record.
    ``is_cut``: because the file ends in the middle of it. ``is_last``: nothing that can be read
    stands behind."""

    offset: int
    is_cut: bool
    is_last: bool


def find_cut(path: Path) -> Damage | None:
    """Where a file ends in the middle of a record, if it does; a look at the headers alone."""
    damage = _walk(_content(path), checks=False)
    return damage if damage is not None and damage.is_cut else None


def find_damage(path: Path) -> Damage | None:
    """The first damage of a file; every checksum is verified."""
    return _walk(_content(path), checks=True)


def _content(path: Path) -> mmap.mmap | bytes:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _walk(data: mmap.mmap | bytes, *, checks: bool) -> Damage | None:
    size = len(data)
    place = 0
    begun: int | None = None
    while place < size:
        left = BLOCK - place % BLOCK
        if left < _HEADER.size:
            place += left
            continue
        record = place if begun is None else begun
        if size - place < _HEADER.size:
            return Damage(record, is_cut=True, is_last=True)
        _, length, kind = _HEADER.unpack_from(data, place)
        if kind == _NOTHING and not length:
            place += left
            continue
        end = place + _HEADER.size + length
        is_whole = kind in _TYPES and _HEADER.size + length <= left
        if is_whole and end > size:
            return Damage(record, is_cut=True, is_last=True)
        if not is_whole or (checks and not _is_sound(data, place, end)):
            return Damage(record, is_cut=False, is_last=not _is_readable_after(data, place))
        begun = record if kind in (_FIRST, _MIDDLE) else None
        place = end
    return None if begun is None else Damage(begun, is_cut=True, is_last=True)


def _is_readable_after(data: mmap.mmap | bytes, place: int) -> bool:
    """Whether there is a sound fragment somewhere behind ``place``: in the same block at any byte,
    in those that follow at their beginning."""
    size = len(data)
    block_end = min(place - place % BLOCK + BLOCK, size)
    places = [*range(place + 1, block_end), *range(block_end, size, BLOCK)]
    for start in places:
        if start + _HEADER.size >= size:
            break
        _, length, kind = _HEADER.unpack_from(data, start)
        end = start + _HEADER.size + length
        fits = end <= min(start - start % BLOCK + BLOCK, size)
        if length and kind in _TYPES and fits and _is_sound(data, start, end):
            return True
    return False


def _is_sound(data: mmap.mmap | bytes, place: int, end: int) -> bool:
    (masked,) = struct.unpack_from("<I", data, place)
    checked = data[place + _HEADER.size - 1 : end]  # from its type on
    crc = _crc32c(checked)
    return bool(masked == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _make_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _make_table()


def _crc32c(data: bytes) -> int:
    table = _TABLE
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
