"""Reply encoding: every Python type in both protocols, read back by hiredis, and Redis' doubles."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.errors import ReplyError
from tendis_py.numbers import format_double
from tendis_py.resp.replies import (
    ENCODERS,
    NO_REPLY,
    NULL_ARRAY,
    OK,
    Encoded,
    PairStream,
    Push,
    SetStream,
    Verbatim,
    encode,
    encode_each,
    encode_run,
    format_doubles,
)
from tendis_py.resp.replies import split_replies as in_pieces
from tests.support.resp import RawClient, decode, split_replies

TABLE = [
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    ("PONG", b"+PONG\r\n", b"+PONG\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-1, b":-1\r\n", b":-1\r\n"),
    (4095, b":4095\r\n", b":4095\r\n"),
    (4096, b":4096\r\n", b":4096\r\n"),
    (2**63 - 1, b":9223372036854775807\r\n", b":9223372036854775807\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (3.0, b"$1\r\n3\r\n", b",3\r\n"),
    (math.inf, b"$3\r\ninf\r\n", b",inf\r\n"),
    (-math.inf, b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (math.nan, b"$3\r\nnan\r\n", b",nan\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", 1, None], b"*3\r\n$1\r\na\r\n:1\r\n$-1\r\n", b"*3\r\n$1\r\na\r\n:1\r\n_\r\n"),
    ((1, [2]), b"*2\r\n:1\r\n*1\r\n:2\r\n", b"*2\r\n:1\r\n*1\r\n:2\r\n"),
    ({b"k": 1.5}, b"*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n", b"%1\r\n$1\r\nk\r\n,1.5\r\n"),
    ({}, b"*0\r\n", b"%0\r\n"),
    (PairStream([(b"k", 1.5)]), b"*2\r\n$1\r\nk\r\n$3\r\n1.5\r\n", b"%1\r\n$1\r\nk\r\n,1.5\r\n"),
    ({b"m"}, b"*1\r\n$1\r\nm\r\n", b"~1\r\n$1\r\nm\r\n"),
    (frozenset(), b"*0\r\n", b"~0\r\n"),
    (SetStream([b"m"]), b"*1\r\n$1\r\nm\r\n", b"~1\r\n$1\r\nm\r\n"),
    (Push([b"message", b"x"]), b"*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", None),
    (Verbatim(b"a\nb"), b"$3\r\na\nb\r\n", b"=7\r\ntxt:a\nb\r\n"),
    (ReplyError("ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (ReplyError("ERR \udcff"), b"-ERR \xff\r\n", b"-ERR \xff\r\n"),
    (Encoded(b":7\r\n"), b":7\r\n", b":7\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (NO_REPLY, b"", b""),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), TABLE, ids=lambda value: repr(value)[:30])
def test_every_type_has_its_form_in_each_protocol(
    value: object, resp2: bytes, resp3: bytes | None
) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == (b">" + resp2[1:] if resp3 is None else resp3)


@pytest.mark.parametrize("size", [4094, 4095, 4096, 4097, 100_000])
def test_bulk_strings_of_any_size(size: int) -> None:
    assert encode(b"x" * size) == b"$%d\r\n%b\r\n" % (size, b"x" * size)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_type_that_is_no_reply_is_refused(protocol: int) -> None:
    for value in (object(), [bytearray(b"a")], {b"k": range(3)}):
        with pytest.raises(KeyError):
            encode(value, protocol)


integers = st.integers(-(2**63), 2**63 - 1)
simple = st.text("abcXYZ -_.0123456789", max_size=10)
doubles = st.floats(allow_nan=False)
scalars = st.one_of(st.binary(max_size=20), simple, integers, st.none(), doubles, st.booleans())
hashable = st.binary(max_size=20) | integers
replies = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(hashable, inner, max_size=5),
        st.frozensets(hashable, max_size=5),
    ),
    max_leaves=20,
)


def in_resp2(value: Any) -> Any:
    """What a RESP2 client gets of ``value``."""
    if isinstance(value, float):
        return format_double(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dict):
        return [in_resp2(part) for pair in value.items() for part in pair]
    if isinstance(value, list | frozenset):
        return [in_resp2(part) for part in value]
    return value.encode() if isinstance(value, str) else value


def in_resp3(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: in_resp3(part) for key, part in value.items()}
    if isinstance(value, list | frozenset):  # hiredis makes lists of sets
        return [in_resp3(part) for part in value]
    return value.encode() if isinstance(value, str) else value


@settings(max_examples=200)
@given(replies)
def test_clients_read_back_what_was_meant(value: Any) -> None:
    for protocol, expected in ((2, in_resp2(value)), (3, in_resp3(value))):
        encoded = encode(value, protocol)
        reader = hiredis.Reader()
        reader.feed(encoded)
        read = reader.gets()
        assert read == expected
        assert type(read) is type(expected)
        assert split_replies(encoded) == [encoded]
        assert not reader.has_data()


def digits_of(text: bytes) -> str:
    """Significant digits."""
    plain = re.sub(rb"e.*|[-.]", b"", text).decode()
    return plain.strip("0")


any_double = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e6, 1e6),
    st.integers(-(2**64), 2**64).map(float),
    st.builds(
        lambda number, places: round(number, places), st.floats(-1e9, 1e9), st.integers(0, 9)
    ),
    st.builds(
        lambda digit, power: float(f"{digit}e{power}"), st.integers(1, 99), st.integers(-12, 25)
    ),
)


@settings(max_examples=300)
@given(any_double)
@example(1e-5)
@example(-0.0)
@example(1e17)
@example(2.0**62)
@example(2.0**63)
@example(12345678901234567890.0)
@example(268199.13722178666)
@example(-79145.35012353223)
@example(-535.01173)
def test_doubles_are_printed_as_redis_prints_them(redis_client: RawClient, number: float) -> None:
    """Redis' grisu2 does not always find the fewest digits (1.4 doubles in 1000): there only the
    value has to be the same. The long member keeps the score out of a listpack, which would drop
    the sign of a zero."""
    member = "m" * 65
    redis_client.command("DEL", "z")
    redis_client.command("ZADD", "z", repr(number), member)
    theirs = redis_client.value("ZSCORE", "z", member)
    ours = format_double(number)
    assert float(ours) == number
    if digits_of(theirs) == digits_of(repr(number).encode()):
        assert ours == theirs


@given(st.binary(min_size=8, max_size=8))
def test_every_double_reads_back(raw: bytes) -> None:
    (number,) = struct.unpack("<d", raw)
    again = float(format_double(number))
    assert again == number or (math.isnan(again) and math.isnan(number))


NUMBERS = st.floats() | st.integers(-(2**64), 2**64).map(float) | st.sampled_from([0.0, -0.0])
OF_ONE_KIND = st.one_of(
    st.lists(kind, min_size=1, max_size=12)
    for kind in (
        st.integers(),
        NUMBERS,
        st.binary(max_size=5),
        st.tuples(st.binary(max_size=5), NUMBERS).map(list),
        st.lists(st.binary(max_size=3) | st.integers() | st.none(), max_size=2),
    )
)


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_doubles_together_are_printed_as_alone(values: list[float]) -> None:
    assert format_doubles(values) == [format_double(value) for value in values]


@given(OF_ONE_KIND, st.sampled_from([2, 3]))
def test_replies_together_are_encoded_as_alone(values: list[Any], protocol: int) -> None:
    alone = [encode(value, protocol) for value in values]
    assert encode_each(values, ENCODERS[protocol]) == alone
    assert encode_run(values, ENCODERS[protocol], 1 << 20) == b"".join(alone)


def test_long_replies_of_a_run_are_declined_but_for_integers() -> None:
    encoders = ENCODERS[2]
    assert encode_run([b"x" * 30] * 4, encoders, 100) is None
    assert encode_run([[b"x" * 30, 1.0]] * 4, encoders, 100) is None
    assert encode_run([1] * 40, encoders, 100) == b":1\r\n" * 40


@pytest.mark.parametrize("protocol", [2, 3])
def test_our_client_decodes_what_we_encode(protocol: int) -> None:
    for value, *_ in TABLE:
        if not isinstance(value, Encoded):
            decode(encode(value, protocol))


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_long_stream_of_pairs_is_a_map(protocol: int) -> None:
    pairs = {b"%d" % number: number for number in range(3000)}
    assert encode(PairStream(iter(pairs.items())), protocol) == encode(pairs, protocol)


@given(st.lists(st.tuples(st.sampled_from([2, 3]), replies), max_size=5))
def test_replies_are_told_apart(drawn: list[tuple[int, Any]]) -> None:
    encoded = [encode(value, protocol) for protocol, value in drawn]
    assert in_pieces(b"".join(encoded)) == encoded
