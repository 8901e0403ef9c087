"""The file that names the process, for those who supervise it. Imports nothing of the package."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class PidFile:
    """``path`` may be empty: then there is none.

    Written and removed while the data folder and the port are ours: a server that can't start does
    not take away the file of the one that runs.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._content = f"{os.getpid()}\n".encode()
        self._written = False

    def write(self) -> None:
        """Put the process id there; as in Redis, a server runs without it where that can't be."""
        if self._path is None:
            return
        try:
            self._path.write_bytes(self._content)
        except OSError as error:
            log.warning("Failed to write PID file: %s", error.strerror)
        else:
            self._written = True

    def remove(self) -> None:
        """Take it away, unless it is another server's by now."""
        if self._path is None or not self._written:
            return
        with contextlib.suppress(OSError):
            if self._path.read_bytes() == self._content:
                self._path.unlink()
