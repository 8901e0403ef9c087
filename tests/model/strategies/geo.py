"""Commands on places. Few members, so that no search finds as many as seven: Redis' partial sort
leaves more than that in no particular order where distances are the same."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    command,
    key,
    one_of,
    options,
    rarely,
    together,
)

_member = st.sampled_from([*[b"m", b"n", b"o", b"p"] * 3, b"q", b""])
_members = st.lists(_member, max_size=3)
_right_place = st.sampled_from(
    [
        [b"13.361389", b"38.115556"],
        [b"15.087269", b"37.502669"],
        [b"15.0", b"37.4"],
        [b"0", b"0"],
        [b"179.9", b"84"],
        [b"-179.9", b"-85"],
        [b"180", b"85.05112878"],
    ]
)
_wrong_place = st.sampled_from([[b"181", b"0"], [b"0", b"-86"], [b"x", b"0"], [b"0", b""]])
_place = st.integers(0, 11).flatmap(lambda dice: _wrong_place if dice == 11 else _right_place)
_added = st.lists(st.tuples(_place, _member), min_size=1, max_size=3).map(
    lambda pairs: [part for place, member in pairs for part in (*place, member)]
)
_unit = one_of("m km km KM mi ft x")
_distance = one_of("0 1 1 100 200 1000 20000 1e7 1.5 -1 x inf")
_shows = (b"WITHCOORD", b"WITHDIST", b"WITHHASH")
_chooses = (
    b"ASC",
    b"DESC",
    together(b"COUNT", one_of("1 1 2 3 100 0 x")),
    together(b"COUNT", one_of("1 2 3"), b"ANY"),
    b"ANY",
    b"BAD",
)
_stores = (together(b"STORE", key), together(b"STOREDIST", key))
_center = together(b"FROMMEMBER", _member) | together(b"FROMLONLAT", _place)
_area = together(b"BYRADIUS", _distance, _unit) | together(b"BYBOX", _distance, _distance, _unit)

FAMILY = Family(
    {
        "geoadd": command("GEOADD", key, options(b"NX", b"XX", b"CH"), _added),
        "geodist": command("GEODIST", key, _member, _member, options(_unit)),
        "geohash": command("GEOHASH", key, _members),
        "geopos": command("GEOPOS", key, _members),
        "geosearch": command("GEOSEARCH", key, _center, _area, options(*_shows, *_chooses)),
        "geosearchstore": command(
            "GEOSEARCHSTORE", key, key, _center, _area, options(b"STOREDIST", *_chooses)
        ),
        "georadius": command(
            "GEORADIUS", key, _place, _distance, _unit, options(*_shows, *_chooses, *_stores)
        ),
        "georadius_ro": rarely(
            command("GEORADIUS_RO", key, _place, _distance, _unit, options(*_shows, *_chooses))
        ),
        "georadiusbymember": command(
            "GEORADIUSBYMEMBER", key, _member, _distance, _unit, options(*_chooses, *_stores)
        ),
        "georadiusbymember_ro": rarely(
            command("GEORADIUSBYMEMBER_RO", key, _member, _distance, _unit, options(*_chooses))
        ),
    },
    seeds=[
        [b"GEOADD", b"a", b"13.361389", b"38.115556", b"m", b"15.087269", b"37.502669", b"n"],
        [b"GEOADD", b"b", b"15", b"37.4", b"o", b"15", b"37.4", b"p", b"0", b"0", b"q"],
        [b"GEOADD", b"c", b"180", b"85.05112878", b"m", b"-179.9", b"-85", b"n"],
    ],
    of_a_type=True,
)
