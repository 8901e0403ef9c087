"""One run of redis-benchmark, its report read back as figures, and the server's CPU time.

The plain report is read rather than `--csv`, because only it has the distribution p99.9 comes from.
"""

import itertools
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1

from bench.servers import Server
from bench.wire import HOST, VALUE_SIZE

KEYS = 100_000

SCRIPT = (
    b"local before = redis.call('GET', KEYS[1]) redis.call('SET', KEYS[1], ARGV[1]) return before"
)
USER, PASSWORD = "alice", "secret"

_TESTS = {
    "PING": ("-t", "ping_mbulk"),
    "GET_AS_USER": ("--user", USER, "-a", PASSWORD, "-t", "get"),
}
_ON_A_KEY = ("1", "key:__rand_int__", "x" * VALUE_SIZE)
_COMMANDS = {
    "EVALSHA": ("EVALSHA", sha1(SCRIPT, usedforsecurity=False).hexdigest(), *_ON_A_KEY),
    "FCALL": ("FCALL", "swap", *_ON_A_KEY),
    "XADD": ("XADD", "mystream", "*", "field", "x" * VALUE_SIZE),
    "LRANGE_100": ("LRANGE", "mylist", "0", "99"),
    "LRANGE_600": ("LRANGE", "mylist", "0", "599"),
}
"""What redis-benchmark has no test for, or one that also measures something else: before an LRANGE
of its own it pushes as many elements, and the server's CPU time would be that of both. The script
and the function, and the user above, are there already."""

_RUN_SECONDS = 120.0
_CALIBRATION_LIMIT = 500_000
_PERCENTILES = "Latency by percentile distribution:"
_CUMULATIVE = "Cumulative distribution of latencies:"
_ROW = re.compile(r"([\d.]+)% <= ([\d.]+) milliseconds")
_THROUGHPUT = re.compile(r"throughput summary: (\S+) requests per second")


class BenchmarkError(Exception):
    """redis-benchmark failed, or its report was not understood."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One load: `test`, as redis-benchmark's `-t`, PING or XADD, with this many clients, each with
    `pipeline` requests out."""

    test: str
    clients: int
    pipeline: int

    def __str__(self) -> str:
        return f"{self.test}, {self.clients} clients, pipeline {self.pipeline}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Requests per second, latencies in milliseconds, and the server's CPU time a request in µs."""

    rps: float
    p50: float
    p99: float
    p999: float
    cpu_us: float


def run(server: Server, cell: Cell, requests: int, *, keys: int = KEYS) -> Measurement:
    """Send `requests` requests of this load to a server, on so many random keys."""
    command = [
        *["redis-benchmark", "-h", HOST, "-p", str(server.port)],
        *["-c", str(cell.clients), "-P", str(cell.pipeline), "-n", str(requests)],
        *["-d", str(VALUE_SIZE), "-r", str(keys), "--precision", "3"],
        *_load(cell.test),
    ]
    used = server.cpu_seconds()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_RUN_SECONDS, check=True
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{cell}: no end after {_RUN_SECONDS:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"{cell}: {error.stdout[-500:]}{error.stderr[-500:]}") from error
    return parse(done.stdout, (server.cpu_seconds() - used) / requests * 1e6)


def _load(test: str) -> Sequence[str]:
    return _COMMANDS.get(test) or _TESTS.get(test) or ("-t", test.lower())


def requests_for(server: Server, cell: Cell, seconds: float, *, keys: int = KEYS) -> int:
    """How many requests of this load keep a server busy for about `seconds`."""
    requests = 20 * cell.clients * cell.pipeline
    rate = run(server, cell, requests, keys=keys).rps
    while requests < min(rate * seconds / 8, _CALIBRATION_LIMIT):
        requests *= 4
        rate = run(server, cell, requests, keys=keys).rps
    return max(int(rate * seconds), requests)


def parse(report: str, cpu_us: float) -> Measurement:
    """Read the report of one test, during which each request took `cpu_us`. p99.9 is the first row
    at or above 99.9 %."""
    throughput = _THROUGHPUT.search(report)
    _, _, distributions = report.partition(_PERCENTILES)
    by_percentile, _, cumulative = distributions.partition(_CUMULATIVE)
    if throughput is None or not cumulative:
        raise BenchmarkError(f"not a report of redis-benchmark: {report[-500:]!r}")
    rows = [(float(row[1]), float(row[2])) for row in _ROW.finditer(by_percentile)]
    fine = rows + [(float(row[1]), float(row[2])) for row in _ROW.finditer(cumulative)]
    p50, p99 = _summary(cumulative)
    return Measurement(float(throughput[1]), p50, p99, _first_at_or_above(fine, 99.9), cpu_us)


def _summary(text: str) -> tuple[float, float]:
    """p50 and p99 from the summary, found by the names above its figures."""
    lines = text.splitlines()
    for names, figures in itertools.pairwise(lines):
        if names.split()[:2] == ["avg", "min"]:
            row = dict(zip(names.split(), map(float, figures.split()), strict=True))
            return row["p50"], row["p99"]
    raise BenchmarkError(f"no latency summary: {text[-500:]!r}")


def _first_at_or_above(rows: list[tuple[float, float]], percent: float) -> float:
    reached = [latency for share, latency in rows if share >= percent]
    if not reached:
        raise BenchmarkError(f"the distribution does not reach {percent} %")
    return min(reached)
