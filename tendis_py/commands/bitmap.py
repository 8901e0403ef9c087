"""Bitmap commands: strings as arrays of bits and of small integers."""

from __future__ import annotations

from functools import partial

from tendis_py.commands.arguments import integer
from tendis_py.commands.context import Context
from tendis_py.commands.events import Fired, changed, stores
from tendis_py.commands.registry import Keys, command
from tendis_py.errors import (
    BIT_NOT_BINARY,
    BIT_OFFSET,
    BIT_VALUE,
    BITFIELD_OVERFLOW,
    BITFIELD_READ_ONLY,
    BITFIELD_TYPE,
    BITOP_NOT,
    ReplyError,
    bitop_sources,
    syntax_error,
)
from tendis_py.numbers import strict_integer
from tendis_py.resp.replies import Reply
from tendis_py.storage.codec import Row
from tendis_py.storage.events import Event, Writes
from tendis_py.types.string import bitfield, bitmap
from tendis_py.types.string.bitfield import FAIL, GET, INCRBY, SAT, SET, WRAP, Format, Step
from tendis_py.types.string.fragments import size
from tendis_py.types.string.values import checked

_command = partial(command, group="bitmap")

_READ = Keys("RO access")


def _bit_offset(ctx: Context, argument: bytes, bits: int = 0) -> int:
    """The position of a bit; with ``bits``, ``#n`` stands for that of the n-th such field."""
    multiple = bits and argument[:1] == b"#"
    offset = strict_integer(argument[1:] if multiple else argument)
    if offset is None:
        raise ReplyError(BIT_OFFSET)
    if multiple:
        offset = (offset * bits + 2**63) % 2**64 - 2**63  # as C multiplies, and Redis' clients see
    if offset < 0 or offset >> 3 >= ctx.services.config.proto_max_bulk_len:
        raise ReplyError(BIT_OFFSET)
    return offset


# Single bits


@_command(
    "setbit",
    4,
    since="2.2.0",
    flags="write denyoom",
    keys=Keys("RW access update"),
    syntax="key offset value",
    events="setbit",
)
def setbit(ctx: Context, args: list[bytes]) -> Reply:
    """Sets or clears the bit at offset of the string value.
    Creates the key if it doesn't exist.
    """
    offset = _bit_offset(ctx, args[2])
    if args[3] not in (b"0", b"1"):
        raise ReplyError(BIT_VALUE)
    return bitmap.set_bit(ctx.db, args[1], offset, int(args[3]))


@_command("getbit", 3, since="2.2.0", flags="readonly fast", keys=_READ, syntax="key offset")
def getbit(ctx: Context, args: list[bytes]) -> Reply:
    """Returns a bit value by offset."""
    return bitmap.get_bit(ctx.db, args[1], _bit_offset(ctx, args[2]))


# Searching

_UNITS = {b"BYTE": 8, b"BIT": 1}


def _unit(argument: bytes) -> int:
    """Bits per position of a range."""
    unit = _UNITS.get(argument.upper())
    if unit is None:
        raise syntax_error()
    return unit


def _bits(row: Row | None, first: int, last: int, unit: int) -> range:
    """The bits of the string that a range of ``unit`` bits covers."""
    length = 0 if row is None else size(row)
    found = bitmap.interval(first, last, length * 8 // unit)
    return range(found.start * unit, found.stop * unit)


@_command(
    "bitcount",
    -2,
    since="2.6.0",
    flags="readonly",
    keys=_READ,
    complexity="O(N)",
    syntax="key [start end [BYTE | BIT]]",
)
def bitcount(ctx: Context, args: list[bytes]) -> Reply:
    """Counts the number of set bits (population counting) in a string."""
    first, last, unit = 0, -1, 8
    if len(args) > 2:
        if len(args) not in (4, 5):
            raise syntax_error()
        first, last = integer(args[2]), integer(args[3])
        if len(args) == 5:
            unit = _unit(args[4])
    row = checked(ctx.db.find(args[1]))
    if row is None or (first < 0 and last < 0 and first > last):
        return 0
    return bitmap.count(ctx.db, row, _bits(row, first, last, unit))


@_command(
    "bitpos",
    -3,
    since="2.8.7",
    flags="readonly",
    keys=_READ,
    complexity="O(N)",
    syntax="key bit [start [end [BYTE | BIT]]]",
)
def bitpos(ctx: Context, args: list[bytes]) -> Reply:
    """Finds the first set (1) or clear (0) bit in a string."""
    bit = integer(args[2])
    if bit not in (0, 1):
        raise ReplyError(BIT_NOT_BINARY)
    if len(args) > 6:
        raise syntax_error()
    first = integer(args[3]) if len(args) > 3 else 0
    unit = _unit(args[5]) if len(args) > 5 else 8
    last = integer(args[4]) if len(args) > 4 else -1
    row = checked(ctx.db.find(args[1]))
    if row is None:
        return -1 if bit else 0
    bits = _bits(row, first, last, unit)
    if not bits:
        return -1
    found = bitmap.find(ctx.db, row, bit, bits)
    if found is not None:
        return found
    # Without an end the string is taken to go on with zeros.
    return bits.stop if not bit and len(args) < 5 else -1


# Combining


@_command(
    "bitop",
    -4,
    since="2.6.0",
    flags="write denyoom",
    keys=(Keys("OW update", first=2), Keys("RO access", first=3, last=-1)),
    complexity="O(N)",
    syntax="<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    events=stores("set", "$", at=2),
)
def bitop(ctx: Context, args: list[bytes]) -> Reply:
    """Performs bitwise operations on multiple strings, and stores the result."""
    operation = args[1].upper()
    if operation != b"NOT" and operation not in bitmap.OPERATIONS:
        raise syntax_error()
    if operation == b"NOT" and len(args) != 4:
        raise ReplyError(BITOP_NOT)
    if operation in (b"DIFF", b"DIFF1", b"ANDOR") and len(args) < 5:
        raise bitop_sources(operation)
    return bitmap.combine(ctx.db, args[2], args[3:], operation)


# Fields


def _format(argument: bytes) -> Format:
    signed = argument[:1] == b"i"
    bits = strict_integer(argument[1:])
    if argument[:1] not in (b"i", b"u") or bits is None or not 1 <= bits <= 63 + signed:
        raise ReplyError(BITFIELD_TYPE)
    return Format(signed, bits)


_OPERANDS = {b"GET": 2, b"SET": 3, b"INCRBY": 3, b"OVERFLOW": 1}
"""Word of BITFIELD → how many arguments follow it."""


def _operands(args: list[bytes], at: int) -> tuple[bytes, int]:
    """The word at a position and the number of its arguments. Syntax error when some are missing,
    or when it is unknown."""
    word = args[at].upper()
    operands = _OPERANDS.get(word)
    if operands is None or at + operands >= len(args):
        raise syntax_error()
    return word, operands


def _steps(ctx: Context, args: list[bytes]) -> list[Step]:
    steps: list[Step] = []
    overflow = WRAP
    at = 2
    while at < len(args):
        word, operands = _operands(args, at)
        if word == b"OVERFLOW":
            overflow = args[at + 1].upper()
            if overflow not in (WRAP, SAT, FAIL):
                raise ReplyError(BITFIELD_OVERFLOW)
        else:
            form = _format(args[at + 1])
            offset = _bit_offset(ctx, args[at + 2], form.bits)
            value = integer(args[at + 3]) if word != GET else 0
            steps.append(Step(word, form, offset, value, overflow))
        at += 1 + operands
    return steps


def _bitfield_keys(args: list[bytes]) -> list[tuple[int, str]]:
    at = 2
    try:
        while at < len(args):
            word, operands = _operands(args, at)
            if word in (SET, INCRBY):
                break
            at += 1 + operands
        else:
            return [(1, "RO access")]
    except ReplyError:
        pass  # rather a writer than not
    return [(1, "RW access update")]


_ANY_STEP = (
    "GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] "
    "<SET encoding offset value | INCRBY encoding offset increment>"
)


def _bitfield_events(ctx: Context, args: list[bytes], reply: Reply, writes: Writes) -> Fired:
    index, key = ctx.db.index, args[1]
    yield from changed(writes, "$", "setbit", index, key)
    if writes.take_new(index, key):  # only overflows, which leave an empty string
        yield Event("n", "new", index, key)


@_command(
    "bitfield",
    -2,
    since="3.2.0",
    flags="write denyoom",
    keys=Keys(
        "RW access update variable_flags",
        notes="This command allows both access and modification of the key",
    ),
    find_keys=_bitfield_keys,
    complexity="O(1) for each subcommand specified",
    syntax=f"key [{_ANY_STEP} [{_ANY_STEP} ...]]",
    events=_bitfield_events,
)
def bitfield_(ctx: Context, args: list[bytes]) -> Reply:
    """Performs arbitrary bitfield integer operations on strings."""
    steps = _steps(ctx, args)
    if all(step.operation == GET for step in steps):
        return bitfield.look(ctx.db, args[1], steps)
    return bitfield.run(ctx.db, args[1], steps)


@_command(
    "bitfield_ro",
    -2,
    since="6.0.0",
    flags="readonly fast",
    keys=_READ,
    complexity="O(1) for each subcommand specified",
    syntax="key [GET encoding offset [GET encoding offset ...]]",
)
def bitfield_ro(ctx: Context, args: list[bytes]) -> Reply:
    """Performs arbitrary read-only bitfield integer operations on strings."""
    steps = _steps(ctx, args)
    if any(step.operation != GET for step in steps):
        raise ReplyError(BITFIELD_READ_ONLY)
    return bitfield.look(ctx.db, args[1], steps)
