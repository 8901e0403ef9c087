"""Commands on collections of 200,000 elements: how many rows each reads and writes.

Nothing is in the row cache when a command begins, so that RocksDB is asked for all it reads, meta
rows included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tendis_py.config import Config
from tendis_py.services import Services
from tendis_py.storage.engine import Engine
from tendis_py.storage.keyspace import Keyspace
from tendis_py.storage.order import CHUNK
from tests.support.dispatching import Thread

TYPES = {"hash", "list", "set", "zset", "stream", "sortedint"}
ELEMENTS = 200_000
FEW = 8
"""Rows a command about one or two elements may read, and write."""
ROWS_AN_ELEMENT = 4
"""What a command about more may read and write for each: a pending stream entry is the most."""


class CountingEngine(Engine):
    """Counts the rows it reads and writes."""

    read = written = 0

    def get(self, family: int, key: bytes) -> bytes | None:
        self.read += 1
        return super().get(family, key)

    def get_many(self, family: int, keys: list[bytes]) -> list[bytes | None]:
        self.read += len(keys)
        return super().get_many(family, keys)

    def items(self, *range_: Any, **options: Any) -> Iterator[tuple[bytes, bytes]]:
        for item in super().items(*range_, **options):
            self.read += 1
            yield item

    def keys(self, *range_: Any, **options: Any) -> Iterator[bytes]:
        for key in super().keys(*range_, **options):
            self.read += 1
            yield key

    def write_batch(self, build: Callable[[], Any], *, may_wait: bool = True) -> None:
        def counted() -> Any:
            batch = build()
            self.written += batch.len()
            return batch

        super().write_batch(counted, may_wait=may_wait)


def filling(type_: str, elements: tuple[bytes, ...]) -> list[list[bytes]]:
    key = type_.encode()
    if type_ == "hash":
        return [[b"HSET", key, *(word for element in elements for word in (element, b"1"))]]
    if type_ == "list":
        return [[b"RPUSH", key, *elements]]
    if type_ == "set":
        return [[b"SADD", key, *elements]]
    if type_ == "sortedint":
        return [[b"SIADD", key, *elements]]
    if type_ == "zset":
        return [[b"ZADD", key, *(word for element in elements for word in (element, element))]]
    return [[b"XADD", key, element + b"-1", b"f", b"v"] for element in elements]


class Large:
    """A keyspace with a collection of each type, under its type's name, made when first needed:
    of 0000000, 0000001 and so on, which are scores and the IDs of entries, too."""

    def __init__(self, folder: Path) -> None:
        self.engine = CountingEngine(folder)
        self.keyspace = Keyspace(self.engine)
        services = Services(Config(), self.keyspace)
        self._thread = Thread(services)
        self._filled: set[str] = set()

    def _fill(self, type_: str) -> None:
        if type_ not in self._filled:
            self._filled.add(type_)
            numbers = (b"%07d" % number for number in range(ELEMENTS))
            while elements := tuple(islice(numbers, 1000)):
                self._thread.run_requests(filling(type_, elements))

    def run(self, line: str) -> tuple[int, int]:
        """How many rows a command reads and writes, that succeeds."""
        for type_ in TYPES.intersection(line.split()):
            self._fill(type_)
        self.keyspace.cache.clear()
        self.engine.read = self.engine.written = 0
        reply = self._thread.run(line)
        assert not reply.startswith((b"-", b"$-1", b"*-1", b"_")), reply
        return self.engine.read, self.engine.written

    def forget_order(self) -> None:
        """Have order indexes forget the elements, not their boundaries."""
        for index in self.keyspace.orders._indexes.values():
            index.forget()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    large = Large(tmp_path_factory.mktemp("large") / "data")
    yield large
    large.engine.close()


ONE_OR_TWO = """
HGET hash 0100000|HMGET hash 0100000 0120000|HEXISTS hash 0100000|HLEN hash|HSTRLEN hash 0100000
HSET hash 0100000 2|HSET hash new 1|HSETNX hash newer 1|HDEL hash 0020000 0020001
HINCRBY hash 0100000 1|HINCRBYFLOAT hash 0100000 0.5|HGETDEL hash FIELDS 1 0100001
HEXPIRE hash 1000 FIELDS 1 0100000|HTTL hash FIELDS 1 0100000|HPERSIST hash FIELDS 1 0100000
HSETEX hash EX 100 FIELDS 1 0100002 x|HGETEX hash PERSIST FIELDS 1 0100002
LLEN list|LINDEX list 100000|LINDEX list -80000|LSET list 100000 x|LPUSH list a b|RPUSH list a b
LPUSHX list a|LPOP list|RPOP list 2|LMOVE list list LEFT RIGHT|RPOPLPUSH list elsewhere
LMPOP 1 list LEFT COUNT 2|LTRIM list 2 -2|LRANGE list 100000 100001
SCARD set|SISMEMBER set 0100000|SMISMEMBER set 0100000 x|SADD set x|SREM set 0020000
SADD few 0100000|SMOVE set few 0080000|SINTER set few|SINTERCARD 2 few set|SDIFF few set
ZCARD zset|ZSCORE zset 0100000|ZMSCORE zset 0100000 0120000|ZADD zset 5 new|ZADD zset 6 0100000
ZINCRBY zset 5 0100000|ZREM zset 0020000|ZADD scores 1 0100000|ZINTER 2 zset scores
ZINTERCARD 2 zset scores|ZDIFF 2 scores zset|ZRANGEBYSCORE zset 120000 120001
ZRANGE zset (140000 +inf BYSCORE LIMIT 0 2|ZRANGEBYLEX zset - + LIMIT 0 2
SICARD sortedint|SIEXISTS sortedint 100000 9999999|SIADD sortedint 9000000|SIREM sortedint 100001
SIADD sortedint 100000|SIRANGE sortedint 0 2|SIREVRANGE sortedint 1 2 CURSOR 120000
SIRANGEBYVALUE sortedint 120000 120001|SIREVRANGEBYVALUE sortedint +inf -inf LIMIT 0 2
GEODIST zset 0100000 0120000|GEOPOS zset 0100000|GEOHASH zset 0100000
XLEN stream|XADD stream * f v|XDEL stream 100000-1|XDELEX stream IDS 1 100001-1|XINFO STREAM stream
XSETID stream 99999999999999-1|XGROUP CREATE stream group 100000|XACK stream group 100000-1
XRANGE stream 120000 120001|XPENDING stream group|XINFO GROUPS stream|XINFO CONSUMERS stream group
XGROUP SETID stream group 120000|XGROUP DESTROY stream group
TYPE set|OBJECT ENCODING zset|MEMORY USAGE hash|EXPIRE list 1000|PERSIST list
RENAME hash other|RENAME other hash|RENAME set other|RENAME other set|RENAME zset other
RENAME other zset|RENAME sortedint other|RENAME other sortedint
RENAME stream other|RENAME other stream|RENAME list other|RENAME other list
"""


@pytest.mark.parametrize("line", ONE_OR_TWO.strip().replace("\n", "|").split("|"))
def test_a_command_about_an_element_or_two_touches_few_rows(large: Large, line: str) -> None:
    read, written = large.run(line)
    assert read <= FEW
    assert written <= FEW


TEN = """
HSCAN hash 0 COUNT 10|LRANGE list 100000 100009|LPOS list 0000010|LPOP list 10|RPOP list 10
SSCAN set 0 COUNT 10|SINTERCARD 2 set set LIMIT 10|ZRANGE zset 0 9|ZRANGE zset 0 9 REV
ZRANGEBYSCORE zset 120000 120009|ZREVRANGEBYSCORE zset +inf -inf LIMIT 0 10|ZSCAN zset 0 COUNT 10
ZRANGESTORE ten zset 0 9|ZINTERCARD 2 ten zset|ZUNION 2 ten few|GEORADIUS_RO zset 0 0 1 m
SIRANGE sortedint 5 10 CURSOR 140000|SIREVRANGEBYVALUE sortedint 120000 -inf LIMIT 5 10
XRANGE stream 100000 + COUNT 10|XREVRANGE stream + - COUNT 10|XREAD COUNT 10 STREAMS stream 100000
XGROUP CREATE stream readers 100000|XREADGROUP GROUP readers reader COUNT 10 STREAMS stream >
XPENDING stream readers - + 10|XAUTOCLAIM stream readers other 0 0 COUNT 10
XCLAIM stream readers other 0 100002-1|XACKDEL stream readers IDS 1 100002-1
XINFO STREAM stream FULL COUNT 10|XGROUP DELCONSUMER stream readers other
"""


@pytest.mark.parametrize("line", TEN.strip().replace("\n", "|").split("|"))
def test_a_command_about_ten_elements_touches_their_rows(large: Large, line: str) -> None:
    read, written = large.run(line)
    assert read <= FEW + 10 * ROWS_AN_ELEMENT
    assert written <= FEW + 10 * ROWS_AN_ELEMENT


@pytest.mark.parametrize(
    "line",
    [
        *("ZRANGE zset 200 209", "ZREVRANGE zset 300 309"),
        *("ZPOPMIN zset", "ZPOPMAX zset 3", "ZMPOP 1 zset MIN COUNT 2", "ZPOPMAX zset"),
    ],
)
def test_a_rank_near_an_end_of_a_sorted_set_reads_a_chunk_there(large: Large, line: str) -> None:
    read, written = large.run(line)
    assert read <= FEW + CHUNK
    assert written <= FEW


@pytest.mark.parametrize(
    ("line", "chunks"),
    [
        ("HRANDFIELD hash", 1),
        ("HRANDFIELD hash -3 WITHVALUES", 3),
        ("SRANDMEMBER set 3", 3),
        ("SPOP set", 1),
        ("SPOP set 3", 3),
        ("ZRANDMEMBER zset", 1),
        ("ZRANK zset 0080000", 1),
        ("ZREVRANK zset 0120000 WITHSCORE", 1),
        ("ZRANGE zset 60000 60009", 2),
        ("ZREVRANGE zset 60000 60009", 2),
        ("ZRANGEBYSCORE zset 0 +inf LIMIT 60000 10", 2),
        ("ZCOUNT zset 40000 160000", 2),
        ("ZREMRANGEBYRANK zset 60000 60003", 2),
        ("ZREMRANGEBYSCORE zset 60010 60013", 4),
        ("ZREMRANGEBYRANK zset 0 3", 1),
        ("SIRANGE sortedint 60000 10", 3),
        ("SIREVRANGEBYVALUE sortedint 160000 20000 LIMIT 60000 10", 4),
    ],
)
def test_a_rank_reads_all_keys_once_and_then_a_chunk(large: Large, line: str, chunks: int) -> None:
    """A list has its own test: it needs an order index only for its gaps."""
    read, _ = large.run(line)
    assert read <= ELEMENTS + 1000 + chunks * 2 * CHUNK
    large.forget_order()
    if line.startswith("ZREMRANGEBYSCORE"):
        line = line.replace("6001", "6002")
    read, written = large.run(line)
    assert read <= FEW + chunks * (2 * CHUNK + FEW)
    assert written <= FEW + 4 * ROWS_AN_ELEMENT


def test_a_list_with_a_gap_is_read_once(large: Large) -> None:
    """Where it is asked for ranks far from both ends."""
    large.run("LREM list 1 0000100")
    for line in ("LINDEX list -1", "RPOP list 10", "LPOP list 10", "LRANGE list 0 9"):
        read, written = large.run(line)
        assert read <= FEW + CHUNK + 10
        assert written <= FEW + 10
    read, _ = large.run("LINDEX list 100000")
    assert ELEMENTS // 2 < read <= ELEMENTS + 2 * CHUNK
    for line in ("LINDEX list 100000", "LINDEX list 20000", "LRANGE list -5 -1", "LSET list 9 x"):
        large.forget_order()
        read, written = large.run(line)
        assert read <= FEW + 2 * CHUNK
        assert written <= FEW


def test_set_algebra_reads_each_row_once(large: Large) -> None:
    large.run("SADD few 0000001 x")
    read, written = large.run("SUNIONSTORE union set few")
    assert read <= ELEMENTS + 10
    assert ELEMENTS * 0.99 < written < ELEMENTS * 1.01


@pytest.mark.parametrize("trimmed", ["MAXLEN 199000", "MAXLEN ~ 198000"])
def test_a_trimmed_stream_is_read_by_the_node(large: Large, trimmed: str) -> None:
    read, written = large.run(f"XTRIM stream {trimmed}")
    assert read < ELEMENTS / 100
    assert written < ELEMENTS / 100


@pytest.mark.parametrize(
    "line",
    [
        "SETBIT bits 4294967295 1",
        "SETBIT bits 2147483648 1",
        "GETBIT bits 4294967295",
        "BITFIELD bits SET u8 1000000 255 GET u8 3000000000",
        "SETRANGE bits 300000000 abc",
        "GETRANGE bits 299999999 300000003",
        "BITCOUNT bits -5 -1",
        "STRLEN bits",
    ],
)
def test_a_bitmap_of_512_mb_is_written_by_the_fragment(large: Large, line: str) -> None:
    read, written = large.run(line)
    assert read <= FEW
    assert written <= FEW


@pytest.mark.parametrize(
    "line",
    ["DEL hash", "UNLINK set", "SET zset x", "PEXPIRE list -1", "RENAME zset stream", "DEL union"],
)
def test_what_is_left_behind_costs_nothing(large: Large, line: str) -> None:
    read, written = large.run(line)
    assert read <= FEW
    assert written <= FEW
