"""Optimistic locking with WATCH: read, decide in the program, write, and all that only if nobody
else has written in between. Nobody waits for a lock, and nobody can forget to release one.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import threading
from typing import Any

import redis

from support import running_server

FREE = "seats:free"
SEATS = 10


def book(client: redis.Redis, name: str, count: int) -> list[str]:
    """Seats beside each other, or none: no command does that, a transaction does."""
    with client.pipeline() as transaction:
        while True:
            try:
                transaction.watch(FREE)
                taken = _beside_each_other(transaction.lrange(FREE, 0, -1), count)
                transaction.multi()
                for seat in taken:
                    transaction.lrem(FREE, 1, seat)
                    transaction.hset("seats:taken", seat, name)
                transaction.execute()
                return taken
            except redis.WatchError:
                continue  # somebody has booked or given back meanwhile: look again


def give_back(client: redis.Redis, *seats: str) -> None:
    """The same in redis-py's short form: it watches, and tries again by itself."""

    def step(transaction: Any) -> None:
        free = [*transaction.lrange(FREE, 0, -1), *seats]
        transaction.multi()
        transaction.hdel("seats:taken", *seats)
        transaction.delete(FREE)
        transaction.rpush(FREE, *sorted(free, key=int))

    client.transaction(step, FREE)


def _beside_each_other(free: Any, count: int) -> list[str]:
    for first in range(len(free) - count + 1):
        seats: list[str] = free[first : first + count]
        if int(seats[-1]) - int(seats[0]) == count - 1:
            return seats
    return []


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        client.rpush(FREE, *range(1, SEATS + 1))
        booked: dict[str, list[str]] = {}

        def visitor(name: str, count: int) -> None:
            booked[name] = book(client, name, count)

        groups = {"alice": 2, "bob": 3, "carol": 2, "dave": 3}
        threads = [threading.Thread(target=visitor, args=pair) for pair in groups.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, seats in sorted(booked.items()):
            print(f"{name} has {', '.join(seats)}")
        assert sorted(int(seat) for seats in booked.values() for seat in seats) == [
            *range(1, SEATS + 1)
        ]
        assert book(client, "erin", 2) == []

        give_back(client, *booked["bob"])
        print(f"erin has {', '.join(book(client, 'erin', 2))}, which bob has given back")


if __name__ == "__main__":
    main()
