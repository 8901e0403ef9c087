from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

import pytest
from rocksdict import Options, Rdict, WriteBatch

from tendis_py.errors import StorageError, WriteStalledError
from tendis_py.storage import engine as engine_module
from tendis_py.storage.engine import FORMAT_KEY, Engine
from tendis_py.storage.families import META, ROWS, SCORE

MB = 1 << 20
LETTERS = [bytes([code]) for code in b"abcdef"]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "data")
    yield engine
    engine.close()


@pytest.fixture
def letters(engine: Engine) -> Engine:
    engine.write((META, letter, letter.upper()) for letter in LETTERS)
    engine.write([(SCORE, b"c", b"another family's")])
    return engine


def test_what_is_written_can_be_read(engine: Engine) -> None:
    engine.write([(META, b"k", b"v"), (ROWS, b"k", b"w")], [(b"setting", b"s")])
    assert engine.get(META, b"k") == b"v"
    assert engine.get_many(ROWS, [b"k", b"none"]) == [b"w", None]
    assert engine.get_setting(b"setting") == b"s"
    assert list(engine.settings(b"sett")) == [(b"setting", b"s")]
    engine.write([(META, b"k", None)])
    assert engine.get(META, b"k") is None


@pytest.mark.parametrize(
    ("lower", "upper", "found"),
    [
        (b"", None, b"abcdef"),
        (b"c", None, b"cdef"),
        (b"", b"c", b"ab"),
        (b"b", b"e", b"bcd"),
        (b"bb", b"dd", b"cd"),
        (b"c", b"c", b""),
        (b"e", b"b", b""),
        (b"g", None, b""),
        (b"", b"a", b""),
    ],
)
def test_an_iteration_keeps_to_its_bounds(
    letters: Engine, lower: bytes, upper: bytes | None, found: bytes
) -> None:
    assert b"".join(letters.keys(META, lower, upper)) == found
    assert b"".join(letters.keys(META, lower, upper, reverse=True)) == found[::-1]
    items = [(bytes([code]), bytes([code]).upper()) for code in found]
    assert list(letters.items(META, lower, upper)) == items
    assert list(letters.items(META, lower, upper, reverse=True)) == items[::-1]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_upper_bound_lives_as_long_as_the_iteration(engine: Engine, reverse: bool) -> None:
    """rocksdict keeps no reference to the bytes that RocksDB compares keys with."""
    engine.write((META, b"\0\0\0\1%03d" % number, b"") for number in range(100))
    for length in range(300):
        keys = engine.keys(META, b"\0\0\0\1", b"\0\0\0\2" + b"\0" * (length % 30), reverse=reverse)
        next(keys)
        garbage = [b"\0" * size for size in range(1, 60)]
        assert len(list(keys)) == 99
        assert garbage


def test_an_iteration_does_not_see_later_writes(letters: Engine) -> None:
    keys = letters.keys(META, b"", None)
    assert next(keys) == b"a"
    letters.write([(META, b"b", None), (META, b"g", b"")])
    assert b"".join(keys) == b"bcdef"


def test_ranges_are_deleted_before_changes_apply(letters: Engine) -> None:
    letters.write([(META, b"c", b"new")], ranges=[(META, b"b", b"e")])
    assert list(letters.items(META, b"", None)) == [
        (b"a", b"A"), (b"c", b"new"), (b"e", b"E"), (b"f", b"F"),
    ]  # fmt: skip
    assert letters.get(SCORE, b"c") is not None


def test_a_write_survives_a_crash(tmp_path: Path) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from tendis_py.storage.engine import Engine\n"
        "from tendis_py.storage.families import META\n"
        "Engine(pathlib.Path(sys.argv[1])).write([(META, b'k', b'v')])\n"
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    engine = Engine(tmp_path)
    assert engine.get(META, b"k") == b"v"
    engine.close()


def test_sync_is_owed_after_a_write(engine: Engine) -> None:
    engine.sync()
    assert not engine.unsynced
    engine.write([(META, b"k", b"v")])
    assert engine.unsynced
    engine.sync()
    assert not engine.unsynced


def test_whether_an_fsync_was_under_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not engine.has_synced(perf_counter_ns())
    before = perf_counter_ns()
    engine.sync()
    assert engine.has_synced(before)
    assert not engine.has_synced(perf_counter_ns())
    meanwhile: list[bool] = []

    class Database:
        def flush_wal(self, sync: bool) -> None:
            meanwhile.append(engine.has_synced(perf_counter_ns()))

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_db", Database())
        engine.sync()
    assert meanwhile == [True]


def test_flush_and_compact_keep_the_data(letters: Engine) -> None:
    letters.write((), ranges=[(META, b"b", b"f")])
    letters.flush()
    letters.compact(META, b"b", b"f")
    assert b"".join(letters.keys(META, b"", None)) == b"af"
    assert letters.number("live-sst-files-size", META) > 0


def test_a_flush_right_after_many_writes_ends(tmp_path: Path) -> None:
    """RocksDB forgets such a flush when it begins one of its own: 4 MB are memtables enough."""
    engine = Engine(tmp_path)
    value = random.Random(1).randbytes(4000)
    ended = []

    def write_and_flush() -> None:
        for number in range(20):
            for part in range(130 + number):
                engine.write([(META, b"%d" % (part * 8 + at), value) for at in range(8)])
            engine.flush()
            ended.append(engine.number("num-immutable-mem-table"))

    writer = threading.Thread(target=write_and_flush, daemon=True)
    writer.start()
    writer.join(120)
    assert ended == [0] * 20
    engine.close()


def test_the_block_cache_shrinks_to_its_limit(tmp_path: Path) -> None:
    engine = Engine(tmp_path, block_cache_bytes=64 * MB)
    value = random.Random(1).randbytes(1000)
    engine.write([(META, b"%d" % number, value) for number in range(2000)])
    engine.flush()
    assert len(list(engine.items(META, b"", None))) == 2000
    assert engine.block_cache_usage() > MB
    engine.resize_block_cache(MB)
    assert engine.block_cache_usage() <= MB
    engine.resize_block_cache(0)
    assert engine.get(META, b"7") == value
    engine.close()


def test_rows_of_many_files_are_found_with_a_small_block_cache(tmp_path: Path) -> None:
    """Filters and indexes come and go by pieces: 20,000 rows need 40 KB of them."""
    engine = Engine(tmp_path, block_cache_bytes=64 * 1024)
    for part in range(4):
        rows = range(part, 20_000, 4)
        engine.write([(META, b"%08d" % number, b"v%d" % number) for number in rows])
        engine.flush()
    engine.close()
    again = Engine(tmp_path, block_cache_bytes=64 * 1024)
    keys = [b"%08d" % number for number in range(0, 25_000, 50)]
    expected = [b"v%d" % number if number < 20_000 else None for number in range(0, 25_000, 50)]
    assert [again.get(META, key) for key in keys] == expected
    assert again.get_many(META, keys) == expected
    assert [key for key, _ in again.items(META, b"00019990", None)] == [
        b"%08d" % number for number in range(19_990, 20_000)
    ]
    again.close()


# Stalls


class StallingDb:
    """A database that refuses the first writes, as RocksDB does with ``no_slowdown``."""

    def __init__(self, refusals: int, reason: str = "Result incomplete: Write stall") -> None:
        self.refusals = refusals
        self.reason = reason

    def write(self, batch: object, options: object) -> None:
        if self.refusals:
            self.refusals -= 1
            raise Exception(self.reason)


@pytest.fixture
def stalled(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_db", StallingDb(3))
        patch.setattr(engine_module, "_STALL_POLL_SECONDS", 0.0)
        yield engine


def test_a_write_waits_while_rocksdb_stalls(stalled: Engine) -> None:
    stalled.write([(META, b"k", b"v")])
    assert stalled.stalls == 1
    assert stalled.stalled_seconds > 0
    assert stalled.unsynced


def test_a_write_that_may_not_wait_says_so(stalled: Engine) -> None:
    def build() -> WriteBatch:
        return stalled.new_batch()[0]

    for _ in range(3):
        with pytest.raises(WriteStalledError):
            stalled.write_batch(build, may_wait=False)
    stalled.write_batch(build, may_wait=False)
    assert stalled.stalls == 0


def test_another_failure_is_an_error(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_db", StallingDb(1, "IO error: No space left on device"))
        with pytest.raises(StorageError, match="write failed: IO error: No space left"):
            engine.write([(META, b"k", b"v")])


# Refusals


def refusal(path: Path, **arguments: object) -> str:
    with pytest.raises(StorageError) as caught:
        Engine(path, **arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_it_reopens_what_it_made(tmp_path: Path) -> None:
    Engine(tmp_path / "data").close()
    Engine(tmp_path / "data").close()


def test_it_refuses_another_format(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.write((), [(FORMAT_KEY, b"tendis-py 2")])
    engine.close()
    assert "has data format b'tendis-py 2', this version reads b'tendis-py 1'" in refusal(tmp_path)
    assert "nothing is migrated" in refusal(tmp_path)


def test_it_refuses_a_folder_without_a_format(tmp_path: Path) -> None:
    database = Rdict(str(tmp_path), Options(raw_mode=True))
    database.put(b"k", b"v")
    database.close()
    assert "has data format None" in refusal(tmp_path)


def test_it_refuses_the_database_of_another_program(tmp_path: Path) -> None:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    Rdict(str(tmp_path), options, column_families={"theirs": options}).close()
    before = {entry.name for entry in tmp_path.iterdir()}
    assert "holds a RocksDB database of another program (column families default, theirs)" in (
        refusal(tmp_path)
    )
    assert {entry.name for entry in tmp_path.iterdir()} == before


def test_it_refuses_a_folder_in_use(engine: Engine) -> None:
    script = (
        "import sys, pathlib\n"
        "from tendis_py.storage.engine import Engine\n"
        "from tendis_py.errors import StorageError\n"
        "try: Engine(pathlib.Path(sys.argv[1]))\n"
        "except StorageError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(engine.path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output == f"'{engine.path}' is in use by another process (its LOCK file is held)\n"


def test_it_refuses_a_folder_it_can_not_make(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Can't use data folder" in refusal(tmp_path / "file" / "data")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("no_such_option", "1", "rocksdb.no_such_option: rocksdict has no such option"),
        ("write_buffer_size", "many", "'many' is not a number or yes/no"),
        ("write_buffer_size", "4q", "'4q' is not a number or yes/no"),
        ("compression_type", "brotli", "unknown compression 'brotli'"),
        ("write_buffer_size", "1.5", "rocksdb.write_buffer_size: "),
    ],
)
def test_it_refuses_options_that_rocksdb_does_not_have(
    tmp_path: Path, name: str, value: str, reason: str
) -> None:
    assert reason in refusal(tmp_path, options={name: value})


def test_it_takes_options_by_name(tmp_path: Path) -> None:
    options = {
        "write_buffer_size": "16mb",
        "max_background_jobs": "3",
        "compression_type": "zstd",
        "level_compaction_dynamic_level_bytes": "no",
        "memtable_prefix_bloom_ratio": "0.1",
    }
    Engine(tmp_path, options=options).close()
    stored = "".join(path.read_text() for path in tmp_path.glob("OPTIONS-*"))
    assert "write_buffer_size=16777216" in stored
    assert "compression=kZSTD" in stored


# What can be given up of memory


def test_blocks_are_dropped_a_part_at_a_time(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "data", block_cache_bytes=8 << 20)
    for first in range(0, 20_000, 1000):
        rows = range(first, first + 1000)
        engine.write([(META, b"%08d" % row, os.urandom(200)) for row in rows])
    engine.flush()
    assert len(list(engine.keys(META, b"", None, fill_cache=False))) == 20_000
    unused = engine.block_cache_usage()
    assert len(list(engine.keys(META, b"", None))) == 20_000
    full = engine.block_cache_usage()
    assert unused < 1 << 20 < full
    assert engine.drop_blocks(1 << 20)
    assert engine.block_cache_usage() < full - (1 << 19)
    while engine.drop_blocks(1 << 20):
        pass
    assert engine.block_cache_usage() < 1 << 19
    assert len(list(engine.keys(META, b"", None))) == 20_000
    assert engine.block_cache_usage() > 1 << 20
    engine.close()


def test_large_memtables_are_flushed(engine: Engine) -> None:
    engine.write([(META, b"%d" % number, b"v" * 1000) for number in range(300)])
    engine.write([(ROWS, b"small", b"v")])
    engine.flush_large(1 << 20)
    assert engine.number("live-sst-files-size") == 0
    engine.flush_large(100_000)
    assert engine.number("live-sst-files-size", META) > 0
    assert engine.number("live-sst-files-size", ROWS) == 0


def test_writes_are_seen(engine: Engine) -> None:
    before = engine.writes
    assert engine.get(META, b"k") is None
    assert engine.writes == before
    engine.write([(META, b"k", b"v")])
    assert engine.writes > before


@pytest.mark.parametrize(
    ("options", "limit"), [({}, 5 << 20), ({"db_write_buffer_size": "7mb"}, 7 << 20)]
)
def test_the_limit_of_memtables(tmp_path: Path, options: dict[str, str], limit: int) -> None:
    engine = Engine(tmp_path / "data", memtable_bytes=5 << 20, options=options)
    assert engine.memtable_limit == limit
    engine.close()
