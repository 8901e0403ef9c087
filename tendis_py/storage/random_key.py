"""A random row of an ordered key space, without a count or a scan. Knows bytes, not rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from tendis_py.storage.codec import upper_bound
from tendis_py.storage.engine import Engine
from tendis_py.storage.gaps import OnGap, nothing


def random_key(engine: Engine, family: int, prefix: bytes, on_gap: OnGap = nothing) -> bytes | None:
    """Some key of ``family`` that begins with ``prefix``; None when there is none.

    Goes down the keys as down a trie: where they part, a byte between the least and the greatest
    that stand there is drawn, and the next key from it on says where to go. Every key can come
    up; a key of a small family (``z:1`` beside a million ``user:…``) more often than its share.
    ``on_gap``: see gaps.py.

    Three seeks of 4–5 µs each time that keys part, so about 120 µs among a million.
    """

    def keys(lower: bytes, upper: bytes | None, *, reverse: bool = False) -> Iterator[bytes]:
        return engine.keys(family, lower, upper, reverse=reverse, on_gap=on_gap)

    while True:
        upper = upper_bound(prefix)
        begin = list(islice(keys(prefix, upper), 2))
        if len(begin) < 2:
            return begin[0] if begin else None
        first, second = begin
        last = next(keys(prefix, upper, reverse=True), second)
        at = _parting(first, last)
        if at == len(first):  # first ends where the others go on: one more way to go
            least = second[at]
            drawn = random.randint(least - 1, last[at])
            if drawn < least:
                return first
        else:
            drawn = random.randint(first[at], last[at])
        found = next(keys(first[:at] + bytes([drawn]), upper), last)
        prefix = found[: at + 1]


def _parting(first: bytes, last: bytes) -> int:
    """The position at which two keys in order, not the same, begin to differ."""
    for at, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return at
    return len(first)
