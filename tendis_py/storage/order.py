"""Order statistics over the rows of one large collection: which element is the n-th, how many come
before this one.

An ``OrderIndex`` cuts the element keys of one column family under one version into chunks of a few
hundred, and keeps for each chunk its first key and its count (about 0.3 bytes an element). A
chunk's keys are read when first needed and kept while memory allows (about 90 bytes an element).
Rank and selection are then a bisection, a pop at either end touches no iterator and meets no
tombstone, and a random element is a random rank.

It is memory only: built by one scan when first needed (0.4 µs an element), maintained by every
write from then on, dropped when a command or commit that changed it fails. Where only the ends
matter it begins as one chunk of which nothing is known but its count, and is cut from there: the
first pop of a million reads 512 keys. Keys here are element keys, without the version before them.
Callers hold the key's lock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from random import random
from typing import Protocol

_CHUNKS_PER_STEP = 4

CHUNK = 512
"""Keys a chunk is built with; it is cut in two at twice that."""

_KEY_BYTES = 90
_CHUNK_BYTES = 150


class Read(Protocol):
    """(lower, upper) → the element keys in between, in order or backwards, this batch's writes
    included."""

    def __call__(
        self, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[bytes]: ...


class OrderIndex:
    """Built from ``sorted_keys``, all element keys in order, of which it holds on to the first
    ``keep``; ``read`` finds the others again."""

    __slots__ = (
        "_counts",
        "_end",
        "_firsts",
        "_keys",
        "_most",
        "_start",
        "forgetful",
        "loaded",
        "size",
        "whole",
    )

    def __init__(self, sorted_keys: Iterable[bytes], keep: int = 0) -> None:
        self._firsts: list[bytes] = []
        """Nothing in chunk i is below firsts[i], and all of chunk i - 1 is."""
        self._counts: list[int] = []
        self._keys: list[list[bytes] | None] = []
        self._most = CHUNK
        """No chunk has more keys."""
        self.size = 0
        self.loaded = 0
        """Keys held in memory."""
        self.forgetful = False
        """Set by any thread to have the keys in memory forgotten at the next use."""
        self.whole = True
        """Whether any rank is found without a long scan; if not, those near the ends are."""
        keys = iter(sorted_keys)
        while chunk := list(islice(keys, CHUNK)):
            self._firsts.append(chunk[0])
            self._counts.append(len(chunk))
            self.size += len(chunk)
            if self.size <= keep:
                self._keys.append(chunk)
                self.loaded = self.size
            else:
                self._keys.append(None)
        self._start = self._firsts[0] if self._firsts else b""
        """No key is below. With ``_end``, this keeps reads off the tombstones of what was popped,
        which would come to be most of what they walk over."""
        self._end: bytes | None = None
        """All keys are below, if it is not None."""
        if self._firsts:
            self._firsts[0] = b""
        else:
            self._firsts, self._counts, self._keys = [b""], [0], [[]]

    @classmethod
    def of_ends(cls, size: int) -> OrderIndex:
        """An index of ``size`` keys, none of which has been read."""
        index = cls(())
        index.size = index._most = index._counts[0] = size
        index._keys[0] = None
        index.whole = False
        return index

    @property
    def memory(self) -> int:
        """About how many bytes the index takes."""
        return self.loaded * _KEY_BYTES + len(self._firsts) * _CHUNK_BYTES

    @property
    def bounds(self) -> tuple[bytes, bytes | None]:
        """All keys are in between, the first included, the last not."""
        return self._start, self._end

    def reaches(self, rank: int) -> bool:
        """Whether the key of that rank, and those from it on in either direction, are found
        without a long scan."""
        return self.whole or min(rank, self.size - 1 - rank) < CHUNK

    # Changes

    def add(self, key: bytes) -> None:
        """A key that was not there has been written."""
        if key < self._start or (self._end is not None and key >= self._end):
            self._widen(key)
        chunk = bisect_right(self._firsts, key) - 1
        self._counts[chunk] += 1
        self.size += 1
        if self._counts[chunk] > self._most:
            self._most = self._counts[chunk]
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
            self._give_up(chunk)

    def take_random(self, number: int, read: Read) -> list[bytes]:
        """Up to ``number`` keys, each drawn from all that are there then, which the caller deletes
        next; they are discarded. It is fewer where keys have to be read, which it would still find
        among them. IndexError when there is none."""
        counts = self._counts
        taken: list[bytes] = []
        if number * 16 > len(counts):
            self._most = max(counts)  # a look at all of them costs less than to draw in vain
        for _ in range(number):
            chunk, offset = self._draw()
            keys = self._keys[chunk]
            if keys is None or self.forgetful:
                if taken:
                    break
                chunk, offset = self._find(sum(counts[:chunk]) + offset, read)
                keys = self._keys[chunk]
                assert keys is not None
            taken.append(keys.pop(offset))
            counts[chunk] -= 1
            self.size -= 1
            self.loaded -= 1
            if not keys and len(counts) > 1:
                self._give_up(chunk)
        return taken

    def take_end(self, number: int, read: Read, *, highest: bool) -> list[bytes]:
        """The first keys upwards, or the last downwards, which the caller deletes next; they are
        discarded."""
        taken: list[bytes] = []
        while self.size and len(taken) < number:
            rank = self.size - 1 if highest else 0
            chunk, _ = self._find(rank, read)
            keys = self._keys[chunk]
            assert keys is not None
            wanted = min(number - len(taken), len(keys))
            if highest:
                taken += reversed(keys[-wanted:])
                del keys[-wanted:]
            else:
                taken += keys[:wanted]
                del keys[:wanted]
            self._counts[chunk] -= wanted
            self.size -= wanted
            self.loaded -= wanted
            if not keys and len(self._counts) > 1:
                self._give_up(chunk)
        return taken

    def _widen(self, key: bytes) -> None:
        """Move the bounds to where ``key`` is within them. Where the keys at that end are not in
        memory it gets a chunk of its own, lest they be read from there over all the tombstones."""
        if key < self._start:
            if self._counts[0] and self._keys[0] is None:
                self._firsts[0] = self._start
                self._insert(0, b"", [])
            self._start = key
        else:
            assert self._end is not None
            if self._counts[-1] and self._keys[-1] is None:
                self._insert(len(self._firsts), self._end, [])
            self._end = key + b"\0"

    def _insert(self, chunk: int, first: bytes, keys: list[bytes]) -> None:
        self._firsts.insert(chunk, first)
        self._counts.insert(chunk, len(keys))
        self._keys.insert(chunk, keys)

    def _cut(self, chunk: int, keys: list[bytes]) -> None:
        middle = len(keys) // 2
        upper = keys[middle:]
        del keys[middle:]
        self._counts[chunk] = middle
        self._insert(chunk + 1, upper[0], upper)

    def _give_up(self, chunk: int) -> None:
        """Leave an empty chunk's range to its neighbour."""
        if chunk == 0:
            self._start = self._firsts[1]
            self._firsts[1] = b""
        elif chunk + 1 == len(self._firsts):
            self._end = self._firsts[chunk]
        del self._firsts[chunk], self._counts[chunk], self._keys[chunk]

    # Questions

    def rank(self, key: bytes, read: Read) -> int:
        """How many keys are below ``key``."""
        chunk = bisect_right(self._firsts, key) - 1
        if self.forgetful or self._keys[chunk] is None:
            self._load(chunk, read, self._counts[chunk] // 2)
            chunk = bisect_right(self._firsts, key) - 1
        keys = self._keys[chunk]
        assert keys is not None
        return sum(self._counts[:chunk]) + bisect_left(keys, key)

    def select(self, rank: int, read: Read) -> bytes:
        """The key with ``rank`` keys below it. IndexError when there is none."""
        if not 0 <= rank < self.size:
            raise IndexError("rank out of range")
        chunk, offset = self._find(rank, read)
        keys = self._keys[chunk]
        assert keys is not None
        return keys[offset]

    def iterate(self, rank: int, read: Read, *, reverse: bool = False) -> Iterator[bytes]:
        """Keys from that of ``rank`` on, upwards or downwards. The index must not change while
        it is iterated."""
        while 0 <= rank < self.size:
            chunk, offset = self._find(rank, read)
            keys = self._keys[chunk]
            assert keys is not None
            if reverse:
                yield from reversed(keys[: offset + 1])
                rank -= offset + 1
            else:
                yield from keys[offset:] if offset else keys
                rank += len(keys) - offset

    def _find(self, rank: int, read: Read) -> tuple[int, int]:
        """As ``_locate``, with the chunk's keys in memory."""
        chunk, offset = self._locate(rank)
        if self.forgetful or self._keys[chunk] is None:
            self._load(chunk, read, offset)
            chunk, offset = self._locate(rank)
        return chunk, offset

    def _draw(self) -> tuple[int, int]:
        """The place of a random key: any chunk and any offset, drawn again until there is a key.
        Where that would often fail, a random rank, which takes four times as long."""
        if not self.size:
            raise IndexError("no keys to draw from")
        counts = self._counts
        number = len(counts)
        if self.size * 4 < self._most * number:
            self._most = max(counts)
            if self.size * 4 < self._most * number:
                return self._locate(int(random() * self.size))
        most = self._most
        while True:
            chunk, offset = int(random() * number), int(random() * most)
            if offset < counts[chunk]:
                return chunk, offset

    def _locate(self, rank: int) -> tuple[int, int]:
        """The chunk and the offset in it of the key with that rank. Pops at either end look at one
        count, others at about all of them (12 µs for a million keys)."""
        counts = self._counts
        last = self.size - rank
        if last <= counts[-1]:
            return len(counts) - 1, counts[-1] - last
        chunk, high = 0, len(counts)
        while rank >= counts[chunk] and high - chunk > 1:
            middle = (chunk + high) // 2
            below = sum(counts[chunk:middle])
            if rank < below:
                high = middle
            else:
                rank -= below
                chunk = middle
        return chunk, rank

    def _load(self, chunk: int, read: Read, offset: int) -> None:
        """Have the key at ``offset`` of a chunk in memory, and those beside it. A chunk that is too
        long, never read or grown since its keys were forgotten, is cut: near its ends one part is
        read, else all of it."""
        if self.forgetful:
            self.forget()
        if self._keys[chunk] is not None:
            return
        lower = self._firsts[chunk] or self._start
        upper = self._firsts[chunk + 1] if chunk + 1 < len(self._firsts) else self._end
        count = self._counts[chunk]
        parts: list[list[bytes] | None]
        if count > 2 * CHUNK and offset < CHUNK:
            keys = list(islice(read(lower, upper), CHUNK))
            firsts, counts, parts = [keys[-1] + b"\0"], [len(keys), count - CHUNK], [keys, None]
        elif count > 2 * CHUNK and count - offset <= CHUNK:
            keys = list(islice(read(lower, upper, reverse=True), CHUNK))
            keys.reverse()
            firsts, counts, parts = [keys[0]], [count - CHUNK, len(keys)], [None, keys]
        else:
            keys = list(read(lower, upper))
            cuts = [0, *range(CHUNK, len(keys) - CHUNK // 2, CHUNK), len(keys)]
            parts = [keys[at:end] for at, end in pairwise(cuts)]
            firsts = [keys[at] for at in cuts[1:-1]]
            counts = [end - at for at, end in pairwise(cuts)]
        assert sum(counts) == count, "a write has passed the order index by"
        self._firsts[chunk + 1 : chunk + 1] = firsts
        self._counts[chunk : chunk + 1] = counts
        self._keys[chunk : chunk + 1] = parts
        self.loaded += len(keys)

    def release(self) -> bool:
        """Free a few of the keys in memory, for an index that is not used any more; whether there
        are more."""
        del self._keys[-_CHUNKS_PER_STEP:]
        return bool(self._keys)

    def forget(self) -> None:
        """Forget the keys in memory; counts and boundaries stay."""
        self._keys = [None] * len(self._firsts)
        self.loaded = 0
        self.forgetful = False


class OrderIndexes:
    """The indexes of all large collections that have one; thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes that all together may take."""
        self._room = limit
        """What of that is left, about: indexes grow, and ``trim`` looks again."""
        self._indexes: OrderedDict[tuple[int, int], OrderIndex] = OrderedDict()
        self._discarding: list[OrderIndex] = []

    def get(self, version: int, family: int) -> OrderIndex | None:
        """The index of a collection if there is one now."""
        return self._indexes.get((version, family))

    @property
    def spare_keys(self) -> int:
        """How many keys a new index may hold: they leave others half of what is left."""
        return max(0, self._room) // (2 * _KEY_BYTES)

    def put(self, version: int, family: int, index: OrderIndex) -> None:
        self._indexes[version, family] = index
        self._room -= index.memory

    def drop(self, version: int, family: int) -> None:
        """The collection is gone, or its index can't be trusted any more."""
        index = self._indexes.pop((version, family), None)
        if index is not None:
            self._discarding.append(index)

    def clear(self) -> None:
        """Hold nothing any more; nobody uses an index now."""
        indexes, self._indexes = self._indexes, OrderedDict()
        self._discarding += indexes.values()

    @property
    def is_discarding(self) -> bool:
        """Whether there is memory to give back: ``release``."""
        return bool(self._discarding)

    def release(self) -> None:
        """Give back some of the memory of what was dropped: millions of keys at a time would hold
        the GIL for long."""
        if self._discarding and not self._discarding[-1].release():
            self._discarding.pop()

    @property
    def memory(self) -> int:
        return sum(index.memory for index in list(self._indexes.values()))

    def __len__(self) -> int:
        return len(self._indexes)

    def trim(self) -> None:
        """Keep to the limit, the oldest first: keys in memory go before whole indexes do."""
        indexes = list(self._indexes.items())
        excess = sum(index.memory for _, index in indexes) - self.limit
        self._room = -excess
        for _, index in indexes:
            if excess <= 0:
                return
            if index.loaded and not index.forgetful:
                index.forgetful = True
                excess -= index.loaded * _KEY_BYTES
        for place, index in indexes:
            if excess <= 0:
                return
            self._indexes.pop(place, None)
            excess -= index.memory
