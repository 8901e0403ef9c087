"""The executor pool: threads that take from one queue. Knows no sockets and no commands."""

from __future__ import annotations

import threading
from time import perf_counter_ns

from tendis_py.stages.execute import Executor
from tendis_py.stages.work import Batch, Job, Work, WorkQueue, answering
from tendis_py.storage.pacing import drain


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
        take = self.queue.take
        while (work := take()) is not None:
            began = perf_counter_ns()
            self._do(executor, work)
            executor.times.busy_ns += perf_counter_ns() - began
            del work  # with its replies, lest they stay until there is more to do

    def _do(self, executor: Executor, work: Work) -> None:
        is_done = False
        if isinstance(work, Job):
            executor.do_job(work)
        else:
            with answering([work]):
                is_done = executor.execute(work)
        self.queue.finished()
        if is_done and isinstance(work, Batch):
            work.responses.post(work)
            drain(work.spent)

    def _by_rounds(self, executor: Executor) -> None:
        while self._do_round(executor, self.queue.take_all()):
            pass

    def _do_round(self, executor: Executor, round_: list[Work | None]) -> bool:
        """Whether there is another one to come."""
        began = perf_counter_ns()
        if executor.shares_keys(round_):
            for work in round_:
                if work is not None:
                    self._do(executor, work)
            executor.times.busy_ns += perf_counter_ns() - began
            return round_[-1] is not None
        batches = [work for work in round_ if isinstance(work, Batch)]
        if batches:
            with answering(batches):
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
