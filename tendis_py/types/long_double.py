"""The x87 ``long double`` that INCRBYFLOAT and HINCRBYFLOAT calculate with, bit for bit.

64 bits of mantissa, 15 of exponent, round half to even; parsed as C's strtold does and printed as
Redis' ld2string in its human mode (``%.17Lf``, trailing zeros cut). All of it on Python integers:
exact. Knows no keys and no errors of the protocol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MAX_CHARACTERS = 5 * 1024 - 1

_MANTISSA_BITS = 64
_MAX_BITS = 16384
_MIN_EXPONENT = -16445
_LARGE, _SMALL = 5000, -5000
"""Powers of ten beyond any long double."""
_FRACTION_DIGITS = 17

_DECIMAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:e([+-]?)0*(\d+))?", re.IGNORECASE)
_HEXADECIMAL = re.compile(
    rb"([+-]?)0x(?=\.?[\da-f])([\da-f]*)\.?([\da-f]*)(?:p([+-]?)0*(\d+))?", re.IGNORECASE
)
_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_MAX_EXPONENT_DIGITS = 9


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
            return INFINITY
        exponent = min(self.exponent, other.exponent)
        total = (self.mantissa << (self.exponent - exponent)) + (
            other.mantissa << (other.exponent - exponent)
        )
        return _rounded(total << exponent, 1) if exponent > 0 else _rounded(total, 1 << -exponent)

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


INFINITY = LongDouble(1, _MAX_BITS)


def parse(text: bytes) -> LongDouble | None:
    """The number that ``text`` is as a whole, decimal or hexadecimal; infinite ones by name only.

    None when it is no number, NaN, too large, or so small that only 0 is left of it.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    if match := _DECIMAL.fullmatch(text):
        ratio = _decimal_ratio(text, match)
    elif match := _HEXADECIMAL.fullmatch(text):
        ratio = _hexadecimal_ratio(match)
    else:
        return INFINITY if _INFINITE.fullmatch(text) else None
    if ratio is None:
        return None
    numerator, denominator = ratio
    number = _rounded(numerator, denominator)
    if number.infinite or (numerator and not number.mantissa):
        return None
    return number


def _decimal_ratio(text: bytes, match: re.Match[bytes]) -> tuple[int, int] | None:
    """None when the number is far outside the range (and would take ages to write out)."""
    exponent = match[2]
    if exponent and len(exponent) > _MAX_EXPONENT_DIGITS:
        zero = not text.lower().partition(b"e")[0].strip(b"+-0.")
        return (0, 1) if zero else None
    number = Decimal(text.decode())
    if number and not _SMALL < number.adjusted() < _LARGE:
        return None
    return number.as_integer_ratio()


def _hexadecimal_ratio(match: re.Match[bytes]) -> tuple[int, int] | None:
    sign, whole, fraction, exponent_sign, exponent = match.groups()
    numerator = int(whole + fraction, 16)
    if not numerator:
        return 0, 1
    if exponent and len(exponent) > _MAX_EXPONENT_DIGITS:
        return None
    power = int((exponent_sign or b"") + (exponent or b"0")) - 4 * len(fraction)
    if not _MIN_EXPONENT - 1 <= numerator.bit_length() + power <= _MAX_BITS + 1:
        return None
    if sign == b"-":
        numerator = -numerator
    return (numerator << power, 1) if power > 0 else (numerator, 1 << -power)


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
