"""The Lua libraries beside those of the real server: the same values, bytes, words and positions.

What is compared is shown by a function in Lua, which both run: numbers with all their digits,
tables in the order in which ``next`` has them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.lua51 import LuaRuntime

from tendis_py.scripting.libraries import Libraries
from tests.support.resp import RawClient
from tests.support.servers import ServerProcess

SHOW = rb"""local function shown(v, depth)
  local kind = type(v)
  if kind == 'number' then return string.format('%.17g', v) end
  if kind == 'string' then return string.format('%q', v) end
  if v == cjson.null then return 'null' .. tostring(v) end
  if kind == 'function' then return kind end
  if kind ~= 'table' then return tostring(v) end
  if depth > 30 then return '...' end
  local out = {}
  for k, e in next, v do out[#out + 1] = shown(k, depth + 1) .. '=' .. shown(e, depth + 1) end
  return '{' .. table.concat(out, ',') .. '}'
end
local function show(...)
  local out = {}
  for i = 1, select('#', ...) do out[i] = shown((select(i, ...)), 0) end
  return table.concat(out, ' ')
end
local function keep(...) return ... end
return show(pcall(function() BODY end))""".replace(b"\n", b" ")

Ask = Callable[..., tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def ask(redis_server: ServerProcess) -> Any:
    """Runs a Lua body with arguments here and there: both answers."""
    lua = LuaRuntime(
        encoding=None, register_eval=False, register_builtins=False, unpack_returned_tuples=True
    )
    names = lua.globals()
    for name, library in Libraries(lua, lambda name, value: None).tables.items():
        names[name.encode()] = library
    compiled: dict[bytes, Any] = {}
    load = lua.eval(b"function(text) return assert(loadstring(text, '@user_script')) end")
    with redis_server.client() as client:

        def ask(body: str | bytes, *arguments: bytes) -> tuple[bytes, bytes]:
            body = body.encode("latin-1") if isinstance(body, str) else body
            script = SHOW.replace(b"BODY", body)
            if script not in compiled:
                compiled[script] = load(script)
            names[b"ARGV"] = lua.table_from(arguments)
            ours = compiled[script]()
            theirs = client.value(b"EVAL", script, b"0", *arguments)
            assert isinstance(theirs, bytes), theirs
            return ours, theirs

        yield ask


def agree(ask: Ask, body: str | bytes, *arguments: bytes) -> bytes:
    ours, theirs = ask(body, *arguments)
    assert ours == theirs, (body, arguments)
    return ours


# Lua source of values -----------------------------------------------------------------------------


def literal(value: object) -> str:
    """Lua source of a value: None is nil, a list of pairs is a table."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return "(0/0)" if math.copysign(1, value) < 0 else "(-(0/0))"
        if math.isinf(value):
            return "(1/0)" if value > 0 else "(-1/0)"
        return f"({value!r})"
    if isinstance(value, int):
        return f"({value})"
    if isinstance(value, bytes):
        return '"' + "".join(f"\\{byte:03d}" for byte in value) + '"'
    if isinstance(value, str):
        return value
    assert isinstance(value, list)
    return "{" + ",".join(f"[{literal(key)}]={literal(element)}" for key, element in value) + "}"


edges = [
    *(0.0, -0.0, 0.5, 1.1, 1e15, 1e16, 123456789012345678.0, 2.0**53, 2.0**63, -(2.0**63), 2.0**64),
    *(1e300, 5e-324, 2.2250738585072014e-308, 1.401298464324817e-45, 1e-46, 3.4028234663852886e38),
    *(3.5e38, math.inf, -math.inf, math.nan, -math.nan, 16777217.0, 0.1),
    *(float(sign * (2**bits + more)) for sign in (1, -1) for bits in (5, 7, 8, 15, 16, 31, 32)
      for more in (-1, 0, 1)),
]  # fmt: skip
numbers = st.one_of(
    st.sampled_from(edges),
    st.integers(-300, 300).map(float),
    st.floats(width=64).filter(lambda number: number == number),
    st.floats(width=32).filter(lambda number: number == number),
)
texts = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"/", b'"', b"\\", b"\x7f\x00\x1f", b"\xff\xfe", "é€😀".encode(), b"x" * 40]),
    st.integers(250, 260).map(lambda size: b"y" * size),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.just("cjson.null"))
keys = st.one_of(
    st.integers(-2, 15).map(float),
    texts.filter(lambda text: len(text) < 32),  # Redis' Lua hashes longer ones in its own way
    st.sampled_from([0.5, 2.0**31, 2.0**31 - 1, 2.0**32 + 1, 1e300, math.inf, True]),
)


def tables(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    sparse = st.lists(st.tuples(keys, values), max_size=6)
    arrays = st.lists(values, max_size=20).map(
        lambda elements: [(float(at), value) for at, value in enumerate(elements, 1)]
    )
    return st.one_of(sparse, arrays)


values = st.recursive(scalars, tables, max_leaves=12)


# cjson --------------------------------------------------------------------------------------------

numerals = st.one_of(
    st.from_regex(r"[+-]?[0-9]{0,3}\.?[0-9]{0,2}([eE][+-]?[0-9]{0,2})?", fullmatch=True),
    st.sampled_from(
        [
            *("0x", "0x1", "0x.8p1", "-0X1P-3", "0x1p", "0x.p1", "0x1.p2", "00012", "+", "-", "--"),
            *("inf", "-inf", "infinity", "INFINIT", "-Infinity", "NaN", "-nan", "nan(1)", "nan(?)"),
            *("1e", "1e+", "1.e5", ".5", "-.5", "5.", "1e999", "1e-999", "+1", "nul", "tru"),
            "12345678901234567890",
        ]
    ),
)
strings = st.one_of(
    st.sampled_from(
        [
            *(
                r"\u0041",
                r"\ud83d\ude00",
                r"\ud83d",
                r"\ude00",
                r"\ud83d\u0041",
                r"\u12g4",
                r"\u12",
            ),
            *(
                r"\x",
                r"\n\t\r\b\f\/\\\"",
                "\\",
                r"\u0000",
                r"\uFFFF",
                r"a\ud83dx",
                "é",
                '"',
                "\x00",
            ),
        ]
    ),
    st.text(max_size=4),
)
pieces = st.one_of(
    st.sampled_from(list('{}[]:,"')),
    st.sampled_from(["null", "true", "false", " ", "\n", "\x00", "[1,2]", '{"a":1}']),
    numerals,
    strings.map(lambda text: f'"{text}"'),
)
json_scalars = st.one_of(
    st.sampled_from(["null", "true", "false"]), numerals, strings.map(lambda text: f'"{text}"')
)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spaced = st.tuples(st.sampled_from(["", " ", "\r\n\t"]), inner).map("".join)
    arrays = st.lists(spaced, max_size=4).map(lambda parts: "[" + ",".join(parts) + " ]")
    fields = st.tuples(strings, spaced).map(lambda field: f'"{field[0]}" :{field[1]}')
    objects = st.lists(fields, max_size=4).map(lambda parts: "{" + ",".join(parts) + "}")
    return st.one_of(arrays, objects)


documents = st.one_of(
    st.recursive(json_scalars, containers, max_leaves=8),
    st.lists(pieces, max_size=8).map("".join),
)


def decodes_alike(ask: Ask, document: bytes) -> None:
    agree(ask, "return keep(cjson.decode(ARGV[1]))", document)
    agree(
        ask,
        "local c = cjson.new() c.decode_invalid_numbers(false) return keep(c.decode(ARGV[1]))",
        document,
    )


@settings(max_examples=60)
@given(documents)
def test_json_is_decoded_and_refused_alike(ask: Ask, document: str) -> None:
    decodes_alike(ask, document.encode("utf-8", "surrogatepass"))


@pytest.mark.soak
@settings(max_examples=5000)
@given(documents)
def test_json_is_decoded_and_refused_alike_for_long(ask: Ask, document: str) -> None:
    decodes_alike(ask, document.encode("utf-8", "surrogatepass"))


ENCODINGS = [
    "",
    "c.encode_invalid_numbers(true) c.encode_sparse_array(true, 3, 2)",
    "c.encode_invalid_numbers('null') c.encode_number_precision(5) c.encode_sparse_array(true)",
    "c.encode_sparse_array(false, 0) c.encode_max_depth(2) c.encode_keep_buffer(false)",
]


def encodes_alike(ask: Ask, value: object, setting: str) -> None:
    agree(ask, f"local c = cjson.new() {setting} return keep(c.encode({literal(value)}))")


def small(value: object) -> bool:
    """Without arrays that have a far index, which would be written out in full."""
    if not isinstance(value, list):
        return True
    far = any(isinstance(key, float) and 1000 < key < 2**31 for key, _ in value)
    return not far and all(small(inner) for _, inner in value)


@settings(max_examples=60)
@given(values.filter(small), st.sampled_from(ENCODINGS))
def test_json_is_encoded_and_refused_alike(ask: Ask, value: object, setting: str) -> None:
    encodes_alike(ask, value, setting)


@pytest.mark.soak
@settings(max_examples=5000)
@given(values.filter(small), st.sampled_from(ENCODINGS))
def test_json_is_encoded_and_refused_alike_for_long(ask: Ask, value: object, setting: str) -> None:
    encodes_alike(ask, value, setting)


# cmsgpack -----------------------------------------------------------------------------------------

packed_heads = st.one_of(
    st.integers(0, 255).map(lambda byte: bytes([byte])),
    st.sampled_from(
        [
            *(b"\xd9\3", b"\xda\0\2", b"\xdb\0\0\0\1", b"\xdc\0\2", b"\xdd\0\0\0\1", b"\xde\0\1"),
            *(b"\xdf\0\0\0\1", b"\xdb\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\x81\xc0"),
            *(b"\x92", b"\x82", b"\xa2ab", b"\xca\x7f\xc0\0\0", b"\xca\xff\x80\0\0"),
            *(b"\xca\0\0\0\1", b"\xca\x3f\x80\0\1"),
        ]
    ),
    st.sampled_from(edges).map(lambda number: b"\xcb" + struct.pack(">d", number)),
    st.binary(min_size=8, max_size=8).map(lambda tail: b"\xcf" + tail),
    st.binary(min_size=8, max_size=8).map(lambda tail: b"\xd3" + tail),
)
packed = st.lists(packed_heads, max_size=10).map(b"".join)
offsets = st.one_of(st.integers(-2, 12), st.sampled_from([2**31, 2**32 + 1, -(2**33)]))


def packs_alike(ask: Ask, some: list[object]) -> None:
    agree(ask, f"return keep(cmsgpack.pack({','.join(map(literal, some))}))")


def unpacks_alike(ask: Ask, data: bytes, limit: int, offset: int) -> None:
    agree(ask, "return keep(cmsgpack.unpack(ARGV[1]))", data)
    agree(ask, "return keep(cmsgpack.unpack_one(ARGV[1], ARGV[2]))", data, b"%d" % offset)
    call = "return keep(cmsgpack.unpack_limit(ARGV[1], ARGV[2], tonumber(ARGV[3])))"
    agree(ask, call, data, b"%d" % limit, b"%d" % offset)


@settings(max_examples=50)
@given(st.lists(values, max_size=3))
def test_messages_are_packed_alike(ask: Ask, some: list[object]) -> None:
    packs_alike(ask, some)


@settings(max_examples=50)
@given(packed, offsets, offsets)
def test_messages_are_unpacked_and_refused_alike(
    ask: Ask, data: bytes, limit: int, offset: int
) -> None:
    unpacks_alike(ask, data, limit, offset)


@pytest.mark.soak
@settings(max_examples=5000)
@given(st.lists(values, max_size=3), packed, offsets, offsets)
def test_messages_are_packed_and_unpacked_alike_for_long(
    ask: Ask, some: list[object], data: bytes, limit: int, offset: int
) -> None:
    packs_alike(ask, some)
    unpacks_alike(ask, data, limit, offset)


# struct -------------------------------------------------------------------------------------------

options = st.one_of(
    st.sampled_from(list("bBhHlLTfdxiIsc")),
    st.sampled_from(["c0", "c3", "i1", "I2", "i3", "i8", "I9", "i16"]),
    st.sampled_from(["<", ">", "!", "!1", "!2", "!4", "!8", "!16", "! 4", " "]),
    st.sampled_from(["i0", "i32", "i33", "!3", "!0", "z", "\xe9", "%", "c99999999999", "\x00"]),
)
formats = st.lists(options, max_size=6).map("".join)
numerals_of_lua = st.sampled_from([b"12", b"0x10", b"1e2", b" 7 "])
struct_values = st.lists(st.one_of(numbers, texts, numerals_of_lua, st.none()), max_size=6)


def structures_alike(ask: Ask, form: str, some: list[object], data: bytes, offset: int) -> None:
    arguments = ",".join(map(literal, [form.encode("latin-1"), *some]))
    agree(ask, f"return keep(struct.pack({arguments}))")
    packed_form = form.encode("latin-1")
    agree(ask, "return keep(struct.unpack(ARGV[1], ARGV[2]))", packed_form, data)
    call = "return keep(struct.unpack(ARGV[1], ARGV[2], ARGV[3]))"
    agree(ask, call, packed_form, data, b"%d" % offset)
    agree(ask, "return keep(struct.size(ARGV[1]))", packed_form)


@settings(max_examples=50)
@given(formats, struct_values, st.binary(max_size=40), st.integers(-3, 12))
def test_structures_are_packed_and_unpacked_alike(
    ask: Ask, form: str, some: list[object], data: bytes, offset: int
) -> None:
    structures_alike(ask, form, some, data, offset)


@pytest.mark.soak
@settings(max_examples=5000)
@given(formats, struct_values, st.binary(max_size=40), st.integers(-3, 12))
def test_structures_are_packed_and_unpacked_alike_for_long(
    ask: Ask, form: str, some: list[object], data: bytes, offset: int
) -> None:
    structures_alike(ask, form, some, data, offset)


# bit ----------------------------------------------------------------------------------------------

OPERATIONS = [
    *("tobit", "tohex", "bnot", "band", "bor", "bxor"),
    *("lshift", "rshift", "arshift", "rol", "ror", "bswap"),
]
bit_arguments = st.lists(
    st.one_of(
        st.integers(-(2**40), 2**40).map(float),
        st.integers(-40, 40).map(lambda number: number / 2),
        numbers,
        st.sampled_from([b"12", b"0xff", b"x", None, True, []]),
        st.sampled_from([2.0**51 + 0.5, -(2.0**52), 2.0**54 + 4]),
    ),
    max_size=4,
)


def operates_alike(ask: Ask, operation: str, some: list[object]) -> None:
    agree(ask, f"return keep(bit.{operation}({','.join(map(literal, some))}))")


@settings(max_examples=50)
@given(st.sampled_from(OPERATIONS), bit_arguments)
def test_bits_are_operated_on_alike(ask: Ask, operation: str, some: list[object]) -> None:
    operates_alike(ask, operation, some)


@pytest.mark.soak
@settings(max_examples=5000)
@given(st.sampled_from(OPERATIONS), bit_arguments)
def test_bits_are_operated_on_alike_for_long(ask: Ask, operation: str, some: list[object]) -> None:
    operates_alike(ask, operation, some)


# What is not random -------------------------------------------------------------------------------

CASES = Path(__file__).with_name("library_cases.lua").read_text().splitlines()[1:]


@pytest.mark.parametrize("body", CASES)
def test_the_same(ask: Ask, body: str) -> None:
    agree(ask, body)


def test_the_same_in_scripts(redis_client: RawClient, tendis_default: ServerProcess) -> None:
    """As scripts see them: behind read-only tables, their calls at the end of a function."""
    with tendis_default.client() as client:
        for server in (client, redis_client):
            server.command("SCRIPT", "FLUSH")  # and what other tests have set
        for body in (*CASES, "cjson.null = 1", "bit.band = nil", "return getmetatable(bit)"):
            assert client.command("EVAL", body, "0") == redis_client.command("EVAL", body, "0"), (
                body
            )


def test_what_is_set_of_cjson_stays_set_for_all(
    redis_client: RawClient, tendis_default: ServerProcess
) -> None:
    """Also in a thread of its own, where a script goes that is known to take long."""
    depths = (
        "return {cjson.encode_max_depth(), tostring(cjson.encode_sparse_array())}",
        "local n = 0 for i = 1, 3e6 do n = n + 1 end return cjson.encode_max_depth()",
    )
    with tendis_default.client() as client, tendis_default.client() as other:
        for server, reader in ((redis_client, redis_client), (client, other)):
            server.command("SCRIPT", "FLUSH")  # and what other tests have set
            assert reader.value("EVAL", depths[0], "0") == [1000, b"false"]
            server.command("EVAL", "cjson.encode_sparse_array(true) cjson.encode_max_depth(7)", "0")
            assert reader.value("EVAL", depths[0], "0") == [7, b"true"]
            assert reader.value("EVAL", depths[1], "0") == 7
            server.command("SCRIPT", "FLUSH")
            assert reader.value("EVAL", depths[0], "0") == [1000, b"false"]


def test_the_table_of_a_library_hides_where_it_is_from(ask: Ask) -> None:
    """No Python in sight, and the metatable of null out of reach."""
    ours, _ = ask("return keep(getmetatable(cjson.null), getmetatable(cjson))")
    assert ours == b"true false nil"


def test_a_large_document_comes_through(ask: Ask) -> None:
    people = (b'{"name":"n%d","tags":["a","b\\n"],"x":1.5}' % number for number in range(3000))
    document = b"[" + b",".join(people) + b"]"
    agree(ask, "return keep(#cjson.encode(cjson.decode(ARGV[1])))", document)
