"""Strings on a keyspace: edge cases, a plain model, and the real server for what is calculated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tendis_py.errors import NOT_INTEGER, OVERFLOW, STRING_TOO_LONG, WRONG_TYPE, ReplyError
from tendis_py.storage.codec import LIST, NATURAL, RAW, Row, StringRow
from tendis_py.storage.database import Database
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.transaction import Transaction
from tendis_py.types import long_double
from tendis_py.types.string import counter, lcs
from tendis_py.types.string import values as strings
from tests.support.resp import Error, decode
from tests.support.servers import ServerProcess
from tests.support.store import Store

NOW = 1_700_000_000_000
LIMIT = 64


class OtherRow(Row):
    """A key that holds no string."""

    __slots__ = ()
    type = LIST
    version = fields_due = 0

    def __init__(self) -> None:
        self.expire_at = 0


@pytest.fixture(scope="module")
def keyspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyspace]:
    engine = Engine(tmp_path_factory.mktemp("data") / "db")
    yield Keyspace(engine)
    engine.close()


@pytest.fixture
def db(keyspace: Keyspace) -> Iterator[Database]:
    """An empty database. What is written is never committed, so that it ends with the test."""
    tx = Transaction(keyspace)
    tx.begin(NOW)
    yield tx.database(0)
    tx.rollback()


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(ReplyError) as caught:
        call()
    return caught.value.message


def row_of(db: Database, key: bytes) -> StringRow:
    row = db.peek(key)
    assert isinstance(row, StringRow)
    return row


# A model: what the functions do to one key, on plain bytes

PIECES = st.binary(max_size=20)
INDEXES = st.integers(-25, 25) | st.sampled_from([-(2**63), 2**63 - 1])


def splice(value: bytes, offset: int, piece: bytes) -> bytes:
    if not piece:
        return value
    padded = value + bytes(max(0, offset - len(value)))
    return padded[:offset] + piece + padded[offset + len(piece) :]


def getrange(value: bytes, start: int, end: int) -> bytes:
    """t_string.c's getrangeCommand, line by line."""
    if start < 0 and end < 0 and start > end:
        return b""
    start, end = (at + len(value) if at < 0 else at for at in (start, end))
    start, end = max(start, 0), max(end, 0)
    end = min(end, len(value) - 1)
    if start > end or not value:
        return b""
    return bytes(value[at] for at in range(start, end + 1))


STEPS = st.lists(
    st.tuples(st.just("append"), PIECES)
    | st.tuples(st.just("overwrite"), st.integers(0, 25), PIECES)
    | st.tuples(st.just("put"), PIECES)
    | st.tuples(st.just("take"))
    | st.tuples(st.just("part"), INDEXES, INDEXES),
    max_size=12,
)


@given(steps=STEPS)
def test_pieces_of_strings(keyspace: Keyspace, steps: list[tuple[object, ...]]) -> None:
    tx = Transaction(keyspace)
    tx.begin(NOW)
    db = tx.database(0)
    model: bytes | None = None
    for step in steps:
        value = model or b""
        match step:
            case ("append", bytes() as piece) if len(value) + len(piece) <= LIMIT:
                model = value + piece
                assert strings.append(db, b"k", piece, LIMIT) == len(model)
            case ("append", bytes() as piece):
                call = partial(strings.append, db, b"k", piece, LIMIT)
                assert error_of(call) == STRING_TOO_LONG
            case ("overwrite", int() as offset, bytes() as piece):
                changed = splice(value, offset, piece)
                assert strings.overwrite(db, b"k", offset, piece, LIMIT) == len(changed)
                model = changed if piece else model
            case ("put", bytes() as piece):
                strings.put(db, b"k", piece)
                model = piece
            case ("take",):
                assert strings.take(db, b"k") == model
                model = None
            case ("part", int() as first, int() as last):
                assert strings.part(db, b"k", first, last) == getrange(value, first, last)
        assert strings.get(db, b"k") == model
        assert db.counts().keys == (model is not None)
    tx.rollback()


def test_the_longest_string(db: Database) -> None:
    assert strings.overwrite(db, b"k", 3, b"x", 4) == 4
    assert error_of(lambda: strings.overwrite(db, b"k", 4, b"x", 4)) == STRING_TOO_LONG
    assert strings.overwrite(db, b"k", 2**63 - 1, b"", 4) == 4
    assert strings.append(db, b"k", b"", 4) == 4
    assert error_of(lambda: strings.append(db, b"k", b"x", 4)) == STRING_TOO_LONG
    assert strings.get(db, b"k") == b"\0\0\0x"


# Conditions and deadlines


def test_conditions(db: Database) -> None:
    assert not strings.put_if(db, b"k", b"1", exists=True)
    assert strings.put_if(db, b"k", b"2", exists=False)
    assert not strings.put_if(db, b"k", b"3", exists=False)
    assert strings.put_if(db, b"k", b"4", exists=True)
    assert strings.get(db, b"k") == b"4"


def test_writes_keep_or_drop_the_deadline(db: Database) -> None:
    def deadline_after(write: Callable[[], object]) -> int:
        strings.put_if(db, b"k", b"1", expire_at=NOW + 5)
        write()
        return row_of(db, b"k").expire_at

    assert deadline_after(lambda: strings.put(db, b"k", b"2")) == 0
    assert deadline_after(lambda: strings.put_if(db, b"k", b"2")) == 0
    assert deadline_after(lambda: strings.put_all(db, [b"k"], [b"2"])) == 0
    kept = NOW + 5
    assert deadline_after(lambda: strings.put_if(db, b"k", b"2", keep_expiry=True)) == kept
    assert deadline_after(lambda: strings.append(db, b"k", b"2", LIMIT)) == kept
    assert deadline_after(lambda: strings.overwrite(db, b"k", 0, b"2", LIMIT)) == kept
    assert deadline_after(lambda: counter.increment(db, b"k", 1)) == kept
    assert deadline_after(lambda: counter.increment_real(db, b"k", b".5")) == kept


def test_a_deadline_in_the_past(db: Database) -> None:
    assert strings.put_if(db, b"k", b"1", expire_at=NOW)
    assert strings.get(db, b"k") is None
    strings.put_if(db, b"k", b"1", expire_at=NOW)
    assert strings.put_if(db, b"k", b"2", exists=False, keep_expiry=True)
    assert row_of(db, b"k").expire_at == 0
    strings.set_deadline(db, b"k", row_of(db, b"k"), NOW)
    assert db.counts().keys == db.counts().expires == 0


def test_many_at_once(db: Database) -> None:
    strings.put_all(db, [b"a", b"b", b"a"], [b"1", b"2", b"3"])
    assert strings.get_many(db, [b"a", b"x", b"b"]) == [b"3", None, b"2"]
    assert db.counts().keys == 2
    assert not strings.put_all_if(db, [b"c", b"a"], [b"4", b"4"], exists=False)
    assert strings.get_many(db, [b"a", b"c"]) == [b"3", None]
    assert strings.put_all_if(db, [b"c", b"c"], [b"4", b"5"], exists=False)
    assert strings.get(db, b"c") == b"5"


def test_no_string(db: Database) -> None:
    db.put(b"k", OtherRow(), None)
    for call in (
        lambda: strings.get(db, b"k"),
        lambda: strings.part(db, b"k", 0, -1),
        lambda: strings.take(db, b"k"),
        lambda: strings.append(db, b"k", b"x", LIMIT),
        lambda: strings.overwrite(db, b"k", 0, b"", LIMIT),
        lambda: counter.increment(db, b"k", 1),
        lambda: counter.increment_real(db, b"k", b"x"),
    ):
        assert error_of(call) == WRONG_TYPE
    assert strings.get_many(db, [b"k"]) == [None]
    strings.put(db, b"k", b"v")
    assert strings.get(db, b"k") == b"v"


# Counting


@given(
    start=st.integers(-(2**63), 2**63 - 1),
    by=st.integers(-(2**63), 2**63 - 1) | st.integers(-9, 9),
)
def test_increment(keyspace: Keyspace, start: int, by: int) -> None:
    tx = Transaction(keyspace)
    tx.begin(NOW)
    db = tx.database(0)
    assert counter.increment(db, b"k", start) == start
    total = start + by
    if -(2**63) <= total < 2**63:
        assert counter.increment(db, b"k", by) == total
    else:
        assert error_of(lambda: counter.increment(db, b"k", by)) == OVERFLOW
        total = start
    assert strings.get(db, b"k") == b"%d" % total
    tx.rollback()


@pytest.mark.parametrize("value", [b"", b" 1", b"1 ", b"01", b"+1", b"-0", b"1.0", b"1\n", b"x"])
def test_what_is_no_integer_stays_as_it_is(db: Database, value: bytes) -> None:
    strings.put(db, b"k", value)
    assert error_of(lambda: counter.increment(db, b"k", 1)) == NOT_INTEGER
    assert strings.get(db, b"k") == value


@pytest.mark.parametrize("value", [b"x", b"01", b"%d" % -(2**63 + 1), b"%d" % 2**63, b"9" * 5000])
def test_a_run_of_counts_with_one_that_fails(db: Database, value: bytes) -> None:
    strings.put_all(db, [b"a", b"k"], [b"1", value])
    with pytest.raises((ReplyError, ValueError)):
        counter.increment_run(db, [b"a", b"k", b"new"])


def test_a_run_of_counts(db: Database) -> None:
    strings.put_all(db, [b"a", b"k"], [b"%d" % -(2**63), b"41"])
    keys = [b"a", b"new", b"k", b"a", b"new"]
    assert counter.increment_run(db, keys) == [-(2**63) + 1, 1, 42, -(2**63) + 2, 2]
    assert strings.get_many(db, keys[:3]) == [b"%d" % (-(2**63) + 2), b"2", b"42"]


@pytest.mark.parametrize("touches", [True, False])
def test_a_run_of_counts_that_are_here_and_there(store: Store, touches: bool) -> None:
    """New, in the cache's old generation, on disk alone, and with a deadline."""
    db = store.db
    strings.put_all(db, [b"disk", b"due"], [b"1", b"2"])
    db.put(b"due", StringRow(b"2", db.now + 1000), db.peek(b"due"))
    store.commit()
    store.forget()
    strings.put_all(db, [b"old"], [b"3"])
    store.commit()
    cache = store.keyspace.cache
    cache.old, cache.young = cache.young, {}
    store.tx.touches = touches
    store.tx.second += 10
    keys = [b"new", b"disk", b"old", b"due", b"new"]
    assert counter.increment_run(db, keys) == [1, 2, 4, 3, 2]
    assert db.last_use(b"new") == store.tx.second
    assert (db.last_use(b"disk") == store.tx.second) is touches
    store.commit()
    assert strings.get_many(db, keys) == [b"2", b"2", b"4", b"3", b"2"]
    assert db.peek(b"due").expire_at == db.now + 1000  # type: ignore[union-attr]
    store.check()


NUMBERS = (
    st.from_regex(rb"[+-]?[0-9]{0,22}\.?[0-9]{0,22}(e[+-]?[0-9]{1,2})?", fullmatch=True)
    | st.from_regex(rb"[+-]?[0-9]{1,22}e[+-]?49[2-6][0-9]", fullmatch=True)
    | st.from_regex(rb"-?0x[0-9a-f]{1,20}\.?[0-9a-f]{0,4}(p-?16[34][0-9]{2})?", fullmatch=True)
    | st.integers(2**63, 2**65).map(lambda number: b"%d.5" % number)
    | st.from_regex(rb"[0-9.exp+\-infaty_ \x00]{0,9}", fullmatch=True)
)


@settings(max_examples=300)
@given(NUMBERS, NUMBERS)
@example(b"0.1", b"0.2")
@example(b"1e4932", b"1e4932")
@example(b"inf", b"-inf")
@example(b"1" * 5119, b"1")
@example(b"0." + b"0" * 5000 + b"1", b"0")
@example(b"0e" + b"9" * 5000, b"-0")
@example(b"-0x1p-16445", b"0x0p" + b"9" * 5000)
def test_sums_of_long_doubles(redis_server: ServerProcess, number: bytes, addend: bytes) -> None:
    with redis_server.client() as client:
        client.command("SET", "k", number)
        expected = decode(client.command("INCRBYFLOAT", "k", addend))
    first, second = long_double.parse(number), long_double.parse(addend)
    if first is None or second is None:
        assert expected == Error("ERR value is not a valid float")
        return
    total = first + second
    if total.infinite:
        assert expected == Error("ERR increment would produce NaN or Infinity")
    else:
        assert bytes(total) == expected


# Encodings


def test_encodings_are_kept_on_disk(keyspace: Keyspace) -> None:
    tx = Transaction(keyspace)
    tx.begin(NOW)
    db = tx.database(1)
    strings.put(db, b"plain", b"1")
    strings.overwrite(db, b"edited", 0, b"1", LIMIT)
    strings.put_if(db, b"expiring", b"1", expire_at=NOW + 1)
    strings.append(db, b"expiring", b"2", LIMIT)
    tx.commit()
    keyspace.cache.clear()
    assert row_of(db, b"plain").form == NATURAL
    assert row_of(db, b"edited").form == RAW
    assert row_of(db, b"expiring").form == RAW
    assert row_of(db, b"expiring").expire_at == NOW + 1
    assert counter.increment(db, b"edited", 1) == 2
    assert strings.encoding(b"edited", row_of(db, b"edited")) == "int"
    for key in (b"plain", b"edited", b"expiring"):
        strings.take(db, key)
    tx.commit()


# With a deadline, what Redis says of keys of 32 bytes and more depends on its allocator.
@settings(max_examples=50)
@given(
    key=st.integers(1, 31).map(lambda size: b"k" * size),
    together=st.integers(30, 44),
    expires=st.booleans(),
)
@example(b"k" * 31, 41, False)
@example(b"k" * 32, 41, False)
@example(b"k", 41, False)
@example(b"k", 42, False)
@example(b"k", 33, True)
@example(b"k", 34, True)
@example(b"k" * 41, 41, False)
def test_encodings_are_those_of_redis(
    redis_server: ServerProcess, key: bytes, together: int, expires: bool
) -> None:
    value = b"v" * max(0, together - len(key))
    with redis_server.client() as client:
        client.command("DEL", key)
        client.command("SET", key, value, *(("EX", "100") if expires else ()))
        expected = decode(client.command("OBJECT", "ENCODING", key))
    assert strings.encoding(key, StringRow(value, NOW if expires else 0)).encode() == expected


# Longest common subsequences

TEXTS = st.text("ab", max_size=40) | st.text("abcd", max_size=40) | st.text("abcdefgh", max_size=9)


@settings(max_examples=200)
@given(TEXTS, TEXTS)
def test_subsequences_are_those_of_redis(redis_server: ServerProcess, a: str, b: str) -> None:
    first, second = a.encode(), b.encode()
    with redis_server.client() as client:
        client.command("MSET", "a", first, "b", second)
        expected = decode(client.command("LCS", "a", "b", "IDX", "WITHMATCHLEN"))
        text = decode(client.command("LCS", "a", "b"))
    found = [
        [
            [match.a, match.a + match.size - 1],
            [match.b, match.b + match.size - 1],
            match.size,
        ]
        for match in lcs.matches(first, second)
    ]
    assert [b"matches", found, b"len", lcs.length(first, second)] == expected
    assert lcs.subsequence(first, second) == text
