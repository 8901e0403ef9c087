"""Damaged blocks: whoever meets one is told so, and gets nothing that looks whole and is not."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from tendis_py.errors import StorageError, UnreadableError
from tendis_py.storage import gaps
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import COLUMN_FAMILIES, META, ROWS
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.unreadable import Unreadable
from tests.support.damage import damage, data_file, data_size, flip

NUMBER = 600
KEYS = [b"k%04d" % number for number in range(NUMBER)]
ROWS_OF = {key: (key * 30)[: 100 + number % 50] for number, key in enumerate(KEYS)}
"""Some 20 blocks."""
REFUSAL = "Can't open data folder"
FAMILIES = range(len(COLUMN_FAMILIES))


def fill(folder: Path, family: int, *, compacted: bool = False) -> None:
    engine = Engine(folder, options={"compression_type": "none"})
    engine.write((family, key, value) for key, value in ROWS_OF.items())
    engine.flush()
    if compacted:
        engine.compact(family, None, None)
    engine.close()


def look(engine: Engine, family: int) -> tuple[int, int]:
    """Iterate over many ranges, each of which must be whole or fail: how many did which."""
    whole = failed = 0
    for first in range(0, NUMBER, 7):
        for number in (0, 1, 5, 100, NUMBER):
            expected = KEYS[first : first + number]
            lower, upper = KEYS[first] if number else KEYS[first] + b"a", None
            if number == 0:
                upper = KEYS[first] + b"b"
            elif first + number < NUMBER:
                upper = KEYS[first + number]
            for reverse in (False, True):
                wanted = expected[::-1] if reverse else expected
                found: list[bytes] = []
                rows: list[tuple[bytes, bytes]] = []
                try:
                    found.extend(engine.keys(family, lower, upper, reverse=reverse))
                    rows.extend(engine.items(family, lower, upper, reverse=reverse))
                except UnreadableError:
                    failed += 1
                else:
                    assert found == wanted
                    assert rows == [(key, ROWS_OF[key]) for key in wanted]
                    whole += 1
    return whole, failed


@pytest.mark.parametrize("compacted", [False, True], ids=["level 0", "compacted"])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_iteration_is_whole_or_fails(
    tmp_path: Path, family: int, share: float, compacted: bool
) -> None:
    fill(tmp_path, family, compacted=compacted)
    damage(tmp_path, COLUMN_FAMILIES[family], share)
    engine = Engine(tmp_path)
    whole, failed = look(engine, family)
    assert whole
    assert failed
    engine.close()


def test_an_iteration_over_gaps_is_whole_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damage may be beyond a gap, where the way on is sought otherwise."""
    monkeypatch.setattr(gaps, "MOST_SKIPPED", 16)
    fill(tmp_path, META)
    engine = Engine(tmp_path)
    engine.write((META, key, None) for key in KEYS[100:500])
    engine.close()
    monkeypatch.setattr(f"{__name__}.KEYS", KEYS[:100] + KEYS[500:])
    monkeypatch.setattr(f"{__name__}.NUMBER", len(KEYS))
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        path = damage(tmp_path, "meta", share)
        engine = Engine(tmp_path)
        whole, failed = look(engine, META)
        assert whole
        assert failed
        engine.close()
        flip(path, int((data_size(path) - 8) * share))


def test_damage_under_what_is_newer(tmp_path: Path) -> None:
    """A merge ends as a whole where one of its parts does."""
    fill(tmp_path, META)
    damage(tmp_path, "meta")
    engine = Engine(tmp_path)
    engine.write((META, key, ROWS_OF[key]) for key in KEYS[::2])
    engine.flush()
    engine.write((META, key, ROWS_OF[key]) for key in KEYS[::3])
    whole, failed = look(engine, META)
    assert whole
    assert failed
    engine.close()


def test_rows_are_right_or_fail(tmp_path: Path) -> None:
    fill(tmp_path, ROWS)
    damage(tmp_path, "rows")
    engine = Engine(tmp_path)
    unreadable = []
    for key in KEYS:
        try:
            assert engine.get(ROWS, key) == ROWS_OF[key]
        except UnreadableError:
            unreadable.append(key)
    assert 10 < len(unreadable) < 60
    with pytest.raises(UnreadableError):
        engine.get_many(ROWS, [KEYS[0], unreadable[0], KEYS[-1]])
    readable = [key for key in KEYS if key not in unreadable]
    assert engine.get_many(ROWS, readable) == [ROWS_OF[key] for key in readable]
    engine.close()


@pytest.mark.parametrize("compacted", [False, True], ids=["level 0", "compacted"])
def test_damage_anywhere_in_a_file(tmp_path: Path, compacted: bool) -> None:
    """Past its rows, a file has the index and the filter, in pieces and whole, and what they are:
    either it is not opened, or it is right, or it fails."""
    fill(tmp_path, META, compacted=compacted)
    path = data_file(tmp_path, "meta")
    outcomes = set()
    for at in range(data_size(path), path.stat().st_size - 8, 20):
        flip(path, at)
        try:
            engine = Engine(tmp_path)
        except StorageError as error:
            outcomes.add(str(error)[: len(REFUSAL)])
        else:
            _, failed = look_a_little(engine)
            outcomes.add("failed" if failed else "right")
            engine.close()
        flip(path, at)
    assert {REFUSAL, "right"} <= outcomes <= {REFUSAL, "right", "failed"}
    engine = Engine(tmp_path)
    assert look(engine, META)[1] == 0, "it is whole again"
    engine.close()


def look_a_little(engine: Engine) -> tuple[int, int]:
    whole = failed = 0
    for first in range(0, NUMBER, 50):
        for reverse in (False, True):
            wanted = KEYS[first:][::-1] if reverse else KEYS[first:]
            try:
                assert list(engine.keys(META, KEYS[first], None, reverse=reverse)) == wanted
                assert engine.get(META, KEYS[first]) == ROWS_OF[KEYS[first]]
            except UnreadableError:
                failed += 1
            else:
                whole += 1
    return whole, failed


def test_settings_are_whole_or_fail(tmp_path: Path) -> None:
    """A keyspace that does not find its databases would make new ones."""
    engine = Engine(tmp_path)
    keyspace = Keyspace(engine, databases=1000)
    namespaces = keyspace.namespaces
    engine.flush()
    engine.close()
    path = data_file(tmp_path, "default")
    failures = 0
    for at in range(0, data_size(path), 500):
        flip(path, at)
        try:
            engine = Engine(tmp_path)
        except StorageError:
            failures += 1
        else:
            try:
                assert Keyspace(engine, databases=1000).namespaces == namespaces
            except UnreadableError:
                failures += 1
            engine.close()
        flip(path, at)
    assert failures


def errors_of(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelno >= logging.ERROR]


def test_it_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, META)
    path = damage(tmp_path, "meta", 0.3)
    flip(path, data_size(path) // 2)
    engine = Engine(tmp_path)
    texts = set()
    for key in KEYS:
        try:
            engine.get(META, key)
        except UnreadableError as error:
            texts.add(str(error))
    with pytest.raises(UnreadableError):
        list(engine.keys(META, b"", None))
    engine.close()
    assert len(texts) == 2, "two blocks"
    for text in texts:
        assert text.startswith("Corruption: block checksum mismatch")
        assert f" in {path.name} offset " in text
        assert str(tmp_path) not in text
    (line,) = errors_of(caplog)
    assert path.name in line


@pytest.mark.parametrize("folder", ["/my data/x", "x", "./y"])
def test_words_without_paths(folder: str) -> None:
    path = Path(folder)
    unreadable = Unreadable(path)
    for raw, text in {
        f"IO error: While pread offset 1 len 2: {path}/000012.sst: Input/output error": (
            "IO error: While pread offset 1 len 2: 000012.sst: Input/output error"
        ),
        f"Corruption: mismatch, type = 4  in {path}/000012.sst offset 7 size 8": (
            "Corruption: mismatch, type = 4 in 000012.sst offset 7 size 8"
        ),
        "Corruption: truncated": "Corruption: truncated",
    }.items():
        assert str(unreadable.note(Exception(raw))[0]) == text


def test_what_is_damaged_is_not_compacted(tmp_path: Path) -> None:
    """A compaction that met it would have RocksDB refuse all writes."""
    fill(tmp_path, META)
    damage(tmp_path, "meta")
    engine = Engine(tmp_path)
    with pytest.raises(UnreadableError):
        list(engine.keys(META, b"", None))
    for turn in range(12):  # RocksDB would begin to compact at 4 files
        engine.write((META, key, b"%d" % turn) for key in KEYS[::50])
        engine.flush()
    engine.gaps[META, KEYS[0], KEYS[-1]] = None
    engine.compact_gaps()
    engine.compact(META, KEYS[0], KEYS[-1])
    engine.write([(META, b"after", b"all")])
    assert engine.get(META, b"after") == b"all"
    assert engine.get(META, KEYS[50]) == b"11"
    engine.close()


def test_a_compaction_that_meets_it_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """RocksDB takes no more writes then; reads go on."""
    fill(tmp_path, META)
    path = damage(tmp_path, "meta")
    engine = Engine(tmp_path)
    engine.write([(META, KEYS[300], b"new")])
    engine.compact(META, None, None)
    for _ in range(3):
        with pytest.raises(StorageError, match=r"write failed: Corruption: .* in 0") as caught:
            engine.write([(ROWS, b"a", b"1")])
    assert str(tmp_path) not in str(caught.value)
    assert engine.get(META, KEYS[300]) == b"new"
    assert engine.get(META, KEYS[0]) == ROWS_OF[KEYS[0]]
    (line,) = errors_of(caplog)
    assert path.name in line
    with contextlib.suppress(Exception):  # it tells once more
        engine.close()
