"""Commits of many rows: staged in slices, made true by one small write, then applied in slices.

A RocksDB write holds the GIL, for some µs a row: one of 100,000 rows would be a second in which
nobody is served. So a commit that large is written twice, and every write of it is short. First its
slices go to settings that nobody reads, each as one value. Then one small write, the *intent*, says
that they are true. Last they are applied, each in one write with its removal. After a crash
``finish`` applies what is left of a commit that has its intent, and forgets the others: one commit
stays all or nothing. To others it is one, too: the writer holds its keys until all is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgpack

from tendis_py.errors import StorageError
from tendis_py.storage.engine import Engine, RowWrite

JOURNAL_SETTING = b"journal:"  # + number of the commit, number of the slice → its rows
INTENT_SETTING = b"intent:"  # + number of the commit: its slices are true

MOST_ROWS = 2048
"""Rows of one family that a commit writes at once: up to some 10 ms."""

SLICE_ROWS = 512
SLICE_BYTES = 1 << 18
"""With both, a slice is half a millisecond."""

_NUMBER_SIZE = 8
_SLICE_NUMBER_SIZE = 4

DeletedRange = tuple[int, bytes, bytes]
"""Column family, from, below."""


class Journal:
    """One commit, whose ``number`` no other one has had. StorageError from ``stage`` and
    ``make_true``: nothing is written once it is abandoned; from the others: the rest is applied
    when the folder is opened again."""

    __slots__ = ("_engine", "_intent", "_prefix", "_staged")

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        name = number.to_bytes(_NUMBER_SIZE, "big")
        self._prefix = JOURNAL_SETTING + name
        self._intent = INTENT_SETTING + name
        self._staged = 0

    def stage(self, rows: list[RowWrite], ranges: Sequence[DeletedRange]) -> None:
        """Note the next slice; its ``ranges`` are deleted before its rows are written."""
        slice_ = msgpack.packb((rows, ranges))
        self._engine.write((), [(self._slice_setting(self._staged), slice_)])
        self._staged += 1

    def make_true(self, settings: Iterable[tuple[bytes, bytes | None]]) -> None:
        """From now on all slices are as good as applied, and ``settings`` are."""
        self._engine.write((), [(self._intent, b""), *settings])

    def abandon(self) -> None:
        """Take back what was staged, as far as that can be written."""
        for number in range(self._staged):
            with suppress(StorageError):
                self._engine.write((), [(self._slice_setting(number), None)])

    def apply(self, number: int, rows: list[RowWrite], ranges: Sequence[DeletedRange]) -> None:
        """Write the rows of a slice, numbered from 0, that was staged with these."""
        self._engine.write(rows, [(self._slice_setting(number), None)], ranges)

    def close(self) -> None:
        """All slices are applied."""
        self._engine.write((), [(self._intent, None)])

    def _slice_setting(self, number: int) -> bytes:
        return self._prefix + number.to_bytes(_SLICE_NUMBER_SIZE, "big")


def short_writes(rows: list[RowWrite]) -> Iterator[list[RowWrite]]:
    """SLICE_ROWS at the most, cut so that no part has many bytes but one that is a single row."""
    if sum([len(key) + len(value or b"") for _, key, value in rows]) <= SLICE_BYTES:
        yield rows
        return
    part: list[RowWrite] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row[1]) + len(row[2] or b"")
        if size >= SLICE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def has_unfinished(engine: Engine) -> bool:
    """Whether a commit is true and not applied to its end."""
    return next(engine.settings(INTENT_SETTING), None) is not None


def finish(engine: Engine) -> int:
    """Apply what is left of commits that a crash has interrupted, and forget those that were not
    true yet; how many were finished."""
    intents = [key for key, _ in engine.settings(INTENT_SETTING)]
    true = {key.removeprefix(INTENT_SETTING) for key in intents}
    for key, slice_ in engine.settings(JOURNAL_SETTING):
        rows, ranges = (), ()
        if key[len(JOURNAL_SETTING) : -_SLICE_NUMBER_SIZE] in true:
            rows, ranges = msgpack.unpackb(slice_)
        engine.write(rows, [(key, None)], ranges)
    engine.write((), [(key, None) for key in intents])
    return len(intents)
