from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import ServerProcess, redis_process, running, tendis_process


@pytest.fixture(scope="module")
def servers(
    thresholds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """tendis-py and the real server with the module's ``thresholds``, which it parametrizes."""
    with (
        running(tendis_process(tmp_path_factory.mktemp("data"), *thresholds)) as tendis,
        running(redis_process(tmp_path_factory.mktemp("redis"), *thresholds)) as redis_server,
    ):
        yield tendis, redis_server
