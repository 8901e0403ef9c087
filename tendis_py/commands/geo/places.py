"""Commands on places, but for searches, and the arguments that they share with those."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import real
from tendis_py.commands.context import Context
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import GEO_UNIT, ReplyError, not_on_map, syntax_error
from tendis_py.resp.replies import NULL_ARRAY, Reply
from tendis_py.storage.pacing import drain
from tendis_py.types.geo import geohash
from tendis_py.types.geo import places as geo
from tendis_py.types.geo.geohash import Position
from tendis_py.types.zset import members as zset

_command = partial(command, group="geo")

_READ = Keys("RO access")

# Arguments

_METERS = {b"m": 1.0, b"km": 1000.0, b"ft": 0.3048, b"mi": 1609.34}


def unit_length(argument: bytes) -> float:
    """A unit's length in meters."""
    meters = _METERS.get(argument.lower())
    if meters is None:
        raise ReplyError(GEO_UNIT)
    return meters


def position(longitude: bytes, latitude: bytes) -> Position:
    """A place on the map, in degrees."""
    place = Position(real(longitude), real(latitude))
    if abs(place.longitude) > geohash.LONGITUDE_MAX or abs(place.latitude) > geohash.LATITUDE_MAX:
        raise not_on_map(*place)
    return place


def distance_text(distance: float) -> bytes:
    """A distance, in whatever unit, with four digits after the point."""
    return b"%d.%04d" % divmod(round(distance * 10_000), 10_000)


# Adding and looking up

_CONDITIONS = (b"NX", b"XX", b"CH")


@_command(
    "geoadd",
    -5,
    since="3.2.0",
    flags="write denyoom",
    keys=Keys("RW update"),
    complexity=(
        "O(log(N)) for each item added, where N is the number of elements in the sorted set."
    ),
    syntax="key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    events="zadd",
)
def geoadd(ctx: Context, args: list[bytes]) -> Reply:
    """Adds one or more members to a geospatial index. The key is created if it doesn't exist."""
    start = 2
    while start < len(args) and args[start].upper() in _CONDITIONS:
        start += 1
    chosen = {word.upper() for word in args[2:start]}
    if start == len(args) or (len(args) - start) % 3 or {b"NX", b"XX"} <= chosen:
        raise syntax_error()
    pairs = [
        (geohash.score(*position(*args[at : at + 2])), args[at + 2])
        for at in range(start, len(args), 3)
    ]
    added, changed = zset.add(
        ctx.db, args[1], pairs, only_new=b"NX" in chosen, only_existing=b"XX" in chosen
    )
    drain(pairs)
    return added + changed if b"CH" in chosen else added


@_command(
    "geodist",
    -4,
    since="3.2.0",
    flags="readonly",
    keys=_READ,
    syntax="key member1 member2 [M | KM | FT | MI]",
)
def geodist(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the distance between two members of a geospatial index."""
    if len(args) > 5:
        raise syntax_error()
    unit = unit_length(args[4]) if len(args) == 5 else 1.0
    first, second = geo.positions(ctx.db, args[1], args[2:4])
    if first is None or second is None:
        return None
    return distance_text(geo.distance(first, second) / unit)


@_command(
    "geohash",
    -2,
    since="3.2.0",
    flags="readonly",
    keys=_READ,
    complexity="O(1) for each member requested.",
    syntax="key [member [member ...]]",
)
def geohash_(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members from a geospatial index as geohash strings."""
    found = geo.positions(ctx.db, args[1], args[2:])
    return [None if place is None else geohash.text(place) for place in found]


@_command(
    "geopos",
    -2,
    since="3.2.0",
    flags="readonly",
    keys=_READ,
    complexity="O(1) for each member requested.",
    syntax="key [member [member ...]]",
)
def geopos(ctx: Context, args: list[bytes]) -> Reply:
    """Returns the longitude and latitude of members from a geospatial index."""
    found = geo.positions(ctx.db, args[1], args[2:])
    return [NULL_ARRAY if place is None else tuple(place) for place in found]
