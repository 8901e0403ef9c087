"""RQ: jobs in lists, results in streams, its scripts; workers in this process, so that each does
what is there and ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from rq import Queue, Retry, SimpleWorker, get_current_job
from rq.exceptions import DuplicateJobError
from rq.registry import DeferredJobRegistry, FailedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler

from tests.support.servers import HOST, ServerProcess

Work = Callable[[], None]


def double(number: int) -> int:
    return number * 2


def fail() -> None:
    raise ValueError("it is broken")


def fail_once() -> str:
    job = get_current_job()
    assert job is not None
    if not job.meta.get("tried"):
        job.meta["tried"] = True
        job.save_meta()
        raise ValueError("not yet")
    return "at last"


@pytest.fixture
def connection(server: ServerProcess) -> Iterator[Any]:
    with redis.Redis(HOST, server.port) as client:
        yield client


@pytest.fixture
def work(connection: Any) -> Work:
    """Does all jobs that there are in "high" and then "low"."""

    def burst() -> None:
        queues = [Queue(name, connection=connection) for name in ("high", "low")]
        worker = SimpleWorker(queues, connection=connection)
        with contextlib.redirect_stderr(None):
            worker.work(burst=True, logging_level="CRITICAL")

    return burst


def test_jobs_are_done(connection: Any, work: Work) -> None:
    low, high = Queue("low", connection=connection), Queue("high", connection=connection)
    jobs = [low.enqueue(double, number) for number in range(5)]
    first = high.enqueue(double, 21, result_ttl=60)
    with connection.pipeline() as pipe:
        jobs += low.enqueue_many(
            [Queue.prepare_data(double, (number,)) for number in range(5, 8)], pipeline=pipe
        )
        pipe.execute()
    assert [low.count, high.count] == [8, 1]
    work()
    assert first.return_value() == 42
    assert [job.return_value() for job in jobs] == list(range(0, 16, 2))
    assert {job.get_status() for job in jobs} == {"finished"}
    first.refresh()
    jobs[0].refresh()
    assert first.ended_at <= jobs[0].started_at
    assert low.finished_job_registry.count == 8
    assert low.is_empty()


def test_jobs_that_fail(connection: Any, work: Work) -> None:
    queue = Queue("low", connection=connection)
    broken = queue.enqueue(fail)
    again = queue.enqueue(fail_once, retry=Retry(max=2))
    work()
    assert broken.get_status() == "failed"
    assert "it is broken" in broken.latest_result().exc_string
    assert again.return_value() == "at last"
    registry = FailedJobRegistry(queue=queue)
    assert registry.get_job_ids() == [broken.id]
    registry.requeue(broken)
    assert queue.job_ids == [broken.id]
    assert queue.empty() == 1
    assert queue.count == 0
    assert not connection.exists(broken.key)


def test_a_job_that_depends_on_others(connection: Any, work: Work) -> None:
    queue = Queue("low", connection=connection)
    first, second = queue.enqueue(double, 1), queue.enqueue(double, 2)
    last = queue.enqueue(double, 3, depends_on=[first, second])
    assert DeferredJobRegistry(queue=queue).get_job_ids() == [last.id]
    work()
    assert last.return_value() == 6


def test_a_job_is_queued_once(connection: Any, work: Work) -> None:
    queue = Queue("low", connection=connection)
    queue.enqueue(double, 1, job_id="same", unique=True)
    with pytest.raises(DuplicateJobError):
        queue.enqueue(double, 2, job_id="same", unique=True)
    work()
    assert queue.fetch_job("same").return_value() == 2


def test_scheduled_jobs(connection: Any, work: Work) -> None:
    queue = Queue("low", connection=connection)
    due = queue.enqueue_at(datetime.now(UTC) - timedelta(seconds=5), double, 1)
    later = queue.enqueue_in(timedelta(hours=1), double, 2)
    scheduler = RQScheduler([queue], connection=connection)
    assert scheduler.acquire_locks()
    assert not RQScheduler([queue], connection=connection).acquire_locks()
    scheduler.prepare_registries(["low"])
    scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()
    work()
    assert due.return_value() == 2
    assert ScheduledJobRegistry(queue=queue).get_job_ids() == [later.id]


def test_a_queue_is_emptied(connection: Any) -> None:
    queue = Queue("low", connection=connection)
    jobs = [queue.enqueue(double, number) for number in range(200)]
    jobs[7].cancel()
    jobs[8].delete()
    assert queue.empty() == 198
    assert not connection.exists(*[job.key for job in jobs[9:]])
    queue.delete()
    assert Queue.all(connection=connection) == []
