"""Client-side caching: redis-py keeps what it has read, and the server tells it when that changes.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import time

import redis
from redis.cache import CacheConfig

from support import running_server

READS = 5000
SECONDS = 10.0


def read(client: redis.Redis, key: str) -> float:
    """Microseconds that a read takes."""
    began = time.perf_counter()
    for _ in range(READS):
        client.get(key)
    return (time.perf_counter() - began) / READS * 1e6


def main() -> None:
    with (
        running_server() as port,
        redis.Redis(port=port, decode_responses=True) as somebody_else,
        redis.Redis(
            port=port, protocol=3, decode_responses=True, cache_config=CacheConfig(max_size=1000)
        ) as client,
    ):
        somebody_else.set("price", "10")
        print(f"asking the server:  {read(somebody_else, 'price'):6.1f} µs a read")
        print(f"from the own cache: {read(client, 'price'):6.1f} µs a read")
        print("it tracks:          ", somebody_else.info("clients")["tracking_clients"], "client")

        somebody_else.set("price", "12")
        until = time.monotonic() + SECONDS
        while client.get("price") != "12":  # the news may be under way
            assert time.monotonic() < until
        print("changed by another: ", client.get("price"))
        client.set("price", "13")
        print("changed by itself:  ", client.get("price"))


if __name__ == "__main__":
    main()
