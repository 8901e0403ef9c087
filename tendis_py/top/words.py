"""Figures as people read them, and text of others made safe to print."""

from __future__ import annotations

_BYTES = ("B", "KB", "MB", "GB", "TB", "PB")
_THOUSANDS = ("", "k", "M", "G", "T")


def clean(text: str) -> str:
    """``text`` without what a terminal might obey: a key is whatever a client has made it."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def duration(microseconds: float) -> str:
    """As ``850 ns``, ``1.23 µs``, ``45.6 ms``, ``2.50 s``."""
    if microseconds <= 0:
        return "0"
    if microseconds < 1:
        return f"{microseconds * 1000:.0f} ns"
    for unit in ("µs", "ms"):
        if microseconds < 999.5:
            return f"{_three_digits(microseconds)} {unit}"
        microseconds /= 1000
    return f"{_three_digits(microseconds)} s"


def count(number: float) -> str:
    """As ``999``, ``12.3k``, ``4.56M``."""
    if number < 999.5:
        return f"{number:.0f}" if number == int(number) or number >= 100 else f"{number:.1f}"
    for unit in _THOUSANDS:
        if number < 999.5:
            break
        if unit != _THOUSANDS[-1]:
            number /= 1000
    return f"{_three_digits(number)}{unit}"


def size(number: float) -> str:
    """As ``512 B``, ``1.50 MB``: a KB has 1,024 bytes."""
    for unit in _BYTES:
        if number < 1023.5 or unit == _BYTES[-1]:
            break
        number /= 1024
    return f"{number:.0f} B" if unit == "B" else f"{_three_digits(number)} {unit}"


def percent(fraction: float) -> str:
    return f"{fraction * 100:.0f} %" if fraction >= 0.0995 else f"{fraction * 100:.1f} %"


def span(seconds: float) -> str:
    """As ``3d 4h``, ``5m 06s``, ``12s``."""
    whole = int(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    if minutes:
        return f"{minutes}m {whole % 60:02}s"
    return f"{whole}s"


def _three_digits(number: float) -> str:
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"
