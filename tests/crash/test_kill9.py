"""kill -9 under load: what was acknowledged is there after the restart, and nothing is torn.

A killed process loses nothing that it has handed to the operating system, so both durabilities
must keep every acknowledged write. (What ``everysec`` may lose is a second before a power cut,
which a test on one machine can't see.)
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.resp import Disconnected, RawClient
from tests.support.servers import MODELS, ServerProcess, tendis_process, wait_until

FAR = b"4102444800000"
PAIRS = 6


@dataclass
class Writer:
    """One client's endless work, and what must be found of it.

    Its keys are its own: ``acknowledged`` is the least each must hold, ``sent`` what it may hold
    besides, since a request on its way may or may not have happened.
    """

    name: bytes
    depth: int
    server: ServerProcess
    round: int = 0
    acknowledged: int = 0
    """Number of the last pipeline whose replies have all come."""
    sent: int = 0
    error: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.server.client() as client:
                while True:
                    self.sent = self.acknowledged + 1
                    replies = client.pipeline(self.requests(self.sent))
                    assert not any(reply.startswith(b"-") for reply in replies), replies
                    self.acknowledged = self.sent
        except (Disconnected, ConnectionError):
            pass
        except BaseException as error:
            self.error = error

    def requests(self, number: int) -> list[list[bytes]]:
        """One pipeline; pipelines are numbered from 1."""
        value = b"%d" % number
        pairs = [part for key in self.pair_keys() for part in (key, value)]
        requests = [
            [b"SET", self.key(b"plain:%d" % (number % 97)), value],
            [b"INCR", self.key(b"counter")],
            [b"MSET", *pairs],
            [b"SET", self.key(b"kept:%d" % (number % 13)), value, b"PXAT", FAR],
            [b"SET", self.key(b"brief:%d" % (number % 50)), value, b"PX", b"40"],
            [b"SET", self.key(b"gone"), value],
            [b"DEL", self.key(b"gone")],
            [b"APPEND", self.key(b"log:%d" % (number // 200)), b"%d," % number],
        ]
        return requests * self.depth if self.depth == 1 else self._deep(requests, number)

    def _deep(self, requests: list[list[bytes]], number: int) -> list[list[bytes]]:
        """A long pipeline: the same, after writes that fill more of the batch."""
        filling = [
            [b"SET", self.key(b"fill:%d:%d" % (number % 20, index)), b"%d" % number]
            for index in range(self.depth)
        ]
        return filling + requests

    def key(self, name: bytes) -> bytes:
        return b"%b:%b" % (self.name, name)

    def pair_keys(self) -> list[bytes]:
        return [self.key(b"pair:%d" % index) for index in range(PAIRS)]

    def check(self, client: RawClient) -> None:
        """AssertionError when an acknowledged write is missing or something is torn."""
        low, high = self.acknowledged, self.sent
        counter = int(client.value("GET", self.key(b"counter")) or 0)
        assert low <= counter <= high, f"{low} increments acknowledged, {high} sent: {counter}"
        pair = client.value("MGET", *self.pair_keys())
        assert len(set(pair)) == 1, f"a torn MSET: {pair}"
        assert low <= int(pair[0] or 0) <= high
        assert client.value("GET", self.key(b"gone")) in (None, b"%d" % high)
        self._check_slots(client, b"plain", 97)
        self._check_slots(client, b"kept", 13)
        assert client.value("PEXPIRETIME", self.key(b"kept:%d" % (low % 13))) == int(FAR)
        self._check_log(client)
        for index in range(self.depth if self.depth > 1 else 0):
            filled = int(client.value("GET", self.key(b"fill:%d:%d" % (low % 20, index))))
            assert low <= filled <= high

    def _check_slots(self, client: RawClient, name: bytes, slots: int) -> None:
        """Each slot holds the last number that was written to it."""
        low, high = self.acknowledged, self.sent
        names = [self.key(b"%b:%d" % (name, slot)) for slot in range(slots)]
        for slot, value in enumerate(client.value("MGET", *names)):
            last = low - (low - slot) % slots
            allowed = {last} | ({high} if high % slots == slot else set())
            if last < 1:
                allowed.add(0)
            assert int(value or 0) in allowed or last < 0, f"{name!r}:{slot} is {value!r}"

    def _check_log(self, client: RawClient) -> None:
        """Appends: all numbers in order, at most the last one not acknowledged."""
        found: list[bytes] = []
        for part in range(self.sent // 200 + 1):
            found += (client.value("GET", self.key(b"log:%d" % part)) or b"").split(b",")[:-1]
        numbers = list(map(int, found))
        assert numbers in (
            list(range(1, self.acknowledged + 1)),
            list(range(1, self.sent + 1)),
        ), f"{self.name!r}: appended up to {self.acknowledged}, found {numbers[-3:]}"


def crash(server: ServerProcess, cycle: int) -> list[Writer]:
    """Load a running server for a moment and kill it; what was written."""
    names = [b"cycle:%d:%d" % (cycle, index) for index in range(5)]
    writers = [
        Writer(name, depth, server) for name, depth in zip(names, [1, 1, 1, 40, 400], strict=True)
    ]
    for writer in writers:
        writer.start()
    time.sleep(random.uniform(0.3, 0.9))
    server.kill()
    for writer in writers:
        writer.thread.join(20.0)
        assert not writer.thread.is_alive()
        assert writer.error is None, writer.error
    return writers


def check_counts(client: RawClient) -> None:
    """DBSIZE, a live counter, against what is there. Keys that have expired may be counted until
    they are swept; asking for them sweeps them."""

    def is_true() -> bool:
        names: set[bytes] = set()
        cursor = b"0"
        while True:
            cursor, found = client.value("SCAN", cursor, "COUNT", 1000)
            names.update(found)
            if cursor == b"0":
                return bool(client.value("DBSIZE") == len(names))

    wait_until(is_true, "DBSIZE is the number of keys")


def run_cycles(folder: Path, model: str, appendfsync: str, cycles: int) -> None:
    server = tendis_process(folder, "--appendfsync", appendfsync, model=model)
    try:
        server.start()
        history: list[Writer] = []
        for cycle in range(cycles):
            latest = crash(server, cycle)
            assert sum(writer.acknowledged for writer in latest) > 20, "there was no load"
            server.start()
            history += latest
            with server.client() as client:
                for writer in latest + random.sample(history, min(5, len(history))):
                    writer.check(client)
                check_counts(client)
        server.stop()
    finally:
        server.kill()


@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_acknowledged_writes_survive_kill_9(tmp_path: Path, appendfsync: str) -> None:
    run_cycles(tmp_path, MODELS[0], appendfsync, cycles=3)


@pytest.mark.parametrize("model", MODELS[1:])
def test_so_they_do_in_every_threading_model(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, "everysec", cycles=1)


@pytest.mark.soak
@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
@pytest.mark.parametrize("model", MODELS)
def test_many_crashes(tmp_path: Path, appendfsync: str, model: str) -> None:
    run_cycles(tmp_path, model, appendfsync, cycles=10)


@pytest.mark.soak
@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_fifty_crashes(tmp_path: Path, appendfsync: str) -> None:
    run_cycles(tmp_path, MODELS[0], appendfsync, cycles=50)
