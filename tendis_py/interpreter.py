"""Process-wide settings of CPython, for a process that is nothing but a server.

Not used when the server is embedded: the interpreter is the host program's then.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import trio

SWITCH_INTERVAL = 1e-4
"""A CPU-bound command on one thread costs another one's wake-up this much (default: 5 ms)."""

YOUNG_OBJECTS = 20_000
"""Containers whose collection takes at most one or two milliseconds."""

FREEZE_SECONDS = 0.1
TICKS_BETWEEN_COLLECTIONS = 10
FEW_CHANGES = 2_000
"""Rows written since the last tick that a collection may look at in passing."""


def tune_interpreter() -> None:
    """Set what the stages were measured with. Call it once all modules are loaded."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 1000, 1000)


async def keep_collections_short(changes: Callable[[], int]) -> None:
    """Take what has survived out of the collector's sight, ten times a second. Runs until
    cancelled.

    A million cached rows would cost every full collection 100 ms, and a second's worth of
    overwritten ones a young collection 60 ms: CPython counts allocations less deallocations, so
    rows that replace others pile up unseen. Rows die by reference count all the same. ``changes``
    tells how many were written so far: where they were many, the collection before the freeze is
    left out but once a second, for the server makes no reference cycles under load.
    """
    before = ticks = 0
    while True:
        await trio.sleep(FREEZE_SECONDS)
        ticks += 1
        now = changes()
        if now - before <= FEW_CHANGES or ticks % TICKS_BETWEEN_COLLECTIONS == 0:
            gc.collect(0)
        before = now
        gc.freeze()
