"""`python -m bench.collections`: one key of each type with a million elements.

What a point read, a range, a rank, a pop and a delete cost: the server's own time, from SLOWLOG,
right after a restart (*cold*: nothing cached by the server) and once more on the same elements
(*warm*). And what ten other clients feel while a million fields are deleted, and while two sets of
a million are united into a third.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import hiredis

from bench import report, servers, wire
from bench.report import Goal, percentile
from bench.servers import DEFAULT_MODEL, REDIS, ROOT, Server

_AT_ONCE = 200
_PIPELINED = 20
_SLOWLOG = ("--slowlog-log-slower-than", "0", "--slowlog-max-len", "100000")
_OTHERS_KEYS = 100_000
_LEAD_SECONDS = 1.0
"""The others run so long before the heavy command is sent."""
_OTHERS_LIMIT_MS = 10.0
_POINT_LIMIT_US = 1000.0

Command = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """One operation on one server: times of the first call and percentiles, in µs of the server."""

    server: str
    operation: str
    first: float
    cold_p50: float
    cold_p99: float
    warm_p50: float
    warm_p99: float


@dataclass(frozen=True, slots=True)
class Others:
    """p99 and the longest wait in ms of ten clients' GETs and SETs beside a heavy command, which
    itself took so many seconds."""

    server: str
    heavy: str
    seconds: float
    p99: float
    longest: float


class Client:
    """One blocking connection whose replies are parsed. ValueError on an error reply."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((wire.HOST, port), timeout=wire.TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, *arguments: bytes) -> Any:
        return self.pipeline([arguments])[0]

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        made = b"".join(wire.command(*command) for command in commands)
        return self.ask(made, len(commands))

    def ask(self, requests: bytes, count: int = 1) -> list[Any]:
        """Send `count` requests that are ready, and return their replies."""
        self.begin(requests)
        return self.finish(count)

    def begin(self, requests: bytes) -> None:
        """Send these, and return without a reply."""
        self._socket.sendall(requests)

    def finish(self, count: int) -> list[Any]:
        """Take the next `count` replies."""
        return [self._reply() for _ in range(count)]

    def _reply(self) -> Any:
        while (reply := self._reader.gets()) is False:
            received = self._socket.recv(1 << 20)
            if not received:
                raise wire.WireError("closed by the server")
            self._reader.feed(received)
        if isinstance(reply, hiredis.ReplyError):
            raise ValueError(str(reply))
        return reply


def _name(number: int) -> bytes:
    return b"element:%012d" % number


def _hash(part: Sequence[int]) -> list[Command]:
    pairs = [item for number in part for item in (_name(number), wire.value(number))]
    return [(b"HSET", b"hash", *pairs)]


def _list(part: Sequence[int]) -> list[Command]:
    return [(b"RPUSH", b"list", *map(wire.value, part))]


def _set(part: Sequence[int]) -> list[Command]:
    return [(b"SADD", b"set", *map(_name, part))]


def _other_set(part: Sequence[int]) -> list[Command]:
    return [(b"SADD", b"other", *(b"other:%d" % number for number in part))]


def _zset(part: Sequence[int]) -> list[Command]:
    pairs = [item for number in part for item in (b"%d" % number, _name(number))]
    return [(b"ZADD", b"zset", *pairs)]


def _stream(part: Sequence[int]) -> list[Command]:
    return [(b"XADD", b"stream", b"%d-1" % (at + 1), b"f", wire.value(at)) for at in part]


CommandsOf = Callable[[Sequence[int]], list[Command]]
"""Numbers of elements → the commands that add them."""

WITHOUT_SETS = (_hash, _list, _zset, _stream)
LOADS = (*WITHOUT_SETS, _set, _other_set)

Make = Callable[[int, int], Command]
"""(one of the elements, how many there are) → a command."""

OPERATIONS: Mapping[str, Make] = {
    "HGET": lambda at, _: (b"HGET", b"hash", _name(at)),
    "HSET": lambda at, _: (b"HSET", b"hash", _name(at), b"new"),
    "HRANDFIELD": lambda at, _: (b"HRANDFIELD", b"hash"),
    "HSCAN COUNT 100": lambda at, _: (b"HSCAN", b"hash", b"0", b"COUNT", b"100"),
    "LINDEX": lambda at, _: (b"LINDEX", b"list", b"%d" % at),
    "LRANGE 100": lambda at, _: (b"LRANGE", b"list", b"%d" % at, b"%d" % (at + 99)),
    "LPOP": lambda at, _: (b"LPOP", b"list"),
    "SISMEMBER": lambda at, _: (b"SISMEMBER", b"set", _name(at)),
    "SRANDMEMBER": lambda at, _: (b"SRANDMEMBER", b"set"),
    "SPOP": lambda at, _: (b"SPOP", b"set"),
    "ZSCORE": lambda at, _: (b"ZSCORE", b"zset", _name(at)),
    "ZADD": lambda at, size: (b"ZADD", b"zset", b"%d" % (size - at), _name(at)),
    "ZRANGE BYSCORE 100": lambda at, _: (
        *(b"ZRANGE", b"zset", b"%d" % at, b"+inf", b"BYSCORE"),
        *(b"LIMIT", b"0", b"100"),
    ),
    "ZRANK": lambda at, _: (b"ZRANK", b"zset", _name(at)),
    "ZRANGE 100": lambda at, _: (b"ZRANGE", b"zset", b"%d" % at, b"%d" % (at + 99)),
    "ZPOPMIN": lambda at, _: (b"ZPOPMIN", b"zset"),
    "XRANGE 1": lambda at, _: (b"XRANGE", b"stream", b"%d-1" % (at + 1), b"+", b"COUNT", b"1"),
    "XRANGE 100": lambda at, _: (b"XRANGE", b"stream", b"%d-1" % (at + 1), b"+", b"COUNT", b"100"),
    "XADD": lambda at, _: (b"XADD", b"stream", b"*", b"f", b"v"),
    "XDEL": lambda at, _: (b"XDEL", b"stream", b"%d-1" % (at + 1)),
}
"""In this order, which is why those that need an order index come after those that do not."""

DELETED = ("hash", "list", "set", "zset", "stream")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    timings: list[Timing] = []
    others: list[Others] = []
    for name in (REDIS, DEFAULT_MODEL):
        with tempfile.TemporaryDirectory(prefix="tendis-bench-") as data:
            with servers.running(name, data=data) as server:
                load(server.port, options.elements)
            with servers.running(name, *_SLOWLOG, data=data) as server:
                timings += operations(server, options.elements, options.calls)
            with servers.running(name, data=data) as server:
                others += beside(server, options.elements, options.seconds)
    report.publish(
        "collections",
        options.out,
        {
            f"Server time, {options.elements:,} elements": _timings_table(timings),
            "The others": _others_table(others),
        },
        goals(timings, others),
        {
            "timings": [asdict(one) for one in timings],
            "others": [asdict(one) for one in others],
        },
    )


def load(port: int, elements: int, loads: Sequence[CommandsOf] = LOADS) -> None:
    """One key of each type, and a second set, or only some of these."""
    with Client(port) as client:
        for commands_of in loads:
            numbers = iter(range(elements))
            while commands := _next_commands(numbers, commands_of):
                client.pipeline(commands)


def _next_commands(numbers: Iterator[int], commands_of: CommandsOf) -> list[Command]:
    commands: list[Command] = []
    for _ in range(_PIPELINED):
        if part := list(islice(numbers, _AT_ONCE)):
            commands += commands_of(part)
    return commands


def operations(server: Server, elements: int, calls: int) -> list[Timing]:
    """Each operation on the same random elements twice, on a server just started; then DEL."""
    found = []
    with Client(server.port) as client:
        for operation, make in OPERATIONS.items():
            chosen = random.sample(range(elements), min(calls, elements))
            commands = [make(at, elements) for at in chosen]
            cold, warm = (_server_times(client, commands) for _ in range(2))
            found.append(_timing(server.name, operation, cold, warm))
            print(found[-1], file=sys.stderr)
        for key in DELETED:
            times = _server_times(client, [(b"DEL", key.encode())])
            found.append(_timing(server.name, f"DEL {key}", times, times))
    return found


def _server_times(client: Client, commands: Sequence[Command]) -> list[int]:
    """What the server says each command took, in µs, in the order they were sent."""
    client.call(b"SLOWLOG", b"RESET")
    for command in commands:
        client.call(*command)
    entries = client.call(b"SLOWLOG", b"GET", b"-1")
    name = commands[0][0]
    return [entry[2] for entry in reversed(entries) if entry[3][0].upper() == name]


def _timing(server: str, operation: str, cold: list[int], warm: list[int]) -> Timing:
    percentiles = [
        float(percentile(sorted(times), place)) for times in (cold, warm) for place in (50.0, 99.0)
    ]
    return Timing(server, operation, float(cold[0]), *percentiles)


def beside(server: Server, elements: int, seconds: float) -> list[Others]:
    """What others feel beside the heavy commands. The last server has deleted most keys."""
    wire.load(server.port, _OTHERS_KEYS)
    with Client(server.port) as client:
        for commands_of in (_hash, _set):
            numbers = iter(range(elements))
            while commands := _next_commands(numbers, commands_of):
                client.pipeline(commands)
        heavy: dict[str, Command | None] = {
            "nothing": None,
            "DEL hash": (b"DEL", b"hash"),
            "SUNIONSTORE": (b"SUNIONSTORE", b"union", b"set", b"other"),
        }
        return [_beside(server, client, name, it, seconds) for name, it in heavy.items()]


def _beside(
    server: Server, client: Client, name: str, command: Command | None, seconds: float
) -> Others:
    arguments = [sys.executable, "-m", "bench.latency_client", "--port", str(server.port)]
    arguments += ["--seconds", str(seconds), "--keys", str(_OTHERS_KEYS)]
    took = 0.0
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as latency:
        try:
            if command is not None:
                time.sleep(_LEAD_SECONDS)
                started = time.perf_counter()
                client.call(*command)
                took = time.perf_counter() - started
            output, _ = latency.communicate(timeout=seconds + wire.TIMEOUT)
        finally:
            latency.kill()
    if latency.returncode:
        raise SystemExit(f"the latency client failed beside {name} on {server.name}")
    figures = json.loads(output)
    p99, longest = (max(figures[it][place] for it in ("get", "set")) for place in ("p99", "max"))
    found = Others(server.name, name, took, p99 / 1000, longest / 1000)
    print(found, file=sys.stderr)
    return found


def goals(timings: Sequence[Timing], others: Sequence[Others]) -> list[Goal]:
    """Of tendis-py: no operation on few elements takes long because there are many, and a heavy one
    does not stop the others."""
    found = [
        Goal(f"{one.operation}, warm p99", _POINT_LIMIT_US, one.warm_p99, " µs")
        for one in timings
        if one.server == DEFAULT_MODEL
    ]
    return found + [
        Goal(f"others' p99 beside {one.heavy}", _OTHERS_LIMIT_MS, one.p99, " ms")
        for one in others
        if one.server == DEFAULT_MODEL
    ]


def _timings_table(timings: Sequence[Timing]) -> str:
    header = ("operation", "server", "first µs", "cold p50", "cold p99", "warm p50", "warm p99")
    rows = []
    for one in sorted(timings, key=lambda one: _order(one.operation)):
        figures = (one.first, one.cold_p50, one.cold_p99, one.warm_p50, one.warm_p99)
        rows.append((one.operation, one.server, *(f"{figure:,.0f}" for figure in figures)))
    return report.table(header, rows)


def _order(operation: str) -> int:
    return list(OPERATIONS).index(operation) if operation in OPERATIONS else len(OPERATIONS)


def _others_table(others: Sequence[Others]) -> str:
    header = ("beside", "server", "it took s", "others' p99 ms", "max ms")
    rows = [
        (one.heavy, one.server, f"{one.seconds:.2f}", f"{one.p99:.2f}", f"{one.longest:.2f}")
        for one in others
    ]
    return report.table(header, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.collections", description=__doc__)
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--calls", type=int, default=500, help="of each operation")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long the others run")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
