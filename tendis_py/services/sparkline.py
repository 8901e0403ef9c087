"""Numbers as a little picture of text, as Redis' sparkline.c draws them for LATENCY GRAPH."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_FILL = "_o#"
"""What a column ends with, by how much of its last row it fills."""


def sparkline(samples: Sequence[tuple[int, str]], *, columns: int, rows: int) -> str:
    """Draw (value, label) from left to right, at most ``columns`` beside each other; labels stand
    upright below."""
    least = min((value for value, _ in samples), default=0)
    spread = max((value for value, _ in samples), default=0) - least or 1
    return "\n".join(
        "".join(_draw(samples[start : start + columns], least, spread, rows))
        for start in range(0, len(samples), columns)
    )


def _draw(samples: Sequence[tuple[int, str]], least: int, spread: int, rows: int) -> Iterator[str]:
    steps = len(_FILL) * rows
    heights = [min((value - least) * steps // spread, steps - 1) for value, _ in samples]
    for below in reversed(range(rows)):
        yield "".join(_cell(height - below * len(_FILL)) for height in heights) + "\n"
    yield " " * len(samples) + "\n"
    for index in range(max(len(label) for _, label in samples)):
        yield "".join(label[index : index + 1] or " " for _, label in samples) + "\n"


def _cell(fill: int) -> str:
    if fill < 0:
        return " "
    return _FILL[fill] if fill < len(_FILL) else "|"
