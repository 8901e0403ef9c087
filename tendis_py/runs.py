"""Runs: requests of one command taken at once, pipelined by one client or asked by several.

A command's ``run`` handler takes them in a third of the time that one by one takes; commands that
only read answer equal requests once. What can't be taken so is left to the dispatcher. Knows
commands and sessions, not sockets, queues or threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import itemgetter
from time import perf_counter_ns
from typing import Any, Protocol, TypeVar

from tendis_py.commands.context import Context
from tendis_py.commands.registry import FAST_ROWS, REGISTRY, Command
from tendis_py.resp.replies import Payload, encode_each, encode_run
from tendis_py.resp.requests import Request
from tendis_py.services.counters import Counters
from tendis_py.services.histogram import SUM, WAIT, bucket_of
from tendis_py.services.total_times import Several
from tendis_py.session import Session

LARGE_REPLY = 64 * 1024
"""A reply this long ends a connection's turn, so that replies don't pile up before any is sent."""


class Client(Protocol):
    """Whoever asks: what stages know of a connection is more."""

    @property
    def session(self) -> Session: ...


C = TypeVar("C", bound=Client)

Item = tuple[C, list[Request]]

Share = tuple[Session, list[Request]]
"""One session's part of a run."""

Counted = tuple[Session, "Command", Request, int, int, int]
"""A command that has run, as ``Dispatcher._count`` is told of it."""

Trial = list[Callable[[], None] | Counted]
"""How to count what has run of a unit that may have to be begun again."""

Answer = tuple[C, Payload, "list[Request] | None"]
"""What one client gets: encoded replies, and the requests that were not run, if any."""

Group = tuple[Command | None, int, int, tuple[bytes, ...]]
"""Command, database, protocol, and the arguments that are the same."""

_table = REGISTRY.table
_name_of = itemgetter(0)
_requests_of = itemgetter(1)
_ALONE: Group = (None, 0, 0, ())


@dataclass(slots=True)
class SlowCommand:
    """A command over the slowlog threshold, its batch not committed yet; ``read`` is when it came
    in (perf_counter_ns)."""

    session: Session
    request: Request
    read: int
    elapsed_ns: int


class Runs:
    """One dispatcher's, whose ``context`` and ``counters`` these are. Adds to ``slow`` what took
    long, and calls ``end_unit`` after each run."""

    def __init__(
        self,
        context: Context,
        counters: Counters,
        slow: list[SlowCommand],
        end_unit: Callable[[], None],
    ) -> None:
        self._context = context
        self._end_unit = end_unit
        self._counters = counters
        self._slow = slow
        self.ran: list[Several] = []
        """What has run otherwise than in ``Dispatcher.ran``, until somebody takes it out."""
        self._slowlog = context.services.slowlog

    def together(self, items: list[Item[C]], replies: list[Answer[C]], read: int) -> list[Item[C]]:
        """Run what several clients ask of one command as one run, and answer once what they ask
        alike: requests that came in together have no order but those of one. Adds the answers
        to ``replies``, and returns the items that are left to run one after the other."""
        groups: dict[Group, list[Item[C]]] = {}
        for item in items:
            groups.setdefault(_group_of(item[0].session, item[1]), []).append(item)
        left: list[Item[C]] = []
        for (command, *_), group in groups.items():
            for part in _parts(group):
                payloads = None
                if command is not None and len(part) > 1:
                    shares = [(client.session, requests) for client, requests in part]
                    self._context.enter(shares[0][0])
                    payloads = self.take(command, shares, read)
                if payloads is None:
                    left += part
                    continue
                for (client, requests), payload in zip(part, payloads, strict=True):
                    client.session.commands += len(requests)
                    self._counters.processed += len(requests)
                    replies.append((client, payload, None))
                self._context.tx.settle_if_large()
        return left

    def take(self, command: Command, shares: list[Share], read: int) -> list[Payload] | None:
        """Run requests of one command by its ``run`` handler, or equal ones once: the replies to
        each session, encoded. None, and nothing has happened, if the handler declines, or if the
        replies to one are long: they would pile up before any is sent."""
        payloads = self.take_within(command, shares, read)
        if payloads is not None:
            self._end_unit()
        return payloads

    def take_within(
        self,
        command: Command,
        shares: list[Share],
        read: int,
        trial: Trial | None = None,
    ) -> list[Payload] | None:
        """As ``take``, as a part of a unit of work that goes on. If that is a ``trial``, how to
        count what has run is added to it."""
        context, counters = self._context, self._counters
        hits, misses = counters.hits, counters.misses
        started = perf_counter_ns()
        mark = context.tx.mark()
        requests = shares[0][1]
        if len(shares) > 1:
            requests = list(chain.from_iterable(map(_requests_of, shares)))
        count = len(requests)
        payloads: list[Payload] | None = None
        try:
            if command.run is None:
                payloads = self._answer_alike(command, requests)
            elif values := command.run(context, requests):
                payloads = _encode_shares(values, shares)
        except Exception:
            pass  # whatever it is, it will show in the one request that it concerns
        if payloads is None:
            context.tx.rollback_to(mark)
            counters.hits, counters.misses = hits, misses
            return None
        elapsed = perf_counter_ns() - started
        if trial is None:
            self._count(command, shares, count, started, elapsed, read)
        else:
            trial.append(partial(self._count, command, shares, count, started, elapsed, read))
        for session, _ in shares:
            session.last_command = command.name
        if elapsed > self._slowlog.threshold_ns and command.run is None:
            self._slow += [SlowCommand(session, one, read, elapsed) for session, (one,) in shares]
        return payloads

    def _count(
        self,
        command: Command,
        shares: list[Share],
        count: int,
        started: int,
        elapsed: int,
        read: int,
    ) -> None:
        buckets = self._counters.buckets[command]
        buckets[bucket_of(elapsed // count)] += count
        buckets[SUM] += elapsed
        if len(shares) == 1 or shares[0][0].received == read:
            buckets[WAIT] += (started - read) * count
            self.ran.append((command, count, read))
            return
        for session, requests in shares:  # some were read in an earlier turn: they come first
            buckets[WAIT] += (started - session.received) * len(requests)
            self.ran.append((command, len(requests), session.received))

    def _answer_alike(self, command: Command, requests: list[Request]) -> list[Payload]:
        """The encoded reply to equal requests, for each."""
        context, counters = self._context, self._counters
        hits, misses = counters.hits, counters.misses
        reply = command.handler(context, requests[0])
        payload = context.session.encoders[type(reply)](reply)
        others = len(requests) - 1
        counters.hits += (counters.hits - hits) * others
        counters.misses += (counters.misses - misses) * others
        return [payload] * len(requests)


def _encode_shares(values: list[Any], shares: list[Share]) -> list[Payload] | None:
    encoders = shares[0][0].encoders
    if len(shares) == len(values):
        return encode_each(values, encoders)
    payloads: list[Payload] = []
    start = 0
    for _, requests in shares:
        end = start + len(requests)
        payload = encode_run(values[start:end], encoders, LARGE_REPLY)
        if payload is None:
            return None
        payloads.append(payload)
        start = end
    return payloads


def _parts(group: list[Item[C]]) -> list[list[Item[C]]]:
    """A group, cut so that a run takes half as many rows as a commit may have: together with as
    many of those before it is no large one."""
    arguments = len(group[0][1][0]) * sum([len(requests) for _, requests in group])
    if arguments <= FAST_ROWS // 2:
        return [group]
    size = max(len(group) * (FAST_ROWS // 2) // arguments, 2)
    return [group[start : start + size] for start in range(0, len(group), size)]


def _group_of(session: Session, requests: list[Request]) -> Group:
    """Sessions with the same command, database, protocol, and key where that matters, may run
    together."""
    first = requests[0]
    command = _table.get(first[0])
    if (
        command is None
        or not command.low <= len(first) <= command.high
        or not (session.plain or (session.screened and _may_run(session, requests)))
        or session.no_touch
        or session.closing
    ):
        return _ALONE
    alike: tuple[bytes, ...]
    if command.run is not None:
        if command.apart:  # a script speaks for one client
            return _ALONE
        if len(requests) > 1 and not all_of(first[0], requests):
            return _ALONE
        alike = (first[1],) if command.run_takes_one_key else ()
    elif command.answers_alike and len(requests) == 1:
        alike = tuple(first[1:])
    else:
        return _ALONE
    return command, session.database, session.protocol, alike


def _may_run(session: Session, requests: list[Request]) -> bool:
    """Whether the session's user may run all of ``requests``."""
    permits = session.user.permits
    return permits is None or permits.leading(requests) == len(requests)


def all_of(name: bytes, requests: list[Request]) -> bool:
    """Whether all ``requests`` are spelt with this name."""
    names = list(map(_name_of, requests))
    return names.count(name) == len(names)
