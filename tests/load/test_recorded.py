"""Files of recorded commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.load.errors import LoadError
from tendis_py.load.recorded import Recording, Replay, read_recording
from tests.support.reference import parse_requests
from tests.support.servers import ServerProcess

MONITOR = rb"""OK
1795689560.446696 [0 127.0.0.1:45748] "SET" "a" "x\ny\"\xff\a\b\t\\"
1795689560.446697 [0 [::1]:1] "MULTI"
1795689560.446698 [0 127.0.0.1:45748] "GET" "a"
1795689560.446699 [0 [::1]:1] "INCR" "n"
1795689560.446700 [0 unix:/tmp/a] b"] "GET" "] \"x"
1795689560.446701 [0 [::1]:1] "EXEC"
1795689560.446702 [0 lua] "GET" "a"
1795689560.446703 [3 127.0.0.1:45748] "SELECT" "3"
1795689560.446704 [3 127.0.0.1:45748] "AUTH" "(redacted)"
1795689560.446705 [3 127.0.0.1:45748] "MULTI"
"""


def lines(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def read(text: bytes) -> Recording:
    return read_recording(lines(text), "file")


def test_monitor_is_read() -> None:
    recording = read(MONITOR)
    assert recording.groups == [
        [[b"SET", b"a", b'x\ny"\xff\a\b\t\\']],
        [[b"GET", b"a"]],
        [[b"GET", b'] "x']],
        [[b"MULTI"], [b"INCR", b"n"], [b"EXEC"]],
    ]
    assert recording.skipped == {
        "called by scripts": 1,
        "SELECT": 1,
        "AUTH": 1,
        "transactions without an end": 1,
    }


def test_plain_commands_are_read_in_redis_clis_quoting() -> None:
    recording = read(b"# of yesterday\n\nset a 'b c'\r\n  get \"\\x00\"\nGET a")
    assert recording.groups == [[[b"set", b"a", b"b c"]], [[b"get", b"\0"]], [[b"GET", b"a"]]]


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_monitor_shows_of_any_bytes_is_read_back(requests: list[list[bytes]]) -> None:
    requests = [[b"ECHO", *words] for words in requests]
    text = b"".join(
        b"1.000002 [0 127.0.0.1:5] %b\n" % b" ".join(map(quoted, words)) for words in requests
    )
    assert read(text).groups == [[words] for words in requests]


def quoted(word: bytes) -> bytes:
    """As sdscatrepr."""
    letters = dict(zip(b'\\"\n\r\t\a\b', b'\\"nrtab', strict=True))
    return b'"%b"' % b"".join(
        b"\\%c" % letters[byte]
        if byte in letters
        else (b"%c" % byte if 32 <= byte < 127 else b"\\x%02x" % byte)
        for byte in word
    )


@pytest.mark.parametrize("text", [b'GET a\nGET "a\n', b'GET a\n"" b\n', b'GET a\n"a"b c'])
def test_what_is_no_command_is_named_with_its_line(text: bytes) -> None:
    with pytest.raises(LoadError, match=r"^file:2: not a command: "):
        read(text)


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"SUBSCRIBE a\n", b"MULTI\nGET a\n"])
def test_nothing_to_replay_is_an_error(text: bytes) -> None:
    with pytest.raises(LoadError, match="no command that can be replayed"):
        read(text)


@pytest.mark.parametrize(
    "line", [b"WATCH a", b"CLIENT REPLY OFF", b"quit", b"EXEC", b"SHUTDOWN", b"PSYNC ? -1"]
)
def test_what_would_disturb_is_left_out(line: bytes) -> None:
    recording = read(line + b"\nGET a\n")
    assert recording.groups == [[[b"GET", b"a"]]]
    assert recording.skipped.total() == 1


def test_a_transaction_stays_together_and_the_file_begins_again() -> None:
    replay = Replay(read(b"GET a\nMULTI\nINCR n\nEXEC\nget b\n"))
    assert replay.names == ["GET", "MULTI", "INCR", "EXEC"]
    data, kinds = replay.take(2)
    assert [replay.names[kind] for kind in kinds] == ["GET", "MULTI", "INCR", "EXEC"]
    assert len(parse_requests(data).requests) == 4
    data, kinds = replay.take(2)
    assert parse_requests(data).requests == [[b"get", b"b"], [b"GET", b"a"]]


def test_what_the_servers_show_is_read(
    redis_server: ServerProcess, tendis_default: ServerProcess
) -> None:
    words = [b"SET", b"k\0\n", b'"\\\xff\'] "']
    for server in (redis_server, tendis_default):
        with server.client() as watcher, server.client() as client:
            watcher.command("MONITOR")
            client.command(*words)
            client.command("DEL", words[1])
            shown = [watcher.reply()[1:] for _ in range(2)]
        assert read_recording(shown, "monitor").groups[0] == [words]
