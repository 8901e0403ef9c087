"""Damaged blocks, as clients meet them: an error, and nothing written that is made of half of what
there was."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tendis_py.config import Config
from tendis_py.server import Server
from tendis_py.services.clock import ManualClock
from tendis_py.storage.check import FINDINGS, check_folder
from tendis_py.storage.reclaim import backlog
from tendis_py.types.checks import INSPECTORS
from tests.support.damage import damage, damage_row
from tests.support.embedded import config_for, embedded
from tests.support.load import together
from tests.support.resp import Error, RawClient, Simple, encode_request
from tests.support.servers import HOST, MODELS, ServerFailed, tendis_process, wait_until

MANY = 6000
STEP = 1000


def configure(folder: Path, **settings: str) -> Config:
    config = config_for(folder, **settings)
    config.assign(["rocksdb.compression_type", "none"])  # tests look for rows in the files
    # None in the background: which one meets the damage first would be chance.
    config.assign(["rocksdb.disable_auto_compactions", "yes"])
    return config


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a large collection of each type, and many strings."""
    folder = tmp_path_factory.mktemp("whole")
    with embedded(configure(folder)) as server, RawClient((HOST, server.port)) as client:
        for first in range(0, MANY, STEP):
            texts = [f"{n:05}" for n in range(first, first + STEP)]
            requests = [
                ["MSET", *(part for text in texts for part in (f"k:{text}e", f"value {text}"))],
                ["HSET", "h", *(part for text in texts for part in (f"f {text}", f"v {text}"))],
                ["SADD", "s", *(f"member {text}" for text in texts)],
                ["ZADD", "z", *(part for text in texts for part in (text, f"m {text}"))],
                ["RPUSH", "l", *(f"{text}e" for text in texts)],
                *(["XADD", "x", f"{int(text) + 1}-0", "name", f"of {text}"] for text in texts),
            ]
            client.send(b"".join(encode_request([p.encode() for p in one]) for one in requests))
            for _ in requests:
                assert not client.reply().startswith(b"-")
        client.command("MSET", "a", "1", "zz", "2")
        assert client.command("SAVE") == b"+OK\r\n"
    return folder


@contextmanager
def damaged(
    whole: Path, folder: Path, family: str, part: bytes, model: str = MODELS[0]
) -> Iterator[tuple[Server, str]]:
    """A server on a copy of the folder in which a block is damaged, and the number that is part of
    a row in it."""
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    number = damage_row(folder / "tendis-data", family, part).decode()
    with embedded(configure(folder, threading_model=model)) as server:
        yield server, number


def refused(client: RawClient, line: str) -> None:
    reply = client.value(*(word.replace("_", " ") for word in line.split()))
    assert isinstance(reply, Error), (line, reply)
    assert reply.message.startswith("ERR storage failure: Corruption: block checksum"), line
    assert ".sst offset" in reply.message
    assert "/" not in reply.message


def errors_of(log: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.exc_info is None for record in log.records)
    return [record.getMessage() for record in log.records if record.levelno >= logging.ERROR]


CASES = {
    "strings": (
        "meta",
        b"value (03000)",
        [
            "KEYS *",
            "SCAN 0 COUNT 10000",
            "GET k:@e",
            "MGET a k:@e",
            "EXISTS a k:@e",
            "STRLEN k:@e",
            "TTL k:@e",
            "TYPE k:@e",
            "OBJECT ENCODING k:@e",
            "SORT l BY nosort GET k:*",
        ],
        [
            "SET k:@e new",
            "SET k:@e new GET",
            "MSET d new k:@e new",
            "MSETNX d new k:@e new",
            "APPEND k:@e more",
            "INCR k:@e",
            "DEL k:@e",
            "GETDEL k:@e",
            "EXPIRE k:@e 100",
            "RENAME k:@e d",
            "COPY k:@e d",
            "SORT l BY nosort GET k:* STORE d",
            "BITOP OR d a k:@e",
        ],
    ),
    "hash": (
        "rows",
        b"v (03000)",
        [
            "HGETALL h",
            "HKEYS h",
            "HVALS h",
            "HSCAN h 0 COUNT 10000",
            "HGET h f_@",
        ],
        ["COPY h d", "HSET h f_a new f_@ new", "HDEL h f_@"],
    ),
    "set": (
        "rows",
        rb"member (030[01]\d)",
        [
            "SMEMBERS s",
            "SSCAN s 0 COUNT 10000",
            "SORT s ALPHA",
            "SUNION s",
            "SINTER s s",
            "SDIFF s k",
            "SISMEMBER s member_@",
            "SMISMEMBER s a member_@",
            "SRANDMEMBER s -10000",
        ],
        [
            "COPY s d",
            "SORT s ALPHA STORE d",
            "SUNIONSTORE d s",
            "SINTERSTORE d s s",
            "SDIFFSTORE d s k",
            "SMOVE s d member_@",
            "SADD s new member_@",
            "SREM s member_@",
            "SPOP s 6000",
            "ZUNIONSTORE d 1 s",
        ],
    ),
    "list": (
        "rows",
        b"(03000)e",
        [
            "LRANGE l 0 -1",
            "LRANGE l 3000 3000",
            "LINDEX l 3000",
            "LPOS l nothing",
            "SORT l ALPHA",
        ],
        [
            "COPY l d",
            "SORT l ALPHA STORE d",
            "LREM l 0 nothing",
            "LSET l 3000 new",
            "LINSERT l BEFORE nothing new",
            "LPOP l 3500",
            "RPOP l 3500",
        ],
    ),
    "sorted set": (
        "score",
        rb"m (030[01]\d)",
        [
            "ZRANGE z 0 -1",
            "ZRANGE z 0 -1 REV",
            "ZRANGE z 2990 3010 WITHSCORES",
            "ZREVRANGE z 0 -1",
            "ZRANGEBYSCORE z -inf +inf",
            "ZREVRANGEBYSCORE z +inf -inf",
            "ZRANGEBYLEX z - +",
            "ZCOUNT z 5 5990",
            "ZRANK z m_@",
            "ZRANDMEMBER z",
        ],
        [
            "COPY z d",
            "ZRANGESTORE d z 0 -1",
            "ZREMRANGEBYSCORE z 10 5900",
            "ZREMRANGEBYRANK z 10 5900",
            "ZPOPMIN z 3500",
            "ZPOPMAX z 3500",
        ],
    ),
    "members": (
        "rows",
        rb"m (030[01]\d)",
        [
            "ZSCAN z 0 COUNT 10000",
            "ZUNION 1 z",
            "ZSCORE z m_@",
            "ZMSCORE z m_00000 m_@",
        ],
        [
            "ZUNIONSTORE d 1 z",
            "ZINTERSTORE d 2 z z",
            "ZADD z 1 new 2 m_@",
            "ZINCRBY z 1 m_@",
            "ZREM z m_@",
        ],
    ),
    "stream": (
        "stream",
        b"of (03000)",
        [
            "XRANGE x - +",
            "XREVRANGE x + -",
            "XREAD STREAMS x 0",
            "XRANGE x 3001 3001",
        ],
        ["COPY x d", "XDEL x 3001"],
    ),
}
"""What is damaged: the family of its row and a part of it; who needs that to read, or to write."""


@pytest.mark.parametrize("what", CASES)
def test_nothing_looks_whole_that_is_not(
    whole: Path, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    family, part, reading, writing = CASES[what]
    with (
        damaged(whole, tmp_path, family, part) as (server, number),
        RawClient((HOST, server.port)) as client,
    ):
        size = client.value("DBSIZE")
        for line in reading + writing:
            refused(client, line.replace("@", number))
            assert client.value("EXISTS", "d") == 0, line
            assert client.value("DBSIZE") == size
        assert [
            client.value(*line.split())
            for line in ("HLEN h", "SCARD s", "ZCARD z", "LLEN l", "XLEN x", "GET a", "GET zz")
        ] == [MANY, MANY, MANY, MANY, MANY, b"1", b"2"]
        assert client.value("SET", "a", "3") == Simple("OK")
    (line,) = errors_of(caplog)
    assert "Data can't be read" in line


@pytest.mark.parametrize("model", MODELS)
def test_others_are_answered_as_ever(
    whole: Path, tmp_path: Path, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those that ask for the same in one run, or stand in the same pipeline."""
    with damaged(whole, tmp_path, "meta", b"value (03000)", model) as (server, number):
        bad, good = f"k:{number}e".encode(), b"k:00001e"
        failure = b"-ERR storage failure: Corruption"

        def kind(reply: bytes) -> str:
            return "failed" if reply.startswith(failure) else reply.decode().strip()

        def ask(client: RawClient) -> None:
            for key, expected in ((good, "$11\r\nvalue 00001"), (bad, "failed")):
                requests = [[b"GET", key]] * 5 + [[b"MGET", bad], [b"PING"], [b"SET", b"new", b"1"]]
                found = list(map(kind, client.pipeline(requests)))
                assert found == [expected] * 5 + ["failed", "+PONG", "+OK"]
            found = list(map(kind, client.pipeline([[b"GET", one] for one in (good, bad) * 4])))
            assert found == ["$11\r\nvalue 00001", "failed"] * 4

        together((HOST, server.port), *[ask] * 4)
        with RawClient((HOST, server.port), protocol=3) as client:
            refused(client, "KEYS *")
            for _ in range(20):
                assert kind(client.command("RANDOMKEY")) != "$-1"
            assert client.command("INFO", "everything").startswith(b"=")
            assert client.value("SAVE") == Simple("OK")
            assert b"aof_last_write_status:ok" in client.value("INFO", "persistence")
            assert client.value("DBSIZE") == MANY + 8
    (line,) = errors_of(caplog)
    assert "Data can't be read" in line


def test_half_a_result_leaves_the_disk(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written ahead of it is reclaimed."""
    with (
        damaged(whole, tmp_path, "rows", rb"member (030[01]\d)") as (server, _),
        RawClient((HOST, server.port)) as client,
    ):
        for line in ("SUNIONSTORE d s", "COPY s d", "SORT s ALPHA STORE d"):
            refused(client, line)
        wait_until(lambda: backlog(server.keyspace) == (0, 0), "it is reclaimed")
        assert client.value("SUNIONSTORE", "d", "h2") == 0
    lines: list[str] = []
    assert check_folder(tmp_path / "tendis-data", INSPECTORS, lines.append) == FINDINGS
    assert any(line.startswith("ERROR: rows can't be read to its end") for line in lines), lines
    assert any("key b's': its rows can't be read" in line for line in lines), lines
    assert not any("is not in the garbage" in line for line in lines), lines
    assert len(errors_of(caplog)) == 1


def test_what_is_deleted_and_cannot_be_read_stays_where_it_is(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reclaimer goes on with others, and does not say so each time."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "tendis-data"
    damage_row(folder, "rows", b"v (03000)")
    damage_row(folder, "meta", b"value (03000)")
    with embedded(configure(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        refused(client, "HGETALL h")  # or a compaction would meet it first
        refused(client, "KEYS *")
        assert client.value("UNLINK", "h", "s", "z") == 3
        wait_until(lambda: backlog(server.keyspace) == (0, 0), "a range of rows is not read")
        assert client.value("FLUSHALL") == Simple("OK")
        assert client.value("FLUSHALL") == Simple("OK")
        client.command("SELECT", "1")
        for turn in range(3):
            client.command("SET", f"new {turn}", "v")
            assert client.value("FLUSHALL") == Simple("OK")
            wait_until(lambda: backlog(server.keyspace) == (1, 0), "one database is left")
    assert len(errors_of(caplog)) == 2, "a line for each file"


def test_the_sweep_passes_over_what_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    with (
        embedded(configure(tmp_path), clock) as server,
        RawClient((HOST, server.port)) as client,
    ):
        requests = [[b"SET", b"k:%05d" % n, b"value %05d" % n, b"EX", b"100"] for n in range(3000)]
        for first in range(0, len(requests), STEP):
            client.pipeline(requests[first : first + STEP])
        client.command("SAVE")
    damage_row(tmp_path / "tendis-data", "meta", b"value (01500)")
    with (
        embedded(configure(tmp_path), clock) as server,
        RawClient((HOST, server.port)) as client,
    ):
        clock.advance(101)
        wait_until(lambda: server.keyspace.size(0).keys < 300, "the others are gone")
        refused(client, "GET k:01500")
        assert client.value("GET", "k:01000") is None
        client.command("SET", "new", "v", "EX", "100")
        left = server.keyspace.size(0).keys - 1
        clock.advance(101)
        wait_until(lambda: server.keyspace.size(0).keys == left, "the sweep goes on")
    assert len(errors_of(caplog)) == 1


def test_a_start_needs_the_settings(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / "tendis-data", "default")
    process = tendis_process(tmp_path)
    with pytest.raises(ServerFailed):
        process.start()
    assert "Corruption: block checksum mismatch" in process.log
    assert "Traceback" not in process.log
