"""python-redis-lock and the caches dogpile.cache and aiocache, whose locks are scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis_lock
from dogpile.cache import make_region

from tests.support.servers import HOST, ServerProcess

SECONDS = 20.0

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning")


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with redis.Redis(HOST, server.port) as found:
        yield found


def test_a_lock_that_waits_for_its_signal(client: Any) -> None:
    first = redis_lock.Lock(client, "name", expire=10, id="first")
    second = redis_lock.Lock(client, "name", expire=10, id="second")
    assert first.acquire()
    assert not second.acquire(blocking=False)
    first.extend(20)
    assert 10 < client.ttl("lock:name") <= 20
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(second.acquire(timeout=9)), daemon=True)
    waiting.start()
    first.release()
    waiting.join(SECONDS)
    assert got == [True]
    assert second.get_owner_id() == "second"
    with pytest.raises(redis_lock.NotAcquired):
        first.release()
    redis_lock.reset_all(client)
    assert not client.keys("lock:*")
    with redis_lock.Lock(client, "renewed", expire=1, auto_renewal=True):
        assert client.get("lock:renewed")


def test_one_thread_makes_what_all_want(server: ServerProcess) -> None:
    region = make_region().configure(
        "dogpile.cache.redis",
        expiration_time=60,
        arguments={
            "host": HOST, "port": server.port, "distributed_lock": True, "thread_local_lock": False,
            "lock_timeout": 10, "lock_sleep": 0.001, "redis_expiration_time": 120,
        },
    )  # fmt: skip
    made: list[str] = []

    @region.cache_on_arguments()
    def make(name: str) -> str:
        made.append(name)
        return name * 2

    threads = [threading.Thread(target=make, args=("ab",), daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert made == ["ab"]
    assert make("ab") == "abab"
    region.set_multi({"x": 1, "y": 2})
    assert region.get_multi(["x", "y"]) == [1, 2]
    make.invalidate("ab")
    assert make("ab") == "abab"
    assert made == ["ab", "ab"]
    region.backend.reader_client.close()


def test_a_task_leases_what_others_wait_for(server: ServerProcess) -> None:
    aiocache = pytest.importorskip("aiocache")
    from aiocache.lock import OptimisticLock, OptimisticLockError, RedLock

    async def main() -> None:
        cache = aiocache.RedisCache(endpoint=HOST, port=server.port, namespace="c")
        made: list[int] = []

        async def get() -> str:
            async with RedLock(cache, "key", lease=10):
                if (found := await cache.get("key")) is not None:
                    return str(found)
                made.append(1)
                await cache.set("key", "made", ttl=60)
                return "made"

        assert await asyncio.gather(*[get() for _ in range(5)]) == ["made"] * 5
        assert made == [1]
        async with OptimisticLock(cache, "key") as lock:
            await lock.cas("changed")
        async with OptimisticLock(cache, "key") as lock:
            await cache.set("key", "meanwhile")
            with pytest.raises(OptimisticLockError):
                await lock.cas("too late")
        assert await cache.increment("n", 5) == 5
        await cache.client.aclose(close_connection_pool=True)

    asyncio.run(asyncio.wait_for(main(), SECONDS))
