"""Searches for places: GEOSEARCH, and the older GEORADIUS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from tendis_py.commands.arguments import integer, real
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, stored, stores
from tendis_py.commands.geo.places import distance_text, position, unit_length
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    GEO_ANY,
    GEO_BOX_NEGATIVE,
    GEO_COUNT,
    GEO_HEIGHT,
    GEO_MEMBER,
    GEO_RADIUS,
    GEO_RADIUS_NEGATIVE,
    GEO_WIDTH,
    ReplyError,
    geo_exactly_one,
    geo_store_shows,
    syntax_error,
)
from tendis_py.resp.replies import Reply
from tendis_py.resp.requests import Request
from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.events import Writes
from tendis_py.types.geo import places as geo
from tendis_py.types.geo.geohash import Position
from tendis_py.types.geo.places import ASCENDING, DESCENDING, Box, Circle, Point
from tendis_py.types.zset import members as zset

_command = partial(command, group="geo")

_READ = Keys("RO access")

_RADIUS_COMPLEXITY = (
    "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area "
    "delimited by center and radius and M is the number of items inside the index."
)
_SEARCH_COMPLEXITY = (
    "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around "
    "the shape provided as the filter and M is the number of items inside the shape"
)

# What is asked for

_NOWHERE = Position(0.0, 0.0)


@dataclass(slots=True)
class _Search:
    """What a search asks for, read from its arguments one by one."""

    db: Database
    row: CollectionRow | None
    """The sorted set's; when there is none, nobody minds what member is asked for."""
    member: bytes | None = None
    center: Position | None = None
    radius: float | None = None
    box: tuple[float, float] | None = None
    unit: float = 1.0
    order: int = 0
    count: int = 0
    any: bool = False
    shows: set[bytes] = field(default_factory=set)
    target: bytes | None = None
    stores_distance: bool = False

    def around_member(self, member: bytes) -> None:
        if self.member is None and self.center is not None:
            raise syntax_error()
        self.member = member
        if self.row is None:
            self.center = _NOWHERE
            return
        self.center = geo.position_in(self.db, self.row, member)
        if self.center is None:
            raise ReplyError(GEO_MEMBER)

    def around_place(self, longitude: bytes, latitude: bytes) -> None:
        if self.member is not None:
            raise syntax_error()
        self.center = position(longitude, latitude)

    def by_radius(self, radius: bytes, unit: bytes) -> None:
        if self.box is not None:
            raise syntax_error()
        self.radius = real(radius, GEO_RADIUS)
        if self.radius < 0:
            raise ReplyError(GEO_RADIUS_NEGATIVE)
        self.unit = unit_length(unit)

    def by_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        if self.radius is not None:
            raise syntax_error()
        self.box = real(width, GEO_WIDTH), real(height, GEO_HEIGHT)
        if min(self.box) < 0:
            raise ReplyError(GEO_BOX_NEGATIVE)
        self.unit = unit_length(unit)

    def at_most(self, count: bytes) -> None:
        self.count = integer(count)
        if self.count <= 0:
            raise ReplyError(GEO_COUNT)

    def take_any(self) -> None:
        self.any = True

    def ordered(self, order: int) -> None:
        self.order = order

    def showing(self, what: bytes) -> None:
        self.shows.add(what)

    def stored(self, target: bytes, *, distance: bool) -> None:
        self.target = target
        self.stores_distance = distance

    def storing_distance(self) -> None:
        self.stores_distance = True

    def read(self, args: list[bytes], start: int, grammar: Mapping[bytes, _Word]) -> None:
        """Take in the options in ``args`` from ``start`` on. A word may come again: the last one
        counts."""
        at = start
        while at < len(args):
            word = grammar.get(args[at].upper())
            if word is None or at + word.values >= len(args):
                raise syntax_error()
            word.read(self, *args[at + 1 : at + 1 + word.values])
            at += 1 + word.values

    def points(self) -> list[Point]:
        """The places found."""
        if self.row is None:
            return []
        assert self.center is not None
        unit = self.unit
        if self.box is not None:
            width, height = self.box
            shape: geo.Shape = Box(self.center, width * unit, height * unit)
        else:
            assert self.radius is not None
            shape = Circle(self.center, self.radius * unit)
        order = self.order or (ASCENDING if self.count and not self.any else 0)
        return geo.search(
            self.db, self.row, shape, count=self.count, order=order, first_found=self.any
        )


class _Word(NamedTuple):
    """An option, and how many arguments follow its name."""

    read: Callable[..., None]
    values: int = 0


_OPTIONS = {
    b"WITHDIST": _Word(partial(_Search.showing, what=b"WITHDIST")),
    b"WITHHASH": _Word(partial(_Search.showing, what=b"WITHHASH")),
    b"WITHCOORD": _Word(partial(_Search.showing, what=b"WITHCOORD")),
    b"ANY": _Word(_Search.take_any),
    b"ASC": _Word(partial(_Search.ordered, order=ASCENDING)),
    b"DESC": _Word(partial(_Search.ordered, order=DESCENDING)),
    b"COUNT": _Word(_Search.at_most, 1),
}
_RADIUS_OPTIONS = {
    **_OPTIONS,
    b"STORE": _Word(partial(_Search.stored, distance=False), 1),
    b"STOREDIST": _Word(partial(_Search.stored, distance=True), 1),
}
_SEARCH_OPTIONS = {
    **_OPTIONS,
    b"FROMMEMBER": _Word(_Search.around_member, 1),
    b"FROMLONLAT": _Word(_Search.around_place, 2),
    b"BYRADIUS": _Word(_Search.by_radius, 2),
    b"BYBOX": _Word(_Search.by_box, 3),
}
_STORE_OPTIONS = {**_SEARCH_OPTIONS, b"STOREDIST": _Word(_Search.storing_distance)}


def _answer(search: _Search, store: str, spelled: bytes = b"") -> Reply:
    """Carry out a search. ``store`` is what the message says that can't show anything;
    ``spelled`` is the name of a command whose options have to say where to search."""
    if search.target is not None and search.shows:
        raise geo_store_shows(store)
    if spelled and search.center is None:
        raise geo_exactly_one("FROMMEMBER or FROMLONLAT", spelled)
    if spelled and search.radius is None and search.box is None:
        raise geo_exactly_one("BYRADIUS and BYBOX", spelled)
    if search.any and not search.count:
        raise ReplyError(GEO_ANY)
    points = search.points()
    if search.target is None:
        if not search.shows:
            return [point.member for point in points]
        return [_shown(point, search) for point in points]
    pairs = [
        (point.distance / search.unit if search.stores_distance else point.score, point.member)
        for point in points
    ]
    return zset.store(search.db, search.target, pairs, each_counts=True)


def _shown(point: Point, search: _Search) -> list[Reply]:
    shown: list[Reply] = [point.member]
    if b"WITHDIST" in search.shows:
        shown.append(distance_text(point.distance / search.unit))
    if b"WITHHASH" in search.shows:
        shown.append(int(point.score))
    if b"WITHCOORD" in search.shows:
        shown.append(tuple(point.place))
    return shown


# Commands


@_command(
    "geosearch",
    -7,
    since="6.2.0",
    flags="readonly",
    keys=_READ,
    complexity=_SEARCH_COMPLEXITY,
    syntax=(
        "key <FROMMEMBER member | FROMLONLAT longitude latitude> "
        "<BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> "
        "[ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]"
    ),
)
def geosearch(ctx: Context, args: list[bytes]) -> Reply:
    """Queries a geospatial index for members inside an area of a box or a circle."""
    search = _search(ctx, args[1])
    search.read(args, 2, _SEARCH_OPTIONS)
    return _answer(search, "GEOSEARCH", args[0])


@_command(
    "geosearchstore",
    -8,
    since="6.2.0",
    flags="write denyoom",
    keys=(Keys("OW update"), Keys("RO access", first=2)),
    complexity=_SEARCH_COMPLEXITY,
    syntax=(
        "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> "
        "<BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> "
        "[ASC | DESC] [COUNT count [ANY]] [STOREDIST]"
    ),
    events=stores("geosearchstore", "z"),
)
def geosearchstore(ctx: Context, args: list[bytes]) -> Reply:
    """Queries a geospatial index for members inside an area of a box or a circle, optionally
    stores the result.
    """
    search = _search(ctx, args[2])
    search.target = args[1]
    search.read(args, 3, _STORE_OPTIONS)
    return _answer(search, "GEOSEARCHSTORE", args[0])


def _search(ctx: Context, key: bytes) -> _Search:
    return _Search(ctx.db, zset.find(ctx.db, key))


def _radius_keys(start: int) -> tuple[Keys, Keys, Keys]:
    return (
        Keys("RO access"),
        Keys("OW update", first=start, keyword="STORE"),
        Keys("OW update", first=start, keyword="STOREDIST"),
    )


def _radius_claims(request: Request) -> list[bytes]:
    """What GEORADIUS reads, and whatever it may write: of several STOREs the last one counts,
    which the key specifications don't know."""
    targets = [
        target for word, target in pairwise(request[5:]) if word.upper() in (b"STORE", b"STOREDIST")
    ]
    return [*request[1:2], *targets]


_OLD_STORE = "STORE option in GEORADIUS"
_OLD_OPTIONS = "[WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"


def _radius_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    for target in _radius_claims(args)[1:][-1:]:
        yield from stored(writes, "z", "georadiusstore", ctx.db.index, target)


@_command(
    "georadius",
    -6,
    since="3.2.0",
    flags="write denyoom",
    keys=_radius_keys(6),
    claims=_radius_claims,
    complexity=_RADIUS_COMPLEXITY,
    syntax=(
        "key longitude latitude radius <M | KM | FT | MI> "
        f"{_OLD_OPTIONS} [STORE key | STOREDIST key]"
    ),
    events=_radius_events,
)
def georadius(ctx: Context, args: list[bytes]) -> Reply:
    """Queries a geospatial index for members within a distance from a coordinate, optionally
    stores the result.
    """
    return _around_place(ctx, args, _RADIUS_OPTIONS)


@_command(
    "georadius_ro",
    -6,
    since="3.2.10",
    flags="readonly",
    keys=_READ,
    complexity=_RADIUS_COMPLEXITY,
    syntax=f"key longitude latitude radius <M | KM | FT | MI> {_OLD_OPTIONS}",
)
def georadius_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members from a geospatial index that are within a distance from a coordinate."""
    return _around_place(ctx, args, _OPTIONS)


def _around_place(ctx: Context, args: list[bytes], grammar: Mapping[bytes, _Word]) -> Reply:
    search = _search(ctx, args[1])
    search.around_place(*args[2:4])
    search.by_radius(*args[4:6])
    search.read(args, 6, grammar)
    return _answer(search, _OLD_STORE)


@_command(
    "georadiusbymember",
    -5,
    since="3.2.0",
    flags="write denyoom",
    keys=_radius_keys(5),
    claims=_radius_claims,
    complexity=_RADIUS_COMPLEXITY,
    syntax=(f"key member radius <M | KM | FT | MI> {_OLD_OPTIONS} [STORE key | STOREDIST key]"),
    events=_radius_events,
)
def georadiusbymember(ctx: Context, args: list[bytes]) -> Reply:
    """Queries a geospatial index for members within a distance from a member, optionally stores
    the result.
    """
    return _around_member(ctx, args, _RADIUS_OPTIONS)


@_command(
    "georadiusbymember_ro",
    -5,
    since="3.2.10",
    flags="readonly",
    keys=_READ,
    complexity=_RADIUS_COMPLEXITY,
    syntax=f"key member radius <M | KM | FT | MI> {_OLD_OPTIONS}",
)
def georadiusbymember_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Returns members from a geospatial index that are within a distance from a member."""
    return _around_member(ctx, args, _OPTIONS)


def _around_member(ctx: Context, args: list[bytes], grammar: Mapping[bytes, _Word]) -> Reply:
    search = _search(ctx, args[1])
    if search.row is not None:  # else Redis looks at neither member nor radius
        search.around_member(args[2])
        search.by_radius(*args[3:5])
    search.read(args, 5, grammar)
    return _answer(search, _OLD_STORE)
