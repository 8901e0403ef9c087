"""What takes how many bytes in a listpack, and when a list is one: as the real server has it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import pytest

from tendis_py.errors import ReplyError
from tendis_py.storage.codec import encoding_name
from tendis_py.storage.limits import DefaultLimits
from tendis_py.types import listpack
from tendis_py.types.list import edit as list_edit
from tendis_py.types.list import elements as lists
from tests.support.resp import RawClient, decode
from tests.support.servers import ServerProcess
from tests.support.store import Store

KEY = b"list"

SMALL_NODE, LARGE_NODE = (4096, "-1"), (65536, "-5")
"""Bytes of a listpack, and the list-max-listpack-size that allows as many."""

VALUES = [
    *(b"%d" % (sign * (1 << bits) + step) for bits in (0, 7, 12, 15, 23, 31, 62)
      for sign in (1, -1) for step in (-1, 0, 1)),
    *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808"),
    *(b"", b"-", b"-0", b"01", b"+1", b"1 ", b"1.5", b"1" * 20, b"1" * 21),
    *(b"x" * size for size in (1, 20, 62, 63, 64, 65, 125, 126, 127, 128, 500, 4000)),
]  # fmt: skip
LONG_VALUES = [b"x" * size for size in (4095, 4096, *range(16374, 16386), 20_000)]


@pytest.fixture
def redis(redis_server: ServerProcess) -> Iterator[RawClient]:
    """A client of the real server, which may change list-max-listpack-size."""
    with redis_server.client() as client:
        client.command("FLUSHALL")
        yield client
        client.command("CONFIG", "SET", "list-max-listpack-size", "-2")


@pytest.mark.parametrize(("node", "values"), [(SMALL_NODE, VALUES), (LARGE_NODE, LONG_VALUES)])
def test_entries_take_what_they_take_in_redis(
    redis: RawClient, node: tuple[int, str], values: list[bytes]
) -> None:
    """A listpack of the value alone has room for just so many more bytes."""
    size, directive = node
    redis.command("CONFIG", "SET", "list-max-listpack-size", directive)
    for value in values:
        room = size - listpack.EMPTY - listpack.entry_size(value)
        for added, kept in ((room, b"listpack"), (room + 1, b"quicklist")):
            redis.command("DEL", "k")
            redis.command("RPUSH", "k", value)
            redis.command("RPUSH", "k", b"x" * added)
            assert decode(redis.command("OBJECT", "ENCODING", "k")) == kept, value[:30]


LONG = [1, 70, 127, 500, 2000, 2030, 4000, 4085]
"""Each has room for a number in a listpack of 4,096 bytes."""


@pytest.mark.parametrize("seed", range(3))
def test_lists_change_shape_when_redis_changes_it(
    store: Store, redis: RawClient, seed: int
) -> None:
    """Only by commands that leave Redis no second node, whose borders are unlike ours."""
    limits = DefaultLimits()
    limits.list_max_listpack_size = -1
    store.keyspace.limits = limits
    redis.command("CONFIG", "SET", "list-max-listpack-size", "-1")
    db = store.db
    dice = random.Random(seed)
    seen = set()
    for _ in range(150):
        lists.store(db, KEY, [])
        redis.command("DEL", KEY)
        first, value = (b"x" * dice.choice(LONG) for _ in range(2))
        lists.push(db, KEY, [first, b"12"], left=True)
        redis.command("LPUSH", KEY, first, "12")
        match dice.randrange(4):
            case 0:
                index = dice.choice([0, 1, 2])
                redis.command("LSET", KEY, index, value)
                with contextlib.suppress(ReplyError):  # there is no index 2
                    list_edit.replace(db, KEY, index, value, list_edit.existing(db, KEY))
            case 1:
                pivot = dice.choice([b"12", b"13"])
                redis.command("LINSERT", KEY, "AFTER", pivot, value)
                list_edit.insert(db, KEY, pivot, value, after=True)
            case 2:
                redis.command("LMOVE", KEY, KEY, "LEFT", "RIGHT")
                lists.move(db, KEY, KEY, from_left=True, to_left=False)
            case 3:
                redis.command("RPUSH", KEY, value)
                redis.command("LREM", KEY, "0", value)
                lists.push(db, KEY, [value], left=False)
                list_edit.remove(db, KEY, 0, value)
        theirs = redis.command("OBJECT", "ENCODING", KEY)
        assert decode(theirs).decode() == encoding_name(list_edit.existing(db, KEY))
        seen.add(theirs)
    assert len(seen) == 2
