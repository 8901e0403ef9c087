"""Bitmaps: strings as arrays of bits, the first bit of a byte being its highest. No RESP.

No loop here is over bits or bytes: fragments of 4 kB are looked at as whole integers. Bits beyond
the end of a string are 0, as are those of a key that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from heapq import merge
from itertools import groupby, repeat
from operator import and_, or_, xor

from tendis_py.storage.codec import RAW, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.types.string.fragments import (
    FRAGMENT_BYTES,
    WHOLE_BYTES,
    Draft,
    FragmentWriter,
    byte,
    fragmented_row,
    fragments,
    pieces,
    size,
    work,
)
from tendis_py.types.string.values import checked


def get_bit(db: Database, key: bytes, offset: int) -> int:
    row = checked(db.find(key))
    return 0 if row is None else byte(db, row, offset >> 3) >> (7 - (offset & 7)) & 1


def set_bit(db: Database, key: bytes, offset: int, bit: int) -> int:
    """Set the bit, growing the string up to it; what the bit was."""
    draft = Draft(db, key, checked(db.peek(key)))
    at, mask = offset >> 3, 0x80 >> (offset & 7)
    before = draft.read(at, at + 1)[0]
    after = before | mask if bit else before & ~mask
    changes = at >= draft.size or after != before
    if changes:
        draft.write(at, bytes((after,)))
    draft.save(int(changes))
    return int(before & mask > 0)


# Searching


def interval(first: int, last: int, length: int) -> range:
    """The positions from ``first`` to ``last``, both included, of something ``length`` long;
    negative ones count from the end."""
    first = max(first + length, 0) if first < 0 else first
    last = max(last + length, 0) if last < 0 else last
    return range(first, min(last, length - 1) + 1)


def count(db: Database, row: Row, bits: range) -> int:
    """How many of these bits are set."""
    if not bits:
        return 0
    db.tx.admit(work(row, bits.start >> 3, bits.stop >> 3))
    return sum(int.from_bytes(piece).bit_count() for _, piece in _cut(db, row, bits, 0))


def find(db: Database, row: Row, bit: int, bits: range) -> int | None:
    """The position of the first among ``bits``, at least one, that is ``bit``."""
    db.tx.admit(work(row, bits.start >> 3, bits.stop >> 3))
    dull = b"\0" if bit else b"\xff"
    end = bits.start >> 3  # of what has been looked at
    for offset, piece in _cut(db, row, bits, 1 - bit):
        if not bit and offset > end:
            break
        rest = piece.lstrip(dull)
        end = offset + len(piece)
        if rest:
            wanted = rest[0] if bit else rest[0] ^ 0xFF
            return (end - len(rest)) * 8 + 8 - wanted.bit_length()
    at = max(end * 8, bits.start)  # zeros that are not stored come next, if anything
    return None if bit or at >= bits.stop else at


def _cut(db: Database, row: Row, bits: range, fill: int) -> Iterator[tuple[int, bytes]]:
    """The pieces of the string that ``bits`` are in. In the first and last byte, where they are
    stored, other bits are ``fill``."""
    first, last = bits.start >> 3, bits.stop - 1 >> 3
    before = 0xFF00 >> (bits.start & 7) & 0xFF  # in the first byte, the bits not asked for
    after = 0x7F >> (bits.stop - 1 & 7)
    for offset, piece in pieces(db, row, first, last + 1):
        if offset == first and before:
            piece = bytes((_masked(piece[0], before, fill),)) + piece[1:]
        if offset + len(piece) == last + 1 and after:
            piece = piece[:-1] + bytes((_masked(piece[-1], after, fill),))
        yield offset, piece


def _masked(value: int, mask: int, fill: int) -> int:
    return value | mask if fill else value & ~mask


# Combining

Combine = Callable[[list[int]], int]
"""Bit strings of equal length, as integers → their combination."""


def _rest(sources: list[int]) -> int:
    return reduce(or_, sources[1:])


def _difference(sources: list[int]) -> int:
    return sources[0] & ~_rest(sources)


def _others_only(sources: list[int]) -> int:
    return _rest(sources) & ~sources[0]


def _and_any(sources: list[int]) -> int:
    return sources[0] & _rest(sources)


def _exactly_one(sources: list[int]) -> int:
    once = more = 0
    for source in sources:
        more |= once & source
        once |= source
    return once & ~more


OPERATIONS: dict[bytes, Combine] = {
    b"AND": lambda sources: reduce(and_, sources),
    b"OR": lambda sources: reduce(or_, sources),
    b"XOR": lambda sources: reduce(xor, sources),
    b"DIFF": _difference,
    b"DIFF1": _others_only,
    b"ANDOR": _and_any,
    b"ONE": _exactly_one,
}
"""Of BITOP; NOT is another matter, since it makes something of zeros."""


def combine(db: Database, target: bytes, sources: list[bytes], operation: bytes) -> int:
    """Set ``target`` to the combination of the strings ``sources``, shorter ones taken to end in
    zeros, or delete it when all are empty; its length. ``operation``: a word of BITOP."""
    rows = [checked(db.find(key)) for key in sources]
    length = max(0 if row is None else size(row) for row in rows)
    old = db.peek(target)
    if not length:
        if old is not None:
            db.delete(target, old)
        return 0
    db.tx.admit(sum(work(row, 0, length) for row in rows if row is not None))
    if operation == b"NOT":
        made = _inverted(db, rows[0], length)
    else:
        made = _combined(db, rows, OPERATIONS[operation])
    db.put(target, _row_of(db, made, length), old)
    return length


def _combined(
    db: Database, rows: list[Row | None], operation: Combine
) -> Iterator[tuple[int, bytes]]:
    """The fragments of the result, by their numbers; those left out are zero."""
    streams = [
        zip(fragments(db, row), repeat(place)) for place, row in enumerate(rows) if row is not None
    ]
    together = merge(*streams, key=lambda found: found[0][0])
    for number, group in groupby(together, key=lambda found: found[0][0]):
        parts = [0] * len(rows)
        for (_, fragment), place in group:
            parts[place] = int.from_bytes(fragment, "little")
        yield number, operation(parts).to_bytes(FRAGMENT_BYTES, "little")


def _inverted(db: Database, row: Row | None, length: int) -> Iterator[tuple[int, bytes]]:
    assert row is not None
    stored = fragments(db, row)
    found = next(stored, None)
    ones = (1 << 8 * FRAGMENT_BYTES) - 1
    for number in range(-(-length // FRAGMENT_BYTES)):
        fragment = b""
        if found is not None and found[0] == number:
            fragment = found[1]
            found = next(stored, None)
        inverse = int.from_bytes(fragment, "little") ^ ones
        taken = length - number * FRAGMENT_BYTES
        yield number, inverse.to_bytes(FRAGMENT_BYTES, "little")[:taken]


def _row_of(db: Database, made: Iterator[tuple[int, bytes]], length: int) -> Row:
    """A row for a string of these fragments: whole, unless it is long."""
    if length <= WHOLE_BYTES:
        value = bytearray(-(-length // FRAGMENT_BYTES) * FRAGMENT_BYTES)
        for number, fragment in made:
            at = number * FRAGMENT_BYTES
            value[at : at + len(fragment)] = fragment
        return StringRow(bytes(value[:length]), 0, RAW)
    writer = FragmentWriter(db)
    for number, fragment in made:
        writer.add(number, fragment)
    return fragmented_row(length, writer.count, writer.finish())
