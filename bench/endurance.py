"""`python -m bench.endurance`: does a collection that lives long get slow?

A leaderboard (ZADD of a random player, then ZREMRANGEBYRANK to keep the best) and a queue (LPUSH,
then RPOP, with a backlog) run for minutes, in turns on one connection each, with PINGs in between
that tell how fast the machine is at the time. Each minute's rate is divided by the first's, both as
a multiple of that minute's PING rate.
"""

import argparse
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import report, servers
from bench.collections import Client
from bench.report import Goal
from bench.servers import DEFAULT_MODEL

_PLAYERS = 100_000
_BEST = 10_000
_BACKLOG = 1_000
_SLICE = 200
_LEAST = 0.8

Step = Callable[[Client, int], None]
Minute = dict[str, float]
"""Workload → steps a second."""


def _leaderboard(client: Client, number: int) -> None:
    player = b"player:%d" % random.randrange(_PLAYERS)
    client.call(b"ZADD", b"board", b"%d" % random.randrange(1 << 40), player)
    client.call(b"ZREMRANGEBYRANK", b"board", b"0", b"%d" % (-_BEST - 1))


def _queue(client: Client, number: int) -> None:
    client.call(b"LPUSH", b"queue", b"job:%d" % number)
    client.call(b"RPOP", b"queue")


def _ping(client: Client, number: int) -> None:
    client.call(b"PING")


WORKLOADS: dict[str, Step] = {"leaderboard": _leaderboard, "queue": _queue, "ping": _ping}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    with servers.running(DEFAULT_MODEL) as server, Client(server.port) as client:
        for number in range(_BACKLOG):
            client.call(b"LPUSH", b"queue", b"backlog:%d" % number)
        minutes = [run(client, options.seconds) for _ in range(options.minutes)]
    rows = [
        (str(number), *(f"{minute[name]:,.0f}" for name in WORKLOADS))
        for number, minute in enumerate(minutes, 1)
    ]
    report.publish(
        "endurance",
        options.out,
        {"Steps a second": report.table(("minute", *WORKLOADS), rows)},
        goals(minutes),
        {"minutes": minutes},
    )


def run(client: Client, seconds: float) -> Minute:
    """Run all workloads in turns for so long."""
    steps = dict.fromkeys(WORKLOADS, 0)
    spent = dict.fromkeys(WORKLOADS, 0.0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, step in WORKLOADS.items():
            started = time.perf_counter()
            for number in range(_SLICE):
                step(client, number)
            spent[name] += time.perf_counter() - started
            steps[name] += _SLICE
    return {name: steps[name] / spent[name] for name in WORKLOADS}


def goals(minutes: Sequence[Minute]) -> list[Goal]:
    """The slowest later minute of each workload against its first, both beside PING."""
    found = []
    for name in ("leaderboard", "queue"):
        relative = [minute[name] / minute["ping"] for minute in minutes]
        slowest = min(relative[1:]) / relative[0] if len(relative) > 1 else None
        label = f"{name}: slowest minute beside the first"
        found.append(Goal(label, _LEAST, slowest, at_least=True))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.endurance", description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a minute")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
