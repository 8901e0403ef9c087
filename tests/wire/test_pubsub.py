"""Pub/sub over real sockets: several publishers at once, and the clients that people use."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import redis.asyncio

from tests.support.load import together
from tests.support.resp import Aggregate, RawClient, decode, encode_request
from tests.support.servers import HOST, ServerProcess, wait_until

SECONDS = 20.0


@pytest.fixture(autouse=True)
def nobody_is_subscribed(tendis: ServerProcess, redis_server: ServerProcess) -> None:
    """Any more: the last test's connections are closed a moment later."""
    for server in (tendis, redis_server):
        with server.client() as client:
            wait_until(
                lambda: b"pubsub_clients:0" in client.value("INFO", "clients"),
                "nobody is subscribed any more",
            )


def told(client: RawClient) -> list[Any]:
    """The next message or confirmation, in either protocol."""
    value = decode(client.reply())
    found: list[Any] = value.items if isinstance(value, Aggregate) else value
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_each_subscriber_hears_each_publisher_in_order(
    tendis: ServerProcess, protocol: int
) -> None:
    """Some publish step by step, some in pipelines with writes and slow commands between."""
    rounds, publishers = 120, 4
    with ExitStack() as stack:
        subscribers = [
            stack.enter_context(tendis.client(protocol=protocol, seconds=SECONDS)) for _ in range(6)
        ]
        for number, client in enumerate(subscribers):
            client.command(*(("PSUBSCRIBE", "or*") if number % 2 else ("SUBSCRIBE", "order")))

        def publisher(name: int) -> Any:
            def work(client: RawClient) -> None:
                texts = [b"%d:%d" % (name, number) for number in range(rounds)]
                if name % 2:
                    for text in texts:
                        assert client.value("PUBLISH", "order", text) == len(subscribers)
                    return
                requests = [
                    request
                    for text in texts
                    for request in (
                        [b"SET", b"k:%d" % name, text],
                        [b"PUBLISH", b"order", text],
                        [b"KEYS" if text.endswith(b"5") else b"GET", b"k:%d" % name],
                    )
                ]
                replies = client.pipeline(requests)
                assert replies[1::3] == [b":%d\r\n" % len(subscribers)] * rounds

            return work

        together(tendis.address, *map(publisher, range(publishers)))
        for client in subscribers:
            texts = [told(client)[-1] for _ in range(rounds * publishers)]
            for name in range(publishers):
                own = [text for text in texts if text.startswith(b"%d:" % name)]
                assert own == [b"%d:%d" % (name, number) for number in range(rounds)]


def test_who_comes_and_goes_reads_nothing_stray(tendis: ServerProcess) -> None:
    """In RESP2 a message after the end of a subscription would be taken for a reply."""
    stop = threading.Event()

    def publish(client: RawClient) -> None:
        while not stop.is_set():
            client.pipeline([[b"PUBLISH", b"stray", b"x"]] * 20)

    def come_and_go(client: RawClient) -> None:
        try:
            for number in range(150):
                last = [b"UNSUBSCRIBE", b"RESET", b"UNSUBSCRIBE stray"][number % 3].split()
                client.send(b"SUBSCRIBE stray\r\n" + b"PING\r\n" * (number % 3))
                assert told(client) == [b"subscribe", b"stray", 1]
                client.send(encode_request(last) + b"ECHO done\r\n")
                while (reply := client.reply())[:1] == b"*":
                    if b"unsubscribe" in reply:
                        break
                assert client.reply() == b"$4\r\ndone\r\n"
        finally:
            stop.set()

    together(tendis.address, publish, come_and_go, publish)
    with tendis.client() as client:
        assert client.value("PUBSUB", "CHANNELS") == []


def test_a_killed_subscriber_is_none(tendis: ServerProcess) -> None:
    with tendis.client() as client, tendis.client() as other:
        client.command("SUBSCRIBE", "a")
        client.command("PSUBSCRIBE", "a*")
        assert other.value("CLIENT", "KILL", "TYPE", "pubsub") == 1
        assert other.value("PUBLISH", "a", "x") == 0
        assert other.value("PUBSUB", "NUMPAT") == 0
        assert client.until_closed() == b""
        with tendis.client() as vanishing:
            vanishing.command("SUBSCRIBE", "a")
        wait_until(lambda: bool(other.value("PUBSUB", "CHANNELS") == []), "it is forgotten")


REPLIES_OFF = (
    b"CLIENT REPLY OFF",
    b"SUBSCRIBE a b",
    b"PUBLISH a hidden",
    b"PING",
    b"UNSUBSCRIBE b",
    b"PSUBSCRIBE a*",
    b"PUBLISH a again",
    b"CLIENT REPLY SKIP",
    b"CLIENT REPLY ON",
    b"RESET",
    b"CLIENT REPLY SKIP",
    b"UNSUBSCRIBE a",
    b"PING",
    b"QUIT",
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_that_are_off(
    tendis: ServerProcess, redis_server: ServerProcess, protocol: int
) -> None:
    """Confirmations and messages come all the same."""
    seen = []
    for server in (tendis, redis_server):
        with server.client(protocol=protocol) as client:
            client.send(b"".join(encode_request(line.split()) for line in REPLIES_OFF))
            seen.append(client.until_closed())
    assert seen[0] == seen[1]
    assert seen[0].count(b"subscribe") == 5


FIELDS = ("flags", "sub", "psub", "ssub", "resp", "cmd")


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_is_told_of_subscribers(
    tendis: ServerProcess, redis_server: ServerProcess, protocol: int
) -> None:
    seen = []
    for server in (tendis, redis_server):
        with server.client(protocol=protocol) as client, server.client() as other:
            for line in ("SUBSCRIBE a", "PSUBSCRIBE p*", "SSUBSCRIBE s", "SSUBSCRIBE t"):
                client.command(*line.split())
            client.command("SUBSCRIBE", "b")
            [line] = other.value("CLIENT", "LIST", "TYPE", "PUBSUB").splitlines()
            fields = dict(field.split("=") for field in line.decode().split(" "))
            info = other.value("INFO", "clients") + other.value("INFO", "stats")
            figures = [one for one in info.split(b"\r\n") if one.startswith(b"pubsub")]
            seen.append(({name: fields[name] for name in FIELDS}, figures))
    assert seen[0] == seen[1]
    assert seen[0][1] == [
        b"pubsub_clients:1",
        b"pubsub_channels:2",
        b"pubsub_patterns:1",
        b"pubsubshard_channels:2",
    ]


def test_very_many_names_at_once(tendis: ServerProcess) -> None:
    names = [b"channel:%d" % number for number in range(5000)]
    with tendis.client() as client, tendis.client() as other:
        client.send(encode_request([b"SUBSCRIBE", *names]))
        for number, name in enumerate(names, 1):
            assert told(client) == [b"subscribe", name, number]
        assert sorted(other.value("PUBSUB", "CHANNELS")) == sorted(names)
        assert other.value("PUBSUB", "CHANNELS", "*:77") == [b"channel:77"]
        assert other.value("PUBSUB", "NUMSUB", *names)[1::2] == [1] * len(names)
        assert other.value("PUBLISH", names[-1], "x") == 1
        assert told(client) == [b"message", names[-1], b"x"]
        client.send(encode_request([b"UNSUBSCRIBE"]))
        assert {told(client)[1] for _ in names} == set(names)
        assert client.command("GET", "k") == b"$-1\r\n"
        client.send(encode_request([b"PSUBSCRIBE", *names]) + b"RESET\r\nPING\r\n")
        for number, name in enumerate(names, 1):
            assert told(client) == [b"psubscribe", name, number]
        assert [client.reply() for _ in range(2)] == [b"+RESET\r\n", b"+PONG\r\n"]
        assert other.value("PUBSUB", "NUMPAT") == 0


def test_a_long_message(tendis: ServerProcess) -> None:
    """It goes to all in the same pieces."""
    text = b"0123456789abcdef" * 300_000
    with ExitStack() as stack, tendis.client(seconds=SECONDS) as publisher:
        clients = [stack.enter_context(tendis.client(seconds=SECONDS)) for _ in range(3)]
        for client in clients:
            client.command("SUBSCRIBE", "long")
        assert publisher.value("PUBLISH", "long", text) == 3
        for client in clients:
            assert told(client) == [b"message", b"long", text]


# redis-py


@pytest.fixture(params=[2, 3])
def client(request: pytest.FixtureRequest, tendis: ServerProcess) -> Iterator[redis.Redis]:
    with redis.Redis(HOST, tendis.port, protocol=request.param) as one:
        yield one


def test_redis_py_listens_in_a_thread(client: redis.Redis) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    with client.pubsub() as pubsub:
        pubsub.subscribe(news=heard.put)
        pubsub.psubscribe(**{"ne*": heard.put})
        pubsub.ssubscribe(shard=heard.put)
        worker = pubsub.run_in_thread(sleep_time=0.01, daemon=True)
        try:
            wait_until(lambda: client.pubsub_numsub("news") == [(b"news", 1)], "it listens")
            wait_until(lambda: client.pubsub_numpat() == 1, "to patterns, too")
            wait_until(lambda: client.pubsub_shardnumsub("shard") == [(b"shard", 1)], "and shards")
            for number in range(50):
                assert client.publish("news", number) == 2
            assert client.spublish("shard", "x") == 1
            got = [heard.get(timeout=SECONDS) for _ in range(101)]
        finally:
            worker.stop()
            worker.join(SECONDS)
    for kind in ("message", "pmessage"):
        texts = [int(one["data"]) for one in got if one["type"] == kind]
        assert texts == list(range(50))
    assert [one["data"] for one in got if one["type"] == "smessage"] == [b"x"]


def test_redis_py_asks_and_listens_in_turn(client: redis.Redis) -> None:
    with client.pubsub() as pubsub:
        pubsub.subscribe("a", "b")
        assert [one["data"] for one in _next(pubsub, 2)] == [1, 2]
        pubsub.ping()
        assert _next(pubsub, 1)[0]["type"] == "pong"
        client.publish("a", "x")
        assert _next(pubsub, 1)[0]["data"] == b"x"
        pubsub.unsubscribe()
        assert sorted(one["data"] for one in _next(pubsub, 2)) == [0, 1]
        assert not pubsub.subscribed
    assert client.pubsub_channels() == []


def _next(pubsub: Any, count: int) -> list[Any]:
    found = [pubsub.get_message(timeout=SECONDS) for _ in range(count)]
    assert None not in found
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_in_asyncio(tendis: ServerProcess, protocol: int) -> None:
    async def listen(pubsub: Any) -> list[int]:
        found: list[int] = []
        async for one in pubsub.listen():
            if one["type"].endswith("message"):
                found.append(int(one["data"]))
                if len(found) == 100:
                    break
        return found

    async def main() -> None:
        client = redis.asyncio.Redis(host=HOST, port=tendis.port, protocol=protocol)
        async with client, client.pubsub() as one, client.pubsub() as other:
            await one.subscribe("chat")
            await other.psubscribe("ch*")
            while await client.pubsub_numpat() < 1:
                pass
            while not (await client.pubsub_numsub("chat"))[0][1]:
                pass
            listeners = [asyncio.create_task(listen(each)) for each in (one, other)]
            for number in range(100):
                assert await client.publish("chat", number) == 2
            for found in await asyncio.gather(*listeners):
                assert found == list(range(100))

    asyncio.run(asyncio.wait_for(main(), SECONDS))
