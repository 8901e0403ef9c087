"""`python -m bench.memory`: resident bytes of an idle connection, and of data larger than a cache.

The loads are pipelined raw RESP from this process; every value read back is compared.
"""

import argparse
import contextlib
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report, servers, wire
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, REDIS

_MEGABYTE = 1_000_000
_BIG_KEYS = 10_000_000
_READ_CHUNK = 1_000
_SETTLE_SECONDS = 3.0
_CACHE = ("--cache-size", "64mb")
_SPARE_DESCRIPTORS = 500


@dataclass(frozen=True, slots=True)
class Idle:
    """What `connections` connections, each of which has sent one PING, add to a server."""

    server: str
    connections: int
    bytes_each: float


@dataclass(frozen=True, slots=True)
class Data:
    """A loaded and then randomly read data set: resident bytes, and operations per second."""

    server: str
    keys: int
    loads_per_second: float
    loaded_bytes: int
    reads_per_second: float
    read_bytes: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    raise_descriptor_limit(options.connections + _SPARE_DESCRIPTORS)
    idle = [idle_connections(name, options.connections) for name in (REDIS, DEFAULT_MODEL)]
    data = [
        data_set(REDIS, options.keys, options.seconds),
        data_set(DEFAULT_MODEL, options.keys, options.seconds, *_CACHE),
    ]
    if options.big:
        data.append(data_set(DEFAULT_MODEL, _BIG_KEYS, options.seconds, *_CACHE))
    report.publish(
        "memory",
        options.out,
        {"Idle connections": _idle_table(idle), "Data": _data_table(data)},
        goals(idle, data),
        {"idle": [asdict(one) for one in idle], "data": [asdict(one) for one in data]},
    )


def idle_connections(name: str, count: int) -> Idle:
    """Open `count` connections that send one PING and then nothing; the server's growth by it."""
    ping, pong = wire.command(b"PING"), len(b"+PONG\r\n")
    with contextlib.ExitStack() as stack:
        clients = ("--maxclients", str(count + _SPARE_DESCRIPTORS // 2))
        server = stack.enter_context(servers.running(name, *clients))
        before = server.resident_bytes()
        for _ in range(count):
            stack.enter_context(wire.Connection(server.port)).exchange(ping, pong)
        time.sleep(_SETTLE_SECONDS)
        found = Idle(name, count, (server.resident_bytes() - before) / count)
    print(found, file=sys.stderr)
    return found


def data_set(name: str, keys: int, seconds: float, *directives: str) -> Data:
    """Load `keys` keys, then GET random ones for `seconds`, comparing every value."""
    with servers.running(name, *directives) as server:
        started = time.perf_counter()
        wire.load(server.port, keys)
        loads_per_second = keys / (time.perf_counter() - started)
        loaded_bytes = server.resident_bytes()
        reads = sum(read_randomly(server.port, keys, seconds))
        found = Data(
            name, keys, loads_per_second, loaded_bytes, reads / seconds, server.resident_bytes()
        )
    print(found, file=sys.stderr)
    return found


def read_randomly(port: int, keys: int, seconds: float) -> Iterator[int]:
    """GET random loaded keys for `seconds`; yields how many, chunk by chunk."""
    deadline = time.perf_counter() + seconds
    with wire.Connection(port) as connection:
        while time.perf_counter() < deadline:
            wire.read(connection, random.choices(range(keys), k=_READ_CHUNK))
            yield _READ_CHUNK


def goals(idle: Sequence[Idle], data: Sequence[Data]) -> list[Goal]:
    """The goals for tendis-py: bytes a connection, and a resident size whatever the data."""
    found = [
        Goal(f"idle connection, of {one.connections:,}", 8.0, one.bytes_each / 1024, " KiB")
        for one in idle
        if one.server == DEFAULT_MODEL
    ]
    for one in data:
        if one.server == DEFAULT_MODEL:
            name = f"resident with {one.keys:,} keys"
            found.append(
                Goal(name, 300.0, max(one.loaded_bytes, one.read_bytes) / _MEGABYTE, " MB")
            )
    return found


def _idle_table(idle: Sequence[Idle]) -> str:
    rows = [(one.server, f"{one.connections:,}", f"{one.bytes_each:,.0f}") for one in idle]
    return report.table(("server", "connections", "resident bytes each"), rows)


def _data_table(data: Sequence[Data]) -> str:
    header = ("server", "keys", "loads/s", "MB after load", "reads/s", "MB after reads")
    rows = [
        (
            one.server,
            f"{one.keys:,}",
            f"{one.loads_per_second:,.0f}",
            f"{one.loaded_bytes / _MEGABYTE:.0f}",
            f"{one.reads_per_second:,.0f}",
            f"{one.read_bytes / _MEGABYTE:.0f}",
        )
        for one in data
    ]
    return report.table(header, rows)


def raise_descriptor_limit(needed: int) -> None:
    """Allow this process, and the servers that inherit from it, `needed` open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the random reads")
    parser.add_argument("--big", action="store_true", help=f"also load {_BIG_KEYS:,} keys")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
