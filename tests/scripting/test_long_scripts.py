"""Scripts that run for long: nobody else waits but for their keys, and not for ever for those."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tendis_py.server import Server
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until

ENDLESS = {
    "loop": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "coroutine": "local function f() while true do pcall(coroutine.wrap(f)) end end f()",
    "calls": "while true do redis.pcall('GET', KEYS[1]) end",
    "xpcall": "while true do xpcall(function() while true do end end, function() end) end",
    "arguments": "local function f(...) return f(1, ...) end while true do pcall(f) end",
}
BUSY = (
    b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
)
KILLED = b"Script killed by user with SCRIPT KILL"


@contextlib.contextmanager
def clients(server: Server, number: int) -> Iterator[list[RawClient]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RawClient((HOST, server.port))) for _ in range(number)]


def run_apart(server: Server, client: RawClient, script: str, *keys: str) -> None:
    """Have ``client`` run a script, and wait until it has left the fast lane."""
    running = len(server.services.scripts.running)
    client.request("EVAL", script, str(len(keys)), *keys)
    wait_until(lambda: len(server.services.scripts.running) > running, "it runs apart")


@pytest.mark.parametrize("model", MODELS)
def test_an_endless_script_is_killed_and_holds_up_nobody_meanwhile(
    tmp_path: Path, model: str
) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        clients(server, 2) as (scripting, other),
    ):
        for script in ENDLESS.values():
            run_apart(server, scripting, script, "held")
            assert other.value("INCR", "count") > 0
            assert other.command("SET", "new", "v", "PX", "1") == b"+OK\r\n"
            assert other.value("KEYS", "count") == [b"count"]
            assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
            assert KILLED in scripting.reply()
            wait_until(lambda: not server.keyspace.locks.in_use, "its keys are free")
            assert other.value("GET", "held") is None
        assert other.command("SCRIPT", "KILL").startswith(b"-NOTBUSY")


@pytest.mark.parametrize("model", MODELS)
def test_who_wants_its_keys_is_told_after_a_while(tmp_path: Path, model: str) -> None:
    """Who waited, and who comes later; whatever else a pipeline asks for is done."""
    config = config_for(tmp_path, threading_model=model, io_threads="2", busy_reply_threshold="300")
    with (
        embedded(config) as server,
        clients(server, 5) as (scripting, waiting, flushing, queueing, other),
    ):
        assert queueing.command("MULTI") == b"+OK\r\n"
        assert queueing.command("SET", "held", "1") == b"+QUEUED\r\n"
        run_apart(server, scripting, ENDLESS["loop"], "held")
        waiting.request("GET", "held")
        flushing.request("FLUSHALL")
        assert waiting.reply() == flushing.reply() == BUSY
        assert (
            queueing.command("EXEC")
            == b"-EXECABORT Transaction discarded because of: " + (BUSY[1:])
        )
        for words in (("SET", "a", "1"), ("SET", "held", "2"), ("GET", "a"), ("PING",)):
            other.request(*words)
        assert [other.reply() for _ in range(4)] == [b"+OK\r\n", BUSY, b"$1\r\n1\r\n", b"+PONG\r\n"]
        assert other.command("EVAL", "return redis.call('GET', 'held')", "0") == BUSY
        assert other.value("EVAL", "return redis.call('GET', KEYS[1])", "1", "a") == b"1"
        assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
        assert KILLED in scripting.reply()
        wait_until(lambda: not server.keyspace.locks.in_use, "its keys are free")
        assert other.value("GET", "held") is None


def test_of_a_function_it_is_told_how_to_kill_that(tmp_path: Path) -> None:
    library = "#!lua name=l\nredis.register_function('f', function() while true do end end)"
    with (
        embedded(config_for(tmp_path, busy_reply_threshold="100")) as server,
        clients(server, 2) as (calling, other),
    ):
        assert calling.value("FUNCTION", "LOAD", library) == b"l"
        calling.request("FCALL", "f", "1", "held")
        wait_until(lambda: server.services.scripts.running, "it runs apart")
        assert other.command("GET", "held") == BUSY.replace(b"SCRIPT", b"FUNCTION")
        assert other.command("FUNCTION", "KILL") == b"+OK\r\n"
        assert KILLED in calling.reply()


@pytest.mark.parametrize("model", MODELS)
def test_one_that_has_written_is_not_killed(tmp_path: Path, model: str) -> None:
    """Nobody sees half of it, and it does not go on with a server that ends: what it has written is
    taken back."""
    script = "redis.call('SET', KEYS[1], 'half') while true do end"
    with (
        embedded(config_for(tmp_path, threading_model=model, shutdown_timeout="0")) as server,
        clients(server, 2) as (scripting, other),
    ):
        run_apart(server, scripting, script, "held")
        wait_until(lambda: server.services.scripts.running[0].has_written, "it has written")
        assert other.command("SCRIPT", "KILL").startswith(b"-UNKILLABLE")
        assert other.value("INCR", "count") == 1
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        clients(server, 1) as (client,),
    ):
        assert client.value("MGET", "held", "count") == [None, b"1"]


@pytest.mark.parametrize("model", MODELS)
def test_a_long_one_is_one_commit_and_begins_but_once_for_others(
    tmp_path: Path, model: str
) -> None:
    """What it did in the fast lane is forgotten, its messages too."""
    script = """
        redis.call('PUBLISH', 'news', 'begun')
        redis.call('RPUSH', KEYS[1], 'a')
        for i = 1, 2e6 do end
        redis.call('RPUSH', KEYS[1], 'b')
        return redis.call('LRANGE', KEYS[1], 0, -1)"""
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        clients(server, 3) as (scripting, subscriber, popping),
    ):
        assert subscriber.command("SUBSCRIBE", "news").endswith(b":1\r\n")
        popping.request("BLPOP", "list", "0")
        wait_until(lambda: server.services.waiters.sessions, "it waits")
        assert scripting.value("EVAL", script, "1", "list") == [b"a", b"b"]
        assert b"begun" in subscriber.reply()
        assert popping.reply().endswith(b"\r\na\r\n")
        assert not subscriber.has_more()
        assert scripting.value("LRANGE", "list", "0", "-1") == [b"b"]
        calls = scripting.value("INFO", "commandstats").decode()
        assert "cmdstat_rpush:calls=2," in calls
        assert "cmdstat_eval:calls=1," in calls


@pytest.mark.parametrize("model", MODELS)
def test_in_a_transaction_too(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        clients(server, 2) as (client, other),
    ):
        for words in (
            ("MULTI",),
            ("SET", "before", "1"),
            ("EVAL", ENDLESS["loop"], "1", "held"),
            ("INCR", "before"),
            ("EXEC",),
        ):
            client.request(*words)
        assert client.reply() == b"+OK\r\n"
        assert [client.reply() for _ in range(3)] == [b"+QUEUED\r\n"] * 3
        wait_until(lambda: server.services.scripts.running, "it runs apart")
        assert other.value("INCR", "count") == 1
        assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
        reply = client.reply()
        assert reply.startswith(b"*3\r\n+OK\r\n-ERR")
        assert reply.endswith(b":2\r\n")


@pytest.mark.parametrize("model", MODELS)
def test_keys_that_were_not_declared_are_safe(tmp_path: Path, model: str) -> None:
    """Many clients add to keys that their scripts do not name: nothing is lost."""
    script = """
        local n = redis.call('GET', 'undeclared' .. ARGV[1])
        redis.call('SET', 'undeclared' .. ARGV[1], (n or 0) + 1)
        return redis.call('INCR', KEYS[1])"""
    number, rounds = 8, 20
    with (
        embedded(config_for(tmp_path, threading_model=model, io_threads="2")) as server,
        clients(server, number) as many,
    ):
        for turn in range(rounds):
            for place, client in enumerate(many):
                client.request("EVAL", script, "1", f"own:{place}", str(turn % 3))
        for client in many:
            assert [client.reply() for _ in range(rounds)][-1] == b":%d\r\n" % rounds
        found = many[0].value("MGET", *(f"undeclared{n}" for n in range(3)))
        assert sum(map(int, found)) == number * rounds
        for _ in range(3):
            many[0].command(
                "EVAL", "redis.call('PING') return redis.call('GET', KEYS[1])", "1", "k"
            )
        counted = many[0].value("INFO", "stats").decode()
        assert f"undeclared_keys_scripts:{number * rounds}\r\n" in counted
        assert len(server.services.scripts.undeclaring) == 1


@pytest.mark.parametrize("model", MODELS)
def test_other_keys_expire_beside_one(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        clients(server, 2) as (scripting, other),
    ):
        assert other.command("SET", "held", "v", "PX", "1") == b"+OK\r\n"
        run_apart(server, scripting, ENDLESS["loop"], "held")
        for number in range(20):
            other.command("SET", f"key:{number}", "v", "PX", "1")
        wait_until(lambda: other.value("DBSIZE") <= 1, "the others are gone")
        assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
        assert KILLED in scripting.reply()
        wait_until(lambda: other.value("DBSIZE") == 0, "all are gone")


def test_what_a_user_may_do_does_not_change_half_way(tmp_path: Path) -> None:
    rules = ("on", "nopass", "~*", "+@all")
    with embedded(config_for(tmp_path)) as server, clients(server, 2) as (scripting, other):
        other.command("ACL", "SETUSER", "u", *rules)
        scripting.command("AUTH", "u", "")
        script = "local n = 0 while n < 2e8 and redis.call('GET', KEYS[1]) do n = n + 1 end"
        other.command("SET", "held", "v")
        run_apart(server, scripting, script, "held")
        assert other.command("ACL", "SETUSER", "u", "-get") == b"+OK\r\n"
        assert other.value("EVAL", "return redis.acl_check_cmd('GET', 'k')", "0") == 1
        assert other.command("SCRIPT", "KILL") == b"+OK\r\n"
        assert KILLED in scripting.reply()
        denied = scripting.command("EVAL", script, "1", "held")
        assert denied.startswith(b"-ERR ACL failure in script: User u has no permissions")
