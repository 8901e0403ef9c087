"""MIGRATE to a real redis-server: what is answered, and what is where then, is as when a real one
sends the keys. And targets that are not what they should be."""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tendis_py.services.links import KEPT_SECONDS
from tests.support.embedded import MovedTime, config_for, embedded
from tests.support.resp import SECONDS, Error, RawClient, Simple
from tests.support.servers import (
    HOST,
    ServerProcess,
    free_port,
    redis_process,
    running,
    wait_until,
)

SCRIPT = """
# keys, none, some that are not there
SET a 1
MIGRATE HOST PORT a 0 5000
EXISTS a
> GET a
MIGRATE HOST PORT a 0 5000
MIGRATE HOST PORT "" 0 5000
MIGRATE HOST PORT "" 0 5000 KEYS
MIGRATE HOST PORT "" 0 5000 KEYS a x
MSET a 2 b 3 "" empty
MIGRATE HOST PORT "" 3 5000 KEYS x a b y
DBSIZE
MIGRATE HOST PORT "" 3 5000
> SELECT 3
> MGET a b ""

# COPY, REPLACE
SET a 1
> SET a old
MIGRATE HOST PORT a 0 5000
MIGRATE HOST PORT a 0 5000 COPY
MIGRATE HOST PORT a 0 5000 copy replace
GET a
> GET a
MIGRATE HOST PORT a 0 5000 REPLACE
GET a

# some of several are refused
MSET a 1 b 2 c 3 d 4
> MSET b old
MIGRATE HOST PORT "" 0 5000 KEYS a b c d
EXISTS a
EXISTS b
EXISTS c
> MGET a b c d
> MSET b old
SET e 5
MIGRATE HOST PORT "" 0 5000 KEYS b e
> MGET b e

# deadlines
SET a 1 PX 100000000
SET b 1
HSET h f v g w
HEXPIRE h 100000 FIELDS 1 f
EXPIRE h 200000
MIGRATE HOST PORT "" 0 5000 KEYS a b h
> TTL b
> HGETALL h
> HTTL h FIELDS 2 f g
> TTL h

# every type
SET number 12
SET text hello
RPUSH list a b 3 c
SADD set a b c
SADD intset 1 2 3
ZADD zset 1 a 2.5 b
HSET hash f v
XADD stream 1-1 f v
XADD stream 2-1 f w
XGROUP CREATE stream g 0
XREADGROUP GROUP g alice COUNT 1 STREAMS stream >
PFADD sketch a b c
MIGRATE HOST PORT "" 0 5000 KEYS number text list set intset zset hash stream sketch
DBSIZE
> GET number
> GET text
> LRANGE list 0 -1
> SMEMBERS intset
> SCARD set
> ZRANGE zset 0 -1 WITHSCORES
> HGETALL hash
> XRANGE stream - +
> XINFO GROUPS stream
> PFCOUNT sketch
> OBJECT ENCODING zset

# the target refuses; it may have the keys all the same, which a real server has sent by then
SET a 1
MIGRATE HOST PORT a 99 5000
> FLUSHALL
MIGRATE HOST PORT a 0 5000 AUTH secret
> FLUSHALL
MIGRATE HOST PORT a 0 5000 AUTH2 alice secret
> FLUSHALL
> ACL SETUSER alice on >secret ~a* +restore +select
MIGRATE HOST PORT a 0 5000 AUTH2 alice wrong
> FLUSHALL
MIGRATE HOST PORT a 0 5000 AUTH2 alice secret
> GET a
MSET a 2 b 3
MIGRATE HOST PORT "" 0 5000 REPLACE AUTH2 alice secret KEYS b a
EXISTS a
EXISTS b
> CONFIG SET requirepass secret
~> CLIENT KILL TYPE normal
MIGRATE HOST PORT b 0 5000
MIGRATE HOST PORT b 0 5000 AUTH wrong
MIGRATE HOST PORT b 0 5000 AUTH wrong AUTH secret
> AUTH secret
> CONFIG SET requirepass ""
~> CLIENT KILL TYPE normal
> GET b
> ACL DELUSER alice
SET c 1
> CONFIG SET maxmemory 1
MIGRATE HOST PORT c 0 5000
> CONFIG SET maxmemory 0
GET c

# nobody is there
SET a 1
MIGRATE HOST CLOSED a 0 5000
MIGRATE HOST 0 a 0 5000
MIGRATE HOST x a 0 5000
MIGRATE HOST "" a 0 5000
MIGRATE HOST -1 a 0 5000
MIGRATE HOST " +0x" a 0 5000
MIGRATE "" PORT a 0 5000
GET a

# what makes no sense
SET a 1
MIGRATE
MIGRATE HOST PORT a 0
MIGRATE HOST PORT a x 5000
MIGRATE HOST PORT a 0 x
MIGRATE HOST PORT a x y
MIGRATE HOST PORT a 1.5 5000
MIGRATE HOST PORT a 0 99999999999999999999
MIGRATE HOST PORT a 0 5000 foo
MIGRATE HOST PORT a x y foo
MIGRATE HOST PORT a 0 5000 AUTH
MIGRATE HOST PORT a 0 5000 AUTH2 x
MIGRATE HOST PORT a 0 5000 KEYS
MIGRATE HOST PORT a 0 5000 KEYS a
MIGRATE HOST PORT a 0 x KEYS a
MIGRATE HOST PORT "" 0 5000 foo KEYS a
MIGRATE HOST PORT "" 0 5000 KEYS a COPY
> GET a
SET a 1
MIGRATE HOST PORT a 0 0 COPY COPY REPLACE
MIGRATE HOST PORT a 0 -5 COPY REPLACE

# where its keys are
COMMAND GETKEYSANDFLAGS MIGRATE h 1 k 0 1
COMMAND GETKEYS MIGRATE h 1 "" 0 1 KEYS a b
COMMAND GETKEYS MIGRATE h 1 k 0 1 KEYS a b
COMMAND GETKEYS MIGRATE h 1 "" 0 1
COMMAND GETKEYS MIGRATE h 1 "" 0 1 KEYS
COMMAND GETKEYS MIGRATE h 1 "" 0 1 AUTH KEYS KEYS a
COMMAND GETKEYS MIGRATE h 1 "" 0 1 AUTH keys
COMMAND GETKEYS MIGRATE h 1 "" 0 1 AUTH2 keys b KEYS x
COMMAND GETKEYS MIGRATE h 1 "" 0 1 AUTH2 b keys KEYS x
COMMAND GETKEYS MIGRATE h 1 "" 0 1 COPY keys x y z
COMMAND GETKEYS MIGRATE h 1 "" 0 1 foo keys x
COMMAND GETKEYS MIGRATE h 1 "" 0 1 KEYS a keys b
COMMAND GETKEYS MIGRATE h 1 "" 0 1 AUTH KEYS a b c
COMMAND GETKEYS MIGRATE h 1 "" KEYS a b
COMMAND GETKEYS MIGRATE h keys "" KEYS a b KEYS c
COMMAND GETKEYS MIGRATE h 1 "" 0

# within a transaction
MSET a 1 b 2
MULTI
SET c 3
MIGRATE HOST PORT "" 0 5000 KEYS a c
MIGRATE HOST CLOSED b 0 5000
DBSIZE
EXEC
> MGET a b c
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A real server, which others' keys go to."""
    with running(redis_process(tmp_path_factory.mktemp("target"))) as server:
        yield server


def play(source: ServerProcess, target: ServerProcess, protocol: int) -> list[str]:
    """Each line of SCRIPT and what is answered to it; ``>``: by the target, ``~>`` if that does not
    matter. Cases begin with nothing anywhere."""
    closed = free_port()
    names = {"HOST": HOST, "PORT": str(target.port), "CLOSED": str(closed)}
    played = []
    for case in SCRIPT.split("\n\n"):
        with source.client(protocol=protocol) as ours, target.client(protocol=protocol) as theirs:
            for client in (ours, theirs):
                client.command("FLUSHALL")
            for line in filter(None, case.splitlines()):
                if line.startswith("#"):
                    continue
                side, _, command = line.rpartition("> ")
                words = [names.get(word, word) for word in shlex.split(command)]
                reply = (theirs if side or line.startswith(">") else ours).command(*words)
                if side != "~":
                    played.append(f"{line} => {reply!r}")
    return played


@pytest.fixture(scope="module", params=[2, 3])
def expected(
    request: pytest.FixtureRequest, redis_server: ServerProcess, target: ServerProcess
) -> tuple[int, list[str]]:
    return request.param, play(redis_server, target, request.param)


def test_as_from_a_real_server(
    tendis: ServerProcess, target: ServerProcess, expected: tuple[int, list[str]]
) -> None:
    protocol, wanted = expected
    assert play(tendis, target, protocol) == wanted


def events(source: ServerProcess, target: ServerProcess) -> list[Any]:
    """What is told of a MIGRATE of which a part is refused."""
    with source.client() as client, source.client() as listener, target.client() as there:
        for side in (client, there):
            side.command("FLUSHALL")
        there.command("SET", "b", "old")
        client.command("MSET", "a", "1", "b", "2", "c", "3")
        client.command("CONFIG", "SET", "notify-keyspace-events", "KEAm")
        listener.command("PSUBSCRIBE", "__key*__:*")
        order = [HOST, target.port, "", 0, 5000, "KEYS", "a", "x", "b", "c"]
        client.command("MIGRATE", *order)
        client.command("CONFIG", "SET", "notify-keyspace-events", "")
        client.command("PUBLISH", "__key__:end", "")
        told = []
        while (message := listener.reply()) and b"end" not in message:
            told.append(message)
        return told


def test_what_is_told_of_keys(
    tendis: ServerProcess, redis_server: ServerProcess, target: ServerProcess
) -> None:
    told = events(tendis, target)
    assert told == events(redis_server, target)
    assert len(told) == 6


def test_failures_are_counted(tendis_default: ServerProcess, target: ServerProcess) -> None:
    with tendis_default.client() as client, target.client() as there:
        there.command("FLUSHALL")
        there.command("SET", "b", "old")
        client.command("MSET", "a", "1", "b", "2")
        client.command("CONFIG", "RESETSTAT")
        answer = client.value("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", "a", "b")
        assert isinstance(answer, Error)
        assert b"errorstat_ERR:count=1" in client.value("INFO", "errorstats")
        told = client.value("INFO", "commandstats").decode()
        (stats,) = (line for line in told.splitlines() if line.startswith("cmdstat_migrate:"))
        assert "calls=1," in stats
        assert "failed_calls=1," in stats
        assert client.value("EXISTS", "a", "b") == 1


class Stub:
    """A target that answers what a test says, whatever it is asked: an answer to each of what comes
    at once, then it closes the connection, or does nothing more."""

    def __init__(self, *answers: bytes, closes: bool = False, connections: int = 1) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._answers, self._closes = answers, closes
        self._client: socket.socket | None = None
        self.received: list[bytes] = []
        self.connected = self.ended = 0
        self._thread = threading.Thread(target=self._run, args=(connections,), daemon=True)

    def __enter__(self) -> Stub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def _run(self, connections: int) -> None:
        self._listener.settimeout(SECONDS)
        for _ in range(connections):
            with contextlib.suppress(OSError), self._listener.accept()[0] as client:
                client.settimeout(SECONDS)
                self._client = client
                self.connected += 1
                self._serve(client)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        for answer in self._answers:
            self.received.append(client.recv(1 << 20))
            client.sendall(answer)
        if not self._closes:
            self.received.append(client.recv(1 << 20))
            while client.recv(1 << 20):
                pass
            self.ended += 1


READING = Error("IOERR error or timeout reading to target instance")
WRITING = Error("IOERR error or timeout writing to target instance")
OK = b"+OK\r\n"
WRONG_ANSWERS: dict[str, tuple[tuple[bytes, ...], Any]] = {
    "says nothing": ((), READING),
    "says half of it": ((b"+O",), READING),
    "speaks HTTP": ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), READING),
    "says other than OK": ((OK, b"+QUEUED\r\n"), READING),
    "says a number": ((OK, b":1\r\n"), READING),
    "promises very much": ((OK, b"$10000000000000\r\n"), READING),
    "has no end": ((OK, b"+" + b"x" * 500_000), READING),
    "has an error without an end": ((OK, b"-ERR " + b"x" * 500_000), READING),
    "has an odd error": ((OK, b"-\x00\xff\n"), Error("ERR Target instance replied with error: ")),
    "refuses": ((b"-no\r\n",), Error("ERR Target instance replied with error: no")),
}


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_target_that_is_no_redis(tendis_default: ServerProcess, name: str) -> None:
    answers, wanted = WRONG_ANSWERS[name]
    with tendis_default.client() as client, Stub(*answers) as stub:
        client.command("SET", "k", "v")
        answer = client.value("MIGRATE", HOST, stub.port, "k", 0, 100)
        assert isinstance(answer, Error)
        assert answer.message.startswith(wanted.message)
        assert client.value("GET", "k") == b"v"


def test_a_target_that_hangs_up(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client:
        client.command("SET", "k", "v")
        for answers in ((), (OK,)):
            with Stub(*answers, closes=True) as stub:
                answer = client.value("MIGRATE", HOST, stub.port, "k", 0, 5000)
                assert answer in (READING, WRITING)
                assert stub.connected == 1, "there is no point in trying again"
        assert client.value("GET", "k") == b"v"


def test_a_target_that_takes_no_more(tendis_default: ServerProcess) -> None:
    class Deaf(Stub):
        def _serve(self, client: socket.socket) -> None:
            client.recv(100)
            client.sendall(OK)
            self.hears_again.wait(SECONDS)

        hears_again = threading.Event()

    with tendis_default.client() as client, Deaf() as stub:
        client.command("SETRANGE", "k", 20_000_000, "v")
        assert client.value("MIGRATE", HOST, stub.port, "k", 0, 100) == WRITING
        assert client.value("STRLEN", "k") == 20_000_001
        client.command("DEL", "k")
        stub.hears_again.set()


def test_what_was_acknowledged_is_gone_and_nothing_else(tendis_default: ServerProcess) -> None:
    keys = [b"k%d" % number for number in range(300)]
    with tendis_default.client() as client:
        for acknowledged in (1, 128, 130):
            client.command("MSET", *(word for key in keys for word in (key, b"v")))
            answers = [OK, OK * min(acknowledged, 128)]
            if acknowledged > 128:
                answers.append(OK * (acknowledged - 128))
            with Stub(*answers) as stub:
                answer = client.value("MIGRATE", HOST, stub.port, "", 0, 100, "KEYS", *keys)
            assert answer == READING
            assert client.value("EXISTS", *keys) == 300 - acknowledged
            assert client.value("EXISTS", *keys[:acknowledged]) == 0
        client.command("DEL", *keys)


def test_others_go_on_and_who_wants_its_key_waits(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other, tendis.client() as writer:
        client.command("SET", "k", "v")
        with Stub(OK) as stub:
            client.request("MIGRATE", HOST, stub.port, "k", 0, 60_000)
            wait_until(lambda: len(stub.received) == 2, "the key was sent")
            writer.request("SET", "k", "new")
            for _ in range(20):
                assert other.value("SET", "other", "x") == Simple("OK")
                assert other.value("GET", "other") == b"x"
            assert not client.has_more()
            assert not writer.has_more()
        # the stub has gone
        assert client.reply().startswith(b"-IOERR")
        assert writer.reply() == OK
        assert other.value("GET", "k") == b"new"
        assert b"stage_execute_slow_apart:calls=" in other.value("INFO", "stages")
        client.command("FLUSHALL")


def test_who_is_killed_gives_its_keys_back_at_once(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other, Stub(OK) as stub:
        number = client.value("CLIENT", "ID")
        client.command("SET", "k", "v")
        client.request("MIGRATE", HOST, stub.port, "k", 0, 60_000)
        wait_until(lambda: len(stub.received) == 2, "the key was sent")
        assert other.value("CLIENT", "KILL", "ID", number) == 1
        assert other.value("GET", "k") == b"v"
        client.until_closed()
        wait_until(lambda: stub.ended == 1, "the target was left")
        other.command("FLUSHALL")


@pytest.mark.parametrize("how", ["NOW", "CONFIG"])
def test_a_shutdown_does_not_wait_for_a_target(tmp_path: Path, how: str) -> None:
    config = config_for(tmp_path, shutdown_timeout="0" if how == "CONFIG" else "600")
    with (
        Stub(OK) as stub,
        embedded(config) as server,
        RawClient((HOST, server.port)) as client,
        RawClient((HOST, server.port)) as other,
    ):
        client.command("SET", "k", "v")
        client.request("MIGRATE", HOST, stub.port, "k", 0, 60_000)
        wait_until(lambda: len(stub.received) == 2, "the key was sent")
        other.request("SHUTDOWN", *(["NOW"] if how == "NOW" else []))
        other.until_closed()
        client.until_closed()
    with embedded(config_for(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        assert client.value("GET", "k") == b"v"


def test_a_connection_is_kept_for_a_while(tendis_in_moved_time: MovedTime) -> None:
    with tendis_in_moved_time.client() as client, Stub(OK, OK, OK) as stub:
        for _ in range(2):
            client.command("SET", "k", "v")
            assert client.command("MIGRATE", HOST, stub.port, "k", 0, 5000) == OK
        assert stub.connected == 1
        assert b"migrate_cached_sockets:1\r" in client.value("INFO", "stats")
        tendis_in_moved_time.pass_time(KEPT_SECONDS + 1)
        wait_until(lambda: stub.ended == 1, "it was closed")
        assert b"migrate_cached_sockets:0\r" in client.value("INFO", "stats")


def test_one_that_has_ended_meanwhile_is_made_anew(tendis_default: ServerProcess) -> None:
    with tendis_default.client() as client, Stub(OK, OK, closes=True, connections=2) as stub:
        for number in range(2):
            client.command("SET", "k", "v")
            assert client.command("MIGRATE", HOST, stub.port, "k", 0, 5000) == OK
            assert stub.connected == number + 1


def test_keys_come_back_from_a_real_server(tendis: ServerProcess, target: ServerProcess) -> None:
    with tendis.client() as client, target.client() as there:
        there.command("FLUSHALL")
        there.command("RPUSH", "list", *range(1000))
        there.command("SET", "text", "x" * 100_000, "PX", 100_000_000)
        order = ["", 0, 5000, "KEYS", "list", "text", "none"]
        assert there.command("MIGRATE", HOST, tendis.port, *order) == OK
        assert there.value("DBSIZE") == 0
        assert client.value("LRANGE", "list", 0, -1) == [b"%d" % one for one in range(1000)]
        assert client.value("GET", "text") == b"x" * 100_000
        assert 99_000_000 < client.value("PTTL", "text") <= 100_000_000
        assert client.command("MIGRATE", HOST, target.port, *order) == OK
        assert client.value("DBSIZE") == 0
        assert there.value("LLEN", "list") == 1000
        order = ["list", 99, 5000]
        answer = there.value("MIGRATE", HOST, tendis.port, *order)
        assert answer == Error(
            "ERR Target instance replied with error: ERR DB index is out of range"
        )
        client.command("FLUSHALL")


@pytest.mark.parametrize("how", ["in the script", "before it"])
def test_a_script_beside_it_runs_once(
    tendis: ServerProcess, target: ServerProcess, how: str
) -> None:
    """It uses a key that it has not named, for which it may have to begin again."""
    order = ["MIGRATE", HOST, target.port, "a", 0, 5000]
    with tendis.client() as client, target.client() as there:
        there.command("FLUSHALL")
        client.command("MSET", "a", "1", "undeclared", "2")
        script = "return redis.call('GET', 'undeclared')"
        if how == "in the script":
            script = f"local moved = redis.call(unpack(ARGV)) {script}"
            assert client.value("EVAL", script, 1, "a", *order) == b"2"
        else:
            client.command("MULTI")
            client.command(*order)
            client.command("EVAL", script, 0)
            assert client.value("EXEC") == [Simple("OK"), b"2"]
        assert there.value("GET", "a") == b"1"
        assert client.value("EXISTS", "a") == 0
        client.command("FLUSHALL")
