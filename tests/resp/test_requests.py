"""The request parser: against a plain reference parser, and the real server's words."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.pieces import Pieces, Text, parts_of
from tendis_py.resp import requests as module
from tendis_py.resp.requests import MAX_INLINE, FastReader, RequestParser, request_bytes
from tests.support.reference import Parsed, parse_requests
from tests.support.resp import Disconnected, RawClient, decode, encode_request
from tests.support.servers import ServerProcess
from tests.support.streams import cut, good, streams

PING = encode_request([b"PING"])


def parse(chunks: list[bytes]) -> Parsed:
    """What the parser makes of ``chunks``, in the reference parser's terms."""
    parser = RequestParser(FastReader())
    requests = [request for chunk in chunks for request in parser.feed(chunk)]
    error = None if parser.error is None else str(parser.error).encode("utf-8", "surrogateescape")
    return Parsed(requests, error)


def check(chunks: list[bytes]) -> None:
    """The chunks parse as the reference parses the whole."""
    ours, plain = parse(chunks), parse_requests(b"".join(chunks))
    assert ours.requests == plain.requests
    assert ours.error == plain.error


@settings(max_examples=500)
@given(streams)
@example(b"*1\r\n+abc\r\n*1\r")
@example(b"*1\r\n*1\r\n:1\r\n")
@example(b"*1\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n")
@example(b"*1\r\n$4\r\nPING\r\n*1\r\n=7\r\ntxt:abc\r\n")
@example(b"*1\r\n+OK\r\n$1\r")
@example(b"*1\r\n(12\r\n$1\r")
@example(b"*0\r\n>1\r\n$1\r\n*\r\n")
@example(b"*3\r\n$3\r\nGET\r\n+OK\r\n$1\r\n$1\r*1\r")
def test_a_chunk_parses_as_the_reference_says(data: bytes) -> None:
    check([data])


@settings(max_examples=500)
@given(st.data(), streams)
def test_cutting_input_changes_nothing(draw: st.DataObject, data: bytes) -> None:
    check(draw.draw(cut(data)))


@settings(max_examples=300)
@given(good)
def test_one_byte_at_a_time_changes_nothing(data: bytes) -> None:
    check([data[at : at + 1] for at in range(len(data))])


@settings(max_examples=250)
@given(st.data(), st.lists(streams, min_size=2, max_size=3))
def test_connections_that_share_a_reader_do_not_mix(
    draw: st.DataObject, inputs: list[bytes]
) -> None:
    """All connections of a reactor share one FastReader: nothing of one may reach another."""
    fast = FastReader()
    parsers = [RequestParser(fast) for _ in inputs]
    pending = [(index, draw.draw(cut(data))) for index, data in enumerate(inputs)]
    got: list[list[list[bytes]]] = [[] for _ in inputs]
    while any(chunks for _, chunks in pending):
        index, chunks = draw.draw(st.sampled_from([one for one in pending if one[1]]))
        got[index] += parsers[index].feed(chunks.pop(0))
    assert got == [parse_requests(data).requests for data in inputs]


HOSTILE = {
    "count not a number": b"*a\r\n",
    "count empty": b"*\r\n",
    "count with plus": b"*+1\r\n",
    "count with zero before": b"*01\r\n",
    "count with space": b"* 1\r\n",
    "count beyond 32 bits": b"*2147483648\r\n",
    "count beyond 64 bits": b"*99999999999999999999\r\n",
    "count endless": b"*" + b"1" * 70_000,
    "bulk length endless": b"*1\r\n$" + b"1" * 70_000,
    "inline endless": b"a" * 70_000,
    "bulk length negative": b"*1\r\n$-1\r\n",
    "bulk length not a number": b"*1\r\n$abc\r\n",
    "bulk length empty": b"*1\r\n$\r\n",
    "bulk of gigabytes": b"*1\r\n$4294967296\r\n",
    "bulk one over the limit": b"*1\r\n$536870913\r\n",
    "bulk beyond 64 bits": b"*2\r\n$3\r\nGET\r\n$18446744073709551616\r\n",
    "nested array": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "integer element": b"*1\r\n:1\r\n",
    "simple string element": b"*1\r\n+PING\r\n",
    "error element": b"*1\r\n-PING\r\n",
    "null element": b"*1\r\n_\r\n",
    "map element": b"*1\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n",
    "verbatim element": b"*1\r\n=7\r\ntxt:abc\r\n",
    "high byte instead of $": b"*1\r\n\xff1\r\n",
    "line end instead of $": b"*1\r\n\n4\r\n",
    "return instead of $": b"*1\r\n\r\n\r\n",
    "good ones before": PING + PING + b"*1\r\n:1\r\n" + PING,
    "unbalanced double quote": b'SET "a\r\n',
    "unbalanced single quote": b"SET 'a\r\n",
    "quote closes inside a word": b'SET "a"b\r\n',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_protocol_errors_are_worded_as_redis_words_them(
    redis_server: ServerProcess, data: bytes
) -> None:
    with redis_server.client() as client:
        client.send(data)
        reply = client.reply()
        while reply == b"+PONG\r\n":
            reply = client.reply()
        assert client.until_closed() == b""
    assert reply.startswith(b"-ERR Protocol error: ")
    error = parse([data]).error
    assert error is not None
    assert b"-ERR Protocol error: %b\r\n" % error == reply


@pytest.mark.parametrize(
    "line",
    [
        *(b"a\tb", b"a\vb", b"a\fb", b"a\rb", b"\v a \f b \v", b'"\v" b', b'"a"\vb', b"'\\n'"),
        *(b'"\\x4"', b'"\\xzz"', b'"\\q"', b"a'b c'", b'a"b" c', b"\\x41", b"'\\''"),
    ],
)
def test_inline_requests_are_split_as_redis_splits_them(
    redis_server: ServerProcess, line: bytes
) -> None:
    """ECHO answers what the second word was; a wrong number of words is told by the error."""
    request = b"ECHO " + line + b"\r\n"
    (arguments,) = parse([request]).requests
    with redis_server.client(seconds=1.0) as client:
        client.send(request)
        try:
            there = decode(client.reply())
        except (TimeoutError, Disconnected):
            there = "nothing"
    assert (arguments[1] if len(arguments) == 2 else None) == (
        there if isinstance(there, bytes) else None
    )


def test_nul_is_a_byte_like_any_other() -> None:
    """A deliberate difference: Redis' C strings end there, so it would wait for more for ever."""
    assert parse([b"SET k a\0b\r\n"]).requests == [[b"SET", b"k", b"a\0b"]]
    assert parse([b"*1\0\r\n"]).error == b"invalid multibulk length"
    assert parse([b"*1\r\n\x001\r\n"]).error == b"expected '$', got '\0'"


def test_empty_requests_are_passed_over() -> None:
    for empty in (b"*0\r\n", b"*-1\r\n", b"*-9\r\n", b"\r\n", b"\n", b"  \r\n"):
        assert parse([empty + PING]).requests == [[b"PING"]], empty
        assert parse([PING + empty + PING]).requests == [[b"PING"], [b"PING"]], empty
        assert parse([empty]) == Parsed([], None), empty


def test_a_bulk_of_the_largest_size_may_be_announced() -> None:
    parser = RequestParser(FastReader())
    assert parser.feed(b"*1\r\n$536870912\r\n") == []
    assert parser.error is None


def test_nothing_is_parsed_after_an_error() -> None:
    parser = RequestParser(FastReader())
    assert parser.feed(PING + b"*1\r\n:1\r\n" + PING) == [[b"PING"]]
    assert parser.feed(PING) == []
    assert parser.buffered == 0


@pytest.mark.parametrize("size", [0, 1, 16_384, 65_535, 65_536, 65_537, 300_000])
def test_arguments_of_any_size_come_through(size: int) -> None:
    request = [b"SET", b"k", b"\r\n" * (size // 2) + b"x" * (size % 2)]
    data = encode_request(request) * 2
    for step in (len(data), 32 * 1024, 4096):
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        assert parse(chunks).requests == [request, request]


@settings(max_examples=500)
@given(st.data(), good)
def test_long_arguments_come_through_however_they_are_cut(draw: st.DataObject, data: bytes) -> None:
    """With limits so low that most arguments are long, some of them in pieces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tendis_py.resp.requests.LONG_BULK_BYTES", 1)
        patch.setattr("tendis_py.resp.requests.BLOCK_BYTES", 2)
        patch.setattr("tendis_py.resp.long_argument.BLOCK_BYTES", 2)
        parser = RequestParser(FastReader(), long_values=lambda name: 1)
        found = [one for chunk in draw.draw(cut(data)) for one in parser.feed(chunk)]
    assert [list(map(bytes, request)) for request in found] == parse_requests(data).requests
    assert not any(isinstance(argument, Pieces) for one in found for argument in one[:1] + one[2:])
    assert parser.buffered == 0


@pytest.mark.parametrize("name", [b"SET", b"other"])
def test_a_long_value_comes_in_pieces_if_it_may(name: bytes) -> None:
    value = bytes(range(256)) * 12_000
    data = encode_request([name, b"k", value, b"EX", b"1"]) + PING
    parser = RequestParser(FastReader(), long_values=lambda name: 2 * (name == b"SET"))
    found = []
    for at in range(0, len(data), 16_384):
        chunk = data[at : at + 16_384]
        assert not found
        found = parser.feed(chunk)
        assert found or at + len(chunk) - 64 < parser.unparsed <= at + len(chunk)
    assert found[0][:2] + found[0][3:] == [name, b"k", b"EX", b"1"]
    assert found[1] == [b"PING"]
    text: Text = found[0][2]
    assert isinstance(text, Pieces) == (name == b"SET")
    assert bytes(text) == value
    assert len(parts_of(text)) == (3 if name == b"SET" else 1)


def test_a_long_argument_is_given_up() -> None:
    parser = RequestParser(FastReader())
    parser.feed(b"*2\r\n$3\r\nGET\r\n$1000000\r\n" + b"x" * 500_000)
    assert 500_000 <= parser.buffered < 500_100
    parser.discard()
    assert parser.buffered == parser.unparsed == 0


def test_requests_of_many_arguments_come_through() -> None:
    request = [b"%d" % number for number in range(50_000)]
    data = encode_request(request)
    chunks = [data[at : at + 32_768] for at in range(0, len(data), 32_768)]
    assert parse(chunks).requests == [request]
    assert parse([data + PING]).requests == [request, [b"PING"]]


def test_where_a_line_was_looked_for_is_forgotten_once_it_is_taken() -> None:
    """It is the next line's beginning that would not be looked at."""
    count = module.MANY_ARGUMENTS + 1
    request = [b"a" * 130] * count
    data = encode_request(request) + b"k\r\n"
    head = data.index(b"\r\n") + 2
    for cut_at in range(head + 1, head + 6):
        assert parse([data[:cut_at], data[cut_at:]]).requests == [request, [b"k"]]


@settings(max_examples=500)
@given(st.data(), streams, st.integers(1, 3))
def test_taking_several_arguments_at_once_changes_nothing(
    draw: st.DataObject, data: bytes, one_by_one: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY_ARGUMENTS", 1)
        patch.setattr(module, "_ONE_BY_ONE", one_by_one)
        check(draw.draw(cut(data)))


@settings(max_examples=300)
@given(
    st.data(), st.lists(st.text("\r\n$3a", max_size=6).map(str.encode), min_size=17, max_size=80)
)
def test_many_arguments_may_hold_line_ends(draw: st.DataObject, request: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ONE_BY_ONE", 5)
        check(draw.draw(cut(encode_request(request) + PING)))


def test_a_line_may_be_as_long_as_the_limit() -> None:
    line = b"a" * (MAX_INLINE - 2)
    assert parse([line, b"\r\n"]).requests == [[line]]
    endless = RequestParser(FastReader())
    for _ in range(9):
        endless.feed(b"b" * 8192)
    assert str(endless.error) == "too big inline request"
    assert endless.buffered == 0


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (b"*10\r\n$16384\r\n", None),
    ],
)
def test_strangers_may_announce_less(data: bytes, error: str | None) -> None:
    parser = RequestParser(FastReader(), authenticated=False)
    parser.feed(data)
    assert (parser.error and str(parser.error)) == error


def test_the_limits_for_strangers_are_those_of_redis(redis_server: ServerProcess) -> None:
    with redis_server.client() as admin:
        admin.command("CONFIG", "SET", "requirepass", "secret")
        try:
            for data in (b"*11\r\n", b"*1\r\n$16385\r\n"):
                parser = RequestParser(FastReader(), authenticated=False)
                parser.feed(data)
                with RawClient(redis_server.address) as client:
                    client.send(data)
                    assert client.reply() == b"-ERR Protocol error: %b\r\n" % (
                        str(parser.error).encode()
                    )
        finally:
            admin.command("CONFIG", "SET", "requirepass", "")


@pytest.mark.parametrize(
    "announcement",
    [
        b"*1000000000\r\n",
        b"*1000000\r\n",
        b"*1\r\n$536870912\r\n",
        b"*2\r\n$3\r\nGET\r\n$500000000\r\n",
        b"*99999\r\n" * 1000,
        PING + b"*2147483647\r\n",
        b"*1\r\n*1000000000\r\n",
        b"*1\r\n%1000000000\r\n",
        b"*9999\r\n" + b"*9999\r\n" * 5,
    ],
)
def test_announcements_allocate_nothing(announcement: bytes) -> None:
    parser = RequestParser(FastReader())
    tracemalloc.start()
    try:
        parser.feed(announcement)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000, peak  # hiredis reserves what nested four-digit headers announce


def test_what_waits_is_counted() -> None:
    parser = RequestParser(FastReader())
    parser.feed(b"*2\r\n$3\r\nGET\r\n$100\r\n" + b"x" * 60)
    assert 60 <= parser.buffered <= 100
    parser.feed(b"x" * 40 + b"\r\n")
    assert parser.buffered == 0


@given(st.lists(st.binary(max_size=12).map(lambda part: part * 10), min_size=1, max_size=12))
def test_how_long_a_request_is(request: list[bytes]) -> None:
    assert request_bytes(request) == len(encode_request(request))


def test_how_long_a_request_in_pieces_is() -> None:
    pieces = Pieces([b"x" * 70, b"y" * 30])
    assert request_bytes([b"SET", b"k", pieces]) == len(encode_request([b"SET", b"k", b"x" * 100]))  # type: ignore[list-item]
