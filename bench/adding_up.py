"""`python -m bench.adding_up`: do the stages of a request add up to what its client waits for?

Clients that each wait for their reply, driven by one epoll, ask for SETs and GETs. What one waits
for is the time from its sending to its reply's arrival, which the kernel stamps: how long it takes
the generator to look is not the server's. Beside it stands what `INFO stages` says of the same
requests: the medians of all stages, added up; and their means. A single client can't be compared
so: its reply arrives in the middle of the system call that sends it, half of what it takes.
"""

import argparse
import contextlib
import select
import socket
import statistics
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import redis_benchmark, report, servers, wire
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, MODELS, Server
from bench.wire import HOST, TIMEOUT, WireError, command

NEAR = 0.10
"""How far the medians may be apart, as a share."""

_SO_TIMESTAMPNS = 35
_SPACE = socket.CMSG_SPACE(16)
_STAGES = (
    *("socket", "parse", "pending", "queue", "lock", "execute", "commit", "fsync", "respond"),
    *("write", "outbox"),
)
Stages = dict[str, tuple[int, float, float]]
"""Stage → requests, mean and median in µs."""


class Client:
    """One connection, with one request out."""

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        get = command(b"GET", b"key:%012d" % number)
        self._requests = (wire.set_command(number), get)
        self._turn = self._sent = 0
        self.waited: list[int] = []
        """ns from sending each request to the arrival of its reply."""

    def ask(self) -> None:
        self._turn ^= 1
        self._sent = time.time_ns()
        self.socket.sendall(self._requests[self._turn])

    def receive(self) -> None:
        chunk, ancillary, _, _ = self.socket.recvmsg(1 << 16, _SPACE)
        if not chunk or not ancillary:
            raise WireError("closed, or the kernel does not say when what came was there")
        seconds, ns = struct.unpack("@qq", ancillary[0][2])
        self.waited.append(seconds * 10**9 + ns - self._sent)


def ask_for(server: Server, clients: int, seconds: float) -> tuple[list[int], Stages]:
    """What clients wait for, in ns, and what the server says of it."""
    with contextlib.ExitStack() as stack:
        asking = [Client(server.port, number) for number in range(clients)]
        poller = stack.enter_context(contextlib.closing(select.epoll()))
        by_fd = {client.socket.fileno(): client for client in asking}
        for client in asking:
            stack.enter_context(client.socket)
            poller.register(client.socket.fileno(), select.EPOLLIN)
            client.ask()
        _drive(poller, by_fd, seconds / 5)
        with wire.Connection(server.port) as connection:
            connection.exchange(command(b"CONFIG", b"RESETSTAT"), len(b"+OK\r\n"))
        for client in asking:
            client.waited.clear()
        _drive(poller, by_fd, seconds)
        said = stages(server.port)
    return sorted(waited for client in asking for waited in client.waited), said


def _drive(poller: select.epoll, by_fd: Mapping[int, Client], seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for fd, _ in poller.poll(TIMEOUT):
            by_fd[fd].receive()
            by_fd[fd].ask()


def stages(port: int) -> Stages:
    """What `INFO stages` says of each stage since the last reset."""
    with socket.create_connection((HOST, port), timeout=TIMEOUT) as connection:
        connection.sendall(command(b"INFO", b"stages"))
        shown = b""
        while b"\r\ninline_share:" not in shown:
            shown += connection.recv(1 << 16)
    found = {}
    for line in shown.decode().split("\r\n"):
        name, _, figures = line.partition(":")
        if name.removeprefix("stage_") in _STAGES:
            parts = dict(part.split("=") for part in figures.split(","))
            spent = float(parts["usec_per_call"]), float(parts["p50"])
            found[name.removeprefix("stage_")] = (int(parts["calls"]), *spent)
    return found


def sums(said: Stages) -> tuple[float, float]:
    """Of means and of medians, in µs, of a request: what only some go through counts as much less
    for the mean, and for the median not at all unless most do."""
    requests = said["execute"][0]
    mean = sum(calls * mean for calls, mean, _ in said.values()) / requests
    median = sum(median for calls, _, median in said.values() if calls > requests / 2)
    return mean, median


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    rows, goals, data = [], [], []
    for model in options.models:
        with servers.running(model) as server:
            wire.load(server.port, redis_benchmark.KEYS)
            for clients in options.clients:
                waited, said = ask_for(server, clients, options.seconds)
                mean, median = sums(said)
                client_mean = statistics.mean(waited) / 1000
                client_median = report.percentile(waited, 50) / 1000
                rows.append(
                    (
                        *(model, str(clients), f"{client_median:.0f}", f"{median:.0f}"),
                        *(f"{median / client_median:.3f}", f"{client_mean:.0f}", f"{mean:.0f}"),
                        f"{mean / client_mean:.3f}",
                    )
                )
                apart = abs(median / client_median - 1)
                goals.append(Goal(f"{model}, {clients} clients: medians apart", NEAR, apart))
                data.append({"model": model, "clients": clients, "stages": said})
                data[-1] |= {"median": client_median, "mean": client_mean}
    header = ("model", "clients", "median µs", "stages", "ratio", "mean µs", "stages", "ratio")
    sections = {"What clients wait for, and what stages say": report.table(header, rows)}
    report.publish("adding-up", options.out, sections, goals, {"cells": data})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.adding_up", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=(DEFAULT_MODEL,))
    parser.add_argument("--clients", nargs="+", type=int, default=(10, 50, 200))
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
