"""What DUMP answers and RESTORE takes: a value, the version of the format, a checksum.

``dump(db, row)`` is all that MIGRATE needs of this package, and ``restore(db, payload)`` the other
way::

    row = db.find(key)
    payload = dump(db, row)  # bytes, or Pieces where it is long

An RDB file is a sequence of ``write(db, row)`` and ``read(db, source)``, with other things between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tendis_py.errors import NO_RDB_FORM, ReplyError
from tendis_py.pieces import BLOCK_BYTES, Pieces, Text, parts_of
from tendis_py.rdb import formats, hashes, lists, sets, streams, strings, zsets
from tendis_py.rdb.checksum import SIZE as SUM_SIZE
from tendis_py.rdb.checksum import STEP_BYTES, crc64
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import HASH, LIST, SET, STREAM, STRING, ZSET, CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.storage.pacing import ROWS_BETWEEN_RESTS, Pace
from tendis_py.types.string import fragments


class _Type(Protocol):
    """What each type's module has."""

    READS: frozenset[int]

    def write(self, db: Database, row: Row) -> Iterator[bytes]: ...

    def read(self, db: Database, source: Source, form: int) -> Row: ...


_TYPES: dict[int, _Type] = {
    STRING: strings,
    LIST: lists,
    SET: sets,
    ZSET: zsets,
    HASH: hashes,
    STREAM: streams,
}
_READERS: dict[int, Callable[[Database, Source, int], Row]] = {
    form: module.read for module in _TYPES.values() for form in module.READS
}
_VERSION_SIZE = 2
FOOT_SIZE = _VERSION_SIZE + SUM_SIZE
_BYTES_PER_ROW = 8
"""So many bytes of a payload count as a row: the smallest elements take two."""


def work_of_dump(row: Row) -> int:
    """About how many rows ``dump`` reads."""
    if not row.version:
        return 0
    if row.type == STRING:
        return fragments.work(row, 0, row.value)
    assert isinstance(row, CollectionRow)
    return row.count


def work_of_restore(payload: Text) -> int:
    """About how many rows ``is_sound`` and ``restore`` are worth."""
    return len(payload) // _BYTES_PER_ROW


def dump(db: Database, row: Row) -> Text:
    """The payload of a key's value, which may be taken up by ``restore`` here and by RESTORE of
    Redis 8.2; what is long comes in pieces. ReplyError for what Redis has no type for."""
    return footed(write(db, row), db.tx.pace)


def write(db: Database, row: Row) -> Iterator[bytes]:
    """The value's type and what it holds, part by part."""
    module = _TYPES.get(row.type)
    if module is None:
        raise ReplyError(NO_RDB_FORM)
    return module.write(db, row)


def footed(content: Iterable[bytes], pace: Pace) -> Text:
    """``content`` with version and checksum after it."""
    blocks: list[bytes] = []
    gathered = bytearray()
    total = 0
    for part in content:
        gathered += part
        if len(gathered) >= BLOCK_BYTES:
            total = _summed(gathered, total, pace)
            blocks.append(bytes(gathered))
            gathered.clear()
    gathered += formats.VERSION.to_bytes(_VERSION_SIZE, "little")
    total = _summed(gathered, total, pace)
    gathered += total.to_bytes(SUM_SIZE, "little")
    return Pieces([*blocks, bytes(gathered)]) if blocks else bytes(gathered)


def _summed(part: bytearray | memoryview, before: int, pace: Pace) -> int:
    """The checksum with ``part`` after what has the sum ``before``, with rests in between."""
    with memoryview(part) as view:
        for at in range(0, len(view), STEP_BYTES):
            with view[at : at + STEP_BYTES] as step:
                before = crc64(step, before)
            pace.rest(ROWS_BETWEEN_RESTS)
    return before


def is_sound(payload: Text, pace: Pace, *, any_checksum: bool = False) -> bool:
    """Whether ``payload`` is of a version that is known here, and has its checksum, or
    ``any_checksum``."""
    size = len(payload) - SUM_SIZE
    if size < _VERSION_SIZE:
        return False
    foot = b"".join(parts_of(payload)[-FOOT_SIZE:])[-FOOT_SIZE:]
    if int.from_bytes(foot[:_VERSION_SIZE], "little") > formats.VERSION:
        return False
    if any_checksum:
        return True
    total = 0
    for part in parts_of(payload):
        total = _summed(memoryview(part)[:size], total, pace)
        size -= min(len(part), size)
    return total == int.from_bytes(foot[_VERSION_SIZE:], "little")


def restore(db: Database, payload: Text) -> Row:
    """The row of the value in a payload, whose version and checksum are right; what a large one has
    besides is written ahead. It belongs to no key until it is put. CorruptError when it is none.

    What stands behind the value does not matter, as in Redis."""
    return read(db, Source(parts_of(payload), len(payload)))


def read(db: Database, source: Source) -> Row:
    """The row of the value that comes next, its type before it."""
    form = source.byte()
    reader = _READERS.get(form)
    if reader is None:
        raise CorruptError("type")
    return reader(db, source, form)
