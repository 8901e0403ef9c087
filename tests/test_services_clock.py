"""The clock itself, and that nothing which acts by the time goes by another one."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest

from tendis_py.services.clock import REAL_CLOCK, Clock, ManualClock

PACKAGE = Path(__file__).resolve().parents[1] / "tendis_py"

MEASURES = {
    *("services/rates.py", "services/holdings.py", "services/observatory.py"),
    *("stages/arrival.py", "http/app.py", "load/generator.py", "top/view.py", "traces.py"),
    *("storage/engine.py", "storage/key_sizes.py", "commands/scripting/fcall.py"),
    "scripting/runtime.py",
}
"""What samples, or measures how long something took."""


def test_a_real_clock_asks_the_system_itself() -> None:
    """No function of ours in between: an executor asks once a batch."""
    assert Clock().time_ns is REAL_CLOCK.time_ns is time.time_ns
    assert REAL_CLOCK.monotonic is time.monotonic
    before = time.time_ns()
    ms, seconds = REAL_CLOCK.now_ms(), REAL_CLOCK.now_seconds()
    after = time.time_ns()
    assert before // 10**6 <= ms <= after // 10**6
    assert before // 10**9 <= seconds <= after // 10**9


def test_a_real_clock_is_never_moved() -> None:
    told: list[int] = []
    forget = REAL_CLOCK.on_move(lambda: told.append(1))
    forget()
    assert not told


def test_a_manual_clock_begins_at_the_real_time_and_stands_still() -> None:
    before = time.time_ns()
    clock = ManualClock()
    after = time.time_ns()
    began = clock.time_ns(), clock.monotonic()
    assert before <= began[0] <= after
    while time.time_ns() == after:
        pass
    assert (clock.time_ns(), clock.monotonic()) == began


def test_all_its_times_are_moved_alike() -> None:
    clock = ManualClock()
    unix, ms, seconds, monotonic = (
        clock.time_ns(),
        clock.now_ms(),
        clock.now_seconds(),
        clock.monotonic(),
    )
    clock.advance(1.5)
    clock.advance(0.5)
    assert clock.time_ns() == unix + 2 * 10**9
    assert clock.now_ms() == ms + 2000
    assert clock.now_seconds() == seconds + 2
    assert clock.monotonic() == pytest.approx(monotonic + 2)


def test_it_does_not_go_back() -> None:
    clock = ManualClock()
    before = clock.time_ns()
    with pytest.raises(ValueError, match="back"):
        clock.advance(-0.001)
    assert clock.time_ns() == before


def test_who_waits_is_told_after_the_move_until_it_no_longer_wants_to_be() -> None:
    clock = ManualClock()
    began = clock.now_seconds()
    told: list[tuple[str, int]] = []
    forget_one = clock.on_move(lambda: told.append(("one", clock.now_seconds() - began)))
    clock.on_move(lambda: told.append(("other", clock.now_seconds() - began)))
    clock.advance(3)
    forget_one()
    clock.advance(4)
    assert told == [("one", 3), ("other", 3), ("other", 7)]


def test_two_clocks_are_moved_apart() -> None:
    one, other = ManualClock(), ManualClock()
    before = other.time_ns()
    one.advance(10)
    assert other.time_ns() == before


def names_from_time(source: str) -> set[str]:
    """What a module uses of the ``time`` module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "time":
            found.add(node.attr)
    return found


def test_nothing_goes_by_a_time_that_tests_can_not_move() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if names_from_time(path.read_text()) - {"perf_counter_ns", "sleep"}
    }
    assert found == {"services/clock.py", *MEASURES}


@pytest.mark.parametrize("line", ["time.time()", "from time import monotonic", "f = time.time_ns"])
def test_another_time_is_found(line: str) -> None:
    assert names_from_time(line)
