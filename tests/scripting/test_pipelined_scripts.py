"""Pipelined calls of one script run as one unit: all is as if they had run one by one."""

from __future__ import annotations

from hashlib import sha1

import pytest

from tendis_py.resp.requests import Request
from tests.support.dispatching import Thread
from tests.test_call import counted, run, state, threads

SCRIPTS = {
    "swaps": "return redis.call('SET', KEYS[1], ARGV[1], 'GET')",
    "counts": "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    "answers-an-error": "return redis.error_reply('MINE ' .. ARGV[1])",
    "catches-an-error": "return redis.pcall('LPUSH', KEYS[1], ARGV[1])",
    "fails": "redis.call('SET', KEYS[1], ARGV[1]) error('no')",
    "is-refused": "redis.call('SET', KEYS[1], 'a') return redis.call('NOTHING', KEYS[1])",
    "selects": "redis.call('SELECT', 3) return redis.call('INCR', KEYS[1])",
    "speaks-3": "redis.setresp(3) return redis.call('HGETALL', KEYS[1])",
    "answers-much": "return string.rep(ARGV[1], 3000)",
    "answers-a-table": "return {KEYS[1], ARGV[1], 3, {ok = 'fine'}}",
}
LIBRARY = "#!lua name=lib\nredis.register_function('f', function(KEYS, ARGV) {} end)"


def run_all(thread: Thread, requests: list[Request]) -> bytes:
    """The replies, of which those to requests that the fast lane leaves come from the slow one."""
    thread.dispatcher.defers = True
    replies, taken = run(thread, requests)
    thread.dispatcher.defers = False
    for request in requests[taken:]:
        replies += run(thread, [request])[0]
    return replies


def arguments_of(count: int) -> list[list[bytes]]:
    return [[b"1", b"key:%d" % (number % 3), b"%d" % number] for number in range(count)]


@pytest.mark.parametrize("kind", ["script", "function"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_they_are_as_one_by_one(name: str, kind: str) -> None:
    script = SCRIPTS[name].encode()
    call = [b"EVALSHA", sha1(script, usedforsecurity=False).hexdigest().encode()]
    load = [b"SCRIPT", b"LOAD", script]
    if kind == "function":
        call = [b"FCALL", b"f"]
        load = [b"FUNCTION", b"LOAD", LIBRARY.replace("{}", SCRIPTS[name]).encode()]
    with threads() as (together, alone):
        for thread in (together, alone):
            run(thread, [load])
        for count in (1, 5, 40, 100):
            requests = [call + arguments for arguments in arguments_of(count)]
            expected = run_all(alone, requests)
            assert run_all(together, requests) == expected
        assert state(together) == state(alone)
        assert counted(together) == counted(alone)


@pytest.mark.parametrize(
    "arguments",
    [[b"2", b"key"], [b"-1"], [b"x", b"key"], []],
    ids=["many", "negative", "word", "none"],
)
def test_what_is_wrong_is_told_of_the_one_request(arguments: list[bytes]) -> None:
    script = SCRIPTS["counts"].encode()
    call = [b"EVALSHA", sha1(script, usedforsecurity=False).hexdigest().encode()]
    requests = [call + arguments for arguments in arguments_of(6)]
    requests[3] = call + arguments
    with threads() as (together, alone):
        for thread in (together, alone):
            run(thread, [[b"SCRIPT", b"LOAD", script]])
        assert run_all(together, requests) == run_all(alone, requests)
        assert counted(together) == counted(alone)
