"""`python -m bench.redis_defaults`: redis-benchmark's own tests of all types beside redis-server.

As `bench.compare` in method: rounds alternate, a ratio is taken within a round, the median counts.
Each measurement begins without the collection it is about; one that pops begins with as many
elements as it will pop, so that none is measured on a key that is gone, and LRANGE with a list of
100,000. Mind that all clients of
the LRANGE tests ask for the same range, which tendis-py then answers once a turn.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from bench import compare, redis_benchmark, report, revisions, servers, wire
from bench.compare import Rounds
from bench.redis_benchmark import Cell, Measurement
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, Server

TESTS = (
    *("INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN"),
    *("LRANGE_100", "LRANGE_600", "MSET", "XADD"),
)
_POINT_TESTS = TESTS[:10]
_GOALS = {
    **{(test, 1): 0.45 for test in _POINT_TESTS},
    **{(test, 16): 0.25 for test in _POINT_TESTS},
    ("LRANGE_100", 1): 0.5,
    ("MSET", 1): 0.4,
}
"""Test and pipeline → what the ratio should be."""

_COLLECTIONS = (b"mylist", b"myset", b"myhash", b"myzset", b"mystream")
# Calibrating pops a fraction of what a measurement pops; a million is more than a second's worth.
_CALIBRATION_POPS = 400_000
_MOST_POPS = 1_200_000
_AT_ONCE = 500
_PIPELINED = 20


def _list_command(elements: list[bytes]) -> bytes:
    return wire.command(b"RPUSH", b"mylist", *(wire.value(int(element)) for element in elements))


def _set_command(elements: list[bytes]) -> bytes:
    return wire.command(b"SADD", b"myset", *(b"element:%b" % element for element in elements))


def _zset_command(elements: list[bytes]) -> bytes:
    pairs = (part for element in elements for part in (element, b"element:%b" % element))
    return wire.command(b"ZADD", b"myzset", *pairs)


_FILLED: dict[str, Callable[[list[bytes]], bytes]] = {
    "LPOP": _list_command,
    "RPOP": _list_command,
    "SPOP": _set_command,
    "ZPOPMIN": _zset_command,
    "LRANGE_100": _list_command,
    "LRANGE_600": _list_command,
}
_POPPED = tuple(test for test in _FILLED if "POP" in test)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    cells = [Cell(test, 50, pipeline) for pipeline in options.pipelines for test in options.tests]
    with revisions.running([options.model], options.before) as running:
        results = {cell: measure(running, cell, options.rounds, options.seconds) for cell in cells}
    judged = goals(results, options.model)
    compare.publish("redis-defaults", options.out, results, [options.model], judged, options.before)


def measure(running: Sequence[Server], cell: Cell, rounds: int, seconds: float) -> Rounds:
    """As `compare.measure`, on collections made anew for each measurement."""
    return compare.measure(running, cell, rounds, seconds, _requests_for, _run)


def _requests_for(server: Server, cell: Cell, seconds: float) -> int:
    prepare(server.port, cell.test, _CALIBRATION_POPS)
    requests = redis_benchmark.requests_for(server, cell, seconds)
    return min(requests, _MOST_POPS) if cell.test in _POPPED else requests


def _run(server: Server, cell: Cell, requests: int) -> Measurement:
    prepare(server.port, cell.test, requests)
    return redis_benchmark.run(server, cell, requests)


def prepare(port: int, test: str, requests: int) -> None:
    """Delete the collections of the tests, and fill the one `test` is going to pop or read from."""
    with wire.Connection(port) as connection:
        for key in _COLLECTIONS:
            connection.exchange(wire.command(b"DEL", key), len(b":0\r\n"))
        fill = _FILLED.get(test)
        if fill is None:
            return
        count = requests if test in _POPPED else redis_benchmark.KEYS
        elements = (b"%012d" % number for number in range(count))
        filled = 0
        while parts := list(islice(_parts(elements), _PIPELINED)):
            replies = []
            for part in parts:
                filled += len(part)
                replies.append(b":%d\r\n" % (filled if fill is _list_command else len(part)))
            expected = b"".join(replies)
            if connection.exchange(b"".join(map(fill, parts)), len(expected)) != expected:
                raise wire.WireError(f"{test}: not filled as expected")


def _parts(elements: Iterator[bytes]) -> Iterator[list[bytes]]:
    while part := list(islice(elements, _AT_ONCE)):
        yield part


def goals(results: Mapping[Cell, Rounds], model: str) -> list[Goal]:
    """Each test's ratio to redis-server's rate against its goal."""
    return [
        Goal(f"{model}: {cell}", limit, compare.ratio(rounds, model), at_least=True)
        for cell, rounds in results.items()
        if (limit := _GOALS.get((cell.test, cell.pipeline))) is not None
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.redis_defaults", description=__doc__)
    parser.add_argument("--model", choices=servers.MODELS, default=DEFAULT_MODEL)
    parser.add_argument("--tests", nargs="+", choices=TESTS, default=TESTS, metavar="TEST")
    parser.add_argument("--pipelines", nargs="+", type=int, default=(1, 16))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    revisions.add_option(parser)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
