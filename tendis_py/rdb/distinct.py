"""Finds out whether something comes twice that must not, among ever so many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tendis_py.rdb.errors import CorruptError
from tendis_py.types.shards import Shards


class Known:
    """Names that have come."""

    __slots__ = ("_shards",)

    def __init__(self) -> None:
        self._shards: Shards[None] = Shards()

    def add(self, name: bytes) -> None:
        """CorruptError if it has come before."""
        part = self._shards.of(name)
        if name in part:
            raise CorruptError("twice")
        part[name] = None

    def clear(self) -> None:
        """To be called before it goes: a million names would be freed with the GIL held."""
        self._shards.clear()


@contextmanager
def different(found: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """The same, CorruptError where one comes again."""
    known = Known()

    def checked() -> Iterator[bytes]:
        for one in found:
            known.add(one)
            yield one

    try:
        yield checked()
    finally:
        known.clear()
