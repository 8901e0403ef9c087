from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import ReplyError
from tendis_py.storage.codec import FIELDS_DUE, CollectionRow, encoding_name, split_deadline_key
from tendis_py.storage.database import Database
from tendis_py.storage.elements import Elements
from tendis_py.storage.expiry import SLICE, Expiry
from tendis_py.storage.families import EXPIRES, ROWS, SCORE
from tendis_py.storage.limits import DefaultLimits
from tendis_py.types import keys
from tendis_py.types.hash import expiry as hash_expiry
from tendis_py.types.hash import values as hashes
from tendis_py.types.hash.expiry import DELETED, DONE, NO_DEADLINE, NO_FIELD
from tendis_py.types.hash.fields import pack_field, remove_due, unpack_field, visible_value
from tendis_py.types.long_double import LongDouble
from tendis_py.types.scan import Step
from tests.support.store import NOW, Store

LATER = NOW + 5000
KEY = b"h"


class LowLimits(DefaultLimits):
    hash_max_listpack_entries = 3


@pytest.fixture
def db(store: Store) -> Database:
    store.keyspace.limits = LowLimits()
    return store.db


def row_of(store: Store, key: bytes = KEY) -> CollectionRow:
    row = store.db.peek(key)
    assert isinstance(row, CollectionRow)
    return row


def encoding(store: Store) -> str:
    return encoding_name(row_of(store))


def fill(db: Database, number: int) -> None:
    hashes.put_many(db, KEY, [(b"f%05d" % index, b"%d" % index) for index in range(number)])


def content(db: Database) -> dict[bytes, bytes]:
    return dict(hashes.items(db, KEY))


def fields_due(store: Store) -> list[int]:
    """Deadlines of fields in the expiry index."""
    entries = map(split_deadline_key, store.engine.keys(EXPIRES, b"", None))
    return [deadline for deadline, kind, _ in entries if kind == FIELDS_DUE]


# Encoding


@pytest.mark.parametrize("deadline", [0, 1, 2**46 - 1])
@pytest.mark.parametrize("value", [b"", b"v", b"\0", b"\1" * 20])
def test_a_field_reads_back(value: bytes, deadline: int) -> None:
    raw = pack_field(value, deadline)
    assert unpack_field(raw) == (value, deadline)
    assert visible_value(raw, 0) == value
    assert visible_value(raw, deadline or NOW) == (None if deadline else value)


@pytest.mark.parametrize(
    ("pairs", "dated", "expected"),
    [
        ([(b"b", b"1"), (b"a", b""), (b"", b"\0\xff")], [], "listpack"),
        ([(b"b", b"1"), (b"a", b""), (b"", b"\0\xff")], [b"", b"a"], "listpackex"),
        ([(b"%d" % number, b"v") for number in range(10)], [], "hashtable"),
        ([(b"%d" % number, b"v") for number in range(10)], [b"3", b"7"], "hashtable"),
    ],
)
def test_a_hash_reads_back_from_the_disk(
    store: Store,
    db: Database,
    pairs: list[tuple[bytes, bytes]],
    dated: list[bytes],
    expected: str,
) -> None:
    hashes.put_many(db, KEY, pairs)
    for number, field in enumerate(dated):
        hash_expiry.expire(db, KEY, [field], LATER + number)
    before = list(hashes.items(db, KEY))
    store.commit()
    store.reopen()
    assert encoding(store) == expected
    assert list(hashes.items(store.db, KEY)) == before
    assert dict(before) == dict(pairs)
    names = [field for field, _ in pairs]
    assert hash_expiry.deadlines(store.db, KEY, names) == [
        LATER + dated.index(field) if field in dated else NO_DEADLINE for field in names
    ]
    assert row_of(store).fields_due == (LATER if dated else 0)
    assert fields_due(store) == ([LATER] if dated else [])


def test_what_was_read_is_not_changed_by_what_is_written(store: Store, db: Database) -> None:
    hashes.put(db, KEY, b"a", b"1")
    before = row_of(store)
    hashes.put(db, KEY, b"a", b"2")
    hash_expiry.expire(db, KEY, [b"a"], LATER)
    dated = row_of(store)
    hashes.put_many(db, KEY, [(b"a", b"3"), (b"b", b"3")])
    hash_expiry.persist(db, KEY, [b"a"])
    assert before.value == {b"a": b"1"}
    assert dated.value == {b"a": b"2"}
    assert dated.value.deadlines == {b"a": LATER}


# Crossing over


@pytest.mark.parametrize("long", [(b"x" * 65, b"v"), (b"f", b"x" * 65)])
def test_long_ones_make_it_large(store: Store, db: Database, long: tuple[bytes, bytes]) -> None:
    hashes.put(db, KEY, b"a", b"x" * 64)
    hash_expiry.expire(db, KEY, [b"a"], LATER)
    assert encoding(store) == "listpackex"
    hashes.put(db, KEY, *long)
    assert encoding(store) == "hashtable"
    assert content(db) == dict([(b"a", b"x" * 64), long])
    assert hash_expiry.deadlines(db, KEY, [b"a", long[0]]) == [LATER, NO_DEADLINE]
    assert row_of(store).fields_due == LATER


def test_a_large_hash_stays_large_until_it_is_gone(store: Store, db: Database) -> None:
    fill(db, 5)
    assert hashes.delete(db, KEY, [b"f00000", b"f00001", b"f00002", b"f00003"]) == 4
    assert encoding(store) == "hashtable"
    assert hashes.delete(db, KEY, [b"f00004"]) == 1
    assert db.peek(KEY) is None
    store.commit()
    assert store.is_empty
    assert len(store.garbage()) == 1
    hashes.put(db, KEY, b"a", b"1")
    assert encoding(store) == "listpack"


def test_one_pair_costs_one_row_and_the_meta_row(store: Store, db: Database) -> None:
    fill(db, 5)
    store.commit()
    hashes.put(db, KEY, b"f00001", b"new")
    assert len(store.tx.families[ROWS]) == len(store.tx.meta) == 1
    assert hashes.length(db, KEY) == 5
    assert hashes.put(db, KEY, b"g", b"new")
    assert hashes.length(db, KEY) == 6


def test_a_run_of_puts_is_many_puts(store: Store, db: Database) -> None:
    fields = [b"a", b"b", b"a", b"c"]
    assert hashes.put_run(db, KEY, fields, [b"1", b"2", b"3", b"4"]) == [1, 1, 0, 1]
    assert list(hashes.items(db, KEY)) == [(b"a", b"3"), (b"b", b"2"), (b"c", b"4")]
    assert hashes.put_run(db, KEY, [b"d"], [b"5"]) is None  # it grows
    hashes.put(db, KEY, b"d", b"5")
    values = [b"x" * 99, b"7", b"8", b"9"]
    assert hashes.put_run(db, KEY, [b"e", b"a", b"e", b"f"], values) == [1, 0, 0, 1]
    store.commit()
    store.forget()
    expected = {b"a": b"7", b"b": b"2", b"c": b"4", b"d": b"5", b"e": b"8", b"f": b"9"}
    assert content(db) == expected
    hash_expiry.expire(db, KEY, [b"a"], LATER)
    assert hashes.put_run(db, KEY, [b"a"], [b"1"]) is None
    assert hashes.get_run(db, KEY, [b"a"]) == [b"7"]


def test_a_run_with_a_value_too_long_for_a_listpack(db: Database) -> None:
    """It makes the hash large, though it is gone when the run is over."""
    assert hashes.put_run(db, KEY, [b"a", b"a"], [b"x" * 65, b"1"]) is None


def test_a_run_of_gets_counts_as_many(db: Database) -> None:
    fill(db, 20)
    tx = db.tx
    before = tx.counters.hits
    wanted = [b"f00003", b"nothing", b"f00003", b"f00019"]
    assert hashes.get_run(db, KEY, wanted) == [b"3", None, b"3", b"19"]
    assert (tx.counters.hits - before, tx.counters.misses) == (4, 0)
    assert hashes.get_run(db, b"missing", [b"f"] * 4) is None
    assert (tx.counters.hits - before, tx.counters.misses) == (4, 0)


def test_a_command_that_fails_changes_nothing(store: Store, db: Database) -> None:
    hashes.put(db, KEY, b"a", b"text")
    with pytest.raises(ReplyError, match="not an integer"):
        hashes.increment(db, KEY, b"a", 1)
    with pytest.raises(ReplyError, match="not a float"):
        hashes.increment_real(db, KEY, b"a", LongDouble(1, 0))
    assert content(db) == {b"a": b"text"}


# Time


@pytest.mark.parametrize("number", [3, 6])
def test_a_due_field_is_seen_by_nobody(store: Store, db: Database, number: int) -> None:
    fill(db, number)
    hash_expiry.expire(db, KEY, [b"f00001"], LATER)
    store.commit(LATER - 1)
    assert hashes.get(db, KEY, b"f00001") == b"1"
    store.commit(LATER)
    assert hashes.get(db, KEY, b"f00001") is None
    assert hashes.get_many(db, KEY, [b"f00000", b"f00001"]) == [b"0", None]
    assert b"f00001" not in content(db)
    assert list(hashes.fields(db, KEY)) == list(content(db))
    assert len(content(db)) == number - 1
    step = Step(b"", 100)
    assert hashes.scan_names(db, row_of(store), step) == (list(content(db)), None)
    assert dict(hashes.random_fields(db, KEY, 100)) == content(db)
    assert len(hashes.random_fields(db, KEY, number - 1)) == number - 1
    assert {field for field, _ in hashes.random_draws(db, KEY, 50)} <= set(content(db))
    assert hash_expiry.deadlines(db, KEY, [b"f00001"]) == [NO_FIELD]
    assert hash_expiry.persist(db, KEY, [b"f00001"]) == [NO_FIELD]
    assert hash_expiry.expire(db, KEY, [b"f00001"], LATER + 9) == [NO_FIELD]
    assert hash_expiry.get_and_expire(db, KEY, [b"f00001"], None) == [None]
    assert hashes.take(db, KEY, [b"f00001"]) == [None]
    assert hashes.put_new(db, KEY, b"f00001", b"new")
    assert hash_expiry.deadlines(db, KEY, [b"f00001"]) == [NO_DEADLINE]
    assert hashes.length(db, KEY) == number
    store.commit(LATER)
    assert fields_due(store) == []


def test_nothing_is_left_of_a_hash_whose_fields_are_all_due(store: Store, db: Database) -> None:
    for number in (2, 6):
        fill(db, number)
        hash_expiry.expire(db, KEY, list(hashes.fields(db, KEY)), LATER)
        store.commit(LATER)
        assert content(db) == {}
        remove_due(db, KEY, row_of(store))
        assert db.peek(KEY) is None
        store.commit()
        assert store.is_empty


def dying(store: Store, number: int) -> None:
    """A hash of ``number`` fields that are due, under a key with a deadline."""
    fill(store.db, number)
    keys.expire(store.db, KEY, LATER + 60_000)
    hash_expiry.expire(store.db, KEY, list(hashes.fields(store.db, KEY)), LATER)
    store.commit(LATER)


MEETING: list[Callable[[Database], object]] = [
    lambda db: hashes.get(db, KEY, b"f00001"),
    lambda db: hashes.get_run(db, KEY, [b"x", b"f00001"]),
    lambda db: hashes.get_many(db, KEY, [b"x", b"f00001"]),
    lambda db: hashes.take(db, KEY, [b"f00001"]),
    lambda db: hashes.delete(db, KEY, [b"f%05d" % n for n in range(6)]),
    lambda db: hashes.random_fields(db, KEY, 1),
    lambda db: list(hashes.random_draws(db, KEY, 2)),
    lambda db: hash_expiry.get_and_expire(db, KEY, [b"f00001"], LATER + 1),
    lambda db: hash_expiry.put_many(db, KEY, [(b"f00001", b"v")], exist=True),
]


@pytest.mark.parametrize("number", [2, 6])
@pytest.mark.parametrize("meet", MEETING)
def test_a_hash_goes_with_its_last_living_field(
    store: Store, db: Database, meet: Callable[[Database], object], number: int
) -> None:
    dying(store, number)
    meet(db)
    assert db.peek(KEY) is None
    assert hashes.put(db, KEY, b"new", b"v")
    assert row_of(store).expire_at == 0
    hashes.delete(db, KEY, [b"new"])
    store.commit(LATER)
    assert store.is_empty


@pytest.mark.parametrize("number", [2, 6])
def test_a_hash_that_is_dead_stays_where_none_of_its_fields_is_met(
    store: Store, db: Database, number: int
) -> None:
    dying(store, number)
    assert hashes.get(db, KEY, b"x") is None
    assert content(db) == {}
    hashes.length(db, KEY)
    assert hash_expiry.deadlines(db, KEY, [b"f00001"]) == [NO_FIELD]
    assert hash_expiry.expire(db, KEY, [b"f00001"], LATER + 9) == [NO_FIELD]
    assert hashes.delete(db, KEY, [b"x"]) == 0
    assert row_of(store).expire_at == LATER + 60_000


WRITING: list[Callable[[Database], object]] = [
    lambda db: hashes.put(db, KEY, b"new", b"v"),
    lambda db: hashes.put_many(db, KEY, [(b"f00001", b"v"), (b"new", b"v")]),
    lambda db: hashes.put_new(db, KEY, b"new", b"v"),
    lambda db: hashes.increment(db, KEY, b"new", 1),
    lambda db: hash_expiry.put_many(db, KEY, [(b"new", b"v")]),
]


@pytest.mark.parametrize("number", [2, 6])
@pytest.mark.parametrize("write", WRITING)
def test_a_deadline_of_the_dead_does_not_pass_to_what_is_new(
    store: Store, db: Database, write: Callable[[Database], object], number: int
) -> None:
    dying(store, number)
    write(db)
    assert row_of(store).expire_at == 0
    assert content(db)
    store.commit(LATER)
    check_indexes(store)


@pytest.mark.parametrize("number", [3, 6])
def test_one_living_field_keeps_a_hash_and_its_deadline(
    store: Store, db: Database, number: int
) -> None:
    fill(db, number)
    keys.expire(db, KEY, LATER + 60_000)
    hash_expiry.expire(db, KEY, [b"f%05d" % n for n in range(number - 1)], LATER)
    store.commit(LATER)
    for meet in MEETING[:4]:
        meet(db)
    assert hashes.delete(db, KEY, [b"f00000", b"f00000"]) == 1
    assert hashes.delete(db, KEY, [b"f00000"]) == 0
    hashes.put(db, KEY, b"new", b"v")
    assert row_of(store).expire_at == LATER + 60_000
    assert content(db).keys() == {b"f%05d" % (number - 1), b"new"}


def test_a_deadline_in_the_past_deletes(store: Store, db: Database) -> None:
    fill(db, 6)
    assert hash_expiry.expire(db, KEY, [b"f00001", b"f00001"], NOW) == [DELETED, NO_FIELD]
    assert hash_expiry.get_and_expire(db, KEY, [b"f00002"], 0) == [b"2"]
    assert hash_expiry.put_many(db, KEY, [(b"f00003", b"x"), (b"new", b"x")], at=1)
    assert sorted(content(db)) == [b"f00000", b"f00004", b"f00005"]
    assert hashes.length(db, KEY) == 3


def test_the_sweep_removes_what_is_due_in_slices(store: Store, db: Database) -> None:
    """Two slices of fields with one deadline, and some with another."""
    at = NOW + 10
    fill(db, 2 * SLICE + 7)
    names = sorted(content(db))
    hash_expiry.expire(db, KEY, names[: 2 * SLICE], at)
    hash_expiry.expire(db, KEY, names[2 * SLICE : -3], at + 1)
    hash_expiry.expire(db, KEY, names[-3:-1], at + 10**9)
    store.commit()
    expiry = Expiry(store.keyspace, remove_due)
    store.tx.begin(at + 5)
    jobs = 0
    while due := expiry.due(at + 5):
        expiry.expire(store.tx, due)
        store.commit(at + 5)
        jobs += 1
    assert jobs == 3
    assert sorted(content(db)) == names[-3:]
    assert hashes.length(db, KEY) == 3
    assert fields_due(store) == [at + 10**9]
    assert len(list(Elements(store.tx, row_of(store).version, SCORE).keys())) == 2


def test_deadlines_of_fields_move_with_the_key(store: Store, db: Database) -> None:
    fill(db, 6)
    long = b"y" * 300
    hashes.put(db, KEY, long, b"v")
    hash_expiry.expire(db, KEY, [b"f00001"], LATER + 1)
    hash_expiry.expire(db, KEY, [long], LATER)
    store.commit()
    keys.copy(db, KEY, db, b"copy")
    keys.rename(db, KEY, b"other")
    store.commit()
    assert fields_due(store) == [LATER, LATER]
    hashes.delete(db, b"copy", [long])
    store.commit()
    assert fields_due(store) == [LATER, LATER + 1]
    hash_expiry.persist(db, b"other", [long, b"f00001"])
    store.commit()
    assert fields_due(store) == [LATER + 1]
    keys.delete(db, [b"copy"])
    store.commit()
    assert fields_due(store) == []


# Random fields and steps


def test_random_fields_of_a_large_hash(store: Store, db: Database) -> None:
    random.seed(5)
    fill(db, 20)
    present = content(db)
    drawn = hashes.random_fields(db, KEY, 7)
    assert len(dict(drawn)) == 7
    assert dict(drawn).items() <= present.items()
    counts = Counter(field for field, _ in hashes.random_draws(db, KEY, 4000))
    assert set(counts) == set(present)
    assert max(counts.values()) < 2 * min(counts.values())
    hashes.delete(db, KEY, [b"f00003"])
    hashes.put(db, KEY, b"new", b"v")
    assert dict(hashes.random_draws(db, KEY, 1000)) == content(db)


def test_many_random_fields_of_a_large_hash(db: Database) -> None:
    fill(db, 1500)
    drawn = hashes.random_fields(db, KEY, 1400)
    assert len(dict(drawn)) == 1400
    assert dict(drawn).items() <= content(db).items()
    counts = Counter(hashes.random_draws(db, KEY, 150_000))
    assert counts.total() == 150_000
    assert dict(counts.keys()) == content(db)
    assert max(counts.values()) < 4 * min(counts.values())


@pytest.mark.parametrize("count", [1, 3, 19, 20, 21])
@pytest.mark.parametrize("pattern", [None, b"*", b"f0001*", b"*5", b"g*"])
def test_steps_return_each_match_once(
    store: Store, db: Database, count: int, pattern: bytes | None
) -> None:
    fill(db, 20)
    found: list[bytes] = []
    start: bytes | None = b""
    while start is not None:
        names, start = hashes.scan_names(db, row_of(store), Step(start, count, pattern))
        found += names
    expected = {
        None: sorted(content(db)),
        b"*": sorted(content(db)),
        b"f0001*": [b"f%05d" % number for number in range(10, 20)],
        b"*5": [b"f00005", b"f00015"],
        b"g*": [],
    }
    assert found == expected[pattern]


# At random

field = st.sampled_from([b"", b"a", b"b", b"c", b"d", b"e", b"z" * 100, b"z" * 101])
moment = st.sampled_from([0, LATER, LATER + 1, LATER + 1, LATER + 2])
action = st.one_of(
    st.tuples(st.just("put"), field, st.just(0)),
    st.tuples(st.just("delete"), field, st.just(0)),
    st.tuples(st.just("expire"), field, moment),
    st.tuples(st.just("commit"), st.just(b""), st.integers(0, 2)),
    st.tuples(st.just("sweep"), st.just(b""), st.just(0)),
)


@settings(max_examples=60)
@given(actions=st.lists(action, max_size=40), limit=st.sampled_from([0, 3, 100]))
def test_rows_and_indexes_agree(
    tmp_path_factory: pytest.TempPathFactory,
    actions: list[tuple[str, bytes, int]],
    limit: int,
) -> None:
    store = Store(tmp_path_factory.mktemp("hash") / "data")
    limits = LowLimits()
    limits.hash_max_listpack_entries = limit
    store.keyspace.limits = limits
    model: dict[bytes, int] = {}
    now = NOW
    try:
        for name, field, number in actions:
            if name == "put":
                assert hashes.put(store.db, KEY, field, b"v") is (field not in model)
                model[field] = 0
            elif name == "delete":
                assert hashes.delete(store.db, KEY, [field]) >= (field in model)
                assert hashes.delete(store.db, KEY, [field]) == 0
                model.pop(field, None)
            elif name == "expire":
                (outcome,) = hash_expiry.expire(store.db, KEY, [field], number or LATER + 7)
                assert (outcome == DONE) is (field in model and (number or LATER + 7) > now)
                if field in model:
                    model[field] = number or LATER + 7
            elif name == "commit":
                now = max(now, (NOW, LATER, LATER + 1)[number])
            elif (row := store.db.peek(KEY)) is not None and row.fields_due:
                remove_due(store.db, KEY, row)
            store.commit(now)
            model = {name: at for name, at in model.items() if not 0 < at <= now}
            assert content(store.db) == dict.fromkeys(model, b"v")
            check_indexes(store)
    finally:
        store.engine.close()


def check_indexes(store: Store) -> None:
    """The meta row, the deadlines of the rows and the expiry index tell the same."""
    row = store.db.peek(KEY)
    if row is None:
        assert store.is_empty
        return
    assert isinstance(row, CollectionRow)
    if row.version:
        stored = Elements(store.tx, row.version).items()
        fields = {name: unpack_field(raw).deadline for name, raw in stored}
        dated = sorted((at, name) for name, at in fields.items() if at)
        ordered = Elements(store.tx, row.version, SCORE).keys()
        assert [(int.from_bytes(key[:8], "big"), key[8:]) for key in ordered] == dated
        assert row.count == len(fields)
        assert row.fields_due == (dated[0][0] if dated else 0)
    assert fields_due(store) == ([row.fields_due] if row.fields_due else [])
