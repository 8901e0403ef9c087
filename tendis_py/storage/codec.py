"""Rows and their encoding: what the bytes in the column families mean.

Knows neither RocksDB nor commands. docs/storage.md is the prose version of this module.

Keys
    ``meta``     namespace (4 bytes) | user key
    ``rows``, ``score``, ``stream``   version (8 bytes) | element …
    ``expires``  deadline in ms (8 bytes) | namespace | user key
    ``garbage``  version (8 bytes): its rows wait for the reclaimer

A *namespace* is what a logical database points to: FLUSHDB and SWAPDB only change the pointer. A
*version* names one incarnation of a large collection; it is never used again.

Meta value
    format (1) | type (1) | encoding (1) | expire-at in ms, 0 = none (8) | payload, and for
    collections version (8) | count (8) before the payload.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

FORMAT = 1

STRING, LIST, SET, ZSET, HASH, STREAM = range(6)
TYPE_NAMES = ("string", "list", "set", "zset", "hash", "stream")

NATURAL, RAW, TEXT = range(3)
"""What Redis would keep a string as: what its text and length say; ``raw``, since it was edited in
place; not ``int`` whatever its text, since it was computed as text (INCRBYFLOAT)."""

_PLAIN_STRING = bytes([FORMAT, STRING, 0]) + bytes(8)
_HEAD = struct.Struct(">BBBQ")
_DEADLINE = struct.Struct(">Q")

NAMESPACE_SIZE = 4
DEADLINE_SIZE = 8


class Row:
    """One key's meta row, decoded. Replaced, never changed in place, but for ``atime``."""

    __slots__ = ("atime", "expire_at", "value")

    type: ClassVar[int]
    expire_at: int
    """Unix time in ms at which the key expires; 0 when it does not."""
    atime: int
    """Unix time in ms of the last access, as far as the cache remembers."""
    value: Any
    version: ClassVar[int] = 0
    """Names the rows of a large collection; 0 when the value is whole in this row."""

    def encode(self) -> bytes:
        raise AssertionError("a row of no type")

    def size(self) -> int:
        """About how many bytes the row's value takes in the cache."""
        raise AssertionError("a row of no type")

    def with_expiry(self, expire_at: int) -> Row:
        """The same row with another deadline."""
        raise AssertionError("a row of no type")


class StringRow(Row):
    """A string. ``form`` is for OBJECT ENCODING alone."""

    __slots__ = ("form",)

    type = STRING

    def __init__(
        self, value: bytes, expire_at: int = 0, form: int = NATURAL, atime: int = 0
    ) -> None:
        self.value = value
        self.expire_at = expire_at
        self.form = form
        self.atime = atime

    def encode(self) -> bytes:
        value: bytes = self.value
        if not self.expire_at and not self.form:
            return _PLAIN_STRING + value
        return _HEAD.pack(FORMAT, STRING, self.form, self.expire_at) + value

    def size(self) -> int:
        return len(self.value)

    def with_expiry(self, expire_at: int) -> StringRow:
        return StringRow(self.value, expire_at, self.form, self.atime)


class AbsentRow(Row):
    """Stands for "no such key" in overlays and in the cache; it counts as expired long ago."""

    __slots__ = ()

    type = -1

    def __init__(self) -> None:
        self.value = None
        self.expire_at = 1
        self.atime = 0

    def size(self) -> int:
        return 0


ABSENT = AbsentRow()


def decode(raw: bytes) -> Row:
    """The row whose ``encode`` gave ``raw``; ValueError when no version of this code wrote it."""
    layout, type_, encoding, expire_at = _HEAD.unpack_from(raw)
    if layout != FORMAT or type_ != STRING or encoding > TEXT:
        raise ValueError(f"meta row of format {layout}, type {type_}, encoding {encoding}: unknown")
    return StringRow(raw[_HEAD.size :], expire_at, encoding)


def is_alive(raw: bytes, now: int) -> bool:
    """Whether a meta row, not decoded, has not expired at ``now`` (ms)."""
    expire_at = int.from_bytes(raw[3:11], "big")
    return not expire_at or expire_at > now


def stored_type(raw: bytes) -> int:
    """The type (STRING …) of a meta row, not decoded."""
    return raw[1]


def namespace_prefix(namespace: int) -> bytes:
    return namespace.to_bytes(NAMESPACE_SIZE, "big")


def deadline_key(deadline: int, meta_key: bytes) -> bytes:
    """The ``expires`` row of a key (``meta_key``: namespace | user key)."""
    return _DEADLINE.pack(deadline) + meta_key


def split_deadline_key(raw: bytes) -> tuple[int, bytes]:
    return int.from_bytes(raw[:DEADLINE_SIZE], "big"), raw[DEADLINE_SIZE:]


def upper_bound(prefix: bytes) -> bytes | None:
    """The least byte string above all that start with ``prefix``; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
