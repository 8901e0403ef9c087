"""Bit fields: integers of 1 to 64 bits at any bit of a string, high bits first. No RESP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tendis_py.storage.database import Database
from tendis_py.types.string.fragments import Draft, read
from tendis_py.types.string.values import checked

GET, SET, INCRBY = b"GET", b"SET", b"INCRBY"
WRAP, SAT, FAIL = b"WRAP", b"SAT", b"FAIL"


@dataclass(frozen=True, slots=True)
class Format:
    """A signed integer of 1 to 64 bits, or an unsigned one of 1 to 63."""

    signed: bool
    bits: int

    @property
    def low(self) -> int:
        return -1 << self.bits - 1 if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << self.bits - self.signed) - 1

    def wrapped(self, value: int) -> int:
        """What is left of ``value`` in that many bits."""
        value &= (1 << self.bits) - 1
        return value - (1 << self.bits) if value > self.high else value


@dataclass(frozen=True, slots=True)
class Step:
    """One GET, SET or INCRBY at bit ``offset``; ``overflow`` is WRAP, SAT or FAIL."""

    operation: bytes
    format: Format
    offset: int
    value: int = 0
    overflow: bytes = WRAP

    @property
    def end(self) -> int:
        """How many bytes the string needs for it."""
        return (self.offset + self.format.bits + 7) >> 3


Read = Callable[[int, int], bytes]
"""(from, to before) → these bytes of the string; those beyond its end may be missing."""


def look(db: Database, key: bytes, steps: Sequence[Step]) -> list[int]:
    """The values that ``steps``, all of them GETs, find."""
    db.tx.admit(len(steps))
    row = checked(db.find(key))
    if row is None:
        return [0] * len(steps)
    return [_load(step, lambda start, stop: read(db, row, start, stop)) for step in steps]


def run(db: Database, key: bytes, steps: Sequence[Step]) -> list[int | None]:
    """Take the steps in order. The string grows to where the furthest one writes, even if that
    step fails."""
    db.tx.admit(len(steps))
    draft = Draft(db, key, checked(db.peek(key)))
    size = draft.size
    draft.grow(max(step.end for step in steps if step.operation != GET))
    grows = draft.size > size
    results: list[int | None] = []
    edits = 0
    for step in steps:
        before = _load(step, draft.read)
        value = before if step.operation == GET else _changed(step, before)
        if step.operation != GET and value is not None and (grows or value != before):
            _store(step, draft, value)
            edits += 1
        results.append(before if step.operation == SET and value is not None else value)
    draft.save(edits)
    return results


def _changed(step: Step, before: int) -> int | None:
    """The field's new value; None when it does not fit and the step is to fail then."""
    form = step.format
    value = step.value if step.operation == SET else before + step.value
    if form.low <= value <= form.high:
        return value
    if step.overflow == FAIL:
        return None
    if step.overflow == WRAP:
        return form.wrapped(value)
    # Redis takes a negative number for an unsigned field as a very large one, and so it does where
    # a SET is so far below the signed field's range that the distance is more than 63 bits.
    far_below = form.high - value >= 1 << 63 or not form.signed
    if value > form.high or (step.operation == SET and far_below):
        return form.high
    return form.low


def _place(step: Step) -> tuple[int, int, int]:
    """The first byte of a field, the one after its last, and how many bits follow it there."""
    return step.offset >> 3, step.end, step.end * 8 - step.offset - step.format.bits


def _load(step: Step, read_bytes: Read) -> int:
    start, stop, shift = _place(step)
    found = read_bytes(start, stop).ljust(stop - start, b"\0")
    return step.format.wrapped(int.from_bytes(found) >> shift)


def _store(step: Step, draft: Draft, value: int) -> None:
    start, stop, shift = _place(step)
    mask = (1 << step.format.bits) - 1
    found = int.from_bytes(draft.read(start, stop)) & ~(mask << shift)
    draft.write(start, (found | (value & mask) << shift).to_bytes(stop - start))
