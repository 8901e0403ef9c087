"""Which stage is the bottleneck, why, and what to change: from an Observation alone.

``diagnose`` is pure. Each check looks for one cause, and knows when its figures are worth a
mention; how much it weighs decides what is said first. A wait that follows from something else (a
queue behind a slow disk) weighs less than that. Knows nothing of where the figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tendis_py.services.observation import (
    CommandFigures,
    Durations,
    Finding,
    Observation,
    QueueFigures,
    ThreadFigures,
)
from tendis_py.services.quantities import counted, duration, percent, size

NOTHING = "none"

SECONDS = 10
"""The window that is looked at."""

PARTS = {"engine": "execute"}
"""Stage → the one whose time includes its time."""

WAITS = frozenset(("socket", "pending", "queue", "lock", "respond", "outbox"))
"""Stages in which a request only waits for somebody else's work, or the client's."""

UNREAD = frozenset(("socket", "pending", "outbox"))
"""Those of them in which a request has not begun, or is done with."""

POOLS = frozenset(("reactor", "executor", "slow"))
"""Whose stages are a request's own time; what others do goes on beside."""

NOTABLE = 0.25
"""Part of the working time, or of the requests' time, from which on a stage is a bottleneck."""

SLOW_FSYNC_NS = SLOW_READS_NS = 500_000
SLOW_LOCK_NS = 200_000
SLOW_COMMAND_NS = 1_000_000
"""On average; what takes less is no fault of its own, however often it happens."""

NOTABLE_LOAD = 0.25
"""Seconds a second that calls of one command take."""

LONG_COMMAND_NS, LONG_COMMAND_LOAD = 20_000_000, 0.05
"""So long a call is felt by others where less of the time goes into it."""

INSIDE = frozenset(("exec",))
"""Commands whose time is that of others, which count it, too."""

FULL = 0.8
"""Part of a queue's capacity in use at which it is full."""

SHORT_QUEUE_NS = 10_000_000
"""What a queue holds when full should be more than so much work."""

BUSY = 0.85
"""Part of the time at which a thread has no more to give."""

MANY_CONNECTIONS = 1000
"""For one reactor."""

LATE_EXPIRY_MS = 1000.0
BEHIND_SECONDS = 1.0
MANY_LEVEL0_FILES = 20
"""RocksDB slows writers down from here on, unless told otherwise."""

HOT = 0.1
"""Part of the sampled requests that name one key."""

FEW_REQUESTS = 100.0
"""A second: with fewer, no key is hot."""

Weighed = tuple[float, Finding]
"""How much it weighs, 1 being all that is wrong, and what is found."""


@dataclass(slots=True)
class _Spent:
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


class _Case:
    """An observation, with its stages added up."""

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self.spent: dict[str, _Spent] = {}
        for row in observation.stages:
            if row.pool in POOLS:
                spent = self.spent.setdefault(row.stage, _Spent())
                spent.add(row.recent.get(SECONDS, Durations()))
        own = {stage: spent.sum_ns for stage, spent in self.spent.items()}
        for part, whole in PARTS.items():
            own[whole] = max(own.get(whole, 0) - own.get(part, 0), 0)
        self.own_ns = own
        """Stage → its time without that of its parts."""
        self.total_ns = sum(own.values())
        self.working_ns = sum(ns for stage, ns in own.items() if stage not in WAITS)

    def of(self, stage: str) -> _Spent:
        return self.spent.get(stage, _Spent())

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

    def threads(self, pool: str) -> list[ThreadFigures]:
        return [thread for thread in self.observation.threads if thread.pool == pool]


def diagnose(observation: Observation) -> list[Finding]:
    """What is wrong, the worst first; one finding, with the cause NOTHING, when all is well."""
    case = _Case(observation)
    found = [weighed for check in _CHECKS for weighed in check(case)]
    if not found:
        return [_nothing_wrong(case)]
    return [finding for _, finding in sorted(found, key=lambda weighed: -weighed[0])]


def bottleneck(observation: Observation) -> str:
    """The stage that takes most of the requests' time, of the last ten seconds; "" without any.
    Whoever names one asks here, so that all say the same."""
    return _Case(observation).longest


def shares(observation: Observation) -> dict[str, float]:
    """Stage → part of the requests' time of the last ten seconds that it takes, its PARTS left out:
    they add up to 1, unless nothing was done."""
    case = _Case(observation)
    return {stage: case.share(stage) for stage in case.own_ns}


def report(findings: Sequence[Finding]) -> str:
    """Findings in lines of text, as STAGES DOCTOR shows them."""
    if findings[0].cause == NOTHING:
        return f"{findings[0].seen}\n"
    lines = []
    for number, finding in enumerate(findings, 1):
        lines.append(f"{number}. {finding.cause} (stage {finding.stage}): {finding.seen}")
        lines.append(f"   What to change: {finding.advice}")
    return "\n".join(lines) + "\n"


def _nothing_wrong(case: _Case) -> Finding:
    stage = case.longest
    seen = (
        f"Nothing is wrong: {case.observation.requests_per_second:.0f} requests/s; most of their "
        f"time, {percent(case.share(stage))}, is {_WORDS.get(stage, stage)} ({case.of(stage)})."
        if stage
        else f"Nothing is wrong, and no request was answered in the last {SECONDS} seconds."
    )
    return Finding(NOTHING, stage, case.share(stage), seen, "")


_WORDS = {
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


# What keeps requests waiting


def _slow_fsync(case: _Case) -> Iterator[Weighed]:
    spent = case.of("fsync")
    work = case.work_share("fsync")
    if work < NOTABLE or spent.mean_ns < SLOW_FSYNC_NS:
        return
    yield (
        work,
        Finding(
            "fsync",
            "fsync",
            case.share("fsync"),
            f"{percent(work)} of the time in which requests are worked on goes into fsync of the "
            f"log: {spent}; {counted(spent.count, 'request')} waited for it in {SECONDS} s.",
            "appendfsync everysec does it in the background, at the risk of the last second's "
            "writes when the machine fails; or put dir on a disk that syncs faster (with a "
            "protected write cache). Pipelines and more clients at once share one fsync.",
        ),
    )


def _slow_reads(case: _Case) -> Iterator[Weighed]:
    spent = case.of("engine")
    work = case.work_share("engine")
    if work < NOTABLE or spent.mean_ns < SLOW_READS_NS:
        return
    now = case.observation
    asked = now.row_cache_hits + now.row_cache_misses
    missed = ""
    if asked:
        missed = f", {percent(now.row_cache_misses / asked)} of rows not in the row cache"
    yield (
        work,
        Finding(
            "disk_read",
            "engine",
            case.share("engine"),
            f"{percent(work)} of the time in which requests are worked on goes into reading from "
            f"RocksDB: {spent}{missed}.",
            "Raise cache-size (rows) and block-cache-size (blocks of files) so that what is asked "
            "for often stays in memory; or put dir on a faster disk. More executor-threads (with "
            "io-threads in models without executors) let more reads go on at once.",
        ),
    )


def _costly_commands(case: _Case) -> Iterator[Weighed]:
    """Those that take most of what executing takes, which is a good part of the work, and each call
    of which is long."""
    work = case.work_share("execute")
    if work < NOTABLE:
        return
    loads = {one: _load(one) for one in case.observation.commands if one.name not in INSIDE}
    total = sum(loads.values())
    for command in sorted(loads, key=lambda one: -loads[one])[:3]:
        load, mean_ns = loads[command], _mean_ns(command)
        least = NOTABLE_LOAD if mean_ns < LONG_COMMAND_NS else LONG_COMMAND_LOAD
        if mean_ns < SLOW_COMMAND_NS or load < least or load < NOTABLE * total:
            continue
        name = command.name.replace("|", " ").upper()
        yield (
            work * load / total * (1 - case.lock_share()),
            Finding(
                "cpu",
                "execute",
                case.share("execute") * load / total,
                f"{name} takes {percent(load / total)} of the time in commands: "
                f"{command.per_second:.1f} calls/s of {duration(mean_ns)} on average, p99 "
                f"{duration(command.service.p99_ns)}; {percent(work)} of the work is running "
                "commands.",
                f"Call {name} less often or on smaller values (SCAN instead of KEYS, ranges "
                "instead of whole collections); SLOWLOG GET shows with which arguments. "
                f"{_lanes_advice(case)}",
            ),
        )


def _lanes_advice(case: _Case) -> str:
    if case.observation.model == "tendis":
        return "Slow commands run in their own lane here, but all share the interpreter."
    return "threading-model tendis runs slow commands in a lane of their own, beside the others."


def _contended_keys(case: _Case) -> Iterator[Weighed]:
    spent, share = case.of("lock"), case.lock_share()
    if share < NOTABLE or spent.mean_ns < SLOW_LOCK_NS:
        return
    keys = case.observation.contended_keys
    named = ", ".join(f'"{key}" ({percent(part)} of the waiting)' for key, part in keys[:3])
    known = sum(part for _, part in keys)
    if known < 0.5:
        named = f"all keys at once, or many{f'; {named}' * bool(named)}"
    longest = max(case.observation.commands, key=_holding_ns, default=None)
    by = ""
    if longest is not None:
        name = longest.name.replace("|", " ").upper()
        by = f" The longest to hold keys: {name}, {duration(_mean_ns(longest))} a call."
    yield (
        share if known >= 0.5 else share / 2,
        Finding(
            "lock",
            "lock",
            case.share("lock"),
            f"{percent(share)} of the time of requests under way is waiting for keys that others "
            f"hold: "
            f"{spent}, and {counted(case.observation.locks.waiting, 'claim')} waiting now. Waited "
            f"for: {named}.{by}",
            "Spread what is written over several keys, keep transactions and commands on shared "
            "keys short, and large ones on keys of their own. A claim is held up to the commit: a "
            "slow fsync lengthens it.",
        ),
    )


def _full_queue(case: _Case) -> Iterator[Weighed]:
    for queue in case.observation.queues:
        if not _is_full(queue):
            continue
        rate = case.observation.requests_per_second
        held_ns = queue.capacity_requests / rate * 1e9 if rate else 0.0
        short = bool(queue.capacity_requests) and held_ns < SHORT_QUEUE_NS
        yield (
            max(case.share("queue"), 0.3) if short else 0.15,
            Finding(
                "queue",
                "queue",
                case.share("queue"),
                f"The {queue.name} queue is full: {counted(queue.requests, 'request')} "
                f"({size(queue.bytes)}) wait of at most {queue.capacity_requests} "
                f"({size(queue.capacity_bytes)}); {counted(queue.refused, 'batch', 'batches')} "
                f"refused, {counted(queue.paused, 'read')} put off.{_held(held_ns)}",
                _short_queue_advice() if short else _long_queue_advice(case),
            ),
        )


def _is_full(queue: QueueFigures) -> bool:
    used = (
        queue.requests / queue.capacity_requests if queue.capacity_requests else 0.0,
        queue.bytes / queue.capacity_bytes if queue.capacity_bytes else 0.0,
    )
    return max(used) >= FULL or queue.refused_lately > 0


def _held(held_ns: float) -> str:
    return f" That is {duration(held_ns)} of work at the present rate." if held_ns else ""


def _short_queue_advice() -> str:
    return (
        "Raise work-queue-max-requests and work-queue-max-bytes: the queue holds so little that "
        "executors run dry while clients are not read."
    )


def _long_queue_advice(case: _Case) -> str:
    executors = len(case.threads("executor"))
    return (
        f"More comes in than {counted(executors, 'executor')} can do; a longer queue only makes "
        "requests wait longer. See what the executors spend their time on (the other findings, "
        "STAGES LATENCY); executor-threads helps where they wait for the disk."
    )


def _unread_replies(case: _Case) -> Iterator[Weighed]:
    readers = [one for one in case.observation.slow_readers if one.seconds >= BEHIND_SECONDS]
    if not readers:
        return
    listed = "; ".join(
        f"{one.client}, {size(one.unsent)} for {one.seconds:.0f} s, last command {one.command}"
        for one in readers[:3]
    )
    yield (
        0.2,
        Finding(
            "slow_reader",
            "outbox",
            case.share("outbox"),
            f"{counted(len(readers), 'client does', 'clients do')} not read what is sent: "
            f"{listed}.",
            "Their requests wait and their replies take memory; others are not held up. Look at "
            "these clients and their network; CLIENT KILL ADDR closes one, "
            "client-output-buffer-limit closes them by itself.",
        ),
    )


def _stalled_writes(case: _Case) -> Iterator[Weighed]:
    engine = case.observation.engine
    slowed = engine.delayed_write_rate
    if not (engine.is_stopped or slowed or engine.level0_files >= MANY_LEVEL0_FILES):
        return
    how = (
        "RocksDB takes no writes"
        if engine.is_stopped
        else f"RocksDB takes no more than {size(slowed)}/s of writes"
        if slowed
        else "RocksDB is about to slow writes down"
    )
    yield (
        1.0 if engine.is_stopped else max(case.share("commit"), 0.4 if slowed else 0.12),
        Finding(
            "compaction",
            "commit",
            case.share("commit"),
            f"{how}, since compaction is behind: {counted(engine.level0_files, 'file')} in level "
            f"0, {size(engine.pending_compaction_bytes)} to compact, "
            f"{counted(engine.memtables_waiting, 'memtable')} to flush; "
            f"{counted(engine.stalls, 'stall')} of {engine.stalled_seconds:.1f} s in all.",
            "Write less at once, put dir on a faster disk, or give compaction more: "
            "rocksdb.max_background_jobs, rocksdb.write_buffer_size and "
            "rocksdb.max_write_buffer_number in the configuration file.",
        ),
    )


def _late_expiry(case: _Case) -> Iterator[Weighed]:
    lag = case.observation.expiry_lag_ms
    if lag < LATE_EXPIRY_MS:
        return
    yield (
        0.15,
        Finding(
            "expiry",
            "execute",
            0.0,
            f"Keys are removed {duration(lag * 1e6)} after they have expired: nobody sees them, "
            "but they take room.",
            "The sweep goes the way of requests and gets what time they leave. Spread expiry times "
            "(a random part in EX), so that fewer keys expire at once.",
        ),
    )


def _hot_keys(case: _Case) -> Iterator[Weighed]:
    now = case.observation
    keys = [(key, share) for key, share in now.hot_keys if share >= HOT]
    if not keys or now.requests_per_second < FEW_REQUESTS:
        return
    key, share = keys[0]
    others = "".join(f', "{name}" in {percent(part)}' for name, part in keys[1:3])
    yield (
        0.1 + share / 10,
        Finding(
            "hot_key",
            "lock" if case.lock_share() >= NOTABLE else "execute",
            0.0,
            f'Key "{key}" is in {percent(share)} of the requests{others}.',
            "Requests on one key run one after another, however many threads there are: split it "
            "(several counters, a hash per shard), or let clients keep what they read of it "
            "(CLIENT TRACKING).",
        ),
    )


def _crowded_reactors(case: _Case) -> Iterator[Weighed]:
    reactors = case.threads("reactor")
    crowded = [one for one in reactors if one.connections >= MANY_CONNECTIONS and one.busy >= BUSY]
    if not crowded:
        return
    worst = max(crowded, key=lambda one: one.connections)
    yield (
        0.12,
        Finding(
            "connections",
            "socket",
            case.share("socket"),
            f"{worst.name} serves {worst.connections} connections and is busy "
            f"{percent(worst.busy)} of the time ({counted(len(reactors), 'reactor')} in all).",
            f"{_more_reactors(case)} Fewer connections with pipelines cost less than many that "
            "send one request at a time.",
        ),
    )


def _more_reactors(case: _Case) -> str:
    if case.observation.model == "redis":
        return "The model redis has one reactor: threading-model tendis or kvrocks has several."
    return "Raise io-threads."


def _busy_reactors(case: _Case) -> Iterator[Weighed]:
    """Reading and sending is most of the work, and the reactors have no time left."""
    reactors = case.threads("reactor")
    shares = {stage: case.work_share(stage) for stage in ("accept", "parse", "write")}
    stage = max(shares, key=lambda name: shares[name])
    if not _all_busy(reactors) or sum(shares.values()) < 0.5:
        return
    now = case.observation
    yield (
        0.11,
        Finding(
            "reactor",
            stage,
            case.share(stage),
            f"The reactors are busy {percent(_mean_busy(reactors))} of the time, and "
            f"{percent(sum(shares.values()))} of the work is accepting, reading and sending, most "
            f"of it {_WORDS[stage]}: {size(now.input_bytes_per_second)}/s in, "
            f"{size(now.output_bytes_per_second)}/s out.",
            f"{_more_reactors(case)} Send requests in pipelines, ask for less at a time, keep "
            "connections open.",
        ),
    )


def _saturation(case: _Case) -> Iterator[Weighed]:
    """No thread has time left: nothing is wrong with any one stage."""
    busy = [pool for pool in ("reactor", "executor") if _all_busy(case.threads(pool))]
    if not busy or not case.total_ns:
        return
    now = case.observation
    stage = case.longest
    pools = " and ".join(
        f"{counted(len(case.threads(pool)), pool)} {percent(_mean_busy(case.threads(pool)))} busy"
        for pool in busy
    )
    yield (
        0.05,
        Finding(
            "saturation",
            stage,
            case.share(stage),
            f"The CPU is the limit: {pools}, {now.cpus:.2f} CPUs in use, "
            f"{now.requests_per_second:.0f} requests/s. Most of the requests' time, "
            f"{percent(case.share(stage))}, is {_WORDS.get(stage, stage)}.",
            "One interpreter runs one thread at a time, so more threads do not help: pipelines and "
            "commands for several keys (MSET, MGET) do more for the same work; beyond that, "
            "several servers, each with a part of the keys.",
        ),
    )


_CHECKS: tuple[Callable[[_Case], Iterator[Weighed]], ...] = (
    _slow_fsync,
    _slow_reads,
    _costly_commands,
    _contended_keys,
    _full_queue,
    _unread_replies,
    _stalled_writes,
    _late_expiry,
    _hot_keys,
    _crowded_reactors,
    _busy_reactors,
    _saturation,
)


def _mean_ns(command: CommandFigures) -> float:
    return command.service.sum_ns / command.service.count if command.service.count else 0.0


def _load(command: CommandFigures) -> float:
    """Seconds a second."""
    return command.per_second * _mean_ns(command) / 1e9


def _holding_ns(command: CommandFigures) -> float:
    return _mean_ns(command) if command.per_second else 0.0


def _all_busy(threads: Sequence[ThreadFigures]) -> bool:
    return bool(threads) and all(thread.busy >= BUSY for thread in threads)


def _mean_busy(threads: Sequence[ThreadFigures]) -> float:
    return sum(thread.busy for thread in threads) / len(threads)
