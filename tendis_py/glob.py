"""Redis' glob patterns, compiled once and matched many times.

Role: what KEYS, SCAN, PSUBSCRIBE, ACL and CONFIG GET mean by a pattern.
May import: the standard library only.
Does not know: what it matches; a subject is bytes, be it a key, a channel or a directive.

The semantics are those of ``stringmatchlen`` in Redis' util.c, taken apart into elements that each
consume exactly one byte (a set of the bytes they accept) and stars between them. Two details are
kept on purpose: ``[^`` or ``[a`` without a closing bracket runs to the end of the pattern, and a
range compares *signed* bytes, as Redis does where C's ``char`` is signed. One is not: the pattern
``*`` matches the empty subject too, since KEYS and SCAN answer ``*`` without asking the matcher.
"""

import re
from collections.abc import Callable, Iterable, Iterator

__all__ = ["compile_glob", "literal_prefix"]

_Element = frozenset[int] | None
"""The bytes one position accepts; None is a star."""

_STAR, _ANY_ONE, _CLASS, _ESCAPE = b"*?[\\"
_CLASS_END, _NEGATE, _RANGE = b"]^-"
_EVERY_BYTE = frozenset(range(256))


def compile_glob(pattern: bytes, *, ignore_case: bool = False) -> Callable[[bytes], bool]:
    """Return the predicate of ``pattern``: whole subject in, whether it matches out.

    The predicate takes at most time proportional to ``len(pattern) * len(subject)``, whatever the
    number of stars: each run between stars is matched where it first fits, and never tried again.
    """
    elements = list(_elements(pattern, ignore_case))
    return _shortcut(elements) or _by_regex(elements)


def literal_prefix(pattern: bytes) -> bytes:
    """Return the bytes with which every match of ``pattern`` (matched with case) starts."""
    prefix = bytearray()
    for element in _elements(pattern, ignore_case=False):
        if element is None or len(element) != 1:
            break
        prefix += bytes(element)
    return bytes(prefix)


def _elements(pattern: bytes, ignore_case: bool) -> Iterator[_Element]:
    position = 0
    while position < len(pattern):
        byte = pattern[position]
        position += 1
        if byte == _STAR:
            yield None
        elif byte == _ANY_ONE:
            yield _EVERY_BYTE
        elif byte == _CLASS:
            accepted, position = _class(pattern, position, ignore_case)
            yield accepted
        else:
            if byte == _ESCAPE and position < len(pattern):
                byte = pattern[position]
                position += 1
            yield _literal(byte, ignore_case)


def _class(pattern: bytes, position: int, ignore_case: bool) -> tuple[frozenset[int], int]:
    """Read a class from after its ``[``; return what it accepts and where the pattern goes on."""
    accepted: set[int] = set()
    negated = pattern[position : position + 1] == b"^"
    position += negated
    while position < len(pattern) and pattern[position] != _CLASS_END:
        left = len(pattern) - position
        if pattern[position] == _ESCAPE and left >= 2:
            accepted.add(pattern[position + 1])  # Redis compares it with case even when ignoring it
            position += 2
        elif left >= 3 and pattern[position + 1] == _RANGE:
            accepted |= _range(pattern[position], pattern[position + 2], ignore_case)
            position += 3
        else:
            accepted |= _literal(pattern[position], ignore_case)
            position += 1
    return (_EVERY_BYTE - accepted if negated else frozenset(accepted)), position + 1


def _range(one: int, other: int, ignore_case: bool) -> frozenset[int]:
    first, last = sorted((one, other), key=_signed)
    fold = _lower if ignore_case else int
    low, high = _signed(fold(first)), _signed(fold(last))
    return frozenset(byte for byte in range(256) if low <= _signed(fold(byte)) <= high)


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _lower(byte: int) -> int:
    return bytes([byte]).lower()[0]


def _literal(byte: int, ignore_case: bool) -> frozenset[int]:
    if not ignore_case:
        return frozenset((byte,))
    return frozenset((_lower(byte), *bytes([byte]).upper()))


def _shortcut(elements: list[_Element]) -> Callable[[bytes], bool] | None:
    """Return a C-speed predicate for ``*``, ``literal``, ``prefix*``, ``*suffix``, ``*infix*``."""
    if elements == [None]:
        return lambda subject: True
    inner = [element for element in elements if element is not None]
    if not all(len(element) == 1 for element in inner):
        return None
    literal = bytes(byte for element in inner for byte in element)
    starts, ends = elements[:1] == [None], elements[-1:] == [None]
    if len(elements) != starts + len(inner) + ends or not literal:
        return None  # a star further inside, or nothing but stars
    if starts and ends:
        return lambda subject: literal in subject
    if starts:
        return lambda subject: subject.endswith(literal)
    if ends:
        return lambda subject: subject.startswith(literal)
    return literal.__eq__


def _by_regex(elements: list[_Element]) -> Callable[[bytes], bool]:
    """Translate into a regular expression that cannot backtrack over a star it has passed."""
    runs: list[list[frozenset[int]]] = [[]]
    for element in elements:
        if element is None:
            runs.append([])
        else:
            runs[-1].append(element)
    first, *rest = [_expression(run) for run in runs]
    if not rest:
        source = first
    else:
        middle = b"".join(b"(?>.*?%b)" % run for run in rest[:-1] if run)
        source = first + middle + b".*" + rest[-1]
    found = re.compile(source, re.DOTALL).fullmatch
    if rest and not any(runs):  # only stars: for Redis they do not match the empty subject
        return lambda subject: subject != b""
    return lambda subject: found(subject) is not None


def _expression(run: Iterable[frozenset[int]]) -> bytes:
    return b"".join(map(_one_byte, run))


def _one_byte(accepted: frozenset[int]) -> bytes:
    if accepted == _EVERY_BYTE:
        return b"."
    if not accepted:
        return b"(?!)"
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in sorted(accepted))
