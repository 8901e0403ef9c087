"""What of a data folder can't be read: RocksDB's words for it, made fit for clients.

Knows RocksDB's messages, not RocksDB.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

from tendis_py.errors import UnreadableError

_FILE = re.compile(r"\d{6,}\.\w+")


class Unreadable:
    """What the engine of ``folder`` could not read. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._directory = f"{folder}/"
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def note(self, error: Exception) -> tuple[UnreadableError, str | None]:
        """What to raise for RocksDB's ``error``, and the file it is about if none before was."""
        text = " ".join(str(error).replace(self._directory, "").split())
        found = _FILE.search(text)
        file = found[0] if found else text
        with self._lock:
            known = file in self._known
            self._known.add(file)
        return UnreadableError(text), None if known else file
