"""Very many elements in one command do what a few at a time would do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import pytest

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import CollectionRow
from tendis_py.storage.database import Database
from tendis_py.storage.pacing import ITEMS_AT_ONCE
from tendis_py.types import sorted_integers as integers
from tendis_py.types.hash import expiry as hash_expiry
from tendis_py.types.hash import values as hashes
from tendis_py.types.list import elements as lists
from tendis_py.types.set import members as sets
from tendis_py.types.shards import Shards
from tendis_py.types.tail import Tail
from tendis_py.types.zset import members as zsets
from tendis_py.types.zset.forms import Pair
from tests.support.store import NOW, Store

T = TypeVar("T")

MANY = 3 * ITEMS_AT_ONCE + 7
KEY, TWIN = b"many", b"few at a time"


def names(number: int, variety: int) -> list[bytes]:
    """Some of them come again."""
    draw = random.Random(number)
    return [b"name:%d" % draw.randrange(variety) for _ in range(number)]


def hash_pairs(number: int) -> list[tuple[bytes, bytes]]:
    found = enumerate(names(number, 2 * MANY))
    return [(name, b"%d" % at) for at, name in found]


def zset_pairs(number: int) -> list[Pair]:
    draw = random.Random(number)
    return [(float(draw.randrange(-5, 5)), name) for name in names(number, 2 * MANY)]


def parts(items: list[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, 100)):
        yield part


def add_to_hash(db: Database, key: bytes, number: int, *, together: bool) -> int:
    pairs = hash_pairs(number)
    if together:
        return hashes.put_many(db, key, pairs)
    return sum(hashes.put_many(db, key, part) for part in parts(pairs))


def add_to_set(db: Database, key: bytes, number: int, *, together: bool) -> int:
    members = names(number, 2 * MANY)
    if together:
        return sets.add(db, key, Tail([key, *members], 1))
    return sum(sets.add(db, key, part) for part in parts(members))


def add_integers(db: Database, key: bytes, number: int, *, together: bool) -> int:
    draw = random.Random(number)
    new = [draw.randrange(2 * MANY) for _ in range(number)]
    found = [new] if together else parts(new)
    return sum(integers.add(db, key, part) for part in found)


def add_to_zset(db: Database, key: bytes, number: int, *, together: bool) -> int:
    pairs = zset_pairs(number)
    found = [pairs] if together else parts(pairs)
    return sum(zsets.add(db, key, part)[0] for part in found)


def add_to_list(db: Database, key: bytes, number: int, *, together: bool) -> int:
    values = names(number, 2 * MANY)
    if together:
        return lists.push(db, key, Tail([key, *values], 1), left=False)
    return [lists.push(db, key, part, left=False) for part in parts(values)][-1]


def add_to_head(db: Database, key: bytes, number: int, *, together: bool) -> int:
    values = names(number, 2 * MANY)
    if together:
        return lists.push(db, key, Tail([key, *values], 1), left=True)
    return [lists.push(db, key, part, left=True) for part in parts(values)][-1]


def hash_content(db: Database, key: bytes) -> object:
    return dict(hashes.items(db, key))


def set_content(db: Database, key: bytes) -> object:
    return set(sets.members(db, row_of(db, key)))


def integer_content(db: Database, key: bytes) -> object:
    return list(integers.select(db, row_of(db, key)))


def zset_content(db: Database, key: bytes) -> object:
    return list(zsets.items(db, row_of(db, key)))


def list_content(db: Database, key: bytes) -> object:
    return list(lists.items(db, row_of(db, key)))


def row_of(db: Database, key: bytes) -> CollectionRow:
    row = db.peek(key)
    assert isinstance(row, CollectionRow)
    return row


Add = Callable[..., int]
Content = Callable[[Database, bytes], object]
KINDS = {
    "hash": (add_to_hash, hash_content),
    "set": (add_to_set, set_content),
    "zset": (add_to_zset, zset_content),
    "list": (add_to_list, list_content),
    "head of a list": (add_to_head, list_content),
    "sortedint": (add_integers, integer_content),
}


@pytest.mark.parametrize("before", [0, 10, MANY - 1], ids=["none", "small", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_many_are_as_a_few_at_a_time(store: Store, kind: str, before: int) -> None:
    add, content = KINDS[kind]
    db, counters = store.db, store.tx.counters
    if before:
        add(db, KEY, before, together=False)
        add(db, TWIN, before, together=False)
        db.put(KEY, row_of(db, KEY).with_expiry(NOW + 5000), row_of(db, KEY))
        store.commit()
    start = counters.changes
    together = add(db, KEY, MANY, together=True)
    edits = counters.changes - start
    assert together == add(db, TWIN, MANY, together=False)
    assert counters.changes - start == 2 * edits
    store.commit()
    store.forget()
    assert content(db, KEY) == content(db, TWIN)
    many, few = row_of(db, KEY), row_of(db, TWIN)
    assert (many.count, many.encoding) == (few.count, few.encoding)
    assert many.expire_at == (NOW + 5000 if before else 0)
    store.check()


@pytest.mark.parametrize("kind", KINDS)
def test_many_are_for_the_slow_lane(store: Store, kind: str) -> None:
    store.tx.fast_rows = MANY - 1
    with pytest.raises(TooLargeError):
        KINDS[kind][0](store.db, KEY, MANY, together=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_fails_leaves_nothing(store: Store, kind: str) -> None:
    add, content = KINDS[kind]
    add(store.db, KEY, 10, together=True)
    store.commit()
    before = content(store.db, KEY)
    add(store.db, KEY, MANY, together=True)
    store.tx.rollback_command()
    store.commit()
    store.forget()
    assert content(store.db, KEY) == before


@pytest.mark.parametrize("condition", ["only_new", "only_existing", "only_greater", "only_less"])
@pytest.mark.parametrize("before", [10, MANY - 1], ids=["small", "large"])
def test_conditions_hold_for_each_of_many(store: Store, condition: str, before: int) -> None:
    db = store.db
    for key in (KEY, TWIN):
        add_to_zset(db, key, before, together=False)
    pairs = zset_pairs(MANY)
    counts = [zsets.add(db, TWIN, part, **{condition: True}) for part in parts(pairs)]
    together = zsets.add(db, KEY, pairs, **{condition: True})
    assert together == (sum(added for added, _ in counts), sum(changed for _, changed in counts))
    assert zset_content(db, KEY) == zset_content(db, TWIN)


def test_many_fields_lose_their_deadlines(store: Store) -> None:
    pairs = hash_pairs(MANY)
    for number in (5, MANY):
        hashes.put_many(store.db, KEY, pairs[:number])
        hash_expiry.put_many(store.db, KEY, pairs[:3], at=NOW + 1000)
        hashes.put_many(store.db, KEY, pairs)
        assert hash_content(store.db, KEY) == dict(pairs)
        assert not row_of(store.db, KEY).fields_due
    store.commit()
    store.check()


def test_what_comes_into_a_hash_of_the_dead_is_a_new_one(store: Store) -> None:
    hash_expiry.put_many(store.db, KEY, [(b"old", b"v")], at=NOW + 1)
    store.commit()
    store.tx.begin(NOW + 2)
    assert hashes.put_many(store.db, KEY, hash_pairs(MANY)) == len(dict(hash_pairs(MANY)))
    assert hash_content(store.db, KEY) == dict(hash_pairs(MANY))


def test_limits_may_be_larger_than_what_is_many(store: Store) -> None:
    limits = store.keyspace.limits
    for name in ("hash_max_listpack_entries", "zset_max_listpack_entries"):
        setattr(limits, name, 3 * MANY)
    limits.set_max_listpack_entries = limits.list_max_listpack_size = 3 * MANY
    for key, (add, _) in enumerate(KINDS.values()):
        add(store.db, b"%d" % key, ITEMS_AT_ONCE + 1, together=True)
    assert [bool(row_of(store.db, b"%d" % key).version) for key in range(4)] == [False] * 3 + [True]


def test_shards_are_a_dict() -> None:
    shards: Shards[int] = Shards()
    wanted = {b"%d" % number: number for number in range(5000)}
    for key, value in wanted.items():
        shards.of(key)[key] = value
        shards.of(key)[key] = value
    assert len(shards) == 5000
    assert dict(shards.items()) == wanted
    shards.clear()
    assert len(shards) == 0


REMOVALS: dict[str, Callable[[Database, bytes, Sequence[bytes]], int]] = {
    "hash": hashes.delete,
    "set": sets.remove,
    "zset": zsets.remove,
    "sortedint": lambda db, key, names: integers.remove(
        db, key, [int(name.rpartition(b":")[2]) for name in names if b":" in name]
    ),
}


@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize("kind", REMOVALS)
def test_many_are_removed_as_a_few_at_a_time(store: Store, kind: str, all_of_them: bool) -> None:
    add, content = KINDS[kind]
    remove = REMOVALS[kind]
    db, counters = store.db, store.tx.counters
    for key in (KEY, TWIN):
        add(db, key, MANY, together=True)
    store.commit()
    unwanted = names(MANY, 2 * MANY)
    if not all_of_them:
        unwanted = [*unwanted[500:], b"none"]
    start = counters.changes
    together = remove(db, KEY, Tail([KEY, *unwanted], 1))
    edits = counters.changes - start
    assert together == sum(remove(db, TWIN, part) for part in parts(unwanted)) > ITEMS_AT_ONCE
    assert counters.changes - start == 2 * edits
    store.commit()
    store.forget()
    if all_of_them:
        assert db.peek(KEY) is db.peek(TWIN) is None
    else:
        assert content(db, KEY) == content(db, TWIN)
    store.check()


@pytest.mark.parametrize("before", [10, MANY], ids=["small", "large"])
def test_many_are_looked_up_as_each_is(store: Store, before: int) -> None:
    db = store.db
    wanted = names(MANY, 2 * MANY)
    add_to_hash(db, b"hash", before, together=True)
    add_to_zset(db, b"zset", before, together=True)
    add_to_set(db, b"set", before, together=True)
    assert hashes.get_many(db, b"hash", wanted) == [hashes.get(db, b"hash", it) for it in wanted]
    assert zsets.scores(db, b"zset", wanted) == [zsets.score(db, b"zset", it) for it in wanted]
    row = row_of(db, b"set")
    assert sets.contains_many(db, row, wanted) == [sets.contains(db, row, it) for it in wanted]
