"""The same load on two threading models, and where each spends a request's time.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import time

import redis

from support import running_server

REQUESTS = 3_000
STAGES = ("parse", "queue", "execute", "commit", "respond", "write")


def load(port: int) -> float:
    """Requests a second of one client that writes and reads in turn."""
    with redis.Redis(port=port) as client:
        started = time.perf_counter()
        for number in range(REQUESTS // 2):
            client.set(f"key:{number % 100}", "x" * 64)
            client.get(f"key:{number % 100}")
        return REQUESTS / (time.perf_counter() - started)


def main() -> None:
    for model in ("tendis", "redis-io"):
        with running_server("--threading-model", model) as port:
            rate = load(port)
            with redis.Redis(port=port) as client:
                figures = client.info("stages")
        print(f"{model}: {rate:,.0f} requests/s")
        for stage in STAGES:
            print(f"  {stage:8}", figures[f"stage_{stage}"])


if __name__ == "__main__":
    main()
