"""A reliable work queue on lists. Workers wait for jobs in a blocking pop, which costs nothing; a
job is on one list or another until it is done, so none is lost with the worker that had it.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import threading
from typing import Any

import redis

from support import running_server

WAITING = "jobs"
DONE = "jobs:done"
SECONDS = 10.0
GO_HOME = "go home"


def working_on(worker: str) -> str:
    """The list of what a worker has taken and not finished."""
    return f"jobs:{worker}"


def submit(client: redis.Redis, *jobs: str) -> None:
    client.lpush(WAITING, *jobs)


def take(client: redis.Redis, worker: str, seconds: float = SECONDS) -> str | None:
    """Move the oldest job to the worker's own list, in one step, as soon as there is one; None
    when there was none for so many seconds. Who has waited longest is served first."""
    job: Any = client.blmove(WAITING, working_on(worker), seconds, "RIGHT", "LEFT")
    return None if job is None else str(job)


def finish(client: redis.Redis, worker: str, job: str) -> None:
    with client.pipeline() as transaction:
        transaction.lrem(working_on(worker), 1, job)
        transaction.lpush(DONE, f"{worker}: {job}")
        transaction.execute()


def rescue(client: redis.Redis, worker: str) -> int:
    """Put back what a worker that is gone had taken; how many jobs."""
    number = 0
    while client.lmove(working_on(worker), WAITING, "LEFT", "RIGHT") is not None:
        number += 1
    return number


def work(port: int, worker: str) -> None:
    """What a worker does all day, in a thread here, in a program of its own elsewhere."""
    with redis.Redis(port=port, decode_responses=True) as client:
        while (job := take(client, worker)) is not None:
            finish(client, worker, job)
            if job == GO_HOME:
                return


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        submit(client, "resize cat.png")
        lost = take(client, "bob")
        print("bob takes", lost, "and dies")
        assert rescue(client, "bob") == 1

        workers = [threading.Thread(target=work, args=(port, name)) for name in ("alice", "carol")]
        for thread in workers:
            thread.start()
        submit(client, "resize dog.png", "send report")
        submit(client, *[GO_HOME for _ in workers])
        for thread in workers:
            thread.join()

        done: Any = client.lrange(DONE, 0, -1)
        print(*sorted(done), sep="\n")
        assert len(done) == 5
        assert client.keys() == [DONE]  # nothing waits, nobody is working on anything


if __name__ == "__main__":
    main()
