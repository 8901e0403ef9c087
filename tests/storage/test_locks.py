from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tendis_py.storage import locks as locks_module
from tendis_py.storage.locks import Claim, KeyLocks

SECONDS = 10.0


class Asker:
    """Asks for keys, and keeps what it got until ``release``."""

    def __init__(self, locks: KeyLocks, keys: set[bytes] | None) -> None:
        self.locks = locks
        self.has_it = False
        self.claim = Claim(keys, self._granted)
        if locks.ask(self.claim):
            self.has_it = True

    def _granted(self) -> None:
        assert not self.has_it
        self.has_it = True

    def release(self) -> None:
        assert self.has_it
        self.locks.release(self.claim)


@pytest.fixture
def locks() -> KeyLocks:
    return KeyLocks()


Ask = Callable[..., Asker]


@pytest.fixture
def holding(locks: KeyLocks) -> Ask:
    def ask(*keys: bytes, everything: bool = False) -> Asker:
        asker = Asker(locks, None if everything else set(keys))
        assert asker.has_it
        return asker

    return ask


@pytest.fixture
def waiting(locks: KeyLocks) -> Ask:
    def ask(*keys: bytes, everything: bool = False) -> Asker:
        asker = Asker(locks, None if everything else set(keys))
        assert not asker.has_it
        return asker

    return ask


def test_claims_on_other_keys_are_held_together(locks: KeyLocks, holding: Ask) -> None:
    one, other = holding(b"a", b"b"), holding(b"c")
    assert locks.statistics().held == 2
    one.release()
    other.release()
    assert locks.statistics().held == locks.statistics().contended == 0


def test_a_claim_without_keys_conflicts_only_with_all_keys(holding: Ask, waiting: Ask) -> None:
    none, some = holding(), holding(b"a")
    everything = waiting(everything=True)
    some.release()
    assert not everything.has_it
    none.release()
    assert everything.has_it


@pytest.mark.parametrize(
    ("held", "wanted", "contended"),
    [
        ({b"a", b"b"}, {b"b", b"c"}, b"b"),
        (None, {b"a"}, None),
        ({b"a"}, None, None),
        (None, None, None),
    ],
)
def test_a_conflicting_claim_waits(
    locks: KeyLocks, held: set[bytes] | None, wanted: set[bytes] | None, contended: bytes | None
) -> None:
    assert locks.are_free(wanted)
    first = Asker(locks, held)
    assert not locks.are_free(wanted)
    second = Asker(locks, wanted)
    assert not second.has_it
    first.release()
    assert second.has_it
    assert second.claim.contended == contended
    assert locks.statistics().contended == 1


def test_nobody_overtakes_where_it_matters(locks: KeyLocks, holding: Ask, waiting: Ask) -> None:
    """A claim waits for an earlier one that waits, but not for one it does not concern."""
    first = holding(b"a")
    second = waiting(b"a", b"b")
    third = waiting(b"b")
    aside = holding(b"c")
    first.release()
    assert second.has_it
    assert not third.has_it
    second.release()
    assert third.has_it
    third.release()
    aside.release()
    assert locks.statistics().held == locks.statistics().waiting == 0


def test_all_keys_do_not_starve(holding: Ask, waiting: Ask) -> None:
    first = holding(b"a")
    everything = waiting(everything=True)
    late = waiting(b"z")
    first.release()
    assert everything.has_it
    assert not late.has_it
    everything.release()
    assert late.has_it


def test_all_that_became_free_go_on_together(holding: Ask, waiting: Ask) -> None:
    everything = holding(everything=True)
    waiters = [waiting(key) for key in (b"a", b"b", b"c")]
    everything.release()
    assert all(waiter.has_it for waiter in waiters)


def test_trying_for_all_keys_never_waits(locks: KeyLocks, waiting: Ask) -> None:
    everything = Claim(None)
    assert locks.try_exclusive(everything)
    assert not locks.try_exclusive(Claim(None))
    waiter = waiting(b"a")
    locks.release(everything)
    assert waiter.has_it
    assert not locks.try_exclusive(everything)
    waiter.release()
    assert locks.try_exclusive(everything)


_keys = st.one_of(
    st.none(), st.frozensets(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"]), max_size=6)
)


@given(
    steps=st.lists(st.one_of(_keys, st.integers(0, 9)), max_size=40),
    broad=st.integers(1, 7),
)
@settings(deadline=None)
def test_claims_are_granted_in_order_of_arrival(
    steps: list[frozenset[bytes] | int | None], broad: int
) -> None:
    """Whatever is asked for and released, in whatever order, and whichever claims count as broad: a
    claim is held as soon as it conflicts with none that came before it and is not released."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks_module, "BROAD", broad)
        locks = KeyLocks()
        here: list[Asker] = []
        for step in steps:
            if not isinstance(step, int):
                keys = None if step is None else set(step)
                free = locks.are_free(keys)
                here.append(Asker(locks, keys))
                assert here[-1].has_it == free
            else:
                held = [asker for asker in here if asker.has_it]
                if held:
                    asker = held[step % len(held)]
                    here.remove(asker)
                    asker.release()
            for number, asker in enumerate(here):
                before = here[:number]
                assert asker.has_it != any(map(asker.claim.conflicts, (x.claim for x in before)))
        while here:
            here.remove(first := here[0])
            first.release()
        found = locks.statistics()
        assert found.held == found.waiting == 0
        assert not locks._wanted


class Model:
    """Who has what, said plainly: ``asked`` in order of arrival."""

    def __init__(self) -> None:
        self.asked: list[Claim] = []
        self.held: list[Claim] = []

    def ask(self, claim: Claim) -> None:
        self.asked.append(claim)
        self.look()

    def leave(self, claim: Claim) -> None:
        self.asked.remove(claim)
        if claim in self.held:
            self.held.remove(claim)
        self.look()

    def look(self) -> None:
        again = True
        while again:
            again = False
            waiting = [one for one in self.asked if one not in self.held]
            stuck: list[Claim] = []
            for one in waiting:
                holders = [x for x in self.held if x.is_long]
                if any(map(one.conflicts, holders + (stuck if one.is_long else []))):
                    stuck.append(one)
            for number, one in enumerate(waiting):
                before = [x for x in waiting[:number] if x not in self.held]
                if not one.is_long:
                    before = [x for x in before if x not in stuck]
                if not any(map(one.conflicts, self.held + before)):
                    self.held.append(one)
                    again = True


@given(
    steps=st.lists(st.one_of(st.tuples(_keys, st.booleans()), st.integers(0, 19)), max_size=40),
    broad=st.integers(1, 7),
)
@settings(deadline=None)
def test_who_waits_for_a_long_claim_holds_up_no_others(
    steps: list[tuple[frozenset[bytes] | None, bool] | int], broad: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks_module, "BROAD", broad)
        locks, model = KeyLocks(), Model()
        granted: list[Claim] = []
        for step in steps:
            if not isinstance(step, int):
                keys, is_long = step
                claim = Claim(None if keys is None else set(keys), is_long=is_long)
                claim.on_granted = partial(granted.append, claim)
                if locks.ask(claim):
                    granted.append(claim)
                model.ask(claim)
            elif model.held:
                claim = model.held[step % len(model.held)]
                if step >= 10 and claim.is_long and not claim.busy:
                    locks.set_busy(claim, "BUSY")
                    for one in [x for x in model.asked if x.withdrawn]:
                        assert one.conflicts(claim)
                        granted.remove(one)
                        model.asked.remove(one)
                    model.look()
                else:
                    granted.remove(claim)
                    locks.release(claim)
                    model.leave(claim)
            assert set(granted) == set(model.held)
            assert locks.in_use == bool(model.asked)
        while model.held:
            claim = model.held[0]
            granted.remove(claim)
            locks.release(claim)
            model.leave(claim)
        assert not model.asked
        assert not locks.in_use
        assert not locks.busy


def test_a_lock_excludes(locks: KeyLocks) -> None:
    """Four threads count on shared keys, unprotected but for the locks."""
    counters = {b"a": 0, b"b": 0, b"c": 0}
    sets: list[set[bytes] | None] = [{b"a", b"b"}, {b"b", b"c"}, {b"a", b"c"}, None]

    def count(keys: set[bytes] | None) -> None:
        for _ in range(200):
            granted = threading.Event()
            claim = Claim(keys, granted.set)
            assert locks.ask(claim) or granted.wait(SECONDS)
            for key in keys or counters:
                value = counters[key]
                time.sleep(0)
                counters[key] = value + 1
            locks.release(claim)

    threads = [threading.Thread(target=count, args=(keys,)) for keys in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert counters == {b"a": 600, b"b": 600, b"c": 600}
    assert locks.statistics().held == locks.statistics().waiting == 0
