"""Which keyspace events commands fire, beside the real server: line by line of the transcripts,
with collections as they come, and with large ones wherever Redis would not keep two elements
packed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.commands.registry import REGISTRY
from tests.commands.test_changes import _LOW, _NAMES, _SAVING, _USUAL, _WITHOUT_COLLECTIONS
from tests.support.changes import DATABASES
from tests.support.events import EventStage, Message, Subscriber, subscribing, watch_events
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, redis_process, running
from tests.support.transcript import Case, Line, read_transcript

_FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"
_ALL = b"KEAnm"

_LOOKS_LATER = {"XAUTOCLAIM none g d x 0"}
"""The error comes before the key is missed."""

_SILENT_IN_REDIS = "HMGET h "
"""Where the first field that it meets is the last one, HMGET deletes the hash and tells nobody."""


def _differs(line: Line, ours: list[Message], theirs: list[Message]) -> bool:
    name = line.arguments[0].upper()
    if name in (b"SORT", b"SORT_RO"):  # in which order it looks at what it sorts by is chance
        return sorted(ours) != sorted(theirs)
    if name in (b"SCAN", b"RANDOMKEY"):  # what they pass over is left to the sweep
        return ours != [message for message in theirs if b"expired" not in b"".join(message)]
    if line.text.startswith(_SILENT_IN_REDIS) and not theirs:
        return [message for _, message in ours[::2]] not in ([], [b"hexpired", b"del"])
    return ours != theirs and line.text not in _LOOKS_LATER


class Pair:
    """The real server, in which nothing expires before somebody looks, and a stage."""

    def __init__(
        self, server: ServerProcess, client: RawClient, subscriber: Subscriber, stage: EventStage
    ) -> None:
        self.server = server
        self.client = client
        self.subscriber = subscriber
        self.stage = stage

    def both(self, *request: bytes) -> tuple[list[Message], list[Message]]:
        ours = self.stage.run(list(request))
        self.client.command(*request)
        return ours, self.subscriber.look()

    def use(self, limits: dict[str, int], classes: bytes = _ALL) -> None:
        words = [str(word).encode() for limit in limits.items() for word in limit]
        self.both(b"CONFIG", b"SET", b"notify-keyspace-events", classes, *words)

    def play(self, case: Case) -> list[tuple[Line, list[Message], list[Message]]]:
        ours, theirs = self.stage.play(case), watch_events(case, self.server, self.subscriber)
        return list(zip(case, ours, theirs, strict=True))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("redis")
    stage = EventStage(tmp_path_factory.mktemp("stage") / "data")
    with (
        running(redis_process(folder, "--databases", str(DATABASES))) as server,
        server.client() as client,
        subscribing(server) as subscriber,
    ):
        assert client.command("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"+OK\r\n"
        yield Pair(server, client, subscriber, stage)
    stage.stage.engine.close()


def test_all_commands_that_write_say_what_they_fire() -> None:
    silent = [it.name for it in REGISTRY.all() if "write" in it.flags and it.events is None]
    assert silent == []


@pytest.mark.parametrize("limits", [_USUAL, _LOW], ids=["usual", "low"])
@pytest.mark.parametrize("name", _NAMES.split())
def test_events_are_those_of_redis(pair: Pair, name: str, limits: dict[str, int]) -> None:
    if limits is _LOW and name in _WITHOUT_COLLECTIONS:
        return
    pair.use(limits)
    found = []
    for case in read_transcript(_FOLDER / f"{name}.txt"):
        if _SAVING.isdisjoint(line.arguments[0].upper() for line in case):
            found += [
                f"{name}.txt:{line.number}: {line.text}\n  ours   {ours}\n  theirs {theirs}"
                for line, ours, theirs in pair.play(case)
                if _differs(line, ours, theirs)
            ]
    assert not found, f"{len(found)} lines\n" + "\n".join(found)
