"""The syntax of redis.conf: lines of words, quoting, comments, includes.

Role: bytes of a configuration file in, its lines as words out; and the error that names a line.
May import: the package's version.
Does not know: which directives exist or what their words mean.
"""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tendis_py import __version__

BAD_DIRECTIVE = "Bad directive or wrong number of arguments"
COMMAND_LINE = "<command line>"
STDIN = "<stdin>"
USER = "user"
"""What begins a line that defines a user: no directive, there may be any number."""


class ConfigError(Exception):
    """A configuration that can't be used; ``str()`` is what to print before giving up."""

    def __init__(self, reason: str, *, file: str, line_number: int = 0, line: str = "") -> None:
        """``line_number`` counts from 1 (on the command line it counts options); 0 says that the
        file itself could not be read.
        """
        super().__init__(reason, file, line_number, line)
        self.reason = reason
        self.file = file
        self.line_number = line_number
        self.line = line

    def __str__(self) -> str:
        if not self.line_number:
            return f"Fatal error, can't open config file '{self.file}': {self.reason}"
        if self.file == COMMAND_LINE:
            place = f"Reading the command line, at option {self.line_number}"
        else:
            place = f"Reading the configuration file, at line {self.line_number} of {self.file}"
        title = f"*** FATAL CONFIG FILE ERROR (tendis-py {__version__}) ***"
        return f"{title}\n{place}\n>>> '{self.line}'\n{self.reason}"


@dataclass(frozen=True, slots=True)
class Line:
    """One directive as written: ``text`` is the source, ``words`` what it says, name first."""

    file: str
    number: int
    text: str
    words: list[str]

    def error(self, reason: str) -> ConfigError:
        return ConfigError(reason, file=self.file, line_number=self.number, line=self.text)


def read_file(path: str) -> Iterator[Line]:
    """Yield the directives of the file at ``path`` and, in their place, of those it includes.

    Included names may be globs and are relative to the working directory, as in Redis.
    Raises ConfigError.
    """
    yield from _read_file(path, ())


def read_text(data: bytes, file: str) -> Iterator[Line]:
    """Yield the directives in ``data``, which errors call ``file``, and in what it includes."""
    yield from _read_text(data, file, ())


def _read_file(path: str, including: tuple[str, ...]) -> Iterator[Line]:
    try:
        with open(path, "rb") as opened:
            data = opened.read()
    except OSError as error:
        raise ConfigError(error.strerror or str(error), file=path) from error
    yield from _read_text(data, path, (*including, os.path.realpath(path)))


def _read_text(data: bytes, file: str, including: tuple[str, ...]) -> Iterator[Line]:
    for number, raw in enumerate(data.split(b"\n"), start=1):
        raw = raw.strip(b" \t\r")
        if not raw or raw.startswith(b"#"):
            continue
        line = Line(file, number, decode(raw), [])
        try:
            line.words.extend(map(decode, split_words(raw)))
        except ValueError as error:
            raise line.error(str(error)) from None
        if line.words and line.words[0].lower() == "include":
            yield from _include(line, including)
        elif line.words:
            yield line


def _include(line: Line, including: tuple[str, ...]) -> Iterator[Line]:
    if len(line.words) != 2:
        raise line.error(BAD_DIRECTIVE)
    name = line.words[1]
    paths = sorted(glob.glob(name)) if glob.has_magic(name) else [name]
    for path in paths:
        if os.path.realpath(path) in including:
            raise line.error(f"'{path}' includes itself")
        if not os.path.isfile(path):
            raise line.error(f"can't open config file '{path}'")
        yield from _read_file(path, including)


def decode(raw: bytes) -> str:
    """Return ``raw`` as text from which `encode` makes the same bytes again."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_WORD = re.compile(
    rb"""
    ([^\s"']*+)                                             # plain, up to a blank or a quote
    (?: "((?:\\x[0-9a-fA-F]{2} | \\. | [^"\\])*+)"          # escapes as in C
      | '((?:\\' | [^'])*+)' )?                             # no escape but \'
    (?=\s|\Z)                                               # a closing quote ends the word
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_words(line: bytes) -> list[bytes]:
    """Split ``line`` into words as Redis' sdssplitargs does; a NUL outside quotes ends it.

    Raises ValueError when a quote is not closed, or something follows a closing quote.
    """
    line = line.partition(b"\0")[0].strip(b" \t\n\r\f\v")
    words = []
    while line:
        match = _WORD.match(line)
        if match is None:
            raise ValueError("Unbalanced quotes in configuration line")
        plain, double, single = match.groups(default=b"")
        words.append(plain + _ESCAPE.sub(_unescape, double) + single.replace(b"\\'", b"'"))
        line = line[match.end() :].lstrip(b" \t\n\r\f\v")
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    digits, char = match.groups()
    return bytes([int(digits, 16)]) if digits else _CONTROL.get(char, char)
