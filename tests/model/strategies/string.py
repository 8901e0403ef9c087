"""String commands."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    EXPIRIES,
    Family,
    any_integer,
    any_real,
    command,
    key,
    keys,
    milliseconds,
    offset,
    one_of,
    options,
    seconds,
    together,
    value,
)

_pairs = st.lists(st.tuples(key, value), min_size=1, max_size=3).map(
    lambda pairs: [part for pair in pairs for part in pair]
)

FAMILY = Family(
    {
        "get": command("GET", key),
        "set": command(
            "SET", key, value, options(b"NX", b"XX", b"GET", b"KEEPTTL", b"BAD", *EXPIRIES)
        ),
        "setnx": command("SETNX", key, value),
        "setex": command("SETEX", key, seconds, value),
        "psetex": command("PSETEX", key, milliseconds, value),
        "mset": command("MSET", _pairs),
        "msetnx": command("MSETNX", _pairs),
        "mget": command("MGET", keys),
        "getset": command("GETSET", key, value),
        "getdel": command("GETDEL", key),
        "getex": command("GETEX", key, options(b"PERSIST", b"BAD", *EXPIRIES)),
        "append": command("APPEND", key, value),
        "strlen": command("STRLEN", key),
        "getrange": command("GETRANGE", key, offset, offset),
        "substr": command("SUBSTR", key, offset, offset),
        "setrange": command("SETRANGE", key, one_of("0 1 5 44 -1 536870912 x"), value),
        "incr": command("INCR", key),
        "decr": command("DECR", key),
        "incrby": command("INCRBY", key, any_integer),
        "decrby": command("DECRBY", key, any_integer),
        "incrbyfloat": command("INCRBYFLOAT", key, any_real),
        "lcs": command(
            "LCS",
            key,
            key,
            options(b"LEN", b"IDX", b"WITHMATCHLEN", b"BAD", together(b"MINMATCHLEN", any_integer)),
        ),
    },
    seeds=[
        [b"SET", b"a", b"hello world"],
        [b"SET", b"b", b"10"],
        [b"SET", b"c", b"9223372036854775800", b"PXAT", b"4102444800000"],
        [b"SET", b"d", b"x" * 44, b"EX", b"100000"],
        [b"APPEND", b"a", b"hallo"],
        [b"SET", b"key:1", b"1.5"],
    ],
    of_a_type=True,
)
