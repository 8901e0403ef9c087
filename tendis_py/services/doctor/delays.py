"""What requests are delayed by: one check for each cause."""

from __future__ import annotations

from collections.abc import Iterator

from tendis_py.services.doctor.case import NOTABLE, SECONDS, WORDS, Case, Check, Weighed
from tendis_py.services.observation import CommandFigures, Finding, QueueFigures
from tendis_py.services.quantities import counted, duration, percent, size

SLOW_FSYNC_NS = SLOW_READS_NS = 500_000
SLOW_READ_NS = 30_000
SLOW_LOCK_NS = 200_000
SLOW_COMMAND_NS = 1_000_000
"""On average, SLOW_READ_NS for each request of a batch; what takes less is no fault of its own,
however often it happens."""

NOTABLE_LOAD = 0.25
"""Seconds a second that calls of one command take."""

LONG_COMMAND_NS, LONG_COMMAND_LOAD = 20_000_000, 0.05
"""So long a call is felt by others where less of the time goes into it."""

NO_LOAD = ("exec", "stages|")
"""Commands, by the beginning of their names, whose time is that of others which count it, too, or
the doctor's own."""

FULL = 0.8
"""Part of a queue's capacity in use at which it is full."""

SHORT_QUEUE_NS = 10_000_000
"""What a queue holds when full should be more than so much work."""


def _stuck(case: Case) -> Iterator[Weighed]:
    """No figure has it yet: what is not over counts in no stage."""
    for work in case.observation.under_way:
        name = work.command.replace("|", " ").upper()
        doing = f"running {name}" if name else WORDS.get(work.stage, work.stage)
        runs = work.stage == "execute"
        if runs and work.pool in ("slow", "apart"):
            weight, advice = 0.1, "Others are not held up, but for those who want the same keys."
        elif runs:
            weight, advice = 2.0, "SLOWLOG GET shows the command once it is over, and its client."
        else:
            weight, advice = 2.0, "Look at the disk that dir is on, and at the system's log."
        yield (
            weight,
            Finding(
                "stuck",
                work.stage,
                0.0,
                f"{work.thread} has been {doing} for {work.seconds:.1f} s, with "
                f"{counted(work.requests, 'request')} in hand, and is not done.",
                advice,
            ),
        )


def _slow_fsync(case: Case) -> Iterator[Weighed]:
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


def _slow_reads(case: Case) -> Iterator[Weighed]:
    spent = case.of("engine")
    work = case.work_share("engine")
    if work < NOTABLE or spent.mean_ns < max(SLOW_READS_NS, SLOW_READ_NS * case.batch_size):
        return
    now = case.observation
    asked = now.row_cache_hits + now.row_cache_misses
    missed = ""
    if asked:
        missed = f", {percent(now.row_cache_misses / asked)} of rows not in the row cache"
    how = (
        "" if case.is_waiting else " It is the CPU rather than the disk: much is read, from memory."
    )
    yield (
        work if case.is_waiting else work / 3,
        Finding(
            "disk_read",
            "engine",
            case.share("engine"),
            f"{percent(work)} of the time in which requests are worked on goes into reading from "
            f"RocksDB: {spent}{missed}.{how}",
            "Raise cache-size (rows) and block-cache-size (blocks of files) so that what is asked "
            "for often stays in memory; or put dir on a faster disk. More executor-threads (with "
            "io-threads in models without executors) let more reads go on at once.",
        ),
    )


def _costly_commands(case: Case) -> Iterator[Weighed]:
    """Those that take most of what executing takes, which is a good part of the work, and each call
    of which is long. Where threads wait, reads are the disk's rather than theirs."""
    own, reads = case.work_share("execute"), case.work_share("engine")
    commands = [one for one in case.observation.commands if not one.name.startswith(NO_LOAD)]
    total = sum(command.load for command in commands)
    for command in sorted(commands, key=lambda one: -one.load)[:3]:
        load, mean_ns = command.load, _mean_ns(command)
        is_long = mean_ns >= LONG_COMMAND_NS
        work = own + (reads / 2 if case.is_waiting and is_long else reads * (not case.is_waiting))
        if work < NOTABLE or mean_ns < SLOW_COMMAND_NS or load < NOTABLE * total:
            continue
        if load < (LONG_COMMAND_LOAD if is_long else NOTABLE_LOAD):
            continue
        name = command.name.replace("|", " ").upper()
        yield (
            work * load / total * (1 - case.lock_share()),
            Finding(
                "cpu",
                "execute",
                case.share("execute") * load / total,
                f"{name} takes {percent(load / total)} of the time in commands: "
                f"{command.per_second:.1f} calls/s of {duration(mean_ns)} on average; "
                f"{percent(work)} of the work is running commands.",
                f"Call {name} less often or on smaller values (SCAN instead of KEYS, ranges "
                "instead of whole collections); SLOWLOG GET shows with which arguments. "
                f"{_lanes_advice(case)}",
            ),
        )


def _lanes_advice(case: Case) -> str:
    if case.observation.model == "tendis":
        return "Slow commands run in their own lane here, but all share the interpreter."
    return "threading-model tendis runs slow commands in a lane of their own, beside the others."


def _contended_keys(case: Case) -> Iterator[Weighed]:
    spent, share = case.of("lock"), case.lock_share()
    if share < NOTABLE or spent.mean_ns < SLOW_LOCK_NS:
        return
    keys = case.observation.contended_keys
    named = ", ".join(f'"{key}" ({percent(part)} of the waiting)' for key, part in keys[:3])
    known = sum(part for _, part in keys)
    if known < 0.5:
        named = f"all keys at once, or many{f'; {named}' * bool(named)}"
    longest = max(case.observation.commands, key=_mean_ns, default=None)
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


def _full_queue(case: Case) -> Iterator[Weighed]:
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


def _long_queue_advice(case: Case) -> str:
    executors = len(case.threads("executor"))
    return (
        f"More comes in than {counted(executors, 'executor')} can do; a longer queue only makes "
        "requests wait longer. See what the executors spend their time on (the other findings, "
        "STAGES LATENCY); executor-threads helps where they wait for the disk."
    )


def _mean_ns(command: CommandFigures) -> float:
    """Of a call in the last ten seconds."""
    return command.load / command.per_second * 1e9 if command.per_second else 0.0


CHECKS: tuple[Check, ...] = (
    _stuck,
    _slow_fsync,
    _slow_reads,
    _costly_commands,
    _contended_keys,
    _full_queue,
)
