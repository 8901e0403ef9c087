"""How long each thread has been reading from RocksDB: what its caches have not spared it."""

from __future__ import annotations

import threading


class Reads(threading.local):
    """``ns`` that the asking thread has spent so, since the start."""

    ns = 0
