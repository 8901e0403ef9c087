"""What one executing thread counts, as ``Traffic`` is what one reactor does.

Every thread has a record of its own and counts without a lock; ``stats`` adds them up. The counters
only ever grow.
"""

from __future__ import annotations

from typing import Protocol

from tendis_py.pieces import Text, parts_of
from tendis_py.services.histogram import Buckets, new_buckets
from tendis_py.storage.counters import KeyspaceCounters

MOST_CODES = 128
"""As in Redis, which counts none at all any more once there are more."""


class Named(Protocol):
    """A command, as far as figures know it: whatever has a name."""

    name: str


class CommandBuckets(dict[Named, Buckets]):
    """Command → histogram of its execution times, made when first needed."""

    def __missing__(self, command: Named) -> Buckets:
        buckets = self[command] = new_buckets()
        return buckets


class Counters(KeyspaceCounters):
    """``processed``: commands that ran, those of a transaction included. By command: ``buckets`` of
    the times it took, ``failures`` that it raised and ``rejections`` before it ran.
    ``error_replies``, and of those ``errors`` by code word, as far as MOST_CODES go: scripts make
    codes of their own. That is the one thing that is not kept from the start, but replaced by
    whoever resets it."""

    __slots__ = (
        "buckets",
        "error_replies",
        "errors",
        "failures",
        "processed",
        "rejections",
    )

    def __init__(self) -> None:
        super().__init__()
        self.processed = 0
        self.buckets = CommandBuckets()
        self.failures: dict[Named, int] = {}
        self.rejections: dict[Named, int] = {}
        self.error_replies = 0
        self.errors: dict[str, int] = {}

    def reject(self, command: Named | None, code: str, times: int = 1) -> None:
        """A request, of ``command`` if it named one, has been refused with an error of ``code``;
        or so many alike."""
        self._answer(code, times)
        if command is not None:
            self.rejections[command] = self.rejections.get(command, 0) + times

    def wait_in_vain(self, command: Named, payload: Text) -> None:
        """``command`` has waited, and was not served but answered ``payload``."""
        self.processed += 1
        self.buckets[command][0] += 1
        if parts_of(payload)[0].startswith(b"-"):
            self.fail(command, "UNBLOCKED")

    def fail(self, command: Named, code: str, *, is_told: bool = False) -> None:
        """``command`` has run and answered an error of ``code``; ``is_told``: one that a command
        has answered which it has run, so that it is counted."""
        if not is_told:
            self._answer(code)
        self.failures[command] = self.failures.get(command, 0) + 1

    def _answer(self, code: str, times: int = 1) -> None:
        self.error_replies += times
        errors = self.errors
        if code in errors or len(errors) <= MOST_CODES:
            errors[code] = errors.get(code, 0) + times
