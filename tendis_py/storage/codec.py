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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar

FORMAT = 1

STRING, LIST, SET, ZSET, HASH, STREAM = range(6)
TYPE_NAMES = ("string", "list", "set", "zset", "hash", "stream")

_PLAIN_STRING = bytes([FORMAT, STRING, 0]) + bytes(8)
_HEAD = struct.Struct(">BBBQ")
_COLLECTION_HEAD = struct.Struct(">BBBQQQ")
_VERSION_AND_COUNT = struct.Struct(">QQ")
_DEADLINE = struct.Struct(">Q")

NAMESPACE_SIZE = 4
DEADLINE_SIZE = 8
VERSION_SIZE = 8


class Row:
    """One key's meta row, decoded. Replaced, never changed in place, but for ``atime``."""

    __slots__ = ("atime", "expire_at")

    type: int
    expire_at: int
    """Unix time in ms at which the key expires; 0 when it does not."""
    atime: int
    """Unix time in ms of the last access, as far as the cache remembers."""
    value: Any
    version: int
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
    """A string. ``raw`` remembers that it was edited in place, for OBJECT ENCODING."""

    __slots__ = ("raw", "value")

    type = STRING
    version: ClassVar[int] = 0

    def __init__(self, value: bytes, expire_at: int = 0, raw: bool = False, atime: int = 0) -> None:
        self.value = value
        self.expire_at = expire_at
        self.raw = raw
        self.atime = atime

    def encode(self) -> bytes:
        if not self.expire_at and not self.raw:
            return _PLAIN_STRING + self.value
        return _HEAD.pack(FORMAT, STRING, self.raw, self.expire_at) + self.value

    def size(self) -> int:
        return len(self.value)

    def with_expiry(self, expire_at: int) -> StringRow:
        return StringRow(self.value, expire_at, self.raw, self.atime)


class CollectionRow(Row):
    """A hash, list, set, sorted set or stream, or a string in fragments.

    Small: ``version`` is 0 and ``value`` the whole collection, decoded. Large: the elements are
    rows keyed by ``version``, and ``value`` is what the type keeps besides (None when nothing).
    ``count`` is the number of elements; ``encoding`` is the type's own byte.
    """

    __slots__ = ("count", "encoding", "type", "value", "version")

    def __init__(
        self,
        type_: int,
        value: Any,
        count: int,
        *,
        version: int = 0,
        encoding: int = 0,
        expire_at: int = 0,
    ) -> None:
        self.type = type_
        self.value = value
        self.count = count
        self.version = version
        self.encoding = encoding
        self.expire_at = expire_at
        self.atime = 0

    def encode(self) -> bytes:
        head = _COLLECTION_HEAD.pack(
            FORMAT, self.type, self.encoding, self.expire_at, self.version, self.count
        )
        return head + PAYLOADS[self.type].pack(self)

    def size(self) -> int:
        return 256 if self.version else 64 + 112 * self.count

    def with_expiry(self, expire_at: int) -> CollectionRow:
        return self.changed(expire_at=expire_at)

    def changed(
        self,
        *,
        value: Any = None,
        count: int | None = None,
        encoding: int | None = None,
        expire_at: int | None = None,
    ) -> CollectionRow:
        """A copy with some fields replaced, for a row is never changed in place."""
        return CollectionRow(
            self.type,
            self.value if value is None else value,
            self.count if count is None else count,
            version=self.version,
            encoding=self.encoding if encoding is None else encoding,
            expire_at=self.expire_at if expire_at is None else expire_at,
        )


@dataclass(frozen=True, slots=True)
class Payload:
    """How one collection type writes what follows the head of its meta row, and reads it back:
    ``unpack`` gets the bytes and the row made from the head (its ``value`` still None)."""

    pack: Callable[[CollectionRow], bytes]
    unpack: Callable[[bytes, CollectionRow], Any]


PAYLOADS: dict[int, Payload] = {}
"""Type → payload. Each type's module adds its own."""


def pack_items(items: Sequence[bytes]) -> bytes:
    """Byte strings as one: their number, their lengths, then all of them (4 + 4 bytes each)."""
    return struct.pack(f">I{len(items)}I", len(items), *map(len, items)) + b"".join(items)


def unpack_items(raw: bytes, start: int = 0) -> list[bytes]:
    """What ``pack_items`` packed at ``start``."""
    (number,) = struct.unpack_from(">I", raw, start)
    at = start + 4 + 4 * number
    ends = accumulate(struct.unpack_from(f">{number}I", raw, start + 4), initial=at)
    return [raw[begin:end] for begin, end in pairwise(ends)]


class AbsentRow(Row):
    """Stands for "no such key" in overlays and in the cache; it counts as expired long ago."""

    __slots__ = ()

    type = -1
    value: ClassVar[None] = None
    version: ClassVar[int] = 0

    def __init__(self) -> None:
        self.expire_at = 1
        self.atime = 0

    def size(self) -> int:
        return 0


ABSENT = AbsentRow()


def decode(raw: bytes) -> Row:
    """The row whose ``encode`` gave ``raw``; ValueError when no version of this code wrote it."""
    layout, type_, encoding, expire_at = _HEAD.unpack_from(raw)
    if layout == FORMAT:
        if type_ == STRING and encoding <= 1:
            return StringRow(raw[_HEAD.size :], expire_at, bool(encoding))
        if type_ in PAYLOADS:
            version, count = _VERSION_AND_COUNT.unpack_from(raw, _HEAD.size)
            row = CollectionRow(
                type_, None, count, version=version, encoding=encoding, expire_at=expire_at
            )
            row.value = PAYLOADS[type_].unpack(raw[_COLLECTION_HEAD.size :], row)
            return row
    raise ValueError(f"meta row of unknown format {layout}, type {type_} or encoding {encoding}")


def namespace_prefix(namespace: int) -> bytes:
    return namespace.to_bytes(NAMESPACE_SIZE, "big")


def version_prefix(version: int) -> bytes:
    return version.to_bytes(VERSION_SIZE, "big")


def deadline_key(deadline: int, meta_key: bytes) -> bytes:
    """The ``expires`` row of a key (``meta_key``: namespace | user key)."""
    return _DEADLINE.pack(deadline) + meta_key


def split_deadline_key(raw: bytes) -> tuple[int, bytes]:
    return int.from_bytes(raw[:DEADLINE_SIZE], "big"), raw[DEADLINE_SIZE:]


def upper_bound(prefix: bytes) -> bytes | None:
    """The least byte string above all that start with ``prefix``; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
