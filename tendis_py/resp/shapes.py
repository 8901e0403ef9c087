"""Request shapes: what a client sends again and again differs in its arguments, not their lengths.

A ``Shape`` is a pattern for requests of one command and of given lengths. It reads a chunk of them
in a third of the time that hiredis takes together with the proof of what it read, and is its own
proof: a chunk that is matched from end to end holds what Redis' protocol allows, and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tendis_py.resp.requests import Request

MAX_ARGUMENTS = 64
MAX_NAME = 64
"""Bytes of a command's name: it is what a pattern has to spell out."""
MAX_SHAPES = 256

LEARN_AFTER = 16
"""Chunks without a shape before the first is learnt; each further one waits this much longer, for
learning takes 0.2 ms."""


class Shape:
    """Requests with the name of ``request`` and as many arguments, one at least, as long as its."""

    __slots__ = ("_findall", "_fullmatch", "_head", "_name", "_size")

    def __init__(self, request: Request) -> None:
        name, first, *others = request
        head = b"*%d\r\n$%d\r\n%b\r\n$%d\r\n" % (len(request), len(name), name, len(first))
        pattern = re.escape(head) + b"(.{%d})\r\n" % len(first)
        size = len(head) + len(first) + 2
        for argument in others:
            header = b"$%d\r\n" % len(argument)
            pattern += re.escape(header) + b"(.{%d})\r\n" % len(argument)
            size += len(header) + len(argument) + 2
        compiled = re.compile(pattern, re.DOTALL)
        self._fullmatch, self._findall = compiled.fullmatch, compiled.findall
        self._name, self._head, self._size = name, head, size

    def read(self, chunk: bytes) -> list[Request] | None:
        """The requests of ``chunk``; None unless it is a number of requests of this shape."""
        name = self._name
        if len(chunk) == self._size:
            match = self._fullmatch(chunk)
            return [[name, *match.groups()]] if match is not None else None
        if not chunk.startswith(self._head):
            return None
        found = self._findall(chunk)
        if len(found) * self._size != len(chunk):
            return None
        if type(found[0]) is bytes:
            return [[name, argument] for argument in found]
        return [[name, *arguments] for arguments in found]


class ShapeTable:
    """The shapes of late, by the length of the chunk they came in."""

    __slots__ = ("_learnt", "_missed", "_shapes")

    def __init__(self) -> None:
        self._shapes: dict[int, Shape] = {}
        self._missed = self._learnt = 0

    def read(self, chunk: bytes) -> list[Request] | None:
        """The requests of ``chunk``; None unless they are all of a known shape."""
        shape = self._shapes.get(len(chunk))
        return shape.read(chunk) if shape is not None else None

    def missed(self, chunk: bytes, requests: list[Request]) -> None:
        """``chunk`` is not of a known shape, but holds ``requests``: learn from them, at times."""
        self._missed += 1
        if self._missed < LEARN_AFTER * (self._learnt + 1):
            return
        self._missed = 0
        first = requests[0]
        if not 2 <= len(first) <= MAX_ARGUMENTS or len(first[0]) > MAX_NAME:
            return
        shape = Shape(first)
        self._learnt += 1
        if shape.read(chunk) is None:
            return
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        self._shapes[len(chunk)] = shape
