"""Key specifications: where the keys stand in a command's arguments, as Redis describes it.

Knows arguments only by position. Which command they belong to, and what to answer when they make
no sense, is its caller's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tendis_py.numbers import strict_integer
from tendis_py.resp.requests import Request

KEY_FLAGS = (
    "RO",
    "RW",
    "OW",
    "RM",
    "access",
    "update",
    "insert",
    "delete",
    "not_key",
    "incomplete",
    "variable_flags",
)
"""In the order of COMMAND INFO."""


class NoKeysError(Exception):
    """The keys can't be told from these arguments: they are wrong, or no specification fits."""


@dataclass(frozen=True, slots=True)
class Keys:
    """One key specification.

    ``flags`` are Redis' words, ``"RW access update"``. ``first`` is the position of the first key;
    ``last`` its last position relative to ``first`` (0: one key), or, if negative, counted from
    the end (-1: the last argument); ``step`` leads from one key to the next. With ``limit`` N only
    the first N-th part of the arguments from ``first`` on are keys (XREAD: 2).

    With ``count`` the number of keys stands at that position, and the keys from ``first`` on. With
    ``keyword`` the first key follows that word, which is looked for from position ``first`` on
    (negative: from that far before the end, backwards). ``unknown``: no rule says where they are.
    ``notes`` is a remark of COMMAND INFO's.
    """

    flags: str
    first: int = 1
    last: int = 0
    step: int = 1
    limit: int = 0
    count: int | None = None
    keyword: str | None = None
    unknown: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        if wrong := set(self.flags.split()) - set(KEY_FLAGS):
            raise ValueError(f"unknown key flags {sorted(wrong)}")

    @property
    def words(self) -> tuple[str, ...]:
        """The flags in Redis' order."""
        given = self.flags.split()
        return tuple(word for word in KEY_FLAGS if word in given)

    @property
    def names_keys(self) -> bool:
        """Whether these are keys: not_key marks channels, which only share the slot of one."""
        return "not_key" not in self.words

    @property
    def complete(self) -> bool:
        """Whether the rule finds all the keys it is meant for."""
        return not self.unknown and "incomplete" not in self.words

    @property
    def is_range(self) -> bool:
        return self.count is None and self.keyword is None and not self.unknown

    @property
    def is_one_key(self) -> bool:
        return self.is_range and self.last == 0 and self.complete and self.names_keys

    def positions(self, args: Request) -> Sequence[int]:
        """Positions of the keys in ``args``. NoKeysError when the arguments can't be right."""
        if self.unknown:
            raise NoKeysError
        if self.count is not None:
            first, last = self.first, self.first + (self._counted(args) - 1) * self.step
        else:
            first = self.first if self.keyword is None else self._after_keyword(args, self.keyword)
            if first == 0:
                return ()
            last = self._last(first, len(args))
        if not first <= last < len(args):
            raise NoKeysError
        return range(first, last + 1, self.step)

    def _last(self, first: int, size: int) -> int:
        if self.last >= 0:
            return first + self.last
        if self.limit:
            return first + (size - first) // self.limit + self.last
        return size + self.last

    def _counted(self, args: Request) -> int:
        assert self.count is not None
        number = strict_integer(args[self.count]) if self.count < len(args) else None
        if number is None:
            raise NoKeysError
        return number

    def _after_keyword(self, args: Request, keyword: str) -> int:
        """The position after the keyword; 0 when it is not there, or last."""
        word = keyword.encode()
        size = len(args)
        places = range(self.first, size - 1) if self.first > 0 else range(size + self.first, 1, -1)
        return next((at + 1 for at in places if args[at].upper() == word), 0)


def all_positions(specs: Iterable[Keys], args: Request) -> list[tuple[int, Keys]]:
    """Each key's position with its specification, in order of the specifications."""
    return [(at, spec) for spec in specs if spec.names_keys for at in spec.positions(args)]


def legacy_range(specs: Sequence[Keys]) -> tuple[int, int, int]:
    """First position, last position (negative: from the end) and step, as COMMAND INFO had them
    before there were specifications: those that are plain, adjoining ranges, taken together.

    What Redis computes in populateCommandLegacyRangeSpec; 0, 0, 0 when nothing fits.
    """
    if len(specs) == 1 and specs[0].is_range:
        only = specs[0]
        return only.first, only.first + only.last if only.last >= 0 else only.last, only.step
    ranges = list(_adjoining(specs))
    if not ranges:
        return 0, 0, 0
    ends = [spec.first + spec.last if spec.last >= 0 else spec.last for spec in ranges]
    # A negative end is further than any other: Redis compares them as unsigned numbers.
    return ranges[0].first, max(ends, key=lambda end: end % 2**32), 1


def movable(specs: Sequence[Keys]) -> bool:
    """Whether the legacy range misses keys (flag ``movablekeys``)."""
    if len(specs) == 1 and specs[0].is_range:
        return not specs[0].complete
    return len(list(_adjoining(specs))) < len(specs) or not all(spec.complete for spec in specs)


def _adjoining(specs: Iterable[Keys]) -> Iterable[Keys]:
    end = 0
    for spec in specs:
        if spec.is_range and spec.step == 1 and (not end or end == spec.first - 1):
            end = spec.first + spec.last if spec.last >= 0 else spec.last
            yield spec
