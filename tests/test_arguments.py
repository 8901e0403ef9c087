"""Argument parsing: numbers against the real server, options and deadlines by their rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.commands.arguments import (
    EXPIRY,
    MILLISECOND,
    SECOND,
    Expiry,
    Option,
    integer,
    natural,
    options,
    real,
    unsigned,
)
from tendis_py.errors import NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE, SYNTAX, ReplyError
from tendis_py.numbers import INT64_MAX, INT64_MIN, UINT64_MAX
from tests.support.resp import decode
from tests.support.servers import ServerProcess

NOW = 1_700_000_000_000


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(ReplyError) as caught:
        call()
    return caught.value.message


# Integers


@given(st.integers(INT64_MIN, INT64_MAX))
def test_an_integer_is_its_canonical_spelling(value: int) -> None:
    assert integer(b"%d" % value) == value


@pytest.mark.parametrize(
    "argument",
    [
        *(b"", b"+1", b"01", b"-0", b" 1", b"1 ", b"1.0", b"1e3", b"0x1", b"1_0", b"-", b"1\0"),
        *(b"%d" % (INT64_MAX + 1), b"%d" % (INT64_MIN - 1), b"\xef\xbc\x91", b"9" * 5000),
    ],
)
def test_any_other_spelling_is_refused(argument: bytes) -> None:
    assert error_of(lambda: integer(argument)) == NOT_INTEGER


def test_an_integer_within_a_range() -> None:
    assert integer(b"-5", -5, 5) == -5
    expected = "ERR value is out of range, value must between -5 and 5"
    assert error_of(lambda: integer(b"6", -5, 5)) == expected
    assert error_of(lambda: integer(b"six", -5, 5)) == NOT_INTEGER
    assert error_of(lambda: integer(b"6", -5, 5, "ERR no")) == "ERR no"
    assert error_of(lambda: integer(b"six", -5, 5, "ERR no")) == "ERR no"


def test_a_natural_number() -> None:
    assert natural(b"0") == 0
    assert error_of(lambda: natural(b"-1")) == NOT_POSITIVE
    assert error_of(lambda: natural(b"x")) == NOT_POSITIVE
    assert error_of(lambda: natural(b"-1", "ERR no")) == "ERR no"


@given(st.integers(0, UINT64_MAX), st.integers(0, 20))
def test_an_unsigned_integer_may_have_zeros_in_front(value: int, width: int) -> None:
    assert unsigned(b"%0*d" % (width, value)) == value


@pytest.mark.parametrize(
    "argument", [b"", b"-1", b"-0", b"+1", b" 1", b"1_0", b"1.0", b"\xc2\xb2", b"9" * 5000]
)
def test_any_other_is_refused(argument: bytes) -> None:
    assert error_of(lambda: unsigned(argument)) == NOT_INTEGER
    assert error_of(lambda: unsigned(b"%d" % (UINT64_MAX + 1), "ERR no")) == "ERR no"


# Doubles

PLAIN = st.from_regex(rb"[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][+-]?[0-9]{1,3})?", fullmatch=True)
HEXADECIMAL = st.from_regex(
    rb"[+-]?0[xX][0-9a-fA-F]{0,16}\.?[0-9a-fA-F]{0,4}([pP][+-]?[0-9]{1,4})?", fullmatch=True
)
NOISE = st.from_regex(rb"[0-9.eExXpP+\-infaty_ \x00]{0,9}", fullmatch=True)
DOUBLES = st.floats().map(lambda value: repr(value).encode())


@settings(max_examples=300)
@given(PLAIN | HEXADECIMAL | NOISE | DOUBLES)
@example(b"1e309")
@example(b"-1e-400")
@example(b"0e99999999999999999999")
@example(b"0x1p-1075")
@example(b"0x1.8p-1075")
@example(b"+Infinity")
@example(b"nan(1)")
def test_a_double_is_what_redis_takes_for_one(redis_server: ServerProcess, argument: bytes) -> None:
    with redis_server.client(protocol=3) as client:
        client.command("DEL", "z")
        accepted = client.command("ZADD", "z", argument, "member") == b":1\r\n"
        score = decode(client.command("ZSCORE", "z", "member"))
    if accepted:
        assert real(argument) == score
    else:
        assert error_of(lambda: real(argument)) == NOT_FLOAT


@pytest.mark.parametrize("head", [b"", b"0x", b"1.", b"1e", b"0x1p"])
def test_refusing_a_long_argument_takes_linear_time(head: bytes) -> None:
    began = time.perf_counter()
    assert error_of(lambda: real(head + b"1" * 1_000_000 + b"!")) == NOT_FLOAT
    assert time.perf_counter() - began < 1.0


# Options

GRAMMAR = {
    b"NX": Option("condition"),
    b"XX": Option("condition"),
    b"GET": Option("get"),
    b"COUNT": Option("count", integer),
    b"ONLY": Option("only", integer, once=True),
    b"LIMIT": Option("limit", lambda offset, count: (integer(offset), integer(count)), values=2),
}
parse = partial(options, start=1, grammar=GRAMMAR)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", {}),
        ("nx", {"condition": b"NX"}),
        ("XX get", {"condition": b"XX", "get": b"GET"}),
        ("COUNT 1 Count 2", {"count": 2}),
        ("LIMIT 3 4 NX NX", {"limit": (3, 4), "condition": b"NX"}),
        ("only 1 NX", {"only": 1, "condition": b"NX"}),
    ],
)
def test_options(words: str, chosen: dict[str, object]) -> None:
    assert parse([b"command", *words.encode().split()]) == chosen


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("FOO", SYNTAX),
        ("NX XX", SYNTAX),
        ("XX GET NX", SYNTAX),
        ("COUNT", SYNTAX),
        ("LIMIT 1", SYNTAX),
        ("ONLY 1 only 1", SYNTAX),
        ("COUNT NX", NOT_INTEGER),
        ("COUNT x FOO", NOT_INTEGER),
        ("FOO COUNT x", SYNTAX),
    ],
)
def test_options_refused(words: str, error: str) -> None:
    assert error_of(lambda: parse([b"command", *words.encode().split()])) == error


# Deadlines


@pytest.mark.parametrize(
    ("words", "deadline"),
    [
        ("EX 10", NOW + 10_000),
        ("PX 10", NOW + 10),
        ("EXAT 10", 10_000),
        ("PXAT 10", 10),
        ("EX 1 EX 2", NOW + 2000),
        (f"PXAT {INT64_MAX}", INT64_MAX),
        (f"PX {INT64_MAX - NOW}", INT64_MAX),
        (f"EXAT {INT64_MAX // 1000}", INT64_MAX // 1000 * 1000),
    ],
)
def test_deadlines(words: str, deadline: int) -> None:
    assert options(words.encode().split(), 0, EXPIRY)["expiry"].deadline(NOW, "set") == deadline


@pytest.mark.parametrize(
    ("argument", "unit", "relative"),
    [
        (b"0", SECOND, True),
        (b"-1", MILLISECOND, False),
        (b"%d" % (INT64_MAX // 1000), SECOND, True),
        (b"%d" % (INT64_MAX // 1000 + 1), SECOND, False),
        (b"%d" % (INT64_MAX - NOW + 1), MILLISECOND, True),
    ],
)
def test_invalid_deadlines(argument: bytes, unit: int, relative: bool) -> None:
    error = error_of(lambda: Expiry(argument, unit, relative).deadline(NOW, "getex"))
    assert error == "ERR invalid expire time in 'getex' command"


def test_a_deadline_that_is_no_integer_is_noticed_last() -> None:
    expiry = options([b"EX", b"x"], 0, EXPIRY)["expiry"]
    assert error_of(lambda: expiry.deadline(NOW, "set")) == NOT_INTEGER


def test_expiry_options_exclude_each_other() -> None:
    for words in (b"EX 1 PX 1", b"PXAT 1 EXAT 1"):
        assert error_of(partial(options, words.split(), 0, EXPIRY)) == SYNTAX
