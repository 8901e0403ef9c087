"""Rows and their encoding: what the bytes in the column families mean.

Knows neither RocksDB nor commands. docs/storage.md is the prose version of this module.

Keys
    ``meta``     namespace (4 bytes) | user key
    ``rows``, ``score``, ``stream``   version (8 bytes) | element …
    ``expires``  deadline in ms (8 bytes) | kind (1 byte) | namespace | user key
    ``garbage``  version (8 bytes): its rows wait for the reclaimer

A *namespace* is what a logical database points to: FLUSHDB and SWAPDB only change the pointer. A
*version* names one incarnation of a large collection; it is never used again.

Meta value
    format (1) | type (1) | encoding (1) | expire-at in ms, 0 = none (8) | payload, and for
    collections version (8) | count (8) before the payload, which is the type's own business
    (``register``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

FORMAT = 1

STRING, LIST, SET, ZSET, HASH, STREAM, SORTEDINT = range(7)
TYPE_NAMES = ("string", "list", "set", "zset", "hash", "stream", "sortedint")

NATURAL, RAW, TEXT = range(3)
"""What Redis would keep a string as: what its text and length say; ``raw``, since it was edited in
place; not ``int`` whatever its text, since it was computed as text (INCRBYFLOAT)."""

PLAIN_STRING = bytes([FORMAT, STRING, 0]) + bytes(8)
"""What stands before the bytes of a string that is nothing but its text."""
_HEAD = struct.Struct(">BBBQ")
_COLLECTION_HEAD = struct.Struct(">BBBQQQ")
_VERSION_AND_COUNT = struct.Struct(">QQ")
_DEADLINE = struct.Struct(">QB")

NAMESPACE_SIZE = 4
VERSION_SIZE = 8
DEADLINE_SIZE = 9
"""Of deadline and kind together."""

KEY_DUE, FIELDS_DUE = range(2)
"""Kinds of deadlines: the key's own, the earliest of a hash's fields."""


class Row:
    """One key's meta row, decoded. Replaced, never changed in place."""

    __slots__ = ("expire_at", "value")

    type: int
    expire_at: int
    """Unix time in ms at which the key expires; 0 when it does not."""
    value: Any
    version: int
    """Names the rows of a large collection; 0 when the value is whole in this row."""
    fields_due: int
    """The earliest deadline (ms) among a hash's fields; 0 when there is none."""

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

    type: ClassVar[int] = STRING  # type: ignore[misc]
    version: ClassVar[int] = 0  # type: ignore[misc]
    fields_due: ClassVar[int] = 0  # type: ignore[misc]

    def __init__(self, value: bytes, expire_at: int = 0, form: int = NATURAL) -> None:
        self.value = value
        self.expire_at = expire_at
        self.form = form

    def encode(self) -> bytes:
        value: bytes = self.value
        if not self.expire_at and not self.form:
            return PLAIN_STRING + value
        return _HEAD.pack(FORMAT, STRING, self.form, self.expire_at) + value

    def size(self) -> int:
        return 56 + len(self.value)

    def with_expiry(self, expire_at: int) -> StringRow:
        return StringRow(self.value, expire_at, self.form)


class CollectionRow(Row):
    """A hash, list, set, sorted set, stream or sorted integers; also a string in fragments.

    Small: ``version`` is 0 and ``value`` is the whole collection, decoded, never changed in place.
    Large: its elements are rows under ``version``, and ``value`` is what the type keeps besides
    (None when nothing). ``count`` is the number of elements; ``encoding`` is the type's own byte.
    """

    __slots__ = ("count", "encoding", "fields_due", "type", "version")

    def __init__(
        self,
        type_: int,
        value: Any,
        count: int,
        *,
        version: int = 0,
        encoding: int = 0,
        expire_at: int = 0,
        fields_due: int = 0,
    ) -> None:
        self.type = type_
        self.value = value
        self.count = count
        self.version = version
        self.encoding = encoding
        self.expire_at = expire_at
        self.fields_due = fields_due

    def encode(self) -> bytes:
        head = _COLLECTION_HEAD.pack(
            FORMAT, self.type, self.encoding, self.expire_at, self.version, self.count
        )
        return head + _collections[self.type].pack(self)

    def size(self) -> int:
        return 256 if self.version else 64 + 112 * self.count

    def with_expiry(self, expire_at: int) -> CollectionRow:
        return self.changed(expire_at=expire_at)

    def with_elements(self, value: Any, count: int) -> CollectionRow:
        """As ``changed``, with another ``value`` and ``count``, in half the time: what changes when
        elements come and go."""
        made = CollectionRow.__new__(CollectionRow)
        made.type = self.type
        made.value = value
        made.count = count
        made.version = self.version
        made.encoding = self.encoding
        made.expire_at = self.expire_at
        made.fields_due = self.fields_due
        return made

    def changed(self, **fields: Any) -> CollectionRow:
        """A copy with some fields replaced (``value``, ``count``, ``version``, ``encoding``,
        ``expire_at``, ``fields_due``)."""
        made = CollectionRow.__new__(CollectionRow)
        made.type = self.type
        made.value = self.value
        made.count = self.count
        made.version = self.version
        made.encoding = self.encoding
        made.expire_at = self.expire_at
        made.fields_due = self.fields_due
        for name, field in fields.items():
            setattr(made, name, field)
        return made


@dataclass(frozen=True, slots=True)
class Collection:
    """What a type registers: the names of its encodings (for OBJECT ENCODING, by ``encoding``
    byte), and how it writes what follows the head of its meta row and reads it back. ``unpack``
    gets the bytes and the row made from the head, whose ``value`` it returns."""

    encodings: tuple[str, ...]
    pack: Callable[[CollectionRow], bytes]
    unpack: Callable[[bytes, CollectionRow], Any]


_collections: dict[int, Collection] = {}


def register(type_: int, collection: Collection) -> None:
    """Each type's module calls this for its own."""
    _collections[type_] = collection


def encoding_name(row: CollectionRow) -> str:
    """What OBJECT ENCODING says of a collection."""
    return _collections[row.type].encodings[row.encoding]


def pack_items(items: Sequence[bytes]) -> bytes:
    """Byte strings as one: their number, their lengths, then all of them (4 + 4 bytes each)."""
    return struct.pack(f">I{len(items)}I", len(items), *map(len, items)) + b"".join(items)


def unpack_items(raw: bytes, start: int = 0) -> list[bytes]:
    """What ``pack_items`` packed at ``start``."""
    (number,) = struct.unpack_from(">I", raw, start)
    at = start + 4 + 4 * number
    items = []
    for length in struct.unpack_from(f">{number}I", raw, start + 4):
        items.append(raw[at : at + length])
        at += length
    return items


class AbsentRow(Row):
    """Stands for "no such key" in overlays and in the cache; it counts as expired long ago."""

    __slots__ = ()

    type: ClassVar[int] = -1  # type: ignore[misc]
    version: ClassVar[int] = 0  # type: ignore[misc]
    fields_due: ClassVar[int] = 0  # type: ignore[misc]

    def __init__(self) -> None:
        self.value = None
        self.expire_at = 1

    def size(self) -> int:
        return 0


ABSENT = AbsentRow()

Held = Row | bytes
"""What overlays and the cache hold of a key. A string that is nothing but its text (no deadline,
NATURAL, not empty) is held *bare*, as its bytes: half the memory and no object to make."""


def held(row: Row) -> Held:
    """``row``, or its bytes if it can be held bare."""
    if type(row) is StringRow and not row.expire_at and not row.form:
        return row.value or row
    return row


def stored(what: Held) -> bytes | None:
    """The meta row on disk of what is held; None for ABSENT, which has none."""
    if isinstance(what, bytes):
        return PLAIN_STRING + what
    return None if what is ABSENT else what.encode()


def held_bytes(what: Held) -> int:
    """About how many bytes it takes in the cache, besides the entry."""
    return len(what) if type(what) is bytes else what.size()  # type: ignore[union-attr]


def decode(raw: bytes) -> Row:
    """The row whose ``encode`` gave ``raw``; ValueError when no version of this code wrote it."""
    layout, type_, encoding, expire_at = _HEAD.unpack_from(raw)
    if layout == FORMAT:
        if type_ == STRING and encoding <= TEXT:
            return StringRow(raw[_HEAD.size :], expire_at, encoding)
        collection = _collections.get(type_)
        known = collection is not None and encoding < len(collection.encodings)
        if collection is not None and known and len(raw) >= _COLLECTION_HEAD.size:
            version, count = _VERSION_AND_COUNT.unpack_from(raw, _HEAD.size)
            row = CollectionRow(
                type_, None, count, version=version, encoding=encoding, expire_at=expire_at
            )
            row.value = collection.unpack(raw[_COLLECTION_HEAD.size :], row)
            return row
    raise ValueError(f"meta row of format {layout}, type {type_}, encoding {encoding}: unknown")


def decode_held(raw: bytes) -> Held:
    """As ``decode``, a bare string as its bytes."""
    if raw.startswith(PLAIN_STRING) and len(raw) > len(PLAIN_STRING):
        return raw[len(PLAIN_STRING) :]
    return decode(raw)


def stored_version(raw: bytes) -> int:
    """The version of a meta row, not decoded; 0 when its value is whole in it."""
    if raw[1] == STRING and raw[2] <= TEXT:
        return 0
    return int.from_bytes(raw[11:19], "big")


def stored_deadline(raw: bytes) -> int:
    """The deadline (ms) of a meta row, not decoded; 0 for none."""
    return int.from_bytes(raw[3:11], "big")


def is_alive(raw: bytes, now: int) -> bool:
    """Whether a meta row, not decoded, has not expired at ``now`` (ms)."""
    expire_at = stored_deadline(raw)
    return not expire_at or expire_at > now


def stored_type(raw: bytes) -> int:
    """The type (STRING …) of a meta row, not decoded."""
    return raw[1]


def stored_length(raw: bytes) -> int:
    """The number of elements of a collection's meta row, not decoded."""
    return int.from_bytes(raw[19:27], "big")


def namespace_prefix(namespace: int) -> bytes:
    return namespace.to_bytes(NAMESPACE_SIZE, "big")


def version_prefix(version: int) -> bytes:
    return version.to_bytes(VERSION_SIZE, "big")


def deadline_key(deadline: int, meta_key: bytes, kind: int = KEY_DUE) -> bytes:
    """The ``expires`` row of a key (``meta_key``: namespace | user key)."""
    return _DEADLINE.pack(deadline, kind) + meta_key


def split_deadline_key(raw: bytes) -> tuple[int, int, bytes]:
    """Deadline, kind, meta key."""
    deadline, kind = _DEADLINE.unpack_from(raw)
    return deadline, kind, raw[DEADLINE_SIZE:]


def upper_bound(prefix: bytes) -> bytes | None:
    """The least byte string above all that start with ``prefix``; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None
