from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.errors import TooLargeError
from tendis_py.storage.codec import STREAM, CollectionRow, decode
from tendis_py.storage.database import Database
from tendis_py.storage.families import ENTRIES, ROWS
from tendis_py.types import keys
from tendis_py.types.stream import entries as streams
from tendis_py.types.stream import groups
from tendis_py.types.stream import ids as stream_id
from tendis_py.types.stream.deletion import Deletion, Outcome, References
from tendis_py.types.stream.entries import Stream
from tendis_py.types.stream.groups import Group, Pending
from tendis_py.types.stream.ids import GREATEST, make, to_key, to_text
from tendis_py.types.stream.nodes import radix_tree_nodes
from tendis_py.types.stream.trimming import Trimming, trim, trim_some
from tests.support.store import Store

FIELDS = [b"field", b"value"]


class SmallNodes:
    """Limits that cut a stream into nodes of three entries."""

    stream_node_max_bytes = 4096
    stream_node_max_entries = 3


@pytest.fixture
def db(store: Store) -> Database:
    store.keyspace.limits = SmallNodes()  # type: ignore[assignment]
    return store.db


def fill(db: Database, ids: range) -> Stream:
    stream = streams.peek(db, b"s") or streams.create(db, b"s")
    for number in ids:
        stream.append(stream.next_id(make(number)), FIELDS)
    stream.save()
    return stream


def load(db: Database) -> Stream:
    stream = streams.peek(db, b"s")
    assert stream is not None
    return stream


def numbers(stream: Stream) -> list[int]:
    return [id_ >> 64 for id_ in stream.ids()]


def to_length(length: int, *, whole_nodes: bool = False) -> Trimming:
    return Trimming(length, None, whole_nodes, 0)


# IDs


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        (b"0", 7),
        (b"5", make(5, 7)),
        (b"5-6", make(5, 6)),
        (b"18446744073709551615-18446744073709551615", GREATEST),
        (b"+5-01", make(5, 1)),
        (b"5-6\0junk", make(5, 6)),
        (b"1- -1", make(1, 2**64 - 1)),
    ],
)
def test_ids_are_read_as_redis_reads_them(text: bytes, id_: int) -> None:
    assert stream_id.parse(text, 7) == id_


@pytest.mark.parametrize(
    "text", [b"", b"-", b"+", b"x", b"1-", b"-1", b"1-1-1", b"1--1", b"18446744073709551616"]
)
def test_no_ids(text: bytes) -> None:
    assert stream_id.parse_or_none(text) is None


@given(st.integers(0, GREATEST), st.integers(0, GREATEST))
def test_keys_are_in_the_order_of_ids(first: int, second: int) -> None:
    assert (to_key(first) < to_key(second)) == (first < second)
    assert stream_id.from_key(b"prefix" + to_key(first)) == first
    assert stream_id.parse(to_text(first)) == first


# Rows


def test_the_meta_row_survives(store: Store, db: Database) -> None:
    for number in range(1, 12):
        fill(db, range(number, number + 1))
        row = db.peek(b"s")
        assert isinstance(row, CollectionRow)
        again = decode(row.encode())
        assert isinstance(again, CollectionRow)
        assert (again.type, again.count, again.version) == (STREAM, number, row.version)
        assert again.value == row.value
    store.commit()
    store.reopen()
    stream = load(store.db)
    assert numbers(stream) == list(range(1, 12))
    assert [node.live for node in stream.nodes] == [3, 3, 3, 2]
    assert stream.next_id(None) == stream.last + 1 or stream.next_id(None) > stream.last


def test_appending_writes_one_row(db: Database) -> None:
    fill(db, range(1, 2))
    written = db.tx.families
    for number in (2, 3):
        before = {family: len(written[family]) for family in (ROWS, ENTRIES)}
        fill(db, range(number, number + 1))
        assert len(written[ENTRIES]) == before[ENTRIES] + 1
        assert len(written[ROWS]) == before[ROWS]


def test_nodes_between_are_rows_and_go_with_their_entries(store: Store, db: Database) -> None:
    stream = fill(db, range(1, 13))
    assert stream.nodes.middle == 2
    stream.delete({make(number) for number in (4, 5, 6)})
    assert (stream.nodes.middle, len(stream.nodes)) == (1, 3)
    stream.delete({make(number) for number in (10, 11, 12)})
    assert (stream.nodes.middle, len(stream.nodes)) == (0, 2)
    stream.append(make(13), FIELDS)
    assert [node.first >> 64 for node in stream.nodes] == [1, 7, 13]
    stream.delete({make(number) for number in (1, 2, 3)})
    assert [node.first >> 64 for node in stream.nodes] == [7, 13]
    stream.delete(stream.present(stream.ids()))
    stream.save()
    assert (len(stream.nodes), stream.length, stream.first) == (0, 0, 0)
    store.commit()
    assert not list(store.engine.keys(ENTRIES, b"", None))
    assert not list(store.engine.keys(ROWS, b"", None))
    assert store.meta()


def test_trimming_much_leaves_one_tombstone(store: Store, db: Database) -> None:
    fill(db, range(1, 3001))
    store.commit()
    stream = load(db)
    assert trim(stream, to_length(10)) == 2990
    stream.save()
    assert len(store.tx.ranges) == 1
    store.commit()
    store.reopen()
    stream = load(store.db)
    assert numbers(stream) == list(range(2991, 3001))
    assert sum(node.live for node in stream.nodes) == 10
    assert stream.present([make(5), make(2995)]) == {make(2995)}


def test_what_was_trimmed_is_not_walked_over(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = fill(db, range(1, 31))
    trim(stream, to_length(4))
    begun_with: list[bytes] = []
    keys = type(stream.entries).keys

    def spy(self: object, lower: bytes = b"", *rest: object, **options: object) -> object:
        begun_with.append(lower)
        return keys(self, lower, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(stream.entries), "keys", spy)
    assert numbers(stream) == [27, 28, 29, 30]
    assert begun_with == [to_key(make(27))]


def test_long_trimming_asks_for_the_slow_lane(store: Store, db: Database) -> None:
    stream = fill(db, range(1, 40))
    store.commit()
    store.tx.fast_rows = 8
    for references in References:
        deletion = Deletion(load(db), references)
        with pytest.raises(TooLargeError):
            deletion.trim(to_length(1))
        store.tx.rollback_command()
    assert len(numbers(load(db))) == stream.length


Change = tuple[str, int]
changes = st.lists(
    st.tuples(st.sampled_from(["append", "append", "delete", "trim", "nodes", "some"]),
              st.integers(0, 20)),
    max_size=40,
)  # fmt: skip


@settings(max_examples=60)
@given(changes=changes)
def test_a_stream_is_what_a_list_would_be(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Change]
) -> None:
    store = Store(tmp_path_factory.mktemp("stream") / "data")
    store.keyspace.limits = SmallNodes()  # type: ignore[assignment]
    expected: list[int] = []
    ids = count(1)
    streams.create(store.db, b"s").save()
    for change, number in changes:
        stream = load(store.db)
        if change == "append":
            new = make(next(ids))
            stream.append(stream.next_id(new), FIELDS)
            expected.append(new)
        elif change == "delete":
            gone = {id_ for id_ in expected if (id_ >> 64) % 7 == number % 7}
            stream.delete(stream.present(gone))
            expected = [id_ for id_ in expected if id_ not in gone]
        elif change == "some":
            least = make(number)
            trimming = Trimming(None, least, whole_nodes=False, limit=0)
            trim_some(stream, trimming, lambda id_: (id_ >> 64) % 2 == 0)
            expected = [id_ for id_ in expected if id_ >= least or (id_ >> 64) % 2]
        else:
            trim(stream, to_length(number, whole_nodes=change == "nodes"))
            if change == "nodes":
                assert number <= stream.length or stream.length == len(expected)
                number = stream.length
            expected = expected[max(len(expected) - number, 0) :]
        stream.save()
        store.tx.undo.clear()
        if number % 3 == 0:
            store.commit()
        check(load(store.db), expected)
    store.engine.close()


def check(stream: Stream, expected: list[int]) -> None:
    assert [id_ for id_, _ in stream.range()] == expected
    assert [id_ for id_, _ in stream.range(reverse=True)] == expected[::-1]
    assert stream.length == len(expected)
    assert stream.first == min(expected, default=0)
    nodes = list(stream.nodes)
    assert len(stream.nodes) == len(nodes)
    for node in nodes:
        assert node.live == sum(node.first <= id_ <= node.last for id_ in expected)
        assert 0 < node.live + node.deleted <= SmallNodes.stream_node_max_entries
    assert sum(node.live for node in nodes) == len(expected)
    for id_ in expected:
        assert stream.nodes.find(id_).first <= id_


@pytest.mark.parametrize(
    ("keys", "nodes"),
    [
        ([], 1),
        ([b"ab"], 2),
        ([b"ab", b"ac"], 4),
        ([b"ab", b"bb"], 5),
        ([b"abc", b"abd", b"acc"], 7),
    ],
)
def test_radix_trees_are_counted(keys: list[bytes], nodes: int) -> None:
    assert radix_tree_nodes(keys) == nodes


def test_a_node_that_is_cut_to_nothing_stays(db: Database) -> None:
    stream = fill(db, range(1, 4))
    stream.delete({make(3)})
    assert trim(stream, Trimming(None, make(3), whole_nodes=False, limit=0)) == 2
    stream.save()
    stream = load(db)
    assert (stream.length, stream.first, len(stream.nodes)) == (0, 0, 1)
    assert numbers(fill(db, range(4, 6))) == [4, 5]
    assert trim(load(db), to_length(0)) == 2


def test_a_stream_set_back_begins_anew(db: Database) -> None:
    stream = fill(db, range(5, 8))
    stream.delete({make(7)})
    trim(stream, Trimming(None, make(7), whole_nodes=False, limit=0))
    stream.last = stream.max_deleted = 0
    stream.save()
    assert numbers(fill(db, range(1, 3))) == [1, 2]
    load(db).delete({make(1)})


# Groups


def group_of(db: Database, last: int = 0) -> Group:
    stream = load(db)
    groups.create(stream, b"g", last, groups.UNKNOWN)
    stream.save()
    group = groups.find(stream, b"g")
    assert group is not None
    return group


def read(db: Database, group: Group, name: bytes, number: int) -> None:
    stream = load(db)
    consumer = group.consumer(name) or group.create_consumer(name, db.now)
    entries = [entry for entry, _ in zip(stream.range(group.last + 1), range(number), strict=False)]
    groups.deliver(stream, group, consumer, entries, pending=True)
    group.save()


def found(db: Database) -> Group:
    group = groups.find(load(db), b"g")
    assert group is not None
    return group


def test_pending_entries_are_counted_for_group_and_consumer(store: Store, db: Database) -> None:
    fill(db, range(1, 11))
    group = group_of(db)
    read(db, group, b"c", 4)
    read(db, group, b"cc", 3)
    store.commit()
    group = found(db)
    assert (group.pending, group.consumers, group.read) == (7, 2, 7)
    assert [(c.name, c.pending) for c in group.all_consumers()] == [(b"c", 4), (b"cc", 3)]
    assert [id_ >> 64 for id_ in group.owned(b"c")] == [1, 2, 3, 4]
    assert [id_ >> 64 for id_ in group.owned(b"cc", make(6))] == [6, 7]
    (old,) = group.pending_of([make(2)])
    assert old == Pending(b"c", db.now, 1)
    group.assign(make(2), Pending(b"cc", db.now, 5), old)
    group.save()
    assert [id_ >> 64 for id_ in found(db).owned(b"cc")] == [2, 5, 6, 7]
    assert [(c.name, c.pending) for c in found(db).all_consumers()] == [(b"c", 3), (b"cc", 4)]


@pytest.mark.parametrize("entries", [5, 2000])
def test_a_new_group_of_the_same_name_knows_nothing(
    store: Store, db: Database, entries: int
) -> None:
    fill(db, range(1, entries + 1))
    read(db, group_of(db), b"c", entries)
    store.commit()
    stream = load(db)
    groups.destroy(stream, found(db))
    stream.save()
    group = group_of(db)
    assert (group.pending, group.consumers, group.consumer(b"c")) == (0, 0, None)
    assert group.pending_of([make(1)]) == [None]
    store.commit()
    kinds = {key[8:9] for key in store.engine.keys(ROWS, b"", None)}
    assert kinds <= {b"g", b"n"}


def test_acknowledged_entries_are_not_walked_over_for_long(store: Store, db: Database) -> None:
    fill(db, range(1, 601))
    read(db, group_of(db), b"c", 600)
    for number in range(1, 301):
        group = found(db)
        (old,) = group.pending_of([make(number)])
        assert old is not None
        group.release(make(number), old)
        group.save()
    assert found(db)._first >> 64 > 250
    assert next(found(db).pending_entries())[0] == make(301)
    group = found(db)
    group.assign(make(1), Pending(b"c", db.now, 1), None)
    group.save()
    assert next(found(db).pending_entries())[0] == make(1)
    store.commit()


def test_references_decide_what_is_deleted(db: Database) -> None:
    fill(db, range(1, 7))
    read(db, group_of(db), b"c", 4)
    stream = load(db)
    respectful = Deletion(stream, References.RESPECT)
    ids = [make(number) for number in (1, 6, 9)]
    assert respectful.delete(ids) == [Outcome.SPARED] * 3
    assert respectful.acknowledge(b"g", ids[:2]) == [Outcome.DELETED, Outcome.ABSENT]
    respectful.save()
    forgetful = Deletion(load(db), References.FORGET)
    assert forgetful.trim(to_length(3)) == 2
    forgetful.save()
    assert found(db).pending == 1
    assert numbers(load(db)) == [4, 5, 6]


def test_a_copy_goes_its_own_way(store: Store, db: Database) -> None:
    fill(db, range(1, 9))
    read(db, group_of(db), b"c", 3)
    store.commit()
    assert keys.copy(db, b"s", db, b"t")
    store.tx.undo.clear()
    stream = load(db)
    trim(stream, to_length(1))
    stream.save()
    copied = streams.peek(db, b"t")
    assert copied is not None
    assert numbers(copied) == list(range(1, 9))
    group = groups.find(copied, b"g")
    assert group is not None
    assert group.pending == 3
    assert groups.lag(copied, group) == 5
