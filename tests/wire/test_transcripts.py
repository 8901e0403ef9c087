"""Every transcript, in every threading model and both protocols, against the real server.

The real server plays each transcript once per protocol in the same run, and its replies decide.
Those in which time matters are played on a server in this process, whose clock is moved; the real
one is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.embedded import MovedTime
from tests.support.servers import ServerProcess
from tests.support.transcript import (
    NO_ANSWER_YET,
    WAITS,
    Case,
    RealTime,
    comparable,
    is_timed,
    play,
    play_in_real_time,
    play_timed,
    read_transcript,
)

TRANSCRIPTS = {
    path: read_transcript(path) for path in sorted(Path(__file__).parent.glob("transcripts/*.txt"))
}
TIMED = [path for path, cases in TRANSCRIPTS.items() if any(map(is_timed, cases))]
UNTIMED = [path for path in TRANSCRIPTS if path not in TIMED]
SHOWN = 20
"""Differences of one transcript that a failure lists."""

Replies = list[list[bytes]]


@pytest.fixture(scope="session")
def expected(redis_server: ServerProcess) -> Callable[[Path, int], Replies]:
    stage = RealTime(redis_server)

    @cache
    def replies(path: Path, protocol: int) -> Replies:
        return [play_in_real_time(case, stage, protocol) for case in TRANSCRIPTS[path]]

    return replies


@pytest.mark.parametrize("path", UNTIMED, ids=lambda path: path.stem)
@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_those_of_redis(
    tendis: ServerProcess,
    expected: Callable[[Path, int], Replies],
    path: Path,
    protocol: int,
) -> None:
    ours = [play(case, tendis, protocol) for case in TRANSCRIPTS[path]]
    must_be_alike(path, protocol, ours, expected(path, protocol))


@pytest.mark.parametrize("path", TIMED, ids=lambda path: path.stem)
@pytest.mark.parametrize("protocol", [2, 3])
def test_what_waits_is_answered_when_redis_answers_it(
    tendis_in_moved_time: MovedTime,
    expected: Callable[[Path, int], Replies],
    path: Path,
    protocol: int,
) -> None:
    ours = [play_timed(case, tendis_in_moved_time, protocol) for case in TRANSCRIPTS[path]]
    must_be_alike(path, protocol, ours, expected(path, protocol))


def must_be_alike(path: Path, protocol: int, ours: Replies, theirs: Replies) -> None:
    differences: list[str] = []
    for case, here, there in zip(TRANSCRIPTS[path], ours, theirs, strict=True):
        differences += compare(path, case, here, there)
    listed = "\n".join(differences[:SHOWN])
    assert not differences, f"{len(differences)} differences in RESP{protocol}\n{listed}"


def compare(path: Path, case: Case, ours: list[bytes], theirs: list[bytes]) -> list[str]:
    """One text per line whose replies differ, or that both answer too early; a line that was not
    reached differs."""
    place = path.name
    found = []
    for index, line in enumerate(case):
        here = ours[index] if index < len(ours) else b"(not reached)"
        there = theirs[index] if index < len(theirs) else b"(not reached)"
        alike = comparable(here, line.marks) == comparable(there, line.marks)
        if not alike or (line.verb == WAITS and there != NO_ANSWER_YET):
            found.append(f"{place}:{line.number}: {line.text}\n  ours  {here!r}\n  redis {there!r}")
    return found
