"""`python -m bench.crowd`: thousands of clients who wait for an element, or listen to a channel.

How much memory each takes, how long one message takes to have reached all who listen, how late the
time-outs of all who wait are when they are all due at the same moment, and what a client that asks
beside them feels of that. redis-server stands beside.
"""

import argparse
import contextlib
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report, servers, wire
from bench.memory import raise_descriptor_limit
from bench.report import Goal
from bench.servers import DEFAULT_MODEL, REDIS, Server
from bench.wire import HOST, TIMEOUT, WireError, command

_SERVERS = (REDIS, DEFAULT_MODEL)
_SPARE_DESCRIPTORS = 500
_SETTLE_SECONDS = 2.0
_LEAD_SECONDS = 2e-3
"""How long before they are due, at least, the time-outs are asked for: so much each."""
_CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n"
_MESSAGE = b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$5\r\nhello\r\n"
_TIMED_OUT = b"*-1\r\n"
_PING, _PONG = command(b"PING"), b"+PONG\r\n"


@dataclass(frozen=True, slots=True)
class Found:
    """Resident bytes each, and ms: until a message has reached all, until the last time-out is
    answered once they are due, of a PING beside that."""

    server: str
    clients: int
    listening_bytes: float
    waiting_bytes: float
    message_ms: float
    first_timeout_ms: float
    last_timeout_ms: float
    ping_p99_ms: float
    ping_max_ms: float


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    servers.end_on_terminate()
    raise_descriptor_limit(options.clients + _SPARE_DESCRIPTORS)
    found = []
    for name in _SERVERS:
        limit = ("--maxclients", str(options.clients + _SPARE_DESCRIPTORS // 2))
        with servers.running(name, *limit) as server:
            found.append(look_at(server, options.clients))
        print(found[-1], file=sys.stderr)
    report.publish(
        "crowd",
        options.out,
        {f"{options.clients:,} clients": table(found)},
        goals(found),
        {"found": [asdict(one) for one in found]},
    )


def look_at(server: Server, clients: int) -> Found:
    with _crowd(server, clients, lambda _: command(b"SUBSCRIBE", b"channel")) as listening:
        listening.expect(_CONFIRMED)
        listening_bytes = listening.bytes_each()
        began = time.perf_counter()
        with wire.Connection(server.port) as publisher:
            delivered = b":%d\r\n" % clients
            publisher.exchange(command(b"PUBLISH", b"channel", b"hello"), len(delivered))
        listening.expect(_MESSAGE)
        message = time.perf_counter() - began
    due = time.perf_counter() + _SETTLE_SECONDS + 1 + clients * _LEAD_SECONDS

    def wait(_: int) -> bytes:
        return command(b"BLPOP", b"nothing", b"%.4f" % (due - time.perf_counter()))

    with _crowd(server, clients, wait) as waiting:
        waiting_bytes = waiting.bytes_each()
        late, pings = waiting.time_out(due)
    pings.sort()
    return Found(
        server=server.name,
        clients=clients,
        listening_bytes=listening_bytes,
        waiting_bytes=waiting_bytes,
        message_ms=1e3 * message,
        first_timeout_ms=1e3 * late[0],
        last_timeout_ms=1e3 * late[-1],
        ping_p99_ms=report.percentile(pings, 99.0) / 1e6,
        ping_max_ms=pings[-1] / 1e6,
    )


class _Crowd:
    def __init__(self, server: Server, sockets: dict[int, socket.socket], resident: int) -> None:
        self._server = server
        self._sockets = sockets
        self._resident = resident
        self._poller = select.epoll()
        for descriptor in sockets:
            self._poller.register(descriptor, select.EPOLLIN)

    def bytes_each(self) -> float:
        """By so much they have made the server grow."""
        time.sleep(_SETTLE_SECONDS)
        return (self._server.resident_bytes() - self._resident) / len(self._sockets)

    def expect(self, answer: bytes) -> None:
        """Take an answer from each."""
        missing = dict.fromkeys(self._sockets, len(answer))
        while missing:
            for descriptor in self._ready():
                missing[descriptor] -= len(self._sockets[descriptor].recv(missing[descriptor]))
                if not missing[descriptor]:
                    del missing[descriptor]

    def time_out(self, due: float) -> tuple[list[float], list[int]]:
        """Seconds that each time-out came after it was ``due``, in order, and how long PINGs took
        meanwhile, in ns."""
        late: list[float] = []
        pings: list[int] = []
        with socket.create_connection((HOST, self._server.port)) as other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._poller.register(other, select.EPOLLIN)
            other.sendall(_PING)
            asked = time.perf_counter_ns()
            while len(late) < len(self._sockets):
                for descriptor in self._ready():
                    if descriptor == other.fileno():
                        other.recv(len(_PONG))
                        pings.append(time.perf_counter_ns() - asked)
                        other.sendall(_PING)
                        asked = time.perf_counter_ns()
                    elif self._sockets[descriptor].recv(len(_TIMED_OUT)) == _TIMED_OUT:
                        late.append(time.perf_counter() - due)
            self._poller.unregister(other)
        return late, pings

    def _ready(self) -> list[int]:
        events = self._poller.poll(TIMEOUT)
        if not events:
            raise WireError("nobody is answered any more")
        return [descriptor for descriptor, _ in events]

    def close(self) -> None:
        self._poller.close()


@contextlib.contextmanager
def _crowd(server: Server, clients: int, request: Callable[[int], bytes]) -> Iterator[_Crowd]:
    """So many clients, each of which has sent its request."""
    with contextlib.ExitStack() as stack:
        resident = server.resident_bytes()
        sockets = {}
        for number in range(clients):
            one = stack.enter_context(socket.create_connection((HOST, server.port), TIMEOUT))
            one.sendall(request(number))
            sockets[one.fileno()] = one
        yield stack.enter_context(contextlib.closing(_Crowd(server, sockets, resident)))


def goals(found: Sequence[Found]) -> list[Goal]:
    result = []
    for one in found:
        if one.server == DEFAULT_MODEL:
            result += [
                Goal("who listens", 10.0, one.listening_bytes / 1024, " KiB"),
                Goal("who waits", 10.0, one.waiting_bytes / 1024, " KiB"),
                Goal("the last time-out, after it was due", 100.0, one.last_timeout_ms, " ms"),
                Goal("PING of another meanwhile, p99", 20.0, one.ping_p99_ms, " ms"),
            ]
    return result


def table(found: Sequence[Found]) -> str:
    header = (
        *("server", "bytes, listening", "bytes, waiting", "ms until all have a message"),
        *("ms, first time-out", "ms, last", "ms, PING p99", "ms, PING max"),
    )
    rows = [
        (
            *(one.server, f"{one.listening_bytes:,.0f}", f"{one.waiting_bytes:,.0f}"),
            *(f"{one.message_ms:.1f}", f"{one.first_timeout_ms:.1f}"),
            *(f"{one.last_timeout_ms:.1f}", f"{one.ping_p99_ms:.2f}", f"{one.ping_max_ms:.2f}"),
        )
        for one in found
    ]
    return report.table(header, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.crowd", description=__doc__)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="directory of results")
    return parser


if __name__ == "__main__":
    main()
