"""Threads of their own for requests that may take as long as they like: scripts, MIGRATE.

Such a request holds its keys, and no thread that others need. Knows no sockets and no commands.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from tendis_py.stages.execute import Executor
from tendis_py.stages.work import Batch, Work, answering

MOST_THREADS = 64
"""More requests than that wait for one to end."""

IDLE_SECONDS = 10.0
"""After so long with nothing to do a thread ends."""


class ApartThreads:
    """Runs batches of one request, whose keys are claimed, each in a thread of its own.
    ``new_executor`` gives one that is to be named as said. Any thread may call any method."""

    def __init__(self, new_executor: Callable[[str], Executor]) -> None:
        self._new_executor = new_executor
        self._changed = threading.Condition()
        self._waiting: deque[Batch] = deque()
        self._idle = 0
        self._executors: list[Executor] = []
        """Those of threads that have ended."""
        self._made = 0
        self._threads: set[threading.Thread] = set()
        self._stopping = False

    def take(self, work: Work) -> None:
        """Execute a batch soon, and post it to its responses."""
        assert isinstance(work, Batch)
        with self._changed:
            self._waiting.append(work)
            if len(self._waiting) > self._idle and len(self._threads) < MOST_THREADS:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        if self._executors:
            executor = self._executors.pop()
        else:
            self._made += 1
            executor = self._new_executor(f"apart-{self._made}")
            executor.again = self.take
        thread = threading.Thread(target=self._run, args=(executor,), name=executor.times.name)
        self._threads.add(thread)
        thread.start()

    def _run(self, executor: Executor) -> None:
        while (batch := self._next(executor)) is not None:
            with answering([batch]):
                if executor.execute(batch):
                    batch.responses.post(batch)
            del batch  # with its replies, lest they stay until there is more to do

    def _next(self, executor: Executor) -> Batch | None:
        """What ``executor`` is to do next; waits. None if its thread ends."""
        with self._changed:
            self._idle += 1
            while not self._waiting and not self._stopping:
                if not self._changed.wait(IDLE_SECONDS) and not self._waiting:
                    break
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())
            self._executors.append(executor)
            return None

    def stop(self) -> None:
        """Finish what there is, then end the threads; blocks until then."""
        with self._changed:
            self._stopping = True
            threads = list(self._threads)
            self._changed.notify_all()
        for thread in threads:
            thread.join()
