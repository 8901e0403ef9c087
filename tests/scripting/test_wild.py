"""Scripts from the wild, those of libraries in many languages: replies and data as the real
server's.

``wild/NAME.lua`` holds a library's scripts, each after a line ``--@script NAME``. Where several
share a piece, that is after ``--@part NAME``, and ``--@include NAME`` stands for it.
``wild/NAME.txt`` is a transcript (see tests/support/transcript.py) in which ``EVALSHA NAME`` calls
one of them; those of whole libraries were recorded with MONITOR. After each case the keys and what
they hold are compared as well, but not the times that are left, and of entries of streams not the
IDs, which come from the clock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.resp import RawClient
from tests.support.servers import ServerProcess
from tests.support.transcript import Case, comparable, play, read_transcript

FOLDER = Path(__file__).parent / "wild"
LIBRARIES = sorted(path.stem for path in FOLDER.glob("*.lua"))

_CONTENT = {
    b"string": ("GET {}",),
    b"hash": ("HGETALL {}",),
    b"list": ("LRANGE {} 0 -1",),
    b"set": ("SMEMBERS {}",),
    b"zset": ("ZRANGE {} 0 -1 WITHSCORES",),
}
_IN_ANY_ORDER = (b"hash", b"set")

Played = list[tuple[list[bytes], dict[bytes, Any]]]
"""For each case its replies, and what is then stored."""


def read_scripts(path: Path) -> dict[str, bytes]:
    """The scripts of a library, what they include in its place."""
    sections = re.split(r"^--@(script|part) (.+)\n", path.read_text("utf-8"), flags=re.MULTILINE)
    kinds, names, texts = sections[1::3], sections[2::3], sections[3::3]
    parts = {
        name: text for kind, name, text in zip(kinds, names, texts, strict=True) if kind == "part"
    }

    def whole(text: str, seen: set[str]) -> str:
        def include(found: re.Match[str]) -> str:
            name = found[1]
            if name in seen:
                return ""
            seen.add(name)
            return whole(parts[name], seen)

        return re.sub(r"^--@include (.+)\n", include, text, flags=re.MULTILINE)

    return {
        name: whole(text, set()).encode()
        for kind, name, text in zip(kinds, names, texts, strict=True)
        if kind == "script"
    }


def is_call(arguments: list[bytes]) -> bool:
    return arguments[:1] == [b"EVALSHA"]


def read_session(name: str, scripts: dict[str, bytes]) -> list[Case]:
    """The cases of a library's transcript, its scripts called by their hashes."""

    def resolved(arguments: list[bytes]) -> list[bytes]:
        if not is_call(arguments):
            return arguments
        text = scripts[arguments[1].decode()]
        return [arguments[0], hashlib.sha1(text).hexdigest().encode(), *arguments[2:]]

    return [
        [replace(line, arguments=resolved(line.arguments)) for line in case]
        for case in read_transcript(FOLDER / f"{name}.txt")
    ]


SCRIPTS = {name: read_scripts(FOLDER / f"{name}.lua") for name in LIBRARIES}
SESSIONS = {name: read_session(name, scripts) for name, scripts in SCRIPTS.items()}


def contents(client: RawClient) -> dict[bytes, Any]:
    """What is stored: each key's type, whether it expires, and its value."""
    found: dict[bytes, Any] = {}
    for key in sorted(client.value("KEYS", "*")):
        kind = client.value("TYPE", key).text.encode()
        expires = client.value("PTTL", key) >= 0
        if kind == b"stream":
            value = [fields for _, fields in client.value("XRANGE", key, "-", "+")]
        else:
            [template] = _CONTENT[kind]
            value = client.value(*[key if word == "{}" else word for word in template.split()])
        if kind in _IN_ANY_ORDER:
            value = sorted(value)
        found[key] = kind, expires, value
    return found


def play_all(name: str, server: ServerProcess, protocol: int) -> Played:
    with server.client() as client:
        client.command("SCRIPT", "FLUSH")  # and what other tests have set of cjson
        client.command("FLUSHALL")
        loaded = [client.value("SCRIPT", "LOAD", text) for text in SCRIPTS[name].values()]
        assert all(isinstance(sha, bytes) for sha in loaded), loaded
    played = []
    for case in SESSIONS[name]:
        replies = play(case, server, protocol)
        with server.client() as client:
            played.append((replies, contents(client)))
            client.command("FLUSHALL")
    return played


@pytest.fixture(scope="session")
def expected(redis_server: ServerProcess) -> Callable[[str, int], Played]:
    @cache
    def played(name: str, protocol: int) -> Played:
        return play_all(name, redis_server, protocol)

    return played


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_data_are_those_of_redis(
    tendis_default: ServerProcess, expected: Callable[[str, int], Played], name: str, protocol: int
) -> None:
    must_be_alike(name, play_all(name, tendis_default, protocol), expected(name, protocol))


@pytest.mark.soak
@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("protocol", [2, 3])
def test_they_are_in_each_threading_model(
    tendis: ServerProcess, expected: Callable[[str, int], Played], name: str, protocol: int
) -> None:
    must_be_alike(name, play_all(name, tendis, protocol), expected(name, protocol))


def must_be_alike(name: str, ours: Played, theirs: Played) -> None:
    for case, (replies, data), (wanted, wanted_data) in zip(
        SESSIONS[name], ours, theirs, strict=True
    ):
        for line, here, there in zip(case, replies, wanted, strict=True):
            place = f"{name}.txt:{line.number}: {line.text[:200]}\n{here!r}\n{there!r}"
            assert comparable(here, line.marks) == comparable(there, line.marks), place
        assert data == wanted_data


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_script_is_called(name: str) -> None:
    called = {
        line.arguments[1].decode()
        for case in SESSIONS[name]
        for line in case
        if is_call(line.arguments)
    }
    assert called == {hashlib.sha1(text).hexdigest() for text in SCRIPTS[name].values()}


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_scripts_are_whole(name: str, expected: Callable[[str, int], Played]) -> None:
    """Else both servers would agree on that alone."""
    for case, (replies, _) in zip(SESSIONS[name], expected(name, 2), strict=True):
        for line, reply in zip(case, replies, strict=True):
            assert b"nonexistent global" not in reply, (line.text, reply)
