"""SAVE and BGSAVE: what is in memory goes to data files, and the log to disk.

Nothing depends on it for durability, the log has every write; but afterwards a restart has no log
to replay. Knows the engine, no commands.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tendis_py.errors import StorageError
from tendis_py.log import NOTICE
from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.storage.engine import Engine

log = logging.getLogger(__name__)


class Saving:
    """``changes`` tells how many keys have been changed since the start. Thread-safe: at most one
    save runs at a time."""

    def __init__(
        self, engine: Engine, changes: Callable[[], int], clock: Clock = REAL_CLOCK
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._changes = changes
        self._running = threading.Lock()
        self._background: threading.Thread | None = None
        self._changes_saved = 0
        self._started = 0.0
        self.saves = 0
        self.last_time = self._clock.now_seconds()
        """Unix time of the last successful save, or of the start of the server."""
        self.last_background_seconds = -1
        self.last_background_ok = True

    @property
    def in_background(self) -> bool:
        return self._background is not None

    @property
    def background_seconds(self) -> int:
        """For how long the background save has been running; -1 when there is none."""
        return int(self._clock.monotonic() - self._started) if self.in_background else -1

    @property
    def unsaved_changes(self) -> int:
        return self._changes() - self._changes_saved

    def save(self) -> bool:
        """Save now; blocks, off the GIL. False when a save is running already. StorageError when
        it fails."""
        if not self._running.acquire(blocking=False):
            return False
        try:
            self._save()
        finally:
            self._running.release()
        return True

    def start(self) -> bool:
        """Save in a thread of its own. False when a save is running already."""
        if not self._running.acquire(blocking=False):
            return False
        self._started = self._clock.monotonic()
        self._background = threading.Thread(target=self._run, name="save")
        self._background.start()
        return True

    def finish(self) -> None:
        """Wait for the background save, if one is running; none may be started any more."""
        thread = self._background
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            self._save()
            self.last_background_ok = True
            log.log(NOTICE, "Background saving terminated with success")
        except StorageError as error:
            self.last_background_ok = False
            log.error("Background saving error: %s", error)
        finally:
            self.last_background_seconds = self.background_seconds
            self._background = None
            self._running.release()

    def _save(self) -> None:
        changes = self._changes()
        self._engine.flush()
        self._engine.sync()
        self._changes_saved = changes
        self.last_time = self._clock.now_seconds()
        self.saves += 1
