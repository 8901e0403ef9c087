"""LZF, in which Redis keeps strings of more than 20 bytes that it makes shorter by that.

It is only read here: to compress in Python takes 50 times as long as to read, and a string that is
not compressed is as good to every reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tendis_py.rdb.errors import CorruptError

_REACH = 1 << 13
"""How far back a reference may point."""
_BLOCK_BYTES = 1 << 18
_LONGEST = 33
"""Bytes that an instruction takes at the most."""


def decompressed(parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The ``size`` bytes that were compressed, in blocks; takes no more memory than one of them.
    CorruptError where they are more, or fewer, or no LZF."""
    rest = iter(parts)
    data, at = b"", 0
    out = bytearray()
    made = 0  # and handed out
    more = True
    while True:
        if more and len(data) - at < _LONGEST:
            part = next(rest, None)
            more = part is not None
            data, at = data[at:] + (part or b""), 0
            continue
        if at == len(data):
            break
        try:
            at = _step(data, at, out)
        except IndexError:
            raise CorruptError("LZF") from None
        if made + len(out) > size:
            raise CorruptError("LZF")
        if len(out) > _BLOCK_BYTES + _REACH:
            yield bytes(out[:-_REACH])
            made += len(out) - _REACH
            del out[:-_REACH]
    if made + len(out) != size:
        raise CorruptError("LZF")
    yield bytes(out)


def _step(data: bytes, at: int, out: bytearray) -> int:
    """Do the instruction at ``at``; where the next one is."""
    control = data[at]
    if control < 32:
        stop = at + 2 + control
        if stop > len(data):
            raise IndexError
        out += data[at + 1 : stop]
        return stop
    length = control >> 5
    if length == 7:
        at += 1
        length += data[at]
    length += 2
    at += 2
    start = len(out) - ((control & 31) << 8) - data[at - 1] - 1
    if start < 0:
        raise IndexError
    found = out[start : start + length]
    if len(found) < length:  # it goes on into what it makes
        found = (found * (length // len(found) + 1))[:length]
    out += found
    return at
