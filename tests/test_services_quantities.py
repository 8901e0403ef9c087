"""Numbers as sentences have them."""

from __future__ import annotations

import pytest

from tendis_py.services.quantities import counted, duration, percent, size


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_234, "1.23 µs"),
        (56_789, "56.8 µs"),
        (4_000_000, "4 ms"),
        (1.5e9, "1.5 s"),
        (120e9, "120 s"),
    ],
)
def test_durations(ns: float, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (64 << 20, "64 MB"), (2**60, "1048576 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_counts() -> None:
    assert [counted(number, "claim") for number in (0, 1, 2)] == ["0 claims", "1 claim", "2 claims"]
    assert counted(3, "batch", "batches") == "3 batches"
    assert percent(0.256) == "26 %"
