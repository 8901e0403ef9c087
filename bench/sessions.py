"""`python -m bench.sessions`: transactions, messages and clients that wait, beside redis-server.

Each scene is a few clients that follow scripts over sockets, driven by one epoll, for some seconds.
As in `compare`, servers alternate within a round, and ratios are those of a round. The client is
Python, too: where redis-server is faster than that, the ratio is flattered, which `CPU µs` of the
servers shows.
"""

import argparse
import contextlib
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report, revisions, servers, wire
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, MODELS, REDIS, Server
from bench.wire import HOST, TIMEOUT, WireError, command

Step = tuple[bytes, int]
"""What is sent, and how many bytes answer it."""

_RECEIVE_BYTES = 1 << 18
_VALUE = wire.value(7)
_OK, _QUEUED = len(b"+OK\r\n"), len(b"+QUEUED\r\n")


class Actor:
    """One connection, which follows a script: `steps` for ever. Counts those that are done."""

    def __init__(self, port: int, steps: Iterator[Step]) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._steps = steps
        self._missing = 0
        self.done = 0

    def begin(self) -> None:
        request, self._missing = next(self._steps)
        self.socket.sendall(request)

    def receive(self) -> None:
        """Take what has come; go on once that answers the step."""
        chunk = self.socket.recv(_RECEIVE_BYTES)
        if not chunk:
            raise WireError("closed by the server")
        if chunk.startswith(b"-"):
            raise WireError(chunk[:100].decode("latin-1"))
        self._missing -= len(chunk)
        if self._missing < 0:
            raise WireError(f"{-self._missing} bytes too many: {chunk[:100]!r}")
        if not self._missing:
            self.done += 1
            self.begin()


class Listener(Actor):
    """A subscriber: counts messages of one size."""

    def __init__(self, port: int, subscribe: bytes, confirmed: int, size: int) -> None:
        super().__init__(port, iter(()))
        self._size = size
        self.socket.sendall(subscribe)
        while confirmed:
            confirmed -= len(self.socket.recv(confirmed))
        self._bytes = 0

    def begin(self) -> None:
        """It only listens."""

    def receive(self) -> None:
        chunk = self.socket.recv(_RECEIVE_BYTES)
        if not chunk:
            raise WireError("closed by the server")
        self._bytes += len(chunk)
        self.done = self._bytes // self._size


def _cycle(*steps: Step) -> Iterator[Step]:
    while True:
        yield from steps


def _transactions(port: int) -> list[Actor]:
    """MULTI, ten SETs and EXEC, sent whole."""
    actors = []
    for client in range(50):
        sets = [wire.set_command(client * 100 + number) for number in range(10)]
        request = command(b"MULTI") + b"".join(sets) + command(b"EXEC")
        answered = _OK + 10 * _QUEUED + len(b"*10\r\n") + 10 * _OK
        actors.append(Actor(port, _cycle((request, answered))))
    return actors


def _compare_and_set(port: int) -> list[Actor]:
    """WATCH, GET, MULTI, SET, EXEC, each once the one before is answered."""
    actors = []
    for client in range(50):
        key = b"key:%06d" % client
        with wire.Connection(port) as connection:
            connection.exchange(command(b"SET", key, _VALUE), _OK)
        actors.append(
            Actor(
                port,
                _cycle(
                    (command(b"WATCH", key), _OK),
                    (command(b"GET", key), len(b"$64\r\n\r\n") + len(_VALUE)),
                    (command(b"MULTI"), _OK),
                    (command(b"SET", key, _VALUE), _QUEUED),
                    (command(b"EXEC"), len(b"*1\r\n") + _OK),
                ),
            )
        )
    return actors


_CHANNEL = b"channel"
_SUBSCRIBERS = 100


def _messages(port: int) -> list[Actor]:
    """Ten publishers to a hundred subscribers of a channel."""
    message = b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$64\r\n%b\r\n" % _VALUE
    confirmation = len(b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n")
    listeners: list[Actor] = [
        Listener(port, command(b"SUBSCRIBE", _CHANNEL), confirmation, len(message))
        for _ in range(_SUBSCRIBERS)
    ]
    publish = (command(b"PUBLISH", _CHANNEL, _VALUE), len(b":100\r\n"))
    return [*listeners, *(Actor(port, _cycle(publish)) for _ in range(10))]


def _ping_pong(port: int) -> list[Actor]:
    """Twenty pairs who push to one another, and wait for the other's push."""
    actors = []
    for pair in range(20):
        there, back = b"there:%02d" % pair, b"back::%02d" % pair
        popped = len(b"*2\r\n$8\r\nthere:00\r\n$1\r\nx\r\n")
        for own, other in ((there, back), (back, there)):
            steps = (
                (command(b"LPUSH", own, b"x"), len(b":1\r\n")),
                (command(b"BRPOP", other, b"0"), popped),
            )
            actors.append(Actor(port, _cycle(*steps)))
    return actors


_FIRST_ENTRY = 10**11


def _entry_id(number: int) -> bytes:
    return b"%d-1" % (_FIRST_ENTRY + number)


class _Producer(Actor):
    """Adds entries to a stream, as long as `consumers` are not too far behind."""

    def __init__(self, port: int, consumers: Sequence[Actor]) -> None:
        self._consumers = consumers
        super().__init__(port, self._entries())

    def _entries(self) -> Iterator[Step]:
        number = 1
        while True:
            read = sum(actor.done for actor in self._consumers)
            if number - read > 2 * len(self._consumers):
                yield command(b"PING"), len(b"+PONG\r\n")
                continue
            id_ = _entry_id(number)
            yield command(b"XADD", b"s", id_, b"field", _VALUE), len(b"$14\r\n\r\n") + len(id_)
            number += 1


def _consumers(port: int) -> list[Actor]:
    """Ten consumers of a group who wait for what one producer adds."""
    with wire.Connection(port) as connection:
        connection.exchange(command(b"XGROUP", b"CREATE", b"s", b"g", b"$", b"MKSTREAM"), _OK)
    answered = len(
        b"*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$14\r\n%b\r\n*2\r\n$5\r\nfield\r\n$64\r\n%b\r\n"
        % (_entry_id(1), _VALUE)
    )
    actors = []
    for number in range(10):
        name = b"consumer-%d" % number
        read = command(
            *(b"XREADGROUP", b"GROUP", b"g", name, b"COUNT", b"1", b"BLOCK", b"0", b"NOACK"),
            *(b"STREAMS", b"s", b">"),
        )
        actors.append(Actor(port, _cycle((read, answered))))
    return [*actors, _Producer(port, actors)]


def _notified_sets(port: int) -> list[Actor]:
    """SETs of fifty clients, of which one client is notified."""
    with wire.Connection(port) as connection:
        connection.exchange(command(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA"), _OK)
    pattern = b"__keyevent@0__:set"
    confirmed = len(b"*3\r\n$10\r\npsubscribe\r\n$18\r\n\r\n:1\r\n") + len(pattern)
    listener = Listener(port, command(b"PSUBSCRIBE", pattern), confirmed, 1)
    return [
        listener,
        *(Actor(port, _cycle((wire.set_command(client), _OK))) for client in range(50)),
    ]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is played, whose `done` is counted (from … to, of the actors), how many steps make one
    of what is counted, and the ratio it should reach."""

    name: str
    unit: str
    play: Callable[[int], list[Actor]]
    goal: float
    first: int = 0
    last: int | None = None
    steps: int = 1


SCENES = {
    scene.name: scene
    for scene in (
        Scene("multi", "transactions of 10 SETs", _transactions, 0.45),
        Scene("watch", "compare-and-sets", _compare_and_set, 0.5, steps=5),
        Scene("publish", "messages to 100 subscribers", _messages, 0.5, last=_SUBSCRIBERS),
        Scene("ping-pong", "LPUSH and BRPOP", _ping_pong, 0.5, steps=2),
        Scene("group", "entries read", _consumers, 0.4, last=10),
        Scene("notified", "SETs", _notified_sets, 0.5, first=1),
    )
}


@dataclass(frozen=True, slots=True)
class Measurement:
    rate: float
    """Of what the scene counts, a second."""
    cpu_us: float
    """CPU time of the server for each."""


def play(server: Server, scene: Scene, seconds: float) -> Measurement:
    """Play a scene on an emptied server."""
    with wire.Connection(server.port) as connection:
        connection.exchange(command(b"FLUSHALL"), _OK)
        connection.exchange(command(b"CONFIG", b"SET", b"notify-keyspace-events", b""), _OK)
    with contextlib.ExitStack() as stack:
        actors = scene.play(server.port)
        poller = stack.enter_context(contextlib.closing(select.epoll()))
        by_fd = {}
        for actor in actors:
            stack.enter_context(actor.socket)
            by_fd[actor.socket.fileno()] = actor
            poller.register(actor.socket.fileno(), select.EPOLLIN)
        for actor in actors:
            actor.begin()
        counted = actors[scene.first : scene.last]
        _drive(poller, by_fd, seconds / 5)
        before, started, cpu = _done(counted), time.perf_counter(), server.cpu_seconds()
        _drive(poller, by_fd, seconds)
        elapsed, cpu = time.perf_counter() - started, server.cpu_seconds() - cpu
        done = (_done(counted) - before) / scene.steps
        return Measurement(done / elapsed, 1e6 * cpu / max(done, 1.0))


def _done(actors: Sequence[Actor]) -> int:
    return sum(actor.done for actor in actors)


def _drive(poller: select.epoll, by_fd: Mapping[int, Actor], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        events = poller.poll(TIMEOUT)
        if not events:
            raise WireError("nobody is answered any more")
        for fd, _ in events:
            by_fd[fd].receive()


Rounds = dict[str, list[Measurement]]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    results: dict[str, Rounds] = {}
    with revisions.running(options.models, options.before) as running:
        for name in options.scenes:
            results[name] = {server.name: [] for server in running}
            for turn in range(options.rounds):
                for server in servers.in_turn(running, turn):
                    found = play(server, SCENES[name], options.seconds)
                    results[name][server.name].append(found)
                    print(f"{name}: {server.name} {found.rate:,.0f}/s", file=sys.stderr)
    publish(options.out, results, options.models, options.before)


def publish(
    out: Path, results: Mapping[str, Rounds], models: Sequence[str], before: str | None
) -> None:
    data = {
        "scenes": {
            name: {server: [asdict(one) for one in measured] for server, measured in rounds.items()}
            for name, rounds in results.items()
        }
    }
    kind = revisions.kind("sessions", before)
    report.publish(kind, out, {"Scenes": table(results)}, goals(results, models), data, before)


def ratio(rounds: Rounds, name: str) -> float:
    """The median over the rounds of this server's rate divided by redis-server's in that round."""
    pairs = zip(rounds[name], rounds[REDIS], strict=True)
    return statistics.median(own.rate / reference.rate for own, reference in pairs)


def table(results: Mapping[str, Rounds]) -> str:
    rows = [
        (
            *(name, SCENES[name].unit, server),
            f"{statistics.median(one.rate for one in measured):,.0f}",
            f"{ratio(rounds, server):.2f}",
            f"{statistics.median(one.cpu_us for one in measured):.1f}",
        )
        for name, rounds in results.items()
        for server, measured in rounds.items()
    ]
    return report.table(("scene", "counted", "server", "a second", "ratio", "CPU µs"), rows)


def goals(results: Mapping[str, Rounds], models: Sequence[str]) -> list[Goal]:
    return [
        Goal(f"{model}: {name}", SCENES[name].goal, ratio(rounds, model), at_least=True)
        for name, rounds in results.items()
        for model in models
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.sessions", description=__doc__)
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=tuple(SCENES))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=(DEFAULT_MODEL,))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    revisions.add_option(parser)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
