"""The slow log with a threshold of 0: the same entries as the real server's."""

from __future__ import annotations

from typing import Any

from tests.support.resp import RawClient
from tests.support.servers import ServerProcess, wait_until

COMMANDS = [
    ["SET", "k", "x" * 200],
    ["MSET", *map(str, range(80))],
    ["GET", "k", "too many"],
    ["NOSUCH"],
    ["LPUSH", "k", "of another type"],
    *(["MULTI"], ["SET", "a", "1"], ["INCR", "a"], ["EXEC"]),
    *(["MULTI"], ["SET", "a", "1"], ["DISCARD"]),
    *(["MULTI"], ["NOSUCH"], ["EXEC"]),
    *(["AUTH", "pw"], ["AUTH", "a", "b"], ["CONFIG", "SET", "requirepass", ""]),
    *(["HELLO", "3", "AUTH", "a", "b"], ["HELLO", "2", "SETNAME", "other"]),
    *(["PING"], ["SLOWLOG", "GET"], ["slowlog", "len"], ["CONFIG", "RESETSTAT"]),
    *(["SUBSCRIBE", "ch"], ["UNSUBSCRIBE", "ch"], ["SORT", "l"], ["BLPOP", "l", "0.01"]),
]


def entries(server: ServerProcess) -> list[tuple[Any, Any]]:
    """Arguments and client names, the oldest first. Others wait, in vain or not."""
    with server.client() as client, server.client() as waiter:
        client.command("FLUSHALL")
        client.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        try:
            client.command("SLOWLOG", "RESET")
            client.command("CLIENT", "SETNAME", "one")
            for command in COMMANDS:
                client.command(*command)
            waiter.send(b"BLPOP list 0\r\n")
            wait_until(lambda: is_blocked(client), "it waits")
            client.command("RPUSH", "list", "v")
            waiter.reply()
        finally:
            client.command("CONFIG", "SET", "slowlog-log-slower-than", 10000)
        found = client.value("SLOWLOG", "GET", -1)
        client.command("SLOWLOG", "RESET")
    assert all(len(entry) == 6 for entry in found)
    assert [entry[0] for entry in found] == sorted((entry[0] for entry in found), reverse=True)
    return [(entry[3], entry[5]) for entry in reversed(found) if entry[3] != [b"INFO", b"clients"]]


def is_blocked(client: RawClient) -> bool:
    return b"blocked_clients:1" in client.command("INFO", "clients")


def test_entries(tendis_default: ServerProcess, redis_server: ServerProcess) -> None:
    ours, theirs = entries(tendis_default), entries(redis_server)
    assert ours[:-2] == theirs[:-2]
    # Who is served has run before the command that serves has ended.
    assert sorted(ours[-2:]) == sorted(theirs[-2:])
