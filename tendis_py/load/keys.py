"""Which key a request is for: numbers below ``total``, drawn by a distribution.

Pure: a random generator in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count, islice
from random import Random
from typing import Protocol

from tendis_py.load.errors import LoadError

DISTRIBUTIONS = "uniform, zipf[:EXPONENT], hot[:SHARE[:KEYS]] or sequential"
_EXPONENT = 0.99
"""YCSB's."""
_HOT_SHARE = 0.9
_HOT_KEYS = 1
_SCATTER = 2_654_435_761
"""A prime: multiplying by it is a permutation of the numbers below any total it does not divide."""


class Keys(Protocol):
    """Numbers of keys, as many as asked for."""

    def draw(self, amount: int) -> list[int]: ...


class Uniform:
    """Each key as often as any other."""

    def __init__(self, total: int, random: Random) -> None:
        self._range = range(total)
        self._choices = random.choices

    def draw(self, amount: int) -> list[int]:
        return self._choices(self._range, k=amount)


class Sequential:
    """One after another, and from the first again."""

    def __init__(self, total: int) -> None:
        self._numbers = (number % total for number in count())

    def draw(self, amount: int) -> list[int]:
        return list(islice(self._numbers, amount))


class Hot:
    """A ``share`` of the requests is for the first ``hot`` keys, the rest for any other."""

    def __init__(self, total: int, random: Random, share: float, hot: int) -> None:
        self._random = random
        self._share = share
        self._hot = range(hot)
        self._cold = range(hot, total)

    def draw(self, amount: int) -> list[int]:
        random, share = self._random.random, self._share
        hot = sum(random() < share for _ in range(amount))
        drawn = self._random.choices(self._hot, k=hot)
        drawn += self._random.choices(self._cold, k=amount - hot)
        self._random.shuffle(drawn)
        return drawn


class Zipf:
    """The key of rank r is drawn in proportion to 1 / r ** exponent; exact for any total, with no
    table of it. Key 0 is of the first rank, the next ranks are scattered over all keys.

    Rejection-inversion: W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
    monotone discrete distributions", ACM TOMACS 6 (1996).
    """

    def __init__(self, total: int, random: Random, exponent: float) -> None:
        self._total = total
        self._random = random.random
        self._exponent = exponent
        self._area, self._inverse = _areas(exponent)
        self._first = self._area(1.5) - 1.0
        self._all = self._area(total + 0.5)
        self._sure = 2.0 - self._inverse(self._area(2.5) - 2.0**-exponent)

    def draw(self, amount: int) -> list[int]:
        total = self._total
        return [(self.rank() - 1) * _SCATTER % total for _ in range(amount)]

    def rank(self) -> int:
        """From 1 to the total."""
        while True:
            height = self._all + self._random() * (self._first - self._all)
            place = self._inverse(height)
            rank = min(max(int(place + 0.5), 1), self._total)
            if (
                rank - place <= self._sure
                or height >= self._area(rank + 0.5) - rank**-self._exponent
            ):
                return rank


def _areas(exponent: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """The integral of x ** -exponent from 1 on, and its inverse."""
    if exponent == 1.0:
        return math.log, math.exp
    power = 1.0 - exponent
    return (
        lambda x: (x**power - 1.0) / power,
        lambda area: max(1.0 + power * area, 0.0) ** (1.0 / power),
    )


def parse_keys(text: str, total: int, random: Random) -> Keys:
    """The distribution that ``text`` names. Raises LoadError."""
    name, *parameters = text.split(":")
    try:
        match name, parameters:
            case "uniform", []:
                return Uniform(total, random)
            case "sequential", []:
                return Sequential(total)
            case "zipf", [] | [_]:
                exponent = float(parameters[0]) if parameters else _EXPONENT
                if not 0 < exponent <= 10:
                    raise LoadError("the exponent of zipf is above 0 and at most 10")
                return Zipf(total, random, exponent)
            case "hot", [] | [_] | [_, _]:
                share = float(parameters[0]) if parameters else _HOT_SHARE
                hot = int(parameters[1]) if len(parameters) > 1 else _HOT_KEYS
                if not 0 <= share <= 1:
                    raise LoadError("the share of hot keys is from 0 to 1")
                if not 0 < hot < total:
                    raise LoadError(f"of {total} keys, from 1 to {total - 1} can be hot")
                return Hot(total, random, share, hot)
    except ValueError:
        pass
    raise LoadError(f"a distribution of keys is {DISTRIBUTIONS}, not {text!r}")
