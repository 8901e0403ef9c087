"""redis.conf's syntax: words and quotes, comments, includes, and the error that names a line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.config.syntax import ConfigError, read_file, read_text, split_words

BLANKS = b" \t\n\r\f\v"


def sdssplitargs(line: bytes) -> list[bytes] | None:
    """Redis' splitter, character by character."""
    words: list[bytes] = []
    p = 0

    def at(index: int) -> bytes:
        return line[index : index + 1] or b"\0"

    while True:
        while at(p) in b" \t\n\r\f\v" and at(p) != b"\0":
            p += 1
        if at(p) == b"\0":
            return words
        word, quoted = b"", b""
        while True:
            c = at(p)
            if quoted:
                escaped = c == b"\\" and quoted == b'"'
                if escaped and at(p + 1) == b"x" and is_hex(at(p + 2), at(p + 3)):
                    word += bytes([int(line[p + 2 : p + 4], 16)])
                    p += 3
                elif escaped and at(p + 1) != b"\0":
                    p += 1
                    escapes = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
                    word += escapes.get(at(p), at(p))
                elif quoted == b"'" and c == b"\\" and at(p + 1) == b"'":
                    p += 1
                    word += b"'"
                elif c == quoted:
                    if at(p + 1) not in BLANKS and at(p + 1) != b"\0":
                        return None
                    p += 1
                    break
                elif c == b"\0":
                    return None
                else:
                    word += c
            elif c in BLANKS or c == b"\0":
                break
            elif c in b"\"'":
                quoted = c
            else:
                word += c
            p += 1
        words.append(word)


def is_hex(*digits: bytes) -> bool:
    return all(digit in b"0123456789abcdefABCDEF" and digit != b"\0" for digit in digits)


lines = st.lists(
    st.sampled_from([bytes([c]) for c in b" \t\"'\\xnat4f\x80\v"]) | st.just(b"\\x41"), max_size=14
).map(b"".join)


@given(lines)
def test_words_are_split_as_redis_splits_them(line: bytes) -> None:
    expected = sdssplitargs(line)
    if expected is None:
        with pytest.raises(ValueError, match=r"^Unbalanced quotes in configuration line$"):
            split_words(line)
    else:
        assert split_words(line) == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  a\tb  ", [b"a", b"b"]),
        (rb'a "b c" "\n\r\t\b\a\x41\q\""', [b"a", b"b c", b'\n\r\t\b\aAq"']),
        (rb"a 'b\'c \n'", [b"a", rb"b'c \n"]),
        (b'a"b" ""', [b"ab", b""]),
        (b"a b\0c d", [b"a", b"b"]),
    ],
)
def test_examples(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"a', b'"a"b', b"'a", rb"'a\'", rb'"a\"', b"'a'b", b'"a\0"'])
def test_unbalanced_quotes(line: bytes) -> None:
    with pytest.raises(ValueError, match="Unbalanced quotes"):
        split_words(line)


def test_comments_and_blank_lines_count_but_say_nothing() -> None:
    text = b"# one\n\n \t port  1 \r\nrequirepass \xff # not a comment"
    found = [(it.number, it.text, it.words) for it in read_text(text, "x")]
    assert found == [
        (3, "port  1", ["port", "1"]),
        (
            4,
            "requirepass \udcff # not a comment",
            ["requirepass", "\udcff", *["#", "not", "a", "comment"]],
        ),
    ]


def test_an_unbalanced_line_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        list(read_text(b'\nrequirepass "a', "my.conf"))
    reason = "Unbalanced quotes in configuration line"
    assert (error.value.file, error.value.line_number) == ("my.conf", 2)
    assert (error.value.line, error.value.reason) == ('requirepass "a', reason)


def test_includes_are_read_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("port 1\n")
    (tmp_path / "b.conf").write_text("port 2\n")
    main = tmp_path / "main"
    main.write_text(f"hz 1\nINCLUDE {tmp_path}/*.conf\ninclude '{tmp_path}/none*'\nhz 2\n")
    found = [(Path(it.file).name, it.number, it.words) for it in read_file(str(main))]
    assert found == [
        ("main", 1, ["hz", "1"]),
        ("a.conf", 1, ["port", "1"]),
        ("b.conf", 1, ["port", "2"]),
        ("main", 4, ["hz", "2"]),
    ]


def test_a_file_may_be_included_twice_but_not_by_itself(tmp_path: Path) -> None:
    leaf, main = tmp_path / "leaf", tmp_path / "main"
    leaf.write_text("hz 1\n")
    main.write_text(f"include {leaf}\ninclude {leaf}\n")
    assert len(list(read_file(str(main)))) == 2
    leaf.write_text(f"hz 1\ninclude {main}\n")
    with pytest.raises(ConfigError, match="includes itself") as error:
        list(read_file(str(main)))
    assert (error.value.file, error.value.line_number) == (str(leaf), 2)


@pytest.mark.parametrize("line", ["include", "include a b"])
def test_include_takes_one_name(line: str) -> None:
    with pytest.raises(ConfigError, match="Bad directive or wrong number of arguments"):
        list(read_text(line.encode(), "x"))


def test_a_missing_include_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        list(read_text(b"include /nonexistent.conf", "x"))
    assert error.value.line_number == 1
    assert error.value.reason == "can't open config file '/nonexistent.conf'"


def test_a_missing_file() -> None:
    with pytest.raises(ConfigError) as error:
        list(read_file("/nonexistent.conf"))
    expected = "Fatal error, can't open config file '/nonexistent.conf': No such file or directory"
    assert str(error.value) == expected
