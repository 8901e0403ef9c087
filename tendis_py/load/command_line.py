"""``tendis-py load``: carries out a plan, and says what came of it."""

from __future__ import annotations

import json
import select
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from tendis_py.load.errors import LoadError
from tendis_py.load.generator import ClosedLoop, Generator, Limits, OpenLoop
from tendis_py.load.outcome import ALL, Outcome, outcome_of
from tendis_py.load.plan import Plan, parse_plan
from tendis_py.load.progress import show_progress
from tendis_py.load.report import text_of
from tendis_py.load.target import connect

_FILL_CONNECTIONS = 4
_FILL_PIPELINE = 64


def main(arguments: list[str]) -> int:
    """Put load on a server; the exit code: 0, 1 when the run could not be made or ended early, 2
    for a command line that can't be."""
    try:
        plan = parse_plan(arguments)
    except LoadError as error:
        print(f"tendis-py load: {error}", file=sys.stderr)
        return 2
    except SystemExit:  # --help
        return 0
    try:
        outcome = trio.run(run_plan, plan)
        _publish(plan, outcome)
    except (LoadError, OSError) as error:
        print(f"tendis-py load: {error}", file=sys.stderr)
        return 1
    return 1 if outcome.failure else 0


async def run_plan(plan: Plan) -> Outcome:
    """Fill, warm up, measure. Raises LoadError when there is no connection to begin with."""
    for note in plan.notes:
        print(note, file=sys.stderr)
    make: Callable[..., Generator]
    if plan.fill is not None:
        source, keys = plan.fill
        limits = Limits(None, keys, 0.0, plan.limits.patience)
        make = partial(ClosedLoop, source=source, pipeline=_FILL_PIPELINE, limits=limits)
        filling = await _run(plan, make, min(_FILL_CONNECTIONS, keys), "filling")
        errors = list(filling.tally.errors.values())
        if filling.failure or errors or filling.interrupted:
            why = filling.failure or (errors[0].example if errors else "interrupted")
            raise LoadError(f"--fill: {why}")
    if plan.offsets is None:
        make = partial(ClosedLoop, source=plan.source, pipeline=plan.pipeline, limits=plan.limits)
    else:
        make = partial(
            OpenLoop,
            source=plan.source,
            pipeline=plan.pipeline,
            limits=plan.limits,
            offsets=plan.offsets,
        )
    generator = await _run(plan, make, plan.connections, "load")
    return outcome_of(generator, plan.source.names, plan.facts)


async def _run(
    plan: Plan, make: Callable[..., Generator], connections: int, title: str
) -> Generator:
    epoll = select.epoll()
    try:
        sockets = await connect(plan.target, connections, plan.limits.patience)
    except BaseException:
        epoll.close()
        raise
    generator = make(epoll, sockets)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_interrupt_on_signal, signals, generator)
            if plan.bar:
                nursery.start_soon(show_progress, generator, title)
            await generator.run()
            nursery.cancel_scope.cancel()
    return generator


async def _interrupt_on_signal(signals: object, generator: Generator) -> None:
    async for _ in signals:  # type: ignore[attr-defined]
        generator.interrupt()


def _publish(plan: Plan, outcome: Outcome) -> None:
    if plan.json != "-":
        print(text_of(outcome))
    if plan.json:
        text = json.dumps(outcome.as_json(), indent=1) + "\n"
        if plan.json == "-":
            sys.stdout.write(text)
        else:
            Path(plan.json).write_text(text, encoding="utf-8")
    if plan.histogram:
        with Path(plan.histogram).open("wb") as file:
            outcome.histograms[ALL].output_percentile_distribution(file, 1000.0)
    if plan.picture:
        from tendis_py.load.picture import draw

        draw(outcome, Path(plan.picture))
