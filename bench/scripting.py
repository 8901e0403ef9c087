"""`python -m bench.scripting`: scripts, functions and an ACL user, under redis-benchmark's load.

As `bench.compare` in method: rounds alternate, a ratio is taken within a round, the median counts.
The script, and the function, is a GET and a SET of the one key that it declares. Requests of a user
who may do some things, on some keys, alternate with those of the default user, and are compared
with these.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import compare, redis_benchmark, report, revisions, servers
from bench.collections import Client
from bench.compare import Rounds
from bench.redis_benchmark import PASSWORD, SCRIPT, USER, Cell
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, Server

TESTS = ("EVALSHA", "FCALL")
AS_ANYBODY, AS_USER = "GET", "GET_AS_USER"
_GOALS = {1: 0.4, 16: 0.2}
_USER_GOAL = 0.9
_LIBRARY = b"""#!lua name=bench
redis.register_function('swap', function(KEYS, ARGV) %b end)
"""
_RULES = ("on", f">{PASSWORD}", "~key:*", "+@read", "+@write", "-@dangerous", "+config|get")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    results: dict[Cell, Rounds] = {}
    with revisions.running([options.model], options.before) as running:
        for server in running:
            prepare(server)
        for pipeline in options.pipelines:
            for test in TESTS:
                cell = Cell(test, options.clients, pipeline)
                results[cell] = compare.measure(running, cell, options.rounds, options.seconds)
            results |= measure_users(
                running, options.clients, pipeline, options.rounds, options.seconds
            )
    judged = goals(results, options.model)
    compare.publish("scripting", options.out, results, [options.model], judged, options.before)


def prepare(server: Server) -> None:
    """Have the script, the function, the user and the keys."""
    with Client(server.port) as client:
        client.call(b"SCRIPT", b"LOAD", SCRIPT)
        client.call(b"FUNCTION", b"LOAD", b"REPLACE", _LIBRARY % SCRIPT)
        client.call(b"ACL", b"SETUSER", USER.encode(), *(rule.encode() for rule in _RULES))
    redis_benchmark.run(server, Cell("SET", 50, 16), 2 * redis_benchmark.KEYS)


def measure_users(
    running: Sequence[Server], clients: int, pipeline: int, rounds: int, seconds: float
) -> dict[Cell, Rounds]:
    """GETs of the default user and of the other, one after the other in each round."""
    cells = [Cell(test, clients, pipeline) for test in (AS_ANYBODY, AS_USER)]
    requests = {
        server.name: redis_benchmark.requests_for(server, cells[0], seconds) for server in running
    }
    measured: dict[Cell, Rounds] = {cell: {server.name: [] for server in running} for cell in cells}
    for turn in range(rounds):
        for server in servers.in_turn(running, turn):
            for cell in cells:
                found = redis_benchmark.run(server, cell, requests[server.name])
                measured[cell][server.name].append(found)
                print(f"{cell}: {server.name} {found.rps:,.0f}/s", file=sys.stderr)
    return measured


def goals(results: Mapping[Cell, Rounds], model: str) -> list[Goal]:
    """Scripts and functions against redis-server, the user against the default user."""
    found = [
        Goal(f"{model}: {cell}", _GOALS[cell.pipeline], compare.ratio(rounds, model), at_least=True)
        for cell, rounds in results.items()
        if cell.test in TESTS and cell.pipeline in _GOALS
    ]
    for cell, rounds in results.items():
        if cell.test == AS_USER:
            other = results[Cell(AS_ANYBODY, cell.clients, cell.pipeline)]
            pairs = zip(rounds[model], other[model], strict=True)
            share = statistics.median(own.rps / default.rps for own, default in pairs)
            name = f"{model}: {cell}, to those of the default user"
            found.append(Goal(name, _USER_GOAL, share, at_least=True))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.scripting", description=__doc__)
    parser.add_argument("--model", choices=servers.MODELS, default=DEFAULT_MODEL)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pipelines", nargs="+", type=int, default=(1, 16))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    revisions.add_option(parser)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
