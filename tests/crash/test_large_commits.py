"""kill -9 while commands of thousands of rows are under way: each is there whole or not at all,
and so it is for others who look on meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.test_mixed_load import check_offline
from tests.support.resp import Disconnected, RawClient
from tests.support.servers import MODELS, ServerProcess, tendis_process, wait_until

ROWS = 5000
SECONDS = 60.0
NAMES = [b"name:%d" % number for number in range(ROWS)]
SOME = [NAMES[0], NAMES[ROWS // 2], NAMES[-1]]


def with_each(value: bytes) -> list[bytes]:
    return [part for name in NAMES for part in (name, value)]


def strings(number: int) -> list[bytes]:
    return [b"DEL", *NAMES] if number % 4 == 0 else [b"MSET", *with_each(b"%d" % number)]


def hash_(number: int) -> list[bytes]:
    return [b"HSET", b"hash", *with_each(b"%d" % number)]


def sorted_set(number: int) -> list[bytes]:
    pairs = [part for name in NAMES for part in (b"%d" % number, name)]
    return [b"ZADD", b"sorted set", *pairs]


def list_(number: int) -> list[bytes]:
    return [b"RPUSH", b"list", *[b"%d" % number] * ROWS]


def sorted_integers(number: int) -> list[bytes]:
    """They are added and removed in turn, but for one, which keeps them large."""
    numbers = [_number_in(name) for name in NAMES]
    return (
        [b"SIADD", b"integers", b"0", *numbers] if number % 2 else [b"SIREM", b"integers", *numbers]
    )


def _number_in(name: bytes) -> bytes:
    return b"1%b" % name.removeprefix(b"name:")


def strings_say(client: RawClient, names: list[bytes]) -> set[Any]:
    return set(client.value("MGET", *names))


def hash_says(client: RawClient, names: list[bytes]) -> set[Any]:
    return set(client.value("HMGET", "hash", *names))


def sorted_set_says(client: RawClient, names: list[bytes]) -> set[Any]:
    return set(client.value("ZMSCORE", "sorted set", *names))


def list_says(client: RawClient, names: list[bytes]) -> set[Any]:
    size = client.value("LLEN", "list")
    assert size % ROWS == 0
    return {client.value("LINDEX", "list", -1)}


def sorted_integers_say(client: RawClient, names: list[bytes]) -> set[Any]:
    return set(client.value("SIEXISTS", "integers", *map(_number_in, names)))


Say = Callable[[RawClient, list[bytes]], set[Any]]
KINDS: dict[str, tuple[Callable[[int], list[bytes]], Say]] = {
    "strings": (strings, strings_say),
    "hash": (hash_, hash_says),
    "sorted set": (sorted_set, sorted_set_says),
    "list": (list_, list_says),
    "sorted integers": (sorted_integers, sorted_integers_say),
}


class Load:
    """A client that writes one kind, again and again, and one that looks on."""

    def __init__(self, server: ServerProcess, kind: str) -> None:
        self.server = server
        self.request, self.say = KINDS[kind]
        self.acknowledged = self.sent = 0
        self.errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        work = (self._write, self._watch)
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in work]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[RawClient], None]) -> None:
        try:
            with self.server.client(seconds=SECONDS) as client:
                work(client)
        except (Disconnected, ConnectionError):
            pass
        except BaseException as error:
            self.errors.append(error)

    def _write(self, client: RawClient) -> None:
        while True:
            self.sent = self.acknowledged + 1
            reply = client.command(*self.request(self.sent))
            assert not reply.startswith(b"-"), reply
            self.acknowledged = self.sent

    def _watch(self, client: RawClient) -> None:
        while True:
            assert len(self.say(client, SOME)) == 1

    def join(self) -> None:
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        assert not self.errors, self.errors

    def check(self, client: RawClient) -> None:
        """The last write that was acknowledged is there, or the one after it."""
        (state,) = self.say(client, NAMES)
        expected = [self._state(self.acknowledged), self._state(self.sent)]
        assert state in expected, (state, expected)
        while self._state(self.acknowledged) != state:
            self.acknowledged += 1

    def _state(self, number: int) -> bytes | int | None:
        if self.request is sorted_integers:
            return number % 2
        if number == 0 or (self.request is strings and number % 4 == 0):
            return None
        return b"%d" % number


def run_cycles(folder: Path, model: str, cycles: int) -> None:
    server = tendis_process(folder, model=model)
    loads = [Load(server, kind) for kind in KINDS]
    try:
        server.start()
        for _ in range(cycles):
            written = sum(load.acknowledged for load in loads)
            for load in loads:
                load.start()
            wait_until(
                lambda: sum(load.acknowledged for load in loads) > written,  # noqa: B023
                "something is acknowledged",
                SECONDS,
            )
            time.sleep(random.uniform(0.0, 0.7))
            server.kill()
            for load in loads:
                load.join()
            check_offline(folder)
            server.start()
            with server.client(seconds=SECONDS) as client:
                for load in loads:
                    load.check(client)
        server.stop()
        check_offline(folder)
    finally:
        server.kill()


def test_large_commits_are_all_or_nothing(tmp_path: Path) -> None:
    run_cycles(tmp_path, MODELS[0], cycles=2)


@pytest.mark.parametrize("model", MODELS[1:])
def test_so_they_are_in_every_model(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, cycles=1)


@pytest.mark.soak
@pytest.mark.parametrize("model", MODELS)
def test_two_hundred_crashes(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, cycles=200 if model == MODELS[0] else 20)
