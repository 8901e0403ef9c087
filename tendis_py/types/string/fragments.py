"""Long strings in fragments, so that a bit of 512 MB can be set without writing 512 MB, and that no
single write, read or copy of 512 MB holds the GIL.

A string that is edited in place and is longer than WHOLE_BYTES, or longer than LONG_BYTES however
it came about, is cut into fragments: rows keyed by their number, each with its trailing zero bytes
left off, and none at all where all is zero. Its meta row's ``value`` is the length in bytes, its
``count`` the number of fragments stored. Any other string is whole in its row. What is here takes
both; it knows neither bits nor RESP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tendis_py.pieces import BLOCK_BYTES, Pieces, Text, parts_of
from tendis_py.storage.changes import Unmodified
from tendis_py.storage.codec import RAW, STRING, Collection, CollectionRow, Row, StringRow, register
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements, VersionWriter

FRAGMENT_BYTES = 4096
"""Setting a bit writes one; counting the bits of one costs little more than finding it."""
WHOLE_BYTES = 4 * FRAGMENT_BYTES
LONG_BYTES = 1 << 19
"""A row this long is written in one or two milliseconds, with the GIL held."""
_PIECE_BYTES = 16 * FRAGMENT_BYTES
"""What is looked at at once of a string that is whole: the GIL can be handed on in between."""
_ZEROS = bytes(4 * _PIECE_BYTES)
_FEW = 16
"""Fragments that are read by their numbers, through the cache; more are iterated over."""
_FRAGMENTED = 3
"""The encoding byte, after those of whole strings (codec.NATURAL, RAW, TEXT)."""
_ADMITTED = 4
"""What a fragment counts when a command asks for the fast lane: its bytes are work, too."""
_ADMITTED_NEW = 4 * _ADMITTED
"""What a fragment of a new string counts: those of LONG_BYTES are too much for the fast lane, where
nobody may wait for RocksDB."""


def _pack(row: CollectionRow) -> bytes:
    size: int = row.value
    return size.to_bytes(8, "big")


def _unpack(raw: bytes, row: CollectionRow) -> int:
    return int.from_bytes(raw, "big")


register(STRING, Collection(("", "", "", "raw"), _pack, _unpack))


def fragmented_row(size: int, count: int, version: int, expire_at: int = 0) -> CollectionRow:
    """The row of a string of ``size`` bytes of which ``count`` fragments are stored."""
    return CollectionRow(
        STRING, size, count, version=version, encoding=_FRAGMENTED, expire_at=expire_at
    )


# Reading


def size(row: Row) -> int:
    """The length of a string, in bytes."""
    length: int = row.value if row.version else len(row.value)
    return length


def work(row: Row, start: int, stop: int) -> int:
    """What to ask admission for (Transaction.admit) before reading these bytes."""
    fragments = max(stop - start, 0) // FRAGMENT_BYTES
    if row.version:
        assert isinstance(row, CollectionRow)
        fragments = min(fragments, row.count)
    return _ADMITTED * fragments


def read(db: Database, row: Row, start: int, stop: int) -> bytes:
    """The bytes from ``start`` on, those from ``stop`` on left out; reads only their fragments."""
    if not row.version:
        whole: bytes = row.value
        return whole[start:stop]
    stop = min(stop, size(row))
    if start >= stop:
        return b""
    db.tx.admit(work(row, start, stop))
    return b"".join(_filled(db, row, start, stop))


def whole(db: Database, row: Row) -> bytes:
    """The string."""
    return read(db, row, 0, row.value) if row.version else row.value


def in_order(db: Database, row: Row) -> Iterator[bytes]:
    """The whole string, part by part: no more of it than a part is in memory."""
    if not row.version:
        return iter((row.value,))
    db.tx.admit(work(row, 0, row.value))
    return _filled(db, row, 0, row.value)


def text(db: Database, row: Row, start: int, stop: int) -> Text:
    """As ``read``; what is long and in fragments comes in pieces, and takes no memory where it is
    zero."""
    stop = min(stop, size(row))
    if not row.version or stop - start <= LONG_BYTES:
        return read(db, row, start, stop)
    db.tx.admit(work(row, start, stop))
    return Pieces(_gathered(_filled(db, row, start, stop)))


def _filled(db: Database, row: Row, start: int, stop: int) -> Iterator[bytes]:
    """All bytes between ``start`` and ``stop``, in order."""
    for offset, piece in pieces(db, row, start, stop):
        yield from _zeros(offset - start)
        yield piece
        start = offset + len(piece)
    yield from _zeros(stop - start)


def _zeros(length: int) -> Iterator[bytes]:
    for _ in range(length // len(_ZEROS)):
        yield _ZEROS
    if length % len(_ZEROS):
        yield _ZEROS[: length % len(_ZEROS)]


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of a reasonable size; what is long enough stays as it is."""
    found: list[bytes] = []
    length = 0
    for part in parts:
        if part is _ZEROS:
            yield b"".join(found)
            yield part
            found, length = [], 0
            continue
        found.append(part)
        length += len(part)
        if length >= BLOCK_BYTES:
            yield b"".join(found)
            found, length = [], 0
    yield b"".join(found)


def byte(db: Database, row: Row, at: int) -> int:
    """The byte at ``at``; 0 beyond the end."""
    if at >= size(row):
        return 0
    if not row.version:
        value: int = row.value[at]
        return value
    part = Elements(db.tx, row.version).get(_element(at // FRAGMENT_BYTES)) or b""
    at %= FRAGMENT_BYTES
    return part[at] if at < len(part) else 0


def pieces(db: Database, row: Row, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) in order of what lies between ``start`` and ``stop``. All that is left out
    is zero. The caller has asked for admission (``work``)."""
    if not row.version:
        value: bytes = row.value
        stop = min(stop, len(value))
        for at in range(start, stop, _PIECE_BYTES):
            yield at, value[at : min(at + _PIECE_BYTES, stop)]
        return
    last = (min(stop, size(row)) - 1) // FRAGMENT_BYTES
    for number, fragment in _stored(db, row, start // FRAGMENT_BYTES, last):
        base = number * FRAGMENT_BYTES
        piece = fragment[max(start - base, 0) : stop - base]
        if piece:
            yield max(start, base), piece


def fragments(db: Database, row: Row) -> Iterator[tuple[int, bytes]]:
    """(number, fragment) of the whole string, in order; those left out are zero."""
    if row.version:
        yield from _stored(db, row, 0, size(row) // FRAGMENT_BYTES)
        return
    for number, at in enumerate(range(0, len(row.value), FRAGMENT_BYTES)):
        yield number, row.value[at : at + FRAGMENT_BYTES]


def _stored(db: Database, row: Row, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """The stored fragments from number ``first`` to ``last``."""
    elements = Elements(db.tx, row.version)
    if last - first < _FEW:
        numbers = range(first, last + 1)
        found = elements.get_many(list(map(_element, numbers)))
        for number, fragment in zip(numbers, found, strict=True):
            if fragment is not None:
                yield number, fragment
        return
    for element, fragment in elements.items(_element(first), _element(last + 1)):
        yield int.from_bytes(element, "big"), fragment


def _element(number: int) -> bytes:
    return number.to_bytes(4, "big")


# Writing


def row_for(db: Database, value: Text, expire_at: int = 0) -> Row:
    """A row for the string ``value``: it has it whole, or the version of its fragments, which are
    written ahead. Ask before anything else is written."""
    return row_of_parts(db, len(value), parts_of(value), expire_at)


def row_of_parts(db: Database, size: int, parts: Iterable[bytes], expire_at: int = 0) -> Row:
    """As ``row_for``, for a string of ``size`` bytes that comes part by part."""
    if size <= LONG_BYTES:
        return StringRow(b"".join(parts), expire_at)
    db.tx.admit(_ADMITTED_NEW * (1 + size // FRAGMENT_BYTES))
    writer = FragmentWriter(db)
    for number, fragment in enumerate(_cut(parts)):
        writer.add(number, fragment)
    return fragmented_row(size, writer.count, writer.finish(), expire_at)


def _cut(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The fragments of what comes in ``parts``, zeros included."""
    rest = b""
    for part in parts:
        at = 0
        if rest:
            at = FRAGMENT_BYTES - len(rest)
            rest += part[:at]
            if len(rest) < FRAGMENT_BYTES:
                continue
            yield rest
        for start in range(at, len(part) - FRAGMENT_BYTES + 1, FRAGMENT_BYTES):
            yield part[start : start + FRAGMENT_BYTES]
        rest = part[len(part) - (len(part) - at) % FRAGMENT_BYTES :]
    if rest:
        yield rest


class Draft:
    """The string at ``key`` while it is edited in place; ``old`` is its row.

    Bytes may be read, written and added in any order. Nothing is written to the keyspace before
    ``save``, and then only the fragments that were changed.
    """

    __slots__ = (
        "_changed",
        "_db",
        "_elements",
        "_key",
        "_old",
        "_old_size",
        "_parts",
        "_stored",
        "_whole",
        "size",
    )

    def __init__(self, db: Database, key: bytes, old: Row | None) -> None:
        self._db = db
        self._key = key
        self._old = old
        self._whole: bytearray | None = None
        self._elements: Elements | None = None
        self._parts: dict[int, bytearray] = {}
        self._changed: dict[int, None] = {}
        self._stored: set[int] = set()
        """Of the fragments looked at, those that were there before."""
        if old is not None and old.version:
            self.size: int = old.value
            self._elements = Elements(db.tx, old.version)
        else:
            self._whole = bytearray(b"" if old is None else old.value)
            self.size = len(self._whole)
            self.grow(self.size)
        self._old_size = self.size

    def grow(self, length: int) -> None:
        """Have the string be at least this long, with zero bytes at its end."""
        added = length - self.size
        if added > 0:
            self.size = length
        if self._whole is None:
            return
        if self.size > WHOLE_BYTES:
            for at in range(0, len(self._whole), FRAGMENT_BYTES):
                self._parts[at // FRAGMENT_BYTES] = self._whole[at : at + FRAGMENT_BYTES]
            self._changed.update(dict.fromkeys(self._parts))
            self._whole = None
        elif added > 0:
            self._whole += bytes(added)

    def read(self, start: int, stop: int) -> bytes:
        """These bytes, zeros beyond the end."""
        if self._whole is not None:
            return bytes(self._whole[start:stop]).ljust(stop - start, b"\0")
        found = b""
        while start < stop:
            number, at = divmod(start, FRAGMENT_BYTES)
            taken = min(FRAGMENT_BYTES - at, stop - start)
            found += bytes(self._part(number)[at : at + taken]).ljust(taken, b"\0")
            start += taken
        return found

    def write(self, start: int, piece: Text) -> None:
        """Lay ``piece`` over the string at ``start``, growing it as needed. A long one asks for
        admission: before the first ``save``."""
        if len(piece) > WHOLE_BYTES:
            self._db.tx.admit(_ADMITTED * (len(piece) // FRAGMENT_BYTES))
        self.grow(start + len(piece))
        if self._whole is not None:
            self._whole[start : start + len(piece)] = bytes(piece)
            return
        for part in parts_of(piece):
            self._lay(start, part)
            start += len(part)

    def _lay(self, start: int, piece: bytes) -> None:
        done = 0
        while done < len(piece):
            number, at = divmod(start + done, FRAGMENT_BYTES)
            taken = piece[done : done + FRAGMENT_BYTES - at]
            part = self._part(number)
            part += bytes(max(at - len(part), 0))
            part[at : at + len(taken)] = taken
            self._changed[number] = None
            done += len(taken)

    def _part(self, number: int) -> bytearray:
        part = self._parts.get(number)
        if part is None:
            found = None
            if self._elements is not None and number * FRAGMENT_BYTES < self._old_size:
                found = self._elements.get(_element(number))
            if found is not None:
                self._stored.add(number)
            part = self._parts[number] = bytearray(found or b"")
        return part

    def save(self, edits: int = 1) -> None:
        """Write the string, which keeps its deadline. So many ``edits`` are counted; if none, and
        it has not grown, it is written only where it becomes raw."""
        old = self._old
        if not edits and old is not None and self._is_as_before(old):
            return
        expire_at = 0 if old is None else old.expire_at
        if self._whole is not None:
            row: Row = StringRow(bytes(self._whole), expire_at, RAW)
        else:
            self._db.tx.admit(_ADMITTED * len(self._changed))
            count, version = self._save_changed() if self._elements else self._save_all()
            row = fragmented_row(self.size, count, version, expire_at)
        is_same = not edits and old is not None and self.size == size(old)
        self._db.put(self._key, row, old, edits=Unmodified(0) if is_same else edits)

    def _is_as_before(self, old: Row) -> bool:
        """Where nothing was written: whether the string is as long, and raw, already."""
        is_raw = self._whole is None or (isinstance(old, StringRow) and old.form == RAW)
        return is_raw and self.size == size(old)

    def _save_changed(self) -> tuple[int, int]:
        """Write what was changed of a fragmented string: how many it has now, its version."""
        elements, old = self._elements, self._old
        assert elements is not None
        assert isinstance(old, CollectionRow)
        count = old.count
        if len(self._changed) * FRAGMENT_BYTES > LONG_BYTES:
            self._db.tx.many_bytes = True
        for number in self._changed:
            fragment = stripped(self._parts[number])
            was_there = number in self._stored
            if not fragment:
                if was_there:
                    elements.remove(_element(number))
                    count -= 1
            elif was_there:
                elements.set(_element(number), fragment)
            else:
                elements.add(_element(number), fragment)
                count += 1
        return count, old.version

    def _save_all(self) -> tuple[int, int]:
        """Write a string in fragments that was whole: how many, its version."""
        writer = FragmentWriter(self._db)
        for number in sorted(self._changed):
            writer.add(number, self._parts[number])
        return writer.count, writer.finish()


class FragmentWriter:
    """Writes the fragments of a new string, each once; ``count`` of them are stored."""

    __slots__ = ("_writer", "count")

    def __init__(self, db: Database) -> None:
        self._writer = VersionWriter(db.tx)
        self.count = 0

    def add(self, number: int, part: bytes | bytearray) -> None:
        fragment = stripped(part)
        if fragment:
            self._writer.add(_element(number), fragment)
            self.count += 1

    def finish(self) -> int:
        """The version."""
        return self._writer.finish()


def stripped(part: bytes | bytearray) -> bytes:
    """A fragment as it is stored; nothing if it is not."""
    return bytes(part).rstrip(b"\0")
