"""Kinds of value that one or two of Redis' directives have.

Role: as ``kinds``; what these directives mean in Redis is not followed here, only their notation.
May import: the other kinds.
Does not know: which of them has an effect.
"""

import locale
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tendis_py.config.kinds import (
    LONG_MAX,
    Integer,
    Kind,
    Rewriting,
    SeveralWords,
    SingleWord,
    Text,
    parse_memory,
    quote,
)


class Snapshots(Kind[tuple[tuple[int, int], ...]]):
    """``SECONDS CHANGES …``. In a file each line adds to those before it; one word, as CONFIG SET
    gives it, replaces them all, and an empty one leaves none.
    """

    __slots__ = ()

    def parse(
        self, words: Sequence[str], current: tuple[tuple[int, int], ...]
    ) -> tuple[tuple[int, int], ...]:
        if len(words) == 1:
            words, current = words[0].split(" ") if words[0] else [], ()
        if len(words) % 2 or not all(re.fullmatch(r"\s*[+-]?[0-9]+", it, re.ASCII) for it in words):
            raise ValueError("Invalid save parameters")
        numbers = [int(word) for word in words]
        found = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if any(seconds < 1 or changes < 0 for seconds, changes in found):
            raise ValueError("Invalid save parameters")
        return (*current, *found)

    def format(self, value: tuple[tuple[int, int], ...]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: tuple[tuple[int, int], ...]) -> list[str]:
        return [f"{seconds} {changes}" for seconds, changes in value] or ['""']

    def accepts(self) -> str:
        return 'SECONDS CHANGES …, or ""'


@dataclass(frozen=True, slots=True)
class Flags(SeveralWords[tuple[str, ...]]):
    """Any of a few words, shown in one order; the first of them says that there is none."""

    choices: tuple[str, ...]
    apart: tuple[str, str]
    """Two that exclude each other."""
    apart_reason: str

    def parse_words(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        given = {word.lower() for word in words}
        if not given or not given <= set(self.choices):
            listed = ", ".join(self.choices)
            raise ValueError(f"argument(s) must be one of the following: {listed}")
        if given >= set(self.apart):
            raise ValueError(self.apart_reason)
        return tuple(choice for choice in self.choices[1:] if choice in given)

    def format(self, value: tuple[str, ...]) -> str:
        return " ".join(value) or self.choices[0]

    def accepts(self) -> str:
        return "some of " + ", ".join(self.choices)


class EventClasses(SingleWord[str]):
    """Letters of notify-keyspace-events, held without ``A``: it stands for most classes, and is
    shown for them. Beside it Redis does not show ``n``, be it given."""

    __slots__ = ()
    rewriting = Rewriting.NOT_DEFAULT

    _ALL: ClassVar[str] = "g$lshzxetd"
    _KNOWN: ClassVar[str] = "Ag$lshzxeKEtmdn"

    def parse_word(self, word: str) -> str:
        if not set(word) <= set(self._KNOWN):
            raise ValueError(f"Invalid event class character. Use '{self._KNOWN}'.")
        given = set(word) | (set(self._ALL) if "A" in word else set())
        return "".join(it for it in self._ALL + "nKEm" if it in given)

    def format(self, value: str) -> str:
        return "A" + value[len(self._ALL) :].lstrip("n") if self._ALL in value else value

    def lines(self, value: str) -> list[str]:
        return [quote(self.format(value))]

    def accepts(self) -> str:
        return f"letters of {self._KNOWN}"


class OomScores(SeveralWords[tuple[int, ...]]):
    """Three numbers: of the server, of replicas, of child processes."""

    __slots__ = ()

    def parse_words(self, words: Sequence[str], current: tuple[int, ...]) -> tuple[int, ...]:
        if len(words) != 3:
            raise ValueError("wrong number of arguments")
        if not all(
            re.fullmatch(r"\s*[+-]?[0-9]+", it, re.ASCII) and abs(int(it)) <= 2000 for it in words
        ):
            raise ValueError(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            )
        return tuple(int(word) for word in words)

    def format(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))

    def accepts(self) -> str:
        return "three integers from -2000 to 2000"


class MemoryOrPercent(SingleWord[int]):
    """A number of bytes, or a share of maxmemory, which is held as a negative number."""

    __slots__ = ()

    def parse_word(self, word: str) -> int:
        if re.fullmatch(r"(0|[1-9][0-9]{0,17})%", word, re.ASCII):
            return -self._percent(int(word[:-1]))
        try:
            size = parse_memory(word)
        except ValueError:
            raise ValueError("argument must be a memory or percent value") from None
        if size > LONG_MAX:  # as 64 bits it is negative, and so a percentage, to Redis
            return -self._percent(2**64 - min(size, 2**64 - 1))
        return size

    @staticmethod
    def _percent(number: int) -> int:
        if number > 100:
            raise ValueError("percentage argument must be less or equal to 100")
        return number

    def format(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def accepts(self) -> str:
        return "memory size, or a percentage"


@dataclass(frozen=True, slots=True)
class FileName(Text):
    """A file's name without a folder. Redis lets no one but ``dbfilename`` be empty."""

    name: str
    what: str = "filename"
    may_be_empty: bool = False

    def parse_word(self, word: str) -> str:
        if not word and not self.may_be_empty:
            raise ValueError(f"{self.name} can't be empty")
        if "/" in word:
            raise ValueError(f"{self.name} can't be a path, just a {self.what}")
        return word

    def accepts(self) -> str:
        return "name of a file"


class HostName(Text):
    __slots__ = ()

    def parse_word(self, word: str) -> str:
        if len(word) >= 256:
            raise ValueError("Hostnames must be less than 256 characters")
        if not re.fullmatch(r"[a-zA-Z0-9.-]*", word, re.ASCII):
            raise ValueError("Hostnames may only contain alphanumeric characters, hyphens or dots")
        return word

    def accepts(self) -> str:
        return "name of a host"


class NodeName(Text):
    __slots__ = ()

    def parse_word(self, word: str) -> str:
        if not set(word).isdisjoint("!#$%&()*+:;<>?@[]^{|}~"):
            raise ValueError("Announced human node name contained invalid character")
        return word


class ProcessTitle(Text):
    """A template with ``{title}`` and its kin."""

    __slots__ = ()

    _EXPANDED: ClassVar[dict[str, str]] = {
        "title": "",
        "listen-addr": "*:6379",
        "server-mode": "",
        "port": "6379",
        "tls-port": "0",
        "unixsocket": "",
        "config-file": "-",
    }

    def parse_word(self, word: str) -> str:
        reason = "template format is invalid or contains unknown variables"
        rest = word.replace("{{", "")
        expanded = re.sub(r"\{([^}]*)\}", lambda found: self._EXPANDED.get(found[1], "{"), rest)
        if "{" in expanded or not (expanded.strip() or "{{" in word):
            raise ValueError(reason)
        return word

    def accepts(self) -> str:
        return "text with {title}, {listen-addr}, {server-mode} …"


class Locale(Text):
    """A locale that the system knows; empty is the environment's."""

    __slots__ = ()

    def parse_word(self, word: str) -> str:
        before = locale.setlocale(locale.LC_COLLATE)
        try:
            locale.setlocale(locale.LC_COLLATE, word)
        except locale.Error:
            raise ValueError("Invalid locale name") from None
        locale.setlocale(locale.LC_COLLATE, before)
        return word

    def accepts(self) -> str:
        return "name of a locale"


class CollectorUrl(Text):
    """Where a collector listens, over HTTP; empty is nowhere."""

    __slots__ = ()

    def parse_word(self, word: str) -> str:
        if word and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", word):
            raise ValueError("argument must be an http:// or https:// URL")
        return word

    def accepts(self) -> str:
        return "http:// or https:// URL"


class Ratio(SingleWord[float]):
    """A part of a whole."""

    __slots__ = ()

    def parse_word(self, word: str) -> float:
        if not re.fullmatch(r"[0-9]*\.?[0-9]+(e-?[0-9]+)?", word, re.ASCII | re.IGNORECASE):
            raise ValueError("argument couldn't be parsed into a number")
        if not 0 <= float(word) <= 1:
            raise ValueError("argument must be between 0 and 1 inclusive")
        return float(word)

    def format(self, value: float) -> str:
        return f"{value:.10f}".rstrip("0").rstrip(".")

    def accepts(self) -> str:
        return "number from 0 to 1"


class Master(SeveralWords[str]):
    """``HOST PORT``, or ``no one``, which is held as no text."""

    __slots__ = ()
    rewriting = Rewriting.NOT_DEFAULT

    def parse_words(self, words: Sequence[str], current: str) -> str:
        if len(words) != 2:
            raise ValueError("wrong number of arguments")
        host, port = words
        if (host.lower(), port.lower()) == ("no", "one"):
            return ""
        try:
            Integer(0, 65535).parse_word(port)
        except ValueError:
            raise ValueError("Invalid master port") from None
        return f"{host} {port}"

    def format(self, value: str) -> str:
        return value

    def lines(self, value: str) -> list[str]:
        return [value or "no one"]

    def accepts(self) -> str:
        return "HOST PORT, or no one"
