"""The five threading models: one table, the same stage objects. ``server`` wires a row.

==========  ==================================================================================
tendis      Tendis: a network I/O pool and a worker pool, joined by a work and a response queue
kvrocks     Kvrocks: workers that accept, read, execute and write
memcached   memcached: a dispatcher deals connections to workers, which do all the rest
redis       Redis: one reactor does everything
redis-io    Redis 6 io-threads: reads and writes in parallel, one thread executes, by rounds
==========  ==================================================================================
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum

from tendis_py.stages.reactor import Submission


class Listening(Enum):
    """ACCEPTOR: one task accepts and deals sockets. REACTORS: each reactor accepts from its own
    SO_REUSEPORT socket (from the only one there is, for a Unix socket)."""

    ACCEPTOR = "acceptor"
    REACTORS = "reactors"


@dataclass(frozen=True, slots=True)
class ThreadingModel:
    """``reactors`` and ``executors`` are the default numbers of threads; ``max_reactors`` caps
    what ``io-threads`` may ask for. ``slow_lane``: slow commands have a thread of their own."""

    name: str
    listening: Listening
    submission: Submission
    reactors: int
    max_reactors: int
    executors: int
    max_executors: int
    rounds: bool
    slow_lane: bool

    def reactor_count(self, io_threads: int) -> int:
        """Reactors to start for the ``io-threads`` setting; 0 leaves it to the model."""
        return min(io_threads or self.reactors, self.max_reactors)

    def executor_count(self, executor_threads: int) -> int:
        return min(executor_threads or self.executors, self.max_executors)


_CORES = os.cpu_count() or 1
_MANY = 128

MODELS = {
    model.name: model
    for model in (
        ThreadingModel(
            name="tendis",
            listening=Listening.ACCEPTOR,
            submission=Submission.CONSERVING,
            reactors=1,
            max_reactors=_MANY,
            executors=2,
            max_executors=_MANY,
            rounds=False,
            slow_lane=True,
        ),
        ThreadingModel(
            name="kvrocks",
            listening=Listening.REACTORS,
            submission=Submission.INLINE,
            reactors=min(2, _CORES),
            max_reactors=_MANY,
            executors=0,
            max_executors=0,
            rounds=False,
            slow_lane=False,
        ),
        ThreadingModel(
            name="memcached",
            listening=Listening.ACCEPTOR,
            submission=Submission.INLINE,
            reactors=min(2, _CORES),
            max_reactors=_MANY,
            executors=0,
            max_executors=0,
            rounds=False,
            slow_lane=False,
        ),
        ThreadingModel(
            name="redis",
            listening=Listening.REACTORS,
            submission=Submission.INLINE,
            reactors=1,
            max_reactors=1,
            executors=0,
            max_executors=0,
            rounds=False,
            slow_lane=False,
        ),
        ThreadingModel(
            name="redis-io",
            listening=Listening.ACCEPTOR,
            submission=Submission.QUEUE,
            reactors=max(1, _CORES - 1),
            max_reactors=_MANY,
            executors=1,
            max_executors=1,
            rounds=True,
            slow_lane=False,
        ),
    )
}
