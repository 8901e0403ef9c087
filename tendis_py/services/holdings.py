"""What the process and RocksDB hold, in memory and in the log; sampled, since asking takes time."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from tendis_py.services.process import peak_memory, resident_memory
from tendis_py.storage.engine import Engine

SAMPLE_SECONDS = 0.1
"""How old a sample may be; Redis takes its own as often."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """In bytes."""

    resident: int
    peak: int
    block_cache: int
    memtables: int
    table_readers: int
    log: int


class HoldingsSampler:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sample: Holdings | None = None
        self._valid_until = 0.0

    def now(self) -> Holdings:
        """What is held now, or was a moment ago."""
        time = monotonic()
        if self._sample is None or time >= self._valid_until:
            self._sample = self._take()
            self._valid_until = time + SAMPLE_SECONDS
        return self._sample

    def _take(self) -> Holdings:
        engine = self._engine
        resident = resident_memory()
        return Holdings(
            resident=resident,
            peak=max(peak_memory(), resident),
            block_cache=engine.block_cache_usage(),
            memtables=engine.number("size-all-mem-tables"),
            table_readers=engine.number("estimate-table-readers-mem"),
            log=engine.log_bytes(),
        )
