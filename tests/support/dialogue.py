"""Dialogues: what several clients say in turn, and all that each of them is sent.

One line is what one client sends at once: ``A GET k | SET k 1``. Clients are single letters,
capitals speak RESP3, others RESP2; ``$A`` is the id of A. Before the next line the client has its
replies: as many as requests, unless ``A:1`` says how many. ``A hears``: A waits for what it is told
next. ``A close`` is its end; ``+N``: so many milliseconds pass, and a little more.

What a client is sent is taken whole, replies and what it is told unasked, in the order in which it
comes; only when that comes does not count, but for that it is there before the reply to what the
client asks later.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import zip_longest

from tests.support.reference import split_arguments
from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import wait_until
from tests.support.transcript import A_LITTLE, Stage

_UNASKED = re.compile(
    rb">\d\r\n\$\d+\r\n(invalidate|tracking|message)|\*3\r\n\$7\r\nmessage\r\n|\+\d+\.\d{6} \["
)
_THE_END = b"-ERR wrong number of arguments for 'echo' command\r\n"

_CHANCE = [
    (re.compile(rb"(redirect|tracking-redir-broken)\r\n:[1-9]\d*"), rb"\1\r\n:(id)"),
    (
        re.compile(rb"[=$]\d+\r\n(txt:)?id=.*( flags=\S+).*( redir=(?:-1|0|(?=\d))).*\n\r\n"),
        rb"\2\3",
    ),
    (re.compile(rb"\+\d+\.\d{6} \[(\d+) [^\]]*\]"), rb"+(time) [\1 (address)]"),
]
"""What is another in each server: ids, lines of CLIENT LIST but for the flags, times."""


Heard = dict[str, list[bytes]]
"""By client what it is sent, in order."""


def said(text: str) -> list[str]:
    """The lines of a dialogue."""
    return [line.strip() for line in text.strip().splitlines()]


def listen(lines: Sequence[str], stage: Stage) -> Heard:
    """What each client of a dialogue is sent by a flushed server."""
    heard: Heard = {}
    ids: dict[str, bytes] = {}
    with contextlib.ExitStack() as stack:
        clients: dict[str, RawClient] = {}
        with stage.client() as first:
            assert first.command("FLUSHALL") == b"+OK\r\n"
        for line in lines:
            if line.startswith("+"):
                stage.pass_time(int(line) / 1000 + A_LITTLE)
                continue
            speaker, _, text = line.partition(" ")
            name, _, number = speaker.partition(":")
            client = clients.get(name)
            if client is None:
                protocol = 3 if name.isupper() else 2
                client = stack.enter_context(stage.client(protocol=protocol))
                clients[name] = client
                ids[name] = b"%d" % client.value("CLIENT", "ID")
                heard[name] = []
            if text == "hears":
                heard[name].append(client.reply())
                continue
            if text == "close":
                _end(client, heard[name])
                clients.pop(name).close()
                _wait_until_gone(stage, ids[name])
                continue
            requests = [_arguments(one, ids) for one in text.split("|")]
            client.send(b"".join(map(encode_request, requests)))
            _take(client, heard[name], int(number) if number else len(requests))
        for name, client in clients.items():
            _end(client, heard[name])
    return {name: [_without_chance(one) for one in sent] for name, sent in heard.items()}


def must_be_alike(ours: Heard, theirs: Heard) -> None:
    """AssertionError that shows where what some client is sent differs first."""
    for name in ours.keys() | theirs.keys():
        here, there = ours.get(name, []), theirs.get(name, [])
        for number, (one, other) in enumerate(zip_longest(here, there)):
            before = here[max(0, number - 2) : number]
            assert one == other, f"{name} gets {one!r}, from redis {other!r}, after {before}"


def _arguments(request: str, ids: dict[str, bytes]) -> list[bytes]:
    return [
        ids[argument[1:].decode()] if argument[:1] == b"$" else argument
        for argument in split_arguments(request.strip().encode())
    ]


def _take(client: RawClient, heard: list[bytes], replies: int) -> None:
    """So many replies, and what comes before them."""
    while replies:
        try:
            heard.append(client.reply())
        except (Disconnected, ConnectionError):
            heard.append(b"(closed)")
            return
        replies -= _UNASKED.match(heard[-1]) is None


def _end(client: RawClient, heard: list[bytes]) -> None:
    """All that comes before the reply to what is refused, whatever the client's state."""
    if heard[-1:] == [b"(closed)"]:
        return
    try:
        client.request("CLIENT", "REPLY", "ON")
        client.request("ECHO")
        while not heard or heard[-1] != _THE_END:
            heard.append(client.reply())
    except (Disconnected, ConnectionError):
        heard.append(b"(closed)")


def _wait_until_gone(stage: Stage, id_: bytes) -> None:
    with stage.client() as other:
        wait_until(lambda: b"id=" not in other.command("CLIENT", "LIST", "ID", id_), "it is gone")


def _without_chance(reply: bytes) -> bytes:
    for pattern, instead in _CHANCE:
        reply = pattern.sub(instead, reply)
    return reply
