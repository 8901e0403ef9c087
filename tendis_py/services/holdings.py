"""What the process and RocksDB hold, and what else takes time to ask for: so it is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from tendis_py.services.observation import EngineFigures
from tendis_py.services.process import main_thread_cpu, resident_memory
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import GARBAGE, META
from tendis_py.storage.keyspace import Keyspace

SAMPLE_SECONDS = 0.1
"""How old a sample may be; Redis takes its own as often."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """In bytes, but for times."""

    resident: int
    order_indexes: int
    block_cache: int
    memtables: int
    table_readers: int
    log: int
    garbage: int
    """Deleted collections that wait to be reclaimed: RocksDB's estimate, for to count them would be
    to walk over the tombstones of those before."""
    main_thread_cpu: tuple[float, float]
    """Seconds, in the system and for itself."""
    engine: EngineFigures
    """With stalls since the start."""


class HoldingsSampler:
    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._sample: Holdings | None = None
        self._valid_until = 0.0

    def now(self) -> Holdings:
        """What is held now, or was a moment ago; while the folder is opened anew, before that."""
        now = monotonic()
        if self._sample is None:
            self._sample = self._take()
        elif now >= self._valid_until:
            with self._keyspace.engine.kept_open.if_open() as is_open:
                if is_open:
                    self._sample = self._take()
            self._valid_until = now + SAMPLE_SECONDS
        return self._sample

    def _take(self) -> Holdings:
        engine = self._keyspace.engine
        figures = _engine_figures(engine)
        return Holdings(
            resident=resident_memory(),
            order_indexes=self._keyspace.orders.memory,
            block_cache=figures.block_cache_bytes,
            memtables=figures.memtable_bytes,
            table_readers=engine.number("estimate-table-readers-mem"),
            log=figures.log_bytes,
            garbage=engine.number("estimate-num-keys", GARBAGE),
            main_thread_cpu=main_thread_cpu(),
            engine=figures,
        )


def _engine_figures(engine: Engine) -> EngineFigures:
    """A property costs some µs."""
    number = engine.number
    return EngineFigures(
        memtable_bytes=number("size-all-mem-tables"),
        memtables_waiting=number("num-immutable-mem-table"),
        level0_files=number("num-files-at-level0"),
        pending_compaction_bytes=number("estimate-pending-compaction-bytes"),
        stalls=engine.stalls,
        stalled_seconds=engine.stalled_seconds,
        stall_reasons=engine.stall_counts(),
        is_stopped=bool(number("is-write-stopped", META)),
        delayed_write_rate=number("actual-delayed-write-rate", META),
        running_compactions=number("num-running-compactions", META),
        running_flushes=number("num-running-flushes", META),
        block_cache_bytes=engine.block_cache_usage(),
        log_bytes=engine.log_bytes(),
        unsynced_bytes=engine.unsynced_bytes(),
    )
