"""What the server says of itself at one moment: plain records, the same for INFO stages, STAGES,
/metrics, the dashboard and whoever diagnoses.

Durations are in ns. What is counted is counted since the last CONFIG RESETSTAT, or over the last
WINDOWS seconds where a record says so. Knows nothing of where the figures come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WINDOWS = (10, 60)
"""Seconds that recent figures are of, besides those since the last reset."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took: percentiles are upper ends of buckets, at most 5 % off; all are 0
    when it did not happen."""

    count: int = 0
    sum_ns: int = 0
    p50_ns: int = 0
    p90_ns: int = 0
    p99_ns: int = 0
    p999_ns: int = 0
    max_ns: int = 0


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage (``services.stages`` has what each is) of requests of one ``lane`` (``fast``,
    ``slow``, ``control``), in the threads of one ``pool`` (``reactor``, ``executor``, ``slow``,
    ``apart``); both are ``background`` for what no request waits for. ``count`` is of requests,
    each of which spends all the time there that its batch does. ``recent``: window in seconds →
    durations."""

    stage: str
    lane: str
    pool: str
    all: Durations
    recent: Mapping[int, Durations]


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """``depth`` entries of ``requests`` and ``bytes`` wait now; ``peak_requests`` at the most since
    the reset. A ``capacity`` of 0 has no bound. ``refused``: offers to a full queue,
    ``refused_lately`` in the last ten seconds; ``paused``: reads that were put off meanwhile.

    ``work`` and ``slow`` lead to the executors. ``locks``: what waits for keys. Of each reactor N:
    ``responses-N`` (batches on their way back, and calls), ``held-N`` (batches for which there was
    no room in ``work``), ``ready-N`` (clients whose requests wait for their turn), ``heavy-N``
    (clients that send a lot and wait to be read), ``messages-N`` (of pub/sub, to be sent). Where
    entries are no batches, ``requests`` are the entries."""

    name: str
    depth: int
    requests: int
    bytes: int = 0
    peak_requests: int = 0
    capacity_requests: int = 0
    capacity_bytes: int = 0
    refused: int = 0
    paused: int = 0
    refused_lately: int = 0


@dataclass(frozen=True, slots=True)
class ThreadFigures:
    """Of one thread over the last ten seconds: the fraction of the time that it was ``busy``,
    ``batches`` a second that it executed, ``requests`` a second in them. ``connections`` are 0 but
    for a reactor."""

    name: str
    pool: str
    busy: float
    batches: float
    requests: float
    connections: int


@dataclass(frozen=True, slots=True)
class CommandFigures:
    """``service`` is the time in the command itself, ``total`` from the moment its bytes were read
    to its reply's being sent. Of the last ten seconds: calls ``per_second``, and their ``load``,
    seconds of service a second."""

    name: str
    calls: int
    failed: int
    rejected: int
    per_second: float
    service: Durations
    total: Durations
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """RocksDB: bytes of memtables and how many wait to be flushed, files of level 0, bytes that
    compaction is behind, writes that were stalled and for how long, how often it began to slow
    writers down by its word for the reason (``l0-file-count-limit-delays`` …), what runs in the
    background, the block cache, the log, and what of that is not on the disk yet."""

    memtable_bytes: int
    memtables_waiting: int
    level0_files: int
    pending_compaction_bytes: int
    stalls: int
    stalled_seconds: float
    stall_reasons: Mapping[str, int]
    is_stopped: bool
    delayed_write_rate: int
    running_compactions: int
    running_flushes: int
    block_cache_bytes: int
    log_bytes: int
    unsynced_bytes: int


@dataclass(frozen=True, slots=True)
class LockFigures:
    """Claims on keys that are held and that wait, now; ``contended`` ones had to wait since the
    reset, ``peak_waiting`` of them at once."""

    held: int = 0
    waiting: int = 0
    contended: int = 0
    peak_waiting: int = 0


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """A client that leaves replies unread: ``unsent`` bytes of them, for ``seconds`` since it last
    had all there was. ``client`` is its address, and its name if it has one."""

    client: str
    command: str
    unsent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What ``thread`` is doing that is not over, and not counted in any stage, therefore: for
    ``seconds`` it has been in ``stage`` with a batch of so many ``requests``. ``command``: the one
    that it runs, where that is known."""

    thread: str
    pool: str
    stage: str
    seconds: float
    requests: int
    command: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """``time`` in Unix seconds. Rates are of the last ten seconds. ``inline_share`` is the part of
    the batches that ran in a reactor; ``expiry_lag_ms`` how late the sweep has removed an expired
    key in the last ten seconds at the most; ``garbage`` deleted collections that wait to be
    reclaimed. ``row_cache_misses``: rows that were read from RocksDB since the cache did not have
    them; ``row_cache_hits``: keys that commands have looked up, less those, for a hit is not worth
    counting on its way. ``hot_keys``: the share of all requests that is about each, by a sample;
    ``contended_keys``: its share of all waiting for locks; both of the last ten seconds, keys as
    text."""

    time: float
    uptime: int
    model: str
    requests_per_second: float
    input_bytes_per_second: float
    output_bytes_per_second: float
    inline_share: float
    hits: int
    misses: int
    row_cache_bytes: int
    row_cache_hits: int
    row_cache_misses: int
    expiry_lag_ms: float
    garbage: int
    connected_clients: int
    blocked_clients: int
    subscribed_clients: int
    tracking_clients: int
    stages: Sequence[StageFigures]
    queues: Sequence[QueueFigures]
    threads: Sequence[ThreadFigures]
    commands: Sequence[CommandFigures]
    engine: EngineFigures
    whole_stages: Sequence[StageFigures] = ()
    """Each stage over all lanes and pools, which are "" here: what INFO stages calls by its name
    alone."""
    cpus: float = 0.0
    """So many CPUs the process keeps busy."""
    locks: LockFigures = LockFigures()
    under_way: Sequence[UnderWay] = ()
    """What has been so for a second or longer."""
    slow_readers: Sequence[ReaderFigures] = ()
    """At most ten, those with the most unsent first."""
    hot_keys: Sequence[tuple[str, float]] = ()
    contended_keys: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a diagnosis says: ``cause`` is a word (``fsync``, ``disk_read``, ``cpu``, ``queue``,
    ``slow_reader``, ``lock``, ``hot_key`` …), ``stage`` where it shows, ``share`` of the requests'
    time that it takes, what is seen in plain words, and what to change."""

    cause: str
    stage: str
    share: float
    seen: str
    advice: str
