"""IDs of stream entries: 128-bit integers, the milliseconds above the sequence number.

As such they compare and count on as Redis' do (the sequence number overflows into the
milliseconds), and as 16 bytes, big-endian, they are keys in order. Knows no streams.
"""

from __future__ import annotations

import re

from tendis_py.errors import (
    INVALID_STREAM_ID,
    INVALID_STREAM_INTERVAL_END,
    INVALID_STREAM_INTERVAL_START,
    ReplyError,
)
from tendis_py.numbers import strict_integer

SEQUENCE_MAX = 2**64 - 1
LEAST = 0
GREATEST = 2**128 - 1
SIZE = 16

_LONGEST = 127
_LOOSE_NATURAL = re.compile(rb"[ \t\n\v\f\r]*[+-]?[0-9]+")


def make(above: int, below: int = 0) -> int:
    """The ID of so many milliseconds, and that sequence number."""
    return above << 64 | below


def milliseconds(id_: int) -> int:
    return id_ >> 64


def sequence(id_: int) -> int:
    return id_ & SEQUENCE_MAX


def to_text(id_: int) -> bytes:
    """``1526919030474-55``."""
    return b"%d-%d" % (id_ >> 64, id_ & SEQUENCE_MAX)


def to_key(id_: int) -> bytes:
    return id_.to_bytes(SIZE, "big")


def from_key(key: bytes) -> int:
    """The ID that the last 16 bytes of ``key`` are."""
    return int.from_bytes(key[-SIZE:], "big")


def parse(text: bytes, missing_sequence: int = 0) -> int:
    """``ms-seq``, or ``ms`` alone, whose sequence number is then ``missing_sequence``. ReplyError
    on anything else."""
    id_ = parse_or_none(text, missing_sequence)
    if id_ is None:
        raise ReplyError(INVALID_STREAM_ID)
    return id_


def parse_or_none(text: bytes, missing_sequence: int = 0) -> int | None:
    """As ``parse``, None standing for what is no ID."""
    if len(text) > _LONGEST:
        return None
    first, dash, second = text.partition(b"\0")[0].partition(b"-")
    above = _natural(first)
    below = _natural(second) if dash else missing_sequence
    if above is None or below is None:
        return None
    return make(above, below)


def parse_lenient(text: bytes, missing_sequence: int = 0) -> int:
    """As ``parse``; ``-`` and ``+`` are the least and the greatest ID."""
    known = text.partition(b"\0")[0]
    if known == b"-":
        return LEAST
    if known == b"+":
        return GREATEST
    return parse(text, missing_sequence)


def parse_partial(text: bytes) -> tuple[int, bool]:
    """As ``parse``, and whether the sequence number is to be generated: ``ms-*``."""
    known = text.partition(b"\0")[0]
    if known.endswith(b"-*") and known.count(b"-") == 1:
        return parse(known[:-2]), True
    return parse(text), False


def interval_start(text: bytes) -> int:
    """The first ID of an interval: an ID, which ``(`` before it leaves out, ``-`` or ``+``."""
    excluded, id_ = _interval_end(text, 0)
    if not excluded:
        return id_
    if id_ == GREATEST:
        raise ReplyError(INVALID_STREAM_INTERVAL_START)
    return id_ + 1


def interval_end(text: bytes) -> int:
    """The last ID of an interval; an ID without a sequence number means the last of its
    millisecond."""
    excluded, id_ = _interval_end(text, SEQUENCE_MAX)
    if not excluded:
        return id_
    if id_ == LEAST:
        raise ReplyError(INVALID_STREAM_INTERVAL_END)
    return id_ - 1


def _interval_end(text: bytes, missing_sequence: int) -> tuple[bool, int]:
    if len(text) > 1 and text.startswith(b"("):
        return True, parse(text[1:], missing_sequence)
    return False, parse_lenient(text, missing_sequence)


def _natural(digits: bytes) -> int | None:
    """64 bits without a sign, as Redis' string2ull reads them: strtoull, but for a negative number
    in its canonical spelling."""
    value = strict_integer(digits)
    if value is None and _LOOSE_NATURAL.fullmatch(digits):
        value = int(digits)
        return value % 2**64 if abs(value) < 2**64 else None
    return None if value is None or value < 0 else value
