"""The kinds of value a directive can have: words in, a typed value out, and back.

Role: parse and print one setting in Redis' notation, with Redis' own reasons for refusal.
May import: the standard library only.
Does not know: directive names, files, the command line, clients.

Every ``parse`` raises ValueError whose text is the reason to show the operator.
"""

import enum
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

T = TypeVar("T")

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
LONG_MAX = 2**63 - 1
WRONG_COUNT = "wrong number of arguments"
NEGATIVE = "argument must be greater or equal to 0"


class Rewriting(enum.Enum):
    """When CONFIG REWRITE writes a directive."""

    CHANGED = enum.auto()
    """When it is in the file already, or differs from the default."""
    NOT_DEFAULT = enum.auto()
    """Only while it differs from the default; its line goes when it is back at it."""
    ALWAYS = enum.auto()


class Kind(ABC, Generic[T]):
    """How one directive's value is read and written."""

    __slots__ = ()

    rewriting: ClassVar[Rewriting] = Rewriting.CHANGED

    @abstractmethod
    def parse(self, words: Sequence[str], current: T) -> T:
        """Return the value that ``words`` give to a setting that now is ``current``."""

    @abstractmethod
    def format(self, value: T) -> str:
        """Return ``value`` as CONFIG GET shows it."""

    @abstractmethod
    def accepts(self) -> str:
        """Say in a few words what may be given, for the reference."""

    def lines(self, value: T) -> list[str]:
        """Return the arguments of each configuration file line that together make ``value``."""
        return [self.format(value)]


class SingleWord(Kind[T]):
    """A kind whose value is one word."""

    __slots__ = ()

    def parse(self, words: Sequence[str], current: T) -> T:
        if len(words) != 1:
            raise ValueError(WRONG_COUNT)
        return self.parse_word(words[0])

    @abstractmethod
    def parse_word(self, word: str) -> T: ...


class SeveralWords(Kind[T]):
    """A kind whose value is a list of words, which one quoted word may also hold: ``"a b"``."""

    __slots__ = ()

    def parse(self, words: Sequence[str], current: T) -> T:
        if len(words) == 1:
            words = words[0].split(" ") if words[0] else []
        return self.parse_words(words, current)

    @abstractmethod
    def parse_words(self, words: Sequence[str], current: T) -> T: ...


def quote(text: str) -> str:
    """Return ``text`` in double quotes, as ``split_words`` reads it back (Redis' sdscatrepr)."""
    raw = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(_QUOTED.get(byte) or _plain(byte) for byte in raw) + '"'


_QUOTED = {ord(char): "\\" + code for char, code in zip('\\"\n\r\t\a\b', '\\"nrtab', strict=True)}


def _plain(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


def _check_bounds(number: int, least: int, most: int, shown: str = "d") -> int:
    if not least <= number <= most:
        raise ValueError(f"argument must be between {least:{shown}} and {most:{shown}} inclusive")
    return number


@dataclass(frozen=True, slots=True)
class Integer(SingleWord[int]):
    """A decimal integer; outside ``clamp``, if given, it is silently moved to the nearer end."""

    least: int = 0
    most: int = LONG_MAX
    clamp: tuple[int, int] | None = None
    unsigned: bool = False
    """Redis has another reason for refusing -1 where its C type is unsigned."""

    _NUMBER: ClassVar[re.Pattern[str]] = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)

    def parse_word(self, word: str) -> int:
        if not self._NUMBER.fullmatch(word) or len(word) > 20 or abs(int(word)) > LONG_MAX:
            raise ValueError("argument couldn't be parsed into an integer")
        if self.unsigned and word.startswith("-"):
            raise ValueError(NEGATIVE)
        number = _check_bounds(int(word), self.least, self.most)
        if self.clamp is None:
            return number
        return min(max(number, self.clamp[0]), self.clamp[1])

    def format(self, value: int) -> str:
        return str(value)

    def accepts(self) -> str:
        least, most = self.clamp or (self.least, self.most)
        return f"integer from {least}" + (f" to {most}" if most < INT_MAX else "")


def parse_memory(word: str) -> int:
    """Read ``512``, ``1k`` (1000), ``1kb`` (1024), ``m``, ``mb``, ``g``, ``gb`` in any case."""
    match = re.fullmatch(r"([0-9]*)([a-z]*)", word.lower(), re.ASCII)
    if match is None or match[2] not in _UNITS:
        raise ValueError("argument must be a memory value")
    return int(match[1] or 0) * _UNITS[match[2]]


def format_memory(size: int) -> str:
    """Return ``size`` in the largest unit that divides it, as CONFIG REWRITE writes it."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}


@dataclass(frozen=True, slots=True)
class MemorySize(SingleWord[int]):
    """A number of bytes, with an optional unit."""

    least: int = 0
    most: int = LONG_MAX
    floor: int = 0
    """What is smaller is silently raised to it."""
    signed: bool = False
    """Redis has another reason for refusing more than 63 bits where its C type is signed."""

    def parse_word(self, word: str) -> int:
        size = parse_memory(word)
        if size > LONG_MAX and not self.signed:
            raise ValueError(NEGATIVE)
        return max(_check_bounds(size, self.least, self.most), self.floor)

    def format(self, value: int) -> str:
        return str(value)

    def lines(self, value: int) -> list[str]:
        return [format_memory(value)]

    def accepts(self) -> str:
        return "memory size" + (f", at least {format_memory(self.least)}" if self.least else "")


@dataclass(frozen=True, slots=True)
class Octal(SingleWord[int]):
    """File permissions, in octal."""

    most: int

    def parse_word(self, word: str) -> int:
        if not re.fullmatch(r"-?[0-7]+", word, re.ASCII):
            raise ValueError("argument couldn't be parsed as an octal number")
        if word.startswith("-"):
            raise ValueError(NEGATIVE)
        return _check_bounds(int(word, 8), 0, self.most, shown="o")

    def format(self, value: int) -> str:
        return f"{value:o}"

    def accepts(self) -> str:
        return f"octal number up to {self.most:o}"


class YesNo(SingleWord[bool]):
    __slots__ = ()

    def parse_word(self, word: str) -> bool:
        if word.lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return word.lower() == "yes"

    def format(self, value: bool) -> str:
        return "yes" if value else "no"

    def accepts(self) -> str:
        return "yes or no"


@dataclass(frozen=True, slots=True)
class Enumeration(SingleWord[str]):
    """One of a few words, in any case; the value is the word as listed."""

    choices: tuple[str, ...]

    def parse_word(self, word: str) -> str:
        if word.lower() not in self.choices:
            listed = ", ".join(self.choices)
            raise ValueError(f"argument(s) must be one of the following: {listed}")
        return word.lower()

    def format(self, value: str) -> str:
        return value

    def accepts(self) -> str:
        return ", ".join(self.choices)


class Text(SingleWord[str]):
    """Any bytes, held as UTF-8 text with surrogate escapes; empty means not set."""

    __slots__ = ()
    rewriting = Rewriting.NOT_DEFAULT

    def parse_word(self, word: str) -> str:
        return word

    def format(self, value: str) -> str:
        return value

    def lines(self, value: str) -> list[str]:
        return [quote(value)]

    def accepts(self) -> str:
        return "text"


class Directory(SingleWord[str]):
    """An existing directory; the value is its absolute path."""

    __slots__ = ()
    rewriting = Rewriting.ALWAYS

    def parse_word(self, word: str) -> str:
        try:
            os.scandir(word).close()
        except OSError as error:
            raise ValueError(error.strerror) from error
        return os.path.abspath(word)

    def format(self, value: str) -> str:
        return value

    def lines(self, value: str) -> list[str]:
        return [quote(value)]

    def accepts(self) -> str:
        return "existing directory"


@dataclass(frozen=True, slots=True)
class Words(SeveralWords[list[str]]):
    """A list of up to ``most`` words; ``""`` is the empty list."""

    most: int
    too_many: str

    rewriting = Rewriting.NOT_DEFAULT

    def parse_words(self, words: Sequence[str], current: list[str]) -> list[str]:
        if len(words) > self.most:
            raise ValueError(self.too_many)
        return list(words)

    def format(self, value: list[str]) -> str:
        return " ".join(value)

    def lines(self, value: list[str]) -> list[str]:
        return [self.format(value) or '""']

    def accepts(self) -> str:
        return f"up to {self.most} words"


class Percentiles(SeveralWords[list[float]]):
    __slots__ = ()

    def parse_words(self, words: Sequence[str], current: list[float]) -> list[float]:
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
        if not all(0 <= number <= 100 for number in numbers):
            raise ValueError(
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
            )
        return numbers

    def format(self, value: list[float]) -> str:
        return " ".join(f"{number:.10f}".rstrip("0").rstrip(".") for number in value)

    def lines(self, value: list[float]) -> list[str]:
        return [self.format(value) or '""']

    def accepts(self) -> str:
        return "numbers from 0 to 100"


class EngineOptions(Kind[dict[str, str]]):
    """A family of directives, ``FAMILY.NAME VALUE``; an empty VALUE takes NAME back out."""

    __slots__ = ()

    def parse(self, words: Sequence[str], current: dict[str, str]) -> dict[str, str]:
        if len(words) != 2:
            raise ValueError(WRONG_COUNT)
        name, value = words
        if not re.fullmatch(r"[a-z0-9_]+", name, re.ASCII):
            raise ValueError("an option name is made of letters, digits and underscores")
        others = {key: current[key] for key in current if key != name}
        return {**others, name: value} if value else others

    def format(self, value: dict[str, str]) -> str:
        return " ".join(f"{name}={setting}" for name, setting in value.items())

    def accepts(self) -> str:
        return "text"


@dataclass(frozen=True, slots=True)
class Only(Kind[T]):
    """A directive that clients ask for but that has only one possible value here."""

    kind: Kind[T]
    value: T
    reason: str

    def parse(self, words: Sequence[str], current: T) -> T:
        if self.kind.parse(words, current) != self.value:
            raise ValueError(self.reason)
        return self.value

    def format(self, value: T) -> str:
        return self.kind.format(value)

    def lines(self, value: T) -> list[str]:
        return self.kind.lines(value)

    def accepts(self) -> str:
        shown = self.kind.format(self.value)
        return f"only {shown}" if shown else 'only ""'
