"""What the command line of ``tendis-py load`` asks for.

Arguments in, a plan out; reads files, opens no connection.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from tendis_py.load import schedule
from tendis_py.load.errors import LoadError
from tendis_py.load.generator import Limits
from tendis_py.load.keys import DISTRIBUTIONS, parse_keys
from tendis_py.load.recorded import Recording, Replay, read_recording
from tendis_py.load.source import Mix, Source
from tendis_py.load.target import Target, parse_address
from tendis_py.load.templates import PLACEHOLDERS, Drawing, Template, compile_template
from tendis_py.load.values import SIZES, parse_values

NAMED = {
    "ping": "PING",
    "get": "GET {key}",
    "set": "SET {key} {value}",
    "setex": "SET {key} {value} EX 60",
    "incr": "INCR counter:{key}",
    "mget": "MGET" + 10 * " {key}",
    "mset": "MSET" + 10 * " {key} {value}",
    "del": "DEL {key}",
    "exists": "EXISTS {key}",
    "hset": "HSET hash:{key} {field} {value}",
    "hget": "HGET hash:{key} {field}",
    "hgetall": "HGETALL hash:{key}",
    "lpush": "LPUSH list:{key} {value}",
    "rpop": "RPOP list:{key}",
    "lrange": "LRANGE list:{key} 0 99",
    "sadd": "SADD set:{key} {field}",
    "sismember": "SISMEMBER set:{key} {field}",
    "zadd": "ZADD zset:{key} {int} {field}",
    "zrange": "ZRANGE zset:{key} 0 9",
    "zrank": "ZRANK zset:{key} {field}",
    "xadd": "XADD stream:{key} MAXLEN ~ 1000 * {field} {value}",
    "publish": "PUBLISH channel:{key} {value}",
}
"""What a mix can name."""

_DEFAULT_SECONDS = 10.0
_DEFAULT_MIX = "get=1 set=1"
_PICTURES = (".svg", ".png", ".pdf")
_MOST_CONNECTIONS = 60_000
_EPILOG = f"""
in commands: {PLACEHOLDERS} stand for what is drawn for each request.
in mixes: {", ".join(NAMED)}.
The password can also be in the environment, as REDISCLI_AUTH.
docs/load.md says more.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """``offsets``: when requests arrive in an open loop; None in a closed one. ``fill`` are
    requests to be sent before all others, so many. ``facts`` go into the results."""

    target: Target
    connections: int
    pipeline: int
    source: Source
    limits: Limits
    offsets: Iterator[int] | None
    fill: tuple[Source, int] | None
    notes: list[str]
    facts: dict[str, Any]
    bar: bool
    json: str
    picture: str
    histogram: str


def parse_plan(arguments: list[str]) -> Plan:
    """Raises LoadError, and SystemExit after ``--help``."""
    options = _parser().parse_args(arguments)
    host, port, path = parse_address(options.address)
    target = Target(
        host,
        port,
        path,
        options.user,
        options.password if options.password is not None else os.environ.get("REDISCLI_AUTH"),
        options.db,
        3 if options.resp3 else 2,
    )
    if options.user and target.password is None:
        raise LoadError("--user needs a password")
    if options.seconds is not None and options.requests is not None:
        raise LoadError("either --seconds or --requests")
    if options.arrivals and options.rate is None:
        raise LoadError("--arrivals needs --rate")
    seconds = options.seconds
    if seconds is None and options.requests is None:
        seconds = _DEFAULT_SECONDS
    for wanted in (options.json, options.picture, options.histogram):
        _check_folder(wanted)
    if options.picture:
        _check_picture(options.picture)
    notes: list[str] = []
    random = Random(options.seed)
    source = _source(options, random, notes)
    offsets = _offsets(options, random)
    return Plan(
        target,
        options.connections,
        options.pipeline,
        source,
        Limits(seconds, options.requests, options.warm_up, options.timeout, options.interval),
        offsets,
        _fill(options),
        notes,
        _facts(options, target, source),
        not options.quiet,
        options.json,
        options.picture,
        options.histogram,
    )


def _source(options: argparse.Namespace, random: Random, notes: list[str]) -> Source:
    if options.replay:
        if options.mix or options.command:
            raise LoadError("either --replay or --mix and --command")
        recording = _read(options.replay)
        if recording.skipped:
            skipped = ", ".join(f"{why} ({count})" for why, count in recording.skipped.items())
            notes.append(f"Not replayed: {skipped}.")
        return Replay(recording)
    drawing = _drawing(options, random, options.key_distribution)
    weighted = [_weighted(text, drawing) for text in options.command]
    mix = " ".join(options.mix) if options.mix or weighted else _DEFAULT_MIX
    weighted += [_named(word, drawing) for word in mix.replace(",", " ").split()]
    weighted = [(template, weight) for template, weight in weighted if weight]
    if not weighted:
        raise LoadError("a mix needs a command whose weight is above 0")
    return Mix(weighted, random)


def _drawing(options: argparse.Namespace, random: Random, distribution: str) -> Drawing:
    return Drawing(
        random,
        parse_keys(distribution, options.keys, random),
        parse_values(options.value_size, random),
        options.prefix.encode(errors="surrogateescape"),
        options.fields,
    )


def _named(word: str, drawing: Drawing) -> tuple[Template, float]:
    name, equals, weight = word.partition("=")
    if name.lower() not in NAMED:
        raise LoadError(f"--mix knows no {name!r}: there are {', '.join(NAMED)}; or use --command")
    return compile_template(NAMED[name.lower()], drawing), _weight(weight if equals else "1")


def _weighted(text: str, drawing: Drawing) -> tuple[Template, float]:
    """A command, before which its weight may stand."""
    first, _, rest = text.strip().partition(" ")
    if first[:1].isdigit():
        return compile_template(rest, drawing), _weight(first)
    return compile_template(text, drawing), 1.0


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 <= weight < math.inf:
        raise LoadError(f"a weight is a number from 0 on, not {text!r}")
    return weight


def _read(name: str) -> Recording:
    try:
        with Path(name).open("rb") as lines:
            return read_recording(lines, name)
    except OSError as error:
        raise LoadError(f"{name}: {error.strerror}") from None


def _fill(options: argparse.Namespace) -> tuple[Source, int] | None:
    if options.fill is None:
        return None
    random = Random(options.seed)
    template = compile_template(options.fill, _drawing(options, random, "sequential"))
    return Mix([(template, 1.0)], random), options.keys


def _offsets(options: argparse.Namespace, random: Random) -> Iterator[int] | None:
    if options.rate is None:
        return None
    if options.arrivals == "constant":
        return schedule.constant(options.rate)
    return schedule.poisson(options.rate, random)


def _facts(options: argparse.Namespace, target: Target, source: Source) -> dict[str, Any]:
    return {
        "target": str(target),
        "connections": options.connections,
        "pipeline": options.pipeline,
        "rate": options.rate,
        "arrivals": None if options.rate is None else options.arrivals or "poisson",
        "warm_up": options.warm_up,
        "keys": options.keys,
        "key_distribution": options.key_distribution,
        "value_size": options.value_size,
        "commands": list(source.names),
        "protocol": target.protocol,
        "database": target.database,
        "seed": options.seed,
    }


def _check_folder(name: str) -> None:
    """Say before the run, not after it, that its result can't be written."""
    if name and name != "-" and not Path(name).absolute().parent.is_dir():
        raise LoadError(f"{name}: no such folder")


def _check_picture(name: str) -> None:
    if Path(name).suffix not in _PICTURES:
        raise LoadError(f"a picture is a file that ends with {', '.join(_PICTURES)}, not {name!r}")
    if importlib.util.find_spec("matplotlib") is None:
        raise LoadError("--picture needs matplotlib: pip install matplotlib")


def _number(
    convert: Callable[[str], float], least: float, most: float = math.inf, *, open_: bool = False
) -> Callable[[str], float]:
    """An option's type: from ``least`` (``open_``: above it) to ``most``."""

    def parse(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not (least < value if open_ else least <= value) or not value <= most:
            bounds = f"{'above' if open_ else 'at least'} {least:g}"
            if most < math.inf:
                bounds += f", at most {most:g}"
            kind = "whole number" if convert is int else "number"
            raise argparse.ArgumentTypeError(f"a {kind}, {bounds}, not {text!r}")
        if math.isinf(value):
            raise argparse.ArgumentTypeError(f"a finite number, not {text!r}")
        return value

    return parse


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LoadError(f"{message} (tendis-py load --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        "tendis-py load",
        description="Put load on a Redis-protocol server, and measure what its clients feel.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    count = _number(int, 1)
    add("address", metavar="ADDRESS", nargs="?", default="127.0.0.1:6379", help="HOST:PORT or path")
    add("-c", "--connections", type=_number(int, 1, _MOST_CONNECTIONS), default=50, metavar="N")
    add(
        *("-P", "--pipeline"),
        type=_number(int, 1, 100_000),
        default=1,
        metavar="N",
        help="requests that a connection has out at the most",
    )
    add("-s", "--seconds", type=_number(float, 0, open_=True), metavar="S", help="default 10")
    add("-n", "--requests", type=count, metavar="N", help="so many instead")
    add("-w", "--warm-up", type=_number(float, 0), default=0.0, metavar="S", help="not measured")
    add(
        "--rate",
        type=_number(float, 0, open_=True),
        metavar="N",
        help="open loop: N requests/s arrive, and latency counts from then on",
    )
    add("--arrivals", choices=schedule.ARRIVALS, help="of --rate; default poisson")
    add("-m", "--mix", action="append", default=[], metavar="NAME=WEIGHT", help="get=8 set=2")
    add(
        *("-C", "--command"),
        action="append",
        default=[],
        metavar="COMMAND",
        help="'HSET {key} {field} {value}'; '2 …' gives it a weight of 2",
    )
    add("--replay", metavar="FILE", help="commands, one a line, or what MONITOR has shown")
    add("-k", "--keys", type=count, default=100_000, metavar="N", help="different keys")
    add("-K", "--key-distribution", default="uniform", metavar="NAME", help=DISTRIBUTIONS)
    add("--prefix", default="key:", metavar="TEXT", help="of keys; twelve digits follow")
    add("--fields", type=_number(int, 1, 1_000_000), default=100, metavar="N", help="of {field}")
    add("-d", "--value-size", default="64", metavar="SIZE", help=SIZES.replace("%", "%%"))
    add(
        "--fill",
        nargs="?",
        const=NAMED["set"],
        metavar="COMMAND",
        help="first send this for each key, 'SET {key} {value}' unless said otherwise",
    )
    add("--user", default="", metavar="NAME")
    add("-a", "--password", metavar="TEXT")
    add("--db", type=_number(int, 0), default=0, metavar="N")
    add("-3", "--resp3", action="store_true", help="speak RESP3")
    add("--timeout", type=_number(float, 0, open_=True), default=10.0, metavar="S")
    add("--interval", type=_number(float, 0.05), default=1.0, metavar="S", help="of the course")
    add("--seed", type=int, default=1, metavar="N", help="the same one draws the same requests")
    add("--json", default="", metavar="FILE", help="write all figures; - instead of the table")
    add("--picture", default="", metavar="FILE", help="draw percentiles and course: .svg, .png")
    add("--histogram", default="", metavar="FILE", help="write the percentiles as HdrHistogram")
    add("-q", "--quiet", action="store_true", help="no progress bar")
    return parser
