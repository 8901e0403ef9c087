"""Order statistics over the rows of one large collection: which element is the n-th, how many come
before this one.

An ``OrderIndex`` cuts the element keys under one version into chunks of a few hundred, and keeps
for each chunk its first key and its count (about 0.25 bytes an element). A chunk's keys are read
when first needed and kept while memory allows (about 90 bytes an element); rank and selection are
then a bisection, a pop at either end touches no iterator and meets no tombstone, and a random
element is a random rank.

It is memory only: built by one scan when first needed (0.4 µs an element), or without a scan when
a collection outgrows its packed row; maintained by every write from then on; dropped when memory
is short, and when a commit fails. Keys here are element keys, without the version before them.
Callers hold the key's lock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from tendis_py.storage.codec import VERSION_SIZE, upper_bound, version_prefix

if TYPE_CHECKING:
    from tendis_py.storage.engine import Engine

CHUNK = 512
"""Keys a chunk is built with; it is cut in two at twice that."""

_KEY_BYTES = 90
_CHUNK_BYTES = 150


class OrderIndex:
    """The element keys of ``version`` in column family ``family``, in order."""

    __slots__ = ("_counts", "_engine", "_firsts", "_keys", "_prefix", "family", "loaded", "size")

    def __init__(
        self, engine: Engine, family: int, version: int, sorted_keys: Iterable[bytes]
    ) -> None:
        """``sorted_keys``: all element keys, in order."""
        self._engine = engine
        self._prefix = version_prefix(version)
        self.family = family
        self._firsts: list[bytes] = []
        """Nothing in chunk i is below firsts[i], and all of chunk i - 1 is."""
        self._counts: list[int] = []
        self._keys: list[list[bytes] | None] = []
        self.size = 0
        self.loaded = 0
        """Keys held in memory."""
        keys = iter(sorted_keys)
        while chunk := list(islice(keys, CHUNK)):
            self._firsts.append(chunk[0])
            self._counts.append(len(chunk))
            self._keys.append(None)
            self.size += len(chunk)
        if self._firsts:
            self._firsts[0] = b""
        else:
            self._firsts, self._counts, self._keys = [b""], [0], [[]]

    @property
    def memory(self) -> int:
        """About how many bytes the index takes."""
        return self.loaded * _KEY_BYTES + len(self._firsts) * _CHUNK_BYTES

    def add(self, key: bytes) -> None:
        """A key that was not there has been written."""
        chunk = bisect_right(self._firsts, key) - 1
        self._counts[chunk] += 1
        self.size += 1
        keys = self._keys[chunk]
        if keys is not None:
            insort(keys, key)
            self.loaded += 1
            if len(keys) >= 2 * CHUNK:
                self._cut(chunk, keys)

    def discard(self, key: bytes) -> None:
        """A key that was there has been deleted."""
        chunk = bisect_right(self._firsts, key) - 1
        self._counts[chunk] -= 1
        self.size -= 1
        keys = self._keys[chunk]
        if keys is not None:
            del keys[bisect_left(keys, key)]
            self.loaded -= 1
        if not self._counts[chunk] and len(self._counts) > 1:
            self._merge_empty(chunk)

    def _cut(self, chunk: int, keys: list[bytes]) -> None:
        middle = len(keys) // 2
        upper = keys[middle:]
        del keys[middle:]
        self._counts[chunk] = middle
        self._firsts.insert(chunk + 1, upper[0])
        self._counts.insert(chunk + 1, len(upper))
        self._keys.insert(chunk + 1, upper)

    def _merge_empty(self, chunk: int) -> None:
        """Give an empty chunk's range to its neighbour."""
        if chunk == 0:
            self._firsts[1] = b""
        del self._firsts[chunk], self._counts[chunk], self._keys[chunk]

    def _load(self, chunk: int) -> list[bytes]:
        """The keys of a chunk. What is not in memory is read from the engine: the caller's
        transaction must have settled (see ``needs_settling``)."""
        keys = self._keys[chunk]
        if keys is None:
            lower = self._prefix + self._firsts[chunk]
            if chunk + 1 < len(self._firsts):
                upper: bytes | None = self._prefix + self._firsts[chunk + 1]
            else:
                upper = upper_bound(self._prefix)
            keys = [key[VERSION_SIZE:] for key in self._engine.keys(self.family, lower, upper)]
            self._keys[chunk] = keys
            self._counts[chunk] = len(keys)
            self.loaded += len(keys)
            if len(keys) >= 2 * CHUNK:  # it grew while its keys were not in memory
                self._cut(chunk, keys)
                return self._load(chunk)
        return keys

    # Questions

    def rank(self, key: bytes) -> int:
        """How many keys are below ``key``."""
        chunk = bisect_right(self._firsts, key) - 1
        keys = self._load(chunk)
        if chunk + 1 < len(self._firsts) and self._firsts[chunk + 1] <= key:
            return self.rank(key)  # loading has cut the chunk
        return sum(self._counts[:chunk]) + bisect_left(keys, key)

    def select(self, rank: int) -> bytes:
        """The key with ``rank`` keys below it; 0 <= rank < size."""
        return next(self.iterate(rank))

    def iterate(self, rank: int = 0, *, reverse: bool = False) -> Iterator[bytes]:
        """Keys from ``rank`` on, upwards or downwards. The index must not change meanwhile."""
        chunk, offset = self._locate(rank)
        keys = self._load(chunk)
        if offset >= len(keys):  # loading has cut the chunk
            chunk, offset = self._locate(rank)
            keys = self._load(chunk)
        if reverse:
            while True:
                yield from reversed(keys[: offset + 1])
                if chunk == 0:
                    return
                chunk -= 1
                self._load(chunk)
                while self._keys[chunk + 1] is not keys:  # loading has cut a chunk before
                    chunk += 1
                keys = self._load(chunk)
                offset = len(keys) - 1
        while True:
            yield from keys[offset:] if offset else keys
            chunk, offset = chunk + 1, 0
            if chunk == len(self._firsts):
                return
            keys = self._load(chunk)

    def _locate(self, rank: int) -> tuple[int, int]:
        for chunk, count in enumerate(self._counts):
            if rank < count:
                return chunk, rank
            rank -= count
        raise IndexError("rank out of range")

    def unload(self) -> None:
        """Forget the keys in memory; counts and boundaries stay."""
        self._keys = [None] * len(self._firsts)
        self.loaded = 0


class OrderIndexes:
    """The indexes of all large collections that have one, the least recently used dropped when
    they take more than ``limit`` bytes together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._indexes: OrderedDict[tuple[int, int], OrderIndex] = OrderedDict()

    def get(self, family: int, version: int) -> OrderIndex | None:
        """The index of a collection if there is one now."""
        index = self._indexes.get((family, version))
        if index is not None:
            self._indexes.move_to_end((family, version))
        return index

    def put(self, version: int, index: OrderIndex) -> None:
        self._indexes[index.family, version] = index

    def drop(self, version: int) -> None:
        """The collection is gone, or its index can't be trusted any more."""
        for key in [key for key in self._indexes.copy() if key[1] == version]:
            self._indexes.pop(key, None)

    def clear(self) -> None:
        self._indexes.clear()

    @property
    def memory(self) -> int:
        return sum(index.memory for index in self._indexes.copy().values())

    def __len__(self) -> int:
        return len(self._indexes)

    def trim(self, in_use: int = 0) -> None:
        """Keep to the limit: drop indexes not used lately, but never the last ``in_use``."""
        excess = self.memory - self.limit
        while excess > 0 and len(self._indexes) > in_use:
            _, index = self._indexes.popitem(last=False)
            excess -= index.memory
