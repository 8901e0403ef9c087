from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.storage.database import Database
from tests.support.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.engine.close()


@pytest.fixture
def db(store: Store) -> Database:
    return store.db
