"""Numbers as Redis spells them. Knows nothing of the rest of the package."""

from __future__ import annotations

import math

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1

_WHOLE = 2.0**62


def strict_integer(digits: bytes | bytearray) -> int | None:
    """A signed 64-bit decimal in its one canonical spelling, else None (Redis' string2ll)."""
    try:
        value = int(digits) if len(digits) <= 20 else None
    except ValueError:
        return None
    if value is None or b"%d" % value != digits or not INT64_MIN <= value <= INT64_MAX:
        return None
    return value


def format_double(value: float) -> bytes:
    """A double in the fewest digits that read back as the same double, laid out as Redis does:
    integers up to 2**62 in full, the rest as ``shortest_double``."""
    if -_WHOLE <= value <= _WHOLE:
        integer = int(value)
        if integer == value:
            return b"%d" % integer if integer or math.copysign(1, value) > 0 else b"-0"
    return shortest_double(value)


def shortest_double(value: float) -> bytes:
    """A double in the fewest digits, laid out by the rules of fpconv's ``emit_digits``."""
    if math.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if math.isnan(value):
        return b"nan"
    if not value:
        return b"0" if math.copysign(1, value) > 0 else b"-0"
    sign = "-" if value < 0 else ""
    head, _, tail = repr(abs(value)).partition("e")
    whole, _, fraction = head.partition(".")
    fraction = "" if fraction == "0" else fraction
    exponent = int(tail or 0) - len(fraction)  # of the last digit
    digits = (whole + fraction).lstrip("0")
    exponent += len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    leading = exponent + len(digits) - 1  # the exponent of the first digit
    if exponent >= 0 and abs(leading) < len(digits) + 7:
        text = digits + "0" * exponent
    elif exponent < 0 and (exponent > -7 or abs(leading) < 4):
        padded = digits.rjust(1 - exponent, "0")
        text = f"{padded[:exponent]}.{padded[exponent:]}"
    else:
        point = "." if len(digits) > 1 else ""
        text = f"{digits[0]}{point}{digits[1:]}e{'-' if leading < 0 else '+'}{abs(leading)}"
    return f"{sign}{text}".encode()
