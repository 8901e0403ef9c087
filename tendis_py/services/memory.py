"""The memory in use: by whom, up to what limit, and the figures that Redis derives from it.

In use is what was resident at the start, and what has been asked for since: rows in the caches and
in RocksDB's memtables, what waits for clients. It is a sum of what each keeps count of, so it rises
and falls with the data; what is resident follows as the allocator likes. Knows no commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tendis_py.services.clock import Clock
from tendis_py.services.holdings import HoldingsSampler
from tendis_py.services.stats import Stats
from tendis_py.storage.keyspace import Keyspace

CONNECTION_BYTES = 2 << 10
"""About what a connection takes besides what waits in its buffers."""


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """In bytes. ``startup``: the program itself, before it has any data. Of data, in the order of
    the way to the disk: the row cache, the memtables, the block cache. ``peak`` is the most that
    was in use, ``peak_time`` a Unix time."""

    startup: int
    clients: int
    work_queues: int
    row_cache: int
    order_indexes: int
    memtables: int
    block_cache: int
    table_readers: int
    resident: int
    peak: int = 0
    peak_time: int = 0

    @property
    def used(self) -> int:
        return self.overhead + self.dataset

    @property
    def overhead(self) -> int:
        """What is in use for other things than data."""
        waiting = self.clients + self.work_queues
        return self.startup + waiting + self.order_indexes + self.table_readers

    @property
    def dataset(self) -> int:
        """Data in memory; all of it is on disk, too, or in the log."""
        return self.row_cache + self.memtables + self.block_cache

    @property
    def dataset_percent(self) -> float:
        """Of what has come since the start."""
        return _share(self.dataset, self.used - self.startup) * 100

    @property
    def peak_percent(self) -> float:
        return _share(self.used, self.peak) * 100

    @property
    def fragmentation(self) -> float:
        return _share(self.resident, self.used)

    @property
    def fragmentation_bytes(self) -> int:
        return self.resident - self.used


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What each part keeps to, in bytes. ``total`` is what the server aims for; what waits for
    clients comes on top, and has limits of its own."""

    row_cache: int
    order_indexes: int
    memtables: int
    block_cache: int
    total: int


class Memory:
    """Thread-safe, but for a peak that two threads see at once."""

    def __init__(
        self, keyspace: Keyspace, stats: Stats, holdings: HoldingsSampler, clock: Clock
    ) -> None:
        self._keyspace = keyspace
        self._stats = stats
        self._holdings = holdings
        self._clock = clock
        self.queued: Callable[[], int] = int
        """Bytes of requests that wait in work queues. Set by the server."""
        self.startup = self._peak = self._peak_time = 0
        found = self._measure()
        self.startup = max(found.resident - found.used, 0)

    def use(self) -> MemoryUse:
        """As it is now, or was a moment ago."""
        found = self._measure()
        if found.used > self._peak:
            self._peak, self._peak_time = found.used, self._clock.now_seconds()
        return replace(found, peak=self._peak, peak_time=self._peak_time)

    def limits(self) -> MemoryLimits:
        keyspace = self._keyspace
        rows, orders = keyspace.cache.limit, keyspace.orders.limit
        memtables, blocks = keyspace.engine.memtable_limit, keyspace.engine.block_cache_limit
        total = self.startup + rows + orders + memtables + blocks
        return MemoryLimits(rows, orders, memtables, blocks, total)

    def _measure(self) -> MemoryUse:
        held = self._holdings.now()
        traffic = self._stats.traffic
        connections = sum(one.connections for one in traffic)
        return MemoryUse(
            startup=self.startup,
            clients=sum(one.buffered for one in traffic) + connections * CONNECTION_BYTES,
            work_queues=self.queued(),
            row_cache=self._keyspace.cache.bytes,
            order_indexes=held.order_indexes,
            memtables=held.memtables,
            block_cache=held.block_cache,
            table_readers=held.table_readers,
            resident=held.resident,
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
