"""`python -m bench.compare`: tendis-py in each threading model beside redis-server.

Rounds alternate: in each round of each cell redis-server is measured, then every model, while the
others are up but idle. A ratio is always taken within one round, because a shared machine changes
speed from minute to minute; the median of the rounds' ratios is what counts. With `--before`, each
model of an older commit is one more server of the same rounds.
"""

import argparse
import contextlib
import itertools
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import chart, redis_benchmark, report, revisions, servers, wire
from bench.redis_benchmark import Cell, Measurement
from bench.report import Goal
from bench.revisions import Change
from bench.servers import BARE_LOOP, DEFAULT_MODEL, MODELS, REDIS, Server

Rounds = dict[str, list[Measurement]]
"""The measurements of one cell: for each server, one a round."""

_FLOOR_TEST = "PING"
"""The only test that the bare loop can answer."""
_TESTS = (_FLOOR_TEST, "SET", "GET")
_DEFAULT_GOALS = (
    (Cell("PING", 50, 1), 0.85),
    (Cell("SET", 50, 1), 0.65),
    (Cell("GET", 50, 1), 0.85),
    (Cell("SET", 50, 16), 0.40),
    (Cell("GET", 50, 16), 0.60),
    (Cell("SET", 500, 1), 0.65),
    (Cell("GET", 500, 1), 0.80),
    (Cell("PING", 1, 1), 0.75),
    (Cell("SET", 1, 1), 0.55),
    (Cell("GET", 1, 1), 0.70),
)
_OTHER_GOALS = ((Cell("SET", 50, 1), 0.40), (Cell("GET", 50, 1), 0.40))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    before = options.before
    models = options.models or (MODELS if before is None else (DEFAULT_MODEL,))
    cells = [
        Cell(*values)
        for values in itertools.product(options.tests, options.clients, options.pipelines)
    ]
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(revisions.running(models, before))
        floor = stack.enter_context(servers.running(BARE_LOOP))
        for server in running:
            wire.load(server.port, redis_benchmark.KEYS)
        results = {}
        for cell in cells:
            measured = [*running, floor] if cell.test == _FLOOR_TEST else running
            results[cell] = measure(measured, cell, options.rounds, options.seconds)
    publish("compare", options.out, results, models, goals(results, models), before)
    if before is None:
        by_cell = {cell: _ratios(rounds) for cell, rounds in results.items()}
        chart.draw(by_cell, report.result_stem("compare", options.out).with_suffix(".svg"))


def measure(
    running: Sequence[Server],
    cell: Cell,
    rounds: int,
    seconds: float,
    requests_for: Callable[[Server, Cell, float], int] = redis_benchmark.requests_for,
    run: Callable[[Server, Cell, int], Measurement] = redis_benchmark.run,
) -> Rounds:
    """Measure one cell on every server, in each round in the order of `servers.in_turn`."""
    requests = {server.name: requests_for(server, cell, seconds) for server in running}
    measured: Rounds = {server.name: [] for server in running}
    for turn in range(rounds):
        for server in servers.in_turn(running, turn):
            found = run(server, cell, requests[server.name])
            measured[server.name].append(found)
            print(f"{cell}: {server.name} {found.rps:,.0f}/s", file=sys.stderr)
    return measured


def publish(
    name: str,
    out: Path,
    results: Mapping[Cell, Rounds],
    models: Sequence[str],
    judged: Sequence[Goal],
    before: str | None,
) -> None:
    """Report the cells and the goals `judged`; since a commit `before`, also what has changed."""
    sections = {"Throughput and latency": results_table(results)}
    changed: list[Goal] = []
    if before is not None:
        sections["Before and after"] = changes_table(results, models)
        changed = change_goals(results, models)
    data = {"cells": [record(cell, rounds) for cell, rounds in results.items()]}
    kind = revisions.kind(name, before)
    report.publish(kind, out, sections, [*changed, *judged], data, before)


def ratio(rounds: Rounds, name: str) -> float:
    """The median over the rounds of this server's rate divided by redis-server's in that round."""
    pairs = zip(rounds[name], rounds[REDIS], strict=True)
    return statistics.median(own.rps / reference.rps for own, reference in pairs)


def goals(results: Mapping[Cell, Rounds], models: Sequence[str]) -> list[Goal]:
    """The goals of the measured models, each with the ratio found, if its cell was measured."""
    found = []
    for model in models:
        for cell, limit in _DEFAULT_GOALS if model == DEFAULT_MODEL else _OTHER_GOALS:
            value = ratio(results[cell], model) if cell in results else None
            found.append(Goal(f"{model}: {cell}", limit, value, at_least=True))
    return found


def change(
    rounds: Rounds, model: str, figure: Callable[[Measurement], float] = lambda one: one.rps
) -> Change:
    """A figure, requests per second unless told otherwise, of a model before and after."""
    before = rounds[revisions.before_name(model)]
    return Change(list(map(figure, before)), list(map(figure, rounds[model])))


def change_goals(results: Mapping[Cell, Rounds], models: Sequence[str]) -> list[Goal]:
    """No cell of any model has become slower."""
    return [
        revisions.rate_goal(f"{model}: {cell}", change(rounds, model))
        for model in models
        for cell, rounds in results.items()
    ]


def changes_table(results: Mapping[Cell, Rounds], models: Sequence[str]) -> str:
    header = ("test", "clients", "pipeline", "server")
    rows = [
        (
            *(cell.test, str(cell.clients), str(cell.pipeline), model),
            *change(rounds, model).columns(),
            *change(rounds, model, lambda one: one.cpu_us).columns(digits=1),
        )
        for cell, rounds in results.items()
        for model in models
    ]
    return report.table(
        (*header, *revisions.header("requests/s"), *revisions.header("CPU µs")), rows
    )


def results_table(results: Mapping[Cell, Rounds]) -> str:
    header = ("test", "clients", "pipeline", "server", "requests/s", "ratio", "CPU µs")
    rows = []
    for cell, rounds in results.items():
        for name, measured in rounds.items():
            load = (cell.test, str(cell.clients), str(cell.pipeline))
            rate = f"{_median(measured, lambda one: one.rps):,.0f}"
            latencies = (
                _median(measured, lambda one: one.p50),
                _median(measured, lambda one: one.p99),
                _median(measured, lambda one: one.p999),
            )
            cpu = f"{_median(measured, lambda one: one.cpu_us):.1f}"
            figures = [f"{latency:.3f}" for latency in latencies]
            rows.append((*load, name, rate, f"{ratio(rounds, name):.2f}", cpu, *figures))
    return report.table((*header, "p50 ms", "p99 ms", "p99.9 ms"), rows)


def _median(measured: Sequence[Measurement], figure: Callable[[Measurement], float]) -> float:
    return statistics.median(map(figure, measured))


def _ratios(rounds: Rounds) -> dict[str, float]:
    return {name: ratio(rounds, name) for name in rounds if name != REDIS}


def record(cell: Cell, rounds: Rounds) -> dict[str, object]:
    """What the result file says of one cell."""
    measured = {name: [asdict(one) for one in several] for name, several in rounds.items()}
    return {**asdict(cell), "ratios": _ratios(rounds), "rounds": measured}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    parser.add_argument(
        "--models",
        nargs="+",
        choices=MODELS,
        metavar="MODEL",
        help=f"default: all; with --before, {DEFAULT_MODEL}",
    )
    parser.add_argument("--clients", nargs="+", type=int, default=(1, 50, 500))
    parser.add_argument("--pipelines", nargs="+", type=int, default=(1, 16))
    parser.add_argument("--tests", nargs="+", choices=_TESTS, default=_TESTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    revisions.add_option(parser)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
