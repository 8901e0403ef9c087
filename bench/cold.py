"""`python -m bench.cold`: data about ten times as large as tendis-py's caches, beside redis-server.

Both are loaded, restarted, and asked at random: first for elements of large collections that
nobody has asked for since the restart, one at a time, then GET and SET by 50 clients. Loading time,
restart time, resident size, bytes on disk and bytes written are told besides.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import collections, redis_benchmark, report, servers, wire
from bench.collections import Client, Command
from bench.redis_benchmark import Cell
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, REDIS, Server

_MEGABYTE = 1_000_000
_SERVERS = (REDIS, DEFAULT_MODEL)
_LOADING = Cell("SET", 50, 64)
_LOAD_SLICES = 10
_RANDOM = (Cell("GET", 50, 1), Cell("SET", 50, 1), Cell("GET", 50, 16), Cell("SET", 50, 16))
_KEYS_A_COLLECTION = 5
"""A collection has an element for each so many keys."""

_RATIO_GOALS = {_RANDOM[0]: 0.5, _RANDOM[1]: 0.5}
_LOAD_GOAL = 0.3
_POINT_GOAL_MS = 0.5
_RESTART_GOAL = 2.0
_RESIDENT_GOAL = 400.0

POINTS: Mapping[str, Callable[[int], Command]] = {
    "GET": lambda at: (b"GET", wire.key(at)),
    "HGET": lambda at: (b"HGET", b"hash", b"element:%012d" % at),
    "ZSCORE": lambda at: (b"ZSCORE", b"zset", b"element:%012d" % at),
    "ZRANGEBYSCORE 1": lambda at: (
        *(b"ZRANGEBYSCORE", b"zset", b"%d" % at, b"+inf"),
        *(b"LIMIT", b"0", b"1"),
    ),
    "LINDEX": lambda at: (b"LINDEX", b"list", b"%d" % at),
    "XRANGE 1": lambda at: (b"XRANGE", b"stream", b"%d-1" % (at + 1), b"+", b"COUNT", b"1"),
}
"""Element → a command that reads it, and hardly more."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A server after it was loaded: SETs per second at pipeline 64, resident bytes, bytes on disk,
    and bytes written to disk for each byte of the keys and values that were sent."""

    server: str
    loads_per_second: float
    resident_bytes: int
    disk_bytes: int
    written_per_byte: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """Seconds from the start of the process to its first PONG, and resident bytes at the end."""

    server: str
    seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Point:
    """Round trips in ms of one operation, one client, on elements asked for the first time."""

    server: str
    operation: str
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests per second of one load, a pair for each round."""

    cell: Cell
    redis: list[float]
    tendis: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(ours / theirs for ours, theirs in zip(self.tendis, self.redis, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    with contextlib.ExitStack() as stack:
        folders = {
            name: stack.enter_context(tempfile.TemporaryDirectory(prefix="tendis-bench-"))
            for name in _SERVERS
        }
        directives = {REDIS: (), DEFAULT_MODEL: caches(options.keys)}
        loaded = [
            load(name, Path(folders[name]), directives[name], options.keys) for name in _SERVERS
        ]
        started: dict[str, float] = {}
        running: dict[str, Server] = {}
        for name in _SERVERS:
            before = time.perf_counter()
            running[name] = stack.enter_context(
                servers.running(name, *directives[name], data=folders[name])
            )
            started[name] = time.perf_counter() - before
        points = [
            one for name in _SERVERS for one in point_reads(running[name], options.keys, options)
        ]
        rates = [random_load(running, cell, options) for cell in _RANDOM]
        restarted = [
            Restarted(name, started[name], running[name].resident_bytes()) for name in _SERVERS
        ]
    report.publish(
        "cold",
        options.out,
        {
            f"Loading {options.keys:,} keys": _loaded_table(loaded),
            "After a restart": _restarted_table(restarted),
            "Cold reads, one client": _points_table(points),
            "At random": _rates_table(rates),
        },
        goals(loaded, restarted, points, rates),
        {
            "loaded": [asdict(one) for one in loaded],
            "restarted": [asdict(one) for one in restarted],
            "points": [asdict(one) for one in points],
            "rates": [{**asdict(one), "ratio": one.ratio} for one in rates],
        },
    )


def caches(keys: int) -> tuple[str, ...]:
    """The directives that make the caches a tenth of the data, collections included: 64 MB for
    rows and 32 MB for blocks at 5 million keys."""
    rows = max(keys * 64 // 5_000_000, 1)
    return ("--cache-size", f"{rows}mb", "--block-cache-size", f"{max(rows // 2, 1)}mb")


def load(name: str, folder: Path, directives: Sequence[str], keys: int) -> Loaded:
    """Fill a fresh server in ``folder``: half or more of the keys at pipeline 64, as fast as it
    takes them, then all of them with values that can be told apart and hardly compress, and the
    collections."""
    with servers.running(name, *directives, data=str(folder)) as server:
        seconds = 0.0
        count = keys // _LOAD_SLICES
        for _ in range(_LOAD_SLICES):
            seconds += count / redis_benchmark.run(server, _LOADING, count, keys=keys).rps
        wire.load(server.port, keys)
        sent = 2 * keys * (wire.KEY_SIZE + wire.VALUE_SIZE)
        written = written_bytes(Path(f"/proc/{server.pid}/io").read_text())
        collections.load(server.port, keys // _KEYS_A_COLLECTION, collections.WITHOUT_SETS)
        resident = server.resident_bytes()
    found = Loaded(
        name, count * _LOAD_SLICES / seconds, resident, disk_bytes(folder), written / sent
    )
    print(found, file=sys.stderr)
    return found


def written_bytes(io: str) -> int:
    """What a process has had written to disk, from the text of its /proc/PID/io."""
    for line in io.splitlines():
        name, _, figure = line.partition(":")
        if name == "write_bytes":
            return int(figure)
    raise ValueError("the kernel does not count what processes write")


def disk_bytes(folder: Path) -> int:
    """The sizes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def point_reads(server: Server, keys: int, options: argparse.Namespace) -> Iterator[Point]:
    """Each of POINTS on elements drawn anew, with one request out."""
    for operation, command_of in POINTS.items():
        size = keys if operation == "GET" else keys // _KEYS_A_COLLECTION
        draws = random.sample(range(size), min(options.calls, size))
        with Client(server.port) as client:
            took = sorted(_round_trip(client, command_of(at)) for at in draws)
        p50, p99 = (report.percentile(took, percent) / 1e6 for percent in (50.0, 99.0))
        found = Point(server.name, operation, p50, p99)
        print(found, file=sys.stderr)
        yield found


def _round_trip(client: Client, command: Command) -> int:
    """In ns."""
    started = time.perf_counter_ns()
    reply = client.call(*command)
    took = time.perf_counter_ns() - started
    if not reply:
        raise wire.WireError(f"nothing for {command!r}, which was loaded")
    return took


def random_load(running: Mapping[str, Server], cell: Cell, options: argparse.Namespace) -> Rates:
    """In each round one server after the other."""
    requests = {
        name: redis_benchmark.requests_for(server, cell, options.seconds, keys=options.keys)
        for name, server in running.items()
    }
    rates = Rates(cell, [], [])
    for _ in range(options.rounds):
        for name, found in ((REDIS, rates.redis), (DEFAULT_MODEL, rates.tendis)):
            measured = redis_benchmark.run(running[name], cell, requests[name], keys=options.keys)
            found.append(measured.rps)
    print(rates, file=sys.stderr)
    return rates


def goals(
    loaded: Sequence[Loaded],
    restarted: Sequence[Restarted],
    points: Sequence[Point],
    rates: Sequence[Rates],
) -> list[Goal]:
    """Speed as a share of redis-server's, and limits for tendis-py alone. Resident memory is judged
    at 5 million keys, the default, and below."""
    speed = {one.server: one.loads_per_second for one in loaded}
    share = speed[DEFAULT_MODEL] / speed[REDIS]
    found = [Goal("loading at pipeline 64, ratio", _LOAD_GOAL, share, at_least=True)]
    found += [
        Goal(f"{one.cell}, ratio", _RATIO_GOALS[one.cell], one.ratio, at_least=True)
        for one in rates
        if one.cell in _RATIO_GOALS
    ]
    found += [
        Goal(f"cold {one.operation}, median", _POINT_GOAL_MS, one.p50, " ms")
        for one in points
        if one.server == DEFAULT_MODEL
    ]
    found += [
        Goal("restart", _RESTART_GOAL, one.seconds, " s")
        for one in restarted
        if one.server == DEFAULT_MODEL
    ]
    resident = [one for one in (*loaded, *restarted) if one.server == DEFAULT_MODEL]
    most = max(one.resident_bytes for one in resident) / _MEGABYTE
    return [*found, Goal("resident, at most", _RESIDENT_GOAL, most, " MB")]


def _loaded_table(loaded: Sequence[Loaded]) -> str:
    header = ("server", "loads/s", "MB resident", "MB on disk", "bytes written a byte")
    rows = [
        (
            one.server,
            f"{one.loads_per_second:,.0f}",
            f"{one.resident_bytes / _MEGABYTE:,.0f}",
            f"{one.disk_bytes / _MEGABYTE:,.0f}",
            f"{one.written_per_byte:.1f}",
        )
        for one in loaded
    ]
    return report.table(header, rows)


def _restarted_table(restarted: Sequence[Restarted]) -> str:
    rows = [
        (one.server, f"{one.seconds:.2f}", f"{one.resident_bytes / _MEGABYTE:,.0f}")
        for one in restarted
    ]
    return report.table(("server", "first PONG after s", "MB resident at the end"), rows)


def _points_table(points: Sequence[Point]) -> str:
    rows = [
        (one.operation, one.server, f"{one.p50:.3f}", f"{one.p99:.3f}")
        for one in sorted(points, key=lambda one: list(POINTS).index(one.operation))
    ]
    return report.table(("operation", "server", "p50 ms", "p99 ms"), rows)


def _rates_table(rates: Sequence[Rates]) -> str:
    rows = [
        (
            str(one.cell),
            f"{median(one.redis):,.0f}",
            f"{median(one.tendis):,.0f}",
            f"{one.ratio:.2f}",
        )
        for one in rates
    ]
    return report.table(("load", f"{REDIS} requests/s", "tendis-py requests/s", "ratio"), rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.cold", description=__doc__)
    parser.add_argument("--keys", type=int, default=5_000_000)
    parser.add_argument("--calls", type=int, default=500, help="of each cold read")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a measurement")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
