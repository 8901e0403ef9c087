"""Servers that tests share, hypothesis profiles, and what runs only when asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tendis_py.services.clock import ManualClock
from tests.support.embedded import MovedTime, config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import (
    MODELS,
    ServerProcess,
    redis_process,
    running,
    tendis_process,
)

_SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)
settings.register_profile(
    "default", deadline=None, max_examples=150, suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile(
    "full", deadline=None, max_examples=2000, suppress_health_check=_SLOW_IS_FINE
)
settings.load_profile("default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave soak tests out unless ``-m`` speaks of them."""
    if "soak" in config.option.markexpr:
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    if soak:
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The real redis-server, which decides what is right."""
    with running(redis_process(tmp_path_factory.mktemp("redis"))) as server:
        yield server


@pytest.fixture
def redis_client(redis_server: ServerProcess) -> Iterator[RawClient]:
    """A RESP2 connection to the real server."""
    with redis_server.client() as client:
        yield client


@pytest.fixture(scope="session", params=MODELS)
def tendis(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """tendis-py in each threading model in turn. Tests leave it as they found it."""
    folder = tmp_path_factory.mktemp(f"tendis-{request.param}")
    with running(tendis_process(folder, model=request.param)) as server:
        yield server


@pytest.fixture(scope="session", params=MODELS)
def tendis_in_moved_time(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MovedTime]:
    """As ``tendis``, in this process, and with a clock that stands still unless tests move it."""
    folder = tmp_path_factory.mktemp(f"moved-{request.param}")
    config = config_for(folder, threading_model=request.param, enable_debug_command="yes")
    clock = ManualClock()
    with embedded(config, clock) as server:
        yield MovedTime(server, clock)


@pytest.fixture(scope="session")
def tendis_default(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """tendis-py in the default threading model. Tests leave it as they found it."""
    with running(tendis_process(tmp_path_factory.mktemp("tendis"))) as server:
        yield server
