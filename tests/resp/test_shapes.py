"""Shapes: what they read is what the plain reference parser reads, and they read nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.resp.requests import FastReader, Request
from tendis_py.resp.shapes import (
    LEARN_AFTER,
    MAX_ARGUMENTS,
    MAX_NAME,
    MAX_SHAPES,
    Shape,
    ShapeTable,
)
from tests.support.reference import Parsed, parse_requests
from tests.support.resp import encode_request

awkward = st.lists(
    st.sampled_from([b"\r\n", b"*", b"$", b"1", b"3", b"GET", b"a", b"\x00"]), max_size=4
).map(b"".join)


@st.composite
def alike(draw: st.DrawFn) -> list[Request]:
    """Requests of one shape."""
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    arguments = st.tuples(*(st.binary(min_size=size, max_size=size) for size in lengths))
    name = draw(st.sampled_from([b"GET", b"a.*b", b"\r\n"]))
    return [[name, *draw(arguments)] for _ in range(draw(st.integers(1, 5)))]


def encoded(requests: list[Request]) -> bytes:
    return b"".join(map(encode_request, requests))


@given(alike())
def test_requests_of_one_shape_are_read(requests: list[Request]) -> None:
    assert Shape(requests[0]).read(encoded(requests)) == requests


@settings(max_examples=400)
@given(alike(), st.data(), awkward)
def test_what_is_read_is_what_the_reference_reads(
    requests: list[Request], data: st.DataObject, inserted: bytes
) -> None:
    """One change at one place makes a chunk another, or none at all."""
    chunk = encoded(requests)
    start = data.draw(st.integers(0, len(chunk)))
    end = data.draw(st.integers(start, min(len(chunk), start + 6)))
    changed = chunk[:start] + inserted + chunk[end:]
    read = Shape(requests[0]).read(changed)
    if read is not None:
        assert parse_requests(changed) == Parsed(read, None)


def test_arguments_that_look_like_requests_are_arguments() -> None:
    inner = encode_request([b"GET", b"a"])
    requests = [[b"GET", inner], [b"GET", inner[::-1]]]
    assert Shape(requests[0]).read(encoded(requests)) == requests
    assert Shape([b"GET", b"a"]).read(encoded(requests)) is None


def test_garbage_between_requests_is_none_of_the_shape() -> None:
    request = encode_request([b"GET", b"a"])
    shape = Shape([b"GET", b"a"])
    for garbage in (request[:-1] + b"\r", b"x" * len(request), request[1:] + b"*"):
        for chunk in (garbage, garbage + request, request + garbage, request + garbage + request):
            assert shape.read(chunk) is None


def known(table: ShapeTable, request: Request) -> bool:
    return table.read(encode_request(request)) is not None


def miss(table: ShapeTable, request: Request, times: int) -> None:
    for _ in range(times):
        table.missed(encode_request(request), [request])


def test_a_shape_is_learnt_from_what_comes_often() -> None:
    table = ShapeTable()
    miss(table, [b"GET", b"a"], LEARN_AFTER - 1)
    assert not known(table, [b"GET", b"b"])
    miss(table, [b"GET", b"a"], 1)
    assert known(table, [b"GET", b"b"])
    assert not known(table, [b"SET", b"b"])
    miss(table, [b"SET", b"b"], 2 * LEARN_AFTER - 1)
    assert not known(table, [b"SET", b"b"])
    miss(table, [b"SET", b"b"], 1)
    assert known(table, [b"SET", b"c"])


def test_requests_of_several_shapes_teach_nothing() -> None:
    table = ShapeTable()
    requests = [[b"GET", b"a"], [b"GET", b"ab"]]
    for _ in range(LEARN_AFTER):
        table.missed(encoded(requests), requests)
    assert table.read(encoded(requests)) is None


def test_no_arguments_very_many_or_a_long_name_teach_nothing() -> None:
    for request in ([b"PING"], [b"DEL"] + [b"k"] * MAX_ARGUMENTS, [b"x" * (MAX_NAME + 1), b"k"]):
        table = ShapeTable()
        miss(table, request, LEARN_AFTER)
        assert not known(table, request)


def test_a_table_is_bounded() -> None:
    table = ShapeTable()
    for size in range(MAX_SHAPES + 1):
        miss(table, [b"GET", b"k" * size], (size + 1) * LEARN_AFTER)
        assert known(table, [b"GET", b"x" * size])
    assert not known(table, [b"GET", b"x"])


@settings(max_examples=200)
@given(st.lists(alike(), min_size=1, max_size=3))
def test_a_reader_reads_the_same_before_and_after_it_has_learnt(
    streams: list[list[Request]],
) -> None:
    reader = FastReader()
    for _ in range(LEARN_AFTER * 4):
        for requests in streams:
            chunk = encoded(requests)
            assert reader.read(chunk) == (requests, len(chunk))
