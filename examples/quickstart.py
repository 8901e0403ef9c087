"""Strings, expiry and counters with redis-py, against a server of its own.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import redis

from support import running_server


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        client.set("greeting", "hello")
        print("greeting:", client.get("greeting"))

        client.set("session:42", "alice", ex=30)
        print("session expires in", client.ttl("session:42"), "s")

        for _ in range(3):
            client.incr("visits")
        print("visits:", client.get("visits"))

        print("keys:", sorted(client.scan_iter("*")))
        print("server:", client.info("server")["tendis_py_version"])


if __name__ == "__main__":
    main()
