"""Values of every type between the real server and a keyspace here, there and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.commands.object import encoding
from tendis_py.commands.registry import FAST_ROWS
from tendis_py.errors import ReplyError
from tendis_py.rdb import payload
from tendis_py.rdb.errors import CorruptError
from tendis_py.rdb.source import Source
from tendis_py.storage.codec import Row
from tendis_py.storage.database import Database
from tendis_py.types import sorted_integers
from tendis_py.types.hash import values as hashes
from tendis_py.types.list import elements as lists
from tendis_py.types.set import members as sets
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import groups
from tendis_py.types.string import values as strings
from tendis_py.types.zset import members as zsets
from tests.support.resp import RawClient
from tests.support.store import Store

FAR = 4_102_444_800_000
EXAMPLES = settings.default.max_examples // 10
Request = list[bytes | str | int]

texts = st.one_of(
    st.binary(max_size=20),
    st.integers(-200, 200).map(lambda number: b"%d" % number),
    st.integers(-(2**66), 2**66).map(lambda number: b"%d" % number),
    st.builds(bytes.__mul__, st.sampled_from([b"a", b"ab"]), st.integers(0, 70)),
    st.sampled_from([b"x" * size for size in (63, 64, 65, 4095, 9000)]),
)
scores = st.one_of(
    st.integers(-(2**64), 2**64).map(float), st.floats(allow_nan=False), st.sampled_from([-0.0])
)


def many(some: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """A few of ``some``; at times so many more that a collection is a large one."""
    return st.tuples(
        st.lists(some, min_size=1, max_size=12), st.sampled_from([0, 0, 0, 130, 600])
    ).map(lambda drawn: (drawn[0] * (drawn[1] + 1))[: max(len(drawn[0]), drawn[1])])


def numbered(values: list[bytes], prefix: bytes = b"") -> list[bytes]:
    """The first few as they are, the others different from each other."""
    return values[:12] + [b"%b%d" % (prefix, at) for at in range(12, len(values))]


def moved(real: RawClient, store: Store) -> Row:
    """The real server's ``k``, here; it has been back as ``b``, and was what the real server makes
    of its own payload."""
    sent = real.value("DUMP", "k")
    assert real.command("RESTORE", "r", 0, sent) == b"+OK\r\n"
    db = store.db
    row = payload.restore(db, sent)
    db.put(b"k", row, db.peek(b"k"))
    store.commit()
    found = db.find(b"k")
    assert found is not None
    back = payload.dump(db, found)
    assert real.command("RESTORE", "b", 0, bytes(back)) == b"+OK\r\n"
    assert digest(real, b"b") == digest(real, b"r")
    kept = real.value("OBJECT", "ENCODING", "r")
    assert encoding(b"k", found).encode() == kept
    assert real.value("OBJECT", "ENCODING", "b") == kept
    sent = real.value("DUMP", "r")
    if len(sent) < 1000 and not found.version and b"\xc3" not in sent:  # LZF
        assert back == sent
    return found


def digest(real: RawClient, key: bytes) -> Any:
    return real.value("DEBUG", "DIGEST-VALUE", key)


def made(real: RawClient, *requests: Request) -> None:
    real.command("FLUSHALL")
    for request in requests:
        assert not real.command(*request).startswith(b"-")


@given(texts)
@settings(max_examples=2 * EXAMPLES)
def test_strings(store: Store, real: RawClient, text: bytes) -> None:
    made(real, ["SET", "k", text])
    moved(real, store)


@given(many(texts))
@settings(max_examples=EXAMPLES)
def test_lists(store: Store, real: RawClient, values: list[bytes]) -> None:
    made(real, ["RPUSH", "k", *values])
    moved(real, store)


@given(many(st.one_of(texts, st.integers(-(2**63), 2**63 - 1).map(lambda n: b"%d" % n))))
@settings(max_examples=EXAMPLES)
def test_sets(store: Store, real: RawClient, values: list[bytes]) -> None:
    made(real, ["SADD", "k", *numbered(values)])
    moved(real, store)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.integers(0, 600))
@settings(max_examples=EXAMPLES)
def test_sets_of_integers(store: Store, real: RawClient, values: list[int], more: int) -> None:
    made(real, ["SADD", "k", *values, *range(more)])
    moved(real, store)


@given(many(st.tuples(scores, texts)))
@settings(max_examples=EXAMPLES)
def test_sorted_sets(store: Store, real: RawClient, pairs: list[tuple[float, bytes]]) -> None:
    members = numbered([member for _, member in pairs])
    drawn = zip((repr(score) for score, _ in pairs), members, strict=True)
    made(real, ["ZADD", "k", *[part for pair in drawn for part in pair]])
    moved(real, store)


@given(many(st.tuples(texts, texts, st.integers(0, 4))), st.booleans())
@settings(max_examples=2 * EXAMPLES)
def test_hashes(
    store: Store, real: RawClient, items: list[tuple[bytes, bytes, int]], dated: bool
) -> None:
    names = numbered([name for name, _, _ in items])
    pairs = [part for name, item in zip(names, items, strict=True) for part in (name, item[1])]
    made(real, ["HSET", "k", *pairs])
    for name, (_, _, after) in list(zip(names, items, strict=True))[: 12 * dated]:
        if after:
            real.command("HPEXPIREAT", "k", FAR + after, "FIELDS", 1, name)
    moved(real, store)


@given(
    many(st.tuples(st.integers(0, 2), st.lists(texts, min_size=1, max_size=3))),
    st.sets(st.integers(0, 11)),
    st.lists(st.tuples(st.sampled_from("gh"), st.sampled_from("abc"), st.integers(1, 9))),
)
@settings(max_examples=2 * EXAMPLES)
def test_streams(
    store: Store,
    real: RawClient,
    added: list[tuple[int, list[bytes]]],
    deleted: set[int],
    read: list[tuple[str, str, int]],
) -> None:
    requests: list[Request] = [
        ["XADD", "k", f"{1 + at // 5}-{at}", *(part for value in values for part in (kind, value))]
        for at, (kind, values) in enumerate(added)
    ]
    requests += [["XDEL", "k", f"{1 + at // 5}-{at}"] for at in deleted]
    requests += [["XGROUP", "CREATE", "k", name, "0"] for name in "gh"]
    requests += [["XGROUP", "CREATECONSUMER", "k", "h", "idle"]]
    requests += [
        ["XREADGROUP", "GROUP", name, who, "COUNT", count, "STREAMS", "k", ">"]
        for name, who, count in read
    ]
    made(real, *requests)
    moved(real, store)
    facts = real.value("XINFO", "STREAM", "k", "FULL", "COUNT", 0)
    assert facts[7::2] == real.value("XINFO", "STREAM", "b", "FULL", "COUNT", 0)[7::2]


def test_long_strings(store: Store, real: RawClient) -> None:
    for value in (bytes(3_000_000), bytes(range(256)) * 10_000):
        made(real, ["SET", "k", value])
        row = payload.restore(store.db, real.value("DUMP", "k"))
        assert row.version
        sent = bytes(payload.dump(store.db, row))
        assert real.command("RESTORE", "back", 0, sent) == b"+OK\r\n"
        assert real.value("GET", "back") == value


def test_what_was_given_back_is_pending_with_the_first(store: Store, real: RawClient) -> None:
    db = store.db
    stream = streams.create(db, b"k")
    for id_ in (1 << 64, 2 << 64, 3 << 64):
        stream.append(id_, [b"f", b"v"])
    for name, consumers in ((b"g", [b"a", b"b"]), (b"nobody", [])):
        group = groups.create(stream, name, 3 << 64, 3)
        for consumer in consumers:
            group.create_consumer(consumer, db.now)
        if consumers:
            group.assign(1 << 64, groups.Pending(b"b", db.now, 1), None)
        group.give_back(2 << 64, 4, None)
        group.save()
    stream.save()
    made(real, ["RESTORE", "k", 0, bytes(dumped(db, b"k"))])
    found = real.value("XPENDING", "k", "g", "-", "+", 10)
    assert [(entry[:2], entry[3]) for entry in found] == [([b"1-0", b"b"], 1), ([b"2-0", b"a"], 4)]
    ((id_, owner, _, deliveries),) = real.value("XPENDING", "k", "nobody", "-", "+", 10)
    assert (id_, owner, deliveries) == (b"2-0", b"", 4)


def dumped(db: Database, key: bytes) -> bytes:
    row = db.find(key)
    assert row is not None
    return bytes(payload.dump(db, row))


def test_redis_has_no_sorted_integers(db: Database) -> None:
    sorted_integers.add(db, b"k", [1, 2])
    with pytest.raises(ReplyError, match="no form that Redis could read"):
        dumped(db, b"k")


def large_ones(db: Database, number: int) -> list[bytes]:
    """A key of each type, of so many elements, and a string that is as long."""
    names = [b"element-%d" % at for at in range(number)]
    hashes.put_many(db, b"hash", [(name, name) for name in names])
    lists.push(db, b"list", names, left=False)
    sets.add(db, b"set", names)
    zsets.add(db, b"zset", [(float(at), name) for at, name in enumerate(names)])
    stream = streams.create(db, b"stream")
    for at, name in enumerate(names):
        stream.append(1 << 64 | at, [b"field", name])
    stream.save()
    strings.put(db, b"string", b"".join(names) * 64)
    return [b"hash", b"list", b"set", b"zset", b"stream", b"string"]


def test_what_is_large_is_too_much_for_the_fast_lane(store: Store) -> None:
    keys = large_ones(store.db, 3000)
    store.commit()
    for key in keys:
        sent = dumped(store.db, key)
        row = store.db.peek(key)
        assert row is not None
        assert payload.work_of_dump(row) > FAST_ROWS
        assert payload.work_of_restore(sent) > FAST_ROWS
        row = payload.restore(store.db, sent)
        store.db.put(key, row, store.db.peek(key))
        assert dumped(store.db, key) == sent
    store.commit()
    store.check()


def test_what_breaks_off_leaves_nothing_but_garbage(store: Store) -> None:
    keys = large_ones(store.db, 3000)
    store.commit()
    kept = len(store.meta())
    for key in keys[:-1]:
        sent = dumped(store.db, key)
        with pytest.raises(CorruptError):
            payload.read(store.db, Source([sent[:-100]], len(sent) - 100))
        store.tx.rollback()
    assert len(store.meta()) == kept
    assert not store.keyspace.building
    assert len(store.garbage()) == len(keys) - 1
