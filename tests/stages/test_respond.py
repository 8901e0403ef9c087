"""The response queue: nothing posted is lost, and the reactor is woken for it."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from tendis_py.stages.respond import Call, ResponseQueue


@pytest.fixture
def responses() -> Iterator[ResponseQueue]:
    queue = ResponseQueue()
    yield queue
    queue.close()


def readable(queue: ResponseQueue, seconds: float = 0.0) -> bool:
    return bool(select.select([queue.fd], [], [], seconds)[0])


def call(number: int, ran: list[int]) -> Call:
    return lambda: ran.append(number)


def run(queue: ResponseQueue) -> None:
    """A turn, in which the queue is drained."""
    queue.awake()
    for entry in list(queue.drain()):
        assert callable(entry)
        entry()
    queue.rest()


def test_a_post_wakes_and_a_drain_takes_everything(responses: ResponseQueue) -> None:
    ran: list[int] = []
    assert not readable(responses)
    for number in range(3):
        responses.post(call(number, ran))
    assert readable(responses)
    run(responses)
    assert ran == [0, 1, 2]
    assert not readable(responses)
    responses.post(call(3, ran))
    assert readable(responses)


def test_posts_between_drains_wake_once(responses: ResponseQueue) -> None:
    ran: list[int] = []
    for turn in range(10):
        for number in range(100):
            responses.post(call(turn * 100 + number, ran))
        run(responses)
    figures = responses.statistics()
    assert (figures.posted, figures.wakeups, figures.depth) == (1000, 10, 0)


def test_posts_from_many_threads_all_arrive_in_each_thread_s_order(
    responses: ResponseQueue,
) -> None:
    threads, each = 4, 3000
    ran: list[int] = []

    def post(first: int) -> None:
        for number in range(first, first + each):
            responses.post(call(number, ran))

    posting = [threading.Thread(target=post, args=(index * each,)) for index in range(threads)]
    for thread in posting:
        thread.start()
    while len(ran) < threads * each:
        assert readable(responses, 10.0), "entries are left and nothing wakes the reactor"
        run(responses)
    for thread in posting:
        thread.join(10.0)
    assert sorted(ran) == list(range(threads * each))
    for index in range(threads):
        own = [number for number in ran if number // each == index]
        assert own == sorted(own)


def test_whoever_is_awake_is_not_woken(responses: ResponseQueue) -> None:
    ran: list[int] = []
    responses.awake()
    responses.post(call(1, ran))
    assert not readable(responses)
    for entry in responses.take():
        assert callable(entry)
        entry()
    assert ran == [1]
    responses.post(call(2, ran))
    responses.rest()
    assert readable(responses), "it would be left"
    run(responses)
    assert ran == [1, 2]
