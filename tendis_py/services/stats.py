"""What INFO counts. Every thread counts for itself; this adds up, without a lock.

The counters only ever grow. CONFIG RESETSTAT takes note of where they stand, and what is reported
is the difference.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from tendis_py.services.clients import Clients
from tendis_py.services.counters import MOST_CODES, Counters, Named
from tendis_py.services.histogram import (
    SUM,
    WAIT,
    Buckets,
    durations,
    merge,
    minus,
)
from tendis_py.services.kept_histograms import KeptHistograms
from tendis_py.services.observation import StageFigures, ThreadFigures
from tendis_py.services.recent import Recent
from tendis_py.services.stages import (
    BACKGROUND,
    LANES,
    POOLS,
    STAGES,
    Histograms,
    Stage,
    StageTimes,
    ThreadTimes,
)

K = TypeVar("K")

RECENT_LOOKS = 16
"""Of a reactor at its connections: eight seconds."""


_ORDER = {
    Stage(stage, lane, pool): (number, lane, pool)
    for number, stage in enumerate(STAGES)
    for lane in (*LANES, BACKGROUND)
    for pool in (*POOLS, BACKGROUND)
}


class Traffic:
    """What one reactor counts of its ``connections``, and how many those are. ``buffered`` are the
    bytes of input and output that waited at its last look."""

    __slots__ = (
        "_largest",
        "buffered",
        "connections",
        "input_limit_closed",
        "name",
        "net_input",
        "net_output",
        "output_limit_closed",
        "protocol_errors",
        "reads",
        "writes",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.net_input = self.net_output = self.reads = self.writes = 0
        self.protocol_errors = self.input_limit_closed = self.output_limit_closed = 0
        self.buffered = self.connections = 0
        self._largest: deque[tuple[int, int]] = deque([(0, 0)], maxlen=RECENT_LOOKS)

    def look(self, buffered: int, largest_input: int, largest_output: int) -> None:
        """Twice a second: bytes that wait, in all, and of the connections with the most of it."""
        self.buffered = buffered
        self._largest.append((largest_input, largest_output))

    def recent_largest(self) -> tuple[int, int]:
        """The most bytes of input and of output that waited for one connection lately."""
        inputs, outputs = zip(*self._largest.copy(), strict=True)
        return max(inputs), max(outputs)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all threads: ``commands`` that ran, keys that ``expired`` and fields of hashes,
    what the sweep for them took, values ``reclaimed`` in the background, lookups that were
    ``hits`` and ``misses``, ``rows_read`` from RocksDB, ``errors``
    answered, bytes and calls of the network."""

    connections: int = 0
    rejected_connections: int = 0
    commands: int = 0
    expired: int = 0
    expired_fields: int = 0
    expire_ns: int = 0
    reclaimed: int = 0
    hits: int = 0
    misses: int = 0
    rows_read: int = 0
    errors: int = 0
    net_input: int = 0
    net_output: int = 0
    reads: int = 0
    writes: int = 0
    protocol_errors: int = 0
    input_limit_closed: int = 0
    output_limit_closed: int = 0

    def __sub__(self, earlier: Totals) -> Totals:
        names = [field.name for field in fields(self)]
        return Totals(**{name: getattr(self, name) - getattr(earlier, name) for name in names})


@dataclass(frozen=True, slots=True)
class CommandFigures:
    """Of one command: ``calls`` that took ``execute_ns`` after waiting ``wait_ns`` since they were
    read, how many of them ``failed``, and how many more were ``rejected`` before they ran."""

    calls: int
    execute_ns: int
    wait_ns: int
    rejected: int
    failed: int


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the counters stood."""

    totals: Totals = Totals()
    failures: Counter[Named] = field(default_factory=Counter)
    rejections: Counter[Named] = field(default_factory=Counter)
    stages: Histograms = field(default_factory=dict)
    execute_ns: int = 0
    busy_ns: int = 0
    batches: dict[str, int] = field(default_factory=dict)


class Stats:
    def __init__(self, clients: Clients) -> None:
        self._threads: list[Counters] = []
        self._stage_times: list[StageTimes] = []
        self._thread_times: list[ThreadTimes] = []
        self.traffic: list[Traffic] = []
        self._clients = clients
        self._mark = _Mark()
        self.background = self.new_stage_times()
        """What no request waits for."""
        self.recent = Recent(self._all_stages, self._thread_times)
        self.latencies = Latencies(self)
        self.service_times = KeptHistograms(lambda: [one.buckets.copy() for one in self._threads])
        """By command: what it took itself."""
        self.total_times = KeptHistograms(lambda: [one.totals() for one in self._stage_times])
        """What its requests took in all."""

    def new_counters(self) -> Counters:
        """The counters of a new executing thread, included in the totals from now on."""
        counters = Counters()
        self._threads.append(counters)
        return counters

    def new_stage_times(self) -> StageTimes:
        """The stages of another reactor's batches, included in the figures from now on."""
        times = StageTimes()
        self._stage_times.append(times)
        return times

    def new_thread(self, name: str) -> ThreadTimes:
        """What another thread has done, included in the figures from now on."""
        times = ThreadTimes(name)
        self._thread_times.append(times)
        return times

    def new_traffic(self, name: str) -> Traffic:
        """The counters of a new reactor, which are included in the totals from now on."""
        traffic = Traffic(name)
        self.traffic.append(traffic)
        return traffic

    def reset(self) -> None:
        """Count from zero again (CONFIG RESETSTAT)."""
        self._mark = _Mark(
            self._all_totals(),
            self._all_failures(),
            self._all_rejections(),
            self._all_stages(),
            self._all_execute_ns(),
            self._all_busy_ns(),
            self._all_batches(),
        )
        for counters in self._threads:
            counters.errors = {}
        self.service_times.reset()
        self.total_times.reset()
        self.recent.reset()
        self.latencies.reset()

    def totals(self) -> Totals:
        return self._all_totals() - self._mark.totals

    def errors(self) -> Counter[str] | None:
        """Error code word → how often it was answered; None once there were more than
        MOST_CODES."""
        found = sum((Counter(one.errors.copy()) for one in self._threads), Counter[str]())
        return found if len(found) <= MOST_CODES else None

    def commands(self) -> dict[Named, CommandFigures]:
        """Every command that was called or refused, in order of name."""
        failures = self._all_failures() - self._mark.failures
        rejections = self._all_rejections() - self._mark.rejections
        service = self.service_times.now()
        return {
            command: CommandFigures(
                calls=kept.durations.count if kept else 0,
                execute_ns=kept.recorded[SUM] if kept else 0,
                wait_ns=kept.recorded[WAIT] if kept else 0,
                rejected=rejections[command],
                failed=failures[command],
            )
            for command in sorted({*service, *rejections}, key=lambda command: command.name)
            if (kept := service.get(command)) or rejections[command]
        }

    def all_buckets(self) -> dict[Named, Buckets]:
        """Command → its histogram over all threads, since the start."""
        return _merged(counters.buckets.copy() for counters in self._threads)

    def command_buckets(self) -> dict[Named, Buckets]:
        """Command → histogram of the time that it took itself."""
        return {command: kept.recorded for command, kept in self.service_times.now().items()}

    def total_buckets(self) -> dict[Named, Buckets]:
        """Command → histogram of the time that its requests took in all."""
        return {command: kept.recorded for command, kept in self.total_times.now().items()}

    def stages(self) -> Histograms:
        """The histogram of each stage, by lane and pool, in their order."""
        earlier = self._mark.stages
        found = self._all_stages()
        return {
            stage: minus(found[stage], earlier[stage]) if stage in earlier else found[stage]
            for stage in sorted(found, key=_ORDER.__getitem__)
        }

    def stage_figures(self) -> tuple[list[StageFigures], list[StageFigures]]:
        """Each stage that there is, by lane and pool, and each over all of these; also over the
        last WINDOWS seconds."""
        whole, recent = self.stages(), self.recent.histograms()
        return _figures(whole, recent), _figures(
            over_all(whole), {seconds: over_all(window) for seconds, window in recent.items()}
        )

    def thread_figures(self) -> list[ThreadFigures]:
        """Each thread that executes."""
        connections = {traffic.name: traffic.connections for traffic in self.traffic}
        work = self.recent.work()
        found = []
        for times in self._thread_times:
            done = work[times.name]
            seconds = done.ns / 1e9 or 1.0
            found.append(
                ThreadFigures(
                    name=times.name,
                    pool=times.pool,
                    busy=min(done.busy_ns / 1e9 / seconds, 1.0),
                    batches=done.batches / seconds,
                    requests=done.requests / seconds,
                    connections=connections.get(times.name, 0),
                )
            )
        return found

    def inline_share(self) -> float:
        """The part of the batches of the last ten seconds that ran in a reactor; 0 if there were
        none."""
        work = self.recent.work()
        inline = sum(work[one.name].batches for one in self._thread_times if one.pool == "reactor")
        return inline / (sum(done.batches for done in work.values()) or 1)

    def execute_ns(self) -> int:
        """What the commands took, over all threads."""
        return self._all_execute_ns() - self._mark.execute_ns

    def busy_ns(self) -> int:
        """What all stages took in which something is done, over all threads."""
        return self._all_busy_ns() - self._mark.busy_ns

    def reclaimed(self) -> int:
        """Values that were given up in the background."""
        return sum(one.reclaimed for one in self._threads) - self._mark.totals.reclaimed

    def batches(self) -> dict[str, int]:
        """Executing thread → batches it has executed."""
        earlier = self._mark.batches
        return {name: count - earlier.get(name, 0) for name, count in self._all_batches().items()}

    def changes(self) -> int:
        """Keys changed since the start."""
        return sum(one.changes for one in self._threads)

    def _all_totals(self) -> Totals:
        threads = self._threads
        return Totals(
            connections=self._clients.accepted,
            rejected_connections=self._clients.rejected,
            commands=sum(one.processed for one in threads),
            expired=sum(one.expired for one in threads),
            expired_fields=sum(one.expired_fields for one in threads),
            expire_ns=sum(one.expire_ns for one in threads),
            reclaimed=sum(one.reclaimed for one in threads),
            hits=sum(one.hits for one in threads),
            misses=sum(one.misses for one in threads),
            rows_read=sum(one.rows_read for one in threads),
            errors=sum(one.error_replies for one in threads),
            net_input=sum(one.net_input for one in self.traffic),
            net_output=sum(one.net_output for one in self.traffic),
            reads=sum(one.reads for one in self.traffic),
            writes=sum(one.writes for one in self.traffic),
            protocol_errors=sum(one.protocol_errors for one in self.traffic),
            input_limit_closed=sum(one.input_limit_closed for one in self.traffic),
            output_limit_closed=sum(one.output_limit_closed for one in self.traffic),
        )

    def _all_stages(self) -> Histograms:
        return _merged(times.histograms() for times in self._stage_times)

    def _all_execute_ns(self) -> int:
        return sum(times.execute_ns for times in self._thread_times)

    def _all_busy_ns(self) -> int:
        return sum(times.busy_ns for times in self._thread_times)

    def _all_batches(self) -> dict[str, int]:
        return {times.name: times.batches for times in self._thread_times}

    def _all_failures(self) -> Counter[Named]:
        return sum((Counter(one.failures) for one in self._threads), Counter())

    def _all_rejections(self) -> Counter[Named]:
        return sum((Counter(one.rejections) for one in self._threads), Counter())


def _merged(parts: Iterable[Mapping[K, Buckets]]) -> dict[K, Buckets]:
    found: dict[K, list[Buckets]] = {}
    for part in parts:
        for what, buckets in part.items():
            found.setdefault(what, []).append(buckets)
    return {what: merge(several) for what, several in found.items()}


class Latencies:
    """Histograms of the commands' execution times, without the calls that were made while
    ``latency-tracking`` was off. Those are in the counters all the same, so what was recorded
    meanwhile is remembered, and taken away."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._unwanted: dict[Named, Buckets] = {}
        self._paused_at: dict[Named, Buckets] | None = None

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._unwanted = self._stats.all_buckets()
        if self._paused_at is not None:
            self._paused_at = self._unwanted

    def track(self, wanted: bool) -> None:
        """Whether calls count from now on."""
        if wanted == (self._paused_at is None):
            return
        now = self._stats.all_buckets()
        if not wanted:
            self._paused_at = now
            return
        for command, buckets in now.items():
            before = self._paused_at.get(command) if self._paused_at else None
            meanwhile = minus(buckets, before) if before else buckets
            known = self._unwanted.get(command)
            self._unwanted[command] = merge([known, meanwhile]) if known else meanwhile
        self._paused_at = None

    def buckets(self) -> dict[Named, Buckets]:
        """Command → histogram of every command that has been called, in order of name."""
        found = self._stats.all_buckets() if self._paused_at is None else self._paused_at
        unwanted = self._unwanted
        result: dict[Named, Buckets] = {}
        for command in sorted(found, key=lambda command: command.name):
            buckets = found[command]
            if command in unwanted:
                buckets = minus(buckets, unwanted[command])
            if any(buckets[:SUM]):
                result[command] = buckets
        return result


def over_all(histograms: Histograms) -> Histograms:
    """Each stage of them over all lanes and pools, which are "" then."""
    parts: dict[Stage, list[Buckets]] = {}
    for (stage, _, _), buckets in histograms.items():
        parts.setdefault(Stage(stage, "", ""), []).append(buckets)
    return {stage: found[0] if len(found) == 1 else merge(found) for stage, found in parts.items()}


def _figures(whole: Histograms, recent: Mapping[int, Histograms]) -> list[StageFigures]:
    return [
        StageFigures(
            *stage,
            durations(buckets),
            {seconds: durations(of[stage]) for seconds, of in recent.items() if stage in of},
        )
        for stage, buckets in whole.items()
    ]
