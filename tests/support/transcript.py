"""Transcripts: commands in redis-cli's quoting, one a line, to be asked of two servers.

A blank line starts a new case, before which both servers are flushed and all connections are new;
``#`` starts a comment line. Prefixes, in any order, each followed by a space:

======  ========================================================================================
``@N``  send on the N-th connection (the first is 1)
``~``   compare the reply's shape only: types and lengths, code words of errors
``%``   compare arrays, sets and maps without regard to order
``!``   a deliberate, documented difference: compare only whether the reply is an error
``>``   no answer yet: send, and go on once the server has dealt with it without answering;
        neither has any other connection that still waits got its answer
======  ========================================================================================

Instead of a command:

======  ========================================================================================
``<``   now comes the answer to the oldest request that the connection waits for
``^``   now comes a message, or one more confirmation of a request that has several
``+N``  N milliseconds pass, and a little more
======  ========================================================================================

A case with ``>``, ``<`` or ``+N`` is *timed*: it is played on a ``Stage``, which knows when the
server has dealt with what it was sent, and how time passes there. All its connections are opened
first.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.reference import split_arguments
from tests.support.resp import Bytes, Disconnected, RawClient
from tests.support.servers import ServerProcess, wait_until

WAITS, COMES, PASSES, TOLD = "><+^"

NO_ANSWER_YET = b"(no answer yet)\r\n"
TOO_EARLY = b"(answered too early) "
TIME_PASSED = b"(time passed)\r\n"

A_LITTLE = 0.005
"""Seconds more than ``+N`` says: what is due at a moment may only go in the next millisecond."""

ATTEMPTS = 5


class Player(Protocol):
    """A server that transcripts are played on."""

    def client(self, *, protocol: int = 2) -> RawClient:
        """A new connection to it."""


class Stage(Player, Protocol):
    """One for timed cases."""

    def settle(self, clients: Collection[RawClient]) -> None:
        """Return once the server has read all that ``clients`` have sent, and has answered what
        it is not going to keep waiting."""

    def pass_time(self, seconds: float) -> None:
        """Return when ``seconds`` have passed for the server."""


@dataclass(frozen=True, slots=True)
class Line:
    """``verb``: WAITS, COMES, PASSES (for so many ``milliseconds``), TOLD, or none."""

    number: int
    text: str
    arguments: list[bytes]
    connection: int
    marks: str
    verb: str = ""
    milliseconds: int = 0


Case = list[Line]


def is_timed(case: Case) -> bool:
    return any(line.verb not in ("", TOLD) for line in case)


def read_transcript(path: Path) -> list[Case]:
    """The cases of a file. ValueError naming the line that can't be read."""
    cases: list[Case] = [[]]
    owed: Counter[int] = Counter()
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            cases.append([])
            owed.clear()
        elif not text.startswith("#"):
            try:
                line = _line(number, text)
                _keep_account(owed, line)
            except ValueError as error:
                reason = str(error) or "unbalanced quotes"
                raise ValueError(f"{path}:{number}: {reason}: {text}") from None
            cases[-1].append(line)
    return [case for case in cases if case]


def _line(number: int, text: str) -> Line:
    rest, marks, connection, verb = text, "", 1, ""
    while rest[:1] and rest[0] in "~%!@><^":
        prefix, _, rest = rest.partition(" ")
        if prefix.startswith("@"):
            connection = int(prefix[1:])
        elif len(prefix) != 1:
            raise ValueError(f"unknown prefix {prefix}")
        elif prefix in (WAITS, COMES, TOLD):
            verb = prefix
        else:
            marks += prefix
    if rest.startswith(PASSES):
        if rest != text:
            raise ValueError("time passes for all connections")
        return Line(number, text, [], connection, marks, PASSES, int(rest[1:]))
    if (verb in (COMES, TOLD)) == bool(rest):
        raise ValueError("a command, or an answer that comes")
    return Line(number, text, split_arguments(rest.encode()), connection, marks, verb)


def _keep_account(owed: Counter[int], line: Line) -> None:
    """Of the answers that connections wait for."""
    if line.verb == WAITS:
        owed[line.connection] += 1
    elif line.verb == COMES:
        if not owed[line.connection]:
            raise ValueError("it waits for nothing")
        owed[line.connection] -= 1
    elif line.verb not in (PASSES, TOLD) and owed[line.connection]:
        raise ValueError("it still waits for an answer")


def play(case: Case, server: Player, protocol: int) -> list[bytes]:
    """Run one case that is not timed on a flushed server; the bytes of each line's reply. A
    connection that the server closes answers ``(closed)``."""
    replies: list[bytes] = []
    with contextlib.ExitStack() as stack:
        clients = {1: _first_client(stack, server, protocol)}
        for line in case:
            client = clients.get(line.connection)
            if client is None:
                client = stack.enter_context(server.client(protocol=protocol))
                clients[line.connection] = client
            if not _answer(replies, client, line):
                break
    return replies


def _first_client(stack: contextlib.ExitStack, server: Player, protocol: int) -> RawClient:
    """Of a server that is empty, and has no other clients any more."""
    first = stack.enter_context(server.client(protocol=protocol))
    flushed = first.command("FLUSHALL")
    assert flushed == b"+OK\r\n", flushed
    wait_until(lambda: first.command("CLIENT", "LIST").count(b"id=") == 1, "it is alone")
    return first


def _answer(replies: list[bytes], client: RawClient, line: Line) -> bool:
    """Ask what is to be asked and take the answer; False when none came."""
    try:
        replies.append(client.reply() if line.verb else client.command(*line.arguments))
    except (Disconnected, ConnectionError):
        replies.append(b"(closed)\r\n")
    except TimeoutError:
        replies.append(b"(no reply)\r\n")
        return False
    return True


def play_timed(case: Case, stage: Stage, protocol: int) -> list[bytes]:
    """As ``play`` for a timed case. A request that is answered where no answer was to come yet
    ends it, with ``(answered too early)``."""
    replies: list[bytes] = []
    with contextlib.ExitStack() as stack:
        clients = {1: _first_client(stack, stage, protocol)}
        for number in sorted({line.connection for line in case} - {1}):
            clients[number] = stack.enter_context(stage.client(protocol=protocol))
        owed: Counter[int] = Counter()
        for line in case:
            client = clients[line.connection]
            if line.verb == PASSES:
                stage.pass_time(line.milliseconds / 1000 + A_LITTLE)
                replies.append(TIME_PASSED)
            elif line.verb == WAITS:
                client.request(*line.arguments)
                owed[line.connection] += 1
                waiting = [clients[number] for number in +owed]
                stage.settle(waiting)
                early = [one for one in waiting if one.has_more()]
                replies.append(TOO_EARLY + early[0].reply() if early else NO_ANSWER_YET)
                if early:
                    break
            elif _answer(replies, client, line):
                owed[line.connection] -= line.verb == COMES
            else:
                break
    return replies


class RealTime:
    """The real server as a Stage. Its time can only be waited for, hence transcripts choose
    milliseconds; it executes in one thread, so that what was sent before is dealt with before."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server

    def client(self, *, protocol: int = 2) -> RawClient:
        return self._server.client(protocol=protocol)

    def settle(self, clients: Collection[RawClient]) -> None:
        """By requests that are refused, which no pause holds back; two, since the first may be
        read in the same turn as what it is to come after, and be answered before it."""
        with self._server.client() as other:
            for _ in range(2):
                refused = other.command("ECHO")
                assert refused.startswith(b"-ERR wrong number of arguments"), refused

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)


def play_in_real_time(case: Case, stage: RealTime, protocol: int) -> list[bytes]:
    """``play_timed``, tried again where the machine was too slow to find "no answer yet" before a
    time of milliseconds was over."""
    for _ in range(ATTEMPTS):
        replies = play_timed(case, stage, protocol)
        if not replies[-1].startswith(TOO_EARLY):
            break
    return replies


def comparable(reply: bytes, marks: str) -> object:
    """What has to be equal of two replies to a line with ``marks``."""
    if "!" in marks:
        return reply[:1] in b"-!"
    if not marks or reply[:1] == b"(":
        return reply
    return _comparable(Bytes(reply), shape="~" in marks, ordered="%" not in marks)


def _comparable(source: Bytes, *, shape: bool, ordered: bool) -> object:
    head = source.line()
    marker = chr(head[0])
    if head in (b"$-1\r\n", b"*-1\r\n", b"_\r\n"):
        return head
    if marker in "$=":
        value = source.exactly(int(head[1:-2]) + 2)
        return marker if shape else (marker, value)
    if marker in "*~>%":
        pairs = 2 if marker == "%" else 1
        items: list[object] = [
            tuple(_comparable(source, shape=shape, ordered=ordered) for _ in range(pairs))
            for _ in range(int(head[1:-2]))
        ]
        return marker, items if ordered else sorted(items, key=repr)
    if not shape:
        return head
    return head.split(b" ")[0] if marker == "-" else marker
