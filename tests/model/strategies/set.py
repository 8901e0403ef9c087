"""Set commands. Random members are asked for only where no choice is left, or compared by shape."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    bad_integer,
    command,
    key,
    keys,
    one_of,
    options,
    pattern,
    together,
)

LONG = b"m" * 70
member = st.sampled_from(
    [*b"1 2 3 4 5 6 a b c -5 01 12345678901 1234567890123".split(), b"", b"\0\xff", LONG]
)
integers = st.lists(one_of("1 2 3 4 5 6 7 -5 10"), min_size=1, max_size=6)
members = st.lists(member, min_size=1, max_size=6)

all_or_nothing = one_of("0 10000 9223372036854775807 -1") | bad_integer
"""How many to pop; that this is there, ``command`` can't promise."""

_pop = st.tuples(st.just(b"SPOP"), key, all_or_nothing).map(list)

_counted = keys.flatmap(
    lambda found: st.sampled_from([len(found)] * 8 + [len(found) + 1, 1, 0, -1]).map(
        lambda number: [b"%d" % number, *found]
    )
)

FAMILY = Family(
    {
        "sadd": command("SADD", key, members | integers),
        "srem": command("SREM", key, members | integers),
        "scard": command("SCARD", key),
        "sismember": command("SISMEMBER", key, member),
        "smismember": command("SMISMEMBER", key, members),
        "smembers": command("SMEMBERS", key),
        "smove": command("SMOVE", key, key, member),
        "spop": _pop | _pop.map(lambda request: [*request, b"x"]),
        "srandmember": command("SRANDMEMBER", key, one_of("0 1 2 5 100 -1 -7 x 1.5")),
        "sunion": command("SUNION", keys),
        "sinter": command("SINTER", keys),
        "sdiff": command("SDIFF", keys),
        "sunionstore": command("SUNIONSTORE", key, keys),
        "sinterstore": command("SINTERSTORE", key, keys),
        "sdiffstore": command("SDIFFSTORE", key, keys),
        "sintercard": command(
            "SINTERCARD", _counted, options(together(b"LIMIT", one_of("0 1 2 9 -1 x")), b"BAD")
        ),
        "sscan": command(
            "SSCAN",
            key,
            one_of("0 0 0 0 x -1"),
            b"COUNT",
            b"1000",
            options(together(b"MATCH", pattern), together(b"COUNT", one_of("0 1000")), b"BAD"),
        ),
    },
    comparisons={
        "smembers": "%",
        "spop": "%",
        "srandmember": "~",
        "sunion": "%",
        "sinter": "%",
        "sdiff": "%",
        "sscan": "%",
    },
    seeds=[
        [b"SADD", b"a", b"1", b"2", b"3"],
        [b"SADD", b"a", b"4", b"5", b"6"],
        [b"SADD", b"b", b"a", b"b", b"1"],
        [b"SADD", b"c", LONG, b"a", b"2", b"3"],
        [b"SADD", b"d", b"2", b"a", LONG],
        [b"SADD", b"key:1", *b"1 2 3 4 5 6 7 8 9 10 11 12".split()],
        [b"SADD", b"key:2", *b"1 2 5 8 20 a b c".split(), LONG],
        [b"EXPIRE", b"a", b"100000"],
    ],
    of_a_type=True,
)
