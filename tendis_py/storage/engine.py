"""The data folder while it is open: reading, iterating, writing, fsync. With gaps.py and options.py
the only module that imports rocksdict.

Knows bytes, not rows. Facts about the GIL (measured with rocksdict 0.3.29, see
docs/measurements.md): single gets and writes hold it, ``get`` of a list, ``flush``, ``flush_wal``
and ``compact_range`` release it; so a write is never synced here, fsync is a ``flush_wal`` of its
own.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any, cast

from rocksdict import (
    AccessType,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DbClosedError,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    Snapshot,
    WriteBatch,
    WriteOptions,
)

from tendis_py.errors import (
    StorageError,
    TooLargeError,
    UnreadableError,
    WriteFailedError,
    WriteStalledError,
)
from tendis_py.storage.families import COLUMN_FAMILIES
from tendis_py.storage.folder import explain_open_failure, file_names, lock_folder
from tendis_py.storage.gaps import OnGap, iterate, nothing
from tendis_py.storage.kept_open import KeptOpen
from tendis_py.storage.losses import (
    Sizes,
    mend_log,
    refuse_losses,
    sizes_of,
    write_note,
)
from tendis_py.storage.options import STRICT_RECOVERY, database_options, runtime_option
from tendis_py.storage.reads import Reads
from tendis_py.storage.unreadable import Unreadable

log = logging.getLogger(__name__)

FORMAT_KEY = b"format"
FORMAT_VALUE = b"tendis-py 1"

_STALL_POLL_SECONDS = 0.005
_FLUSH_AGAIN_SECONDS = 0.1
_REOPENING_ATTEMPTS, _REOPENING_PAUSE = 10, 0.05
_ROOM_BYTES = 8 * 1024 * 1024
"""Room that must be on the disk, besides what the log takes once more, to open the folder anew."""
_ROOM_FILE = "tendis-room"

RowWrite = tuple[int, bytes, bytes | None]
"""Column family, key, new value (None deletes)."""

Range = tuple[int, bytes, bytes | None]
"""Column family, from, below."""

MOST_GAPS = 64

_STALL_COUNT = re.compile(r"([\w-]+-(?:delays|stops)): (\d+)")
_STALL_TOTALS = ("total-delays", "total-stops")


class Engine:
    """One open data folder. Thread-safe, as RocksDB is; but ``reopen`` has to have nobody beside
    it, so whoever has no claim on keys says ``with engine.kept_open``."""

    def __init__(
        self,
        path: Path,
        *,
        block_cache_bytes: int = 32 * 1024 * 1024,
        memtable_bytes: int = 64 * 1024 * 1024,
        options: Mapping[str, str] | None = None,
        read_only: bool = False,
    ) -> None:
        """Open or create ``path``, which is this process's alone until ``close``. ``read_only``:
        it must be there, and none of its data changes.

        All memtables together keep to ``memtable_bytes``, about. ``options`` are RocksDB options by
        name, which prevail. StorageError when the folder has another format, has lost some of its
        content, is open in another process, or an option is unknown.
        """
        self.path = path
        self._unreadable = Unreadable(path)
        self._uncompacted: set[int | None] = set()
        """Families that are not compacted any more, for what can't be read in them."""
        self._block_cache = Cache(block_cache_bytes)
        self.block_cache_limit = block_cache_bytes
        self._lock = lock_folder(path) if read_only else None
        places = (None, *range(len(COLUMN_FAMILIES)))
        self._on_gap = {place: partial(self._note_gap, place) for place in places}
        self._on_failure = {place: partial(self._failed, place) for place in places}
        self._db_options, self.memtable_limit = database_options(
            self._block_cache, memtable_bytes, options or {}
        )
        self._is_strict = (options or {}).get(
            "wal_recovery_mode", STRICT_RECOVERY
        ) == STRICT_RECOVERY
        self.remarks: list[str] = []
        """What was not as it should be, and is no reason to refuse the folder."""
        self._noted: Sizes = {}
        self._noting = threading.Lock()
        self._changed_options: dict[str, str] = {}
        self._last_sequence = 0
        self._use(self._open_first(read_only=read_only))
        self._write_options = WriteOptions()
        self._write_options.no_slowdown = True
        self.stalls = 0
        self.stalled_seconds = 0.0
        self.kept_open = KeptOpen()
        self.gaps: dict[Range, None] = {}
        """Where iterations had to step over much that was deleted: to be compacted."""
        self.unsynced = False
        self._sync_began = self._sync_ended = 0
        """Whether anything was written since the last fsync of the log."""
        self.reads = Reads()
        self._check_format()

    def _open_first(self, *, read_only: bool) -> Rdict:
        """Open a folder of which only its files are known, if nothing is lost."""
        self._check_folder()
        try:
            return self._open(read_only=read_only)
        except StorageError as error:
            if not self._is_strict or "Corruption" not in str(error):
                raise
            self._remark(mend_log(self.path, error, cut=not read_only))
        try:
            return self._open(read_only=read_only, trusting=read_only)
        except StorageError as error:  # the end of the log was not all
            self._remark(mend_log(self.path, error, cut=not read_only))
        return self._open(read_only=read_only)

    def _remark(self, remark: str) -> None:
        self.remarks.append(remark)
        if self._lock is None:
            log.warning("%s", remark)

    def _open(self, *, read_only: bool, trusting: bool = False) -> Rdict:
        """``trusting``: where the log can't be read it ends, as it is known to."""
        mode = DBRecoveryMode.absolute_consistency()
        if trusting or not self._is_strict:
            mode = DBRecoveryMode.point_in_time()
        self._db_options.set_wal_recovery_mode(mode)
        try:
            return Rdict(
                str(self.path),
                self._db_options,
                column_families=dict.fromkeys(COLUMN_FAMILIES, self._db_options),
                access_type=AccessType.read_only() if read_only else AccessType.read_write(),
            )
        except Exception as error:
            raise StorageError(explain_open_failure(self.path, str(error))) from None

    def _use(self, db: Rdict) -> None:
        self._db = db
        self._families = [db.get_column_family(name) for name in COLUMN_FAMILIES]
        names = (*COLUMN_FAMILIES, "default")
        self._handles = [db.get_column_family_handle(name) for name in names]

    def _check_folder(self) -> None:
        if "CURRENT" not in file_names(self.path):
            return
        if self._is_strict:
            for remark in refuse_losses(self.path):
                self._remark(remark)
        try:
            families = set(Rdict.list_cf(str(self.path), Options(raw_mode=True)))
        except Exception as error:
            refusal = StorageError(explain_open_failure(self.path, str(error)))
            mend_log(self.path, refusal, cut=False)
            raise refusal from None
        if not families <= {"default", *COLUMN_FAMILIES}:
            raise StorageError(
                f"'{self.path}' holds a RocksDB database of another program (column families "
                f"{', '.join(sorted(families))}); it is left as it is"
            )

    def _check_format(self) -> None:
        try:
            found = self._db.get(FORMAT_KEY)
        except Exception as error:
            self._release()
            raise StorageError(explain_open_failure(self.path, str(error))) from None
        fresh = self._lock is None and self._db.latest_sequence_number() == 0
        if found is None and fresh:
            self._db.put(FORMAT_KEY, FORMAT_VALUE)
        elif found != FORMAT_VALUE:
            self._release()
            raise StorageError(
                f"'{self.path}' has data format {found!r}, this version reads {FORMAT_VALUE!r}; "
                "nothing is migrated in silence"
            )

    # Reading: UnreadableError when what is asked for, or lies on the way to it, can't be read

    def get(self, family: int, key: bytes) -> bytes | None:
        started = perf_counter_ns()
        try:
            value: bytes | None = self._families[family].get(key)
        except Exception as error:
            raise self._failed(family, error) from None
        self.reads.ns += perf_counter_ns() - started
        return value

    def get_many(self, family: int, keys: list[bytes]) -> list[bytes | None]:
        """The values of ``keys``, read with the GIL released."""
        started = perf_counter_ns()
        try:
            values: Any = self._families[family].get(cast(Any, keys))
        except Exception as error:
            raise self._failed(family, error) from None
        self.reads.ns += perf_counter_ns() - started
        return cast("list[bytes | None]", values)

    def get_setting(self, key: bytes) -> bytes | None:
        """A row of the default column family: format, database pointers, counters."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failed(None, error) from None
        return value

    def settings(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All rows of the default column family under ``prefix``."""
        for key, value in self._iterate(None, prefix, None, True, False, nothing, True):
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
        fill_cache: bool = True,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows with lower <= key < upper, as they were when the first was asked for; those beyond
        a gap (see gaps.py), as when that was passed. ``on_gap`` is called where one begins, and may
        raise. ``fill_cache``: whether the block cache is to keep what is read."""
        return self._iterate(family, lower, upper, True, reverse, on_gap, fill_cache)

    def keys(
        self,
        family: int,
        lower: bytes,
        upper: bytes | None,
        *,
        reverse: bool = False,
        on_gap: OnGap = nothing,
        fill_cache: bool = True,
    ) -> Iterator[bytes]:
        """As ``items``, without the values."""
        return self._iterate(family, lower, upper, False, reverse, on_gap, fill_cache)

    def _iterate(
        self,
        family: int | None,
        lower: bytes,
        upper: bytes | None,
        values: bool,
        reverse: bool,
        on_gap: OnGap,
        fill_cache: bool,
    ) -> Iterator[Any]:
        if upper is not None and lower >= upper:
            return iter(())
        return iterate(
            self._db if family is None else self._families[family],
            lower,
            upper,
            values=values,
            reverse=reverse,
            on_gap=on_gap,
            report=self._on_gap[family],
            unreadable=self._on_failure[family],
            reads=self.reads,
            fill_cache=fill_cache,
        )

    def _note_gap(self, family: int | None, lower: bytes, upper: bytes | None) -> None:
        if family is not None and len(self.gaps) < MOST_GAPS:
            self.gaps[family, lower, upper] = None

    def _failed(self, family: int | None, error: Exception) -> UnreadableError:
        """What to raise for RocksDB's ``error`` about a family; None is the default one. The first
        of each file is logged, and the family is not compacted any more."""
        failure, file = self._unreadable.note(error)
        if file is None or self._lock is not None:
            return failure
        log.error(
            "Data can't be read: %s. What needs it is refused, and %s is not mentioned again. "
            "Restore the data folder from a backup; tendis-py --check tells what is damaged",
            str(failure),  # itself it would hold on to the iterator that failed
            file,
        )
        self._uncompacted.add(family)
        self._stop_compactions()
        return failure

    def _reason(self, error: Exception) -> str:
        """RocksDB's words for a write that it has refused: for a compaction that has met a damaged
        block, it does not say in which family."""
        if not str(error).startswith("Corruption"):
            return str(error)
        self._uncompacted.update(range(len(COLUMN_FAMILIES)))
        return str(self._failed(None, error))

    def _stop_compactions(self) -> None:
        """A compaction that meets a damaged block fails, and has RocksDB refuse every write until
        it is opened anew. Without, reads get slower, and what is whole stays of use."""
        for family in self._uncompacted:
            column = self._db if family is None else self._families[family]
            with contextlib.suppress(Exception):  # then it comes to that
                column.set_options({"disable_auto_compactions": "true"})

    def damage(self, family: int | None) -> str | None:
        """Read a column family, None is the default one, from end to end; what is wrong if that
        fails."""
        rows = (self._db if family is None else self._families[family]).iter(ReadOptions())
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
        settings: Iterable[tuple[bytes, bytes | None]] = (),
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
            for key, setting in settings:
                if setting is None:
                    batch.delete(key)
                else:
                    put(key, setting)
            return batch

        self.write_batch(build)

    def new_batch(self) -> tuple[WriteBatch, list[Any]]:
        """An empty batch and the handles of COLUMN_FAMILIES and SETTINGS, for a caller on the hot
        path."""
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
                    raise WriteFailedError("write", self._reason(error)) from None
            if not may_wait:
                raise WriteStalledError
            if not started:
                started = time.monotonic()
                self.stalls += 1
            time.sleep(_STALL_POLL_SECONDS)
        if started:
            self.stalled_seconds += time.monotonic() - started
        self.unsynced = True

    def sync(self) -> None:
        """fsync the log, with the GIL released: what was written before is durable."""
        self.unsynced = False
        self._sync_began = perf_counter_ns()
        try:
            with self.kept_open:
                self._db.flush_wal(True)
        except Exception as error:
            self.unsynced = True
            raise WriteFailedError("fsync", error) from None
        finally:
            self._sync_ended = perf_counter_ns()

    def has_synced(self, since_ns: int) -> bool:
        """Whether an fsync was under way at any time since then (perf_counter_ns)."""
        return self._sync_began > self._sync_ended or self._sync_ended > since_ns

    def note_files(self, *, sync: bool = True) -> int:
        """Note how long the log and the MANIFEST are, for the next start; the log only with a
        ``sync``, which makes it durable first, if there is need: how many ns that took.
        WriteFailedError when it fails; the note is only behind when it can't be written."""
        took = 0
        with self._noting:
            sizes = self._noted
            with contextlib.suppress(OSError):
                sizes = sizes_of(self.path, logs=sync)
            if sync and (self.unsynced or sizes != self._noted):
                started = perf_counter_ns()
                self.sync()
                took = perf_counter_ns() - started
            self._write_note(sizes)
        return took

    def _write_note(self, sizes: Sizes) -> None:
        if sizes != self._noted:
            with contextlib.suppress(OSError):
                write_note(self.path, sizes)
                self._noted = sizes

    def flush(self) -> None:
        """Write the memtables to disk, with the GIL released. StorageError when it fails."""
        with self.kept_open:
            for family in (self._db, *self._families):
                _flush(family)

    def flush_large(self, size: int) -> None:
        """As ``flush``, for the column families whose memtables take at least ``size`` bytes."""
        with self.kept_open:
            for number, family in enumerate(self._families):
                if self.number("cur-size-all-mem-tables", number) >= size:
                    _flush(family)

    def compact(self, family: int, lower: bytes | None, upper: bytes | None) -> None:
        """Compact a range, with the GIL released: drops what was deleted in it; not where something
        can't be read. StorageError when it fails, or a flush before it."""
        if family in self._uncompacted:
            return
        with self.kept_open:
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
            if family in self._uncompacted:
                continue
            options = CompactOptions()
            options.set_exclusive_manual_compaction(False)
            # a file alone in its range would just be moved down, with all that was deleted
            options.set_bottommost_level_compaction(BottommostLevelCompaction.force_optimized())
            with self.kept_open:
                _flush(self._families[family])
                try:
                    self._families[family].compact_range(lower, upper, options)
                except Exception as error:
                    raise StorageError(f"compaction failed: {error}") from error

    def set_options(self, options: Mapping[str, str]) -> None:
        """Change options of the column families at runtime: name → text, as in the configuration.
        StorageError when RocksDB refuses; then nothing has changed."""
        changes = dict(runtime_option(name, text) for name, text in options.items())
        try:
            with self.kept_open:
                for family in self._families:
                    family.set_options(changes)
        except Exception as error:
            raise StorageError(str(error)) from None
        self._changed_options |= changes

    # After a write has failed

    def prepare_reopening(self) -> None:
        """StorageError unless the disk has room for ``reopen``, which then finds all that was ever
        written. Reading the log for that holds the GIL, 5 ms a MB of it, as ``reopen`` does."""
        room = self.path / _ROOM_FILE
        try:
            with room.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self.log_bytes() + _ROOM_BYTES)
        except OSError as error:
            raise StorageError(f"{error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                room.unlink()
        with self.kept_open:
            beside = self._open(read_only=True, trusting=True)
            found, wanted = beside.latest_sequence_number(), self._sequence()
            beside.close()
        if found < wanted:
            raise StorageError(
                f"the log ends {wanted - found} changes before the last that was acknowledged"
            )

    def _sequence(self) -> int:
        """The number of the last change. (Nothing is open when even reading failed.)"""
        with contextlib.suppress(DbClosedError):
            self._last_sequence = self._db.latest_sequence_number()
        return self._last_sequence

    def reopen(self) -> bool:
        """Close the folder and open it anew: RocksDB takes no write after one that has failed. The
        caller holds all keys. False when somebody uses the folder without: nothing has happened.
        StorageError when it can only be read; then that goes on."""
        with self.kept_open.alone() as alone:
            if not alone:
                return False
            self._sequence()
            if self._uncompacted:  # or what has failed the write would fail the next one
                self._db_options.set_disable_auto_compactions(True)
            with contextlib.suppress(Exception):  # what could not be written still can't
                self._release()
            try:
                self._use(self._open_again())
            except StorageError:
                self._use(self._open(read_only=True, trusting=True))
                self._lock = lock_folder(self.path)
                raise
            if self._changed_options:
                for family in self._families:
                    family.set_options(self._changed_options)
        return True

    def _open_again(self) -> Rdict:
        """What a thread has in hand may keep the folder open for a moment after it was closed; or
        an iterator that nobody has any more, in a cycle of references, which the interpreter is
        told not to look at again (``interpreter.py``)."""
        for _ in range(_REOPENING_ATTEMPTS - 1):
            try:
                return self._open(read_only=False, trusting=True)
            except StorageError:
                gc.unfreeze()
                gc.collect()
                time.sleep(_REOPENING_PAUSE)
        return self._open(read_only=False, trusting=True)

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

    @property
    def writes(self) -> int:
        """How many rows were ever written, about: who finds it unchanged has seen no write."""
        with self.kept_open:
            return self._sequence()

    def number(self, name: str, family: int | None = None) -> int:
        """RocksDB property ``rocksdb.<name>``: of one column family, or summed over all."""
        with self.kept_open:
            families = self._families if family is None else [self._families[family]]
            return sum(one.property_int_value(f"rocksdb.{name}") or 0 for one in families)

    def stall_counts(self) -> Counter[str]:
        """How often RocksDB has begun to delay or stop writes since the folder was opened, by its
        word for the reason."""
        with self.kept_open:
            texts = [one.property_value("rocksdb.cf-write-stall-stats") for one in self._families]
        found: Counter[str] = Counter()
        for text in texts:
            for reason, times in _STALL_COUNT.findall(text or ""):
                if reason not in _STALL_TOTALS:
                    found[reason] += int(times)
        return found

    def unsynced_bytes(self) -> int:
        """About how much of the log is not durable yet."""
        if not self.unsynced:
            return 0
        noted = self._noted
        synced = sum(size for name, size in noted.items() if name.endswith(".log"))
        return max(self.log_bytes() - synced, 0)

    def block_cache_usage(self) -> int:
        return int(self._block_cache.get_usage())

    def resize_block_cache(self, size: int) -> None:
        """Let the block cache hold ``size`` bytes; what is too much leaves it at once."""
        self.block_cache_limit = size
        self._block_cache.set_capacity(size)

    def drop_blocks(self, size: int) -> bool:
        """Have the block cache give up about ``size`` bytes of what was not used lately; whether it
        had something to give up. Holds the GIL, 0.2 µs a KB."""
        usage = self.block_cache_usage()
        self._block_cache.set_capacity(max(usage - size, 0))
        self._block_cache.set_capacity(self.block_cache_limit)
        return self.block_cache_usage() < usage

    def close(self) -> None:
        """Make all that was written durable, and close the folder. That the disk refuses is only
        logged: what was acknowledged is in the operating system's hands."""
        writes = self._lock is None
        try:
            if writes:
                self.sync()
        except StorageError as error:
            log.error("when the data folder was closed: %s", error)
            writes = False
        with contextlib.suppress(Exception):  # it is the same once more
            self._release()
            if writes:
                self._write_note(sizes_of(self.path, logs=True))

    def _release(self) -> None:
        """Close the folder, whose lock each column family holds on to."""
        self._families.clear()
        self._handles.clear()
        lock, self._lock = self._lock, None
        try:
            self._db.close()
        finally:
            if lock is not None:
                os.close(lock)


class EngineView(Engine):
    """The rows of an engine as they are when this is made, for whoever asks for them by key.
    TooLargeError for an iteration (with rocksdict 0.3.29 a snapshot's shows what was written
    since), and StorageError for a write."""

    def __init__(self, engine: Engine) -> None:
        self.__dict__.update(engine.__dict__)
        self._families = [cast(Any, _Frozen(one.snapshot())) for one in engine._families]

    def let_go(self) -> None:
        """Of the rows, which keep the folder open, whoever may still have this."""
        self._families.clear()

    def _iterate(self, *arguments: Any) -> Iterator[Any]:
        raise TooLargeError

    def write_batch(self, build: Callable[[], WriteBatch], *, may_wait: bool = True) -> None:
        raise StorageError("what only reads has written")


class _Frozen:
    """A column family as it was."""

    __slots__ = ("_snapshot",)

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def get(self, key: bytes | list[bytes]) -> Any:
        if isinstance(key, list):
            return list(map(self.get, key))
        try:
            return self._snapshot[key]
        except Exception as error:
            if str(error) == "key not found":
                return None
            raise


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
