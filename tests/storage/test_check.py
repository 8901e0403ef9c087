"""The offline check: silent about what is right, and each kind of damage is found and named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tendis_py.storage.check import (
    CANT_OPEN,
    CLEAN,
    FINDINGS,
    Stored,
    check_folder,
    data_folder,
)
from tendis_py.storage.codec import (
    FIELDS_DUE,
    Collection,
    CollectionRow,
    deadline_key,
    namespace_prefix,
    register,
    version_prefix,
)
from tendis_py.storage.engine import RowWrite
from tendis_py.storage.families import ENTRIES, EXPIRES, GARBAGE, META, ROWS, SCORE
from tendis_py.storage.keyspace import COUNT_SETTING, DATABASE_SETTING
from tendis_py.storage.libraries import LIBRARY_SETTING
from tests.support.damage import damage
from tests.support.servers import ROOT, running, tendis_process
from tests.support.store import NOW, Store

TEST_TYPE = 201
LATER = NOW + 1000


def unpack(raw: bytes, row: CollectionRow) -> None:
    """Its payload is the earliest deadline of its fields."""
    row.fields_due = int.from_bytes(raw, "big")


register(
    TEST_TYPE,
    Collection(("test",), lambda row: row.fields_due.to_bytes(8, "big"), unpack),
)


def inspect(row: CollectionRow, stored: Stored) -> Iterator[str]:
    """A type that keeps its elements in ROWS."""
    found = stored(ROWS).count()
    if found != row.count:
        yield f"it has {found} rows"


INSPECTORS = {TEST_TYPE: inspect}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Which ``check`` closes."""
    return Store(tmp_path / "data")


@pytest.fixture
def filled(store: Store) -> Store:
    """A bit of everything: databases, deadlines, large collections, garbage, a flushed database."""
    store.put(b"plain")
    store.put(b"brief", expire_at=LATER)
    put_large(store, b"large", 3)
    put_large(store, b"fields", 2, fields_due=LATER)
    put_large(store, b"gone", 4)
    store.put(b"other", database=1)
    put_large(store, b"flushed", 5, database=2)
    store.put(b"flushed too", expire_at=LATER, database=2)
    store.commit()
    store.delete(b"gone")
    store.commit()
    store.tx.flush_databases([2])
    store.commit()
    return store


def put_large(
    store: Store, key: bytes, count: int, *, fields_due: int = 0, database: int = 0
) -> None:
    version = store.keyspace.new_version()
    row = CollectionRow(TEST_TYPE, None, count, version=version, fields_due=fields_due)
    store.tx.database(database).put(key, row, None)
    for at in range(count):
        store.tx.put(ROWS, version_prefix(version) + b"%d" % at, b"")


def check(store: Store) -> tuple[int, list[str]]:
    """Exit code and lines."""
    store.engine.close()
    lines: list[str] = []
    return check_folder(store.folder, INSPECTORS, lines.append), lines


def version_of(store: Store, key: bytes) -> bytes:
    row = store.db.peek(key)
    assert row is not None
    return version_prefix(row.version)


def test_a_sound_folder(filled: Store) -> None:
    code, lines = check(filled)
    assert lines == [
        f"{filled.folder}: tendis-py 1",
        "database 0: 4 keys, 1 with a deadline; 2 large collections of 5 elements",
        "database 1: 1 keys, 0 with a deadline; 0 large collections of 0 elements",
        "flushed, not yet reclaimed: namespace 3, 2 keys",
        "deleted, not yet reclaimed: 1 large collections",
        "0 errors, 0 remarks",
    ]
    assert code == CLEAN


def test_an_empty_folder(store: Store) -> None:
    assert check(store) == (CLEAN, [f"{store.folder}: tendis-py 1", "0 errors, 0 remarks"])


def test_the_check_changes_nothing(filled: Store) -> None:
    keys = filled.meta()
    sound = check(filled)
    assert check_folder(filled.folder, INSPECTORS, lambda line: None) == CLEAN
    filled.open()
    assert filled.meta() == keys
    assert filled.keyspace.size(0).keys == 4
    assert check(filled) == sound


Damage = Callable[[Store], list[RowWrite]]


def meta_key(store: Store, key: bytes) -> bytes:
    return store.db.prefix + key


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            lambda store: [(META, meta_key(store, b"plain"), None)],
            "database 0 counts 4 keys and has 3",
        ),
        (
            lambda store: [(META, meta_key(store, b"new"), b"\x01" + bytes(10))],
            "database 0 counts 4 keys and has 5",
        ),
        (
            lambda store: [(META, meta_key(store, b"plain"), b"\x09" + bytes(10))],
            "database 0, key b'plain': can't be decoded: meta row of format 9",
        ),
        (
            lambda store: [(META, meta_key(store, b"plain"), b"\x01")],
            "database 0, key b'plain': can't be decoded",
        ),
        (
            lambda store: [(META, namespace_prefix(77) + b"lost", b"\x01" + bytes(10))],
            "namespace 77 has keys and belongs to no database",
        ),
        (
            lambda store: [(EXPIRES, deadline_key(LATER, meta_key(store, b"brief")), None)],
            f"database 0, key b'brief': its deadline {LATER} is not in the expiry index",
        ),
        (
            lambda store: [
                (EXPIRES, deadline_key(LATER, meta_key(store, b"fields"), FIELDS_DUE), None)
            ],
            f"database 0, key b'fields': its fields' deadline {LATER} is not in the expiry index",
        ),
        (
            lambda store: [(EXPIRES, deadline_key(LATER, meta_key(store, b"brief"), 9), b"")],
            "the expiry index has an entry of no kind",
        ),
        (
            lambda store: [(ROWS, version_of(store, b"large") + b"1", None)],
            "database 0, key b'large': it has 2 rows",
        ),
        (
            lambda store: [(GARBAGE, version_of(store, b"large"), b"")],
            "database 0, key b'large': its version 8000010000000001 is in the garbage",
        ),
        (
            lambda store: [(META, meta_key(store, b"twin"), raw_row(store, b"large"))],
            "version 8000010000000001 belongs to database 0, key b'large' and database 0, "
            "key b'twin'",
        ),
        (
            lambda store: [(META, meta_key(store, b"large"), None)],
            "version 8000010000000001 has 3 rows in rows, no key and is not in the garbage",
        ),
        (
            lambda store: [(SCORE, b"\xff" * 8 + b"x", b"")],
            "version ffffffffffffffff has 1 rows in score, no key and is not in the garbage",
        ),
        (
            lambda store: [(ENTRIES, b"\x80" + bytes(7), b"")],
            "version 8000000000000000 has 1 rows in stream, no key and is not in the garbage",
        ),
    ],
)
def test_damage_is_found(filled: Store, damage: Damage, expected: str) -> None:
    filled.engine.write(damage(filled))
    code, lines = check(filled)
    assert code == FINDINGS
    assert any(line.startswith(f"ERROR: {expected}") for line in lines), lines
    assert "0 errors" not in lines[-1]


def raw_row(store: Store, key: bytes) -> bytes:
    raw = store.engine.get(META, meta_key(store, key))
    assert raw is not None
    return raw


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        (
            COUNT_SETTING + namespace_prefix(1),
            bytes(7) + b"\x04" + bytes(7) + b"\x03",
            "database 0 counts 3 keys with a deadline and has 1",
        ),
        (
            DATABASE_SETTING + b"1",
            namespace_prefix(1),
            "databases 0 and 1 are one: namespace 1",
        ),
        (
            DATABASE_SETTING + b"1",
            namespace_prefix(3),
            "database 1 is of namespace 3, which was flushed",
        ),
        (
            LIBRARY_SETTING + b"mine",
            b"",
            "a library of functions can't be decoded: library b'mine': Unpack failed: incomplete "
            "input",
        ),
    ],
)
def test_wrong_settings_are_found(
    filled: Store, setting: bytes, value: bytes, expected: str
) -> None:
    filled.engine.write((), [(setting, value)])
    code, lines = check(filled)
    assert code == FINDINGS
    assert f"ERROR: {expected}" in lines


@pytest.mark.parametrize(
    ("deadline", "key"), [(LATER + 1, b"brief"), (LATER, b"plain"), (LATER, b"missing")]
)
def test_a_stale_deadline_is_a_remark(filled: Store, deadline: int, key: bytes) -> None:
    entry = deadline_key(deadline, meta_key(filled, key))
    filled.engine.write([(EXPIRES, entry, b"")])
    code, lines = check(filled)
    assert code == CLEAN
    assert lines[1] == (
        f"remark: database 0, key {key!r}: the expiry index has a stale deadline {deadline}"
    )
    assert lines[-1] == "0 errors, 1 remarks"


@pytest.mark.parametrize("family", ["meta", "default"])
def test_a_damaged_file_is_found(
    store: Store, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    for at in range(3000):
        store.put(b"%d" % at, b"value %d" % at)
    store.commit()
    store.engine.write([], [(b"database:%d" % at, namespace_prefix(at)) for at in range(3, 1000)])
    store.engine.flush()
    store.engine.close()
    damage(store.folder, family)
    lines: list[str] = []
    assert check_folder(store.folder, INSPECTORS, lines.append) == FINDINGS
    if family == "meta":
        assert lines[1].startswith("ERROR: meta can't be read to its end: Corruption")
        assert any(line.startswith("ERROR: the keys were checked only so far: ") for line in lines)
    else:
        assert lines[1].startswith("ERROR: the settings can't be read: Corruption")
    assert not caplog.records, "all is said already"


def test_many_findings_are_counted(store: Store) -> None:
    store.engine.write([(META, store.db.prefix + b"%d" % at, b"\x09") for at in range(250)])
    code, lines = check(store)
    assert code == FINDINGS
    assert sum(line.startswith("ERROR") for line in lines) == 100
    assert "and 151 more" in lines
    assert lines[-1] == "251 errors, 0 remarks"


def test_a_type_without_an_inspector_is_not_passed_over(filled: Store) -> None:
    filled.engine.close()
    lines: list[str] = []
    assert check_folder(filled.folder, {}, lines.append) == FINDINGS


# The command


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    lines: list[str] = []
    assert check_folder(tmp_path / "nowhere", INSPECTORS, lines.append) == CANT_OPEN
    assert lines == [f"'{tmp_path}/nowhere' is not a data folder"]
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_of_another_format(store: Store) -> None:
    store.engine.write((), [(b"format", b"tendis-py 99")])
    code, lines = check(store)
    assert code == CANT_OPEN
    assert "tendis-py 99" in lines[0]


def test_where_the_data_is(tmp_path: Path) -> None:
    (tmp_path / "tendis-data").mkdir()
    assert data_folder(tmp_path) == tmp_path / "tendis-data"
    assert data_folder(tmp_path / "tendis-data") == tmp_path / "tendis-data"


def run_check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tendis_py", "--check", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command(tmp_path: Path) -> None:
    server = tendis_process(tmp_path)
    with running(server), server.client() as client:
        client.command("SET", "key", "value", "EX", 1000)
        in_use = run_check(tmp_path)
        assert in_use.returncode == CANT_OPEN
        assert "in use by another process" in in_use.stdout
    done = run_check(tmp_path)
    assert done.returncode == CLEAN, done.stdout + done.stderr
    assert "database 0: 1 keys, 1 with a deadline" in done.stdout
