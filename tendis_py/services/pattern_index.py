"""Which of thousands of patterns match a channel, without asking each.

A pattern is filed under the bytes that all its matches begin with, or end with, whichever are more.
A channel then meets only patterns whose bytes it has: one look-up for each length there is.
Not thread-safe. Knows no sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from tendis_py.glob import compile_glob, literal_prefix

_SPECIAL = frozenset(b"?[]\\")

Matches = Callable[[bytes], bool]


class _Shelf:
    """Patterns by bytes that they ask for at one end of a channel."""

    __slots__ = ("cut", "filed", "lengths")

    def __init__(self, cut: Callable[[bytes, int], bytes]) -> None:
        self.cut = cut
        """A channel and a length → so many bytes of its end."""
        self.filed: dict[bytes, dict[bytes, Matches]] = {}
        self.lengths: Counter[int] = Counter()
        """Of the bytes that patterns are filed under: how many there are of each length."""

    def add(self, literal: bytes, pattern: bytes, matches: Matches) -> None:
        filed = self.filed.get(literal)
        if filed is None:
            filed = self.filed[literal] = {}
            self.lengths[len(literal)] += 1
        filed[pattern] = matches

    def remove(self, literal: bytes, pattern: bytes) -> None:
        filed = self.filed[literal]
        del filed[pattern]
        if not filed:
            del self.filed[literal]
            self.lengths[len(literal)] -= 1
            if not self.lengths[len(literal)]:
                del self.lengths[len(literal)]

    def matching(self, channel: bytes) -> Iterator[bytes]:
        longest = len(channel)
        for length in self.lengths:
            if length <= longest:
                filed = self.filed.get(self.cut(channel, length))
                if filed is not None:
                    yield from (pattern for pattern, matches in filed.items() if matches(channel))


class PatternIndex:
    __slots__ = ("_by_beginning", "_by_end")

    def __init__(self) -> None:
        self._by_beginning = _Shelf(lambda channel, length: channel[:length])
        self._by_end = _Shelf(lambda channel, length: channel[len(channel) - length :])

    def add(self, pattern: bytes, matches: Matches) -> None:
        """Take in a pattern that is not here; ``matches`` is what ``channel_glob`` makes of it."""
        shelf, literal = self._place(pattern)
        shelf.add(literal, pattern, matches)

    def remove(self, pattern: bytes) -> None:
        shelf, literal = self._place(pattern)
        shelf.remove(literal, pattern)

    def matching(self, channel: bytes) -> list[bytes]:
        """The patterns that match ``channel``."""
        return [*self._by_beginning.matching(channel), *self._by_end.matching(channel)]

    def _place(self, pattern: bytes) -> tuple[_Shelf, bytes]:
        beginning, end = literal_prefix(pattern), literal_suffix(pattern)
        if len(end) > len(beginning):
            return self._by_end, end
        return self._by_beginning, beginning


def channel_glob(pattern: bytes) -> Matches:
    """As ``compile_glob``, but ``*`` does not match the channel whose name is empty."""
    return bool if pattern == b"*" else compile_glob(pattern)


def literal_suffix(pattern: bytes) -> bytes:
    """Bytes with which every match of ``pattern`` ends: what is behind its last star, unless
    something there, or a class before, makes that hard to tell."""
    before, star, end = pattern.rpartition(b"*")
    if not star or b"[" in before or not _SPECIAL.isdisjoint(end):
        return b""
    return end
