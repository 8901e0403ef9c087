"""A reliable work queue on two lists: a job is on one of them until it is done, so none is lost
with the worker that had it.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

from typing import Any

import redis

from support import running_server

WAITING = "jobs"


def working_on(worker: str) -> str:
    """The list of what a worker has taken and not finished."""
    return f"jobs:{worker}"


def submit(client: redis.Redis, *jobs: str) -> None:
    client.lpush(WAITING, *jobs)


def take(client: redis.Redis, worker: str) -> str | None:
    """Move the oldest job to the worker's own list, in one step; None when there is none."""
    job: Any = client.lmove(WAITING, working_on(worker), "RIGHT", "LEFT")
    return None if job is None else str(job)


def finish(client: redis.Redis, worker: str, job: str) -> None:
    client.lrem(working_on(worker), 1, job)


def rescue(client: redis.Redis, worker: str) -> int:
    """Put back what a worker that is gone had taken; how many jobs."""
    number = 0
    while client.lmove(working_on(worker), WAITING, "LEFT", "RIGHT") is not None:
        number += 1
    return number


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        submit(client, "resize cat.png", "resize dog.png", "send report")

        job = take(client, "alice")
        assert job == "resize cat.png"
        print("alice does", job)
        finish(client, "alice", job)

        lost = take(client, "bob")
        print("bob takes", lost, "and dies")
        assert rescue(client, "bob") == 1

        while (job := take(client, "alice")) is not None:
            print("alice does", job)
            finish(client, "alice", job)
        assert client.dbsize() == 0
        print("all done")


if __name__ == "__main__":
    main()
