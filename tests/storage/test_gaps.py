"""Iterations over ranges in which much was deleted, before RocksDB has compacted it away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import TooLargeError
from tendis_py.storage import gaps
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META
from tests.support.store import Store

LIMIT = 16


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small gaps are gaps."""
    monkeypatch.setattr(gaps, "MOST_SKIPPED", LIMIT)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "data")
    yield engine
    engine.close()


def delete(engine: Engine, keys: list[bytes]) -> None:
    engine.write((META, key, b"v") for key in keys)
    engine.write((META, key, None) for key in keys)


def keep(engine: Engine, keys: list[bytes]) -> None:
    engine.write((META, key, key) for key in keys)


NUMBERED = [b"t:%d" % number for number in range(1000)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("upper", [b"z", None])
@pytest.mark.parametrize(
    "kept", [[], [b"a"], [b"x"], [b"a", b"t:5", b"t:50", b"x"], [b"t:9", b"t:99"], [b"t:9990"]]
)
def test_an_iteration_finds_what_is_beyond_gaps(
    engine: Engine, kept: list[bytes], upper: bytes | None, reverse: bool
) -> None:
    delete(engine, NUMBERED)
    keep(engine, kept)
    expected = sorted(kept, reverse=reverse)
    assert list(engine.keys(META, b"", upper, reverse=reverse)) == expected
    rows = engine.items(META, b"", upper, reverse=reverse)
    assert list(rows) == [(key, key) for key in expected]


KEYS = st.lists(
    st.binary(max_size=3) | st.binary(max_size=2).map(lambda tail: b"long common part" + tail),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    gone=st.lists(st.tuples(st.binary(max_size=12), st.integers(0, 250)), max_size=4),
    kept=KEYS,
    bounds=st.tuples(st.binary(max_size=4), st.none() | st.binary(min_size=1, max_size=13)),
)
def test_any_keys_in_any_bounds(
    tmp_path_factory: pytest.TempPathFactory,
    gone: list[tuple[bytes, int]],
    kept: list[bytes],
    bounds: tuple[bytes, bytes | None],
) -> None:
    lower, upper = bounds
    engine = Engine(tmp_path_factory.mktemp("data") / "data")
    try:
        for prefix, first in gone:
            delete(engine, [prefix + bytes([first, low]) for low in range(0, 256, 3)])
        keep(engine, kept)
        expected = sorted({key for key in kept if lower <= key and (upper is None or key < upper)})
        assert list(engine.keys(META, lower, upper)) == expected
        assert list(engine.keys(META, lower, upper, reverse=True)) == expected[::-1]
    finally:
        engine.close()


@pytest.mark.parametrize("reverse", [False, True])
def test_no_later_write_is_seen_but_beyond_a_gap(engine: Engine, reverse: bool) -> None:
    keep(engine, [b"a", b"b", b"y", b"z"])
    delete(engine, NUMBERED)
    keys = engine.keys(META, b"", None, reverse=reverse)
    first = next(keys)
    engine.write([(META, key, None) for key in (b"b", b"y")])
    engine.write([(META, key, b"") for key in (b"a0", b"t:5", b"yy")])
    found = [first, *keys]
    near, far = ({b"a", b"b"}, {b"yy", b"z"}) if not reverse else ({b"y", b"z"}, {b"a", b"a0"})
    assert set(found) == near | far | {b"t:5"}
    assert found == sorted(found, reverse=reverse)


def test_a_gap_is_compacted_away(engine: Engine) -> None:
    keep(engine, [b"a", b"x"])
    delete(engine, NUMBERED)
    assert list(engine.keys(META, b"", None)) == [b"a", b"x"]
    assert list(engine.gaps) == [(META, b"a\0", b"x")]
    engine.compact_gaps()
    assert not engine.gaps
    assert list(engine.keys(META, b"", None)) == [b"a", b"x"]
    assert list(engine.keys(META, b"", None, reverse=True)) == [b"x", b"a"]
    assert not engine.gaps


def test_few_deleted_rows_are_no_gap(engine: Engine) -> None:
    keep(engine, [b"a", b"x"])
    delete(engine, NUMBERED[: LIMIT // 2])
    assert list(engine.keys(META, b"", None)) == [b"a", b"x"]
    assert not engine.gaps


def test_who_may_not_wait_is_told_of_a_gap(engine: Engine) -> None:
    def refuse() -> None:
        raise TooLargeError

    keep(engine, [b"a", b"x"])
    delete(engine, NUMBERED)
    keys = engine.keys(META, b"", None, on_gap=refuse)
    assert next(keys) == b"a"
    with pytest.raises(TooLargeError):
        next(keys)


def test_a_command_on_the_fast_lane_goes_to_the_slow_one(store: Store) -> None:
    for number in range(1000):
        store.put(b"%d" % number)
    store.put(b"z")
    store.commit()
    for number in range(1000):
        store.delete(b"%d" % number)
    store.commit()
    store.tx.fast_rows = 100
    with pytest.raises(TooLargeError):
        store.db.page(b"", b"", 10)
    store.tx.fast_rows = 0
    assert store.db.page(b"", b"", 10) == ([b"z"], None)
