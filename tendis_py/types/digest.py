"""DEBUG DIGEST: what stands for a value, or for all data, equal where Redis' is.

As in Redis' debug.c, of SHA-1s: where order matters what came so far is mixed with the next part
(``_mix``), where it does not parts are added by exclusive or. Digests are integers here, which
Python adds faster than bytes. Sorted integers, which Redis lacks, count as a set with a type of
their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha1

from tendis_py.storage.codec import (
    HASH,
    LIST,
    SET,
    SORTEDINT,
    STREAM,
    STRING,
    ZSET,
    CollectionRow,
    Row,
    decode,
)
from tendis_py.storage.database import Database
from tendis_py.types import sorted_integers
from tendis_py.types.hash import values as hashes
from tendis_py.types.list import elements as lists
from tendis_py.types.set import members as sets
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import ids
from tendis_py.types.string import fragments
from tendis_py.types.zset import members as zsets

FormatScore = Callable[[float], bytes]

_SIZE = 20


def _sha1(data: bytes) -> int:
    return int.from_bytes(sha1(data, usedforsecurity=False).digest(), "big")


def _mix(digest: int, hashed: int) -> int:
    """``digest``, and after it what ``hashed`` is of."""
    return _sha1((digest ^ hashed).to_bytes(_SIZE, "big"))


def _in_order(digest: int, parts: Iterable[bytes]) -> int:
    for part in parts:
        digest = _mix(digest, _sha1(part))
    return digest


def _together(parts: Iterable[int]) -> int:
    digest = 0
    for part in parts:
        digest ^= part
    return digest


_TYPES = {
    type_: _sha1(number.to_bytes(4, "big"))
    for type_, number in ((STRING, 0), (LIST, 1), (SET, 2), (ZSET, 3), (HASH, 4), (STREAM, 6))
}
_TYPES[SORTEDINT] = _sha1(b"sortedint")
_HAS_DEADLINE = _sha1(b"!!expire!!")
_FIELD_HAS_DEADLINE = _sha1(b"!!hexpire!!")


def of_value(db: Database, key: bytes, row: Row, format_score: FormatScore, digest: int = 0) -> int:
    """The digest of what ``key`` holds, whose row this is; ``digest`` is of what came before."""
    digest = _mix(digest, _TYPES[row.type])
    digest = _OF_TYPE[row.type](db, row, format_score, digest)
    return digest ^ _HAS_DEADLINE if row.expire_at else digest


def of_everything(databases: Iterable[Database], format_score: FormatScore) -> int:
    """The digest of all keys of all databases. Those that have keys count with their number.

    Of data that others write meanwhile it is of no moment: it needs no locks.
    """
    digest = 0
    for db in databases:
        if db.counts().keys:
            digest = _mix(digest, _sha1(db.index.to_bytes(4, "big")))
            for key, raw in db.rows():
                named = _mix(0, _sha1(key))
                digest ^= _sha1_of(of_value(db, key, decode(raw), format_score, named))
    return digest


def text(digest: int) -> str:
    """As Redis shows it."""
    return f"{digest:040x}"


def _sha1_of(digest: int) -> int:
    return _sha1(digest.to_bytes(_SIZE, "big"))


def _of_string(db: Database, row: Row, format_score: FormatScore, digest: int) -> int:
    whole = sha1(usedforsecurity=False)
    for part in fragments.in_order(db, row):
        whole.update(part)
    return _mix(digest, int.from_bytes(whole.digest(), "big"))


def _of_list(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    return _in_order(digest, lists.items(db, row))


def _of_set(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    return digest ^ _together(map(_sha1, sets.members(db, row)))


def _of_integers(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    found = sorted_integers.numbers(db, row)
    return digest ^ _together(_sha1(b"%d" % number) for number in found)


def _of_zset(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    pairs = zsets.items(db, row)
    return digest ^ _together(
        _sha1_of(_in_order(0, (member, format_score(score)))) for member, score in pairs
    )


def _of_hash(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    return digest ^ _together(
        _sha1_of(_in_order(0, (name, field.value)) ^ (_FIELD_HAS_DEADLINE if field.deadline else 0))
        for name, field in hashes.dated_items(db, row)
    )


def _of_stream(db: Database, row: CollectionRow, format_score: FormatScore, digest: int) -> int:
    return _in_order(digest, _parts(streams.Stream(db, b"", row)))


def _parts(stream: streams.Stream) -> Iterator[bytes]:
    for id_, fields in stream.range():
        yield b"%d.%d" % (ids.milliseconds(id_), ids.sequence(id_))
        yield from fields


_OF_TYPE: dict[int, Callable[..., int]] = {
    STRING: _of_string,
    LIST: _of_list,
    SET: _of_set,
    ZSET: _of_zset,
    HASH: _of_hash,
    STREAM: _of_stream,
    SORTEDINT: _of_integers,
}
