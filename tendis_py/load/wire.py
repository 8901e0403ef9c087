"""Requests as bytes."""

from __future__ import annotations

from collections.abc import Iterable


def encode(words: Iterable[bytes]) -> bytes:
    """The RESP array of bulk strings for one request."""
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))
