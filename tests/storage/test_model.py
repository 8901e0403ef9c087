"""Random commands, failures, restarts and background work against a plain dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tendis_py.storage.cache import RowCache
from tendis_py.storage.codec import StringRow
from tendis_py.storage.expiry import Expiry
from tendis_py.storage.reclaim import Reclaimer
from tendis_py.types.hash.fields import remove_due
from tests.support.store import DATABASES, NOW, Store

KEYS = st.sampled_from([b"", b"a", b"b", b"ba", b"\xff", b"k" * 30])
INDEXES = st.integers(0, DATABASES - 1)
STEP = 10_000
"""Milliseconds: one of the model's moments."""

Value = tuple[bytes, int]
"""A value and its deadline, 0 for none."""


class Model(RuleBasedStateMachine):
    """``expected`` is what a reader sees now, ``durable`` what a restart leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root / "data")
        self.now = NOW
        self.expected: list[dict[bytes, Value]] = [{} for _ in range(DATABASES)]
        self._begin()

    def teardown(self) -> None:
        self.store.engine.close()
        shutil.rmtree(self.root)

    def _begin(self) -> None:
        self.store.tx.begin(self.now)
        self.durable = [dict(database) for database in self.expected]

    def _visible(self, index: int) -> dict[bytes, Value]:
        database = self.expected[index]
        for key, (_, deadline) in list(database.items()):
            if deadline and deadline <= self.now:
                del database[key]
        return database

    # Commands

    def _put(self, index: int, key: bytes, value: bytes, moments: int) -> None:
        deadline = self.now + moments * STEP if moments else 0
        db = self.store.tx.database(index)
        db.put(key, StringRow(value, deadline), db.peek(key))
        self._visible(index)[key] = value, deadline

    @rule(index=INDEXES, key=KEYS, value=st.binary(max_size=3), moments=st.integers(0, 5))
    def put(self, index: int, key: bytes, value: bytes, moments: int) -> None:
        self._put(index, key, value, moments)
        self.store.tx.undo.clear()

    @rule(index=INDEXES, key=KEYS, value=st.binary(max_size=3))
    def set_blindly(self, index: int, key: bytes, value: bytes) -> None:
        self.store.tx.database(index).set(key, value)
        self._visible(index)[key] = value, 0
        self.store.tx.undo.clear()

    @rule(index=INDEXES, items=st.lists(st.tuples(KEYS, st.binary(max_size=3)), min_size=1))
    def set_at_once(self, index: int, items: list[tuple[bytes, bytes]]) -> None:
        self.store.tx.database(index).set_all(*map(list, zip(*items, strict=True)))
        self._visible(index).update({key: (value, 0) for key, value in items})
        self.store.tx.undo.clear()

    @rule(index=INDEXES, key=KEYS)
    def delete(self, index: int, key: bytes) -> None:
        db = self.store.tx.database(index)
        row = db.peek(key)
        assert (row is None) == (self._visible(index).pop(key, None) is None)
        if row is not None:
            db.delete(key, row)
        self.store.tx.undo.clear()

    @rule(index=INDEXES, key=KEYS, other=INDEXES, name=KEYS)
    def carry(self, index: int, key: bytes, other: int, name: bytes) -> None:
        """RENAME or MOVE."""
        source, destination = self.store.tx.database(index), self.store.tx.database(other)
        row, old = source.peek(key), destination.peek(name)
        value = self._visible(index).get(key)
        if row is not None and (index, key) != (other, name):
            assert value is not None
            source.detach(key, row)
            destination.put(name, row, old)
            del self.expected[index][key]
            self.expected[other][name] = value
        self.store.tx.undo.clear()

    @rule(index=INDEXES, key=KEYS, other=KEYS)
    def command_that_fails(self, index: int, key: bytes, other: bytes) -> None:
        before = dict(self._visible(index))
        self._put(index, key, b"wrong", 3)
        self._put(index, other, b"wrong", 0)
        db = self.store.tx.database(index)
        row = db.peek(key)
        assert row is not None
        db.delete(key, row)
        self.store.tx.rollback_command()
        self.expected[index] = before

    @rule(index=INDEXES)
    def flush(self, index: int) -> None:
        self.store.tx.flush_databases([index])
        self.expected[index].clear()

    @rule(first=INDEXES, second=INDEXES)
    def swap(self, first: int, second: int) -> None:
        self.store.tx.swap_databases(first, second)
        expected = self.expected
        expected[first], expected[second] = expected[second], expected[first]

    # The end of a batch

    @rule(moments=st.integers(0, 2))
    def commit(self, moments: int) -> None:
        self.store.tx.commit()
        self.now += moments * STEP
        self._begin()

    @rule()
    def rollback(self) -> None:
        self.store.tx.rollback()
        self.expected = [dict(database) for database in self.durable]
        self._begin()

    @rule()
    def restart(self) -> None:
        self.store.reopen()
        self.expected = [dict(database) for database in self.durable]
        self._begin()

    @rule()
    def forget(self) -> None:
        self.store.forget()

    # Background work, between batches

    @rule()
    def sweep(self) -> None:
        self.commit(0)
        expiry = Expiry(self.store.keyspace, remove_due)
        while due := expiry.due(self.now):
            expiry.expire(self.store.tx, due)
            self.store.commit(self.now)
        for index in range(DATABASES):
            self._visible(index)
        self._begin()
        assert all(deadline > self.now for deadline, _ in self.store.expires())

    @rule()
    def reclaim(self) -> None:
        self.commit(0)
        reclaimer = Reclaimer(self.store.keyspace)
        while reclaimer.find():
            reclaimer.step(self.store.tx)
            self.store.commit(self.now)
        reclaimer.compact()
        alive = {namespace.to_bytes(4, "big") for namespace in self.store.keyspace.namespaces}
        assert {key[:4] for key in self.store.meta()} <= alive
        assert {key[:4] for _, key in self.store.expires()} <= alive
        self.store.check()

    # What must hold

    @invariant()
    def readers_see_the_model(self) -> None:
        for index in range(DATABASES):
            db = self.store.tx.database(index)
            found = {}
            for key in (b"", b"a", b"b", b"ba", b"\xff", b"k" * 30):
                row = db.peek(key)
                if row is not None:
                    found[key] = row.value, row.expire_at
            assert found == self._visible(index)
            held = db.find_many(list(found))
            assert [getattr(what, "value", what) for what in held] == [
                value for value, _ in found.values()
            ]
            assert db.find_all_bare(list(found)) in (None, [value for value, _ in found.values()])
            assert all(db.find_bare(key) in (None, value) for key, (value, _) in found.items())
            counts = db.counts()
            deadlines = [deadline for _, deadline in found.values() if deadline]
            assert (counts.keys, counts.expires) == (len(found), len(deadlines))
        self.store.tx.undo.clear()

    @invariant()
    def the_cache_counts_what_it_holds(self) -> None:
        cache = self.store.keyspace.cache
        fresh = RowCache(cache.limit)
        for key, what in cache.young.items():
            fresh.add(key, what)
        assert cache.young_bytes == fresh.young_bytes

    @rule()
    def the_disk_agrees(self) -> None:
        self.commit(0)
        for index in range(DATABASES):
            keys = sorted(self._visible(index))
            db = self.store.tx.database(index)
            assert list(db.keys()) == keys
            assert [key for key, _ in db.rows()] == keys
            assert db.page(b"", b"", 100) == (keys, None)
            assert (db.random_key() is None) == (not keys)
        self.store.check()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=35, stateful_step_count=40, deadline=None)


@pytest.mark.soak
class TestModelAtLength(Model.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=1000, stateful_step_count=40, deadline=None)
