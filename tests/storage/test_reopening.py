"""A folder that takes no more writes is opened anew, once there is room and nobody uses it."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tendis_py.errors import StorageError, WriteFailedError
from tendis_py.storage.engine import Engine
from tendis_py.storage.families import META
from tests.support.resp import SECONDS
from tests.support.store import Store

NO_LIMIT = resource.RLIM_INFINITY


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow beyond some bytes. Not around the end of a test: pytest writes to a file
    then, if its output goes to one."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, NO_LIMIT))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Engine]:
    """An engine with one row, whose log could not take another."""
    engine = Engine(tmp_path / "data")
    engine.write([(META, b"a", b"1" * 3000)])
    try:
        with no_room(), pytest.raises(WriteFailedError, match="File too large") as failure:
            engine.write([(META, b"b", b"2" * 3000)])
        assert failure.value.reason == "File too large"
        yield engine
    finally:
        engine.close()


def rows(engine: Engine) -> list[bytes]:
    return list(engine.keys(META, b"", None))


def reopened(engine: Engine) -> None:
    engine.prepare_reopening()
    assert engine.reopen()
    engine.write([(META, b"c", b"3")])
    engine.sync()
    assert rows(engine) == [b"a", b"c"]


def test_it_goes_on_where_it_was(broken: Engine) -> None:
    with pytest.raises(WriteFailedError):
        broken.write([(META, b"b", b"")])
    reopened(broken)


def test_no_room_is_said_before_anything_is_done(broken: Engine) -> None:
    with no_room(), pytest.raises(StorageError, match="File too large"):
        broken.prepare_reopening()
    assert rows(broken) == [b"a"]
    assert not [path for path in broken.path.iterdir() if path.name.startswith("tendis")]


def test_a_folder_that_can_only_be_read_is_read_until_it_can_be_written(broken: Engine) -> None:
    with no_room():
        with pytest.raises(StorageError, match="File too large"):
            broken.reopen()
        assert rows(broken) == [b"a"]
        with pytest.raises(WriteFailedError):
            broken.write([(META, b"b", b"")])
    reopened(broken)


def test_what_is_not_in_the_log_is_not_given_up(broken: Engine) -> None:
    """As after an fsync that has failed: memory has what the disk has not."""
    (log,) = broken.path.glob("*.log")
    with log.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(StorageError, match="1 changes before the last"):
        broken.prepare_reopening()
    assert rows(broken) == [b"a"]


def test_users_without_a_claim_are_not_disturbed(broken: Engine) -> None:
    with broken.kept_open, broken.kept_open:
        found: list[bool] = []
        other = threading.Thread(target=lambda: found.append(broken.reopen()))
        other.start()
        other.join(SECONDS)
        assert found == [False]
        assert rows(broken) == [b"a"]
    reopened(broken)


def test_a_view_that_is_over_does_not_keep_it_open(store: Store) -> None:
    with store.keyspace.view() as view:
        pass
    assert store.keyspace.reload()
    assert view.engine is not store.engine
