"""The rows of one large collection, as one thread's transaction sees and writes them.

Keys here are element keys, without the version before them. Whoever writes holds the lock of the
collection's key.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from tendis_py.storage.codec import VERSION_SIZE, upper_bound, version_prefix
from tendis_py.storage.engine import RowWrite
from tendis_py.storage.families import GARBAGE, ROWS
from tendis_py.storage.order import OrderIndex

if TYPE_CHECKING:
    from tendis_py.storage.transaction import Transaction

_element_of = itemgetter(slice(VERSION_SIZE, None))
"""The element in a row's key."""

CACHED_SHARE = 32
"""Of what is written ahead the row cache takes the beginning, up to such a part of its size."""

_AHEAD_ROWS = 512
_AHEAD_BYTES = 1 << 16
"""Rows of a new version, or bytes of them, from which they are written ahead of the commit, and how
many at a time: a fraction of a millisecond. (A megabyte takes longer in one write than in many.)"""


class VersionWriter:
    """Writes the elements of a new large collection, in any order; of one that comes again, the
    last value stays.

    Few go into the batch like any other write. Many are written ahead, slice by slice, under a
    version that no key names until the batch commits the meta row: one command stays one commit,
    without a RocksDB batch of a million rows that everybody waits for.
    """

    __slots__ = (
        "_ahead",
        "_bytes",
        "_cache",
        "_cache_until",
        "_prefix",
        "_rows",
        "tx",
        "version",
    )

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.version = tx.keyspace.new_version()
        self._prefix = version_prefix(self.version)
        self._rows: list[RowWrite] = []
        self._bytes = 0  # of their values
        self._ahead = False
        self._cache = tx.keyspace.cache
        self._cache_until = self._cache.bytes + self._cache.limit // CACHED_SHARE

    def add(self, element: bytes, value: bytes = b"", family: int = ROWS) -> None:
        self._rows.append((family, self._prefix + element, value))
        self._bytes += len(value)
        if len(self._rows) >= _AHEAD_ROWS or self._bytes >= _AHEAD_BYTES:
            self._write_ahead()

    def finish(self) -> int:
        """The version, all of whose rows are there as soon as the batch commits."""
        if self._ahead:
            self._write_ahead()
            self.tx.put(GARBAGE, self._prefix, None)
        else:
            for family, key, value in self._rows:
                self.tx.put(family, key, value)
        self._rows = []
        return self.version

    def _write_ahead(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        self.tx.write_ahead(self.version, rows)
        self._ahead = True
        if self._cache.bytes < self._cache_until:
            self._cache.update_values({key: row for family, key, row in rows if family == ROWS})


class Elements:
    """The elements of ``version``; of ROWS, or of what else their type keeps them in."""

    __slots__ = ("_family", "_prefix", "_tx", "version")

    def __init__(self, tx: Transaction, version: int, family: int = ROWS) -> None:
        self._tx = tx
        self._family = family
        self._prefix = version_prefix(version)
        self.version = version

    # Reading

    def get(self, element: bytes) -> bytes | None:
        """One row, O(1)."""
        return self._tx.get(self._family, self._prefix + element)

    def get_many(self, elements: list[bytes]) -> list[bytes | None]:
        """As ``get`` for each, reading what is not cached by list, with the GIL released."""
        return self._tx.get_many(self._family, list(map(self._prefix.__add__, elements)))

    @property
    def prefix(self) -> bytes:
        """What stands before each element in the key of its row."""
        return self._prefix

    def get_rows(self, keys: list[bytes]) -> list[bytes | None]:
        """As ``get_many``, for keys that begin with ``prefix``: to put it there takes as long as to
        get the row."""
        return self._tx.get_many(self._family, keys)

    def items(
        self, lower: bytes = b"", upper: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """(element, value) with lower <= element < upper, in order; this batch's writes
        included, those made after the call not."""
        rows = self._tx.rows(self._family, *self._range(lower, upper), reverse=reverse)
        return ((key[VERSION_SIZE:], value) for key, value in rows)

    def keys(
        self, lower: bytes = b"", upper: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[bytes]:
        """As ``items``, without the values."""
        keys = self._tx.row_keys(self._family, *self._range(lower, upper), reverse=reverse)
        return map(_element_of, keys)

    def _range(self, lower: bytes, upper: bytes | None) -> tuple[bytes, bytes | None]:
        end = upper_bound(self._prefix) if upper is None else self._prefix + upper
        return self._prefix + lower, end

    # Writing

    def add(self, element: bytes, value: bytes = b"") -> None:
        """Write an element that was not there."""
        self._tx.put(self._family, self._prefix + element, value)
        index = self._tx.changing_order(self.version, self._family)
        if index is not None:
            index.add(element)

    def set(self, element: bytes, value: bytes) -> None:
        """Give an element that is there another value."""
        self._tx.put(self._family, self._prefix + element, value)

    def remove(self, element: bytes) -> None:
        """Delete an element that was there."""
        self._tx.put(self._family, self._prefix + element, None)
        index = self._tx.changing_order(self.version, self._family)
        if index is not None:
            index.discard(element)

    def set_many(self, values: Mapping[bytes, bytes]) -> None:
        """As ``set`` for each."""
        prefix = self._prefix
        self._tx.put_many(
            self._family, {prefix + element: value for element, value in values.items()}
        )

    def add_many(self, values: Mapping[bytes, bytes]) -> None:
        """As ``add`` for each."""
        self.put_many(values, values)

    def put_many(self, values: Mapping[bytes, bytes], new: Iterable[bytes]) -> None:
        """Write elements, of which those in ``new`` were not there."""
        self.set_many(values)
        index = self._tx.changing_order(self.version, self._family)
        if index is not None:
            for element in new:
                index.add(element)

    def remove_many(self, elements: Collection[bytes]) -> None:
        """As ``remove`` for each; they are different."""
        self._delete(elements)
        index = self._tx.changing_order(self.version, self._family)
        if index is not None:
            for element in elements:
                index.discard(element)

    def take_random(self, count: int) -> list[bytes]:
        """Delete ``count`` elements, each drawn at random from those that are there then, and
        return them. IndexError when there are fewer."""
        order = self._order()
        self._tx.changing_order(self.version, self._family)
        taken: list[bytes] = []
        try:
            while len(taken) < count:
                part = order.take_random(count - len(taken), self.keys)
                self._delete(part)
                taken += part
        except BaseException:
            self._forget_order()
            raise
        return taken

    def take_end(self, number: int, *, highest: bool) -> list[bytes]:
        """Delete the first ``number`` elements upwards, or the last downwards, and return them."""
        order = self._order(0)
        self._tx.changing_order(self.version, self._family)
        try:
            taken = order.take_end(number, self.keys, highest=highest)
        except BaseException:
            self._forget_order()
            raise
        self._delete(taken)
        return taken

    def _forget_order(self) -> None:
        """It may have discarded what is not going to be deleted."""
        self._tx.keyspace.orders.drop(self.version, self._family)

    def _delete(self, elements: Collection[bytes]) -> None:
        prefix = self._prefix
        self._tx.put_many(self._family, {prefix + element: None for element in elements})

    def remove_range(self, lower: bytes, upper: bytes | None) -> None:
        """Delete all elements with lower <= element < upper, in constant time; of ROWS, whose
        values the cache has, after a scan of the keys (0.5 µs each; on the slow lane when they are
        many). For thousands: a few are better removed one by one. The order is forgotten."""
        start, end = self._range(lower, upper)
        keyspace = self._tx.keyspace
        if self._family == ROWS:
            for key in self._admitted(self._tx.row_keys(ROWS, start, end)):
                keyspace.cache.forget(key)
        self._tx.delete_range(self._family, start, end)
        keyspace.orders.drop(self.version, self._family)

    # Order

    @property
    def has_order(self) -> bool:
        """Whether questions of order cost no scan."""
        index = self._index
        return index is not None and index.whole

    def reaches(self, rank: int) -> bool:
        """Whether ``ranked`` from there on, and ``select``, cost no scan."""
        index = self._index
        return index is not None and index.reaches(rank)

    def ensure_order(self) -> None:
        """Build the order index unless it is there."""
        self._order()

    def ensure_ends(self, size: int) -> None:
        """Have ``reaches`` be true near both ends, where there are ``size`` elements: no scan."""
        if self._index is None:
            self._keep(OrderIndex.of_ends(size))

    def rank(self, element: bytes) -> int:
        """How many elements are below ``element``, whether or not it is there."""
        return self._order().rank(element, self.keys)

    def select(self, rank: int) -> bytes:
        """The element with ``rank`` elements below it. IndexError when there is none."""
        return self._order(rank).select(rank, self.keys)

    def ranked(self, rank: int, *, reverse: bool = False) -> Iterator[bytes]:
        """Elements from that of ``rank`` on, upwards or downwards. Take what is wanted (islice)
        before anything is written."""
        return self._order(rank).iterate(rank, self.keys, reverse=reverse)

    def between(
        self, lower: bytes, upper: bytes | None, *, reverse: bool = False
    ) -> Iterator[bytes]:
        """As ``keys``, past the tombstones of what has been popped at the ends; with the key's
        lock held."""
        index = self._index
        if index is not None:
            start, end = index.bounds
            lower = max(lower, start)
            upper = end if upper is None else upper if end is None else min(upper, end)
            if upper is not None and lower >= upper:
                return iter(())
        return self.keys(lower, upper, reverse=reverse)

    def random(self, count: int) -> list[bytes]:
        """``count`` different elements, each with the same chance; all when there are fewer."""
        order = self._order()
        ranks = random.sample(range(order.size), min(count, order.size))
        return [order.select(rank, self.keys) for rank in ranks]

    @property
    def _index(self) -> OrderIndex | None:
        return self._tx.keyspace.orders.get(self.version, self._family)

    def _order(self, rank: int | None = None) -> OrderIndex:
        """The order index that finds ``rank``, or all ranks; built if need be: on the slow lane
        when that takes long."""
        index = self._index
        if index is None or not (index.whole if rank is None else index.reaches(rank)):
            spare = self._tx.keyspace.orders.spare_keys
            index = OrderIndex(self._admitted(self.between(b"", None)), spare)
            self._keep(index)
        return index

    def _keep(self, index: OrderIndex) -> None:
        """The index of what this batch sees: it goes if that fails."""
        self._tx.keyspace.orders.put(self.version, self._family, index)
        self._tx.changing_order(self.version, self._family)

    def _admitted(self, keys: Iterator[bytes]) -> Iterator[bytes]:
        """``keys``, if they are few enough for the lane this is on; else TooLargeError."""
        if not self._tx.fast_rows:
            return keys
        few = list(islice(keys, self._tx.fast_rows + 1))
        self._tx.admit(len(few))
        return iter(few)


class NewElements(Elements):
    """The elements of a new large collection, which are not read and go through ``writer``."""

    __slots__ = ("_writer",)

    def __init__(self, writer: VersionWriter, family: int = ROWS) -> None:
        super().__init__(writer.tx, writer.version, family)
        self._writer = writer

    def get(self, element: bytes) -> bytes | None:
        """None: whoever asks has not written it yet."""
        return None

    def add(self, element: bytes, value: bytes = b"") -> None:
        self._writer.add(element, value, self._family)

    def set(self, element: bytes, value: bytes) -> None:
        self._writer.add(element, value, self._family)
