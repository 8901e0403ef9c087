"""What redis-server's networking.c does with input, written as plainly as possible.

One byte at a time, from a whole buffer: slow, obvious, and independent of tendis_py. Limits on
lines that do not end are left out, since they depend on how input is cut into chunks. NUL is a
byte like any other: Redis, whose C strings end there, would not find the end of such a line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_BULK = 512 * 1024 * 1024
_END = -1
_SPACES = tuple(b" \t\n\v\f\r")
_WORD_ENDS = (*b" \n\r\t", _END)
_HEX = tuple(b"0123456789abcdefABCDEF")
_ESCAPED = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}


class Unbalanced(ValueError):
    """Quotes that do not close, or that close inside a word."""


@dataclass
class Parsed:
    """``complete`` is false when the input ends inside a request."""

    requests: list[list[bytes]] = field(default_factory=list)
    error: bytes | None = None
    complete: bool = True


def split_arguments(line: bytes) -> list[bytes]:
    """sdssplitargs. Unbalanced when a quote is left open, or closed inside a word."""
    text = [*line, _END, _END, _END, _END]
    position = 0
    found: list[bytes] = []
    while True:
        while text[position] in _SPACES:
            position += 1
        if text[position] == _END:
            return found
        word, position = _split_word(text, position)
        found.append(word)


def _split_word(text: list[int], position: int) -> tuple[bytes, int]:
    word = bytearray()
    quote = 0
    while True:
        byte, following = text[position], text[position + 1]
        if not quote:
            if byte in _WORD_ENDS:
                return bytes(word), position
            if byte in b"\"'":
                quote = byte
            else:
                word.append(byte)
        elif byte == _END:
            raise Unbalanced
        elif byte == quote:
            if following != _END and following not in _SPACES:
                raise Unbalanced
            return bytes(word), position + 1
        elif byte == ord("\\") and quote == ord('"') and following != _END:
            digits = text[position + 2 : position + 4]
            if following == ord("x") and all(digit in _HEX for digit in digits):
                word.append(int(bytes(digits), 16))
                position += 3
            else:
                word.append(_ESCAPED.get(following, following))
                position += 1
        elif byte == ord("\\") and quote == ord("'") and following == ord("'"):
            word.append(following)
            position += 1
        else:
            word.append(byte)
        position += 1


def parse_requests(data: bytes) -> Parsed:
    """All that ``data`` asks for, up to a protocol error or its end."""
    parsed = Parsed()
    position = 0
    while position < len(data) and parsed.error is None and parsed.complete:
        if data[position] == ord("*"):
            position = _multibulk(data, position, parsed)
        else:
            position = _inline(data, position, parsed)
    return parsed


def _inline(data: bytes, position: int, parsed: Parsed) -> int:
    end = data.find(b"\n", position)
    if end < 0:
        parsed.complete = False
        return position
    line = data[position:end]
    if line.endswith(b"\r"):
        line = line[:-1]
    try:
        arguments = split_arguments(line)
    except Unbalanced:
        parsed.error = b"unbalanced quotes in request"
        return position
    if arguments:
        parsed.requests.append(arguments)
    return end + 1


def _multibulk(data: bytes, position: int, parsed: Parsed) -> int:
    digits, position = _header(data, position, parsed)
    if digits is None:
        return position
    count = _integer(digits)
    if count is None or count > 2**31 - 1:
        parsed.error = b"invalid multibulk length"
        return position
    arguments: list[bytes] = []
    while len(arguments) < count:
        if position == len(data):
            parsed.complete = False
            return position
        marker = data[position : position + 1]
        digits, position = _header(data, position, parsed)
        if digits is None:
            return position
        if marker != b"$":
            shown = b" " if marker in (b"\r", b"\n") else marker
            parsed.error = b"expected '$', got '%b'" % shown
            return position
        length = _integer(digits)
        if length is None or not 0 <= length <= MAX_BULK:
            parsed.error = b"invalid bulk length"
            return position
        if position + length + 2 > len(data):
            parsed.complete = False
            return position
        arguments.append(data[position : position + length])
        position += length + 2
    if arguments:
        parsed.requests.append(arguments)
    return position


def _header(data: bytes, position: int, parsed: Parsed) -> tuple[bytes | None, int]:
    """The digits after a marker; the line ends at CR and one more byte, whatever that is."""
    end = data.find(b"\r", position)
    if end < 0 or end + 1 >= len(data):
        parsed.complete = False
        return None, position
    return data[position + 1 : end], end + 2


def _integer(digits: bytes) -> int | None:
    """string2ll: a canonical decimal of at most 64 bits."""
    plain = digits.removeprefix(b"-")
    if not plain.isdigit() or (plain.startswith(b"0") and digits != b"0"):
        return None
    value = int(digits)
    return value if -(2**63) <= value < 2**63 else None
