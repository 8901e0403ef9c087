from __future__ import annotations

import threading
import time

import pytest

from tendis_py.storage.locks import KEY_BYTES, Claim, KeyLocks
from tests.support.servers import wait_until

SECONDS = 10.0


class Waiter:
    """A thread that acquires, and keeps what it got until ``release``."""

    def __init__(self, locks: KeyLocks, keys: set[bytes] | None) -> None:
        self.locks = locks
        self.claim: Claim | None = None
        self._thread = threading.Thread(target=self._acquire, args=(keys,))
        self._thread.start()

    def _acquire(self, keys: set[bytes] | None) -> None:
        self.claim = self.locks.acquire(keys)

    def release(self) -> None:
        self._thread.join(SECONDS)
        assert self.claim is not None
        self.locks.release(self.claim)

    @property
    def has_it(self) -> bool:
        return self.claim is not None


@pytest.fixture
def locks() -> KeyLocks:
    return KeyLocks()


def waiting(locks: KeyLocks, keys: set[bytes] | None) -> Waiter:
    """A thread that has begun to wait for ``keys``."""
    before = locks.statistics().waiting
    waiter = Waiter(locks, keys)
    wait_until(lambda: locks.statistics().waiting == before + 1, "it waits")
    assert not waiter.has_it
    return waiter


def test_claims_on_other_keys_are_held_together(locks: KeyLocks) -> None:
    one, other = locks.acquire({b"a", b"b"}), locks.acquire({b"c"})
    assert locks.statistics().held == 2
    locks.release(one)
    locks.release(other)
    assert locks.statistics().held == locks.statistics().contended == 0


def test_a_claim_without_keys_conflicts_only_with_all_keys(locks: KeyLocks) -> None:
    none, some = locks.acquire(set()), locks.acquire({b"a"})
    waiter = waiting(locks, None)
    locks.release(some)
    locks.release(none)
    wait_until(lambda: waiter.has_it, "it goes on")
    waiter.release()


@pytest.mark.parametrize(
    ("held", "wanted"), [({b"a", b"b"}, {b"b", b"c"}), (None, {b"a"}), ({b"a"}, None), (None, None)]
)
def test_a_conflicting_claim_waits(
    locks: KeyLocks, held: set[bytes] | None, wanted: set[bytes] | None
) -> None:
    claim = locks.acquire(held)
    waiter = waiting(locks, wanted)
    locks.release(claim)
    wait_until(lambda: waiter.has_it, "it goes on")
    waiter.release()
    assert locks.statistics().contended == 1


def test_nobody_overtakes_where_it_matters(locks: KeyLocks) -> None:
    """A claim waits for an earlier one that waits, but not for one it does not concern."""
    first = locks.acquire({b"a"})
    second = waiting(locks, {b"a", b"b"})
    third = waiting(locks, {b"b"})
    aside = locks.acquire({b"c"})
    locks.release(first)
    wait_until(lambda: second.has_it, "it goes on")
    assert not third.has_it
    second.release()
    wait_until(lambda: third.has_it, "it goes on")
    third.release()
    locks.release(aside)
    assert locks.statistics().held == locks.statistics().waiting == 0


def test_all_keys_do_not_starve(locks: KeyLocks) -> None:
    first = locks.acquire({b"a"})
    everything = waiting(locks, None)
    late = waiting(locks, {b"z"})
    locks.release(first)
    wait_until(lambda: everything.has_it, "it goes on")
    assert not late.has_it
    everything.release()
    wait_until(lambda: late.has_it, "it goes on")
    late.release()


def test_all_that_became_free_go_on_together(locks: KeyLocks) -> None:
    everything = locks.acquire(None)
    waiters = [waiting(locks, {key}) for key in (b"a", b"b", b"c")]
    locks.release(everything)
    wait_until(lambda: all(waiter.has_it for waiter in waiters), "it goes on")
    for waiter in waiters:
        waiter.release()


def test_trying_for_all_keys_never_waits(locks: KeyLocks) -> None:
    everything = Claim(None)
    assert locks.try_exclusive(everything)
    assert not locks.try_exclusive(Claim(None))
    waiter = waiting(locks, {b"a"})
    locks.release(everything)
    wait_until(lambda: waiter.has_it, "it goes on")
    assert not locks.try_exclusive(everything)
    waiter.release()
    assert locks.try_exclusive(everything)


def test_it_remembers_what_was_waited_for(locks: KeyLocks) -> None:
    long_key = b"k" * 1000
    for held, wanted in (({b"a", long_key}, {long_key, b"b"}), (None, {b"c"}), ({b"d"}, None)):
        claim = locks.acquire(held)
        waiter = waiting(locks, wanted)
        locks.release(claim)
        waiter.release()
    shares = dict(locks.contended_keys(10))
    assert set(shares) == {b"k" * KEY_BYTES, None}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert len(locks.contended_keys(1)) == 1
    locks.forget_waits()
    assert locks.contended_keys(10) == []


def test_a_lock_excludes(locks: KeyLocks) -> None:
    """Four threads count on shared keys, unprotected but for the locks."""
    counters = {b"a": 0, b"b": 0, b"c": 0}
    sets: list[set[bytes] | None] = [{b"a", b"b"}, {b"b", b"c"}, {b"a", b"c"}, None]

    def count(keys: set[bytes] | None) -> None:
        for _ in range(200):
            claim = locks.acquire(keys)
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
