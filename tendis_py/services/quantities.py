"""Numbers with their units, as people read them in a sentence."""

from __future__ import annotations

_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_SIZES = ("B", "KB", "MB", "GB", "TB")


def duration(ns: float) -> str:
    """``ns`` with three digits: 12.3 ms."""
    scale, unit = next((one for one in _TIMES if ns >= one[0]), (1.0, "ns"))
    return f"{_three_digits(ns / scale)} {unit}"


def size(count: float) -> str:
    """So many bytes with three digits: 1.5 MB."""
    power = 0
    while count >= 1024 and power < len(_SIZES) - 1:
        count /= 1024
        power += 1
    return f"{_three_digits(count)} {_SIZES[power]}"


def percent(part: float) -> str:
    return f"{part * 100:.0f} %"


def counted(count: int, one: str, many: str = "") -> str:
    """``count`` things: 1 client, 2 clients."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
