"""Celery: a worker in a thread, results and chords in the same server."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.contrib.testing.worker import start_worker
from celery.exceptions import TaskRevokedError
from kombu import pools

from tests.support.servers import HOST, ServerProcess, running, tendis_process, wait_until

SECONDS = 20.0

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One of its own: no others see connections that it has not closed yet."""
    with running(tendis_process(tmp_path_factory.mktemp("celery"))) as found:
        yield found


@pytest.fixture
def app(server: ServerProcess) -> Iterator[Any]:
    url = f"redis://{HOST}:{server.port}/0"
    celery = Celery("tests", broker=url, backend=url, set_as_current=False)
    celery.conf.update(broker_connection_retry_on_startup=True, result_expires=60)

    @celery.task(name="add", shared=False)
    def add(one: int, other: int) -> int:
        return one + other

    @celery.task(name="total", shared=False)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @celery.task(name="stubborn", shared=False, bind=True, max_retries=3)
    def stubborn(self: Any) -> int:
        if self.request.retries < 2:
            raise self.retry(countdown=0)
        return int(self.request.retries)

    @celery.task(name="broken", shared=False)
    def broken() -> None:
        raise ValueError("it is broken")

    yield celery
    celery.close()
    del celery
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()  # it leaves connections to that


@pytest.fixture
def worker(app: Any) -> Iterator[Any]:
    with start_worker(app, perform_ping_check=False, shutdown_timeout=SECONDS) as found:
        yield found
    app.backend.result_consumer.stop()
    app.backend.client.connection_pool.disconnect()
    pools.reset()


@pytest.mark.usefixtures("worker")
def test_tasks_and_their_results(app: Any) -> None:
    results = [app.tasks["add"].delay(number, 1) for number in range(20)]
    assert [result.get(SECONDS) for result in results] == list(range(1, 21))
    assert app.tasks["stubborn"].delay().get(SECONDS) == 2
    with pytest.raises(ValueError, match="it is broken"):
        app.tasks["broken"].delay().get(SECONDS)
    result = app.tasks["add"].apply_async((1, 2), countdown=0.05)
    assert result.get(SECONDS) == 3
    assert result.state == "SUCCESS"
    result.forget()


@pytest.mark.usefixtures("worker")
def test_chains_groups_and_chords(app: Any) -> None:
    add, total = app.tasks["add"], app.tasks["total"]
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(SECONDS) == 10
    assert group(add.s(number, number) for number in range(10))().get(SECONDS) == [
        number * 2 for number in range(10)
    ]
    assert chord([add.s(number, 1) for number in range(20)])(total.s()).get(SECONDS) == 210
    failing = chord([add.s(1, 1), app.tasks["broken"].s()])(total.s())
    with pytest.raises(Exception, match="it is broken"):
        failing.get(SECONDS)


def test_what_is_revoked_is_not_done(app: Any, worker: Any) -> None:
    result = app.tasks["add"].apply_async((1, 2), countdown=3600)
    wait_until(lambda: list(worker.timer.queue), "it waits for its time", SECONDS)
    result.revoke()
    with pytest.raises(TaskRevokedError):
        result.get(SECONDS)
