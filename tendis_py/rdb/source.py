"""Bytes that are read in order: the numbers and strings that RDB is made of.

A ``Source`` checks every length against what is there before it takes memory for it, so that what a
hostile one makes of it is never more than it brings (LZF: some ninety times as much).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from tendis_py.pieces import BLOCK_BYTES
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.formats import ENCODED, INT8, INT16, INT32, LZF
from tendis_py.rdb.lzf import decompressed

_LONG = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_INTEGER_SIZES = {INT8: 1, INT16: 2, INT32: 4}
_MOST_EXPANSION = 132
"""By how much LZF makes a byte more at the most: 2 to 3 bytes stand for up to 264."""


class Source:
    """Reads ``parts``, one after the other, of which there are ``size`` bytes together."""

    __slots__ = ("_at", "_buffer", "_parts", "_rest")

    def __init__(self, parts: Iterable[bytes], size: int) -> None:
        self._parts = iter(parts)
        self._rest = size  # of the parts still to come
        self._buffer = b""
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._buffer) - self._at + self._rest

    def read(self, size: int) -> bytes:
        """So many bytes, which are one object."""
        stop = self._at + size
        if stop > len(self._buffer):
            self._fill(size)
            stop = size
        found = self._buffer[self._at : stop]
        self._at = stop
        return found

    def byte(self) -> int:
        if self._at == len(self._buffer):
            self._fill(1)
        found = self._buffer[self._at]
        self._at += 1
        return found

    def _fill(self, size: int) -> None:
        """Have so many bytes, or more, at hand in one buffer, from its start."""
        if size > self.left:
            raise CorruptError("cut off")
        while self._at == len(self._buffer):
            self._buffer, self._at = self._next(), 0
        found = self._buffer[self._at :] if self._at else self._buffer
        parts, have = [found], len(found)
        while have < size:
            part = self._next()
            parts.append(part)
            have += len(part)
        self._buffer, self._at = b"".join(parts), 0

    def _next(self) -> bytes:
        part = next(self._parts, None)
        if part is None:
            raise CorruptError("cut off")
        self._rest -= len(part)
        return part

    def blocks(self, size: int) -> Iterator[bytes]:
        """As ``read``, in blocks of a reasonable size; to be taken before anything else is read."""
        if size > self.left:
            raise CorruptError("cut off")
        while size:
            if self._at == len(self._buffer):
                self._buffer, self._at = self._next(), 0
            block = self._buffer[self._at : self._at + min(size, BLOCK_BYTES)]
            self._at += len(block)
            size -= len(block)
            if block:
                yield block

    # What RDB is made of

    def length(self) -> int:
        """A number below 2 ** 64, which may be a length. As in Redis, one that says of a string
        how it is encoded is read as a number, too."""
        first = self.byte()
        if first < 64:
            return first
        if first < 128:
            return (first & 63) << 8 | self.byte()
        if first >= ENCODED:
            return first & 63
        if first == 0x80:
            return int.from_bytes(self.read(4), "big")
        if first == 0x81:
            return int.from_bytes(self.read(8), "big")
        raise CorruptError("length")

    def number(self) -> int:
        """8 bytes with a sign: a time in ms."""
        found: int
        (found,) = _LONG.unpack(self.read(8))
        return found

    def double(self) -> float:
        found: float
        (found,) = _DOUBLE.unpack(self.read(8))
        return found

    def string(self) -> bytes:
        """A string, whole."""
        buffer, at = self._buffer, self._at
        if at < len(buffer):
            size = buffer[at]
            if size < 64 and at + size < len(buffer):
                self._at = stop = at + 1 + size
                return buffer[at + 1 : stop]
        return b"".join(self.text()[1])

    def text(self) -> tuple[int, Iterator[bytes]]:
        """The length of a string, and its bytes in blocks, to be taken before anything else is
        read."""
        first = self.byte()
        if first < ENCODED:
            self._at -= 1
            size = self.length()
            if size > self.left:
                raise CorruptError("cut off")
            return size, self.blocks(size)
        encoding = first & 63
        if encoding == LZF:
            compressed, size = self.length(), self.length()
            if compressed > self.left or size > compressed * _MOST_EXPANSION:
                raise CorruptError("LZF")
            return size, decompressed(self.blocks(compressed), size)
        if encoding not in _INTEGER_SIZES:
            raise CorruptError("string")
        digits = self.read(_INTEGER_SIZES[encoding])
        spelled = b"%d" % int.from_bytes(digits, "little", signed=True)
        return len(spelled), iter((spelled,))

    def inner(self) -> Source:
        """A string, which is read as a source of its own, to its end, before anything else of this
        one is."""
        size, blocks = self.text()
        return Source(blocks, size)

    def end(self) -> None:
        """CorruptError unless all was read."""
        if self.left:
            raise CorruptError("more than there should be")
