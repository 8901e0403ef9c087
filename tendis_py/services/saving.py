"""SAVE, BGSAVE and BGREWRITEAOF: what is in memory goes to data files, and the log to disk.

Nothing depends on it for durability, the log has every write; but afterwards a restart has no log
to replay. To save and to rewrite the log are the same here, only told apart for who asked. Knows
the engine, no commands.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum

from tendis_py.errors import StorageError
from tendis_py.log import NOTICE
from tendis_py.services.clock import REAL_CLOCK, Clock
from tendis_py.storage.engine import Engine

log = logging.getLogger(__name__)


class Work(Enum):
    """What is asked for, as the log calls it."""

    SAVE = "saving"
    REWRITE = "AOF rewrite"


class Start(Enum):
    """What became of the wish to begin some work in the background."""

    STARTED = "started"
    SCHEDULED = "scheduled"
    """It follows the other work that is under way."""
    RUNNING = "running"
    """The same is under way already."""
    BUSY = "busy"
    """Other work is under way."""


class BackgroundFigures:
    """Of one kind of work: how often it succeeded, how often it failed since then, and what the
    last attempt in the background was like (-1 s: there was none)."""

    def __init__(self) -> None:
        self.done = 0
        self.failures = 0
        self.last_ok = True
        self.last_seconds = -1


class Saving:
    """``changes`` tells how many keys have been changed since the start. Thread-safe: at most one
    work runs at a time."""

    def __init__(
        self, engine: Engine, changes: Callable[[], int], clock: Clock = REAL_CLOCK
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._changes = changes
        self._state = threading.Lock()
        self._working: Work | None = None
        self._next: Work | None = None
        self._background: threading.Thread | None = None
        self._changes_saved = 0
        self._started = 0.0
        self.figures = {work: BackgroundFigures() for work in Work}
        self.log_base = engine.log_bytes()
        """Bytes of the log when it was last begun anew, or at the start."""
        self.last_time = self._clock.now_seconds()
        """Unix time of the last successful save, or of the start of the server."""

    def in_background(self, work: Work) -> bool:
        return self._background is not None and self._working is work

    def scheduled(self, work: Work) -> bool:
        return self._next is work

    def background_seconds(self, work: Work) -> int:
        """For how long it has been running in the background; -1 when it is not."""
        return int(self._clock.monotonic() - self._started) if self.in_background(work) else -1

    @property
    def unsaved_changes(self) -> int:
        return self._changes() - self._changes_saved

    def save(self) -> bool:
        """Save now; blocks, off the GIL. False when a save is running already. StorageError when
        it fails."""
        while True:
            with self._state:
                if self._working is None:
                    self._working = Work.SAVE
                    break
                if self._working is Work.SAVE:
                    return False
                rewrite = self._background
            if rewrite is not None:
                rewrite.join()
        try:
            self._save(Work.SAVE)
        finally:
            with self._state:
                self._working = None
                if self._next is not None:
                    self._begin(self._next)
        return True

    def start(self, work: Work = Work.SAVE, *, schedule: bool = False) -> Start:
        """Begin ``work`` in a thread of its own, or, if ``schedule``, after what is running."""
        with self._state:
            if self._working is None:
                self._begin(work)
                return Start.STARTED
            if self._working is work:
                return Start.RUNNING
            if not schedule:
                return Start.BUSY
            self._next = work
            return Start.SCHEDULED

    def reset(self) -> None:
        """Count from zero again (CONFIG RESETSTAT)."""
        for figures in self.figures.values():
            figures.done = figures.failures = 0

    def finish(self) -> None:
        """Wait for the work in the background, if there is any; what is scheduled is dropped."""
        with self._state:
            self._next = None
            thread = self._background
        if thread is not None:
            thread.join()

    def _begin(self, work: Work) -> None:
        """Under ``_state``."""
        self._next = None
        self._working = work
        self._started = self._clock.monotonic()
        self._background = threading.Thread(target=self._run, args=(work,), name="save")
        self._background.start()

    def _run(self, work: Work) -> None:
        figures = self.figures[work]
        try:
            self._save(work)
            figures.last_ok = True
            log.log(NOTICE, "Background %s terminated with success", work.value)
        except StorageError as error:
            figures.last_ok = False
            figures.failures += 1
            log.error("Background %s error: %s", work.value, error)
        finally:
            with self._state:
                figures.last_seconds = self.background_seconds(work)
                self._background = self._working = None
                if self._next is not None:
                    self._begin(self._next)

    def _save(self, work: Work) -> None:
        changes = self._changes()
        self._engine.flush()
        self._engine.note_files()
        self.log_base = self._engine.log_bytes()
        figures = self.figures[work]
        figures.done += 1
        figures.failures = 0
        if work is Work.SAVE:
            self._changes_saved = changes
            self.last_time = self._clock.now_seconds()
