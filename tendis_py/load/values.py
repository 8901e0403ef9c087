"""What is stored: random text that does not compress, of sizes by a distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import accumulate
from random import Random

from tendis_py.load.errors import LoadError

SIZES = "BYTES, FROM-TO, exp:MEAN or SIZE*WEIGHT,SIZE*WEIGHT …"
LONGEST = 512 * 1024 * 1024
_TEXT_BYTES = 1 << 20

DrawSizes = Callable[[int], list[int]]


class Values:
    """Windows of one random text: made in a fraction of a microsecond."""

    def __init__(self, random: Random, sizes: DrawSizes, longest: int) -> None:
        self._random = random
        self._sizes = sizes
        self._text = random.randbytes((_TEXT_BYTES + longest) // 2 + 1).hex().encode()

    def draw(self, amount: int) -> list[bytes]:
        text = self._text
        starts = self._random.choices(range(_TEXT_BYTES), k=amount)
        return [
            text[start : start + size]
            for start, size in zip(starts, self._sizes(amount), strict=True)
        ]


def parse_values(text: str, random: Random) -> Values:
    """Values of the sizes that ``text`` names. Raises LoadError."""
    try:
        sizes, longest = _parse_sizes(text, random)
    except ValueError:
        raise LoadError(f"a size of values is {SIZES}, not {text!r}") from None
    if longest > LONGEST:
        raise LoadError(f"a value has at most {LONGEST} bytes")
    return Values(random, sizes, longest)


def _parse_sizes(text: str, random: Random) -> tuple[DrawSizes, int]:
    """How sizes are drawn, and the largest. ValueError when ``text`` is none."""
    if text.startswith("exp:"):
        mean = _size(text.removeprefix("exp:"))
        longest = 20 * mean  # beyond which is one of 500 million
        scale = -float(mean)

        def exponential(amount: int) -> list[int]:
            log, uniform = math.log, random.random
            return [min(max(int(scale * log(1.0 - uniform())), 1), longest) for _ in range(amount)]

        return exponential, longest
    if "," in text or "*" in text:
        pairs = [item.partition("*") for item in text.split(",")]
        choices = [_size(size) for size, _, _ in pairs]
        weights = [float(weight) if star else 1.0 for _, star, weight in pairs]
        if not all(0 <= weight < math.inf for weight in weights) or not sum(weights):
            raise ValueError
        cumulative = list(accumulate(weights))
        return (
            lambda amount: random.choices(choices, cum_weights=cumulative, k=amount),
            max(choices),
        )
    first, dash, last = text.partition("-")
    low = _size(first)
    if not dash:
        return lambda amount: [low] * amount, low
    between = range(low, _size(last) + 1)
    if not between:
        raise ValueError
    return lambda amount: random.choices(between, k=amount), between[-1]


def _size(text: str) -> int:
    size = int(text)
    if size < 0:
        raise ValueError
    return size
