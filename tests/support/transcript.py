"""Transcripts: commands in redis-cli's quoting, one a line, to be asked of two servers.

A blank line starts a new case, before which both servers are flushed and all connections are new;
``#`` starts a comment line. Prefixes, in any order, each followed by a space:

======  ========================================================================================
``@N``  send on the N-th connection (the first is 1)
``~``   compare the reply's shape only: types and lengths, code words of errors
``%``   compare arrays, sets and maps without regard to order
``!``   a deliberate, documented difference: compare only whether the reply is an error
======  ========================================================================================
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from tests.support.reference import split_arguments
from tests.support.resp import Bytes, Disconnected, RawClient
from tests.support.servers import ServerProcess, wait_until


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    text: str
    arguments: list[bytes]
    connection: int
    marks: str


Case = list[Line]


def read_transcript(path: Path) -> list[Case]:
    """The cases of a file. ValueError naming the line that can't be read."""
    cases: list[Case] = [[]]
    for number, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            cases.append([])
        elif not text.startswith("#"):
            cases[-1].append(_line(path, number, text))
    return [case for case in cases if case]


def _line(path: Path, number: int, text: str) -> Line:
    rest, marks, connection = text, "", 1
    try:
        while rest[:1] in "~%!@":
            prefix, _, rest = rest.partition(" ")
            if prefix.startswith("@"):
                connection = int(prefix[1:])
            elif len(prefix) == 1:
                marks += prefix
            else:
                raise ValueError(f"unknown prefix {prefix}")
        return Line(number, text, split_arguments(rest.encode()), connection, marks)
    except ValueError as error:
        raise ValueError(f"{path}:{number}: {error or 'unbalanced quotes'}: {text}") from None


def play(case: Case, server: ServerProcess, protocol: int) -> list[bytes]:
    """Run one case on a flushed server; the bytes of each line's reply. A connection that the
    server closes answers ``(closed)``."""
    replies: list[bytes] = []
    with contextlib.ExitStack() as stack:
        clients: dict[int, RawClient] = {}
        first = clients[1] = stack.enter_context(server.client(protocol=protocol))
        flushed = first.command("FLUSHALL")
        assert flushed == b"+OK\r\n", flushed
        wait_until(lambda: first.command("CLIENT", "LIST").count(b"id=") == 1, "it is alone")
        for line in case:
            client = clients.get(line.connection)
            if client is None:
                client = stack.enter_context(server.client(protocol=protocol))
                clients[line.connection] = client
            try:
                replies.append(client.command(*line.arguments))
            except (Disconnected, ConnectionError):
                replies.append(b"(closed)\r\n")
            except TimeoutError:
                replies.append(b"(no reply)\r\n")
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
