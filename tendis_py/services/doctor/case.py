"""An observation with its stages added up, as the checks ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tendis_py.services.observation import Durations, Finding, Observation, ThreadFigures
from tendis_py.services.quantities import counted, duration, percent

SECONDS = 10
"""The window that is looked at."""

PARTS = {"engine": "execute"}
"""Stage → the one whose time includes its time."""

WAITS = frozenset(("socket", "pending", "queue", "lock", "respond", "outbox"))
"""Stages in which a request only waits for somebody else's work, or the client's."""

UNREAD = frozenset(("socket", "pending", "outbox"))
"""Those of them in which a request has not begun, or is done with."""

POOLS = frozenset(("reactor", "executor", "slow", "apart"))
"""Whose stages are a request's own time; what others do goes on beside."""

NOTABLE = 0.25
"""Part of the working time, or of the requests' time, from which on a stage is a bottleneck."""

BUSY = 0.85
"""Part of the time at which a thread has no more to give."""

STARVED_CPUS = 0.6
"""What a thread that is busy all the time uses at least, unless it waits for the disk or is kept
from the CPU: one interpreter uses about one."""

WORDS = {
    "accept": "accepting the connection",
    "socket": "waiting in the socket to be read",
    "parse": "reading and parsing",
    "pending": "waiting for earlier requests of the same connection",
    "queue": "waiting in the work queue",
    "lock": "waiting for keys that other requests hold",
    "execute": "running the commands",
    "engine": "reading from RocksDB",
    "commit": "writing to RocksDB",
    "fsync": "waiting for the disk to have the log",
    "respond": "waiting for the reactor to send the reply",
    "write": "sending the replies",
    "outbox": "waiting for clients to read the rest of long replies",
}


@dataclass(slots=True)
class Spent:
    """Of one stage, in all lanes and pools, in the window: ``p99_ns`` where it was worst."""

    count: int = 0
    sum_ns: int = 0
    p99_ns: int = 0
    max_ns: int = 0

    def add(self, more: Durations) -> None:
        self.count += more.count
        self.sum_ns += more.sum_ns
        self.p99_ns = max(self.p99_ns, more.p99_ns)
        self.max_ns = max(self.max_ns, more.max_ns)

    @property
    def mean_ns(self) -> float:
        return self.sum_ns / self.count if self.count else 0.0

    def __str__(self) -> str:
        return (
            f"{duration(self.mean_ns)} on average, p99 {duration(self.p99_ns)}, "
            f"at most {duration(self.max_ns)}"
        )


class Case:
    """An observation, with its stages added up."""

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self.spent: dict[str, Spent] = {}
        for row in observation.stages:
            if row.pool in POOLS:
                spent = self.spent.setdefault(row.stage, Spent())
                spent.add(row.recent.get(SECONDS, Durations()))
        own = {stage: spent.sum_ns for stage, spent in self.spent.items()}
        for part, whole in PARTS.items():
            own[whole] = max(own.get(whole, 0) - own.get(part, 0), 0)
        self.own_ns = own
        """Stage → its time without that of its parts."""
        self.total_ns = sum(own.values())
        self.working_ns = sum(ns for stage, ns in own.items() if stage not in WAITS)

    def of(self, stage: str) -> Spent:
        return self.spent.get(stage, Spent())

    def share(self, stage: str) -> float:
        """Part of the requests' time."""
        return self.own_ns.get(stage, 0) / self.total_ns if self.total_ns else 0.0

    def lock_share(self) -> float:
        """Part of the time from its being read to its being answered that a request waits for
        keys."""
        inside = sum(ns for stage, ns in self.own_ns.items() if stage not in UNREAD)
        return self.own_ns.get("lock", 0) / inside if inside else 0.0

    def work_share(self, stage: str) -> float:
        """Part of the time in which they did not wait for others."""
        return self.own_ns.get(stage, 0) / self.working_ns if self.working_ns else 0.0

    @property
    def longest(self) -> str:
        """The stage that most of the time goes into."""
        stage = max(self.own_ns, key=lambda stage: self.own_ns[stage], default="")
        return stage if self.own_ns.get(stage) else ""

    @property
    def busy_pools(self) -> list[str]:
        """Those whose threads have no time left."""
        return [pool for pool in ("reactor", "executor") if all_busy(self.threads(pool))]

    @property
    def busy_threads(self) -> str:
        return " and ".join(
            f"{counted(len(threads), pool)} {percent(mean_busy(threads))} busy"
            for pool in self.busy_pools
            for threads in (self.threads(pool),)
        )

    @property
    def batch_size(self) -> float:
        """Requests that are executed together, on average."""
        threads = self.observation.threads
        batches = sum(thread.batches for thread in threads)
        return max(sum(thread.requests for thread in threads) / batches, 1.0) if batches else 1.0

    @property
    def is_waiting(self) -> bool:
        """Whether threads are busy, but hardly use the CPU."""
        busy = sum(thread.busy for thread in self.observation.threads)
        return self.observation.cpus < min(busy, 1.0) / 2

    @property
    def is_starved(self) -> bool:
        """Whether threads are busy without using a CPU or waiting for the disk."""
        disk = sum(map(self.work_share, ("engine", "commit", "fsync")))
        return bool(self.busy_pools) and disk < 0.4 and self.observation.cpus < STARVED_CPUS

    def threads(self, pool: str) -> list[ThreadFigures]:
        return [thread for thread in self.observation.threads if thread.pool == pool]


def all_busy(threads: Sequence[ThreadFigures]) -> bool:
    return bool(threads) and all(thread.busy >= BUSY for thread in threads)


def mean_busy(threads: Sequence[ThreadFigures]) -> float:
    return sum(thread.busy for thread in threads) / len(threads)


Weighed = tuple[float, Finding]
"""How much it weighs, 1 being all that is wrong, and what is found."""

Check = Callable[[Case], Iterator[Weighed]]
