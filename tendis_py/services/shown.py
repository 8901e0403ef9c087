"""A key, or what else clients have named, as text for people: one line, valid UTF-8, not long."""

from __future__ import annotations

SHOWN = 64
"""Characters at the most."""


def shown(raw: bytes) -> str:
    """``raw`` with what is not printable as Python escapes it, and its end cut off when long."""
    text = raw[: 4 * SHOWN].decode("utf-8", "backslashreplace")
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[: SHOWN + 1])
    return text if len(text) <= SHOWN and len(raw) <= 4 * SHOWN else f"{text[:SHOWN]}…"
