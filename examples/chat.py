"""A chat over pub/sub: rooms are channels, a pattern hears them all. Who is not there misses what
is said: where that matters, see stream_group.py.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import redis

from support import running_server

SECONDS = 10.0


class Member:
    """Somebody who reads what is said in rooms, in a thread of the client library's own."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        self.heard: queue.Queue[str] = queue.Queue()
        self._client = redis.Redis(port=port, decode_responses=True, protocol=3)
        self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        self._thread: Any = None

    def join(self, *rooms: str) -> None:
        self._pubsub.subscribe(**{f"room:{room}": self._hear for room in rooms})
        self._listen()

    def watch_everything(self) -> None:
        self._pubsub.psubscribe(**{"room:*": self._hear})
        self._listen()

    def say(self, room: str, text: str) -> int:
        """How many there are in ``room`` to hear it."""
        return int(self._client.publish(f"room:{room}", f"{self.name}: {text}"))

    def leave(self) -> None:
        self._thread.stop()
        self._thread.join()
        self._client.close()

    def _hear(self, message: dict[str, Any]) -> None:
        self.heard.put(f"[{message['channel'].removeprefix('room:')}] {message['data']}")

    def _listen(self) -> None:
        if self._thread is None:
            self._thread = self._pubsub.run_in_thread(sleep_time=0.1, daemon=True)


def wait_for(count: int, ask: Callable[[], int]) -> None:
    """A subscription is under way when ``subscribe`` returns, and true a moment later."""
    while ask() < count:
        pass


def main() -> None:
    with running_server() as port, redis.Redis(port=port) as client:
        alice, bob, moderator = (Member(port, name) for name in ("alice", "bob", "moderator"))
        alice.join("tea", "python")
        bob.join("python")
        moderator.watch_everything()
        wait_for(2, lambda: client.pubsub_numsub("room:python")[0][1])
        wait_for(1, client.pubsub_numpat)

        assert bob.say("python", "hello") == 3  # himself, alice and the moderator
        assert alice.say("tea", "anybody here?") == 2
        assert alice.say("coffee", "hello?") == 1  # only the moderator hears that

        for member, count in ((alice, 2), (bob, 1), (moderator, 3)):
            lines = [member.heard.get(timeout=SECONDS) for _ in range(count)]
            print(f"{member.name} heard: {', '.join(lines)}")
        for member in (alice, bob, moderator):
            member.leave()


if __name__ == "__main__":
    main()
