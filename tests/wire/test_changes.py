"""``rdb_changes_since_last_save`` in every threading model, command by command, beside the real
server's. More of it, without sockets: tests/commands/test_changes.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.changes import watch, watching
from tests.support.servers import ServerProcess
from tests.support.transcript import read_transcript

CASES = read_transcript(Path(__file__).parent / "transcripts" / "changes.txt")

Counts = list[list[int]]


@pytest.fixture(scope="module")
def expected(redis_server: ServerProcess) -> Counts:
    return counts(redis_server)


def counts(server: ServerProcess) -> Counts:
    with watching(server) as watcher:
        return [[told.edits for told in watch(case, server, watcher)] for case in CASES]


def test_each_command_counts_as_in_redis(tendis: ServerProcess, expected: Counts) -> None:
    differences = [
        f"{line.text}: {here}, Redis {there}"
        for case, ours, theirs in zip(CASES, counts(tendis), expected, strict=True)
        for line, here, there in zip(case, ours, theirs, strict=True)
        if here != there
    ]
    assert not differences, "\n".join(differences)
