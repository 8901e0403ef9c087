"""Requests by a pattern: ``HSET {key} {field} {value}``.

A template is compiled into one bytes format, so that a request costs one ``%``. Knows what may
stand in braces, not how keys and values are distributed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tendis_py.config.syntax import split_words
from tendis_py.load.errors import LoadError
from tendis_py.load.keys import Keys
from tendis_py.load.values import Values

PLACEHOLDERS = "{key}, {field}, {value} and {int}"
UNCOUNTED = frozenset(
    b"SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC "
    b"REPLCONF QUIT RESET HELLO AUTH SELECT SHUTDOWN".split()
)
"""What has another number of replies than one, or changes what the connection is or has."""

_BRACES = re.compile(rb"\{(\w+)\}")
_DIGITS = 12
_FIELD_DIGITS = 6
_LARGEST_INT = 1_000_000

Column = Callable[[int], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Where the parts of requests are from. ``prefix`` comes before a key's number."""

    random: Random
    keys: Keys
    values: Values
    prefix: bytes
    fields: int


class Template:
    """``name`` is the command's, in capitals."""

    __slots__ = ("_columns", "_format", "name")

    def __init__(self, name: str, form: bytes, columns: Sequence[Column]) -> None:
        self.name = name
        self._format = form.__mod__
        self._columns = columns

    def make(self, amount: int) -> list[bytes]:
        """So many encoded requests."""
        columns = [draw(amount) for draw in self._columns]
        return list(map(self._format, zip(*columns, strict=True) if columns else [()] * amount))


def refuse_uncounted(words: Sequence[bytes]) -> None:
    """Raises LoadError for a request whose replies can't be counted."""
    name = words[0].upper()
    if name in UNCOUNTED or (name == b"CLIENT" and words[1:2] and words[1].upper() == b"REPLY"):
        raise LoadError(f"{name.decode()} can't be part of a load: not every request has one reply")


def compile_template(text: str, drawing: Drawing) -> Template:
    """The template of one line in redis-cli's quoting. Raises LoadError."""
    try:
        words = split_words(text.encode(errors="surrogateescape"))
    except ValueError:
        raise LoadError(f"unbalanced quotes in {text!r}") from None
    if not words:
        raise LoadError("a command has at least a name")
    refuse_uncounted(words)
    form = b"*%d\r\n" % len(words)
    columns: list[Column] = []
    for word in words:
        part, needs = _argument(word, drawing)
        form += part
        columns += needs
    return Template(words[0].decode(errors="replace").upper(), form, columns)


def _argument(word: bytes, drawing: Drawing) -> tuple[bytes, list[Column]]:
    """The format of one bulk string, and what fills it."""
    texts, names = _split(word)
    prefix, prefix_bytes = _escape(drawing.prefix), len(drawing.prefix)
    fixed = {
        b"key": (prefix + b"%%0%dd" % _DIGITS, prefix_bytes + _DIGITS, drawing.keys.draw),
        b"field": (
            b"field:%%0%dd" % _FIELD_DIGITS,
            len(b"field:") + _FIELD_DIGITS,
            lambda amount: drawing.random.choices(range(drawing.fields), k=amount),
        ),
    }
    if all(name in fixed for name in names):
        size = sum(map(len, texts)) + sum(fixed[name][1] for name in names)
        form = _escape(texts[0])
        for name, text in zip(names, texts[1:], strict=True):
            form += fixed[name][0] + _escape(text)
        return b"$%d\r\n%b\r\n" % (size, form), [fixed[name][2] for name in names]

    def pieces(name: bytes, amount: int) -> list[bytes]:
        if name == b"value":
            return drawing.values.draw(amount)
        if name == b"int":
            return [b"%d" % n for n in drawing.random.choices(range(_LARGEST_INT), k=amount)]
        form, _, draw = fixed[name]
        return [form % number for number in draw(amount)]

    form = b"%b".join(map(_escape, texts))

    def whole(amount: int) -> list[bytes]:
        columns = [pieces(name, amount) for name in names]
        if texts == [b"", b""]:
            arguments = columns[0]
        else:
            arguments = [form % row for row in zip(*columns, strict=True)]
        return [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]

    return b"%b", [whole]


def _split(word: bytes) -> tuple[list[bytes], list[bytes]]:
    """The texts around the names in braces, and these. Raises LoadError."""
    parts = _BRACES.split(word)
    for name in parts[1::2]:
        if name not in (b"key", b"field", b"value", b"int"):
            raise LoadError(
                f"{{{name.decode(errors='replace')}}} is unknown: there are {PLACEHOLDERS}"
            )
    return parts[::2], parts[1::2]


def _escape(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")
