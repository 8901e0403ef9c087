"""The rows of large collections, as a transaction reads and writes them, against plain dicts."""

from __future__ import annotations

import shutil
import tempfile
from bisect import bisect_left
from collections import Counter
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tendis_py.errors import TooLargeError, UnreadableError
from tendis_py.storage import order
from tendis_py.storage.elements import Elements
from tendis_py.storage.families import COLUMN_FAMILIES, ELEMENT_FAMILIES, ENTRIES, ROWS, SCORE
from tests.support.damage import damage
from tests.support.store import Store

ELEMENTS = st.sampled_from([b"", b"a", b"aa", b"ab", b"b", b"c", b"ca", b"\xff", b"\xff\xff"])
VALUES = st.binary(max_size=2)
COLLECTIONS = st.integers(0, 3)
"""Places in the machine's list of collections."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "CHUNK", 4)


Model = dict[bytes, bytes]


class Machine(RuleBasedStateMachine):
    """Four collections in three families, two of them under one version.

    ``now`` is what a command sees, ``before`` what it saw when the running command began, and
    ``durable`` what was committed last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root / "data")
        self.places = [(ROWS, 0), (SCORE, 0), (ROWS, 1), (ENTRIES, 1)]
        self.versions = [self.store.keyspace.new_version() for _ in range(2)]
        self.now: list[Model] = [{} for _ in self.places]
        self._end_batch()

    def teardown(self) -> None:
        self.store.engine.close()
        shutil.rmtree(self.root)

    def _end_batch(self) -> None:
        self.store.tx.begin(0)
        self.before = [dict(model) for model in self.now]
        self.durable = [dict(model) for model in self.now]

    def _settled(self) -> None:
        """An iteration between two commands has committed what came before."""
        if not self.store.tx.dirty:
            self.durable = [dict(model) for model in self.now]

    def at(self, place: int) -> tuple[Elements, Model]:
        family, number = self.places[place]
        return Elements(self.store.tx, self.versions[number], family), self.now[place]

    # Writing

    @rule(place=COLLECTIONS, element=ELEMENTS, value=VALUES)
    def put(self, place: int, element: bytes, value: bytes) -> None:
        elements, model = self.at(place)
        if element in model:
            elements.set(element, value)
        else:
            elements.add(element, value)
        model[element] = value

    @rule(place=COLLECTIONS, number=st.integers(1, 9))
    def put_many(self, place: int, number: int) -> None:
        for step in range(number):
            self.put(place, b"n%d" % step, b"%d" % number)

    @rule(place=COLLECTIONS, element=ELEMENTS)
    def remove(self, place: int, element: bytes) -> None:
        elements, model = self.at(place)
        if element in model:
            elements.remove(element)
            del model[element]

    @rule(place=COLLECTIONS, count=st.integers(0, 5))
    def take_random(self, place: int, count: int) -> None:
        elements, model = self.at(place)
        assert set(elements.keys()) == set(model)
        self._settled()
        taken = elements.take_random(min(count, len(model)))
        assert len(taken) == min(count, len(model))
        for element in taken:
            del model[element]

    @rule(place=COLLECTIONS)
    def ensure_ends(self, place: int) -> None:
        elements, model = self.at(place)
        elements.ensure_ends(len(model))

    @rule(place=COLLECTIONS, count=st.integers(1, 5), highest=st.booleans())
    def take_end(self, place: int, count: int, highest: bool) -> None:
        elements, model = self.at(place)
        list(elements.keys())
        self._settled()
        elements.ensure_ends(len(model))
        taken = elements.take_end(count, highest=highest)
        assert taken == sorted(model, reverse=highest)[:count]
        for element in taken:
            del model[element]

    @rule(place=COLLECTIONS, lower=ELEMENTS, upper=st.none() | ELEMENTS)
    def remove_range(self, place: int, lower: bytes, upper: bytes | None) -> None:
        elements, model = self.at(place)
        list(elements.keys())  # as it does itself where values are cached
        self._settled()
        elements.remove_range(lower, upper)
        for element in [key for key in model if lower <= key and (upper is None or key < upper)]:
            del model[element]

    # The end of a command, of a batch, of the process

    @rule()
    def end_command(self) -> None:
        self.store.tx.undo.clear()
        self.before = [dict(model) for model in self.now]

    @rule()
    def fail_command(self) -> None:
        self.store.tx.rollback_command()
        self.now = [dict(model) for model in self.before]

    @rule()
    def commit(self) -> None:
        self.store.tx.undo.clear()
        self.store.tx.commit()
        self._end_batch()

    @rule()
    def rollback(self) -> None:
        self.store.tx.rollback()
        self.now = [dict(model) for model in self.durable]
        self._end_batch()

    @rule()
    def restart(self) -> None:
        self.store.reopen()
        self.now = [dict(model) for model in self.durable]
        self._end_batch()

    @rule()
    def forget_values(self) -> None:
        self.store.forget()

    @rule()
    def forget_order(self) -> None:
        for index in list(self.store.keyspace.orders._indexes.values()):
            index.forgetful = True

    # Reading

    @rule(place=COLLECTIONS, element=ELEMENTS)
    def get(self, place: int, element: bytes) -> None:
        elements, model = self.at(place)
        assert elements.get(element) == model.get(element)

    @rule(place=COLLECTIONS, wanted=st.lists(ELEMENTS, max_size=5))
    def get_many(self, place: int, wanted: list[bytes]) -> None:
        elements, model = self.at(place)
        assert elements.get_many(wanted) == list(map(model.get, wanted))

    @rule(place=COLLECTIONS, lower=ELEMENTS, upper=st.none() | ELEMENTS, reverse=st.booleans())
    def iterate(self, place: int, lower: bytes, upper: bytes | None, reverse: bool) -> None:
        elements, model = self.at(place)
        expected = sorted(
            (
                item
                for item in model.items()
                if lower <= item[0] and not (upper and item[0] >= upper)
            ),
            reverse=reverse,
        )
        if upper == b"":
            expected = []
        assert list(elements.items(lower, upper, reverse=reverse)) == expected
        for keys in (elements.keys, elements.between):
            assert list(keys(lower, upper, reverse=reverse)) == [key for key, _ in expected]
        self._settled()

    @rule(place=COLLECTIONS, element=ELEMENTS, value=VALUES, reverse=st.booleans())
    def iterate_while_writing(
        self, place: int, element: bytes, value: bytes, reverse: bool
    ) -> None:
        """What a command writes after the call does not show in an iteration."""
        elements, model = self.at(place)
        expected = sorted(model.items(), reverse=reverse)
        early, late = elements.items(reverse=reverse), elements.items(reverse=reverse)
        self._settled()
        head = list(islice(early, 2))
        self.put(place, element, value)
        self.remove(place, b"a")
        assert head + list(early) == expected
        assert list(late) == expected

    @rule(place=COLLECTIONS, element=ELEMENTS)
    def rank(self, place: int, element: bytes) -> None:
        elements, model = self.at(place)
        assert elements.rank(element) == bisect_left(sorted(model), element)
        self._settled()

    @rule(place=COLLECTIONS, rank=st.integers(0, 12), reverse=st.booleans())
    def ranked(self, place: int, rank: int, reverse: bool) -> None:
        elements, model = self.at(place)
        keys = sorted(model)
        expected = [] if rank >= len(keys) else keys[rank::-1] if reverse else keys[rank:]
        assert list(elements.ranked(rank, reverse=reverse)) == expected
        self._settled()

    @rule(place=COLLECTIONS, count=st.integers(0, 12))
    def random(self, place: int, count: int) -> None:
        elements, model = self.at(place)
        found = elements.random(count)
        assert len(set(found)) == len(found) == min(count, len(model))
        assert set(found) <= set(model)
        self._settled()

    @invariant()
    def order_indexes_are_true(self) -> None:
        """Without building one, which would hide what is wrong."""
        orders = self.store.keyspace.orders
        for place, (family, number) in enumerate(self.places):
            index = orders.get(self.versions[number], family)
            if index is not None:
                assert index.size == sum(index._counts) == len(self.now[place])
                keys = sorted(self.now[place])
                for first, chunk in zip(index._firsts, index._keys, strict=True):
                    if chunk is not None:
                        at = bisect_left(keys, first)
                        assert keys[at : at + len(chunk)] == chunk


TestElements = Machine.TestCase
TestElements.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


@pytest.mark.soak
class TestElementsAtLength(Machine.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=1000, stateful_step_count=40, deadline=None)


# Elements


def filled(store: Store, number: int, family: int = ROWS) -> Elements:
    """A committed collection of 000, 001 …"""
    elements = Elements(store.tx, store.keyspace.new_version(), family)
    for at in range(number):
        elements.add(b"%03d" % at, b"v%d" % at)
    store.commit()
    return elements


@pytest.mark.parametrize("family", ELEMENT_FAMILIES)
def test_a_range_deleted_is_not_read_again(store: Store, family: int) -> None:
    """Neither from the cache, which had the values, nor from the disk before the commit."""
    elements = filled(store, 6, family)
    keys = [b"%03d" % at for at in range(6)]
    assert None not in elements.get_many(keys)
    elements.remove_range(b"001", b"004")
    expected = [b"v0", None, None, None, b"v4", b"v5"]
    for _ in range(2):
        assert elements.get_many(keys) == expected
        assert list(map(elements.get, keys)) == expected
        store.commit()


def test_many_are_found_in_the_old_generation_of_the_cache(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    elements = filled(store, 4)
    cache = store.keyspace.cache
    cache._turn()
    assert not cache.young
    elements.set(b"002", b"new")
    monkeypatch.setattr(store.engine, "get_many", lambda family, keys: [None] * len(keys))
    wanted = [b"000", b"001", b"none", b"002", b"003", b"001", b"none"]
    expected = [b"v0", b"v1", None, b"new", b"v3", b"v1", None]
    for _ in range(2):
        assert elements.get_many(wanted) == expected


def test_a_range_deleted_by_a_command_that_fails_is_there_again(store: Store) -> None:
    elements = filled(store, 6)
    elements.rank(b"003")
    elements.remove_range(b"", None)
    assert list(elements.keys()) == []
    store.tx.rollback_command()
    assert elements.get(b"003") == b"v3"
    assert elements.rank(b"003") == 3
    store.commit()
    assert len(list(elements.keys())) == 6


def test_an_element_may_come_back_into_a_range_deleted_in_the_same_batch(store: Store) -> None:
    elements = filled(store, 6)
    elements.remove_range(b"001", b"005")
    elements.add(b"002", b"new")
    assert [key for key, _ in elements.items()] == [b"000", b"002", b"005"]
    store.commit()
    store.forget()
    assert dict(elements.items()) == {b"000": b"v0", b"002": b"new", b"005": b"v5"}


def test_ranges_of_a_neighbouring_version_are_left_alone(store: Store) -> None:
    first, second = filled(store, 3), filled(store, 3)
    first.remove_range(b"", None)
    store.commit()
    assert list(first.keys()) == []
    assert len(list(second.keys())) == 3


def test_select_past_the_end(store: Store) -> None:
    elements = filled(store, 3)
    assert elements.select(2) == b"002"
    with pytest.raises(IndexError):
        elements.select(3)


def test_random_elements_have_the_same_chance(store: Store) -> None:
    elements = filled(store, 20)
    counts = Counter(element for _ in range(500) for element in elements.random(2))
    assert len(counts) == 20
    assert max(counts.values()) < 3 * min(counts.values())


def test_random_elements_are_taken_from_what_is_not_in_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second chunk is emptied and leaves its range to the first, which has to be read next."""
    elements = filled(store, 20)
    elements.ensure_order()
    store.keyspace.orders.get(elements.version, ROWS).forget()  # type: ignore[union-attr]
    draws = chain([0.25, 0.0] * 4, repeat(0.0))
    monkeypatch.setattr(order, "random", lambda: next(draws))
    assert elements.take_random(6) == [b"004", b"005", b"006", b"007", b"000", b"001"]
    assert next(elements.keys()) == b"002"


def test_building_a_long_order_is_for_the_slow_lane(store: Store) -> None:
    elements = filled(store, 10)
    store.tx.fast_rows = 5
    assert not elements.has_order
    with pytest.raises(TooLargeError):
        elements.rank(b"003")
    assert not elements.has_order
    store.tx.fast_rows = 10
    assert elements.rank(b"003") == 3
    assert elements.has_order
    store.tx.fast_rows = 5
    assert elements.rank(b"004") == 4


def test_so_is_deleting_a_long_range_of_values_that_may_be_cached(store: Store) -> None:
    rows, scores = filled(store, 10), filled(store, 10, SCORE)
    store.tx.fast_rows = 5
    with pytest.raises(TooLargeError):
        rows.remove_range(b"", None)
    scores.remove_range(b"", None)
    rows.remove_range(b"000", b"005")
    assert len(list(rows.keys())) == 5
    assert list(scores.keys()) == []


def test_an_order_built_from_writes_that_fail_is_dropped(store: Store) -> None:
    elements = filled(store, 3)
    elements.add(b"zzz")
    assert elements.rank(b"zzz") == 3
    store.tx.rollback_command()
    assert not elements.has_order
    assert list(elements.ranked(0)) == [b"000", b"001", b"002"]


def test_a_failed_commit_drops_the_orders_it_concerns(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    elements, other = filled(store, 3), filled(store, 3)
    other.rank(b"")
    store.commit()
    elements.rank(b"")
    elements.add(b"zzz")
    store.tx.undo.clear()
    with monkeypatch.context() as patch:
        patch.setattr(store.engine, "write_batch", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.tx.commit()
    store.tx.rollback()
    assert not elements.has_order
    assert other.rank(b"002") == 2


def test_a_command_that_fails_before_it_writes_costs_no_order_index(store: Store) -> None:
    elements = filled(store, 6)
    elements.rank(b"003")
    elements.remove(b"002")
    store.tx.undo.clear()  # the end of a command; the next one fails
    store.tx.rollback_command()
    assert elements.has_order
    assert elements.rank(b"003") == 2


@pytest.mark.parametrize("family", [ROWS, SCORE])
def test_elements_that_a_failing_command_takes_are_there_again(store: Store, family: int) -> None:
    """It has discarded some of them when it meets what can't be read."""
    version = store.keyspace.new_version()
    elements = Elements(store.tx, version, family)
    names = [b"%04d" % number for number in range(1000)]
    elements.add_many(dict.fromkeys(names, b"value"))
    store.commit()
    store.engine.flush()
    store.engine.close()
    damage(store.folder, COLUMN_FAMILIES[family])
    store.open()
    elements = Elements(store.tx, version, family)
    elements.ensure_ends(len(names))
    for highest, end in ((False, names[:10]), (True, names[:-11:-1])):
        with pytest.raises(UnreadableError):
            elements.take_end(900, highest=highest)
        store.tx.rollback_command()
        assert not elements.reaches(0), "the order is forgotten"
        elements.ensure_ends(len(names))
        assert elements.take_end(10, highest=highest) == end
        store.tx.rollback_command()
        elements.ensure_ends(len(names))
