"""A timeline on sorted integers: the IDs of posts in order, newest first, page by page.

Sorted integers are Kvrocks' type, which redis-py has no methods for: ``execute_command`` does.
Needs ``pip install redis``, the client.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis

from support import running_server

PAGE = 20
KEPT = 500


class Timeline:
    """The posts that one user sees. IDs grow with time, as those of Snowflake do."""

    def __init__(self, client: redis.Redis, user: str) -> None:
        self._run = client.execute_command
        self._key = f"timeline:{user}"

    def add(self, *posts: int) -> int:
        """How many were not there: a post that is delivered twice is seen once."""
        return int(self._run("SIADD", self._key, *posts))

    def latest(self, before: int = 0) -> list[int]:
        """A page of the newest posts, or of those older than ``before``. However much has come in
        since the page before, none is repeated or missed."""
        found: Any = self._run("SIREVRANGE", self._key, 0, PAGE, "CURSOR", before)
        return [int(post) for post in found]

    def pages(self) -> Iterator[list[int]]:
        """All, from the newest on."""
        page = self.latest()
        while page:
            yield page
            page = self.latest(before=page[-1])

    def since(self, post: int) -> list[int]:
        """What is new after ``post``, the oldest first."""
        found: Any = self._run("SIRANGEBYVALUE", self._key, f"({post}", "+inf")
        return [int(one) for one in found]

    def trim(self) -> int:
        """Forget all but the newest; how many were forgotten."""
        size = int(self._run("SICARD", self._key))
        if size <= KEPT:
            return 0
        oldest: Any = self._run("SIRANGE", self._key, 0, size - KEPT)
        return int(self._run("SIREM", self._key, *oldest))


def main() -> None:
    with running_server() as port, redis.Redis(port=port, decode_responses=True) as client:
        timeline = Timeline(client, "alice")
        posts = [1_000_000 + 7 * number for number in range(600)]
        assert timeline.add(*posts) == 600
        assert timeline.add(posts[-1]) == 0

        newest = timeline.latest()
        assert newest == posts[: -PAGE - 1 : -1]
        print("newest:", *newest[:3], "…")

        timeline.add(2_000_000, 2_000_007)  # while a reader is at the first page
        older = timeline.latest(before=newest[-1])
        assert older == posts[-PAGE - 1 : -2 * PAGE - 1 : -1]
        print("then:  ", *older[:3], "…")
        print("new since:", *timeline.since(newest[0]))

        print("forgotten:", timeline.trim())
        read = [post for page in timeline.pages() for post in page]
        assert read == sorted({*posts, 2_000_000, 2_000_007}, reverse=True)[:KEPT]
        print(client.type("timeline:alice"), "of", len(read))


if __name__ == "__main__":
    main()
