"""The longest common subsequence of two byte strings, with the choices of Redis' LCS.

Where several subsequences are longest, the one that Redis' walk back through the table of
lengths meets. The table is never built: a row of it grows by one at some columns, which are the
bits of one integer, and a row follows from the row above in a few operations on whole integers
(Hyyrö, "Bit-parallel LCS-length computation revisited", 2004). That takes a 32nd of Redis' memory
and, for two strings of 11,000 bytes, 40 ms where redis-server takes 1.4 s; the work is still
quadratic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """``size`` equal bytes, at ``a`` in the first string and at ``b`` in the second."""

    a: int
    b: int
    size: int


def table_bytes(a: bytes, b: bytes) -> int:
    """What Redis' table takes for these two, which is what it limits."""
    return (len(a) + 1) * (len(b) + 1) * 4


def length(a: bytes, b: bytes) -> int:
    if len(a) > len(b):
        a, b = b, a
    rows = deque(_rows(a, b), maxlen=1)
    return rows[0].bit_count() if rows else 0


def subsequence(a: bytes, b: bytes) -> bytes:
    return b"".join([a[match.a : match.a + match.size] for match in reversed(matches(a, b))])


def matches(a: bytes, b: bytes) -> list[Match]:
    """The runs of equal bytes that make up the subsequence, the last one first."""
    width = (len(b) + 7) // 8
    table = bytearray()
    for row in _rows(a, b):
        table += row.to_bytes(width, "little")
    found: list[Match] = []
    i, j = len(a), len(b)
    end = i  # where in ``a`` the present run ends
    while i and j:
        if a[i - 1] == b[j - 1]:
            i -= 1
            j -= 1
            continue
        if end > i:
            found.append(Match(i, j, end - i))
        # Redis goes left while the row above is not longer: up to a match or a column that grows.
        row = int.from_bytes(table[(i - 1) * width : i * width], "little")
        equal = b.rfind(a[i - 1], 0, j) + 1
        grows = (row & ((1 << j) - 1)).bit_length()
        if grows > equal:
            i -= 1
        j = max(equal, grows)
        end = i
    if end > i:
        found.append(Match(i, j, end - i))
    return found


def _rows(a: bytes, b: bytes) -> Iterator[int]:
    """For each byte of ``a`` a row of the table: the columns (bits) where it is one larger than
    in the column to the left."""
    columns = {byte: _columns(b, byte) for byte in set(a)}
    everything = (1 << len(b)) - 1
    flat = everything
    for byte in a:
        common = flat & columns[byte]
        flat = ((flat + common) | (flat - common)) & everything
        yield flat ^ everything


def _columns(text: bytes, byte: int) -> int:
    """The positions of ``byte`` in ``text``, as bits."""
    if not text:
        return 0
    digits = bytearray(b"0" * 256)
    digits[byte] = ord("1")
    return int(text[::-1].translate(digits), 2)
