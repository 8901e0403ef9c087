"""Geohashes: a place on Earth as one integer, whose prefixes are ever larger cells of a grid.

At step n the grid has 2**n columns (of longitude) and 2**n rows (of latitude); a cell's bits are
those of its row and its column in turns, the row's at the even places. A sorted set keeps the bits
of step 26 as its score. The arithmetic is that of Redis' geohash.c, rounding included.

Knows no distances, no keys.
"""

from __future__ import annotations

from typing import NamedTuple

LONGITUDE_MAX = 180.0
LATITUDE_MAX = 85.05112878
"""The limits of the Web Mercator projection: the poles can't be encoded."""

STEP_MAX = 26
"""52 bits are as many as a score, a double, holds exactly."""

_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
_FINEST = 1 << STEP_MAX
_WORD, _HALF_WORD = 2**64 - 1, 2**32 - 1
_HEX = b"0123456789abcdef"


def _every_second_bit(byte: int) -> int:
    return byte & 1 | byte >> 1 & 2 | byte >> 2 & 4 | byte >> 3 & 8


# Bits are taken apart and put together by bytes.translate, between bytes and hexadecimal digits.
_EVEN_BITS = bytes(_HEX[_every_second_bit(byte)] for byte in range(256))
_ODD_BITS = bytes(_HEX[_every_second_bit(byte >> 1)] for byte in range(256))
_SPREAD = bytes.maketrans(_HEX, bytes(map(_EVEN_BITS.index, _HEX)))


class Position(NamedTuple):
    """In degrees."""

    longitude: float
    latitude: float


class Area(NamedTuple):
    """What a cell covers, in degrees."""

    west: float
    east: float
    south: float
    north: float


class Cell(NamedTuple):
    """A cell of the grid of ``step``."""

    column: int
    row: int
    step: int

    @property
    def bits(self) -> int:
        return _spread(self.row) | _spread(self.column) << 1

    @property
    def area(self) -> Area:
        size = 1 << self.step
        return Area(
            _edge(self.column, size, LONGITUDE_MAX),
            _edge(self.column + 1, size, LONGITUDE_MAX),
            _edge(self.row, size, LATITUDE_MAX),
            _edge(self.row + 1, size, LATITUDE_MAX),
        )

    def neighbor(self, columns: int, rows: int) -> Cell:
        """The cell so many columns to the east and rows to the north. The grid has no edges:
        after the last column comes the first one, and so with the rows."""
        size = 1 << self.step
        column = (self.column + columns) % size if columns else self.column
        row = (self.row + rows) % size if rows else self.row
        return Cell(column, row, self.step)

    @property
    def scores(self) -> tuple[int, int]:
        """The scores of the places in this cell: at least the first, below the second."""
        shift = 2 * (STEP_MAX - self.step)
        return self.bits << shift, (self.bits + 1) << shift


def _spread(number: int) -> int:
    """A number of 32 bits with zeros between them."""
    return int.from_bytes((b"%08x" % number).translate(_SPREAD), "big")


def _edge(number: int, size: int, limit: float) -> float:
    """Where the column or row of that number begins, of ``size`` from -limit to limit."""
    return -limit + (number & _HALF_WORD) / size * (2 * limit)


def cell_at(
    longitude: float, latitude: float, step: int, latitude_max: float = LATITUDE_MAX
) -> Cell:
    """The cell in which a place lies. One on the eastern or northern edge is in a column or a row
    more than the grid has, as in Redis."""
    column = (longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX)
    row = (latitude + latitude_max) / (2 * latitude_max)
    return Cell(int(column * (1 << step)), int(row * (1 << step)), step)


def score(longitude: float, latitude: float) -> float:
    """The score that stands for a place. It must be within the limits."""
    return float(cell_at(longitude, latitude, STEP_MAX).bits)


def position(score: float) -> Position:
    """The middle of the cell that a score stands for. Any number is a place in some way."""
    bits = _unsigned(score).to_bytes(8, "big")
    return Position(
        _middle(int(bits.translate(_ODD_BITS), 16), LONGITUDE_MAX),
        _middle(int(bits.translate(_EVEN_BITS), 16), LATITUDE_MAX),
    )


def _middle(number: int, limit: float) -> float:
    """The middle of a column or row at the last step."""
    low, high = _edge(number, _FINEST, limit), _edge(number + 1, _FINEST, limit)
    return min(max((low + high) / 2, -limit), limit)


def _unsigned(score: float) -> int:
    """What an x86-64 makes of a double as an unsigned integer of 64 bits."""
    if 0 <= score < 2.0**64:
        return int(score)
    if score > 0:
        return 0
    return int(score) & _WORD if score >= -(2.0**63) else 1 << 63


def text(place: Position) -> bytes:
    """The standard geohash of 11 characters, in which latitudes go from -90 to 90. The last one is
    always 0: there are no bits for it."""
    bits = cell_at(place.longitude, place.latitude, STEP_MAX, 90.0).bits
    return bytes(_ALPHABET[bits >> shift & 31] for shift in range(47, 0, -5)) + b"0"
