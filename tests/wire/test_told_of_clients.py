"""What CLIENT LIST and INFO tell once clients have done something together, as the real server
tells it: fields of each client, calls of each command, errors, lookups, who watches and waits."""

from __future__ import annotations

import contextlib

import pytest

from tests.support.resp import RawClient, encode_request
from tests.support.servers import ServerProcess, wait_until

CLIENTS = 3
FIELDS = (
    *("name", "db", "sub", "psub", "ssub", "multi", "watch", "flags", "cmd", "user", "redir"),
    *("resp", "tot-cmds"),
)
FIGURES = (
    *("blocked_clients", "tracking_clients", "watching_clients", "total_watched_keys"),
    *("total_blocking_keys", "total_blocking_keys_on_nokey", "tracking_total_keys"),
    *("tracking_total_items", "keyspace_hits", "keyspace_misses", "total_error_replies"),
)
OURS = ("config|resetstat", "client|list", "client|id", "flushall", "info", "client|unblock")
"""Commands that are asked by who looks. For Redis, CLIENT UNBLOCK has failed when it answers an
error to another client."""

# A client and its pipeline; with a "!" all of that is answered.
SCENARIOS = {
    "refused": "0 GET a|GET|NOSUCH|OBJECT FOO|SET k v x|INCR k|CLIENT FOO|ECHO x",
    "in a pipeline": "0 GET a|GET a|GET a|GET a|GET|GET a|SET a 1|SET b 2|SET c 3|SET d 4",
    "a transaction": """
        0 MULTI|GET a|SET a 1|INCR a|LPUSH a x
        0 EXEC|GET a""",
    "the last that was queued": "0 MULTI|SELECT 2|GET a",
    "queued behind a gate": """
        1 HELLO 3|CLIENT TRACKING ON
        1 MULTI|GET a|SET a 1|EXEC|GET a""",
    "nothing is queued once EXEC runs nothing": """
        0 MULTI|GET a|NOSUCH|GET a|SET a 1
        1 WATCH a
        2 SET a 1
        1 MULTI|GET a|GET b""",
    "exec runs nothing": "0 MULTI|NOSUCH|GET a|EXEC|EXEC|DISCARD",
    "who watched a key that changes watches nothing": """
        0 WATCH a b c
        1 WATCH b d
        2 SET a 1
        0 WATCH e""",
    "by its own hand": "0 WATCH a b|SET a 1|GET a",
    "who watched an emptied database still does": """
        0 SET a 1
        1 WATCH a b
        2 FLUSHDB
        1 WATCH c""",
    "swapped": """
        0 SET a 1|WATCH a
        1 SWAPDB 0 1""",
    "served": """
        0 BLPOP l m 0
        1 GET a|BRPOP m 0
        2 RPUSH l 1|RPUSH m 2""",
    "unblocked": """
        0 BLPOP l 0
        1 BZPOPMIN z 0
        2 CLIENT UNBLOCK {0}
        2 XADD x 1-1 f v|XREAD STREAMS x 0""",
    "told that it is unblocked": """
        0 BLPOP l 0
        0 ECHO x
        1 MULTI|CLIENT UNBLOCK {0} ERROR|EXEC""",
    "waited in vain": "0! BLPOP l 0.01|BLMOVE l m LEFT LEFT 0.01",
    "streams are looked for twice": """
        0 XREAD STREAMS x y 0 0|XADD x 1-1 f v|XREAD STREAMS x y 0 0
        0 XGROUP CREATE x g 0|XREADGROUP GROUP g c STREAMS x >
        1 ECHO x|XREAD BLOCK 0 STREAMS x $
        2 ECHO x|XREADGROUP GROUP g c BLOCK 0 STREAMS x >""",
    "who waits keeps what it has looked for": """
        0 HELLO 3|CLIENT TRACKING ON|XREAD BLOCK 0 STREAMS x y $ $
        1 GET a""",
    "asked within a transaction": "0 MULTI|CLIENT SETNAME me|CLIENT GETNAME|EXEC",
}


def _without_own(replies: list[bytes]) -> list[bytes]:
    """HELLO tells what server it is, and who one is."""
    return [reply for reply in replies if not reply.startswith(b"%7")]


class Table:
    """Clients at one server, and one who looks."""

    def __init__(self, server: ServerProcess, stack: contextlib.ExitStack) -> None:
        self.control: RawClient = stack.enter_context(server.client())
        self.control.command("FLUSHALL")
        wait_until(lambda: len(self._lines()) == 1, "those before have gone")
        self.clients = [stack.enter_context(server.client()) for _ in range(CLIENTS)]
        self.ids = [client.value("CLIENT", "ID") for client in self.clients]
        self.replies: list[list[bytes]] = [[] for _ in self.clients]
        self.owed = [0] * CLIENTS
        self.control.command("CONFIG", "RESETSTAT")

    def _lines(self) -> list[dict[str, str]]:
        lines = self.control.value("CLIENT", "LIST").decode().splitlines()
        return [dict(word.split("=", 1) for word in line.split()) for line in lines]

    def fields(self) -> dict[int, dict[str, str]]:
        return {
            self.ids.index(int(line["id"])): {name: line[name] for name in FIELDS}
            for line in self._lines()
            if int(line["id"]) in self.ids
        }

    def figures(self) -> dict[str, str]:
        found = {}
        for line in self.control.value("INFO", "everything").decode().splitlines():
            name, _, value = line.partition(":")
            if name.startswith("cmdstat_") and name.removeprefix("cmdstat_") not in OURS:
                parts = dict(part.split("=") for part in value.split(","))
                found[name] = f"{parts['calls']} {parts['rejected_calls']} {parts['failed_calls']}"
            elif name in FIGURES or name.startswith("errorstat_"):
                found[name] = value
        return found

    def play(self, line: str) -> None:
        number, _, requests = line.strip().partition(" ")
        pipeline = [request.format(*self.ids).encode().split() for request in requests.split("|")]
        client = int(number.removesuffix("!"))
        self.clients[client].send(b"".join(map(encode_request, pipeline)))
        self.owed[client] += len(pipeline)
        may_wait = not number.endswith("!")
        wait_until(lambda: self._is_settled(may_wait), "each is answered or waits")

    def _is_settled(self, may_wait: bool) -> bool:
        fields = self.fields()
        self._lines()  # who waits may be listed before its replies so far are sent
        found = False
        for number, client in enumerate(self.clients):
            while self.owed[number] and client.has_more():
                self.replies[number].append(client.reply())
                self.owed[number] -= 1
                found = True
        return not found and all(
            not owed or (may_wait and "b" in fields[number]["flags"])
            for number, owed in enumerate(self.owed)
        )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_told_of_clients(tendis: ServerProcess, redis_server: ServerProcess, scenario: str) -> None:
    with contextlib.ExitStack() as stack:
        theirs, ours = (Table(server, stack) for server in (redis_server, tendis))
        for line in SCENARIOS[scenario].strip().splitlines():
            theirs.play(line)
            ours.play(line)
            fields = theirs.fields()
            with contextlib.suppress(AssertionError):
                wait_until(lambda fields=fields: ours.fields() == fields, "the same", 2.0)
            assert ours.fields() == fields, line
        assert list(map(_without_own, ours.replies)) == list(map(_without_own, theirs.replies))
        assert ours.figures() == theirs.figures()


def test_monitor_shows_exec_that_is_refused(
    tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    def shown(server: ServerProcess) -> list[bytes]:
        with server.client() as watcher, server.client() as client:
            assert watcher.command("MONITOR") == b"+OK\r\n"
            client.pipeline([[b"MULTI"], [b"EXEC", b"x"], [b"EXEC"], [b"ECHO", b"end"]])
            return [watcher.reply().partition(b"] ")[2] for _ in range(4)]

    assert shown(tendis) == shown(redis_server)


def test_a_broadcast_comes_after_the_events_of_the_same_pipeline(
    tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    def told(server: ServerProcess) -> list[bytes]:
        with server.client(protocol=3) as listener, server.client() as client:
            client.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
            listener.pipeline(
                [b"PSUBSCRIBE __keyevent@*".split(), b"CLIENT TRACKING ON BCAST".split()]
            )
            client.pipeline([b"SET a 1".split(), b"SET b 1".split()])
            found = [listener.reply() for _ in range(3)]
            client.command("CONFIG", "SET", "notify-keyspace-events", "")
            return found

    assert told(tendis) == told(redis_server)


def test_who_waits_is_told_what_it_has_missed(
    tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    """And nobody else is, in its place."""

    def told(server: ServerProcess) -> list[bytes]:
        with server.client(protocol=3) as waiter, server.client() as other:
            other.command("CONFIG", "SET", "notify-keyspace-events", "KEAm")
            waiter.command("PSUBSCRIBE", "__keyevent@*")
            waiter.request("XREAD", "BLOCK", 0, "STREAMS", "nope", "no", 0, 0)
            missed = [waiter.reply() for _ in range(4)]
            assert other.command("ECHO", "x") == b"$1\r\nx\r\n"
            other.command("CONFIG", "SET", "notify-keyspace-events", "")
            return missed

    assert told(tendis) == told(redis_server)


def test_a_slow_transaction_runs_once(tendis: ServerProcess) -> None:
    """What it does to other clients can't be taken back."""
    with tendis.client() as waiter, tendis.client() as client:
        waiter.request("BLPOP", "nope", 0)
        wait_until(lambda: b" flags=b " in client.value("CLIENT", "LIST"), "it waits")
        id_ = client.value("CLIENT", "LIST").partition(b" flags=b ")[0].rpartition(b"id=")[2]
        requests = [b"MULTI", b"CLIENT UNBLOCK " + id_.split()[0], b"DEBUG SLEEP 0", b"EXEC"]
        replies = client.pipeline([request.split() for request in requests])
        assert replies[-1] == b"*2\r\n:1\r\n+OK\r\n"
        assert waiter.reply() == b"*-1\r\n"


def test_what_a_transaction_has_written_it_may_read_twice(
    tendis: ServerProcess, redis_server: ServerProcess
) -> None:
    """Nobody had read the key before it was written: there is nothing to be told."""

    def told(server: ServerProcess) -> list[bytes]:
        with server.client(protocol=3) as client:
            requests = ["CLIENT TRACKING ON", "MULTI", "SET a 1", "GET a", "GET a", "EXEC"]
            client.send(b"".join(encode_request(one.encode().split()) for one in requests))
            client.request("ECHO", "end")
            return [client.reply() for _ in range(7)]

    assert told(tendis) == told(redis_server)
