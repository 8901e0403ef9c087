"""A cache in the program, kept true by keyspace notifications: whatever changes a key, whoever does
it, the program hears of it and forgets its copy.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import threading
from typing import Any

import redis

from support import running_server

SECONDS = 10.0


class CachedReader:
    """Reads strings of database 0. Subscribed before it reads anything, so that it misses no
    change; a copy that is forgotten too early only costs a round trip."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._copies: dict[str, str | None] = {}
        self._changed = threading.Condition()
        self._changes = 0
        client.config_set("notify-keyspace-events", "EA")
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe(**{"__keyevent@0__:*": self._forget})
        self._listener = self._pubsub.run_in_thread(sleep_time=0.1, daemon=True)

    def get(self, key: str) -> tuple[str | None, str]:
        """The value, and where it came from."""
        with self._changed:
            if key in self._copies:
                return self._copies[key], "own copy"
            seen = self._changes
        value: Any = self._client.get(key)
        with self._changed:
            if self._changes == seen:  # else it may be old already
                self._copies[key] = value
        return value, "server"

    def _forget(self, message: dict[str, Any]) -> None:
        """Called in the listener's thread: ``set`` and ``del``, ``expired`` and all others."""
        with self._changed:
            self._copies.pop(message["data"], None)
            self._changes += 1
            self._changed.notify_all()

    def wait_until_forgotten(self, key: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: key not in self._copies, SECONDS)

    def close(self) -> None:
        self._listener.stop()
        self._listener.join()


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        client.set("price", "10")
        reader = CachedReader(client)
        print("first:       ", *reader.get("price"))
        print("again:       ", *reader.get("price"))

        with redis.Redis(port=port) as somebody_else:
            somebody_else.set("price", "12", px=300)
        reader.wait_until_forgotten("price")
        print("changed:     ", *reader.get("price"))
        print("again:       ", *reader.get("price"))

        reader.wait_until_forgotten("price")
        print("after 300 ms:", *reader.get("price"))
        reader.close()


if __name__ == "__main__":
    main()
