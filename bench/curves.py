"""`python -m bench.curves`: latency under load, of every threading model beside redis-server.

Uses `tendis-py load`. All servers run all the time, and only one is under load. In turn:

* the generator against redis-server, beside redis-benchmark: is it fast enough to ask?
* capacity: a closed loop, whose connections send whole pipelines;
* curves: an open loop at shares of each server's own capacity, so that latency counts the waiting;
* queues: how many requests wait in the server, and which share a reactor ran itself;
* isolation: an open loop at a fifth of the capacity while one client runs a slow command.

Writes results like the other benchmarks, and the pictures and tables of docs/threading-models.md.
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import curves_chart, curves_page, isolation, redis_benchmark, report, servers, wire
from bench.collections import Client
from bench.redis_benchmark import Cell
from bench.report import Goal
from bench.servers import HANDED_OVER, MODELS, REDIS, ROOT, Server

CONNECTIONS = 50
PIPELINE = 16
KEYS = 100_000
SHARES = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.1)
QUEUE_SHARES = (0.5, 0.8, 1.0, 1.2)
ISOLATION_SHARE = 0.2
HEAVY = ("nothing", "keys", "sleep")

_LOAD = ("--mix", "get=8 set=2", "--keys", str(KEYS), "--timeout", "30")
_COURSE = ("--interval", "0.1")
_GENERATOR_PIPELINES = (1, 16)
_SAMPLE_SECONDS = 0.05
_RUN_GRACE = 120.0
_COUNTS = re.compile(rb"\binline=(\d+),queued=(\d+)")
_GENERATOR_LIMIT = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: requests per second and ms; `cpu_us` of the server's process a request.
    `behind`: (seconds, requests) that were due and could not be sent, for all connections were
    full. `inline` the share of batches that reactors ran themselves, None where nothing says so."""

    asked: float
    rate: float
    p50: float
    p99: float
    p999: float
    longest: float
    errors: int
    cpu_us: float
    generator_us: float
    generator_busy: float
    behind: Sequence[tuple[float, float]] = ()
    inline: float | None = None


@dataclass(slots=True)
class Depths:
    """Requests that waited in a server's work queue: (seconds, requests), sampled."""

    samples: list[tuple[float, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """How long each part takes."""

    rounds: int
    seconds: float
    queue_seconds: float
    isolation_seconds: float
    shares: Sequence[float]
    queue_shares: Sequence[float]
    heavy: Sequence[str]

    @property
    def warm_up(self) -> float:
        return min(0.3, self.seconds / 4)


FULL = Run(2, 1.5, 4.0, 2.5, SHARES, QUEUE_SHARES, HEAVY)
QUICK = Run(1, 0.4, 0.6, 0.6, (0.5, 1.1), (0.5, 1.2), ("nothing", "keys"))


@dataclass(slots=True)
class Results:
    """By server: `capacity`, each round; `curves` and `queues` by share; `isolation` by heavy
    client. `generator` is a pipeline → (ours, redis-benchmark's) requests per second and CPU µs."""

    generator: dict[int, dict[str, float]] = field(default_factory=dict)
    capacity: dict[str, list[Point]] = field(default_factory=dict)
    curves: dict[str, dict[float, list[Point]]] = field(default_factory=dict)
    queues: dict[str, dict[float, tuple[Point, Depths]]] = field(default_factory=dict)
    isolation: dict[str, dict[str, Point]] = field(default_factory=dict)

    def rate(self, server: str) -> float:
        """The capacity, requests per second."""
        return statistics.median(point.rate for point in self.capacity[server])


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    run = QUICK if options.quick else FULL
    results = Results()
    with contextlib.ExitStack() as stack:
        running = [server for name in options.servers for server in _start(stack, name)]
        for server in running:
            wire.load(server.port, KEYS)
        if any(server.name == REDIS for server in running):
            measure_generator(running, run, results)
        measure_curves(running, run, results)
        measure_queues(running, run, results)
        measure_isolation(running, run, results)
    publish(results, options.out, options.docs or (None if options.quick else ROOT / "docs"))


def _start(stack: contextlib.ExitStack, name: str) -> Iterator[Server]:
    """The server, unless this tendis-py can't hand every batch over yet."""
    try:
        yield stack.enter_context(servers.running(name, *_directives(name)))
    except servers.ServerError as error:
        if name != HANDED_OVER:
            raise
        print(f"left out: {error}", file=sys.stderr)


def _directives(name: str) -> Sequence[str]:
    return ("--enable-debug-command", "local")


def measure_generator(running: Sequence[Server], run: Run, results: Results) -> None:
    """GETs by our generator and by redis-benchmark, in alternating rounds: the best of each, which
    other programs on the machine have disturbed least."""
    [server] = [server for server in running if server.name == REDIS]
    for pipeline in _GENERATOR_PIPELINES:
        cell = Cell("GET", CONNECTIONS, pipeline)
        requests = redis_benchmark.requests_for(server, cell, run.seconds)
        ours, theirs = [], []
        for _ in range(run.rounds + 1):
            options = ("-P", str(pipeline), "--mix", "get", *_closed(run))
            ours.append(load(server, *options))
            theirs.append(redis_benchmark.run(server, cell, requests).rps)
        best = max(ours, key=lambda point: point.rate)
        results.generator[pipeline] = {
            "rate": best.rate,
            "redis-benchmark": max(theirs),
            "generator_us": min(point.generator_us for point in ours),
            "server_us": min(point.cpu_us for point in ours),
        }


def measure_curves(running: Sequence[Server], run: Run, results: Results) -> None:
    for turn in range(run.rounds):
        for server in servers.in_turn(running, turn):
            point = load(server, "-P", str(PIPELINE), *_closed(run))
            results.capacity.setdefault(server.name, []).append(point)
    for turn in range(run.rounds):
        for share in run.shares:
            for server in servers.in_turn(running, turn):
                rate = share * results.rate(server.name)
                point = load(server, *_open(rate, run.seconds, run.warm_up))
                points = results.curves.setdefault(server.name, {}).setdefault(share, [])
                points.append(point)


def measure_queues(running: Sequence[Server], run: Run, results: Results) -> None:
    for server in running:
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(Client(server.port))
            if work_queue(client) is None:
                continue
            for share in run.queue_shares:
                rate = share * results.rate(server.name)
                with sampling(client) as depths:
                    point = load(server, *_open(rate, run.queue_seconds, 0.0), *_COURSE)
                results.queues.setdefault(server.name, {})[share] = point, depths


def measure_isolation(running: Sequence[Server], run: Run, results: Results) -> None:
    loads = {heavy.short: heavy for heavy in isolation.scenarios(KEYS)}
    for short in run.heavy:
        for server in running:
            rate = ISOLATION_SHARE * results.rate(server.name)
            with repeating(server, loads[short]):
                point = load(server, *_open(rate, run.isolation_seconds, run.warm_up))
            results.isolation.setdefault(server.name, {})[short] = point


def _closed(run: Run) -> Sequence[str]:
    return ("--seconds", str(run.seconds), "--warm-up", str(run.warm_up))


def _open(rate: float, seconds: float, warm_up: float) -> Sequence[str]:
    pipeline = ("--pipeline", str(PIPELINE))
    return (*pipeline, "--rate", f"{rate:.1f}", "-s", f"{seconds}", "--warm-up", f"{warm_up}")


def load(server: Server, *options: str) -> Point:
    """One run of `tendis-py load`, and what it cost the server."""
    command = [sys.executable, "-m", "tendis_py", "load", f"{wire.HOST}:{server.port}", "--quiet"]
    command += ["--connections", str(CONNECTIONS), "--json", "-"]
    if "--mix" in options:
        command += ["--keys", str(KEYS)]
    else:
        command += _LOAD
    before, used = batches(server), server.cpu_seconds()
    done = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_RUN_GRACE,
        check=False,
    )
    used = server.cpu_seconds() - used
    if done.returncode:
        raise SystemExit(f"{server.name}: {done.stdout[-500:]}{done.stderr[-500:]}")
    after = batches(server)
    found = json.loads(done.stdout)
    point = read_point(found, used)
    print(f"{server.name} {' '.join(options)}: {point}", file=sys.stderr)
    return with_inline(point, before, after)


def read_point(found: Mapping[str, Any], cpu_seconds: float) -> Point:
    """The figures of one run, whose JSON is `found`."""
    latency = found["latency_us"]["all"]
    answered = found["requests"]
    return Point(
        asked=found["plan"]["rate"] or 0.0,
        rate=found["requests_per_second"],
        p50=latency["p50"] / 1000,
        p99=latency["p99"] / 1000,
        p999=latency["p99.9"] / 1000,
        longest=latency["max"] / 1000,
        errors=sum(error["count"] for error in found["errors"].values()) + found["unanswered"],
        cpu_us=cpu_seconds / max(answered, 1) * 1e6,
        generator_us=found["generator"]["cpu_us_per_request"],
        generator_busy=found["generator"]["busy"],
        behind=[*_behind(found["course"], found["plan"]["rate"] or 0.0)],
    )


def _behind(course: Sequence[Mapping[str, float]], rate: float) -> Iterator[tuple[float, float]]:
    """What has waited in the generator at the end of each stretch, from how long the oldest has."""
    end = 0.0
    for stretch in course:
        end += stretch["seconds"]
        yield end, stretch["behind_ms"] / 1000 * rate


def batches(server: Server) -> tuple[int, int]:
    """Batches that reactors ran themselves, and that they handed over, since the start."""
    with Client(server.port) as client:
        return count_batches(client.call(b"INFO", b"stages"))


def count_batches(info: bytes) -> tuple[int, int]:
    found = _COUNTS.findall(info)
    return sum(int(inline) for inline, _ in found), sum(int(queued) for _, queued in found)


def with_inline(point: Point, before: tuple[int, int], after: tuple[int, int]) -> Point:
    """The point, with the share of the batches between two counts that ran in a reactor."""
    inline, queued = after[0] - before[0], after[1] - before[1]
    if inline + queued <= 0:
        return point
    return Point(**{**asdict(point), "inline": inline / (inline + queued)})


def work_queue(client: Client) -> int | None:
    """Requests that wait in the work queue now; None for a server that has none, or can't say."""
    try:
        queues = client.call(b"STAGES", b"QUEUES")
    except ValueError:
        return None
    return requests_waiting(queues)


def requests_waiting(queues: Sequence[Any]) -> int | None:
    """The requests of the queue `work` in what STAGES QUEUES answers: names and their figures,
    themselves in pairs, as RESP2 has maps."""
    for name, figures in zip(queues[::2], queues[1::2], strict=True):
        if name == b"work":
            return int(dict(zip(figures[::2], figures[1::2], strict=True))[b"requests"])
    return None


@contextlib.contextmanager
def sampling(client: Client) -> Iterator[Depths]:
    """Look at the work queue again and again in a thread, until the block is left."""
    depths = Depths()
    over = threading.Event()
    began = time.perf_counter()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            depth = work_queue(client)
            depths.samples.append((time.perf_counter() - began, depth or 0))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield depths
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def repeating(server: Server, heavy: isolation.Heavy) -> Iterator[None]:
    """Have one client send the heavy request again and again, until the block is left."""
    over = threading.Event()

    def repeat() -> None:
        with wire.Connection(server.port) as connection:
            while not over.is_set():
                connection.exchange(heavy.request, heavy.reply_size)

    thread = threading.Thread(target=repeat)
    if heavy.request:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if heavy.request:
            thread.join()


def goals(results: Results) -> list[Goal]:
    """Is the generator fast enough to measure these servers with?"""
    models = [name for name in results.capacity if name != REDIS]
    busiest = max(
        (point.generator_busy for name in models for point in results.capacity[name]), default=None
    )
    return [
        Goal("generator's share of a CPU while it saturates a model", _GENERATOR_LIMIT, busiest)
    ]


def publish(results: Results, out: Path, docs: Path | None) -> None:
    report.publish("curves", out, curves_page.sections(results), goals(results), asdict(results))
    if docs is not None:
        curves_chart.draw(results, docs / "images")
        curves_page.write(results, docs / "threading-models.md")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.curves", description=__doc__)
    names = (REDIS, *MODELS, HANDED_OVER)
    parser.add_argument("--servers", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="half a minute, to see that it works")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    parser.add_argument("--docs", type=Path, help="directory of the page and its images/")
    return parser


if __name__ == "__main__":
    main()
