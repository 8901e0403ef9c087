"""What is told to who watches: a snapshot a second, made once for all, and the minutes before.

Knows nobody's socket. Runs in the dashboard's thread; all its methods are called there.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import deque
from collections.abc import Iterator
from typing import Any

import trio

from tendis_py.http.snapshot import moment_of, snapshot_of
from tendis_py.services import Services
from tendis_py.services.doctor import diagnose, shares
from tendis_py.services.observation import WINDOWS

log = logging.getLogger(__name__)

MAX_WATCHERS = 64
SECONDS = 1.0
HISTORY_SECONDS = 2.0
"""Between two points of the history; between two looks, too, while nobody watches."""
HISTORY_POINTS = 150


class TooManyWatchersError(Exception):
    """There are MAX_WATCHERS."""


class Feed:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._watchers = 0
        self._history: deque[dict[str, Any]] = deque(maxlen=HISTORY_POINTS)
        self._event = b""
        self._next = trio.Event()
        self._arrival = trio.Event()
        self._failure = ""
        self.number = 0
        """Of the latest snapshot."""

    async def run(self) -> None:
        """Until cancelled."""
        remembered = -HISTORY_SECONDS
        while True:
            began = trio.current_time()
            remembers = began - remembered > HISTORY_SECONDS - SECONDS / 2
            if remembers:
                remembered = began
            self._look(remembers)
            with trio.move_on_at(began + HISTORY_SECONDS):
                if not self._watchers:
                    await self._arrival.wait()
            await trio.sleep_until(began + SECONDS)

    def _look(self, remembers: bool) -> None:
        try:
            observation = self._services.observatory.now()
            snapshot = snapshot_of(
                observation, diagnose(observation), shares(observation), self._services
            )
            if remembers:
                snapshot["moment"] = moment_of(observation, WINDOWS[0])
            event = _event("snapshot", snapshot)
        except Exception as error:
            if repr(error) != self._failure:
                self._failure = repr(error)
                log.exception("the dashboard has nothing to show")
            event = _event("trouble", {})
        else:
            self._failure = ""
            if remembers:
                self._history.append(snapshot["moment"])
        self._event = event
        self.number += 1
        self._next.set()
        self._next = trio.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """For a block, its caller is one of those who watch. TooManyWatchersError."""
        if self._watchers >= MAX_WATCHERS:
            raise TooManyWatchersError
        self._watchers += 1
        self._arrival.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._arrival = trio.Event()

    def beginning(self) -> bytes:
        """The history and the latest snapshot."""
        return b"retry: 3000\n" + _event("history", list(self._history)) + self._event

    async def after(self, number: int) -> tuple[int, bytes]:
        """The latest snapshot and its number, once there is one after ``number``."""
        while self.number <= number:
            await self._next.wait()
        return self.number, self._event


def _event(name: str, content: Any) -> bytes:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {text}\n\n".encode()
