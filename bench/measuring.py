"""`python -m bench.measuring`: what it costs that the server measures itself.

The server as it is beside one without (`bench.unmeasured`), in alternating rounds as in `compare`.
A ratio is measured over unmeasured, within a round; the median of the rounds is judged.
"""

import argparse
import contextlib
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import compare, redis_benchmark, report, servers, unmeasured, wire
from bench.redis_benchmark import Cell
from bench.report import Goal
from bench.revisions import Change
from bench.servers import DEFAULT_MODEL, MODELS

SHARE = 0.95
"""Of the throughput without measuring, what is left at least."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    cells = [
        Cell(*values)
        for values in itertools.product(options.tests, options.clients, options.pipelines)
    ]
    results: dict[str, dict[Cell, compare.Rounds]] = {}
    with unmeasured.tree() as tree:
        for model in options.models:
            with contextlib.ExitStack() as stack:
                running = [
                    stack.enter_context(
                        servers.running(model, tree=tree, label=without_name(model))
                    ),
                    stack.enter_context(servers.running(model)),
                ]
                for server in running:
                    wire.load(server.port, redis_benchmark.KEYS)
                results[model] = {
                    cell: compare.measure(running, cell, options.rounds, options.seconds)
                    for cell in cells
                }
    publish(options.out, results)


def without_name(model: str) -> str:
    """The name of the server that runs this model without measuring."""
    return f"{model} unmeasured"


def rates(rounds: compare.Rounds, model: str) -> Change:
    """Requests a second without measuring, and with it."""
    return Change(
        [one.rps for one in rounds[without_name(model)]], [one.rps for one in rounds[model]]
    )


def publish(out: Path, results: Mapping[str, Mapping[Cell, compare.Rounds]]) -> None:
    rows = []
    goals = []
    for model, cells in results.items():
        for cell, rounds in cells.items():
            change = rates(rounds, model)
            without, measured = (
                statistics.median(one.cpu_us for one in rounds[name])
                for name in (without_name(model), model)
            )
            rows.append((model, str(cell), *change.columns(), f"{without:.1f}", f"{measured:.1f}"))
            goals.append(Goal(f"{model}: {cell}", SHARE, change.ratio, at_least=True, digits=3))
    header = (
        *("model", "load", "requests/s unmeasured", "measured", "ratio", "rounds"),
        *("CPU µs unmeasured", "measured"),
    )
    data = {
        "cells": [
            {
                "model": model,
                **asdict(cell),
                "rounds": {name: [asdict(one) for one in found] for name, found in rounds.items()},
            }
            for model, cells in results.items()
            for cell, rounds in cells.items()
        ]
    }
    report.publish("measuring", out, {"Throughput": report.table(header, rows)}, goals, data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.measuring", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=(DEFAULT_MODEL,))
    parser.add_argument("--tests", nargs="+", default=("SET", "GET"))
    parser.add_argument("--clients", nargs="+", type=int, default=(1, 50))
    parser.add_argument("--pipelines", nargs="+", type=int, default=(1, 16))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
