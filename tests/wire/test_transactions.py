"""Transactions that are large, or find out late that they are, in every threading model."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.support.resp import Disconnected, RawClient, encode_request
from tests.support.servers import ServerProcess

MANY = 20_000
ONCE = """CLIENT GETNAME|CLIENT SETNAME me
CLIENT KILL ID {victim}|UNWATCH|SUBSCRIBE own|PUBLISH own 1
ECHO a|CLIENT REPLY OFF|CLIENT REPLY ON"""
"""What is not taken back with what was written, or not to be seen twice."""
TWICE = "SET x 1|INCR x|PUBLISH channel 1|LPOP x|GET missing|SELECT 1|INCR y|SELECT 0|RPUSH q 1"
"""What can be."""

COUNTED = re.compile(
    rb"cmdstat_\S+?:calls=\d+|rejected_calls=\d+,failed_calls=\d+|errorstat\S+"
    rb"|keyspace_(?:hits|misses):\d+|total_error_replies:\d+"
)


def requests_of(lines: str) -> list[list[bytes]]:
    return [line.encode().split() for line in lines.replace("\n", "|").split("|")]


def all_that_comes(client: RawClient) -> bytes:
    """Up to the answer to an ECHO."""
    client.request("ECHO", "the end")
    found = b""
    while not found.endswith(b"$7\r\nthe end\r\n"):
        found += client.reply()
    return found


def told(server: ServerProcess, lines: str, onlooker: str) -> list[Any]:
    """All that is said of an EXEC whose last member is the first to find that it takes long."""
    with (
        server.client(protocol=3) as client,
        server.client(protocol=3) as listener,
        server.client(protocol=3) as monitor,
        server.client() as victim,
    ):
        for key in ("big", "x", "y", "q"):
            client.command("DEL", key)
        for start in range(0, MANY, 1000):
            client.command("RPUSH", "big", *range(start, start + 1000))
        client.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
        listener.command("PSUBSCRIBE", "*")
        if onlooker == "tracking":
            listener.command("CLIENT", "TRACKING", "ON", "BCAST")
        filled = lines.format(victim=victim.value("CLIENT", "ID"))
        if onlooker == "monitor":
            monitor.command("MONITOR")
        client.command("CONFIG", "RESETSTAT")
        client.command("WATCH", "w")
        members = [*requests_of(filled), [b"LRANGE", b"big", b"0", b"-1"]]
        requests = [[b"MULTI"], *members, [b"EXEC"], [b"GET", b"x"], [b"SELECT", b"1"]]
        client.send(b"".join(map(encode_request, [*requests, [b"GET", b"y"]])))
        said: list[Any] = [all_that_comes(client)]
        said.append(client.value("CLIENT", "GETNAME"))
        client.command("SELECT", "0")
        for section in ("commandstats", "errorstats", "stats"):
            said.append(sorted(COUNTED.findall(client.value("INFO", section))))
        said += [all_that_comes(listener)]
        said += [re.sub(rb"\+[\d.]+ \[(\d+) \S+\]", rb"\1", all_that_comes(monitor))]
        client.command("CONFIG", "SET", "notify-keyspace-events", "")
        client.command("FLUSHALL")
        return said


@pytest.mark.parametrize("lines", [TWICE, f"{TWICE}|{ONCE}", f"{ONCE}|{TWICE}"])
@pytest.mark.parametrize("onlooker", ["nobody", "tracking", "monitor"])
def test_what_is_begun_again_is_told_once(
    tendis: ServerProcess, redis_server: ServerProcess, lines: str, onlooker: str
) -> None:
    found = told(tendis, lines, onlooker)
    expected = told(redis_server, lines, onlooker)
    number = re.compile(rb'"ID" "\d+"')
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(ours, bytes):
            ours, theirs = number.sub(b"", ours), number.sub(b"", theirs)
        assert ours == theirs


@pytest.mark.parametrize("as_one", [False, True])
def test_a_long_exec_is_one_and_lets_others_be_served(tendis: ServerProcess, as_one: bool) -> None:
    """Planning, running and committing it takes a time that is linear in its size."""
    number = 50_000
    names = [b"long:%d" % each for each in range(number)]
    members = [[b"SET", name, b"1"] for name in names]
    if as_one:
        pairs = [part for name in names for part in (name, b"1")]
        members = [[b"INCR", b"n"], [b"MSET", *pairs], [b"INCR", b"n"]]
    longest = 0.0
    with tendis.client(seconds=30.0) as client, tendis.client(seconds=30.0) as other:
        assert client.command("MULTI") == b"+OK\r\n"
        for start in range(0, len(members), 1000):
            client.pipeline(members[start : start + 1000])
        client.request("EXEC")
        ends = (names[0], names[-1])
        while not client.has_more():
            began = time.monotonic()
            assert other.value("MGET", *ends) in ([None, None], [b"1", b"1"])
            assert other.command("GET", "another") == b"$-1\r\n"
            longest = max(longest, time.monotonic() - began)
        assert client.reply().startswith(b"*%d\r\n" % len(members))
        assert other.value("EXISTS", *names) == number
        assert other.command("FLUSHALL") == b"+OK\r\n"
    assert longest < 10.0


def test_a_client_that_queues_without_end_is_closed(tendis: ServerProcess) -> None:
    with tendis.client() as control, tendis.client() as client:
        control.command("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        try:
            assert client.command("MULTI") == b"+OK\r\n"
            assert client.command("SET", "k", b"x" * 300_000) == b"+QUEUED\r\n"
            with pytest.raises((Disconnected, OSError)):
                _set_for_ever(client)
            assert control.command("EXISTS", "k") == b":0\r\n"
        finally:
            control.command("CONFIG", "SET", "client-query-buffer-limit", "1gb")


def _set_for_ever(client: RawClient) -> None:
    while True:
        client.command("SET", "k", b"x" * 300_000)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("protocol", [2, 3])
def test_what_it_tells_its_own_client_comes_after_its_reply(
    tendis: ServerProcess, redis_server: ServerProcess, protocol: int, whole: bool
) -> None:
    """To that client, and to no other."""
    lines = "MULTI|SUBSCRIBE own|PUBLISH own 1|PUBLISH own 2|EXEC|PING"
    heard = []
    for server in (tendis, redis_server):
        with server.client(protocol=protocol) as client, server.client() as other:
            requests = requests_of(lines)
            if whole:
                client.send(b"".join(map(encode_request, requests)))
                found = [client.reply() for _ in range(8)]
            else:
                found = [client.command(*request) for request in requests[:5]]
                found += [client.reply(), client.reply(), client.command("PING")]
            assert other.command("PING") == b"+PONG\r\n"
            assert not other.has_more()
            heard.append(found)
    assert heard[0] == heard[1]
