"""Hypothesis strategies for what arrives on a socket: good requests, bad ones, and cuts."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from tests.support.resp import encode_request

words = st.sampled_from([b"", b"a", b"GET", b"x" * 130, b"\r\n", b"*1\r\n", b"$1", b"\0", b"\xff"])
arguments = st.lists(words | st.binary(max_size=12), min_size=1, max_size=5)
multibulk = arguments.map(encode_request)

_inline_pieces = st.sampled_from(
    [
        *(b"a", b"b", b" ", b"\t", b"\v", b"'", b'"', b"\\", b"\\x41", b"\\n", b"\\'", b'\\"'),
        *(b"\r", b"\xe9", b"$", b"x4", b"  ", b"\0"),
    ]
)
inline = st.builds(
    lambda pieces, end: b"k" + b"".join(pieces) + end,
    st.lists(_inline_pieces, max_size=10),
    st.sampled_from([b"\r\n", b"\n"]),
)

good = st.lists(multibulk | inline, max_size=6).map(b"".join)
"""Requests that are mostly in order; an inline one may have bad quotes."""

_fragments = st.sampled_from(
    [
        *(
            b"*1\r\n",
            b"*2\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*\r\n",
            b"*01\r\n",
            b"*+1\r\n",
            b"* 1\r\n",
        ),
        *(
            b"*1\r",
            b"*1",
            b"*",
            b"*1000000000\r\n",
            b"*2147483648\r\n",
            b"*99999999999999999999\r\n",
        ),
        *(b"$1\r\na\r\n", b"$3\r\nGET\r\n", b"$0\r\n\r\n", b"$-1\r\n", b"$a\r\n", b"$\r\n"),
        *(b"$1\r", b"$1\r\n", b"$7\r\n", b"$4294967296\r\n", b"$3\r\nab", b"$1\r\nabc"),
        *(b"+OK\r\n", b"+\r\n", b":1\r\n", b"-ERR x\r\n", b"_\r\n", b",1.5\r\n", b"#t\r\n"),
        *(b"(123\r\n", b"=7\r\ntxt:abc\r\n", b"!3\r\nabc\r\n", b"%1\r\n", b"~1\r\n", b">1\r\n"),
        *(b"|1\r\n", b"\r\n", b"\n", b"\r", b"PING\r\n", b"\xff\r\n"),
    ]
)
hostile = st.lists(_fragments | multibulk, max_size=8).map(b"".join)
"""Pieces of every RESP type, whole and cut, in any order."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good stream in which a few bytes were changed, dropped or doubled."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 3))):
        if data:
            at = draw(st.integers(0, len(data) - 1))
            data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


streams = st.one_of(good, hostile, mutated(), st.binary(max_size=40))


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """``data`` in pieces, none of them empty."""
    places = draw(st.lists(st.integers(1, max(1, len(data) - 1)), max_size=8, unique=True))
    bounds = [0, *sorted(place for place in places if place < len(data)), len(data)]
    return [data[low:high] for low, high in pairwise(bounds) if low < high]
