"""Iterations that do not get stuck where much was deleted. Knows rocksdict's iterators, not rows.

RocksDB steps over deleted rows one by one until they are compacted away, 0.2 µs each, and rocksdict
holds the GIL while it does. So an iteration here skips MOST_SKIPPED rows at a time at the most.
What is more is a *gap*: its far side is found in steps that let other threads run, and it is
reported, so that it can be compacted away.

Where something can't be read, rocksdict's ``items`` and ``keys`` just end. Only an iterator that is
stepped by hand tells that from the end, so each iteration ends with a look by such a one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter_ns
from typing import Any, cast

from rocksdict import Rdict, RdictIter, ReadOptions

from tendis_py.errors import UnreadableError
from tendis_py.storage.reads import Reads

MOST_SKIPPED = 2048
"""Deleted rows in a row that an iteration skips with the GIL held: up to half a millisecond."""

MOST_AT_ONCE = 16
"""Rows that are read together, once as many were wanted: it would cost a third of the time to look
at the clock for each."""
SHORT = 1024
"""Bytes of a value of which as many may be read before they are wanted."""

_DIGITS = 8
_GROW, _SHRINK = 4, 8
"""A step over a gap is so many times as wide after one that met little, and so many times narrower
after one that met too much."""
_LITTLE_NS = 50_000
"""In that time RocksDB skips a few hundred rows."""

Bound = bytes | None
OnGap = Callable[[], None]
"""Called where a gap begins, before time is spent on it; may raise."""
Report = Callable[[bytes, Bound], None]
"""Called with a gap that was stepped over."""
Unreadable = Callable[[Exception], UnreadableError]
"""Called with RocksDB's error where something can't be read; what is to be raised."""


def nothing() -> None:
    """For whom a gap makes no difference."""


def iterate(
    column: Rdict,
    lower: bytes,
    upper: Bound,
    *,
    values: bool,
    reverse: bool,
    on_gap: OnGap,
    report: Report,
    unreadable: Unreadable,
    reads: Reads,
    fill_cache: bool = True,
) -> Iterator[Any]:
    """Rows, or their keys if not ``values``, with lower <= key < upper, in order or in ``reverse``;
    as they were when the first was asked for, those beyond a gap as when it was passed.
    ``fill_cache``: whether the block cache is to keep what is read. UnreadableError after the last
    one before what can't be read."""
    walk = column.items if values else column.keys
    while True:
        began, at_once = perf_counter_ns(), 1
        bound = upper  # RocksDB needs it, see _options
        options = _options(bound)
        cast(Any, options).fill_cache(fill_cache)  # rocksdict's types leave the argument out
        witness = column.iter(options)
        found: Any = walk(backwards=reverse, from_key=upper if reverse else lower, read_opt=options)
        last = None
        while some := list(islice(found, at_once)):
            reads.ns += perf_counter_ns() - began
            last = some[-1]
            if reverse:
                for one in some:
                    if (one[0] if values else one) < lower:
                        return
                    yield one
            else:
                yield from some
            is_long = values and len(last[1]) > SHORT
            at_once = 1 if is_long else min(2 * at_once, MOST_AT_ONCE)
            began = perf_counter_ns()
        if last is not None:
            last = last[0] if values else last
            lower, upper = (lower, last) if reverse else (last + b"\0", upper)
        try:
            if not _is_cut_short(witness, lower, upper, reverse=reverse):
                return
            on_gap()
            far = (_last_before if reverse else _first_from)(column, lower, upper)
        except _StatusError as status:
            raise unreadable(status) from None
        finally:
            reads.ns += perf_counter_ns() - began
        if reverse:
            report(lower if far is None else far, upper)
        else:
            report(lower, upper if far is None else far)
        if far is None:
            return
        lower, upper = (lower, far + b"\0") if reverse else (far, upper)


def _options(upper: Bound) -> ReadOptions:
    """Options for an iteration that ends below ``upper``, or at a gap.

    Two traps of rocksdict 0.3.29: RocksDB keeps a pointer into ``upper`` and rocksdict no
    reference, so the caller must hold on to this very object while it iterates; and
    ``set_iterate_lower_bound`` sets the upper bound, so that end is up to the caller, too.
    """
    options = ReadOptions()
    if upper is not None:
        options.set_iterate_upper_bound(upper)
    options.set_max_skippable_internal_keys(MOST_SKIPPED)
    return options


def _seek(column: Rdict, lower: bytes, upper: Bound, *, reverse: bool = False) -> RdictIter:
    """An iterator at the first row from ``lower`` on, or the last one below ``upper``, if valid."""
    rows = column.iter(_options(upper))
    _place(rows, lower, upper, reverse)
    return rows


def _place(rows: RdictIter, lower: bytes, upper: Bound, reverse: bool) -> None:
    if not reverse:
        rows.seek(lower)
    elif upper is None:
        rows.seek_to_last()
    else:
        rows.seek_for_prev(upper)
        if rows.valid() and rows.key() == upper:
            rows.prev()


class _StatusError(Exception):
    """What RocksDB says of an iterator that is neither at the end nor at a gap."""


def _met_gap(rows: RdictIter) -> bool:
    """Whether an iterator that is not valid is not at the end."""
    try:
        rows.status()
    except Exception as error:
        if "Too many internal keys" in str(error):
            return True
        raise _StatusError(str(error)) from None
    return False


def _is_cut_short(witness: RdictIter, lower: bytes, upper: Bound, *, reverse: bool) -> bool:
    """Whether an iteration that has nothing more to say has met a gap there: ``items`` and ``keys``
    just end. ``witness`` sees what it saw."""
    _place(witness, lower, upper, reverse)
    if not witness.valid():
        return _met_gap(witness)
    return not reverse or witness.key() >= lower


class _Span:
    """The places from ``lower`` to ``upper``, as numbers of ``size`` digits of a byte each, and how
    wide a ``step`` across them may be: keys crowd in some of them, and most are empty."""

    def __init__(self, lower: bytes, upper: Bound) -> None:
        self.size = max(len(lower), len(upper or b"")) + _DIGITS
        self.low = _number(lower, self.size)
        self.high = 256**self.size if upper is None else _number(upper, self.size)
        self.step = self._crowded = self.high - self.low

    def worked(self, took: int) -> None:
        """The last step was not too wide, and took so many ns."""
        if took < _LITTLE_NS:
            self.step *= _GROW
        else:
            self._crowded = self.step

    def shrink(self) -> None:
        """The last step was too wide: go back to the width that was right where keys crowd."""
        if self.step <= self._crowded:
            self._crowded = self.step // _SHRINK
        self.step = self._crowded
        if not self.step:  # even neighbours have a gap between them
            self.size += _DIGITS
            self.low <<= 8 * _DIGITS
            self.high <<= 8 * _DIGITS
            self.step = self._crowded = 256**_DIGITS // _SHRINK

    def bytes(self, place: int) -> bytes:
        return place.to_bytes(self.size, "big")


def _number(key: bytes, size: int) -> int:
    return int.from_bytes(key.ljust(size, b"\0"), "big")


def _first_from(column: Rdict, lower: bytes, upper: Bound) -> bytes | None:
    """The first key of lower <= key < upper, by steps narrow enough not to skip too much."""
    span = _Span(lower, upper)
    while True:
        until = span.low + span.step
        bound = upper if until >= span.high else span.bytes(until)
        started = perf_counter_ns()
        rows = _seek(column, lower, bound)
        if rows.valid():
            key: bytes = rows.key()
            return key
        if _met_gap(rows):
            span.shrink()
            continue
        if bound is upper:
            return None
        span.worked(perf_counter_ns() - started)
        span.low, lower = until, span.bytes(until)


def _last_before(column: Rdict, lower: bytes, upper: Bound) -> bytes | None:
    """The last key of lower <= key < upper. Each step looks forward, since an iterator that goes
    backwards can't be bounded, and is nearer to ``lower``."""
    span = _Span(lower, upper)
    while True:
        begin = span.high - span.step
        bound = lower if begin <= span.low else span.bytes(begin)
        started = perf_counter_ns()
        rows = _seek(column, bound, upper)
        if rows.valid():  # the last one is among these
            rows = _seek(column, bound, upper, reverse=True)
            if rows.valid():
                key: bytes = rows.key()
                return key
        if _met_gap(rows):
            span.shrink()
            continue
        if bound is lower:
            return None
        span.worked(perf_counter_ns() - started)
        span.high, upper = begin, bound
