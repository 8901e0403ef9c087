"""MIGRATE: keys move to another server, which restores what this one dumps.

A few keys at a time are sent, and gone here once the other side has said that it has them: what it
has not acknowledged stays. Everything it says is a line, ``+OK`` or an error; whatever else it may
send is none of Redis' answers, and ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import GENERIC, Fired
from tendis_py.commands.registry import FAST_ROWS, REGISTRY, Keys, Lane, command
from tendis_py.errors import (
    MIGRATE_KEY_AND_KEYS,
    NO_TARGET,
    ReplyError,
    syntax_error,
    target_failed,
    target_refused,
)
from tendis_py.pieces import Pieces, Text, parts_of
from tendis_py.rdb.payload import dump
from tendis_py.resp.replies import OK, Reply
from tendis_py.resp.requests import Request
from tendis_py.services.links import Link, Target
from tendis_py.storage.events import Event, Writes

_MANY = 128
_MUCH = 1 << 20
"""Keys, or bytes, after which their acknowledgement is waited for."""

_DEFAULT_MS = 1000
_NUMBER_AT_HEAD = re.compile(rb"\s*[-+]?\d+")
_NO_PORT = -1
_HIGHEST_PORT = 65535
_LONGEST_PORT = 20
_ACKNOWLEDGED = b"+OK"

_SKIPPED = {b"copy": 0, b"replace": 0, b"auth": 1, b"auth2": 2}
"""Option → how many arguments it has."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What a MIGRATE asks for. ``credentials``: AUTH's arguments, if it is to be sent; ``step``:
    seconds that each step may take."""

    target: Target
    credentials: list[bytes]
    keys: list[bytes]
    step: float
    copy: bool
    replace: bool


def _find_keys(args: Request) -> list[tuple[int, str]]:
    at = 6
    found = range(3, 4)
    while at < len(args):
        option = args[at].lower()
        if option == b"keys":
            if args[3]:
                found = range(0)
            elif at + 1 < len(args):
                found = range(at + 1, len(args))
            break
        at += 1 + _SKIPPED.get(option, 0)
    return [(key, "RW access delete") for key in found]


def _events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index = ctx.db.index
    for key in dict.fromkeys(args[at] for at, _ in _find_keys(args)):
        if writes.is_gone(index, key):
            yield Event(GENERIC, "del", index, key)


@command(
    "migrate",
    -6,
    group="generic",
    since="2.6.0",
    flags="write",
    keys=(
        Keys("RW access delete", first=3),
        Keys("RW access delete incomplete", first=-2, last=-1, keyword="KEYS"),
    ),
    find_keys=_find_keys,
    lane=Lane.SLOW,
    apart=True,
    complexity=(
        "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the "
        "target instance. See the pages of these commands for time complexity. Also an O(N) data "
        "transfer between the two instances is performed."
    ),
    categories="dangerous",
    tips=("nondeterministic_output",),
    syntax='host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 '
    "username password] [KEYS key [key ...]]",
    events=_events,
)
def migrate(ctx: Context, args: list[bytes]) -> Reply:
    """Atomically transfers a key from one Redis instance to another."""
    order = _order(args)
    if _may_begin_again(ctx):
        ctx.require(None)
    find, pace = ctx.db.find, ctx.tx.pace
    there = [key for key in pace.over(iter(order.keys)) if find(key) is not None]
    if not there:
        return "NOKEY"
    move = _Move(ctx, order)
    move.all(there)
    return OK if move.failure is None else ctx.failed(args, move.failure)


def _may_begin_again(ctx: Context) -> bool:
    """Whether this is part of a script, or of a transaction that may have one: those run again if
    they turn out to use other keys than they have named, and then these would be gone already."""
    if ctx.session is not ctx.client:
        return True
    transaction = ctx.session.transaction
    return transaction is not None and (
        len(transaction.requests) > FAST_ROWS
        or any(
            found is not None and found.group == "scripting"
            for found in (REGISTRY.lookup(request[0]) for request in transaction.requests)
        )
    )


def _order(args: list[bytes]) -> _Order:
    keys = [args[3]]
    credentials: list[bytes] = []
    given: set[bytes] = set()
    at = 6
    while at < len(args):
        option = args[at].lower()
        if option == b"keys":
            if args[3]:
                raise ReplyError(MIGRATE_KEY_AND_KEYS)
            keys = args[at + 1 :]
            break
        if option not in _SKIPPED or at + _SKIPPED[option] >= len(args):
            raise syntax_error()
        given.add(option)
        values = args[at + 1 : at + 1 + _SKIPPED[option]]
        if values:
            credentials = values if len(values) == 2 else [*credentials[:-1], *values]
        at += 1 + len(values)
    milliseconds = integer(args[5])
    database = integer(args[4])
    digest = sha256(b"\0".join(credentials)).digest() if credentials else b""
    return _Order(
        Target(args[1], _port(args[2]), database, digest),
        credentials,
        keys,
        (milliseconds if milliseconds > 0 else _DEFAULT_MS) / 1000,
        copy=b"copy" in given,
        replace=b"replace" in given,
    )


def _port(argument: bytes) -> int:
    """The number that it begins with, 0 if with none, as C reads it; _NO_PORT if that is none."""
    match = _NUMBER_AT_HEAD.match(argument[:_LONGEST_PORT])
    port = int(match[0]) if match else 0
    return port if 0 <= port <= _HIGHEST_PORT else _NO_PORT


class _Refused(Exception):
    """The target has answered an error, ``args[0]``, before any key was sent."""


class _Move:
    """Keys on their way. ``failure``: what the client is told, if not all is well."""

    def __init__(self, ctx: Context, order: _Order) -> None:
        self.failure: ReplyError | None = None
        self._db = ctx.db
        self._now_ms = ctx.services.clock.now_ms
        self._links = ctx.services.links
        self._session = ctx.client
        self._order = order
        self._step = "writing"
        self._may_be_stale = False
        """Whether the link is an old one that nothing has come from yet: it may long be closed."""

    def all(self, keys: list[bytes]) -> None:
        """Move ``keys``, as far as they can be."""
        try:
            link = self._links.take(self._session, self._order.target)
            self._may_be_stale = link is not None
            if link is None:
                link = self._new_link()
            for some, requests in self._requests(keys):
                link = self._deliver(link, some, requests)
        except _Refused as refusal:
            self.failure = target_refused(refusal.args[0])
        except OSError:
            self.failure = self.failure or target_failed(self._step)
        else:
            self._links.keep(self._session, self._order.target)
        finally:
            self._links.drop(self._session)

    def _new_link(self) -> Link:
        order = self._order
        self._may_be_stale = False
        try:
            link = self._links.open(self._session, order.target, order.step)
        except ConnectionRefusedError:  # to Redis, which does not look, it is connected by then
            raise target_failed("writing") from None
        except OSError:
            raise ReplyError(NO_TARGET) from None
        greeting = [[b"SELECT", b"%d" % order.target.database]]
        if order.credentials:
            greeting.insert(0, [b"AUTH", *order.credentials])
        self._send(link, [part for request in greeting for part in _encoded(*request)])
        answers = [self._answer(link) for _ in greeting]
        for answer in answers:
            if answer != _ACKNOWLEDGED:
                raise _Refused(answer[1:])
        return link

    def _requests(self, keys: list[bytes]) -> Iterator[tuple[list[bytes], Pieces]]:
        """Some of the keys, and the requests to restore them on the wire, again and again."""
        some: list[bytes] = []
        requests: list[bytes] = []
        size = 0
        for key in self._db.tx.pace.over(iter(keys)):
            before = len(requests)
            try:
                requests += self._request(key)
            except ReplyError as error:
                self.failure = self.failure or error
                continue
            if len(requests) > before:
                some.append(key)
                size += sum(map(len, requests[before:]))
            if len(some) >= _MANY or size >= _MUCH:
                ready, requests = Pieces(requests), []
                yield some, ready
                some, size = [], 0
        if some:
            ready, requests = Pieces(requests), []
            yield some, ready

    def _request(self, key: bytes) -> list[bytes]:
        """What restores ``key`` there; nothing if it has expired meanwhile."""
        row = self._db.peek(key)
        if row is None:
            return []
        left = 0
        if row.expire_at:
            left = row.expire_at - self._now_ms()
            if left < 0:
                return []
            left = max(left, 1)
        options = [b"REPLACE"] if self._order.replace else []
        return _encoded(b"RESTORE", key, b"%d" % left, dump(self._db, row), *options)

    def _deliver(self, link: Link, keys: list[bytes], requests: Pieces) -> Link:
        """Have ``keys`` restored, and forget those that are. The link, or the one that had to be
        made instead."""
        try:
            self._send(link, requests.parts)
            answer = self._answer(link)
        except OSError as error:
            is_over = isinstance(error, TimeoutError) or self._session.closing
            if is_over or not self._may_be_stale:
                raise
            self._links.drop(self._session)
            return self._deliver(self._new_link(), keys, requests)
        for number, key in enumerate(keys):
            if number:
                answer = self._answer(link)
            if answer != _ACKNOWLEDGED:
                self.failure = self.failure or target_refused(answer[1:])
            elif not self._order.copy:
                row = self._db.peek(key)
                if row is not None:
                    self._db.delete(key, row)
        return link

    def _send(self, link: Link, parts: list[bytes]) -> None:
        self._step = "writing"
        link.send(parts, self._order.step)
        self._step = "reading"

    def _answer(self, link: Link) -> bytes:
        """The next line: an acknowledgement, or an error."""
        line = link.line(self._order.step)
        self._may_be_stale = False
        if line != _ACKNOWLEDGED and not line.startswith(b"-"):
            raise ConnectionError("no answer of Redis'")
        return line


def _encoded(*request: Text) -> list[bytes]:
    """A request on the wire, in parts."""
    parts = [b"*%d\r\n" % len(request)]
    for argument in request:
        parts += b"$%d\r\n" % len(argument), *parts_of(argument), b"\r\n"
    return parts
