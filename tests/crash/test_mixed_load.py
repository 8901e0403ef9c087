"""kill -9 while clients write all types, small and large: acknowledged commands are there after the
restart, the one under way whole or not at all, and the offline check finds nothing.

What must be there is what a real redis-server holds after the same commands.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.support.resp import Disconnected, RawClient
from tests.support.servers import (
    MODELS,
    ROOT,
    ServerProcess,
    redis_process,
    running,
    tendis_process,
)

LOW = [
    *("--hash-max-listpack-entries", "6", "--list-max-listpack-size", "6"),
    *("--set-max-listpack-entries", "6", "--set-max-intset-entries", "6"),
    *("--zset-max-listpack-entries", "6", "--stream-node-max-entries", "5"),
]
"""Both forms of every collection are met all the time."""
FAR = b"4102444800000"
DEEPEST = 20
"""Commands in a pipeline."""
BIG = 3000
"""Members of the sets whose union is written ahead of its commit."""

Command = list[bytes]


class Choice(random.Random):
    """Random arguments, few enough to collide."""

    def key(self, prefix: bytes) -> bytes:
        return b"%b:%d" % (prefix, self.randrange(3))

    def member(self) -> bytes:
        return b"m%d" % self.randrange(30)

    def members(self, most: int = 6) -> list[bytes]:
        return [self.member() for _ in range(self.randint(1, most))]

    def number(self) -> bytes:
        return b"%d" % self.randrange(-20, 20)


def hashes(choice: Choice, prefix: bytes) -> Iterator[Command]:
    while True:
        key = choice.key(prefix)
        pairs = [part for field in choice.members() for part in (field, choice.number())]
        yield choice.choice(
            [
                [b"HSET", key, *pairs],
                [b"HSET", key, *pairs],
                [b"HDEL", key, *choice.members()],
                [b"HINCRBY", key, choice.member(), choice.number()],
                [b"HPEXPIREAT", key, FAR, b"FIELDS", b"1", choice.member()],
                [b"HPERSIST", key, b"FIELDS", b"1", choice.member()],
            ]
        )


def lists(choice: Choice, prefix: bytes) -> Iterator[Command]:
    while True:
        key, few = choice.key(prefix), b"%d" % choice.randint(1, 5)
        yield choice.choice(
            [
                [b"RPUSH", key, *choice.members()],
                [b"LPUSH", key, *choice.members()],
                [b"LPOP", key, few],
                [b"RPOP", key, few],
                [b"LMOVE", key, choice.key(prefix), b"LEFT", b"RIGHT"],
                [b"LINSERT", key, b"BEFORE", choice.member(), choice.member()],
                [b"LREM", key, choice.number(), choice.member()],
                [b"LTRIM", key, b"1", b"-2"],
            ]
        )


def sets(choice: Choice, prefix: bytes) -> Iterator[Command]:
    while True:
        key = choice.key(prefix)
        yield choice.choice(
            [
                [b"SADD", key, *choice.members()],
                [b"SADD", key, choice.number()],
                [b"SREM", key, *choice.members()],
                [b"SMOVE", key, choice.key(prefix), choice.member()],
                [b"SINTERSTORE", key, choice.key(prefix), choice.key(prefix)],
            ]
        )


def sorted_sets(choice: Choice, prefix: bytes) -> Iterator[Command]:
    while True:
        key = choice.key(prefix)
        pairs = [part for name in choice.members() for part in (choice.number(), name)]
        yield choice.choice(
            [
                [b"ZADD", key, *pairs],
                [b"ZADD", key, *pairs],
                [b"ZREM", key, *choice.members()],
                [b"ZINCRBY", key, choice.number(), choice.member()],
                [b"ZPOPMIN", key, b"2"],
                [b"ZREMRANGEBYRANK", key, b"3", b"5"],
                [b"ZUNIONSTORE", key, b"2", choice.key(prefix), choice.key(prefix)],
            ]
        )


def streams(choice: Choice, prefix: bytes) -> Iterator[Command]:
    reading = [b"XREADGROUP", b"GROUP", b"g"]
    for number in count(1):
        key = choice.key(prefix)
        some = b"%d" % choice.randint(max(1, number - 20), number)
        yield choice.choice(
            [
                [b"XADD", key, b"%d-1" % number, choice.member(), choice.number()],
                [b"XADD", key, b"%d-1" % number, choice.member(), choice.number()],
                [b"XADD", key, b"MAXLEN", b"12", b"%d-1" % number, b"f", b"v"],
                [b"XDEL", key, some + b"-1"],
                [b"XGROUP", b"CREATE", key, b"g", b"0", b"MKSTREAM"],
                [*reading, choice.member(), b"COUNT", b"2", b"STREAMS", key, b">"],
                [b"XACK", key, b"g", some + b"-1"],
            ]
        )


def bitmaps(choice: Choice, prefix: bytes) -> Iterator[Command]:
    while True:
        key, offset = choice.key(prefix), b"%d" % (choice.randrange(60) * 9999)
        yield choice.choice(
            [
                [b"SETBIT", key, offset, b"1"],
                [b"SETBIT", key, offset, b"0"],
                [b"BITOP", b"XOR", key, choice.key(prefix), choice.key(prefix)],
                [b"APPEND", key, choice.member()],
            ]
        )


def whole_keys(choice: Choice, prefix: bytes) -> Iterator[Command]:
    """What replaces, moves and deletes keys of any type, and large ones."""
    for at in range(2):
        for start in range(0, BIG, 500):
            numbers = range(start, start + 500)
            yield [b"SADD", b"%b:big:%d" % (prefix, at), *(b"%d-%d" % (at, n) for n in numbers)]
    big = [b"%b:big:%d" % (prefix, at) for at in range(2)]
    while True:
        key, other = choice.key(prefix), choice.key(prefix)
        yield choice.choice(
            [
                [b"SUNIONSTORE", key, *big],
                [b"SDIFFSTORE", key, big[0], other],
                [b"ZUNIONSTORE", key, b"2", big[0], other],
                [b"RENAME", key, other],
                [b"COPY", key, other, b"REPLACE"],
                [b"DEL", key],
                [b"SET", key, choice.member()],
                [b"RPUSH", key, *choice.members(12)],
                [b"PEXPIREAT", key, FAR],
                [b"PERSIST", key],
            ]
        )


KINDS: dict[bytes, Callable[[Choice, bytes], Iterator[Command]]] = {
    b"hash": hashes,
    b"list": lists,
    b"set": sets,
    b"zset": sorted_sets,
    b"stream": streams,
    b"bitmap": bitmaps,
    b"whole": whole_keys,
}


class Writer:
    """One client, endlessly writing its own keys; it remembers what was acknowledged and what was
    under way when the server died."""

    def __init__(self, server: ServerProcess, prefix: bytes, commands: Iterator[Command]) -> None:
        self.server = server
        self.prefix = prefix
        self.commands = commands
        self.acknowledged: list[tuple[Command, bytes]] = []
        """With their replies."""
        self.under_way: list[Command] = []
        self.error: BaseException | None = None

    def start(self) -> None:
        self.acknowledged.clear()
        self.under_way.clear()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self.server.client() as client:
                while True:
                    depth = random.choice([1, 3, DEEPEST])
                    self.under_way = [next(self.commands) for _ in range(depth)]
                    replies = client.pipeline(self.under_way)
                    self.acknowledged += zip(self.under_way, replies, strict=True)
        except (Disconnected, ConnectionError):
            pass
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        assert self.error is None, self.error

    def check(self, client: RawClient, reference: RawClient) -> None:
        """Have the real server do what was acknowledged, and of what was under way as much as it
        takes for both to hold the same."""
        for start in range(0, len(self.acknowledged), 100):
            part = self.acknowledged[start : start + 100]
            expected = reference.pipeline([command for command, _ in part])
            for (command, reply), right in zip(part, expected, strict=True):
                assert reply == right, (command, reply, right)
        found = contents(client, self.prefix)
        states = [contents(reference, self.prefix)]
        for command in self.under_way:
            if states[-1] == found:
                break
            reference.command(*command)
            states.append(contents(reference, self.prefix))
        assert found in states, f"{self.prefix!r}: after {self.under_way}"


def contents(client: RawClient, prefix: bytes) -> dict[bytes, Any]:
    """All keys that begin with ``prefix``, with what is in them."""
    keys = sorted(client.value("KEYS", prefix + b":*"))
    return {key: content(client, key) for key in keys}


def content(client: RawClient, key: bytes) -> Any:
    """All that a key holds, comparable between servers, but times that tell when it was done."""
    kind = client.value("TYPE", key).text
    deadline = client.value("PEXPIRETIME", key)
    if kind == "hash":
        flat = client.value("HGETALL", key)
        fields = sorted(flat[::2])
        due = client.value("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
        return kind, deadline, sorted(zip(flat[::2], flat[1::2], strict=True)), due
    if kind == "stream":
        return kind, deadline, stream_content(client, key)
    reading: dict[str, list[bytes | str | int]] = {
        "string": ["GET", key],
        "list": ["LRANGE", key, 0, -1],
        "set": ["SMEMBERS", key],
        "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"],
    }
    found = client.value(*reading[kind])
    return kind, deadline, sorted(found) if kind == "set" else found


def stream_content(client: RawClient, key: bytes) -> list[Any]:
    about = client.value("XINFO", "STREAM", key)
    facts = dict(zip(about[::2], about[1::2], strict=True))
    names = (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added")
    found = [[facts[name] for name in names], client.value("XRANGE", key, "-", "+")]
    for group in client.value("XINFO", "GROUPS", key):
        pending = client.value("XPENDING", key, group[1], "-", "+", 10_000)
        found += [group, [(id_, consumer, times) for id_, consumer, _, times in pending]]
    return found


def check_offline(folder: Path) -> None:
    """``tendis-py --check`` finds nothing wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tendis_py", "--check", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_cycles(folder: Path, model: str, appendfsync: str, cycles: int) -> None:
    data, reference_folder = folder / "tendis", folder / "redis"
    data.mkdir()
    reference_folder.mkdir()
    server = tendis_process(data, *LOW, "--appendfsync", appendfsync, model=model)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    writers = [Writer(server, name, make(Choice(seed), name)) for name, make in KINDS.items()]
    with running(redis_process(reference_folder, *LOW)) as other:
        try:
            server.start()
            for _ in range(cycles):
                for writer in writers:
                    writer.start()
                time.sleep(random.uniform(0.4, 1.0))
                server.kill()
                for writer in writers:
                    writer.join()
                assert sum(len(writer.acknowledged) for writer in writers) > 100, "no load"
                check_offline(data)
                server.start()
                with server.client() as client, other.client() as reference:
                    for writer in writers:
                        writer.check(client, reference)
            server.stop()
            check_offline(data)
        finally:
            server.kill()


def test_all_types_survive_kill_9(tmp_path: Path) -> None:
    run_cycles(tmp_path, MODELS[0], "everysec", cycles=2)


@pytest.mark.soak
@pytest.mark.parametrize("model", MODELS)
def test_fifty_crashes_of_all_types(tmp_path: Path, model: str) -> None:
    run_cycles(tmp_path, model, "everysec", cycles=50)
