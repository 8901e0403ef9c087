"""Where requests come from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Protocol

from tendis_py.load.templates import Template

_CHUNK = 64
"""Requests made at once: enough to be cheap, few enough to hold nobody's reply up for long (30 µs).
"""
_CHUNK_BYTES = 1 << 20
"""Fewer are made at once when they are longer."""


class Source(Protocol):
    """``names``: of the kinds of requests, by number."""

    @property
    def names(self) -> Sequence[str]: ...

    def take(self, amount: int) -> tuple[bytes, list[int]]:
        """At least so many requests, and the kind of each: more when they must stay together."""
        ...


class Mix:
    """Templates, each in proportion to its weight."""

    def __init__(self, weighted: Sequence[tuple[Template, float]], random: Random) -> None:
        self._templates = [template for template, _ in weighted]
        self._cumulative = list(accumulate(weight for _, weight in weighted))
        self._random = random
        self.names = list(dict.fromkeys(template.name for template in self._templates))
        self._kinds = [self.names.index(template.name) for template in self._templates]
        self._requests: list[bytes] = []
        self._kinds_of: list[int] = []
        self._at = 0
        self._chunk = self._longest = 1

    def take(self, amount: int) -> tuple[bytes, list[int]]:
        start = self._at
        end = start + amount
        if end > len(self._requests):
            self._make(amount)
            start, end = 0, amount
        self._at = end
        if amount == 1:
            return self._requests[start], self._kinds_of[start:end]
        return b"".join(self._requests[start:end]), self._kinds_of[start:end]

    def _make(self, amount: int) -> None:
        """Forget what was taken and make more."""
        requests, kinds = self._requests[self._at :], self._kinds_of[self._at :]
        wanted = max(self._chunk, amount)
        if len(self._templates) == 1:
            requests += self._templates[0].make(wanted)
            kinds += [0] * wanted
        else:
            places = range(len(self._templates))
            drawn = self._random.choices(places, cum_weights=self._cumulative, k=wanted)
            made = [
                iter(template.make(drawn.count(place)))
                for place, template in enumerate(self._templates)
            ]
            requests += [next(made[place]) for place in drawn]
            kinds += [self._kinds[place] for place in drawn]
        self._longest = max(self._longest, *map(len, requests))
        self._chunk = max(min(2 * self._chunk, _CHUNK, _CHUNK_BYTES // self._longest), 1)
        self._requests, self._kinds_of = requests, kinds
