"""What RocksDB is told: the options of a data folder, what was measured and what the configuration
says instead. Knows no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    DBRecoveryMode,
    Options,
)

from tendis_py.errors import StorageError

STRICT_RECOVERY = "absolute_consistency"
_RECOVERY_MODES = (STRICT_RECOVERY, "point_in_time")


def database_options(
    block_cache: Cache, memtable_bytes: int, overrides: Mapping[str, str]
) -> tuple[Options, int]:
    """The options, with ``overrides`` (name → text) in the place of ours; and what all memtables
    together keep to, in bytes. StorageError when RocksDB has no such option."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_size(512 * 1024)  # its skip list fits the CPU's cache
    options.set_min_write_buffer_number_to_merge(8)  # flushed as 4 MB
    options.set_max_write_buffer_number(64)
    options.set_db_write_buffer_size(memtable_bytes)
    options.set_max_total_wal_size(64 * 1024 * 1024)
    options.set_max_background_jobs(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_keep_log_file_num(3)
    options.set_max_open_files(256)
    options.set_bytes_per_sync(1024 * 1024)
    # whoever ends an iteration deletes no files
    options.set_avoid_unnecessary_blocking_io(True)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.0125)
    table = BlockBasedOptions()
    table.set_block_cache(block_cache)
    table.set_block_size(4096)
    table.set_bloom_filter(10, False)
    table.set_format_version(5)
    _keep_indexes_in_pieces(table)
    options.set_block_based_table_factory(table)
    for name, value in overrides.items():
        _set_option(options, name, value)
        if name == "db_write_buffer_size":
            memtable_bytes = int(_option_value(value))
    return options, memtable_bytes


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
    elif name == "wal_recovery_mode":
        if text not in _RECOVERY_MODES:
            raise StorageError(f"rocksdb.{name}: '{text}' is none of {', '.join(_RECOVERY_MODES)}")
        value = getattr(DBRecoveryMode, text)()
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


def runtime_option(name: str, text: str) -> tuple[str, str]:
    """Name and value as RocksDB's SetOptions wants them."""
    _set_option(Options(raw_mode=True), name, text)
    if name.endswith("compression_type"):
        return _RUNTIME_NAMES[name], _COMPRESSIONS[text]
    value = _option_value(text)
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return _RUNTIME_NAMES.get(name, name), shown
