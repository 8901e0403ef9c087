from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tendis_py.storage.codec import (
    ABSENT,
    NATURAL,
    RAW,
    STRING,
    TEXT,
    StringRow,
    deadline_key,
    decode,
    is_alive,
    namespace_prefix,
    split_deadline_key,
    stored_type,
    upper_bound,
)

DEADLINES = st.integers(0, 2**63 - 1)


@given(st.binary(max_size=50), DEADLINES, st.sampled_from([NATURAL, RAW, TEXT]))
def test_a_row_reads_back_as_it_was_written(value: bytes, expire_at: int, form: int) -> None:
    encoded = StringRow(value, expire_at, form).encode()
    row = decode(encoded)
    assert isinstance(row, StringRow)
    assert (row.value, row.expire_at, row.form) == (value, expire_at, form)
    assert (row.type, row.version) == (STRING, 0)
    assert stored_type(encoded) == STRING


@given(st.binary(max_size=10), DEADLINES, DEADLINES)
def test_expiry_is_told_without_decoding(value: bytes, expire_at: int, now: int) -> None:
    assert is_alive(StringRow(value, expire_at).encode(), now) is (
        expire_at == 0 or expire_at > now
    )


def test_another_deadline_leaves_the_row_as_it_is() -> None:
    row = StringRow(b"v", 5, RAW)
    other = row.with_expiry(9)
    assert (other.value, other.expire_at, other.form) == (b"v", 9, RAW)
    assert row.expire_at == 5


@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_no_version_wrote_is_refused(position: int) -> None:
    raw = bytearray(StringRow(b"v").encode())
    raw[position] = 200
    with pytest.raises(ValueError, match="200"):
        decode(bytes(raw))


def test_the_absent_row_counts_as_expired() -> None:
    assert 0 < ABSENT.expire_at <= 1
    assert ABSENT.version == 0


@given(st.lists(st.tuples(DEADLINES, st.binary(max_size=6)), max_size=10))
def test_expiry_entries_are_in_order_of_deadline(entries: list[tuple[int, bytes]]) -> None:
    encoded = [deadline_key(*entry) for entry in entries]
    read = [split_deadline_key(raw) for raw in sorted(encoded)]
    assert [(deadline, meta_key) for deadline, _, meta_key in read] == sorted(entries)


@given(st.binary(max_size=5), st.binary(max_size=5), st.binary(max_size=8))
def test_the_upper_bound_is_above_a_prefix_and_nothing_else(
    prefix: bytes, rest: bytes, other: bytes
) -> None:
    bound = upper_bound(prefix)
    if bound is None:
        assert prefix.strip(b"\xff") == b""
        return
    assert prefix + rest < bound
    if other >= prefix and not other.startswith(prefix):
        assert other >= bound


def test_namespaces_are_in_order() -> None:
    assert namespace_prefix(1) < namespace_prefix(255) < namespace_prefix(256)
