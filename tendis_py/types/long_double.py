"""The x87 ``long double`` that INCRBYFLOAT and its kin calculate with, bit for bit.

64 bits of mantissa, 15 of exponent, round half to even; parsed as C's strtold does and printed as
Redis' ld2string in its human mode (``%.17Lf``, trailing zeros cut). All of it on Python integers:
exact. Knows no keys and no errors of the protocol.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

MAX_CHARACTERS = 5 * 1024 - 1

_MANTISSA_BITS = 64
_MAX_BITS = 16384
_MIN_EXPONENT = -16445
_FAR_BITS = 17000
"""Numbers this many bits above or below 1 are not worth writing out."""
_FRACTION_DIGITS = 17

_NUMBER = r"([+-]?){prefix}(?=\.?{digit})({digit}*+)(?:\.({digit}*+))?(?:{mark}([+-]?\d++))?"
_DECIMAL = re.compile(
    _NUMBER.format(prefix="", digit=r"\d", mark="e").encode(), re.IGNORECASE
)  # sign, whole, fraction, exponent
_HEXADECIMAL = re.compile(
    _NUMBER.format(prefix="0x", digit=r"[\da-f]", mark="p").encode(), re.IGNORECASE
)
_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LongDouble:
    """``mantissa`` × 2 ** ``exponent``; one that needs more than 16384 bits is infinite."""

    mantissa: int
    exponent: int

    @property
    def infinite(self) -> bool:
        return self.mantissa.bit_length() + self.exponent > _MAX_BITS

    def __add__(self, other: LongDouble) -> LongDouble:
        """The sum, rounded. Infinite when either is: no NaN, which no caller could use."""
        if self.infinite or other.infinite:
            return self if self.infinite else other
        exponent = min(self.exponent, other.exponent)
        total = (self.mantissa << (self.exponent - exponent)) + (
            other.mantissa << (other.exponent - exponent)
        )
        return _rounded(total << exponent, 1) if exponent > 0 else _rounded(total, 1 << -exponent)

    def __neg__(self) -> LongDouble:
        return LongDouble(-self.mantissa, self.exponent)

    def __sub__(self, other: LongDouble) -> LongDouble:
        """As ``__add__``."""
        return self + -other

    def __le__(self, other: LongDouble) -> bool:
        exponent = min(self.exponent, other.exponent)
        return self.mantissa << (self.exponent - exponent) <= (
            other.mantissa << (other.exponent - exponent)
        )

    def __bytes__(self) -> bytes:
        """Decimal, without exponent, with at most 17 digits after the point. Finite ones only."""
        scaled = self.mantissa * 10**_FRACTION_DIGITS
        if self.exponent >= 0:
            scaled <<= self.exponent
        else:
            scaled = _divided(scaled, 1 << -self.exponent)
        # By way of Decimal: str() of an int refuses more than 4300 digits.
        digits = str(Decimal(abs(scaled))).zfill(_FRACTION_DIGITS + 1)
        whole, fraction = digits[:-_FRACTION_DIGITS], digits[-_FRACTION_DIGITS:].rstrip("0")
        sign = "-" if scaled < 0 else ""
        return f"{sign}{whole}{'.' if fraction else ''}{fraction}".encode()


ZERO = LongDouble(0, 0)
INFINITY = LongDouble(1, _MAX_BITS)
GREATEST = LongDouble((1 << _MANTISSA_BITS) - 1, _MAX_BITS - _MANTISSA_BITS)
"""The greatest that is finite."""


def parse(text: bytes) -> LongDouble | None:
    """The number that ``text`` is as a whole, decimal or hexadecimal; infinite ones by name only.

    None when it is no number, NaN, too large, or so small that only 0 is left of it.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    if match := _DECIMAL.fullmatch(text):
        base, digit_weight = 10, 1
    elif match := _HEXADECIMAL.fullmatch(text):
        base, digit_weight = 2, 4
    else:
        infinite = _INFINITE.fullmatch(text)
        return infinite and (-INFINITY if text.startswith(b"-") else INFINITY)
    sign, whole, fraction, exponent = match.groups(b"")
    digits = whole + fraction
    # By way of Decimal: int() of text refuses more than 4300 digits.
    mantissa = int(Decimal(digits.decode())) if base == 10 else int(digits, 16)
    if not mantissa:
        return LongDouble(0, 0)
    power = _clamped(exponent) - len(fraction) * digit_weight
    if abs(mantissa.bit_length() + power * math.log2(base)) > _FAR_BITS:
        return None
    if sign == b"-":
        mantissa = -mantissa
    scale = base ** abs(power)
    number = _rounded(mantissa * scale, 1) if power > 0 else _rounded(mantissa, scale)
    return number if number.mantissa and not number.infinite else None


def _clamped(exponent: bytes) -> int:
    """An exponent, or one that is as far out of range and takes fewer digits."""
    digits = exponent.lstrip(b"+-").lstrip(b"0")
    size = int(digits[:10] or b"0")
    return -size if exponent.startswith(b"-") else size


def _rounded(numerator: int, denominator: int) -> LongDouble:
    exponent = numerator.bit_length() - denominator.bit_length() - _MANTISSA_BITS
    exponent = max(exponent, _MIN_EXPONENT)
    while True:
        if exponent > 0:
            mantissa = _divided(numerator, denominator << exponent)
        else:
            mantissa = _divided(numerator << -exponent, denominator)
        if mantissa.bit_length() <= _MANTISSA_BITS:
            return LongDouble(mantissa, exponent)
        exponent += 1


def _divided(numerator: int, denominator: int) -> int:
    """The quotient, rounded half to even."""
    quotient, rest = divmod(numerator, denominator)
    rest <<= 1
    if rest > denominator or (rest == denominator and quotient & 1):
        quotient += 1
    return quotient
