"""`python -m bench.latency_client`: a process that measures others' latency, and nothing else.

One thread, one epoll, one request in flight on each connection. Closed-loop clients alternate GET
and SET without pause; one more client sends PING and one INFO at a fixed pace. A paced request that
fell due while the server still owed the previous answer counts as answered together with it, so
that a stall shows in full. Prints percentiles in µs as one line of JSON, those of all commands
together as `all` where the load is light.

With `--light` there are three clients only, which send PING, GET and SET in turn, a request a
millisecond, for keys with odd numbers. It prints `ready` on a line of its own before the first, and
ends when its standard input, which has to be a pipe, is closed.
"""

import argparse
import itertools
import json
import random
import select
import socket
import sys
from collections.abc import Iterable, Iterator
from time import perf_counter_ns

from bench import wire
from bench.report import percentile

_SECOND = 1_000_000_000
_PACE = _SECOND // 100
_LIGHT_PACE = _SECOND // 1000
_DRAIN = 10 * _SECOND
_FOREVER = 3600 * _SECOND
_VARIETY = 1_000
_RECEIVE_SIZE = 1 << 16

Request = tuple[str, bytes]
"""A command's name, under which its latency is filed, and its bytes."""
Samples = dict[str, list[int]]
"""Latencies in ns, by command name."""


class Probe:
    """One client; `pace` is the time between its requests in ns, 0 for a closed loop; its first
    request is due after `delay` ns."""

    __slots__ = (
        "_due",
        "_name",
        "_pace",
        "_received",
        "_requests",
        "_samples",
        "_start",
        "socket",
        "waiting",
    )

    def __init__(
        self,
        port: int,
        requests: Iterable[Request],
        pace: int,
        samples: Samples,
        delay: int = 0,
    ) -> None:
        self.socket = socket.create_connection((wire.HOST, port), timeout=wire.TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = False
        self._requests: Iterator[Request] = itertools.cycle(requests)
        self._samples = samples
        self._received = bytearray()
        self._name = ""
        self._pace = pace
        self._due = self._start = perf_counter_ns() + delay

    def send_if_due(self) -> None:
        """Send the next request, unless one is out or its time has not come."""
        now = perf_counter_ns()
        if self.waiting or now < self._due:
            return
        self._start = now
        self._name, request = next(self._requests)
        self.waiting = True
        self.socket.sendall(request)

    def receive(self) -> None:
        """Take what has arrived; files a sample when that completes the reply."""
        chunk = self.socket.recv(_RECEIVE_SIZE)
        self._received += chunk
        if not chunk or self._received.startswith(b"-"):
            raise SystemExit(f"{self._name}: {self._received!r}")
        if is_complete(self._received):
            self.file_sample()

    def file_sample(self) -> None:
        """End the request that is out, and those that fell due behind it."""
        now = perf_counter_ns()
        latencies = self._samples.setdefault(self._name, [])
        latencies.append(now - self._start)
        self._received.clear()
        self.waiting = False
        if not self._pace:
            self._due = now
            return
        self._due += self._pace
        while self._due < now:
            latencies.append(now - self._due)
            self._due += self._pace


def is_complete(reply: bytearray) -> bool:
    """Whether this is a whole RESP2 simple or bulk string, or nil."""
    if not reply.startswith(b"$") or reply.startswith(b"$-"):
        return reply.endswith(b"\r\n")
    header, end, body = reply.partition(b"\r\n")
    return bool(end) and len(body) >= int(header[1:]) + 2


def measure(probes: list[Probe], duration: int, until: int | None = None) -> None:
    """Run the clients for `duration` ns, or until the pipe `until` is closed, then wait for the
    replies that are still owed.

    A request without an answer after a further ten seconds is filed as having taken that long.
    """
    poller = select.epoll()
    by_descriptor = {probe.socket.fileno(): probe for probe in probes}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.EPOLLIN)
    if until is not None:
        poller.register(until, 0)  # epoll tells all the same that it is closed
    end = perf_counter_ns() + duration
    while (now := perf_counter_ns()) < end:
        for probe in probes:
            probe.send_if_due()
        for descriptor, _ in poller.poll(0.001):
            if descriptor == until:
                end = perf_counter_ns()
            else:
                by_descriptor[descriptor].receive()
    if until is not None:
        poller.unregister(until)
    while now < end + _DRAIN and any(probe.waiting for probe in probes):
        for descriptor, _ in poller.poll(0.1):
            by_descriptor[descriptor].receive()
        now = perf_counter_ns()
    for probe in probes:
        if probe.waiting:
            probe.file_sample()


def summary(latencies: list[int]) -> dict[str, float]:
    """Count, and p50, p99, p99.9 and the largest in µs, of a list of ns."""
    ordered = sorted(latencies)
    places = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}
    figures = {name: percentile(ordered, place) / 1000 for name, place in places.items()}
    return {"count": len(ordered), **figures}


def _traffic(choices: range) -> tuple[list[Request], list[Request]]:
    """GETs and SETs of the same keys, whose numbers are among ``choices``."""
    indexes = random.choices(choices, k=_VARIETY)
    return (
        [("get", wire.get_command(index)) for index in indexes],
        [("set", wire.set_command(index)) for index in indexes],
    )


def _paced(name: str) -> list[Request]:
    return [(name, wire.command(name.upper().encode()))]


def _closed_loops(port: int, clients: int, keys: int, samples: Samples) -> list[Probe]:
    probes = []
    for _ in range(clients):
        pairs = zip(*_traffic(range(keys)), strict=True)
        probes.append(Probe(port, itertools.chain.from_iterable(pairs), 0, samples))
    return [*probes, *(Probe(port, _paced(name), _PACE, samples) for name in ("ping", "info"))]


def _light_loops(port: int, keys: int, samples: Samples) -> list[Probe]:
    kinds = (_paced("ping"), *_traffic(range(1, keys, 2)))
    pace = len(kinds) * _LIGHT_PACE
    return [
        Probe(port, requests, pace, samples, turn * _LIGHT_PACE)
        for turn, requests in enumerate(kinds)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.latency_client", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=10, help="closed-loop GET/SET clients")
    parser.add_argument("--light", action="store_true", help="three paced clients instead")
    parser.add_argument("--keys", type=int, required=True, help="how many keys are loaded")
    options = parser.parse_args()
    samples: Samples = {}
    if options.light:
        probes = _light_loops(options.port, options.keys, samples)
        print("ready", flush=True)
        measure(probes, _FOREVER, sys.stdin.fileno())
        samples["all"] = list(itertools.chain.from_iterable(samples.values()))
    else:
        probes = _closed_loops(options.port, options.clients, options.keys, samples)
        measure(probes, int(options.seconds * _SECOND))
    print(json.dumps({name: summary(latencies) for name, latencies in samples.items()}))


if __name__ == "__main__":
    main()
