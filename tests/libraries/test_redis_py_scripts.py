"""redis-py's locks, scripts and dumps."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError

from tests.support.servers import HOST, ServerProcess, wait_until

SECONDS = 20.0

SWAP = """
local one = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], redis.call('GET', KEYS[2]))
redis.call('SET', KEYS[2], one)
return {KEYS[1], ARGV[1], one}
"""


@pytest.fixture(scope="session")
def server(tendis: ServerProcess) -> ServerProcess:
    """In each threading model."""
    return tendis


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with redis.Redis(
        HOST, server.port, socket_timeout=SECONDS, protocol=3, decode_responses=True
    ) as found:
        yield found


# Locks


def test_a_lock_is_held_extended_and_released(client: Any) -> None:
    lock = client.lock("lock", timeout=10)
    other = client.lock("lock", timeout=10, blocking=False)
    with lock:
        assert lock.locked()
        assert lock.owned()
        assert not other.acquire()
        assert lock.extend(10)
        assert 15_000 < client.pttl("lock") <= 20_000
        assert lock.extend(5, replace_ttl=True)
        assert client.pttl("lock") <= 5_000
        assert lock.reacquire()
        assert 5_000 < client.pttl("lock") <= 10_000
        with pytest.raises(LockError):
            other.release()
    assert not client.exists("lock")
    with pytest.raises(LockError):
        lock.extend(1)


def test_a_lock_that_was_lost(client: Any) -> None:
    lock = client.lock("lock", timeout=0.05)
    assert lock.acquire()
    later = client.lock("lock", timeout=10, sleep=0.01)
    assert later.acquire(blocking_timeout=SECONDS)
    for what in (lock.release, lock.reacquire, lambda: client.lock("none", timeout=1).release()):
        with pytest.raises(LockError):
            what()
    lock.local.token = b"another"
    with pytest.raises(LockNotOwnedError):
        lock.extend(1)
    assert later.owned()
    later.release()


def test_a_lock_that_never_expires_cant_be_extended(client: Any) -> None:
    lock = client.lock("lock")
    with lock, pytest.raises(LockError, match="no timeout"):
        lock.extend(1)
    assert not lock.locked()


def test_threads_take_turns(client: Any) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(4):
            with client.lock("lock", timeout=10, sleep=0.001, blocking_timeout=SECONDS):
                inside.append(number)
                most.append(len(inside))
                client.set("count", int(client.get("count") or 0) + 1)
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert client.get("count") == "16"
    assert max(most) == 1


def test_locks_of_tasks(server: ServerProcess) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(host=HOST, port=server.port) as client:

            async def work() -> None:
                async with client.lock("lock", timeout=10, sleep=0.001) as lock:
                    value = int(await client.get("count") or 0)
                    assert await lock.extend(1)
                    await client.set("count", value + 1)

            await asyncio.gather(*[work() for _ in range(10)])
            assert await client.get("count") == b"10"

    asyncio.run(asyncio.wait_for(main(), SECONDS))


# Scripts


def test_a_registered_script(client: Any) -> None:
    client.script_flush()
    client.mset({"a": "1", "b": "2"})
    swap = client.register_script(SWAP)
    assert client.script_exists(swap.sha) == [False]
    assert swap(keys=["a", "b"], args=["more"]) == ["a", "more", "1"]
    assert client.script_exists(swap.sha) == [True]
    client.script_flush("ASYNC")
    with pytest.raises(NoScriptError):
        client.evalsha(swap.sha, 2, "a", "b", "")
    assert swap(keys=["a", "b"], args=[1.5]) == ["a", "1.5", "2"]
    assert client.mget("a", "b") == ["1", "2"]


@pytest.mark.parametrize("transaction", [True, False])
def test_scripts_in_a_pipeline(client: Any, transaction: bool) -> None:
    """redis-py loads them before it sends the pipeline."""
    client.script_flush()
    swap = client.register_script(SWAP)
    with client.pipeline(transaction=transaction) as pipe:
        pipe.mset({"a": "1", "b": "2"})
        swap(keys=["a", "b"], args=["x"], client=pipe)
        pipe.eval("return redis.call('INCR', KEYS[1])", 1, "a")
        swap(keys=["a", "b"], args=["y"], client=pipe)
        pipe.mget("a", "b")
        replies = pipe.execute()
    assert replies[1:] == [["a", "x", "1"], 3, ["a", "y", "3"], ["1", "3"]]


def test_a_script_that_fails_in_a_pipeline(client: Any) -> None:
    client.set("text", "word")
    fails = client.register_script("redis.call('SET', KEYS[2], 1) redis.call('INCR', KEYS[1])")
    with client.pipeline() as pipe:
        fails(keys=["text", "done"], client=pipe)
        pipe.get("done")
        with pytest.raises(redis.ResponseError, match=r"Command # 1 .*not an integer.* script: "):
            pipe.execute()
    assert client.get("done") == "1"


def test_what_scripts_return(client: Any) -> None:
    assert client.eval("return {1, 'two', {3, {}}, 4.9, true, false, 'more'}", 0) == [
        1, "two", [3, []], 4, 1, None, "more",
    ]  # fmt: skip
    assert client.eval("return {1, nil, 3}", 0) == [1]
    assert client.eval("return redis.call('PING')", 0) == "PONG"
    assert client.eval("return redis.status_reply('FINE')", 0) == "FINE"
    with pytest.raises(redis.ResponseError, match=r"^MY own"):
        client.eval("return redis.error_reply('MY own')", 0)
    assert client.eval_ro("return redis.call('GET', KEYS[1])", 1, "none") is None
    with pytest.raises(redis.ResponseError, match="Write commands are not allowed"):
        client.eval_ro("return redis.call('SET', KEYS[1], 1)", 1, "k")


def test_an_endless_script_is_killed(client: Any) -> None:
    errors: list[str] = []

    def loop() -> None:
        try:
            client.eval("while true do pcall(function() while true do end end) end", 0)
        except redis.ResponseError as error:
            errors.append(str(error))

    def killed() -> bool:
        """False while there is nothing to kill."""
        with contextlib.suppress(redis.ResponseError):
            return bool(client.script_kill())
        return False

    client.config_set("busy-reply-threshold", 50)
    looping = threading.Thread(target=loop, daemon=True)
    looping.start()
    wait_until(killed, "it can be killed")
    looping.join(SECONDS)
    client.config_set("busy-reply-threshold", 5000)
    [error] = errors
    assert "Script killed by user" in error


# Dumps


def test_every_type_is_dumped_and_restored(server: ServerProcess, client: Any) -> None:
    with redis.Redis(HOST, server.port) as raw:
        raw.set("string", b"\x00bytes" * 1000)
        raw.rpush("list", *range(500))
        raw.sadd("set", *range(500))
        raw.hset("hash", mapping={f"f{number}": number for number in range(500)})
        raw.zadd("zset", {f"m{number}": number / 3 for number in range(500)})
        raw.xadd("stream", {"f": "v"}, id="1-1")
        raw.xgroup_create("stream", "g", "0")
        raw.pfadd("hll", *range(500))
        for key in sorted(raw.keys()):
            dumped = raw.dump(key)
            assert raw.restore(key + b".copy", 0, dumped)
            assert raw.dump(key + b".copy") == dumped
            with pytest.raises(redis.ResponseError, match="BUSYKEY"):
                raw.restore(key, 0, dumped)
            assert raw.restore(key, 10_000, dumped, replace=True, idletime=5)
            assert 0 < raw.pttl(key) <= 10_000
            with pytest.raises(redis.ResponseError, match=r"Bad data format|checksum are wrong"):
                raw.restore(b"broken", 0, dumped[:-1] + bytes([dumped[-1] ^ 1]))
        assert raw.hgetall("hash.copy") == raw.hgetall("hash")
        assert raw.xinfo_groups("stream.copy")[0]["name"] == b"g"
        assert raw.dump("none") is None
