"""What commands count as changes, and which keys they tell to have changed, beside the real server:
line by line of the transcripts, with collections as they come, and with large ones wherever Redis
would not keep two elements packed.

What Redis takes for a modified key (``signalModifiedKey``) shows in the keys that it has a client
forget that tracks all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.commands.registry import REGISTRY
from tests.support.changes import DATABASES, Stage, Told, Watcher, watch, watching
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, redis_process, running
from tests.support.transcript import Case, Line, read_transcript

_FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"
_NAMES = (
    "at_once bitmap changes database expire geo hash hyperloglog keys list set sort stream string "
    "transactions zset"
)
_WITHOUT_COLLECTIONS = {"bitmap", "expire", "hyperloglog", "string"}
_SAVING = {b"SAVE", b"BGSAVE"}
"""They have the count begin anew, in their time."""

_USUAL = {
    "hash-max-listpack-entries": 512,
    "set-max-listpack-entries": 128,
    "set-max-intset-entries": 512,
    "zset-max-listpack-entries": 128,
    "list-max-listpack-size": -2,
    "stream-node-max-entries": 100,
}
_LOW = {**dict.fromkeys(_USUAL, 1), "stream-node-max-entries": 2}

_OF_LISTPACKS = {"ZREMRANGEBYLEX z [c (d"}
"""Members in no order: what a skip list makes of that is chance."""


class Pair:
    """The real server, in which nothing expires before somebody looks, and a stage."""

    def __init__(self, server: ServerProcess, client: RawClient, watcher: Watcher, stage: Stage):
        self.server = server
        self.client = client
        self.watcher = watcher
        self.stage = stage

    def play(self, case: Case, limits: dict[str, int]) -> list[tuple[Line, Told, Told]]:
        """Each line, what our server tells of it, and what Redis tells."""
        self._use(limits)
        ours, theirs = self.stage.play(case), watch(case, self.server, self.watcher)
        return list(zip(case, ours, theirs, strict=True))

    def run(self, requests: list[list[bytes]]) -> tuple[Told, Told]:
        """Run a pipeline: what ours tells of it, and Redis."""
        self.client.pipeline(requests)
        return self.stage.run(requests), self.watcher.look()

    def begin(self, limits: dict[str, int]) -> None:
        self._use(limits)
        self.run([[b"FLUSHALL"]])

    def _use(self, limits: dict[str, int]) -> None:
        words = [str(word).encode() for limit in limits.items() for word in limit]
        self.run([[b"CONFIG", b"SET", *words]])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("redis")
    stage = Stage(tmp_path_factory.mktemp("stage") / "data")
    with (
        running(redis_process(folder, "--databases", str(DATABASES))) as server,
        server.client() as client,
        watching(server, keys=True) as watcher,
    ):
        assert client.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
        yield Pair(server, client, watcher, stage)
    stage.engine.close()


def test_the_transcripts_have_all_commands_that_write() -> None:
    """Those that the real server lacks are in scripts (test_scripts.py)."""
    seen = {
        line.arguments[0].lower().decode("latin-1")
        for name in _NAMES.split()
        for case in read_transcript(_FOLDER / f"{name}.txt")
        for line in case
    }
    commands = REGISTRY.commands.values()
    writing = {command.name for command in commands if command.writes and not command.origin}
    assert writing - seen == set()


@pytest.mark.parametrize("limits", [_USUAL, _LOW], ids=["usual", "low"])
def test_sorted_integers_tell_of_changes_as_sets_do(pair: Pair, limits: dict[str, int]) -> None:
    pair.begin(limits)
    stage = pair.stage
    for line, edits in (
        ("SIADD s 1 2 3", 3),
        ("SIADD s 3 3 4", 1),
        ("SIADD s 4", 0),
        ("SIREM s 1 2 9", 2),
        ("SIREM s 9", 0),
        ("SIADD s x", 0),
        ("SIRANGE s 0 0", 0),
        ("SIREM s 3 4", 2),
        ("SIREM s 3 4", 0),
    ):
        told = stage.run([line.encode().split()])
        assert (told.edits, told.keys) == (edits, {b"s"} if edits else set()), line
    run = stage.run([[b"SIADD", b"s", b"%d" % number] for number in (1, 2, 3, 4, 5, 4, 6)])
    assert (run.edits, run.keys) == (6, {b"s"})
    assert stage.take_unheard() == []


@pytest.mark.parametrize("limits", [_USUAL, _LOW], ids=["usual", "low"])
@pytest.mark.parametrize("name", _NAMES.split())
def test_changes_are_those_of_redis(pair: Pair, name: str, limits: dict[str, int]) -> None:
    if limits is _LOW and name in _WITHOUT_COLLECTIONS:
        return
    found = []
    for case in read_transcript(_FOLDER / f"{name}.txt"):
        if _SAVING.isdisjoint(line.arguments[0].upper() for line in case):
            found += [
                f"{name}.txt:{line.number}: {line.text}\n  {difference}"
                for line, ours, theirs in pair.play(case, limits)
                if limits is _USUAL or line.text not in _OF_LISTPACKS
                for difference in _differences(line, ours, theirs)
            ]
    assert not found, "\n".join(found)
    assert pair.stage.take_unheard() == []


def _differences(line: Line, ours: Told, theirs: Told) -> Iterator[str]:
    name = line.arguments[0].upper()
    if ours.edits != theirs.edits:
        yield f"counts {ours.edits}, Redis {theirs.edits}"
    missed = theirs.keys - ours.keys
    if missed and not _may_expire_later(name, theirs):
        yield f"does not tell of {missed}"
    more = ours.keys - theirs.keys
    if ours.edits and more:
        yield f"tells of {more}, which Redis does not take for modified"
    if not ours.edits and more - ours.rewritten:
        yield f"tells of {more - ours.rewritten}, which have not changed"


def _may_expire_later(name: bytes, theirs: Told) -> bool:
    """Whether Redis has deleted what a reader met, and what will go here with the next sweep."""
    command = REGISTRY.lookup(name)
    return not theirs.edits and command is not None and "write" not in command.flags


_few = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
_numbers = st.sampled_from([b"-0", b"0", b"1", b"2", b"3"])


def _repeated(
    name: bytes, *arguments: st.SearchStrategy[bytes]
) -> st.SearchStrategy[list[list[bytes]]]:
    """What is taken as a run: four requests or more."""
    one = st.tuples(*arguments).map(lambda drawn: [name, *drawn])
    return st.lists(one, min_size=4, max_size=9)


def _named(key: bytes) -> st.SearchStrategy[bytes]:
    return st.just(key)


_runs = st.one_of(
    _repeated(b"SET", _few, _numbers),
    _repeated(b"MSET", _few, _numbers, _few, _numbers),
    _repeated(b"INCR", _few),
    _repeated(b"SADD", _named(b"set"), _few),
    _repeated(b"SADD", _named(b"pool"), _few),
    _repeated(b"SPOP", _named(b"drained")),
    _repeated(b"HSET", _named(b"hash"), _few, _numbers),
    _repeated(b"LPUSH", _named(b"list"), _few),
    _repeated(b"RPUSH", _named(b"list"), _few, _few),
    _repeated(b"LPOP", _named(b"list")),
    _repeated(b"RPOP", _named(b"list")),
    _repeated(b"XADD", _named(b"stream"), st.just(b"*"), _few, _few),
    _repeated(b"ZADD", _named(b"zset"), _numbers, _few),
    _repeated(b"ZINCRBY", _named(b"zset"), _numbers, _few),
    _repeated(b"ZPOPMIN", _named(b"zset")),
    _repeated(b"ZPOPMAX", _named(b"zset")),
)
_FILL = """SADD drained 1 2 3 4 5 6 7 8|SADD set a b x|HSET hash a 1 x 2 y 3|RPUSH list a b c d e f
ZADD zset 1 a 2 b 3 x 4 y|MSET a 1 b 2|XADD stream 1 f v"""
_FILLING = [line.encode().split() for line in _FILL.replace("\n", "|").split("|")]


@settings(max_examples=60)
@given(
    limits=st.sampled_from([_USUAL, _LOW]), filled=st.booleans(), runs=st.lists(_runs, max_size=8)
)
@example(limits=_USUAL, filled=False, runs=[[[b"INCR", b"a"]] * 5])
@example(limits=_LOW, filled=True, runs=[[[b"ZADD", b"zset", n, b"a"] for n in (b"2", b"1") * 2]])
def test_runs_change_what_their_commands_would(
    pair: Pair, limits: dict[str, int], filled: bool, runs: list[list[list[bytes]]]
) -> None:
    pair.begin(limits)
    if filled:
        pair.run(_FILLING)
    for requests in runs:
        ours, theirs = pair.run(requests)
        assert (ours.edits, ours.keys) == (theirs.edits, theirs.keys), requests
    assert pair.stage.take_unheard() == []
