"""One step of an iteration over the elements of a collection, for HSCAN, SSCAN and ZSCAN. Knows
neither which type they are of nor what a cursor is.

A small collection is returned whole, as Redis does. Of a large one a step looks at some rows in the
order of their elements, so that an element that stays throughout an iteration is returned once.
"""

from __future__ import annotations

from dataclasses import dataclass

from tendis_py.glob import compile_glob, literal_prefix
from tendis_py.storage.codec import CollectionRow, upper_bound
from tendis_py.storage.database import PAGE_BYTES, Database
from tendis_py.types.collection import elements
from tendis_py.types.keys import MAX_COUNT, separator


@dataclass(frozen=True, slots=True)
class Step:
    """What to look at: elements from ``start`` on, ``count`` of them or ``at_least`` so many, those
    that match the glob ``pattern``."""

    start: bytes
    count: int
    pattern: bytes | None = None
    at_least: int = 0

    def filter(self, found: list[bytes]) -> list[bytes]:
        """Those of a small collection's elements that are to be returned."""
        return found if self.pattern is None else list(filter(compile_glob(self.pattern), found))


def rows(
    db: Database, row: CollectionRow, step: Step
) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
    """(element, value) of a large collection's matching ROWS, and where to go on (None at the
    end). At most MAX_COUNT are looked at, and about PAGE_BYTES read, unless it is to be more."""
    prefix = b"" if step.pattern is None else literal_prefix(step.pattern)
    matches = None if step.pattern is None else compile_glob(step.pattern)
    found: list[tuple[bytes, bytes]] = []
    count = max(min(step.count, MAX_COUNT), step.at_least)
    read = 0
    last = b""
    db.tx.admit(step.at_least)
    items = elements(db, row).items(max(prefix, step.start), upper_bound(prefix))
    for looked_at, (element, value) in enumerate(items):
        if looked_at >= step.at_least and (looked_at == count or read > PAGE_BYTES):
            return found, separator(last, element)
        read += len(element) + len(value)
        last = element
        if matches is None or matches(element):
            found.append((element, value))
    return found, None
