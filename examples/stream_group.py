"""A stream read by a consumer group: each entry goes to one consumer, stays pending until it is
acknowledged, and is claimed by another when that takes too long.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

from typing import Any

import redis

from support import running_server

STREAM, GROUP = "orders", "billing"
Entry = tuple[str, dict[str, str]]


def read_new(client: redis.Redis, consumer: str, number: int) -> list[Entry]:
    """Entries that no consumer of the group has been given yet."""
    reply: Any = client.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=number)
    entries: list[Entry] = reply[0][1] if reply else []
    return entries


def claim_stale(client: redis.Redis, consumer: str, idle_ms: int) -> list[Entry]:
    """Take over entries that were delivered so long ago and never acknowledged."""
    reply: Any = client.xautoclaim(STREAM, GROUP, consumer, min_idle_time=idle_ms, count=100)
    entries: list[Entry] = reply[1]
    return entries


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        for number in range(5):
            client.xadd(STREAM, {"order": number, "total": number * 10})

        for id_, fields in read_new(client, "alice", 3):
            print("alice bills", fields["order"])
            client.xack(STREAM, GROUP, id_)
        abandoned = read_new(client, "bob", 2)
        print("bob takes", *(fields["order"] for _, fields in abandoned), "and dies")

        pending: Any = client.xpending(STREAM, GROUP)
        assert pending["pending"] == 2
        claimed = claim_stale(client, "alice", idle_ms=0)
        assert claimed == abandoned
        for id_, fields in claimed:
            print("alice bills", fields["order"])
            client.xack(STREAM, GROUP, id_)

        (group,) = client.xinfo_groups(STREAM)
        assert (group["pending"], group["lag"]) == (0, 0)
        client.xtrim(STREAM, maxlen=1, approximate=False)
        print("left in the stream:", client.xlen(STREAM))


if __name__ == "__main__":
    main()
