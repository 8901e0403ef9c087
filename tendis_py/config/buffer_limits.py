"""client-output-buffer-limit: how much may wait to be sent to each class of client.

Role: the value of that directive, and its kind.
May import: the other kinds.
Does not know: connections; it only says what the limits are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tendis_py.config.kinds import INT_MAX, Integer, SeveralWords, format_memory, parse_memory


@dataclass(frozen=True, slots=True)
class BufferLimit:
    """Close a client whose replies waiting to be sent exceed ``hard`` bytes at once, or ``soft``
    bytes for ``soft_seconds`` on end; 0 is no limit.
    """

    hard: int
    soft: int
    soft_seconds: int


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """One limit per class of client."""

    normal: BufferLimit
    replica: BufferLimit
    pubsub: BufferLimit


class OutputBufferLimits(SeveralWords[BufferLimits]):
    """``CLASS HARD SOFT SECONDS``, repeated; a class not named keeps its limit."""

    __slots__ = ()

    _CLASSES: ClassVar[Mapping[str, str]] = {
        "normal": "normal",
        "slave": "replica",
        "replica": "replica",
        "pubsub": "pubsub",
    }

    def parse_words(self, words: Sequence[str], current: BufferLimits) -> BufferLimits:
        if len(words) % 4:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        for name, *limit in zip(*[iter(words)] * 4, strict=True):
            field = self._CLASSES.get(name.lower())
            if field is None:
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            current = replace(current, **{field: self._limit(*limit)})
        return current

    @staticmethod
    def _limit(hard: str, soft: str, seconds: str) -> BufferLimit:
        try:
            return BufferLimit(
                parse_memory(hard), parse_memory(soft), Integer(0, INT_MAX).parse_word(seconds)
            )
        except ValueError:
            raise ValueError(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
            ) from None

    def format(self, value: BufferLimits) -> str:
        named = (("normal", value.normal), ("slave", value.replica), ("pubsub", value.pubsub))
        return " ".join(f"{name} {it.hard} {it.soft} {it.soft_seconds}" for name, it in named)

    def lines(self, value: BufferLimits) -> list[str]:
        named = (("normal", value.normal), ("replica", value.replica), ("pubsub", value.pubsub))
        return [
            f"{name} {format_memory(it.hard)} {format_memory(it.soft)} {it.soft_seconds}"
            for name, it in named
        ]

    def accepts(self) -> str:
        return "CLASS HARD SOFT SECONDS …, CLASS being normal, replica or pubsub"
