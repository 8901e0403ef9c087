"""redis-py in asyncio: many that wait at once, and what is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from tests.support.servers import HOST, ServerProcess

SECONDS = 20.0
Test = Callable[[Any], Awaitable[None]]


@pytest.fixture(scope="session")
def server(tendis: ServerProcess) -> ServerProcess:
    """In each threading model."""
    return tendis


@pytest.fixture(params=[2, 3])
def run(request: pytest.FixtureRequest, server: ServerProcess) -> Callable[[Test], None]:
    """Runs a coroutine function with a client that has as many connections as it needs."""

    @contextlib.asynccontextmanager
    async def connected() -> AsyncIterator[Any]:
        client = redis.asyncio.Redis(host=HOST, port=server.port, protocol=request.param)
        async with client:
            yield client

    def with_client(test: Test) -> None:
        async def main() -> None:
            async with connected() as client:
                await test(client)

        asyncio.run(asyncio.wait_for(main(), SECONDS))

    return with_client


async def until_blocked(client: Any, number: int) -> None:
    while (await client.info("clients"))["blocked_clients"] != number:
        pass


def test_tasks_that_count_by_transaction(run: Callable[[Test], None]) -> None:
    async def test(client: Any) -> None:
        async def step(pipe: Any) -> None:
            value = int(await pipe.get("count") or 0)
            pipe.multi()
            pipe.set("count", value + 1)

        async def count_up() -> None:
            for _ in range(10):
                await client.transaction(step, "count")

        await asyncio.gather(*[count_up() for _ in range(5)])
        assert await client.get("count") == b"50"

    run(test)


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline(run: Callable[[Test], None], transaction: bool) -> None:
    async def test(client: Any) -> None:
        async with client.pipeline(transaction=transaction) as pipe:
            pipe.set("k", "x").incr("k").lpush("l", "a", "b").lrange("l", 0, -1)
            replies = await pipe.execute(raise_on_error=False)
        assert isinstance(replies.pop(1), redis.ResponseError)
        assert replies == [True, 2, [b"b", b"a"]]

    run(test)


def test_many_wait_and_each_is_served(run: Callable[[Test], None]) -> None:
    """Those who wait for lists, for a sorted set and for a stream get one each."""

    async def test(client: Any) -> None:
        lists = [asyncio.create_task(client.blpop(["a", "b"], timeout=0)) for _ in range(40)]
        scores = [asyncio.create_task(client.bzpopmin("z", timeout=0)) for _ in range(10)]
        readers = [asyncio.create_task(client.xread({"s": "$"}, block=0)) for _ in range(10)]
        await until_blocked(client, 60)
        await client.rpush("a", *range(20))
        await client.rpush("b", *range(20, 40))
        await client.zadd("z", {str(number): number for number in range(10)})
        await client.xadd("s", {"f": "v"})
        found = await asyncio.gather(*lists)
        assert sorted(int(job) for _, job in found) == list(range(40))
        assert sorted(score for _, _, score in await asyncio.gather(*scores)) == list(range(10))
        assert [len(one) for one in await asyncio.gather(*readers)] == [1] * 10
        assert not await client.exists("a", "b", "z")

    run(test)


def test_who_is_cancelled_takes_nothing_along(run: Callable[[Test], None]) -> None:
    async def test(client: Any) -> None:
        waiting = [asyncio.create_task(client.blpop("jobs", timeout=0)) for _ in range(10)]
        await until_blocked(client, 10)
        for task in waiting[:-1]:
            task.cancel()
        await until_blocked(client, 1)
        await client.rpush("jobs", "a", "b")
        assert list(await waiting[-1]) == [b"jobs", b"a"]
        assert list(await client.blpop("jobs", timeout=1)) == [b"jobs", b"b"]

    run(test)


def test_a_queue_between_tasks(run: Callable[[Test], None]) -> None:
    async def test(client: Any) -> None:
        done: list[int] = []

        async def consume() -> None:
            while (job := int(await client.blmove("jobs", "doing", 0))) >= 0:
                await client.lrem("doing", 1, job)
                done.append(job)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(5):
                tasks.create_task(consume())
            for number in range(100):
                await client.rpush("jobs", number)
            await client.rpush("jobs", *[-1] * 5)
        assert sorted(done) == list(range(100))
        assert await client.lrange("doing", 0, -1) == [b"-1"] * 5

    run(test)


def test_expiry_is_told_to_a_task(run: Callable[[Test], None]) -> None:
    async def test(client: Any) -> None:
        await client.config_set("notify-keyspace-events", "Ex")
        async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe("__keyevent@0__:expired")
            while not await client.pubsub_channels():
                pass
            async with client.pipeline() as pipe:
                await pipe.set("a", 1, px=20).set("b", 1, px=40).execute()
            messages = pubsub.listen()
            told = [(await anext(messages))["data"] for _ in range(2)]
        assert told == [b"a", b"b"]

    run(test)
