"""What a MANIFEST says of the logs: which are needed no more. Each of its records is an edit of the
database's state, a row of fields: tag, then what stands under that tag (RocksDB's version_edit.h).
"""

from __future__ import annotations

from pathlib import Path

from tendis_py.storage.wal import records

_MIN_LOG_TO_KEEP = 10
_NUMBERS = frozenset((2, 3, 4, 9, 10, 200, 203, 300))
"""Tags that one number stands under."""
_TEXTS = frozenset((1, 201))
_NOTHING = 202
_COMPACT_CURSOR, _DELETED_FILE, _NEW_FILE = 5, 6, 103
_IGNORABLE = 1 << 13
"""In tags of later versions, whose length is told."""
_NO_MORE_FIELDS = 1


def first_needed_log(manifest: Path) -> int | None:
    """The lowest number of a log that may not be missing; None when that can't be told. RocksDB
    notes it before it deletes a log."""
    first = 0
    try:
        for record in records(manifest):
            found = _Edit(record).first_needed_log()
            if found is not None:
                first = found
    except (OSError, ValueError, IndexError):
        return None
    return first


class _Edit:
    def __init__(self, record: bytes) -> None:
        self._record = record
        self._place = 0

    def first_needed_log(self) -> int | None:
        first = None
        while self._place < len(self._record):
            tag = self._number()
            if tag == _MIN_LOG_TO_KEEP:
                first = self._number()
            elif tag in _NUMBERS:
                self._number()
            elif tag in _TEXTS or tag & _IGNORABLE:
                self._skip_text()
            elif tag == _COMPACT_CURSOR:
                self._number()
                self._skip_text()
            elif tag == _DELETED_FILE:
                self._number()
                self._number()
            elif tag == _NEW_FILE:
                self._skip_new_file()
            elif tag != _NOTHING:
                raise ValueError(tag)
        return first

    def _skip_new_file(self) -> None:
        """Level, number, size; first and last key; first and last sequence number; other fields."""
        for _ in range(3):
            self._number()
        for _ in range(2):
            self._skip_text()
        for _ in range(2):
            self._number()
        while self._number() != _NO_MORE_FIELDS:
            self._skip_text()

    def _number(self) -> int:
        """Seven bits a byte, the lowest first; all but the last byte have their highest bit set."""
        number = shift = 0
        while True:
            byte = self._record[self._place]
            self._place += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def _skip_text(self) -> None:
        length = self._number()
        self._place += length
