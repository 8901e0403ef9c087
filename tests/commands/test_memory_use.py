"""The memory in use rises with what comes and falls with what goes, as redis-server's does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.resp import RawClient, decode
from tests.support.servers import (
    MODELS,
    ServerProcess,
    redis_process,
    running,
    tendis_process,
    wait_until,
)

MB = 1 << 20
MANY = 100_000
WORDS = [f"{number:06d}" for number in range(MANY)]
PAIRS = [word for pair in zip(WORDS, WORDS, strict=True) for word in pair]

Scene = tuple[list[list[str]], list[list[str]]]


def sliced(head: list[str], words: list[str]) -> list[list[str]]:
    """Commands with a thousand words each."""
    return [[*head, *words[at : at + 1000]] for at in range(0, len(words), 1000)]


SCENES: dict[str, Scene] = {
    "a set": (sliced(["SADD", "k"], WORDS), [["UNLINK", "k"]]),
    "a set made at once": ([["SADD", "k", *WORDS]], [["UNLINK", "k"]]),
    "a hash": (sliced(["HSET", "k"], PAIRS), [["DEL", "k"]]),
    "a list that expires": (sliced(["RPUSH", "k"], WORDS), [["PEXPIRE", "k", "1"]]),
    "a sorted set that is replaced": (sliced(["ZADD", "k"], PAIRS), [["SET", "k", "v"]]),
    "many keys": (sliced(["MSET"], PAIRS), sliced(["DEL"], WORDS)),
    "a long string": ([["SET", "k", "v" * 20 * MB]], [["DEL", "k"]]),
    "a database": (sliced(["MSET"], PAIRS), [["FLUSHALL", "ASYNC"]]),
}
"""What takes memory, a MB or many, and what gives it back."""


def used(client: RawClient) -> int:
    fields = decode(client.command("INFO", "memory"))
    assert isinstance(fields, bytes)
    found = dict(line.split(b":", 1) for line in fields.split(b"\r\n") if b":" in line)
    return int(found[b"used_memory"])


def run(client: RawClient, commands: list[list[str]]) -> None:
    for command in commands:
        assert not client.command(*command).startswith(b"-")


def rise_and_fall(client: RawClient, scene: Scene) -> int:
    """How far the memory in use rose, on a server that has no data. It has to come back down."""
    fill, empty = scene
    before = used(client)
    run(client, fill)
    rise = used(client) - before
    run(client, empty)
    wait_until(lambda: used(client) < before + rise / 4 + MB, "it has fallen", 20)
    return rise


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RawClient]:
    """A client of a redis-server of its own: others would move the figures."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with running(redis_process(folder)) as server, server.client() as client:
        yield client


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "tendis"
    folder.mkdir()
    with running(tendis_process(folder)) as server:
        yield server


@pytest.mark.parametrize("name", SCENES)
def test_it_rises_and_falls(name: str, ours: ServerProcess, real: RawClient) -> None:
    assert rise_and_fall(real, SCENES[name]) > MB / 2
    with ours.client() as client:
        assert rise_and_fall(client, SCENES[name]) > 4 * MB


@pytest.mark.parametrize("model", MODELS[1:])
def test_it_does_in_every_model(model: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp(model)
    with running(tendis_process(folder, model=model)) as server, server.client() as client:
        assert rise_and_fall(client, SCENES["a set"]) > 4 * MB


@pytest.mark.parametrize("name", ["a hash", "a database"])
def test_the_system_gets_memory_back(name: str, ours: ServerProcess) -> None:
    """Not all of it: CPython gives back a MB at a time, and only when nothing in it is used."""
    fill, empty = SCENES[name]
    before = ours.resident_bytes()
    with ours.client() as client:
        for digit in "0123":
            run(client, [[word.replace("0", digit, 1) for word in command] for command in fill])
        rise = ours.resident_bytes() - before
        run(client, empty)
        wait_until(lambda: ours.resident_bytes() < before + rise * 3 / 4, "it comes back", 20)
    assert rise > 20 * MB


def test_what_waits_for_a_client_counts(ours: ServerProcess) -> None:
    with ours.client() as client:
        with ours.client() as lazy:
            client.command("SET", "k", "v" * 10 * MB)
            before = used(client)
            lazy.send(b"GET k\r\n" * 5)
            wait_until(lambda: used(client) > before + 40 * MB, "replies wait")
        # but for the string itself, which the caches have now
        wait_until(lambda: used(client) < before + 25 * MB, "they are gone with it")
