"""Geohashes and searches, beyond what the transcripts ask of Redis."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.geo import geohash
from tendis_py.types.geo import places as geo
from tendis_py.types.geo.geohash import LATITUDE_MAX, Position, cell_at
from tendis_py.types.geo.places import ASCENDING, DESCENDING, Box, Circle, Shape, cells
from tendis_py.types.zset import members as zset

longitudes = st.floats(-180, 180)
latitudes = st.floats(-LATITUDE_MAX, LATITUDE_MAX)
places = st.builds(Position, longitudes, latitudes)
inner_places = st.builds(Position, st.floats(-150, 150), st.floats(-60, 60))
"""So far from the edges that no search of MODERATE reach crosses them."""

MODERATE = st.floats(1, 1_000_000)
shapes: st.SearchStrategy[Shape] = st.one_of(
    st.builds(Circle, inner_places, MODERATE),
    st.builds(Box, inner_places, MODERATE, MODERATE),
)


def bits_of(place: Position, steps: int) -> int:
    """The definition of a geohash: halve the world again and again, longitudes first."""
    west, east, south, north = -180.0, 180.0, -LATITUDE_MAX, LATITUDE_MAX
    bits = 0
    for _ in range(steps):
        middle = (west + east) / 2
        to_the_east = place.longitude >= middle
        west, east = (middle, east) if to_the_east else (west, middle)
        middle = (south + north) / 2
        to_the_north = place.latitude >= middle
        south, north = (middle, north) if to_the_north else (south, middle)
        bits = bits << 2 | to_the_east << 1 | to_the_north
    return bits


# Geohashes


@given(column=st.integers(0, 2**26 - 1), row=st.integers(0, 2**26 - 1))
def test_bits_are_those_of_halving_the_world(column: int, row: int) -> None:
    area = geohash.Cell(column, row, 26).area
    middle = Position((area.west + area.east) / 2, (area.south + area.north) / 2)
    assert geohash.Cell(column, row, 26).bits == bits_of(middle, 26)
    assert cell_at(*middle, 26) == (column, row, 26)


@given(place=places)
@example(place=Position(180.0, LATITUDE_MAX))
@example(place=Position(-180.0, -LATITUDE_MAX))
def test_a_score_stands_for_the_place_it_was_made_of(place: Position) -> None:
    """To a cell's size; on the eastern edge the score has a bit too many for a double."""
    found = geohash.position(geohash.score(*place))
    assert abs(found.longitude - place.longitude) <= 360 / 2**26
    assert abs(found.latitude - place.latitude) <= 2 * (2 * LATITUDE_MAX) / 2**26


@given(place=places, step=st.integers(1, 26))
def test_the_scores_of_a_cell_are_those_of_the_places_in_it(place: Position, step: int) -> None:
    low, end = cell_at(*place, step).scores
    assert low <= geohash.score(*place) < end


@given(score=st.floats(allow_nan=False))
def test_any_score_is_on_the_map(score: float) -> None:
    place = geohash.position(score)
    assert abs(place.longitude) <= 180
    assert abs(place.latitude) <= LATITUDE_MAX
    assert len(geohash.text(place)) == 11


def test_the_grid_has_no_edges() -> None:
    corner = geohash.Cell(0, 0, 3)
    assert corner.neighbor(-1, -1) == (7, 7, 3)
    assert corner.neighbor(-1, -1).neighbor(1, 1) == corner


# Cells


@given(shape=shapes, place=places)
def test_what_is_inside_is_in_one_of_the_cells(shape: Shape, place: Position) -> None:
    """As long as the shape is not too large for nine cells."""
    if shape.distance_within(place) is not None:
        score = geohash.score(*place)
        ranges = [cell.scores for cell in cells(shape)]
        assert any(low <= score < end for low, end in ranges)


@given(shape=shapes)
def test_no_cell_is_searched_twice(shape: Shape) -> None:
    found = list(cells(shape))
    assert len(found) == len(set(found)) <= 9
    assert len({cell.step for cell in found}) == 1


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e308, math.inf])
def test_any_size_will_do(size: float) -> None:
    for center in (Position(0.0, 0.0), Position(180.0, LATITUDE_MAX), Position(-180.0, -85.0)):
        for shape in (Circle(center, size), Box(center, size, size), Box(center, 1.0, size)):
            assert 1 <= len(list(cells(shape))) <= 9


def test_a_small_search_far_from_the_edges_of_its_cell_reads_only_that() -> None:
    area = cell_at(10.0, 45.0, 11).area
    middle = Position((area.west + area.east) / 2, (area.south + area.north) / 2)
    assert list(cells(Box(middle, 10_000.0, 10.0))) == [cell_at(10.0, 45.0, 11)]
    assert len(list(cells(Box(middle, 10_000.0, 10_000.0)))) > 1


# Distances


@given(first=places, second=places)
def test_a_distance_is_the_same_both_ways_and_at_most_half_way_round(
    first: Position, second: Position
) -> None:
    there = geo.distance(first, second)
    assert 0 <= there <= math.pi * geo.EARTH_RADIUS
    assert math.isclose(there, geo.distance(second, first), rel_tol=1e-9, abs_tol=1e-9)


# Searches


def grid(db: Database) -> tuple[CollectionRow, dict[bytes, Position]]:
    """A thousand members, one for each few degrees of Europe and Africa, as a large sorted set."""
    pairs = [
        (geohash.score(longitude, latitude), b"%d/%d" % (longitude, latitude))
        for longitude in range(-30, 50, 2)
        for latitude in range(-10, 65, 3)
    ]
    zset.add(db, b"grid", pairs)
    row = zset.find(db, b"grid")
    assert row is not None
    assert row.version
    return row, {member: geohash.position(score) for score, member in pairs}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes)
def test_a_search_finds_what_a_look_at_everything_finds(db: Database, shape: Shape) -> None:
    db.tx.rollback()
    row, members = grid(db)
    found = geo.search(db, row, shape)
    inside = {
        member: away
        for member, place in members.items()
        if (away := shape.distance_within(place)) is not None
    }
    assert {point.member: point.distance for point in found} == inside
    nearest = geo.search(db, row, shape, order=ASCENDING, count=3)
    assert [point.distance for point in nearest] == sorted(inside.values())[:3]
    farthest = geo.search(db, row, shape, order=DESCENDING)
    assert [point.distance for point in farthest] == sorted(inside.values(), reverse=True)


def test_a_search_reads_its_cells_only_and_stops_when_it_has_enough(db: Database) -> None:
    row, _ = grid(db)
    db.tx.fast_rows = 50
    near = Circle(Position(10.0, 44.0), 150_000.0)
    assert geo.search(db, row, near)
    wide = Circle(Position(10.0, 20.0), 3_000_000.0)
    assert len(geo.search(db, row, wide, count=5, first_found=True)) == 5
    with pytest.raises(TooLargeError):
        geo.search(db, row, wide)
