"""redis-py's own methods for commands that the real server here does not have yet."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import xxhash
from redis.commands.core import DataPersistOptions

from tests.support.resp import SECONDS
from tests.support.servers import HOST, ServerProcess

LONG = random.Random(2).randbytes(600_000)

pytestmark = pytest.mark.filterwarnings("ignore:.*experimental")


@pytest.fixture(params=[2, 3])
def client(request: pytest.FixtureRequest, tendis: ServerProcess) -> Iterator[Any]:
    with redis.Redis(
        HOST, tendis.port, protocol=request.param, socket_timeout=SECONDS, decode_responses=False
    ) as found:
        yield found
        found.flushall()


def test_compare_and_set(client: Any) -> None:
    assert client.set("k", "v", ifeq="x") is None
    assert client.set("k", "v", ifne="x")
    assert client.set("k", "w", ifeq="v", ex=100)
    assert client.set("k", "x", ifeq="v", get=True) == b"w"
    assert client.ttl("k") == 100
    digest = client.digest("k")
    assert digest == xxhash.xxh3_64_hexdigest(b"w").encode()
    assert client.set("k", "x", ifdne=digest) is None
    assert client.set("k", "x", ifdeq=digest)
    assert client.digest("none") is None
    client.rpush("l", "a")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.set("l", "v", ifne="x")


def test_compare_and_delete(client: Any) -> None:
    client.set("k", "v")
    assert client.delex("k", ifeq="x") == 0
    assert client.delex("k", ifne="v") == 0
    assert client.delex("k", ifdeq=client.digest("k").decode()) == 1
    assert client.delex("k", ifeq="v") == 0
    client.rpush("l", "a")
    with pytest.raises(redis.ResponseError, match="Key should be of string type"):
        client.delex("l", ifeq="a")
    assert client.delex("l") == 1


def test_of_long_strings(client: Any) -> None:
    changed = LONG[:-1] + bytes([LONG[-1] ^ 1])
    client.set("k", LONG)
    assert client.digest("k") == xxhash.xxh3_64_hexdigest(LONG).encode()
    assert client.set("k", changed, ifeq=changed) is None
    assert client.set("k", changed, ifeq=LONG, ex=100, get=True) == LONG
    assert client.get("k") == changed
    assert client.execute_command("CAS", "k", LONG, b"v") == 0
    assert client.execute_command("CAS", "k", changed, LONG, "EX", 50) == 1
    assert client.ttl("k") == 50
    assert client.execute_command("CAD", "k", changed) == 0
    assert client.delex("k", ifne=LONG) == 0
    assert client.execute_command("CAD", "k", LONG) == 1
    assert client.execute_command("CAD", "k", LONG) == -1
    assert client.msetex({"a": LONG, "b": "short"}, ex=100) == 1
    assert client.mget("a", "b") == [LONG, b"short"]
    assert client.ttl("a") == 100


def test_msetex_of_many_keys(client: Any) -> None:
    many = {b"k%d" % number: b"v%d" % number for number in range(6000)}
    assert client.msetex(many, DataPersistOptions.XX, ex=10000) == 0
    assert client.msetex(many, DataPersistOptions.NX, ex=10000) == 1
    assert client.msetex({**many, b"new": b"v"}, DataPersistOptions.NX, ex=10000) == 0
    assert client.mget(list(many)) == list(many.values())
    assert 9000 < client.ttl("k5999") <= 10000
    assert client.msetex(dict.fromkeys(many, b"w"), keepttl=True) == 1
    assert client.get("k4000") == b"w"
    assert 9000 < client.ttl("k0") <= 10000
    assert client.dbsize() == 6000


def test_increx(client: Any) -> None:
    assert client.increx("k") == [1, 1]
    assert client.increx("k", byint=5, ubound=3) == [1, 0]
    assert client.increx("k", byint=5, ubound=3, saturate=True, ex=100) == [3, 2]
    assert client.increx("k", ex=10, enx=True) == [4, 1]
    assert client.ttl("k") == 100
    assert client.increx("k", byint=-1, persist=True) == [3, -1]
    assert client.ttl("k") == -1
    found = client.increx("k", byfloat=0.5)
    assert list(map(float, found)) == [3.5, 0.5]
    assert client.get("k") == b"3.5"


def test_numbers_with_a_fraction_are_doubles_in_resp3(tendis: ServerProcess) -> None:
    with tendis.client(protocol=3) as raw:
        assert raw.command("INCREX", "k", "BYFLOAT", "2.5") == b"*2\r\n,2.5\r\n,2.5\r\n"
        assert raw.command("INCREX", "i") == b"*2\r\n:1\r\n:1\r\n"
        raw.command("FLUSHALL")
    with tendis.client() as raw:
        assert raw.command("INCREX", "k", "BYFLOAT", "2.5") == b"*2\r\n$3\r\n2.5\r\n$3\r\n2.5\r\n"
        raw.command("FLUSHALL")


def test_lmovem(client: Any) -> None:
    client.rpush("s", *range(5000))
    assert client.lmovem("s", "d") == [b"0"]
    assert client.lmovem("s", "d", "RIGHT", "LEFT", 2, ordering="BULK") == [b"4998", b"4999"]
    assert client.lmovem("s", "d", count=9999, mode="EXACTLY", ordering="OBO") is None
    moved = client.lmovem("s", "d", "LEFT", "RIGHT", 9999, "COUNT", "BULK")
    assert moved == [b"%d" % number for number in range(1, 4998)]
    assert client.exists("s") == 0
    assert client.lrange("d", 0, -1) == [b"4998", b"4999", b"0", *moved]
    assert client.lmovem("none", "d") is None


def test_sizes_of_sets(client: Any) -> None:
    client.sadd("a", *range(3000))
    client.sadd("b", *range(2000, 4000))
    assert client.sunioncard(2, ["a", "b"]) == 4000
    assert client.sunioncard(2, ["a", "b"], limit=10) == 10
    assert client.sunioncard(2, ["a", "b"], approx=True) == pytest.approx(4000, rel=0.03)
    assert client.sdiffcard(2, ["a", "b"]) == 2000
    assert client.sdiffcard(2, ["a", "b"], limit=5) == 5


def test_aggregate_count(client: Any) -> None:
    client.zadd("a", {"x": 5, "y": 6})
    client.zadd("b", {"x": 7})
    assert client.zunionstore("out", ["a", "b"], aggregate="COUNT") == 2
    assert client.zscore("out", "x") == 2
    assert client.zinterstore("out", {"a": 2, "b": 3}, aggregate="COUNT") == 1
    assert client.zscore("out", "x") == 5


def test_claims_and_what_is_given_back(client: Any) -> None:
    client.xadd("s", {"f": "1"}, id="1-0")
    client.xadd("s", {"f": "2"}, id="2-0")
    client.xgroup_create("s", "g", "0")
    client.xreadgroup("g", "c", {"s": ">"}, count=1)
    assert client.xnack("s", "g", "FAIL", "1-0") == 1
    assert client.xnack("s", "g", "FATAL", "2-0", retrycount=3, force=True) == 1
    pending = client.xpending_range("s", "g", "-", "+", 10)
    assert [(entry["consumer"], entry["times_delivered"]) for entry in pending] == [
        (b"", 1),
        (b"", 3),
    ]
    (group,) = client.xinfo_stream("s", full=True)["groups"]
    assert group["nacked-count"] == 2
    reply = client.xreadgroup("g", "d", {"s": ">"}, count=2, claim_min_idle_time=60_000)
    ((name, entries),) = reply.items() if isinstance(reply, dict) else reply
    entries = entries[0] if isinstance(reply, dict) else entries
    assert name == b"s"
    assert [(entry[0], entry[-1]) for entry in entries] == [(b"1-0", 1), (b"2-0", 3)]
    assert client.xack("s", "g", "1-0", "2-0") == 2
