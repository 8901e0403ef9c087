"""Arguments: from the bytes a client sent to Python values, for all families of commands.

Each function raises the ReplyError that Redis answers. Knows neither keys nor storage; what an
argument means is its command's business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from tendis_py.errors import (
    COUNT_NOT_POSITIVE,
    NOT_FLOAT,
    NOT_INTEGER,
    NOT_POSITIVE,
    NUMKEYS_NOT_POSITIVE,
    TIMEOUT_NEGATIVE,
    TIMEOUT_NOT_FLOAT,
    TIMEOUT_NOT_INTEGER,
    TIMEOUT_RANGE,
    ReplyError,
    invalid_expire,
    outside_range,
    syntax_error,
)
from tendis_py.numbers import INT64_MAX, INT64_MIN, UINT64_MAX, strict_integer
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import long_double

SECOND, MILLISECOND = 1000, 1
"""Units of time in ms."""

# Many


def two_by_two(args: list[bytes], start: int) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The arguments from ``start`` on, of which there is an even number: the first, third … and the
    second, fourth … of some of them, then of the next; others get the GIL in between."""
    for at in range(start, len(args), 2 * ITEMS_AT_ONCE):
        part = args[at : at + 2 * ITEMS_AT_ONCE]
        yield part[::2], part[1::2]


# Numbers


def integer(argument: bytes, low: int = INT64_MIN, high: int = INT64_MAX, error: str = "") -> int:
    """A decimal integer in its canonical spelling, within ``low`` … ``high``.

    ``error``, where given, answers both what is no integer and what is out of range.
    """
    value = strict_integer(argument)
    if value is None:
        raise ReplyError(error or NOT_INTEGER)
    if not low <= value <= high:
        raise ReplyError(error) if error else outside_range(low, high)
    return value


def natural(argument: bytes, error: str = NOT_POSITIVE) -> int:
    """An integer of at least 0."""
    return integer(argument, 0, INT64_MAX, error)


def milliseconds(argument: bytes, now: int) -> int:
    """For how long to wait, in ms, as ``integer``; ``now`` is Unix time in ms."""
    return _timeout(integer(argument, error=TIMEOUT_NOT_INTEGER), now)


def seconds(argument: bytes, now: int) -> float:
    """For how long to wait, in seconds to the ms above, as the C library reads a number; ``now`` is
    Unix time in ms."""
    if argument.isdigit() and len(argument) < 10:
        return float(_timeout(int(argument) * SECOND, now) // SECOND)  # most are such
    number = long_double.parse(argument)
    if number is None:
        raise ReplyError(TIMEOUT_NOT_FLOAT)
    if number.mantissa.bit_length() + number.exponent > 64:
        raise ReplyError(TIMEOUT_RANGE)
    whole = Fraction(number.mantissa) * Fraction(2) ** number.exponent * SECOND
    return _timeout(math.ceil(whole), now) / SECOND


def _timeout(duration: int, now: int) -> int:
    if duration > INT64_MAX:
        raise ReplyError(TIMEOUT_RANGE)
    if duration < 0:
        raise ReplyError(TIMEOUT_NEGATIVE)
    if duration > INT64_MAX - now:
        raise ReplyError(TIMEOUT_RANGE)
    return duration


_REAL = re.compile(
    rb"[+-]?(?:(\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d++)?|inf(?:inity)?)", re.IGNORECASE
)
_HEXADECIMAL = re.compile(
    rb"[+-]?0x([\da-f]++(?:\.[\da-f]*+)?|\.[\da-f]++)(?:p[+-]?\d++)?", re.IGNORECASE
)


def real(argument: bytes, error: str = NOT_FLOAT) -> float:
    """A double as C's strtod reads it: decimal, hexadecimal or infinite, and nothing around it.

    No NaN, no number too large for a double, and none so small that only 0 is left of it.
    """
    if argument.isdigit() and len(argument) < 300:
        return float(argument)  # most are such, and it is a third of the work
    match = _REAL.fullmatch(argument)
    if match is not None:
        value = float(argument)
    else:
        match = _HEXADECIMAL.fullmatch(argument)
        if match is None:
            raise ReplyError(error)
        try:
            value = float.fromhex(argument.decode())
        except OverflowError:
            raise ReplyError(error) from None
    digits = match[1]
    if digits is not None and (math.isinf(value) or (value == 0 and digits.strip(b"0."))):
        raise ReplyError(error)
    return value


def several(
    args: list[bytes], at: int, ends: tuple[bytes, ...] = (b"LEFT", b"RIGHT")
) -> tuple[list[bytes], bytes, int]:
    """What LMPOP and ZMPOP take elements from: ``numkeys key [key ...] end [COUNT count]``, from
    position ``at`` to the last: keys, end in upper case, count."""
    after_keys = at + 1 + integer(args[at], 1, INT64_MAX, NUMKEYS_NOT_POSITIVE)
    if after_keys >= len(args):
        raise syntax_error()
    end, rest = args[after_keys].upper(), args[after_keys + 1 :]
    if end not in ends:
        raise syntax_error()
    if not rest:
        return args[at + 1 : after_keys], end, 1
    if len(rest) < 2 or rest[0].upper() != b"COUNT":
        raise syntax_error()
    count = integer(rest[1], 1, INT64_MAX, COUNT_NOT_POSITIVE)
    if len(rest) > 2:
        raise syntax_error()
    return args[at + 1 : after_keys], end, count


def unsigned(argument: bytes, error: str = NOT_INTEGER) -> int:
    """An unsigned 64-bit integer in decimal digits; zeros in front are let pass."""
    value = int(argument) if argument.isdigit() and len(argument) <= 20 else UINT64_MAX + 1
    if value > UINT64_MAX:
        raise ReplyError(error)
    return value


# Options


@dataclass(frozen=True, slots=True)
class Option:
    """A word among the options of a command.

    Words of one ``slot`` exclude each other; the same word may be repeated, and the last one
    counts, unless it may be there ``once`` only. ``read`` makes a value of the ``values`` arguments
    that follow; without it the word is a flag, whose value is the word itself.
    """

    slot: str
    read: Callable[..., Any] | None = None
    values: int = 1
    once: bool = False


def options(args: list[bytes], start: int, grammar: Mapping[bytes, Option]) -> dict[str, Any]:
    """What ``args`` choose from position ``start`` on: slot → value, absent slots left out.

    ``grammar``: upper-case word → option. Syntax error on any other word, on a word whose slot
    another one took, and where values are missing. Values are read in order of appearance.
    """
    chosen: dict[str, Any] = {}
    taken: dict[str, bytes] = {}
    position, end = start, len(args)
    while position < end:
        word = args[position].upper()
        option = grammar.get(word)
        if option is None or (option.once and option.slot in taken):
            raise syntax_error()
        if taken.setdefault(option.slot, word) != word:
            raise syntax_error()
        position += 1
        if option.read is None:
            chosen[option.slot] = word
            continue
        after = position + option.values
        if after > end:
            raise syntax_error()
        chosen[option.slot] = option.read(*args[position:after])
        position = after
    return chosen


def columns(requests: list[list[bytes]], length: int) -> list[list[bytes]] | None:
    """A run of requests by position: names, keys, and so on; None unless all have ``length`` words
    and the same key at position 1."""
    if set(map(len, requests)) != {length}:
        return None
    found = list(map(list, zip(*requests, strict=True)))
    keys = found[1]
    return found if keys.count(keys[0]) == len(keys) else None


@dataclass(frozen=True, slots=True)
class Expiry:
    """EX, PX, EXAT or PXAT as given. Its number is looked at only by ``deadline``, since other
    errors of the command come first."""

    argument: bytes
    unit: int
    """SECOND or MILLISECOND."""
    relative: bool
    """Whether the number counts from now on; else it is a Unix time."""

    def deadline(self, now: int, command: str) -> int:
        """Unix time in ms, at ``now``. ReplyError, in the name of ``command``, when the number
        is not positive or the time is beyond 64 bits; a time in the past is fine."""
        number = integer(self.argument)
        if not 0 < number <= INT64_MAX // self.unit:
            raise invalid_expire(command)
        deadline = number * self.unit + (now if self.relative else 0)
        if deadline > INT64_MAX:
            raise invalid_expire(command)
        return deadline


EXPIRY: Mapping[bytes, Option] = {
    b"EX": Option("expiry", partial(Expiry, unit=SECOND, relative=True)),
    b"PX": Option("expiry", partial(Expiry, unit=MILLISECOND, relative=True)),
    b"EXAT": Option("expiry", partial(Expiry, unit=SECOND, relative=False)),
    b"PXAT": Option("expiry", partial(Expiry, unit=MILLISECOND, relative=False)),
}
"""The four, for a command's grammar; ``KEEPTTL`` and ``PERSIST`` are ``Option("expiry")``."""
