"""`python -m bench.isolation`: what other clients feel while one of them does something heavy.

This process is the heavy client; `bench.latency_client` is another, so that neither waits for the
other's interpreter. tendis-py and redis-server alternate within one run.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import report, servers, wire
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, REDIS, ROOT, Server

Figures = dict[str, dict[str, float]]
"""For each command its count, p50, p99, p99.9 and max in µs."""

_PIPELINE_LENGTH = 100_000
FLOOD = f"pipeline of {_PIPELINE_LENGTH:,}"
_CLIENT_GRACE = 60.0
# DEBUG is refused by default; "local" opens it to the loopback interface.
_DIRECTIVES = ("--enable-debug-command", "local")
_P99_LIMITS_MS = {"get": 10.0, "set": 10.0, "ping": 5.0, "info": 5.0}


@dataclass(frozen=True, slots=True)
class Heavy:
    """What the heavy client sends again and again; an empty request means it stays away."""

    name: str
    request: bytes = b""
    reply_size: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    results: dict[tuple[str, str], list[Figures]] = {}
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(servers.running(name, *_DIRECTIVES))
            for name in (REDIS, DEFAULT_MODEL)
        ]
        for server in running:
            wire.load(server.port, options.keys)
        for _ in range(options.rounds):
            for heavy in scenarios(options.keys):
                for server in running:
                    found = measure(server, heavy, options.seconds, options.keys)
                    results.setdefault((heavy.name, server.name), []).append(found)
                    print(f"{heavy.name}: {server.name} {found}", file=sys.stderr)
    medians = {place: _median(rounds) for place, rounds in results.items()}
    report.publish(
        "isolation",
        options.out,
        {f"Latency of the others, {options.keys:,} keys": results_table(medians)},
        goals(medians),
        {
            "scenarios": [
                {"heavy": heavy, "server": server, "rounds": rounds}
                for (heavy, server), rounds in results.items()
            ]
        },
    )


def scenarios(keys: int) -> list[Heavy]:
    """Nothing; two slow commands; and a flood, for a server that holds this many loaded keys."""
    all_keys = len(b"*%d\r\n" % keys) + keys * len(b"$16\r\n%b\r\n" % wire.key(0))
    indexes = [number * keys // _PIPELINE_LENGTH for number in range(0, _PIPELINE_LENGTH, 2)]
    flood = b"".join(wire.set_command(index) + wire.get_command(index) for index in indexes)
    flood_size = len(indexes) * (len(wire.OK) + len(wire.get_reply(0)))
    return [
        Heavy("nothing"),
        Heavy("KEYS *", wire.command(b"KEYS", b"*"), all_keys),
        Heavy("DEBUG SLEEP 1", wire.command(b"DEBUG", b"SLEEP", b"1"), len(wire.OK)),
        Heavy(FLOOD, flood, flood_size),
    ]


def measure(server: Server, heavy: Heavy, seconds: float, keys: int) -> Figures:
    """Latencies seen by the latency client while this process repeats the heavy request."""
    command = [sys.executable, "-m", "bench.latency_client", "--port", str(server.port)]
    command += ["--seconds", str(seconds), "--keys", str(keys)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        try:
            if heavy.request:
                with wire.Connection(server.port) as connection:
                    while client.poll() is None:
                        connection.exchange(heavy.request, heavy.reply_size)
            output, _ = client.communicate(timeout=seconds + _CLIENT_GRACE)
        finally:
            client.kill()
    if client.returncode:
        raise SystemExit(f"the latency client failed beside {heavy.name} on {server.name}")
    figures: Figures = json.loads(output)
    return figures


def goals(medians: Mapping[tuple[str, str], Figures]) -> list[Goal]:
    """The goals: p99 on tendis-py's default model, beside each slow command. A flood of pipelined
    requests shares the turns of all, as it does in Redis: its figures are shown, not judged."""
    return [
        Goal(f"{command.upper()} p99 beside {heavy}", limit, figures[command]["p99"] / 1000, " ms")
        for (heavy, server), figures in medians.items()
        if server == DEFAULT_MODEL and heavy != FLOOD
        for command, limit in _P99_LIMITS_MS.items()
    ]


def results_table(medians: Mapping[tuple[str, str], Figures]) -> str:
    rows = []
    for (heavy, server), figures in medians.items():
        for command in _P99_LIMITS_MS:
            row = figures[command]
            latencies = [f"{row[name] / 1000:.2f}" for name in ("p50", "p99", "p99.9", "max")]
            rows.append((heavy, server, command.upper(), f"{row['count']:,.0f}", *latencies))
    header = ("heavy client", "server", "others", "requests", "p50 ms", "p99 ms", "p99.9 ms")
    return report.table((*header, "max ms"), rows)


def _median(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure over the rounds, but the largest `max`."""
    first = rounds[0]
    return {
        command: {
            name: (max if name == "max" else statistics.median)(
                figures[command][name] for figures in rounds
            )
            for name in first[command]
        }
        for command in first
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.isolation", description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
