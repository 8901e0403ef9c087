"""With gaps.py the only module that imports rocksdict: opening, reading, iterating, writing, fsync.

Knows bytes, not rows. Facts about the GIL (measured with rocksdict 0.3.29, see
docs/measurements.md): single gets and writes hold it, ``get`` of a list, ``flush``, ``flush_wal``
and ``compact_range`` release it; so a write is never synced here, fsync is a ``flush_wal`` of its
own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from rocksdict import (
    AccessType,
    BlockBasedIndexType,
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from tendis_py.errors import StorageError, WriteStalledError
from tendis_py.storage.families import COLUMN_FAMILIES
from tendis_py.storage.folder import explain_open_failure, file_names, lock_folder
from tendis_py.storage.gaps import OnGap, iterate, nothing

FORMAT_KEY = b"format"
FORMAT_VALUE = b"tendis-py 1"

_STALL_POLL_SECONDS = 0.005
_FLUSH_AGAIN_SECONDS = 0.1

RowWrite = tuple[int, bytes, bytes | None]
"""Column family, key, new value (None deletes)."""

Range = tuple[int, bytes, bytes | None]
"""Column family, from, below."""

MOST_GAPS = 64


class Engine:
    """One open data folder. Thread-safe, as RocksDB is."""

    def __init__(
        self,
        path: Path,
        *,
        block_cache_bytes: int = 32 * 1024 * 1024,
        options: Mapping[str, str] | None = None,
        read_only: bool = False,
    ) -> None:
        """Open or create ``path``, which is this process's alone until ``close``. ``read_only``:
        it must be there, and none of its data changes.

        ``options`` are RocksDB options by name. StorageError when the folder has another format,
        is open in another process, or an option is unknown.
        """
        self.path = path
        self._block_cache = Cache(block_cache_bytes)
        self._lock = lock_folder(path) if read_only else None
        self._check_folder()
        db_options = self._options(options or {})
        try:
            self._db = Rdict(
                str(path),
                db_options,
                column_families=dict.fromkeys(COLUMN_FAMILIES, db_options),
                access_type=AccessType.read_only() if read_only else AccessType.read_write(),
            )
        except Exception as error:
            raise StorageError(explain_open_failure(path, str(error))) from None
        self._families = [self._db.get_column_family(name) for name in COLUMN_FAMILIES]
        self._handles = [self._db.get_column_family_handle(name) for name in COLUMN_FAMILIES]
        self._write_options = WriteOptions()
        self._write_options.no_slowdown = True
        self.stalls = 0
        self.stalled_seconds = 0.0
        self.last_write_ok = True
        self.gaps: dict[Range, None] = {}
        """Where iterations had to step over much that was deleted: to be compacted."""
        self.unsynced = False
        """Whether anything was written since the last fsync of the log."""
        self._check_format()

    def _check_folder(self) -> None:
        if "CURRENT" not in file_names(self.path):
            return
        try:
            families = set(Rdict.list_cf(str(self.path), Options(raw_mode=True)))
        except Exception as error:
            raise StorageError(explain_open_failure(self.path, str(error))) from None
        if not families <= {"default", *COLUMN_FAMILIES}:
            raise StorageError(
                f"'{self.path}' holds a RocksDB database of another program (column families "
                f"{', '.join(sorted(families))}); it is left as it is"
            )

    def _check_format(self) -> None:
        found = self._db.get(FORMAT_KEY)
        fresh = self._lock is None and self._db.latest_sequence_number() == 0
        if found is None and fresh:
            self._db.put(FORMAT_KEY, FORMAT_VALUE)
        elif found != FORMAT_VALUE:
            self._release()
            raise StorageError(
                f"'{self.path}' has data format {found!r}, this version reads {FORMAT_VALUE!r}; "
                "nothing is migrated in silence"
            )

    def _options(self, overrides: Mapping[str, str]) -> Options:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_size(512 * 1024)  # its skip list fits the CPU's cache
        options.set_min_write_buffer_number_to_merge(8)  # flushed as 4 MB
        options.set_max_write_buffer_number(64)
        options.set_db_write_buffer_size(64 * 1024 * 1024)
        options.set_max_total_wal_size(64 * 1024 * 1024)
        options.set_max_background_jobs(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_level_compaction_dynamic_level_bytes(True)
        options.set_keep_log_file_num(3)
        options.set_max_open_files(256)
        options.set_bytes_per_sync(1024 * 1024)
        options.set_avoid_unnecessary_blocking_io(
            True
        )  # whoever ends an iteration deletes no files
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.0125)
        table = BlockBasedOptions()
        table.set_block_cache(self._block_cache)
        table.set_block_size(4096)
        table.set_bloom_filter(10, False)
        table.set_format_version(5)
        _keep_indexes_in_pieces(table)
        options.set_block_based_table_factory(table)
        for name, value in overrides.items():
            _set_option(options, name, value)
        return options

    # Reading

    def get(self, family: int, key: bytes) -> bytes | None:
        value: bytes | None = self._families[family].get(key)
        return value

    def get_many(self, family: int, keys: list[bytes]) -> list[bytes | None]:
        """The values of ``keys``, read with the GIL released."""
        values: Any = self._families[family].get(cast(Any, keys))
        return cast("list[bytes | None]", values)

    def get_setting(self, key: bytes) -> bytes | None:
        """A row of the default column family: format, database pointers, counters."""
        value: bytes | None = self._db.get(key)
        return value

    def settings(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All rows of the default column family under ``prefix``."""
        rows: Iterator[tuple[Any, Any]] = self._db.items(from_key=prefix)
        for key, value in rows:
            if not key.startswith(prefix):
                return
            yield key, value

    def items(
        self,
        family: int,
        lower: bytes,
        upper: bytes | None,
        *,
        reverse: bool = False,
        on_gap: OnGap = nothing,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with lower <= key < upper, as they were when the first was asked for; those beyond
        a gap (see gaps.py), as when that was passed. ``on_gap`` is called where one begins, and may
        raise."""
        return self._iterate(family, lower, upper, True, reverse, on_gap)

    def keys(
        self,
        family: int,
        lower: bytes,
        upper: bytes | None,
        *,
        reverse: bool = False,
        on_gap: OnGap = nothing,
    ) -> Iterator[bytes]:
        """As ``items``, without the values."""
        return self._iterate(family, lower, upper, False, reverse, on_gap)

    def _iterate(
        self,
        family: int,
        lower: bytes,
        upper: bytes | None,
        values: bool,
        reverse: bool,
        on_gap: OnGap,
    ) -> Iterator[Any]:
        if upper is not None and lower >= upper:
            return iter(())
        return iterate(
            self._families[family],
            lower,
            upper,
            values=values,
            reverse=reverse,
            on_gap=on_gap,
            report=lambda low, high: self._note_gap((family, low, high)),
        )

    def _note_gap(self, gap: Range) -> None:
        if len(self.gaps) < MOST_GAPS:
            self.gaps[gap] = None

    def damage(self, family: int) -> str | None:
        """Read a column family from end to end; what is wrong if that fails. (``items`` and
        ``keys`` then just end: rocksdict 0.3.29 tells it only of iterators stepped by hand.)"""
        rows = self._families[family].iter(ReadOptions())
        rows.seek_to_first()
        while rows.valid():
            rows.next()
        try:
            rows.status()
        except Exception as error:
            return str(error)
        return None

    # Writing

    def write(
        self,
        changes: Iterable[RowWrite],
        settings: Iterable[tuple[bytes, bytes]] = (),
        ranges: Iterable[tuple[int, bytes, bytes]] = (),
    ) -> None:
        """Write everything as one batch: all of it survives a crash or nothing does.

        The write has reached the operating system when this returns, not the disk: see ``sync``.
        ``ranges`` are deleted before ``changes`` apply. Waits, off the GIL, while RocksDB stalls.
        """

        def build() -> WriteBatch:
            batch = WriteBatch(raw_mode=True)
            handles = self._handles
            for family, lower, upper in ranges:
                batch.delete_range(lower, upper, handles[family])
            put = batch.put
            for family, key, value in changes:
                if value is None:
                    batch.delete(key, handles[family])
                else:
                    put(key, value, handles[family])
            for key, value in settings:
                put(key, value)
            return batch

        self.write_batch(build)

    def new_batch(self) -> tuple[WriteBatch, list[Any]]:
        """An empty batch and the handles of COLUMN_FAMILIES, for a caller on the hot path."""
        return WriteBatch(raw_mode=True), self._handles

    def write_batch(self, build: Callable[[], WriteBatch], *, may_wait: bool = True) -> None:
        """``build`` makes the batch, once a try: rocksdict takes it even when RocksDB refuses it.
        As ``write``. WriteStalledError instead of waiting when ``may_wait`` is false."""
        started = 0.0
        while True:
            try:
                self._db.write(build(), self._write_options)
                break
            except Exception as error:
                if "Write stall" not in str(error):
                    self.last_write_ok = False
                    raise StorageError(f"write failed: {error}") from error
            if not may_wait:
                raise WriteStalledError
            if not started:
                started = time.monotonic()
                self.stalls += 1
            time.sleep(_STALL_POLL_SECONDS)
        if started:
            self.stalled_seconds += time.monotonic() - started
        self.unsynced = self.last_write_ok = True

    def sync(self) -> None:
        """fsync the log, with the GIL released: what was written before is durable."""
        self.unsynced = False
        try:
            self._db.flush_wal(True)
        except Exception as error:
            self.unsynced = True
            raise StorageError(f"fsync failed: {error}") from error

    def flush(self) -> None:
        """Write the memtables to disk, with the GIL released. StorageError when it fails."""
        for family in (self._db, *self._families):
            _flush(family)

    def compact(self, family: int, lower: bytes | None, upper: bytes | None) -> None:
        """Compact a range, with the GIL released: drops what was deleted in it. StorageError when
        it fails, or a flush before it."""
        _flush(self._families[family])  # or RocksDB flushes what lies in the range, see there
        try:
            self._families[family].compact_range(lower, upper)
        except Exception as error:
            raise StorageError(f"compaction failed: {error}") from error

    def compact_gaps(self) -> None:
        """Compact away what iterations have had to step over, with the GIL released. StorageError
        when it fails."""
        while self.gaps:
            (family, lower, upper), _ = self.gaps.popitem()
            _flush(self._families[family])
            options = CompactOptions()
            options.set_exclusive_manual_compaction(False)
            # a file alone in its range would just be moved down, with all that was deleted
            options.set_bottommost_level_compaction(BottommostLevelCompaction.force_optimized())
            try:
                self._families[family].compact_range(lower, upper, options)
            except Exception as error:
                raise StorageError(f"compaction failed: {error}") from error

    def set_options(self, options: Mapping[str, str]) -> None:
        """Change options of the column families at runtime: name → text, as in the configuration.
        StorageError when RocksDB refuses; then nothing has changed."""
        changes = dict(_runtime_option(name, text) for name, text in options.items())
        try:
            for family in self._families:
                family.set_options(changes)
        except Exception as error:
            raise StorageError(str(error)) from None

    # Figures

    def log_bytes(self) -> int:
        """Size of the write-ahead log: what a restart would have to replay."""
        with os.scandir(self.path) as entries:
            logs = [entry for entry in entries if entry.name.endswith(".log")]
        size = 0
        for entry in logs:
            with contextlib.suppress(OSError):  # RocksDB has deleted it just now
                size += entry.stat().st_size
        return size

    def number(self, name: str, family: int | None = None) -> int:
        """RocksDB property ``rocksdb.<name>``: of one column family, or summed over all."""
        families = self._families if family is None else [self._families[family]]
        return sum(one.property_int_value(f"rocksdb.{name}") or 0 for one in families)

    def block_cache_usage(self) -> int:
        return int(self._block_cache.get_usage())

    def resize_block_cache(self, size: int) -> None:
        """Let the block cache hold ``size`` bytes; what is too much leaves it at once."""
        self._block_cache.set_capacity(size)

    def close(self) -> None:
        with contextlib.suppress(StorageError):
            self.sync()
        self._release()

    def _release(self) -> None:
        """Close the folder, whose lock each column family holds on to."""
        self._families.clear()
        self._handles.clear()
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)


def _flush(family: Rdict) -> None:
    """Write a column family's memtables to disk, asking for it until it is done.

    Where memtables are flushed several at a time, RocksDB forgets a flush that it is asked for
    while one of its own begins, if fewer are left than that, and waits for it until somebody
    writes enough or asks again (rocksdict 0.3.29, right after many writes).
    """
    done = threading.Event()

    def ask_again() -> None:
        while not done.wait(_FLUSH_AGAIN_SECONDS):
            with contextlib.suppress(Exception):  # the flush that is waited for tells
                family.flush(wait=False)

    asking = threading.Thread(target=ask_again, name="flush again", daemon=True)
    asking.start()
    try:
        family.flush()
    except Exception as error:
        raise StorageError(f"flush failed: {error}") from error
    finally:
        done.set()
        asking.join()


def _keep_indexes_in_pieces(table: BlockBasedOptions) -> None:
    """Have the filters and indexes of files in the block cache, by pieces of 4 KB, of which only
    the lists of pieces are pinned. Memory then keeps to the cache, whatever the data: whole, they
    are blocks of a megabyte, which a cache that can't hold them all reads anew for every row."""
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_index_type(BlockBasedIndexType.two_level_index_search())
    table.set_partition_filters(True)
    table.set_metadata_block_size(4096)
    table.set_pin_top_level_index_and_filter(True)


_UNITS = {"k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}


def _option_value(text: str) -> int | float | bool:
    lowered = text.lower()
    if lowered in ("yes", "true"):
        return True
    if lowered in ("no", "false"):
        return False
    digits = lowered.rstrip("bkmg")
    unit = lowered[len(digits) :]
    if unit and unit != "b":
        return int(digits) * _UNITS[unit]
    return float(digits) if "." in digits else int(digits)


def _set_option(options: Options, name: str, text: str) -> None:
    """Set RocksDB option ``name`` (``write_buffer_size``) from its text in the configuration."""
    setter = getattr(options, f"set_{name}", None)
    if name in ("compression_type", "bottommost_compression_type"):
        factory = getattr(DBCompressionType, text, None)
        if factory is None:
            raise StorageError(f"rocksdb.{name}: unknown compression '{text}'")
        value: Any = factory()
    elif setter is None:
        raise StorageError(f"rocksdb.{name}: rocksdict has no such option")
    else:
        try:
            value = _option_value(text)
        except (ValueError, KeyError):
            raise StorageError(f"rocksdb.{name}: '{text}' is not a number or yes/no") from None
    assert setter is not None
    try:
        setter(value)
    except TypeError as error:
        raise StorageError(f"rocksdb.{name}: {error}") from None


_RUNTIME_NAMES = {
    "compression_type": "compression",
    "bottommost_compression_type": "bottommost_compression",
    "level_zero_file_num_compaction_trigger": "level0_file_num_compaction_trigger",
    "level_zero_slowdown_writes_trigger": "level0_slowdown_writes_trigger",
    "level_zero_stop_writes_trigger": "level0_stop_writes_trigger",
    "memtable_prefix_bloom_ratio": "memtable_prefix_bloom_size_ratio",
}
"""Where rocksdict's name of an option is not RocksDB's own."""

_COMPRESSIONS = {
    "none": "kNoCompression",
    "snappy": "kSnappyCompression",
    "zlib": "kZlibCompression",
    "bz2": "kBZip2Compression",
    "lz4": "kLZ4Compression",
    "lz4hc": "kLZ4HCCompression",
    "zstd": "kZSTD",
}


def _runtime_option(name: str, text: str) -> tuple[str, str]:
    """Name and value as RocksDB's SetOptions wants them."""
    _set_option(Options(raw_mode=True), name, text)
    if name.endswith("compression_type"):
        return _RUNTIME_NAMES[name], _COMPRESSIONS[text]
    value = _option_value(text)
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return _RUNTIME_NAMES.get(name, name), shown
