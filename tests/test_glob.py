"""Redis' glob patterns, against a transliteration of util.c's stringmatchlen."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.glob import compile_glob, literal_prefix


def stringmatchlen(pattern: bytes, string: bytes, nocase: bool) -> bool:
    """Redis' matcher, arm by arm, with the nesting guard and the early-out left out."""
    p = s = 0
    while p < len(pattern) and s < len(string):
        c = pattern[p : p + 1]
        if c == b"*":
            while pattern[p + 1 : p + 2] == b"*":
                p += 1
            if p == len(pattern) - 1:
                return True
            return any(
                stringmatchlen(pattern[p + 1 :], string[at:], nocase)
                for at in range(s, len(string))
            )
        if c == b"[":
            matched, p = char_class(pattern, p + 1, string[s], nocase)
            if not matched:
                return False
        elif c != b"?":
            if c == b"\\" and p + 1 < len(pattern):
                p += 1
            if fold(pattern[p], nocase) != fold(string[s], nocase):
                return False
        s += 1
        p += 1
        if s == len(string):
            while pattern[p : p + 1] == b"*":
                p += 1
            break
    return p >= len(pattern) and s == len(string)


def char_class(pattern: bytes, p: int, c: int, nocase: bool) -> tuple[bool, int]:
    negate = pattern[p : p + 1] == b"^"
    if negate:
        p += 1
    match = False
    while True:
        left = len(pattern) - p
        if left >= 2 and pattern[p] == ord("\\"):
            p += 1
            match |= pattern[p] == c
        elif left == 0:
            p -= 1
            break
        elif pattern[p] == ord("]"):
            break
        elif left >= 3 and pattern[p + 1] == ord("-"):
            start, end = sorted((signed(pattern[p]), signed(pattern[p + 2])))
            start, end = fold(start, nocase), fold(end, nocase)
            match |= start <= fold(signed(c), nocase) <= end
            p += 2
        else:
            match |= fold(pattern[p], nocase) == fold(c, nocase)
        p += 1
    return match != negate, p


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def fold(byte: int, nocase: bool) -> int:
    return byte + 32 if nocase and ord("A") <= byte <= ord("Z") else byte


patterns = st.lists(
    st.sampled_from([b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"B", b"z", b"\xff"]),
    max_size=9,
).map(b"".join)
subjects = st.lists(
    st.sampled_from([b"a", b"b", b"B", b"Z", b"[", b"]", b"-", b"\\", b"^", b"\xff", b"\n"]),
    max_size=6,
).map(b"".join)


@settings(max_examples=3000)
@given(patterns, subjects, st.booleans())
def test_matches_what_redis_matches(pattern: bytes, subject: bytes, ignore_case: bool) -> None:
    expected = pattern == b"*" or stringmatchlen(pattern, subject, ignore_case)
    assert compile_glob(pattern, ignore_case=ignore_case)(subject) is expected


@given(patterns, subjects)
def test_every_match_starts_with_the_literal_prefix(pattern: bytes, subject: bytes) -> None:
    if compile_glob(pattern)(subject):
        assert subject.startswith(literal_prefix(pattern))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (b"*", [b"", b"x", b"\n"], []),
        (b"**", [b"x"], [b""]),
        (b"", [b""], [b"x"]),
        (b"user:*", [b"user:", b"user:1\n"], [b"user", b"xuser:"]),
        (b"*:name", [b":name", b"1:name"], [b":name\n"]),
        (b"*mid*", [b"mid", b"amidst"], [b"mi", b""]),
        (b"a*b", [b"ab", b"a-b"], [b"a", b"aba"]),
        (b"a*bc*d", [b"abcd", b"abbcd"], [b"abd", b"abcdx"]),
        (b"*aa*aa", [b"aaaa"], [b"aaa"]),
        (b"h[ae]llo", [b"hallo", b"hello"], [b"hillo", b"Hello"]),
        (b"h[^e]llo", [b"hallo"], [b"hello"]),
        (b"h[c-a]llo", [b"hbllo"], [b"hdllo"]),
        (b"h[a", [b"ha"], [b"h", b"hb", b"h[a"]),
        (b"h[^", [b"hx"], [b"h"]),
        (b"[]a]", [], [b"]", b"a", b"a]"]),
        (b"\\*", [b"*"], [b"x", b"\\*"]),
        (b"a\\", [b"a\\"], [b"a"]),
        (b"[\\]]", [b"]"], [b"\\"]),
        (b"a.c", [b"a.c"], [b"abc"]),
    ],
)
def test_examples(pattern: bytes, matching: list[bytes], others: list[bytes]) -> None:
    matches = compile_glob(pattern)
    assert [subject for subject in matching + others if matches(subject)] == matching


def test_case_is_ignored_on_request() -> None:
    matches = compile_glob(b"MAX*[c-e]n*S", ignore_case=True)
    assert matches(b"maxcliENTs")
    assert not matches(b"maxclints")


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        (b"user:*", b"user:"),
        (b"us\\*er?", b"us*er"),
        (b"u[s]er*", b"user"),
        (b"u[sx]er", b"u"),
        (b"*x", b""),
        (b"plain", b"plain"),
    ],
)
def test_literal_prefix(pattern: bytes, prefix: bytes) -> None:
    assert literal_prefix(pattern) == prefix


def test_many_stars_do_not_blow_up() -> None:
    matches = compile_glob(b"a*" * 30 + b"b")
    started = time.perf_counter()
    assert not matches(b"a" * 20_000)
    assert matches(b"a" * 20_000 + b"b")
    assert time.perf_counter() - started < 1
