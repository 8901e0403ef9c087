"""Redis' glob patterns, against a transliteration of util.c's stringmatchlen."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tendis_py import glob
from tendis_py.glob import MAX_NESTING, SHORT, compile_glob, literal_prefix


@pytest.fixture(params=["short", "long", "all places at once"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the ways in which a pattern can be matched, whatever its length."""
    monkeypatch.setattr(glob, "SHORT", SHORT if request.param == "short" else 0)
    if request.param == "all places at once":
        monkeypatch.setattr(glob, "_FEW_PIECES", -1)


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


@pytest.mark.usefixtures("way")
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns, st.lists(subjects, min_size=1, max_size=3), st.booleans())
def test_matches_what_redis_matches(pattern: bytes, asked: list[bytes], ignore_case: bool) -> None:
    matches = compile_glob(pattern, ignore_case=ignore_case)
    for subject in asked:
        expected = pattern == b"*" or stringmatchlen(pattern, subject, ignore_case)
        assert matches(subject) is expected


long_subjects = st.text("abc", min_size=20, max_size=80).map(str.encode)
long_patterns = st.lists(
    st.sampled_from([b"*", b"?", b"[ab]", b"[^a]", b"a", b"b", b"c", b"ab", b"\\a", b"b?b?"]),
    max_size=20,
).map(b"".join)


@pytest.mark.usefixtures("way")
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(long_patterns, long_subjects)
def test_runs_are_found_in_long_subjects(pattern: bytes, subject: bytes) -> None:
    pattern = b"*" + pattern + b"*"
    assert compile_glob(pattern)(subject) is reached(pattern, subject)


def reached(pattern: bytes, subject: bytes) -> bool:
    """What `stringmatchlen` says, by all the places that each element can end at."""
    ends = {0}
    p = 0
    while p < len(pattern):
        c = pattern[p : p + 1]
        if c == b"*":
            ends = set(range(min(ends), len(subject) + 1)) if ends else ends
        elif c == b"[":
            ends = {
                at + 1 for at in ends if char_class(pattern, p + 1, byte(subject, at), False)[0]
            }
            p = char_class(pattern, p + 1, 0, False)[1]
        elif c == b"?":
            ends = {at + 1 for at in ends}
        else:
            p += c == b"\\"
            ends = {at + 1 for at in ends if byte(subject, at) == pattern[p]}
        ends = {at for at in ends if at <= len(subject)}
        p += 1
    return len(subject) in ends


def byte(subject: bytes, at: int) -> int:
    return subject[at] if at < len(subject) else -1


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
        (b"[\\-z]", [b"-", b"z"], [b"\\", b"a"]),
        (b"[a-]b", [b"]", b"a", b"b"], [b"ab", b"]b", b"-"]),
        (b"[^-]", [b"a"], [b"-"]),
        (b"a.c", [b"a.c"], [b"abc"]),
    ],
)
@pytest.mark.usefixtures("way")
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


def test_more_stars_than_redis_nests_match_nothing() -> None:
    subject = b"a" * 3000
    assert compile_glob(b"*?" * MAX_NESTING)(subject)
    assert compile_glob(b"*?" * MAX_NESTING + b"***")(subject)
    assert not compile_glob(b"*?" * (MAX_NESTING + 1))(subject)
    assert not compile_glob(b"a" + b"*a" * (MAX_NESTING + 1) + b"*")(subject)


LENGTH = 100_000
HOSTILE = [
    b"a*" + b"b?" * (LENGTH // 2),
    b"a*" * (LENGTH // 2),
    b"*?" * (LENGTH // 2),
    b"*" + b"b?" * (LENGTH // 2) + b"c*",
    b"*" + b"[ab][bc]" * (LENGTH // 8) + b"*",
    b"[a]" * (LENGTH // 3),
    b"[" + b"a-z" * (LENGTH // 3),
    b"[" * LENGTH,
    b"\\a?" * (LENGTH // 3),
    b"*" * LENGTH + b"b",
    b"a" * LENGTH + b"*b",
    b"?" * LENGTH,
    b"*a*b*c" * (LENGTH // 6),
]
SUBJECTS = [b"key:%d" % i for i in range(10)] + [b"a" * 2000, b"a" * LENGTH, b"ab" * (LENGTH // 2)]


def test_hostile_patterns_and_subjects_do_not_blow_up() -> None:
    started = time.thread_time()
    for pattern in HOSTILE:
        literal_prefix(pattern)
        matches = compile_glob(pattern)
        for subject in SUBJECTS:
            matches(subject)
    assert time.thread_time() - started < 10  # 0.5 s; compiling the first alone took 1.3 s


def test_no_more_is_read_of_a_pattern_than_subjects_can_reach() -> None:
    for pattern in HOSTILE:
        if b"?" in pattern or b"[a]" in pattern:  # a literal is read whole, at no cost
            matcher = glob._Matcher(pattern, ignore_case=False)
            assert not any(map(matcher.matches, SUBJECTS[:10]))
            assert matcher._tokens is not None
            assert sum(len(token[0]) for token in matcher._tokens) > LENGTH - 2000
