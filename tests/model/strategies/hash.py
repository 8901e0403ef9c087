"""Hash commands. Random fields are asked for only where no choice is left."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    NEAR,
    Family,
    any_integer,
    any_real,
    apart,
    command,
    key,
    one_of,
    options,
    pattern,
    together,
)

LONG = b"f" * 70
field = st.sampled_from([*[b"f", b"g", b"h", b"i", b"j", b"k"] * 3, b"", b"\0\xff", LONG])
value = st.sampled_from([*b"1 2 10 -1 2.5 abc 9223372036854775807 01".split(), b"", LONG])

fields = st.lists(field, min_size=1, max_size=4)
pairs = st.lists(st.tuples(field, value), min_size=1, max_size=4).map(
    lambda found: [part for pair in found for part in pair]
)


def _after_fields(
    strategy: st.SearchStrategy[list[bytes]], each: int = 1
) -> st.SearchStrategy[list[bytes]]:
    """FIELDS, their number (rarely another), and what the strategy draws, ``each`` for a field."""
    return st.tuples(strategy, st.integers(0, 19), st.booleans()).map(
        lambda drawn: [
            b"fields" if drawn[2] else b"FIELDS",
            {17: b"0", 18: b"x", 19: b"%d" % (len(drawn[0]) // each + 1)}.get(
                drawn[1], b"%d" % (len(drawn[0]) // each)
            ),
            *drawn[0],
        ]
    )


_counted = _after_fields(fields)
_condition = st.lists(one_of("NX XX GT LT gt BAD"), max_size=1)
_condition_but_gt = st.lists(one_of("NX XX LT lt BAD"), max_size=1)

seconds = one_of("100 1000 100000 0 -1 70368744177 9223372036854775807 x")
milliseconds = one_of("100000 1000000 0 -1 70368744177663 9223372036854775807 x")
unix_seconds = one_of("4102444800 4102444801 4102444802 1 0 -1 70368744177 70368744178 x")
unix_milliseconds = one_of("4102444800000 4102444800001 1 0 -1 70368744177663 70368744177664 x")

_EXPIRIES = (
    together(b"EX", seconds),
    together(b"PX", milliseconds),
    together(b"EXAT", unix_seconds),
    together(b"PXAT", unix_milliseconds),
)

FAMILY = Family(
    {
        "hset": command("HSET", key, pairs),
        "hmset": command("HMSET", key, pairs),
        "hsetnx": command("HSETNX", key, field, value),
        "hget": command("HGET", key, field),
        "hmget": command("HMGET", key, fields),
        "hgetall": command("HGETALL", key),
        "hkeys": command("HKEYS", key),
        "hvals": command("HVALS", key),
        "hlen": command("HLEN", key),
        "hexists": command("HEXISTS", key, field),
        "hstrlen": command("HSTRLEN", key, field),
        "hdel": command("HDEL", key, fields),
        "hincrby": command("HINCRBY", key, field, any_integer),
        "hincrbyfloat": command("HINCRBYFLOAT", key, field, any_real),
        "hrandfield": command(
            "HRANDFIELD",
            key,
            one_of("0 100 9223372036854775807 x -9223372036854775808"),
            options(b"WITHVALUES", b"BAD"),
        ),
        "hscan": command(
            "HSCAN",
            key,
            one_of("0 0 0 0 x -1"),
            b"COUNT",
            b"1000",
            options(
                together(b"MATCH", pattern | one_of("[f-h] ?")),
                together(b"COUNT", one_of("0 1000")),
                b"NOVALUES",
                b"BAD",
            ),
        ),
        "hgetdel": command("HGETDEL", key, _counted),
        "hgetex": command("HGETEX", key, options(b"PERSIST", b"BAD", *_EXPIRIES), _counted),
        "hsetex": command(
            "HSETEX",
            key,
            options(b"FNX", b"FXX", b"KEEPTTL", b"BAD", *_EXPIRIES),
            _after_fields(pairs, 2),
        ),
        "hexpire": command("HEXPIRE", key, seconds, _condition_but_gt, _counted)
        | command("HEXPIRE", key, apart, _condition, _counted),
        "hpexpire": command("HPEXPIRE", key, milliseconds, _condition_but_gt, _counted)
        | command("HPEXPIRE", key, apart, _condition, _counted),
        "hexpireat": command("HEXPIREAT", key, unix_seconds, _condition, _counted),
        "hpexpireat": command("HPEXPIREAT", key, unix_milliseconds, _condition, _counted),
        "httl": command("HTTL", key, _counted),
        "hpttl": command("HPTTL", key, _counted),
        "hexpiretime": command("HEXPIRETIME", key, _counted),
        "hpexpiretime": command("HPEXPIRETIME", key, _counted),
        "hpersist": command("HPERSIST", key, _counted),
    },
    comparisons={
        "hgetall": "%",
        "hkeys": "%",
        "hvals": "%",
        "hscan": "%",
        "hrandfield": "~",
        "httl": NEAR,
        "hpttl": NEAR,
        "hexpiretime": NEAR,
        "hpexpiretime": NEAR,
    },
    seeds=[
        [b"HSET", b"a", b"f", b"1", b"g", b"2", b"h", b"abc"],
        [b"HSET", b"b", b"f", b"1", b"g", b"2", b"h", b"3", b"i", b"4", b"j", b"5", b"k", b"6"],
        [b"HSET", b"c", LONG, b"1", b"f", b"2.5"],
        [b"HEXPIREAT", b"a", b"4102444800", b"FIELDS", b"2", b"f", b"h"],
        [b"HEXPIREAT", b"b", b"4102444801", b"FIELDS", b"2", b"g", b"f"],
        [b"EXPIRE", b"a", b"100000"],
    ],
    of_a_type=True,
)
