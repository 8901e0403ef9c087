"""What a HyperLogLog computes: which register an element raises, and how many elements it has seen.

The hash is MurmurHash64A with Redis' seed; the estimator that of Otmar Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches" (2017), as in hyperloglog.c, in the same order of
floating-point operations.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from tendis_py.types.hyperloglog.encoding import REGISTERS

_INDEX_BITS = 14
_RANK_BITS = 64 - _INDEX_BITS
HIGHEST = _RANK_BITS + 1
"""What a register can be."""
_ALPHA_INFINITE = 0.721347520444481703680

_SEED = 0xADC83B19
_MULTIPLIER = 0xC6A4A7935BD1E995
_ROTATION = 47
_MASK = (1 << 64) - 1


def hash64(element: bytes) -> int:
    """MurmurHash64A."""
    size = len(element)
    found = _SEED ^ (size * _MULTIPLIER & _MASK)
    whole = size & ~7
    for block in struct.unpack(f"<{whole >> 3}Q", element[:whole]):
        mixed = block * _MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> _ROTATION) * _MULTIPLIER & _MASK
        found = (found ^ mixed) * _MULTIPLIER & _MASK
    if whole < size:
        found = (found ^ int.from_bytes(element[whole:], "little")) * _MULTIPLIER & _MASK
    found = (found ^ found >> _ROTATION) * _MULTIPLIER & _MASK
    return found ^ found >> _ROTATION


def place(element: bytes) -> tuple[int, int]:
    """The register that ``element`` belongs to, and what it raises that to."""
    found = hash64(element)
    rest = found >> _INDEX_BITS | 1 << _RANK_BITS
    return found & (REGISTERS - 1), (rest & -rest).bit_length()


def histogram(registers: bytes) -> list[int]:
    """How many registers there are of each value."""
    counts = [0] * 64
    while registers:
        value = registers[0]
        others = registers.translate(None, registers[:1])
        counts[value] = len(registers) - len(others)
        registers = others
    return counts


def cardinality(registers: bytes) -> int:
    """About how many different elements have raised these registers."""
    counts = histogram(registers)
    size = float(REGISTERS)
    z = size * _tau((size - counts[_RANK_BITS + 1]) / size)
    for rank in range(_RANK_BITS, 0, -1):
        z += counts[rank]
        z *= 0.5
    z += size * _sigma(counts[0] / size)
    return _rounded(_ALPHA_INFINITE * size * size / z if z else math.inf)


def count_distinct(elements: Iterable[bytes]) -> int:
    """About how many different elements these are."""
    registers = bytearray(REGISTERS)
    for element in elements:
        index, count = place(element)
        if count > registers[index]:
            registers[index] = count
    return cardinality(bytes(registers))


def _rounded(value: float) -> int:
    """As C's llround: halves away from zero, and infinity, which only forged registers come to,
    as the lowest number of 64 bits."""
    return math.floor(value + 0.5) if math.isfinite(value) else -1 << 63


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y = 1.0
    z = 1 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
        if before == z:
            return z / 3


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y = 1.0
    z = x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if before == z:
            return z
