"""Keys as people are shown them."""

from __future__ import annotations

import pytest

from tendis_py.services.shown import SHOWN, shown


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"user:1000", "user:1000"),
        ("schlüssel".encode(), "schlüssel"),
        (b"a\r\nb\x00", "a\\r\\nb\\x00"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"k" * SHOWN, "k" * SHOWN),
        (b"k" * 10_000, "k" * SHOWN + "…"),
        ("\u2028".encode(), "\\u2028"),
    ],
)
def test_a_key_is_one_line_of_text(raw: bytes, text: str) -> None:
    assert shown(raw) == text
    assert shown(raw).encode().decode() == text
