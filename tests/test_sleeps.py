"""Tests wait for what happens, or move the clock; where one sleeps, the reason is here.

For a condition there is ``wait_until``, for a moment ``ManualClock``, for "not yet"
``MovedTime.settle``, and for another thread an event, a condition or a barrier.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent

SLEEPS = {
    "support/servers.py": "between two looks of wait_until",
    "support/cli.py": "between two requests, as redis-cli -i does; between two tries of --latency",
    "support/transcript.py": "the clock of the real redis-server can't be moved",
    "crash/test_kill9.py": "kill -9 at a random moment",
    "crash/test_large_commits.py": "kill -9 at a random moment",
    "crash/test_mixed_load.py": "kill -9 at a random moment",
    "crash/test_transactions.py": "kill -9 at a random moment",
    "stages/test_together.py": "a handler that is slow, to be logged as such",
    "stages/test_faults_are_named.py": "a disk that is slow; between two looks of wait_until",
    "commands/test_info.py": "a command that is slow, to be noticed as such",
    "storage/test_locks.py": "sleep(0): has another thread go on in the middle of a change",
    "wire/test_client_pause.py": "CPU time over a stretch of real time",
}
"""Module → why it sleeps."""


def test_nothing_sleeps_without_a_reason() -> None:
    found: Counter[str] = Counter()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep"):
                found[str(path.relative_to(TESTS))] += 1
    assert set(found) == set(SLEEPS)
