"""Conditions on strings, against a dict, and on strings that are kept in fragments."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import DIGEST_LENGTH, WRONG_TYPE, ReplyError, TooLargeError
from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.types.set import members as sets
from tendis_py.types.string import match as matching
from tendis_py.types.string import values as strings
from tendis_py.types.string.fragments import FRAGMENT_BYTES, LONG_BYTES
from tendis_py.types.string.match import Match
from tests.support.store import NOW, Store

LATER = NOW + 5000
LONG = random.Random(1).randbytes(LONG_BYTES + 3 * FRAGMENT_BYTES + 1)


def digest_of(value: bytes) -> bytes:
    return xxhash.xxh3_64_hexdigest(value).encode()


def equal(value: bytes) -> Match:
    return Match(value, by_digest=False, wants_equal=True)


def holds(db: Database, match: Match) -> bool:
    return match.holds(db, db.peek(b"k"))


# Long strings


def lay_out(db: Database, value: bytes) -> None:
    strings.put(db, b"k", value)
    assert isinstance(db.peek(b"k"), CollectionRow)


SPARSE = LONG[:FRAGMENT_BYTES] + bytes(40 * FRAGMENT_BYTES) + LONG[:LONG_BYTES] + bytes(3)


@pytest.mark.parametrize("value", [LONG, SPARSE, bytes(LONG_BYTES + 1)])
def test_a_string_in_fragments_equals_its_bytes(db: Database, value: bytes) -> None:
    lay_out(db, value)
    changed = bytearray(value)
    for at in (0, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, len(value) // 2, len(value) - 1):
        changed[at] ^= 1
        assert not holds(db, equal(bytes(changed)))
        changed[at] ^= 1
    assert holds(db, equal(value))
    assert not holds(db, equal(value[:-1]))
    assert not holds(db, equal(value + b"\0"))


@pytest.mark.parametrize("value", [LONG, SPARSE, bytes(LONG_BYTES + 1)])
def test_a_string_in_fragments_has_the_digest_of_its_bytes(db: Database, value: bytes) -> None:
    lay_out(db, value)
    row = db.peek(b"k")
    assert row is not None
    assert matching.digest(db, row) == digest_of(value)
    assert holds(db, Match(digest_of(value), by_digest=True, wants_equal=True))


def test_looking_at_a_long_string_asks_for_the_slow_lane(store: Store, db: Database) -> None:
    lay_out(db, LONG)
    store.tx.fast_rows = 16
    with pytest.raises(TooLargeError):
        holds(db, equal(LONG))
    assert not holds(db, equal(LONG[1:]))  # its length tells
    with pytest.raises(TooLargeError):
        holds(db, Match(digest_of(LONG), by_digest=True, wants_equal=True))


def test_a_long_string_takes_the_place_of_another(store: Store, db: Database) -> None:
    lay_out(db, LONG)
    assert matching.put_matching(db, b"k", LONG[::-1], equal(LONG), expire_at=LATER)
    assert not matching.put_matching(db, b"k", b"short", equal(LONG))
    store.commit()
    store.reopen()
    assert holds(store.db, equal(LONG[::-1]))
    row = store.db.peek(b"k")
    assert row is not None
    assert row.expire_at == LATER
    assert matching.put_matching(store.db, b"k", b"short", equal(LONG[::-1]), keep_expiry=True)
    store.commit()
    assert strings.get(store.db, b"k") == b"short"
    assert len(store.garbage()) == 2
    store.check()


# Other keys


@pytest.mark.parametrize("by_digest", [False, True])
@pytest.mark.parametrize("wants_equal", [False, True])
def test_a_missing_key_equals_nothing(db: Database, by_digest: bool, wants_equal: bool) -> None:
    match = Match(b"what", by_digest, wants_equal)
    assert holds(db, match) is not wants_equal


def test_of_a_digest_the_length_is_looked_at_where_it_is_compared(db: Database) -> None:
    strings.put(db, b"k", b"v")
    match = Match(b"0" * 15, by_digest=True, wants_equal=True)
    with pytest.raises(ReplyError, match=DIGEST_LENGTH):
        holds(db, match)


def test_other_types_match_nothing(db: Database) -> None:
    sets.add(db, b"k", [b"v"])
    for by_digest in (False, True):
        with pytest.raises(ReplyError, match=WRONG_TYPE):
            holds(db, Match(b"v", by_digest, wants_equal=False))


# Many keys at once


def test_many_keys_are_put_under_one_condition(store: Store, db: Database) -> None:
    keys = [b"k%d" % number for number in range(5000)]
    values = [b"v%d" % number for number in range(5000)]
    assert strings.put_all_if(db, keys, values, exists=False, expire_at=LATER)
    assert not strings.put_all_if(db, [*keys, b"new"], [b"x"] * 5001, exists=True)
    assert not strings.put_all_if(db, [b"new", *keys], [b"x"] * 5001, exists=False)
    store.commit()
    store.reopen()
    assert strings.get_many(store.db, keys) == values
    assert len(store.expires()) == 5000
    assert strings.put_all_if(store.db, keys, values[::-1], exists=True, keep_expiry=True)
    store.commit()
    assert len(store.expires()) == 5000
    assert strings.put_all_if(store.db, keys, values, exists=True)
    store.commit()
    assert store.expires() == []
    store.check()


def test_many_long_strings_are_put_under_one_deadline(store: Store, db: Database) -> None:
    assert strings.put_all_if(db, [b"a", b"k"], [b"short", LONG], expire_at=LATER)
    store.commit()
    assert holds(db, equal(LONG))
    row = db.peek(b"k")
    assert row is not None
    assert row.expire_at == LATER


def test_many_keys_ask_for_the_slow_lane(store: Store, db: Database) -> None:
    store.tx.fast_rows = 16
    with pytest.raises(TooLargeError):
        strings.put_all_if(db, [b"k"] * 17, [b"v"] * 17, expire_at=LATER)


# A model

_values = st.sampled_from([b"", b"a", b"b", b"12", b"x" * 70])
_operands = _values | _values.map(digest_of)
_matches = st.builds(Match, _operands, st.booleans(), st.booleans())
_steps = st.tuples(
    _matches, _values | st.none(), st.sampled_from([0, LATER]), st.booleans()
)  # no value: delete


@settings(max_examples=60)
@given(steps=st.lists(_steps, min_size=1, max_size=20))
def test_it_does_what_a_dict_would(steps: list[tuple[Match, bytes | None, int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        model: dict[bytes, tuple[bytes, int]] = {}
        for match, value, deadline, keeps in steps:
            before = model.get(b"k")
            found = None if before is None else before[0]
            if match.by_digest and found is not None:
                if len(match.operand) != 16:
                    continue
                found = digest_of(found)
            expected = (found == match.operand) is match.wants_equal
            assert holds(store.db, match) is expected
            if value is None:
                row = store.db.peek(b"k")
                if expected and row is not None:
                    store.db.delete(b"k", row)
                    del model[b"k"]
                continue
            done = matching.put_matching(
                store.db, b"k", value, match, expire_at=deadline, keep_expiry=keeps
            )
            assert done is expected
            if done:
                kept = before[1] if keeps and before is not None else deadline
                model[b"k"] = value, kept
            row = store.db.peek(b"k")
            assert (None if row is None else (row.value, row.expire_at)) == model.get(b"k")
            store.commit()
        store.engine.close()
