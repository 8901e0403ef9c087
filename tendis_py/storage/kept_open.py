"""What keeps the folder open for those who use it without a claim on keys. Knows no RocksDB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_SECONDS = 0.1
"""For so long the users at hand are waited for: an iteration over everything is not."""


class KeptOpen:
    """``with kept_open:`` for a user: there may be any number, one thread may be several, and none
    waits for another. Thread-safe."""

    __slots__ = ("_condition", "_users")

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._users = 0

    def __enter__(self) -> None:
        with self._condition:
            self._users += 1

    def __exit__(self, *exception: object) -> None:
        with self._condition:
            self._users -= 1
            if not self._users:
                self._condition.notify_all()

    @contextmanager
    def if_open(self) -> Iterator[bool]:
        """As for a user that would rather do without than wait; whether it is one."""
        if not self._condition.acquire(blocking=False):
            yield False
            return
        try:
            self._users += 1
        finally:
            self._condition.release()
        try:
            yield True
        finally:
            self.__exit__()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether there is no user (but this thread, from here on); then others wait until the
        block ends."""
        with self._condition:
            yield self._condition.wait_for(lambda: not self._users, PATIENCE_SECONDS)
