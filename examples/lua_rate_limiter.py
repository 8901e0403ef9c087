"""A token bucket in a script: what is read, decided and written is one step, on the server's clock,
and one round trip. Each user has a bucket that fills steadily; a request takes a token, or is told
when to come again.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import redis

from support import running_server

TAKE = """
local capacity, per_second, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(bucket[1]) or capacity, tonumber(bucket[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * per_second)

local wait = 0
if tokens >= wanted then
  tokens = tokens - wanted
else
  wait = (wanted - tokens) / per_second
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(capacity / per_second * 1000))  -- full by then: as if new
return {math.floor(tokens), tostring(wait)}  -- a number would lose its fraction
"""


class Answer(NamedTuple):
    """``wait``: seconds, 0 if the request is allowed."""

    left: int
    wait: float


class Limiter:
    """At most ``capacity`` requests at once, and so many ``per_second`` in the long run."""

    def __init__(self, client: Any, capacity: int, per_second: float) -> None:
        self._take = client.register_script(TAKE)  # sent once, then called by its hash
        self._limits = [capacity, per_second]

    def take(self, user: str, tokens: int = 1) -> Answer:
        left, wait = self._take(keys=[f"bucket:{user}"], args=[*self._limits, tokens])
        return Answer(left, float(wait))

    def take_for_all(self, client: Any, users: list[str]) -> list[Answer]:
        """Many in one round trip."""
        with client.pipeline(transaction=False) as pipeline:
            for user in users:
                self._take(keys=[f"bucket:{user}"], args=[*self._limits, 1], client=pipeline)
            return [Answer(left, float(wait)) for left, wait in pipeline.execute()]


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        limiter = Limiter(client, capacity=5, per_second=2)
        answers = [limiter.take("alice") for _ in range(7)]
        print("allowed at once: ", [answer.wait == 0 for answer in answers])
        assert [answer.wait == 0 for answer in answers[:5]] == [True] * 5

        wait = limiter.take("alice", 2).wait
        print(f"two more tokens in {wait:.2f} s")
        time.sleep(wait + 0.01)
        assert limiter.take("alice", 2).wait == 0

        users = [f"user{number}" for number in range(100)]
        left = {answer.left for answer in limiter.take_for_all(client, users)}
        print(f"a hundred others have {left.pop()} tokens each left; buckets expire by themselves")
        assert client.pttl("bucket:user1") > 0


if __name__ == "__main__":
    main()
