"""List commands."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    command,
    key,
    keys,
    one_of,
    options,
    together,
)

_element = one_of("x x x y y z 1 1 128 -5000 70000 9223372036854775807 01") | st.sampled_from(
    [b"", b"a" * 30, b"b" * 63, b"c" * 64, b"d" * 300, b"\0\xff"]
)
_elements = st.lists(_element, min_size=1, max_size=5)
_index = one_of("0 0 1 2 3 4 -1 -1 -2 -3 -4 7 -7 x 9223372036854775807 -9223372036854775808")
_place = one_of("0 0 1 2 3 -1 -1 -2 -3 7 -7 x")
"""For LSET, which in Redis takes the lowest 32 bits of an index for the index."""
_times = one_of("0 1 1 2 -1 -1 -2 5 -5 x -9223372036854775807 -9223372036854775808")
_count = one_of("1 1 2 2 3 5 0 -1 x 9223372036854775807")
_end = one_of("LEFT RIGHT LEFT RIGHT left Right BAD")
_few_keys = st.integers(0, 9).flatmap(
    lambda dice: (
        one_of("0 -1 x 5").map(lambda number: [number, b"a"])
        if dice == 9
        else keys.map(lambda names: [b"%d" % len(names), *names])
    )
)

FAMILY = Family(
    {
        "lpush": command("LPUSH", key, _elements),
        "rpush": command("RPUSH", key, _elements),
        "lpushx": command("LPUSHX", key, _elements),
        "rpushx": command("RPUSHX", key, _elements),
        "llen": command("LLEN", key),
        "lindex": command("LINDEX", key, _index),
        "lrange": command("LRANGE", key, _index, _index),
        "lpos": command(
            "LPOS",
            key,
            _element,
            options(
                b"BAD",
                together(b"RANK", _times),
                together(b"COUNT", _count),
                together(b"MAXLEN", _count),
            ),
        ),
        "linsert": command("LINSERT", key, one_of("BEFORE AFTER after BAD"), _element, _element),
        "lset": command("LSET", key, _place, _element),
        "lrem": command("LREM", key, _times, _element),
        "ltrim": command("LTRIM", key, _index, _index),
        "lpop": command("LPOP", key, st.one_of(st.just([]), _count.map(lambda count: [count]))),
        "rpop": command("RPOP", key, st.one_of(st.just([]), _count.map(lambda count: [count]))),
        "lmpop": command("LMPOP", _few_keys, _end, options(b"BAD", together(b"COUNT", _count))),
        "lmove": command("LMOVE", key, key, _end, _end),
        "rpoplpush": command("RPOPLPUSH", key, key),
    },
    seeds=[
        [b"RPUSH", b"a", b"x", b"y", b"x", b"z"],
        [b"LPUSH", b"b", b"1", b"128", b"-5000", b"x", b"x", b"y"],
        [b"RPUSH", b"c", b"x"],
        [b"RPUSH", b"d", b"d" * 300, b"x", b"c" * 64, b"1"],
        [b"EXPIRE", b"a", b"100000"],
        [b"SET", b"key:1", b"no list"],
    ],
    of_a_type=True,
)
