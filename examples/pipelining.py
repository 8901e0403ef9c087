"""Many requests in one round trip: the server gathers them into one batch and one commit.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import time

import redis

from support import running_server

COUNT = 5_000


def main() -> None:
    with running_server() as port, redis.Redis(port=port) as client:
        started = time.perf_counter()
        for number in range(COUNT):
            client.set(f"one:{number}", number)
        one_by_one = time.perf_counter() - started

        started = time.perf_counter()
        with client.pipeline(transaction=False) as pipeline:
            for number in range(COUNT):
                pipeline.set(f"many:{number}", number)
            replies = pipeline.execute()
        pipelined = time.perf_counter() - started

        assert len(replies) == COUNT
        assert client.dbsize() == 2 * COUNT
        print(f"{COUNT} SETs one by one: {one_by_one:.2f} s, pipelined: {pipelined:.2f} s")


if __name__ == "__main__":
    main()
