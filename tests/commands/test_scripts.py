"""Commands and options that the real server here does not have: ``scripts/*.txt`` says what they
answer, each by the manual, the tests or the source of the server that has them.

A line is a command in redis-cli's quoting, ``=>`` and its reply: a Python literal, in which text
stands for a bulk string, ``+OK`` for a simple string, ``-ERR …`` for an error. ``+N`` lets N
milliseconds pass. A blank line begins a new case on an empty keyspace, ``#`` a comment.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.commands.registry import REGISTRY
from tendis_py.config import Config
from tendis_py.services import Services
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tests.support.changes import Stage
from tests.support.dispatching import NOW, Thread
from tests.support.reference import split_arguments
from tests.support.resp import Aggregate, Error, Simple, decode

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.txt"))

Line = tuple[str, list[bytes], Any]
"""Its place and text; the command, or nothing where time passes; the reply, or how long."""


def read_script(path: Path) -> list[list[Line]]:
    """The cases of a script."""
    cases: list[list[Line]] = [[]]
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        place = f"{path.name}:{number}: {text}"
        if not text.strip():
            cases.append([])
        elif text.startswith("+"):
            cases[-1].append((place, [], int(text)))
        elif not text.startswith("#"):
            command, arrow, reply = text.partition(" => ")
            assert arrow, place
            cases[-1].append((place, split_arguments(command.encode()), _expected(reply)))
    return [case for case in cases if case]


def _expected(reply: str) -> Any:
    return reply if reply[:1] in "+-" and not reply[1:2].isdigit() else ast.literal_eval(reply)


def _plain(value: Any) -> Any:
    """A decoded reply as scripts spell it."""
    match value:
        case bytes():
            return value.decode("latin-1")
        case Simple():
            return f"+{value.text}"
        case Error():
            return f"-{value.message}"
        case Aggregate():
            return [_plain(item) for item in value.items]
        case list():
            return [_plain(item) for item in value]
    return value


_MAY_BE_NO_EDIT = {"xreadgroup"}
"""For Redis: of what a consumer reads again only the times and counts change."""


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[Thread]:
    engine = Engine(tmp_path / "data")
    config = Config()
    yield Thread(Services(config, Keyspace(engine, limits=config)))
    engine.close()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_replies(thread: Thread, path: Path) -> None:
    for case in read_script(path):
        now = NOW
        assert thread.run("FLUSHALL", "HELLO 2", now=now).startswith(b"+OK")
        for place, command, reply in case:
            if not command:
                now += reply
                continue
            found = _plain(decode(thread.run_requests([command], now)))
            assert found == reply, place
            assert type(found) is type(reply), place


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_changes_are_told_of(tmp_path: Path, path: Path) -> None:
    """A command that writes tells which keys it has changed, and counts that. Here the time is
    real: a deadline of the script's may have passed."""
    stage = Stage(tmp_path / "stage")
    for case in read_script(path):
        stage.run([[b"FLUSHALL"]])
        for place, command, _ in case:
            if command:
                told = stage.run([command])
                assert stage.take_unheard() == [], place
                known = REGISTRY.lookup(command[0])
                assert known is not None, place
                if known.writes and known.name not in _MAY_BE_NO_EDIT:
                    assert told.edits or not told.rewritten, place
    stage.engine.close()


def test_the_scripts_have_all_commands_of_others() -> None:
    """test_changes.py wants those that write of Redis in its transcripts; sorted integers have
    tests/wire/test_sorted_integers.py."""
    said = [command for path in SCRIPTS for case in read_script(path) for _, command, _ in case]
    seen = {command[0].lower().decode("latin-1") for command in said if command}
    commands = REGISTRY.commands.values()
    others = {one.name for one in commands if one.origin and one.group != "sortedint"}
    assert others - seen == set()


def test_a_script_is_read(tmp_path: Path) -> None:
    path = tmp_path / "some.txt"
    path.write_text('# remark\nSET k "a b" => +OK\n+20\n\nGET k => None\n')
    (first, second), (third,) = read_script(path)
    assert first[1:] == ([b"SET", b"k", b"a b"], "+OK")
    assert second[1:] == ([], 20)
    assert third[1:] == ([b"GET", b"k"], None)
