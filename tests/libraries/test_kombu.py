"""kombu, which carries Celery's messages: queues in lists, priorities, fan-out by pub/sub."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue

from tests.support.servers import HOST, ServerProcess, wait_until

SECONDS = 20.0
STEPS = list(range(10))

Connect = Callable[..., Any]


@pytest.fixture
def connect(server: ServerProcess) -> Iterator[Connect]:
    """Opens connections, which close after the test."""
    with contextlib.ExitStack() as stack:

        def connection(**options: Any) -> Any:
            url = f"redis://{HOST}:{server.port}/0"
            return stack.enter_context(Connection(url, transport_options=options))

        yield connection


def drain(connection: Any, got: list[Any], count: int) -> None:
    while len(got) < count:
        connection.drain_events(timeout=SECONDS)


def take(got: list[Any]) -> Callable[[Any, Any], None]:
    """Notes a message and acknowledges it."""

    def callback(body: Any, message: Any) -> None:
        got.append(body)
        message.ack()

    return callback


def test_publish_consume_acknowledge(connect: Connect, server: ServerProcess) -> None:
    exchange = Exchange("media", type="topic")
    videos = Queue("videos", exchange, routing_key="video.*")
    pictures = Queue("pictures", exchange, routing_key="picture.#")
    publisher, worker = connect(), connect()
    producer = publisher.Producer(serializer="json")
    for number in range(20):
        key = "picture.cat.small" if number % 2 else "video.dog"
        producer.publish(
            {"number": number}, exchange=exchange, routing_key=key, declare=[videos, pictures]
        )
    got: list[Any] = []
    with worker.Consumer([videos, pictures], callbacks=[take(got)]):
        drain(worker, got, 20)
    assert sorted(body["number"] for body in got) == list(range(20))
    with server.client() as client:
        assert client.value("EXISTS", "videos", "pictures", "unacked", "unacked_index") == 0


def test_a_worker_that_waits_is_woken(connect: Connect, server: ServerProcess) -> None:
    publisher, worker = connect(), connect()
    queue = Queue("jobs", Exchange("jobs"), routing_key="jobs")
    got: list[Any] = []
    with worker.Consumer([queue], callbacks=[take(got)]), server.client() as client:
        waiting = threading.Thread(target=drain, args=(worker, got, 1), daemon=True)
        waiting.start()
        wait_until(lambda: b"blocked_clients:1\r" in client.value("INFO", "clients"), "it waits")
        publisher.Producer().publish("now", exchange=queue.exchange, routing_key="jobs")
        waiting.join(SECONDS)
    assert got == ["now"]


def test_what_was_not_acknowledged_comes_back(connect: Connect) -> None:
    worker = connect()
    jobs = worker.SimpleQueue("jobs")
    for number in range(3):
        jobs.put(number)
    assert jobs.get(timeout=SECONDS).payload == 0
    jobs.get(timeout=SECONDS).requeue()
    jobs.get(timeout=SECONDS).reject()
    worker.close()
    again = connect().SimpleQueue("jobs")
    found = []
    for _ in range(2):
        message = again.get(timeout=SECONDS)
        found.append((message.payload, message.headers.get("redelivered")))
        message.ack()
    with pytest.raises(again.Empty):
        again.get(block=False)
    assert sorted(found) == [(0, True), (1, True)]


def test_priorities(connect: Connect) -> None:
    options = {"queue_order_strategy": "priority", "priority_steps": STEPS}
    connection = connect(**options)
    queue = Queue("jobs", Exchange("jobs"), routing_key="jobs", max_priority=9)
    producer = connection.Producer()
    for priority in (9, 0, 5, 3, 0):
        producer.publish(
            priority, exchange=queue.exchange, routing_key="jobs", declare=[queue],
            priority=priority,
        )  # fmt: skip
    got: list[Any] = []
    with connection.Consumer([queue], callbacks=[take(got)], prefetch_count=1):
        drain(connection, got, 5)
    assert got == [0, 0, 3, 5, 9]


def test_fan_out(connect: Connect, server: ServerProcess) -> None:
    exchange = Exchange("news", type="fanout")
    publisher, *workers = connect(), connect(), connect()
    heard: list[list[Any]] = [[], []]
    with contextlib.ExitStack() as stack, server.client() as client:
        for number, worker in enumerate(workers):
            queue = Queue(f"reader{number}", exchange)
            stack.enter_context(worker.Consumer([queue], callbacks=[take(heard[number])]))
            with contextlib.suppress(socket.timeout):
                worker.drain_events(timeout=0.01)
        wait_until(lambda: b"pubsub_clients:2\r" in client.value("INFO", "clients"), "both listen")
        producer = publisher.Producer()
        for number in range(10):
            producer.publish(number, exchange=exchange, declare=[exchange])
        for worker, got in zip(workers, heard, strict=True):
            drain(worker, got, 10)
    assert heard == [list(range(10))] * 2


def test_what_a_dead_worker_left_is_found_by_an_idle_one(
    connect: Connect, server: ServerProcess
) -> None:
    """It looks for that under a lock of redis-py's, which is a script."""
    dead = connect(visibility_timeout=0.01, unacked_restore_limit=1)
    queue = dead.SimpleQueue("jobs")
    queue.put("orphan")
    assert queue.get(timeout=SECONDS).payload == "orphan"  # and no acknowledgement
    idle = connect(visibility_timeout=0.01)
    with server.client() as client:
        assert client.value("ZCARD", "unacked_index") == 1

        def found() -> bool:
            idle.default_channel.qos.restore_visible(num=10)
            return bool(client.value("LLEN", "jobs"))

        wait_until(found, "its time is over", SECONDS)
        assert client.value("EXISTS", "unacked_mutex") == 0
    message = idle.SimpleQueue("jobs").get(timeout=SECONDS)
    assert message.payload == "orphan"
    message.ack()
