"""The bytes that RDB is made of: numbers, strings, listpacks and what came before them, LZF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.rdb import listpack, older, sink
from tendis_py.rdb.checksum import crc64
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.lzf import decompressed
from tendis_py.rdb.source import Source
from tendis_py.types import listpack as sizes


def source(raw: bytes, step: int = 7) -> Source:
    """``raw`` in parts of so many bytes."""
    return Source([raw[at : at + step] for at in range(0, len(raw), step)], len(raw))


def test_checksum() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA  # Redis' own test
    assert crc64(b"6789", crc64(b"12345")) == crc64(b"123456789")


@pytest.mark.parametrize(
    ("number", "raw"),
    [
        (0, b"\0"),
        (63, b"\x3f"),
        (64, b"\x40\x40"),
        (16383, b"\x7f\xff"),
        (16384, b"\x80\0\0\x40\0"),
        (2**32 - 1, b"\x80\xff\xff\xff\xff"),
        (2**32, b"\x81\0\0\0\x01\0\0\0\0"),
        (2**64 - 1, b"\x81" + b"\xff" * 8),
    ],
)
def test_lengths(number: int, raw: bytes) -> None:
    assert sink.length(number) == raw
    assert source(raw, 2).length() == number


@given(st.one_of(st.binary(max_size=200), st.integers(-(2**66), 2**66).map(lambda n: b"%d" % n)))
@settings(max_examples=60)
def test_strings(text: bytes) -> None:
    read = source(sink.string(text) * 2)
    assert [read.string(), read.string()] == [text, text]
    read.end()


def test_integers_are_short() -> None:
    spelled = [b"0", b"-128", b"127", b"128", b"-32769", b"2147483647", b"2147483648", b"007"]
    assert list(map(len, map(sink.string, spelled))) == [2, 2, 2, 3, 5, 5, 11, 4]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x05abc",
        b"\x40",
        b"\x80\0\0",
        b"\x81" + b"\xff" * 8 + b"abc",
        b"\x82abc",
        b"\xc4",
        b"\xc2\0\0",
        b"\xc3\x03\x05abc",
        b"\xc3\x02\x81\x10" + bytes(7) + b"\0a",
    ],
)
def test_strings_that_are_none(raw: bytes) -> None:
    with pytest.raises(CorruptError):
        source(raw).string()


# LZF


def compressed(text: bytes) -> bytes:
    """Some LZF of ``text``: each three bytes that have come within reach are referred to."""
    made, plain, at = bytearray(), bytearray(), 0

    def flush() -> None:
        for start in range(0, len(plain), 32):
            part = plain[start : start + 32]
            made.extend(bytes([len(part) - 1]) + part)
        plain.clear()

    while at < len(text):
        start = text.rfind(text[at : at + 3], max(at - 8192, 0), at + 2)
        if start < 0 or start == at or at + 3 > len(text):
            plain.append(text[at])
            at += 1
            continue
        flush()
        length = 3
        while (
            length < 264
            and text[start + length : start + length + 1]
            == text[at + length : at + length + 1]
            != b""
        ):
            length += 1
        back, code = at - start - 1, length - 2
        made.append(min(code, 7) << 5 | back >> 8)
        if code >= 7:
            made.append(code - 7)
        made.append(back & 0xFF)
        at += length
    flush()
    return bytes(made)


texts = st.lists(
    st.one_of(
        st.binary(max_size=40), st.builds(bytes.__mul__, st.binary(max_size=3), st.integers(0, 300))
    )
).map(b"".join)


@given(texts, st.integers(1, 50))
@settings(max_examples=60)
def test_lzf(text: bytes, step: int) -> None:
    raw = compressed(text)
    parts = [raw[at : at + step] for at in range(0, len(raw), step)]
    assert b"".join(decompressed(parts, len(text))) == text
    for wrong in (len(text) - 1, len(text) + 1):
        with pytest.raises(CorruptError):
            list(decompressed(parts, wrong))


def test_long_lzf_comes_in_blocks() -> None:
    text = b"abc" * 1_000_000
    blocks = list(decompressed([compressed(text[:30_000])] * 100, len(text)))
    assert b"".join(blocks) == text
    assert max(map(len, blocks)) < 1 << 20


@pytest.mark.parametrize("raw", [b"\x20", b"\x20\0", b"\xe0\x01", b"\x05ab", b"\0a\x20\x01"])
def test_what_is_no_lzf(raw: bytes) -> None:
    with pytest.raises(CorruptError):
        list(decompressed([raw], 10))


# Listpacks


entries = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([b"x" * size for size in (63, 64, 126, 127, 4095, 4096, 17000)]),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5000, 5000),
    st.integers(-(2**66), 2**66).map(lambda number: b"%d" % number),
)


@given(st.lists(entries, max_size=30))
@settings(max_examples=60)
def test_listpacks(values: list[bytes | int]) -> None:
    raw = listpack.pack(values)
    spelled = list(map(listpack.text, values))
    assert list(listpack.texts(source(raw, 1000))) == spelled
    assert len(raw) == sizes.EMPTY + sizes.entries_size(spelled)


def test_a_listpack_of_very_many() -> None:
    raw = listpack.pack(range(70_000))
    assert list(listpack.entries(source(raw, 1 << 16))) == list(range(70_000))


def damaged(raw: bytes) -> Iterator[bytes]:
    """``raw`` cut anywhere, and with each byte changed in some ways."""
    for at in range(len(raw)):
        yield raw[:at]
        for change in (1, 0x80, 0xFF):
            yield raw[:at] + bytes([raw[at] ^ change]) + raw[at + 1 :]


def test_damaged_listpacks() -> None:
    raw = listpack.pack([b"a", b"x" * 70, 5, -300, 2**40, b"y" * 5000])
    for bad in damaged(raw[:150] + raw[-20:]):
        try:
            list(listpack.entries(source(bad)))
        except CorruptError:
            continue


# What came before

ZIPLIST = bytes.fromhex("200000001a00000006000001610302626204fe0503f302c0d4fe04f0ffff7fff")


def test_ziplists() -> None:
    expected = [b"a", b"bb", b"5", b"2", b"-300", b"8388607"]
    assert list(older.ziplist(source(ZIPLIST))) == expected
    for bad in damaged(ZIPLIST):
        try:
            list(older.ziplist(source(bad)))
        except CorruptError:
            continue


def test_ziplists_with_long_entries() -> None:
    long = b"y" * 300
    body = b"\0" + b"\x41\x2c" + long + b"\xfe" + struct.pack("<I", 303) + b"\x80\0\0\0\x03abc"
    raw = struct.pack("<IIH", 11 + len(body), 10 + 303, 2) + body + b"\xff"
    assert list(older.ziplist(source(raw))) == [long, b"abc"]


def test_zipmaps() -> None:
    raw = b"\x02\x01f\x02\0vv\x01g\x01\x02w\0\0\xff"
    assert list(older.zipmap(source(raw))) == [b"f", b"vv", b"g", b"w"]
    for bad in damaged(raw):
        try:
            list(older.zipmap(source(bad)))
        except CorruptError:
            continue


@given(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20))
@settings(max_examples=30)
def test_intsets(numbers: set[int]) -> None:
    in_order = sorted(numbers)
    number, found = older.intset(source(older.pack_intset(in_order)))
    assert (number, list(found)) == (len(numbers), in_order)


@pytest.mark.parametrize(
    "raw", [b"\x03" + bytes(7), struct.pack("<IIhh", 2, 2, 5, 5), struct.pack("<IIh", 2, 2, 5)]
)
def test_intsets_that_are_none(raw: bytes) -> None:
    with pytest.raises(CorruptError):
        list(older.intset(source(raw))[1])
