"""Counting: strings that spell a number. Values in, values out; no RESP, no RocksDB."""

from __future__ import annotations

from itertools import compress

from tendis_py.errors import NOT_FINITE, NOT_FLOAT, NOT_INTEGER, OVERFLOW, ReplyError
from tendis_py.numbers import INT64_MAX, INT64_MIN, strict_integer
from tendis_py.storage.codec import TEXT, StringRow
from tendis_py.storage.database import Database
from tendis_py.types import long_double
from tendis_py.types.string.values import checked

_digits = b"%d".__mod__


def increment(db: Database, key: bytes, by: int) -> int:
    """Add to the integer that the string spells, 0 where there is none; the sum."""
    old = db.peek(key)
    if old is None:
        db.put(key, StringRow(b"%d" % by), None)
        return by
    if type(old) is not StringRow:
        checked(old)
        raise ReplyError(NOT_INTEGER)
    number = strict_integer(old.value)
    if number is None:
        raise ReplyError(NOT_INTEGER)
    number += by
    if not INT64_MIN <= number <= INT64_MAX:
        raise ReplyError(OVERFLOW)
    db.put(key, StringRow(b"%d" % number, old.expire_at), old)
    return number


def increment_run(db: Database, keys: list[bytes]) -> list[int]:
    """``increment`` by one, many; an error when any of them fails."""
    counted = list(dict.fromkeys(keys))
    places, found = db.find_texts(counted)
    texts = list(filter(None, found))
    new: list[bytes] = []
    if len(texts) < len(found):
        new = [place for place, text in zip(places, found, strict=True) if text == b""]
        texts = [text or b"0" for text in found if text is not None]
        held = [text is not None for text in found]
        counted, places = list(compress(counted, held)), list(compress(places, held))
    numbers = list(map(int, texts))
    if not _are_counts(texts) and list(map(_digits, numbers)) != texts:
        raise ReplyError(NOT_INTEGER)
    edits = len(keys)
    if len(counted) == edits:
        sums = added = [number + 1 for number in numbers]
    else:
        added = []
        counts = dict(zip(counted, numbers, strict=True))
        for key in keys:
            number = counts.get(key)
            if number is None:
                added.append(increment(db, key, 1))
                edits -= 1
            else:
                counts[key] = number = number + 1
                added.append(number)
        sums = list(counts.values())
    if max(added) > INT64_MAX or min(numbers, default=0) < INT64_MIN:
        raise ReplyError(OVERFLOW)
    db.put_texts(places, list(map(_digits, sums)), new, edits)
    return added


def _are_counts(texts: list[bytes]) -> bool:
    """Whether all are positive integers as INCR writes them: a quick look that most strings of
    INCR pass."""
    return b"".join(texts).isdigit() and min(texts) >= b"1"


def increment_real(db: Database, key: bytes, by: bytes) -> bytes:
    """Add to the number that the string spells, 0 where there is none; the sum as it is stored.

    ``by`` is text, since the sum is that of two long doubles.
    """
    old = checked(db.peek(key))
    if old is not None and old.version:
        raise ReplyError(NOT_FLOAT)
    number = long_double.parse(b"0" if old is None else old.value)
    addend = long_double.parse(by)
    if number is None or addend is None:
        raise ReplyError(NOT_FLOAT)
    number += addend
    if number.infinite:
        raise ReplyError(NOT_FINITE)
    text = bytes(number)
    db.put(key, StringRow(text, 0 if old is None else old.expire_at, TEXT), old)
    return text
