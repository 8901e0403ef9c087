"""Sorted sets as RDB has them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

from tendis_py.numbers import format_double
from tendis_py.rdb import formats, listpack, sink
from tendis_py.rdb.distinct import Known
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.older import ziplist
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import CollectionRow, Row
from tendis_py.storage.database import Database
from tendis_py.types.collection import admitted
from tendis_py.types.zset import members as zsets
from tendis_py.types.zset.forms import Pair

READS = frozenset({formats.ZSET, formats.ZSET_2, formats.ZSET_ZIPLIST, formats.ZSET_LISTPACK})
_NAN, _PLUS, _MINUS = 253, 254, 255
"""In place of the length of a score's text."""
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf)", re.IGNORECASE)


def write(db: Database, row: Row) -> Iterator[bytes]:
    """A small one as the listpack it would be in Redis; a large one from its end, as there."""
    assert isinstance(row, CollectionRow)
    if row.version:
        yield bytes([formats.ZSET_2]) + sink.length(row.count)
        for member, score in zsets.items(db, row, reverse=True):
            yield sink.string(member) + sink.double(score)
        return
    pairs = zsets.items(db, row)
    packed = listpack.pack([part for one, score in pairs for part in (one, format_double(score))])
    yield bytes([formats.ZSET_LISTPACK]) + sink.length(len(packed)) + packed


def read(db: Database, source: Source, form: int) -> Row:
    packed = form in (formats.ZSET_ZIPLIST, formats.ZSET_LISTPACK)
    if packed:
        inner = source.inner()
        found = listpack.texts(inner) if form == formats.ZSET_LISTPACK else ziplist(inner)
        pairs = _paired(found)
    else:
        score = source.double if form == formats.ZSET_2 else lambda: _text_score(source)
        pairs = ((source.string(), score()) for _ in range(source.length()))
    known = Known()
    try:
        return _row(db, _checked(pairs, known), math.inf if packed else None)
    finally:
        known.clear()


def _row(db: Database, pairs: Iterator[Pair], longest: float | None) -> Row:
    """``longest``: up to which length of members a small one is small, if not what the
    configuration says."""
    limits = db.limits
    if longest is None:
        longest = limits.zset_max_listpack_value
    first = list(islice(pairs, limits.zset_max_listpack_entries + 1))
    if not first:
        raise CorruptError("empty")
    few = len(first) <= limits.zset_max_listpack_entries
    if few and max(len(member) for _, member in first) <= longest:
        return zsets.small_row(first)
    return zsets.large_row(db, admitted(db, chain(first, pairs)))


def _checked(pairs: Iterable[tuple[bytes, float]], known: Known) -> Iterator[Pair]:
    for member, score in pairs:
        if score != score:
            raise CorruptError("zset: a score that is no number")
        known.add(member)
        yield score, member


def _paired(found: Iterator[bytes]) -> Iterator[tuple[bytes, float]]:
    for member in found:
        score = next(found, None)
        if score is None or not _NUMBER.fullmatch(score):
            raise CorruptError("zset: a score")
        yield member, float(score)


def _text_score(source: Source) -> float:
    size = source.byte()
    if size >= _NAN:
        return {_NAN: math.nan, _PLUS: math.inf, _MINUS: -math.inf}[size]
    text = source.read(size)
    if not _NUMBER.fullmatch(text):
        raise CorruptError("zset: a score")
    return float(text)
