"""A leaderboard on a sorted set: scores that change, the best players, one player's place.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import random
from typing import Any

import redis

from support import running_server

BOARD = "board"
PLAYERS = 1_000


def top(client: redis.Redis, number: int) -> list[tuple[str, float]]:
    """The best players with their scores, the best first."""
    best: Any = client.zrevrange(BOARD, 0, number - 1, withscores=True)
    return [(name, score) for name, score in best]


def around(client: redis.Redis, player: str, distance: int = 1) -> list[str]:
    """A player with those just above and just below."""
    place: Any = client.zrevrank(BOARD, player)
    rivals: Any = client.zrevrange(BOARD, max(0, place - distance), place + distance)
    return list(rivals)


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        scores = {f"player:{number}": random.randrange(10_000) for number in range(PLAYERS)}
        client.zadd(BOARD, scores)  # one command, however many

        client.zincrby(BOARD, 10_000, "player:7")
        best = top(client, 3)
        assert best[0][0] == "player:7"
        print("best:", *(f"{name} ({points:.0f})" for name, points in best))

        place: Any = client.zrevrank(BOARD, "player:500")
        print(f"player:500 is number {place + 1} of {client.zcard(BOARD)}")
        print("next to it:", *around(client, "player:500"))

        lowest: Any = client.zpopmin(BOARD, 10)
        assert len(lowest) == 10
        assert client.zcard(BOARD) == PLAYERS - 10
        print("relegated:", *(name for name, _ in lowest))


if __name__ == "__main__":
    main()
