"""The work queue: its bounds, who is told when there is room, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

from tendis_py.stages.work import Batch, Job, Work, WorkQueue
from tests.support.servers import wait_until

SECONDS = 10.0


def batch(requests: int = 1, size: int = 10) -> Batch:
    nobody: Any = None
    return Batch(nobody, [(nobody, [[b"PING"]] * requests)], size, read=0)


def job() -> Job:
    return Job(lambda tx: None, set(), lambda error: None)


def test_work_is_taken_in_order() -> None:
    queue = WorkQueue(100, 1000)
    queued: list[Work] = [batch(), job(), batch()]
    for work in queued:
        queue.force(work)
    assert [queue.take() for _ in queued] == queued


def test_the_number_of_requests_is_bounded() -> None:
    queue = WorkQueue(10, 1000)
    assert queue.offer(batch(6))
    assert not queue.offer(batch(5))
    assert queue.offer(batch(4))
    assert not queue.offer(batch(1))
    assert queue.statistics().requests == 10
    assert queue.statistics().refused == 2


def test_bytes_are_bounded() -> None:
    queue = WorkQueue(10, 1000)
    assert queue.offer(batch(1, 600))
    assert not queue.offer(batch(1, 500))
    assert queue.offer(batch(1, 400))


def test_what_is_larger_than_the_bounds_is_taken_when_nothing_waits() -> None:
    queue = WorkQueue(10, 1000)
    assert queue.offer(batch(50, 5000))
    assert not queue.offer(batch(1, 1))
    queue.take()
    assert queue.offer(batch(50, 5000))


def test_jobs_and_admitted_requests_are_never_refused() -> None:
    queue = WorkQueue(1, 1)
    for _ in range(5):
        queue.force(batch(10, 10))
        queue.force(job())
    assert queue.statistics().depth == 10


def test_room_is_told_once_and_only_to_whom_was_refused() -> None:
    told: list[int] = []
    queue = WorkQueue(10, 1000, lambda: told.append(queue.statistics().requests))
    for _ in range(5):
        queue.offer(batch(2))
    queue.take()
    assert told == [], "nobody was refused"
    queue.offer(batch(2))
    assert not queue.offer(batch(2))
    queue.take()
    queue.take()
    assert told == [], "not yet half empty"
    queue.take()
    assert told == [4]
    queue.take()
    queue.take()
    assert told == [4], "told again without another refusal"


def test_busy_counts_what_is_queued_and_what_is_executed() -> None:
    queue = WorkQueue(10, 1000)
    queue.offer(batch())
    queue.force(job())
    assert queue.busy == 2
    queue.take()
    assert (queue.busy, queue.statistics().depth, queue.statistics().active) == (2, 1, 1)
    queue.finished()
    queue.take()
    queue.finished()
    assert (queue.busy, queue.statistics().active) == (0, 0)


def test_all_that_is_queued_may_be_taken_at_once() -> None:
    queue = WorkQueue(100, 1000)
    queued = [batch() for _ in range(3)]
    for one in queued:
        queue.offer(one)
    assert queue.take_all() == queued
    queue.offer(queued[0])
    queue.close()
    assert queue.take_all() == [queued[0], None]
    assert queue.take_all() == [None]


def test_closing_lets_takers_finish_and_ends_them_all() -> None:
    queue = WorkQueue(1000, 100_000)
    taken: list[Work] = []

    def take() -> None:
        while (work := queue.take()) is not None:
            taken.append(work)
            queue.finished()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    queued = [batch() for _ in range(500)]
    for one in queued:
        assert queue.offer(one)
    queue.close()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert set(map(id, taken)) == set(map(id, queued))
    assert len(taken) == len(queued)
    assert queue.busy == 0


def test_offering_and_taking_at_the_same_time_loses_nothing() -> None:
    """Producers that wait for room when refused, as reactors do."""
    room = threading.Event()
    queue = WorkQueue(8, 10_000, room.set)
    taken: list[Work] = []

    def produce() -> None:
        for _ in range(300):
            one = batch(3)
            while not queue.offer(one):
                assert room.wait(SECONDS), "refused, and never told of room"
                room.clear()
                if queue.statistics().depth == 0:
                    room.set()  # for the other producer

    def consume() -> None:
        while (work := queue.take()) is not None:
            taken.append(work)
            queue.finished()

    producers = [threading.Thread(target=produce) for _ in range(2)]
    consumers = [threading.Thread(target=consume) for _ in range(2)]
    for thread in producers + consumers:
        thread.start()
    for thread in producers:
        thread.join(SECONDS)
    queue.close()
    for thread in consumers:
        thread.join(SECONDS)
    assert len(taken) == 600
    figures = queue.statistics()
    assert (figures.depth, figures.requests, figures.bytes, figures.taken) == (0, 0, 0, 600)
    assert 0 < figures.peak_requests <= 8


def test_taking_waits_for_work() -> None:
    queue = WorkQueue(10, 1000)
    taken: list[Work | None] = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    one = batch()
    assert taken == []
    queue.offer(one)
    wait_until(lambda: taken == [one], "the waiting thread got the batch")
    thread.join(SECONDS)
