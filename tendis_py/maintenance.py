"""Background work at ``hz`` turns a second: expiry, reclaiming, fsync, throughput samples.

Everything that writes goes to the executing threads as jobs, in slices of a fraction of a
millisecond, so that clients' batches run in between.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter_ns
from typing import TypeVar

import trio

from tendis_py.errors import StorageError, WriteFailedError
from tendis_py.services import Services
from tendis_py.services.process import release_free_memory
from tendis_py.services.rates import SAMPLE_SECONDS
from tendis_py.services.stages import BACKGROUND, Stage
from tendis_py.storage.expiry import Due, ExpireFields, Expiry
from tendis_py.storage.reclaim import Reclaimer
from tendis_py.storage.transaction import Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")
DoJob = Callable[[Callable[[Transaction], None], set[bytes] | None], Awaitable[bool]]

FSYNC = Stage("fsync", BACKGROUND, BACKGROUND)
FSYNC_SECONDS = 1.0
SAMPLES_A_SECOND = round(1 / SAMPLE_SECONDS)
PROMPT_SECONDS = 0.05
RECOVERY_SECONDS = 1.0
"""How often a disk that has refused a write is looked at."""
DISCARD_SECONDS = 0.001
FEW_TURNS = 2
DROP_SHARE = 30
MOST_YIELD_SECONDS = 0.3
"""Where reactors have turned more often meanwhile, dropping rows of the cache makes way for so many
times as long as a step took: it is in no hurry, and would take a third of a busy server's time."""
MANY_STEPS = 20
"""After so many steps of giving something up, some 10 MB, the system is to have the memory back."""
FEW_BLOCKS = 1 << 20
"""Bytes of RocksDB's cache that don't matter while there is no data; and what is taken from it at
a time, in a tenth of a millisecond."""
FEW_ROWS_IN_MEMORY = 1 << 20
"""Bytes of memtables that wait for more, however long nobody writes."""
QUIET_SECONDS = 1.0
GAP_SHARE = 4
"""Where gaps form all the time, at most a fifth of it goes into compacting them."""


class Maintenance:
    def __init__(self, services: Services, do_job: DoJob, expire_fields: ExpireFields) -> None:
        self._services = services
        self._do_job = do_job
        self._expiry = Expiry(services.keyspace, expire_fields)
        self._reclaimer = Reclaimer(services.keyspace)
        self._clock_moved = trio.Event()
        self._engine = services.keyspace.engine
        self._disk = services.disk
        self._trouble = ""

    async def run(self) -> None:
        """Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fsync)
            nursery.start_soon(self._recover)
            nursery.start_soon(self._sweep)
            nursery.start_soon(self._reclaim)
            nursery.start_soon(self._sample)
            nursery.start_soon(self._close_gaps)
            nursery.start_soon(self._discard)
            nursery.start_soon(self._flush_when_quiet)

    async def _fsync(self) -> None:
        engine = self._engine
        while True:
            if not self._disk.failure:
                sync = self._services.config.appendfsync != "no"
                try:
                    took = await trio.to_thread.run_sync(partial(engine.note_files, sync=sync))
                except WriteFailedError as error:
                    self._disk.failed(error)
                else:
                    if took:
                        self._services.stats.background.record_one(FSYNC, took)
            await trio.sleep(FSYNC_SECONDS)

    async def _recover(self) -> None:
        """Once a disk that has refused a write has room again, open the folder anew: RocksDB takes
        no more writes before that."""
        while True:
            await trio.sleep(RECOVERY_SECONDS)
            if not self._disk.failure:
                self._trouble = ""
                continue
            try:
                await trio.to_thread.run_sync(self._engine.prepare_reopening)
            except StorageError as error:
                self._tell_trouble(error)
            else:
                await self._do_job(self._reopen, None)

    def _reopen(self, tx: Transaction) -> None:
        """A job that holds all keys."""
        try:
            if not self._engine.reopen():
                return
            self._services.keyspace.finish_commits()
        except StorageError as error:
            self._tell_trouble(error)
        else:
            self._disk.recovered()

    def _tell_trouble(self, error: StorageError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("no writes yet: %s", error)

    def look_around(self) -> None:
        """The clock was moved: do not wait for the next turn. In trio's thread."""
        self._clock_moved.set()
        self._clock_moved = trio.Event()

    async def _sweep(self) -> None:
        swept = False
        while True:
            with trio.move_on_after(await self._sweep_pause(swept)):
                await self._clock_moved.wait()
            swept = await self._sweep_once()

    async def _sweep_once(self) -> bool:
        """Expire all that is due; whether that was done."""
        services, now_ms = self._services, self._services.clock.now_ms
        while services.active_expiry:
            due = await self._look(partial(self._expiry.due, now_ms()))
            if due is None:
                return services.keyspace.may_expire()
            if not await self._do_job(partial(self._expire, due=due), due.keys):
                break  # it is logged; the next turn tries again
        return False

    async def _sweep_pause(self, swept: bool) -> float:
        """Seconds to the next sweep. Where events tell of what has expired it begins when something
        is due: at the latest after PROMPT_SECONDS, for what is given a deadline meanwhile."""
        longest = 1 / self._services.config.hz
        if not self._services.notifications.tells_expiry:
            return longest
        longest = min(longest, PROMPT_SECONDS)
        deadline = await self._look(self._expiry.next_deadline) if swept else None
        if deadline is None:
            return longest
        left = max(deadline - self._services.clock.now_ms(), 1)
        return min(longest, left / 1000)

    async def _look(self, find: Callable[[], T]) -> T:
        """Look for work on the disk, in a thread and holding no key."""

        def look() -> T:
            with self._engine.kept_open:
                return find()

        return await trio.to_thread.run_sync(look)

    def _expire(self, tx: Transaction, due: Due) -> None:
        began = perf_counter_ns()
        self._expiry.expire(tx, due)
        self._services.notifications.fire_noted(tx)
        took = perf_counter_ns() - began
        tx.counters.expire_ns += took
        self._services.latency.record("expire-cycle", took)
        deadline, _, _ = due.entries[0]
        self._services.observatory.note_expiry_lag(self._services.clock.now_ms() - deadline)

    async def _sample(self) -> None:
        samples = 0
        while True:
            await trio.sleep(SAMPLE_SECONDS)
            samples += 1
            self._services.rates.sample()
            if samples % SAMPLES_A_SECOND == 0:
                self._services.stats.recent.sample()
                self._services.observatory.sample()
                self._services.links.close_idle()
            self._services.keyspace.orders.trim()
            self._services.memory.use()  # the peak must not go unseen
            self._services.hotkeys.look()

    async def _reclaim(self) -> None:
        while True:
            await trio.sleep(1 / self._services.config.hz)
            steps = 0
            while not self._disk.failure and await self._look(self._reclaimer.find):
                turns, began = self._services.keyspace.turns, trio.current_time()
                if not await self._do_job(self._reclaimer.step, set()):
                    break
                steps += 1
                if self._reclaimer.is_dropping:
                    await trio.sleep(DISCARD_SECONDS)
                    if self._services.keyspace.turns - turns > FEW_TURNS:
                        yielded = DROP_SHARE * (trio.current_time() - began)
                        await trio.sleep(min(yielded, MOST_YIELD_SECONDS))
            if self._reclaimer.ranges and not self._disk.failure:
                try:
                    await trio.to_thread.run_sync(self._reclaimer.compact)
                except StorageError as error:
                    log.warning("%s", error)
            if steps >= MANY_STEPS:
                await trio.to_thread.run_sync(release_free_memory)

    async def _close_gaps(self) -> None:
        engine = self._engine
        while True:
            await trio.sleep(1 / self._services.config.hz)
            if engine.gaps and not self._disk.failure:
                started = trio.current_time()
                try:
                    await trio.to_thread.run_sync(engine.compact_gaps)
                except StorageError as error:
                    log.warning("%s", error)  # it will be met again
                await trio.sleep(GAP_SHARE * (trio.current_time() - started))

    async def _discard(self) -> None:
        """Give back the memory of what caches have dropped, also while there are no batches."""
        keyspace = self._services.keyspace
        cache, orders, engine = keyspace.cache, keyspace.orders, keyspace.engine
        while True:
            await trio.sleep(1 / self._services.config.hz)
            steps = 0
            while cache.drop_deleted() or cache.is_discarding or orders.is_discarding:
                cache.trim()
                orders.release()
                steps += 1
                await trio.sleep(DISCARD_SECONDS)
            cache.turn_if_hollow()
            while (
                keyspace.is_empty
                and engine.block_cache_usage() > FEW_BLOCKS
                and engine.drop_blocks(FEW_BLOCKS)
            ):
                steps += 1
                await trio.sleep(DISCARD_SECONDS)
            if steps >= MANY_STEPS:
                await trio.to_thread.run_sync(release_free_memory)

    async def _flush_when_quiet(self) -> None:
        """Write memtables to disk when nobody has written for a while: the memory of what was
        deleted comes back, and a restart has less to replay."""
        engine = self._services.keyspace.engine
        writes = flushed = engine.writes
        while True:
            await trio.sleep(QUIET_SECONDS)
            before, writes = writes, engine.writes
            if writes != before or writes == flushed or self._disk.failure:
                continue
            flushed = writes
            try:
                await trio.to_thread.run_sync(engine.flush_large, FEW_ROWS_IN_MEMORY)
            except StorageError as error:
                log.warning("%s", error)
