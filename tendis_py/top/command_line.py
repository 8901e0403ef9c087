"""The arguments of ``tendis-py top``, and the snapshot on paper."""

from __future__ import annotations

import argparse
import io
import os
import sys

import trio
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tendis_py.top.address import Target, parse_target
from tendis_py.top.client import Refused, Unreachable
from tendis_py.top.view import ORDERS, PANELS, WINDOWS, View, heading
from tendis_py.top.watch import look_twice

PAPER_WIDTH = 120
"""Columns of a snapshot that goes into a file or a pipe, unless COLUMNS says otherwise."""

SHORTEST_INTERVAL = 0.1


def main(arguments: list[str]) -> int:
    """Watch a server; the process's exit code: 1 when it can't be reached, 2 for a bad argument."""
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
        target = _target(parser, given)
    except SystemExit as end:
        return int(end.code or 0)
    view = View(str(target), window=given.window, lanes=given.lanes, order=given.sort)
    try:
        if given.once or not sys.stdout.isatty():
            view.show(trio.run(look_twice, target, given.interval))
            _print(view)
            return 0
        trio.run(look_twice, target, 0)  # so that a wrong address or password is told here
    except (Unreachable, Refused) as error:
        print(f"tendis-py top: {target}: {error}", file=sys.stderr)
        return 1
    from tendis_py.top.app import TopApp

    TopApp(target, given.interval, view).run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tendis-py top",
        description="Watch a Redis-protocol server, live: where its time goes, and what is the "
        "bottleneck. Of a server of ours it shows the stages, too. Not in a terminal, or with "
        "--once, one snapshot is printed.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "address",
        nargs="?",
        default="127.0.0.1:6379",
        metavar="HOST:PORT",
        help="also the path of a unix socket, or redis://USER:PASSWORD@HOST:PORT "
        "(default: %(default)s)",
    )
    parser.add_argument("-a", "--password", help="default: the environment's REDISCLI_AUTH")
    parser.add_argument("--user", help="of the password (default: default)")
    parser.add_argument("-n", "--db", type=int, help="choose a database, as redis-cli does")
    parser.add_argument(
        "-i", "--interval", type=_seconds, default=1.0, help="seconds between looks (default: 1)"
    )
    parser.add_argument("--once", action="store_true", help="print one snapshot, and end")
    parser.add_argument(
        "--window",
        type=int,
        choices=list(WINDOWS),
        default=10,
        help="what stages are of: so many seconds; 0 is since the start (default: 10)",
    )
    parser.add_argument("--lanes", action="store_true", help="show stages by lane and pool")
    parser.add_argument(
        "--sort", choices=ORDERS, default=ORDERS[0], help="order of commands (default: time)"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not SHORTEST_INTERVAL <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"not between {SHORTEST_INTERVAL} and 3600")
    return seconds


def _target(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Target:
    try:
        return parse_target(
            given.address,
            user=given.user,
            password=given.password,
            database=given.db,
            environment=os.environ,
        )
    except ValueError as error:
        parser.error(str(error))


def _print(view: View) -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what its encoding has no character for
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else None
    console = Console(
        width=width or (None if sys.stdout.isatty() else PAPER_WIDTH), highlight=False, markup=False
    )
    seen = view.seen
    assert seen is not None
    with console.capture() as capture:
        console.print(heading(view))
        for panel in PANELS:
            if panel.applies(seen):
                console.print()
                console.print(Text(panel.title(view), "bold"))
                console.print(Padding(panel.draw(view, seen), (0, 0, 0, 2)))
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))
