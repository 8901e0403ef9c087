"""`python -m bench.isolation`: what other clients feel while one of them does something heavy.

This process is the heavy client; `bench.latency_client` is another, so that neither waits for the
other's interpreter. tendis-py and redis-server alternate within one run; with `--before`, so does
the tendis-py of an older commit. First come the loads, a heavy client beside closed loops; then the
scenes of `bench.scenes`, each beside a light client that notes the longest wait.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report, revisions, scenes, servers, wire
from bench.collections import Client
from bench.report import Goal
from bench.revisions import FALL, Change
from bench.scenes import SCENES, Scene, Size
from bench.servers import DEFAULT_MODEL, ROOT, Server

Figures = dict[str, dict[str, float]]
"""For each command its count, p50, p99, p99.9 and max in µs."""
Results = dict[tuple[str, str], list[Figures]]
"""Heavy client and server → the figures of each round."""
Changes = dict[tuple[str, str], dict[str, Change]]
"""Heavy client and command → the changes of p99 and max, in ms."""

_PIPELINE_LENGTH = 100_000
FLOOD = f"pipeline of {_PIPELINE_LENGTH:,}"
_CLIENT_GRACE = 60.0
_LEAD_SECONDS = 0.1
_TAIL_SECONDS = 0.3
"""For how long the light client goes on after a scene."""
_IDLE_SECONDS = 60.0
"""After so long a server that still removes what a scene has left is asked all the same."""
_SCENE_LIMIT_MS = 10.0
# DEBUG is refused by default; "local" opens it to the loopback interface.
_DIRECTIVES = ("--enable-debug-command", "local")
_P99_LIMITS_MS = {"get": 10.0, "set": 10.0, "ping": 5.0, "info": 5.0}
# What a p99 may rise by for the scheduler's sake. Three busy processes share two CPUs, so whether a
# paced request waits for another process' slice, about 1.5 ms on two CPUs, is chance, and ten
# samples of a thousand decide its p99; the closed loop's has some 30,000 samples to even that out.
# In results/2026-11-21-isolation.json the p99s of one tendis-py differ between three rounds by up
# to 2.0 ms for PING and INFO and 0.6 for GET and SET; the median of the rounds by less.
_SLACK_MS = {"get": 0.5, "set": 0.5, "ping": 1.5, "info": 1.5}


@dataclass(frozen=True, slots=True)
class Heavy:
    """What the heavy client sends again and again; an empty request means it stays away. `short`
    is what `--scenes` calls it."""

    short: str
    name: str
    request: bytes = b""
    reply_size: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    before = options.before
    chosen = set(options.scenes)
    loads = [heavy for heavy in scenarios(options.keys) if heavy.short in chosen]
    results: Results = {}
    besides: list[Beside] = []
    with revisions.running([DEFAULT_MODEL], before, *_DIRECTIVES) as running:
        for server in running:
            wire.load(server.port, options.keys)
        for turn in range(options.rounds):
            for heavy in loads:
                for server in servers.in_turn(running, turn):
                    found = measure(server, heavy, options.seconds, options.keys)
                    results.setdefault((heavy.name, server.name), []).append(found)
                    print(f"{heavy.name}: {server.name} {found}", file=sys.stderr)
        stage = Stage(Size(options.keys, options.share))
        for scene in SCENES:
            if scene.name in chosen:
                rounds = _rounds(options.rounds, options.scene_seconds)
                besides += stage.play(scene, running, rounds)
    medians = {place: _median(rounds) for place, rounds in results.items()}
    sections = {}
    if results:
        sections[f"Latency of the others, {options.keys:,} keys"] = results_table(medians)
    if besides:
        sections["Scenes: PING, GET and SET of the others"] = scenes_table(besides)
    changed: list[Goal] = []
    if before is not None and results:
        found_changes = changes(results)
        sections["Before and after"] = changes_table(found_changes)
        changed = change_goals(found_changes)
    report.publish(
        revisions.kind("isolation", before),
        options.out,
        sections,
        [*changed, *goals(medians), *scene_goals(besides)],
        {
            "scenarios": [
                {"heavy": heavy, "server": server, "rounds": rounds}
                for (heavy, server), rounds in results.items()
            ],
            "scenes": [asdict(beside) for beside in besides],
        },
        before,
    )


def scenarios(keys: int) -> list[Heavy]:
    """Nothing; two slow commands; and a flood, for a server that holds this many loaded keys."""
    all_keys = len(b"*%d\r\n" % keys) + keys * len(b"$16\r\n%b\r\n" % wire.key(0))
    indexes = [number * keys // _PIPELINE_LENGTH for number in range(0, _PIPELINE_LENGTH, 2)]
    flood = b"".join(wire.set_command(index) + wire.get_command(index) for index in indexes)
    flood_size = len(indexes) * (len(wire.OK) + len(wire.get_reply(0)))
    return [
        Heavy("nothing", "nothing"),
        Heavy("keys", "KEYS *", wire.command(b"KEYS", b"*"), all_keys),
        Heavy("sleep", "DEBUG SLEEP 1", wire.command(b"DEBUG", b"SLEEP", b"1"), len(wire.OK)),
        Heavy("flood", FLOOD, flood, flood_size),
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


@dataclass(slots=True)
class Beside:
    """A scene on one server; each list has an item a round. `seconds` is what the heavy client
    waited."""

    scene: str
    about: str
    server: str
    seconds: list[float]
    figures: list[Figures]

    @classmethod
    def of(cls, scene: Scene, server: Server) -> "Beside":
        return cls(scene.name, scene.about, server.name, [], [])

    def milliseconds(self, figure: str) -> list[float]:
        return [figures["all"][figure] / 1000 for figures in self.figures]


class Stage:
    """Plays scenes on servers, and remembers which fixtures they have."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._fixtures: set[tuple[str, str]] = set()

    def play(self, scene: Scene, running: Sequence[Server], rounds: Iterator[int]) -> list[Beside]:
        """Each round on each server."""
        besides = {server.name: Beside.of(scene, server) for server in running}
        act = scene.heavy(self._size)
        for server in running:
            self._furnish(scene, server)
        for turn in rounds:
            for server in servers.in_turn(running, turn):
                scenes.send(server.port, scene.setup(self._size))
                _wait_until_idle(server)
                seconds, figures = measure_scene(server, scene.name, act, self._size.keys)
                scenes.send(server.port, scene.cleanup(self._size))
                beside = besides[server.name]
                beside.seconds.append(seconds)
                beside.figures.append(figures)
                print(f"{scene.name}: {server.name} {seconds:.2f} s {figures}", file=sys.stderr)
        return list(besides.values())

    def _furnish(self, scene: Scene, server: Server) -> None:
        for name in scene.fixtures:
            if (name, server.name) not in self._fixtures:
                scenes.send(server.port, scenes.FIXTURES[name](self._size))
                self._fixtures.add((name, server.name))


def measure_scene(server: Server, name: str, act: scenes.Act, keys: int) -> tuple[float, Figures]:
    """The seconds that the heavy client waited, and what the light one saw meanwhile."""
    command = [sys.executable, "-m", "bench.latency_client", "--port", str(server.port)]
    command += ["--light", "--keys", str(keys)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as client:
        try:
            assert client.stdout is not None
            client.stdout.readline()
            time.sleep(_LEAD_SECONDS)
            seconds = act(server.port)
            time.sleep(_TAIL_SECONDS)
            output, _ = client.communicate(timeout=_CLIENT_GRACE)
        finally:
            client.kill()
    if client.returncode:
        raise SystemExit(f"the latency client failed beside {name} on {server.name}")
    return seconds, json.loads(output)


def _rounds(most: int, seconds: float) -> Iterator[int]:
    """0, 1, 2 …: `most` of them, but none that would begin after so many seconds, except one."""
    end = time.perf_counter() + seconds
    yield 0
    for turn in range(1, most):
        if time.perf_counter() > end:
            return
        yield turn


def _wait_until_idle(server: Server) -> None:
    """Until a server has removed what was deleted, which is not what a scene is about."""
    end = time.perf_counter() + _IDLE_SECONDS
    with Client(server.port) as client:
        while b"lazyfree_pending_objects:0\r" not in client.call(b"INFO", b"memory"):
            if time.perf_counter() > end:
                print(f"{server.name} does not come to rest", file=sys.stderr)
                return
            time.sleep(_LEAD_SECONDS)


def scenes_table(besides: Sequence[Beside]) -> str:
    rows = [
        (
            beside.scene,
            beside.about,
            beside.server,
            f"{statistics.median(beside.seconds):.2f}",
            f"{len(beside.seconds)}",
            *(f"{statistics.median(beside.milliseconds(place)):.2f}" for place in ("p50", "p99")),
            f"{statistics.median(beside.milliseconds('max')):.2f}",
            f"{max(beside.milliseconds('max')):.2f}",
        )
        for beside in besides
    ]
    header = ("scene", "heavy client", "server", "heavy s", "rounds", "p50 ms", "p99 ms", "max ms")
    return report.table((*header, "largest max"), rows)


def scene_goals(besides: Sequence[Beside]) -> list[Goal]:
    """Nobody waits long for one client's size: the longest wait of a round, at the median."""
    return [
        Goal(
            f"{beside.scene}: longest PING, GET or SET",
            _SCENE_LIMIT_MS,
            statistics.median(beside.milliseconds("max")),
            " ms",
        )
        for beside in besides
        if beside.server == DEFAULT_MODEL
    ]


def goals(medians: Mapping[tuple[str, str], Figures]) -> list[Goal]:
    """The goals: p99 on tendis-py's default model, beside each slow command. A flood of pipelined
    requests shares the turns of all, as it does in Redis: its figures are shown, not judged."""
    return [
        Goal(f"{command.upper()} p99 beside {heavy}", limit, figures[command]["p99"] / 1000, " ms")
        for (heavy, server), figures in medians.items()
        if server == DEFAULT_MODEL and heavy != FLOOD
        for command, limit in _P99_LIMITS_MS.items()
    ]


def changes(results: Results) -> Changes:
    """What has changed on the default model, paired round by round."""

    def milliseconds(heavy: str, server: str, command: str, figure: str) -> list[float]:
        return [figures[command][figure] / 1000 for figures in results[heavy, server]]

    old = revisions.before_name(DEFAULT_MODEL)
    return {
        (heavy, command): {
            figure: Change(
                milliseconds(heavy, old, command, figure),
                milliseconds(heavy, DEFAULT_MODEL, command, figure),
            )
            for figure in ("p99", "max")
        }
        for heavy, server in results
        if server == DEFAULT_MODEL
        for command in _P99_LIMITS_MS
    }


def change_goals(changes: Changes) -> list[Goal]:
    """No p99 has risen by more than the fall allowed and the slack. A max is a single sample, which
    any hiccup of the machine makes: it is shown, not judged."""
    return [
        Goal(
            f"{command.upper()} beside {heavy}: p99 after less {1 + FALL} times before",
            _SLACK_MS[command],
            of["p99"].excess,
            " ms",
        )
        for (heavy, command), of in changes.items()
    ]


def changes_table(changes: Changes) -> str:
    rows = [
        (heavy, command.upper(), *of["p99"].columns(digits=2), *of["max"].columns(digits=2))
        for (heavy, command), of in changes.items()
    ]
    figures = (*revisions.header("p99 ms"), *revisions.header("max ms"))
    return report.table(("heavy client", "others", *figures), rows)


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
    parser.add_argument(
        "--scene-seconds",
        type=float,
        default=5.0,
        help="no further round of a scene begins after so long",
    )
    names = [*(heavy.short for heavy in scenarios(1)), *(scene.name for scene in SCENES)]
    parser.add_argument(
        "--scenes", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the scenes' sizes, for trying them out"
    )
    revisions.add_option(parser)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
