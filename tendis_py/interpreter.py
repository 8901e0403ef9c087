"""Process-wide settings of CPython, for a process that is nothing but a server.

Not used when the server is embedded: the interpreter is the host program's then.
"""

from __future__ import annotations

import gc
import sys

import trio

SWITCH_INTERVAL = 1e-4
"""A CPU-bound command on one thread costs another one's wake-up this much (default: 5 ms)."""

YOUNG_OBJECTS = 20_000
"""Containers whose collection takes at most one or two milliseconds."""

FREEZE_SECONDS = 1.0


def tune_interpreter() -> None:
    """Set what the stages were measured with. Call it once all modules are loaded."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 1000, 1000)


async def keep_collections_short() -> None:
    """Take what has survived out of the collector's sight, once a second: a million cached rows
    would cost every full collection 100 ms. Rows die by reference count all the same, and the
    server makes no reference cycles that outlive a connection. Runs until cancelled."""
    while True:
        await trio.sleep(FREEZE_SECONDS)
        gc.collect(0)
        gc.freeze()
