from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, redis_process, running
from tests.types.conftest import db, store

__all__ = ["db", "store"]


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawClient]:
    """The real server, which looks at payloads as closely as it can."""
    folder: Path = tmp_path_factory.mktemp("sanitizing")
    server: ServerProcess = redis_process(folder, "--sanitize-dump-payload", "yes")
    with running(server), server.client() as client:
        yield client
