"""Which keys of a database are the largest, by a look at all, or at a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest

from tendis_py.storage.codec import STRING, TYPE_NAMES, decode, stored_type
from tendis_py.storage.database import Database
from tendis_py.storage.key_sizes import SomeRows, size_of
from tendis_py.types.keys import usage_of

_CANDIDATES = 10
"""For each key that is reported so many are looked at, the largest as far as their rows tell."""
_SAMPLES = 100
"""Elements that are looked at of each."""
_ELEMENT_BYTES = 32
"""What an element may take, before it is known better."""


@dataclass(frozen=True, slots=True)
class BigKey:
    """``size`` in bytes of a string, else in elements; ``usage`` about the bytes it takes on disk,
    before compression."""

    key: bytes
    type: str
    size: int
    usage: int


@dataclass(frozen=True, slots=True)
class BigKeys:
    """``looked_at`` of about ``keys``; ``found``: the largest of those first."""

    keys: int
    looked_at: int
    found: Sequence[BigKey]


def big_keys(db: Database, count: int) -> BigKeys:
    """Reads what is committed, and needs no locks: what is deleted meanwhile looks small."""
    seen: set[bytes] = set()

    def sizes() -> Iterator[tuple[int, bytes, bytes]]:
        for key, raw in SomeRows(db):
            if key not in seen:
                seen.add(key)
                unit = 1 if stored_type(raw) == STRING else _ELEMENT_BYTES
                yield max(len(raw), size_of(raw) * unit), key, raw

    candidates = nlargest(count * _CANDIDATES, sizes())
    measured = [
        BigKey(
            key,
            TYPE_NAMES[stored_type(raw)],
            size_of(raw),
            usage_of(db, key, decode(raw), _SAMPLES),
        )
        for _, key, raw in candidates
    ]
    found = nlargest(count, measured, key=lambda one: one.usage)
    return BigKeys(db.counts().keys, len(seen), found)
