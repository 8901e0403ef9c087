"""Places under a key: a sorted set whose scores are geohashes, and searches for those nearby.

A search reads the members of at most nine cells of the geohash grid, chosen as Redis' does it
(geohash_helper.c): its results come in the same order. Distances are in meters, on a sphere.
Knows no RESP.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from operator import attrgetter
from typing import NamedTuple, Protocol

from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.geo.geohash import STEP_MAX, Area, Cell, Position, cell_at, position
from tendis_py.types.zset import members as zset
from tendis_py.types.zset.forms import view

EARTH_RADIUS = 6372797.560856
_DEGREE = math.pi / 180
MERCATOR_MAX = 20037726.37
"""Half of the world's width on the map, in meters."""

ASCENDING, DESCENDING = 1, -1

# Distances


def distance(first: Position, second: Position) -> float:
    """By the haversine formula."""
    v = math.sin((second.longitude * _DEGREE - first.longitude * _DEGREE) / 2)
    if v == 0.0:
        return _latitude_distance(first.latitude, second.latitude)
    first_latitude, second_latitude = first.latitude * _DEGREE, second.latitude * _DEGREE
    u = math.sin((second_latitude - first_latitude) / 2)
    a = u * u + math.cos(first_latitude) * math.cos(second_latitude) * v * v
    return 2.0 * EARTH_RADIUS * math.asin(min(math.sqrt(a), 1.0))


def _latitude_distance(first: float, second: float) -> float:
    return EARTH_RADIUS * abs(second * _DEGREE - first * _DEGREE)


class Shape(Protocol):
    """What is searched, around ``center``."""

    @property
    def center(self) -> Position: ...

    @property
    def reach(self) -> float:
        """How far from the center its farthest point is."""

    @property
    def extent(self) -> tuple[float, float]:
        """How far it goes to the east and west, and to the north and south."""

    def distance_within(self, place: Position) -> float | None:
        """The distance of ``place`` from the center, if it is inside."""


@dataclass(frozen=True, slots=True)
class Circle:
    center: Position
    radius: float

    @property
    def reach(self) -> float:
        return self.radius

    @property
    def extent(self) -> tuple[float, float]:
        return self.radius, self.radius

    def distance_within(self, place: Position) -> float | None:
        found = distance(self.center, place)
        return None if found > self.radius else found


@dataclass(frozen=True, slots=True)
class Box:
    center: Position
    width: float
    height: float

    @property
    def reach(self) -> float:
        return math.hypot(self.width / 2, self.height / 2)

    @property
    def extent(self) -> tuple[float, float]:
        return self.width / 2, self.height / 2

    def distance_within(self, place: Position) -> float | None:
        center = self.center
        if _latitude_distance(place.latitude, center.latitude) > self.height / 2:
            return None
        across = distance(place, Position(center.longitude, place.latitude))
        return None if across > self.width / 2 else distance(center, place)


# Cells

_NEIGHBORS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""A cell and those around it, in columns to the east and rows to the north, in Redis' order."""


def cells(shape: Shape) -> Iterator[Cell]:
    """The cells to search: that of the center, and those of its neighbors that may have a part in
    the shape, all of one size. What is too large for that is searched in part, as in Redis."""
    bounds = _bounds(shape)
    center = cell_at(*shape.center, _step(shape.reach, shape.center.latitude))
    if center.step > 1 and not _is_covered(bounds, center):
        center = cell_at(*shape.center, center.step - 1)
    area = center.area
    columns, rows = {-1, 0, 1}, {-1, 0, 1}
    if center.step >= 2:
        if area.west < bounds.west:
            columns.remove(-1)
        if area.east > bounds.east:
            columns.remove(1)
        if area.south < bounds.south:
            rows.remove(-1)
        if area.north > bounds.north:
            rows.remove(1)
    last = None
    for column, row in _NEIGHBORS:
        if column in columns and row in rows:
            cell = center.neighbor(column, row)
            if cell != last:  # in a grid two cells wide, the neighbors on both sides are the same
                yield cell
            if cell != center:
                last = cell


def _step(reach: float, latitude: float) -> int:
    """How fine a grid's cells may be for nine of them to cover that much."""
    if reach == 0:
        return STEP_MAX
    step = -1
    while reach < MERCATOR_MAX:
        reach *= 2
        step += 1
    if abs(latitude) > 66:  # meridians are nearer to each other towards the poles
        step -= 2 if abs(latitude) > 80 else 1
    return min(max(step, 1), STEP_MAX)


def _bounds(shape: Shape) -> Area:
    """About the least box of meridians and parallels around the shape."""
    longitude, latitude = shape.center
    across, along = shape.extent
    rows = along / EARTH_RADIUS / _DEGREE
    farther = latitude - rows if latitude < 0 else latitude + rows
    narrowing = math.cos(farther * _DEGREE) if math.isfinite(farther) else math.nan
    columns = across / EARTH_RADIUS / narrowing / _DEGREE
    return Area(longitude - columns, longitude + columns, latitude - rows, latitude + rows)


def _is_covered(bounds: Area, center: Cell) -> bool:
    """Whether a cell and its neighbors reach as far as ``bounds``."""
    return not (
        center.neighbor(0, 1).area.north < bounds.north
        or center.neighbor(0, -1).area.south > bounds.south
        or center.neighbor(1, 0).area.east < bounds.east
        or center.neighbor(-1, 0).area.west > bounds.west
    )


# Searching


class Point(NamedTuple):
    """A member found."""

    member: bytes
    score: float
    place: Position
    distance: float


def positions(db: Database, key: bytes, members: list[bytes]) -> list[Position | None]:
    """Where each of ``members`` is; None for one that is not there."""
    return [None if score is None else position(score) for score in zset.scores(db, key, members)]


def position_in(db: Database, row: CollectionRow, member: bytes) -> Position | None:
    """Where ``member`` of the sorted set of ``row`` is; None when it is not there."""
    score = view(db, row).score(member)
    return None if score is None else position(score)


def search(
    db: Database,
    row: CollectionRow,
    shape: Shape,
    *,
    count: int = 0,
    order: int = 0,
    first_found: bool = False,
) -> list[Point]:
    """The members inside ``shape``, ``count`` of them at most (0: all).

    ``order``: nearest first (ASCENDING), farthest first (DESCENDING), or as they come (0). Only
    with ``first_found`` may the first ``count`` found be others than the first in that order.
    Places equally far away stay in the order of the cells and, in a cell, of the sorted set.
    """
    found = _points(db, row, shape, count if first_found else 0)
    if not order:
        return found
    sort = nsmallest if order == ASCENDING else nlargest
    return sort(count or len(found), found, key=attrgetter("distance"))


def _points(db: Database, row: CollectionRow, shape: Shape, limit: int) -> list[Point]:
    found: list[Point] = []
    read = 0
    for cell in cells(shape):
        lowest, end = cell.scores
        for member, score in zset.by_score(db, row, lowest, end, high_exclusive=True):
            read += 1
            db.tx.admit(read)
            place = position(score)
            away = shape.distance_within(place)
            if away is not None:
                found.append(Point(member, score, place, away))
                if len(found) == limit:
                    return found
    return found
