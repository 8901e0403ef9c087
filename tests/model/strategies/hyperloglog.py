"""HyperLogLog commands."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import Family, command, key, keys, one_of, options, value

_element = one_of("a b c d e f 1 2 3 12345678 123456789 a-long-element-of-some-31-bytes") | value
_elements = st.lists(_element, max_size=12) | st.integers(0, 1000).map(
    lambda start: [b"e%d" % number for number in range(start, start + 60)]
)
EMPTY = b"HYLL\x01" + bytes(11) + b"\x7f\xff"

CORRUPT = EMPTY[:-2] + b"\xfc" * 80
"""It ends too early, and the registers it has are as high as a sparse one can be: what fails on it
has changed nothing before, as Redis, unlike us, might leave it."""

FAMILY = Family(
    {
        "pfadd": command("PFADD", key, _elements),
        "pfcount": command("PFCOUNT", keys),
        "pfmerge": command("PFMERGE", key, options(key, key, key)),
        "pfdebug": command(
            "PFDEBUG", one_of("GETREG DECODE DECODE ENCODING TODENSE encoding NO"), key
        ),
    },
    seeds=[
        [b"PFADD", b"a", *(b"e%d" % number for number in range(100))],
        [b"PFADD", b"b", *(b"e%d" % number for number in range(50, 2000))],
        [b"PFADD", b"c"],
        [b"SET", b"d", EMPTY],
        [b"SET", b"key:1", CORRUPT],
        [b"SET", b"key:2", EMPTY, b"EX", b"100000"],
    ],
    of_a_type=True,
)
