"""Every transcript, in every threading model and both protocols, against the real server.

The real server plays each transcript once per protocol in the same run, and its replies decide.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.servers import ServerProcess
from tests.support.transcript import Case, comparable, play, read_transcript

TRANSCRIPTS = sorted(Path(__file__).parent.glob("transcripts/*.txt"))
SHOWN = 20
"""Differences of one transcript that a failure lists."""

Replies = list[list[bytes]]


@pytest.fixture(scope="session")
def expected(redis_server: ServerProcess) -> Callable[[Path, int], Replies]:
    @cache
    def replies(path: Path, protocol: int) -> Replies:
        return [play(case, redis_server, protocol) for case in read_transcript(path)]

    return replies


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(
    tendis: ServerProcess,
    expected: Callable[[Path, int], Replies],
    path: Path,
    protocol: int,
) -> None:
    differences: list[str] = []
    for case, theirs in zip(read_transcript(path), expected(path, protocol), strict=True):
        ours = play(case, tendis, protocol)
        differences += compare(path, case, ours, theirs)
    listed = "\n".join(differences[:SHOWN])
    assert not differences, f"{len(differences)} differences in RESP{protocol}\n{listed}"


def compare(path: Path, case: Case, ours: list[bytes], theirs: list[bytes]) -> list[str]:
    """One text per line whose replies differ; a line that was not reached differs."""
    place = path.name
    found = []
    for index, line in enumerate(case):
        here = ours[index] if index < len(ours) else b"(not reached)"
        there = theirs[index] if index < len(theirs) else b"(not reached)"
        if comparable(here, line.marks) != comparable(there, line.marks):
            found.append(f"{place}:{line.number}: {line.text}\n  ours  {here!r}\n  redis {there!r}")
    return found
