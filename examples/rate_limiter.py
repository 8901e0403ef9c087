"""Two rate limiters: a fixed window in a counter that expires, a sliding one in a sorted set.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import redis

from support import running_server

LIMIT = 5


def allow_fixed(client: redis.Redis, user: str, seconds: int) -> bool:
    """At most LIMIT requests in each window; two round trips, constant space."""
    key = f"requests:{user}:{int(time.time()) // seconds}"
    count: Any = client.incr(key)
    if count == 1:
        client.expire(key, seconds)
    return bool(count <= LIMIT)


def allow_sliding(client: redis.Redis, user: str, seconds: float) -> bool:
    """At most LIMIT requests in the last ``seconds``; a member for each, scored by its time. It is
    counted before it is allowed, so that two at once can't both be the last one."""
    key, request, now = f"recent:{user}", uuid.uuid4().hex, time.time()
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zremrangebyscore(key, 0, now - seconds)
        pipeline.zadd(key, {request: now})
        pipeline.zcard(key)
        pipeline.pexpire(key, int(seconds * 1000))
        _, _, recent, _ = pipeline.execute()
    if recent <= LIMIT:
        return True
    client.zrem(key, request)
    return False


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        fixed = [allow_fixed(client, "alice", 3600) for _ in range(LIMIT + 2)]
        print("fixed window: ", fixed)
        assert fixed.count(True) >= LIMIT  # more only if the hour has just changed

        sliding = [allow_sliding(client, "alice", 0.5) for _ in range(LIMIT + 2)]
        print("sliding window:", sliding)
        assert sliding.count(True) >= LIMIT

        time.sleep(0.6)
        assert allow_sliding(client, "alice", 0.5)
        print("allowed again once the window has passed")


if __name__ == "__main__":
    main()
