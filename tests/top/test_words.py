"""Figures and foreign text, for people."""

from __future__ import annotations

import pytest

from tendis_py.top.words import clean, count, duration, percent, size, span


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7, "7"),
        (1.5, "1.5"),
        (999, "999"),
        (999.6, "1.00k"),
        (12345, "12.3k"),
        (999_999, "1.00M"),
        (7e13, "70.0T"),
        (7e16, "70000T"),
    ],
)
def test_counts(number: float, text: str) -> None:
    assert count(number) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0"),
        (0.1, "100 ns"),
        (1.234, "1.23 µs"),
        (999.6, "1.00 ms"),
        (45_678, "45.7 ms"),
        (2.5e6, "2.50 s"),
        (3e8, "300 s"),
    ],
)
def test_durations(microseconds: float, text: str) -> None:
    assert duration(microseconds) == text


def test_sizes() -> None:
    assert [size(number) for number in (0, 1023, 1024, 1.5e6, 7e19)] == [
        *("0 B", "1023 B", "1.00 KB", "1.43 MB", "62172 PB")
    ]


def test_fractions() -> None:
    assert [percent(part) for part in (0, 0.001, 0.0994, 0.0996, 1)] == [
        *("0.0 %", "0.1 %", "9.9 %", "10 %", "100 %")
    ]


def test_spans() -> None:
    assert [span(seconds) for seconds in (0.9, 59, 61, 3660, 90_000)] == [
        *("0s", "59s", "1m 01s", "1h 01m", "1d 1h")
    ]


def test_no_terminal_obeys_what_a_client_has_named_a_key() -> None:
    assert clean("clé ключ 鍵") == "clé ключ 鍵"
    assert clean("a\x1b[2J\x07\r\n\x9b\u202e") == "a\\x1b[2J\\x07\\r\\n\\x9b\\u202e"
