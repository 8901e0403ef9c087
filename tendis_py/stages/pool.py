"""The executor pool: threads that take from one queue. Knows no sockets and no commands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter_ns

from tendis_py.stages.execute import Executor
from tendis_py.stages.work import Batch, Job, Work, WorkQueue
from tendis_py.storage.pacing import drain

log = logging.getLogger(__name__)


class ExecutorPool:
    """Threads that take from one queue. ``rounds``: each takes everything queued as one round
    and answers only when all of it has run (redis-io's fan-in)."""

    def __init__(
        self, queue: WorkQueue, executors: list[Executor], *, rounds: bool = False
    ) -> None:
        self.queue = queue
        self.executors = executors
        self._loop = self._by_rounds if rounds else self._one_by_one
        for executor in executors:
            executor.again = queue.force
        self._threads = [
            threading.Thread(target=self._loop, args=(executor,), name=executor.times.name)
            for executor in executors
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is queued, then end the threads; blocks until then."""
        self.queue.close()
        for thread in self._threads:
            thread.join()

    def _one_by_one(self, executor: Executor) -> None:
        take, finished = self.queue.take, self.queue.finished
        while (work := take()) is not None:
            began = perf_counter_ns()
            is_done = _do(executor, work)
            finished()
            if is_done and isinstance(work, Batch):
                work.responses.post(work)
                drain(work.spent)
            executor.times.busy_ns += perf_counter_ns() - began
            del work  # with its replies, lest they stay until there is more to do

    def _by_rounds(self, executor: Executor) -> None:
        while self._do_round(executor, self.queue.take_all()):
            pass

    def _do_round(self, executor: Executor, round_: list[Work | None]) -> bool:
        """Whether there is another one to come."""
        began = perf_counter_ns()
        batches = [work for work in round_ if isinstance(work, Batch)]
        if batches:
            with _answering(batches):
                executor.execute_round(batches)
        for work in round_:
            if isinstance(work, Job):
                executor.do_job(work)
            if work is not None:
                self.queue.finished()
        for batch in batches:
            batch.responses.post(batch)
            drain(batch.spent)
        executor.times.busy_ns += perf_counter_ns() - began
        return round_[-1] is not None


def _do(executor: Executor, work: Work) -> bool:
    """Whether it is done; else it comes again."""
    if isinstance(work, Job):
        return executor.do_job(work)
    with _answering([work]):
        return executor.execute(work)
    return True


@contextmanager
def _answering(batches: list[Batch]) -> Iterator[None]:
    """Close the connections of a batch that a bug in a stage has left without its replies, rather
    than leave them hanging."""
    try:
        yield
    except Exception:
        log.exception("a batch failed")
        for batch in batches:
            for connection, _ in batch.items:
                connection.close()
