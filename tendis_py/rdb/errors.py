"""What is wrong with bytes that are to be a value."""

from __future__ import annotations


class CorruptError(ValueError):
    """They are none: cut off, or not as Redis writes them. The message says what was read; clients
    only hear that the format is bad."""
