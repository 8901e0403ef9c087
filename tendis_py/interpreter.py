"""Process-wide settings of CPython, for a process that is nothing but a server.

Not used when the server is embedded: the interpreter is the host program's then.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

import trio

from tendis_py.pieces import BLOCK_BYTES

SWITCH_INTERVAL = 1e-4
"""A CPU-bound command on one thread costs another one's wake-up this much (default: 5 ms)."""

YOUNG_OBJECTS = 20_000
"""Containers whose collection takes at most one or two milliseconds."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of glibc's malloc.h."""
_TRIM_BYTES = 16 * 1024 * 1024
"""What may be free at the end of the heap before it is given back: this takes a millisecond."""

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
    _keep_blocks_apart()


def _keep_blocks_apart() -> None:
    """Have the C library take large blocks from the system one by one. By default it stops doing so
    once it has seen some freed, and then gives back hundreds of megabytes at once, at 0.07 ms each
    with the GIL held. Not every library can be told."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_M_MMAP_THRESHOLD, BLOCK_BYTES)
        option(_M_TRIM_THRESHOLD, _TRIM_BYTES)


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
