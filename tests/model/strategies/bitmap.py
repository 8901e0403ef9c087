"""Bitmap commands."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.strategies.common import (
    Family,
    any_integer,
    command,
    key,
    keys,
    one_of,
    options,
    together,
)

_bit = one_of("0 1 1 1 2 x")
_offset = st.one_of(
    one_of("0 1 7 8 9 15 31 63 64 100 500 1000"),
    one_of("32767 32768 131071 131072 200000 -1 4294967296 x"),
)
_end = one_of(
    "0 1 2 3 7 8 12 62 63 64 127 4096 16384 -1 -2 -3 -8 -9 -100 -4000 9223372036854775807 1.5"
)
_unit = one_of("BYTE BIT bit byte") | st.just(b"BITS")
_range: st.SearchStrategy[list[bytes]] = st.one_of(
    st.just([]), together(_end, _end), together(_end, _end, _unit)
)
_format = one_of("u1 u2 u8 u7 u12 u63 i1 i2 i8 i9 i16 i64 i33") | one_of("u64 i65 u0 i8x x U8 i")
_place = st.one_of(
    one_of("0 1 3 7 8 20 63 100 #0 #1 #2 #7"),
    one_of("32760 #4095 131065 160000 -1 # #-1 x 4294967296"),
)
_value = st.one_of(any_integer, one_of("127 128 -128 -129 255 256 65535 -9000000000000000000"))
_overflow = together(b"OVERFLOW", one_of("WRAP SAT FAIL FAIL sat") | st.just(b"NO"))
_get = together(b"GET", _format, _place)
_steps = options(
    _get,
    together(b"SET", _format, _place, _value),
    together(b"INCRBY", _format, _place, _value),
    together(b"INCRBY", one_of("u2 i3 u4 i8"), one_of("0 1 #1"), one_of("1 2 -1 100 -100")),
    _overflow,
)

FAMILY = Family(
    {
        "setbit": command("SETBIT", key, _offset, _bit),
        "getbit": command("GETBIT", key, _offset),
        "bitcount": command("BITCOUNT", key, _range),
        "bitpos": command("BITPOS", key, _bit, st.one_of(_range, _end.map(lambda end: [end]))),
        "bitop": command("BITOP", one_of("AND OR XOR NOT DIFF DIFF1 ANDOR ONE or NO"), key, keys),
        "bitfield": command("BITFIELD", key, _steps, _steps),
        "bitfield_ro": command("BITFIELD_RO", key, options(_get)),
    },
    seeds=[
        [b"SET", b"a", b"\xff\xff\xff"],
        [b"SET", b"b", b"\x00\x00\x0f\xf0"],
        [b"SETBIT", b"c", b"1000", b"1"],
        [b"SET", b"d", b"foobar", b"EX", b"100000"],
        [b"SET", b"key:1", b"\xff" * 9],
        [b"BITFIELD", b"key:2", b"SET", b"i8", b"#3", b"-100"],
        [b"SETBIT", b"a", b"131071", b"1"],
        [b"SETRANGE", b"b", b"20000", b"in fragments"],
        [b"APPEND", b"b", b"more"],
    ],
    of_a_type=True,
)
