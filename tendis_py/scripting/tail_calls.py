"""Calls of a script that leave it: made ordinary ones, so that an error still knows its line.

``return redis.call(...)`` is a tail call: Lua has forgotten the caller once it runs, and with it
the place that an error is to name. In Redis that does no harm, for its ``redis.call`` is written in
C, as all of its libraries are, and those leave the caller alone. Ours is written in Lua. So tail
calls of globals, which scripts have none of their own of, and of fields are made plain calls, in
the code that Lua has compiled; a local function that calls itself may still do so without end.

Knows the layout of Lua 5.1's bytecode, on the machine that has made it.
"""

from __future__ import annotations

import struct
import sys
from array import array

_HEADER = 12
_GETGLOBAL, _GETTABLE, _SELF, _CALL, _TAILCALL = 5, 6, 11, 28, 29
_NO_REGISTER = frozenset((7, 8, 9, 22, 23, 24, 25, 26, 29, 30, 34, 35))
"""Instructions whose A is not what they write to, or that only matter further on: SETGLOBAL,
SETUPVAL, SETTABLE, JMP, EQ, LT, LE, TEST, TAILCALL, RETURN, SETLIST, CLOSE."""
_NIL, _BOOLEAN, _NUMBER, _STRING = 0, 1, 3, 4


def without_tail_calls(code: bytes) -> bytes:
    """``code``, as ``string.dump`` gives it, with ordinary calls of what is not local."""
    if code[:6] != b"\x1bLua\x51\x00" or code[6] != (sys.byteorder == "little"):
        return code
    made = bytearray(code)
    _Chunk(made).function()
    return bytes(made)


class _Chunk:
    """Goes through a compiled chunk, and changes its instructions in place."""

    def __init__(self, code: bytearray) -> None:
        self._code = code
        self._at = _HEADER

    def _int(self) -> int:
        (value,) = struct.unpack_from("=i", self._code, self._at)
        self._at += 4
        return int(value)

    def _skip_string(self) -> None:
        (size,) = struct.unpack_from("=Q", self._code, self._at)
        self._at += 8 + size

    def function(self) -> None:
        self._skip_string()  # of the source
        self._at += 4 + 4 + 4  # lines, and four numbers of a byte
        self._instructions(self._int())
        for _ in range(self._int()):
            self._skip_constant()
        for _ in range(self._int()):
            self.function()
        lines = self._int()
        self._at += 4 * lines
        for _ in range(self._int()):  # local variables
            self._skip_string()
            self._at += 8
        for _ in range(self._int()):  # names of upvalues
            self._skip_string()

    def _skip_constant(self) -> None:
        kind = self._code[self._at]
        self._at += 1
        if kind == _STRING:
            self._skip_string()
        else:
            self._at += {_NIL: 0, _BOOLEAN: 1, _NUMBER: 8}[kind]

    def _instructions(self, count: int) -> None:
        start, self._at = self._at, self._at + 4 * count
        instructions = array("I", bytes(self._code[start : self._at]))
        for place, instruction in enumerate(instructions):
            if instruction & 0x3F == _TAILCALL and _calls_library(instructions, place):
                instructions[place] = (instruction & ~0x3F & ~(0x1FF << 14)) | _CALL
        self._code[start : self._at] = instructions.tobytes()


def _calls_library(instructions: array[int], place: int) -> bool:
    """Whether the function of the call at ``place`` is a global, or was taken out of a table."""
    register = instructions[place] >> 6 & 0xFF
    for before in range(place - 1, -1, -1):
        instruction = instructions[before]
        if instruction >> 6 & 0xFF == register and instruction & 0x3F not in _NO_REGISTER:
            return instruction & 0x3F in (_GETGLOBAL, _GETTABLE, _SELF)
    return False
