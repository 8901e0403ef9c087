"""HOTKEYS on a running server: which requests are seen, and how much of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.commands.core import HotkeysMetricsTypes

from tendis_py.server import Server
from tendis_py.services.clock import ManualClock
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=MODELS)
def server(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Server]:
    with embedded(config_for(tmp_path, threading_model=request.param), clock) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as client:
        yield client


def found(client: RawClient) -> dict[str, Any]:
    ((*flat,),) = client.value("HOTKEYS", "GET")
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def pairs(flat: list[Any]) -> dict[bytes, int]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


REQUEST = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"


def test_bytes_are_those_of_requests_and_replies(client: RawClient) -> None:
    client.command("SET", "before", "v")
    client.command("HOTKEYS", "START", "METRICS", 1, "NET")
    client.send(REQUEST * 20)
    for _ in range(20):
        client.reply()
    client.command("PING")
    client.command("MSET", "k", "1", "l", "2")
    client.command("GET", "none")
    client.command("GET")
    one = len(REQUEST) + len(b"+OK\r\n")
    mset = len(b"*5\r\n$4\r\nMSET\r\n") + 4 * len(b"$1\r\nk\r\n") + len(b"+OK\r\n")
    get = len(b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n$-1\r\n")
    result = found(client)
    assert pairs(result["by-net-bytes"]) == {
        b"k": 20 * one + mset // 2,
        b"l": mset // 2,
        b"none": get,
    }
    assert result["total-net-bytes"] == 20 * one + mset + get
    assert result["net-bytes-all-commands-all-slots"] == 20 * one + mset + get
    assert "by-cpu-time-us" not in result


def test_time(client: RawClient, clock: ManualClock) -> None:
    client.command("SADD", "large", *range(2000))
    client.command("HOTKEYS", "START", "METRICS", 1, "CPU")
    started = clock.now_ms()
    for _ in range(5):
        client.command("SMEMBERS", "large")
        client.command("SET", "small", "v")
        client.command("SET", "other", "v")
    clock.advance(1.5)
    result = found(client)
    by_time = pairs(result["by-cpu-time-us"])
    assert b"large" in by_time
    assert by_time.keys() <= {b"large", b"small", b"other"}
    assert list(by_time.values()) == sorted(by_time.values(), reverse=True)
    assert result["all-commands-all-slots-us"] >= sum(by_time.values())
    assert result["collection-start-time-unix-ms"] == started
    assert result["collection-duration-ms"] == 1500
    assert result["total-cpu-time-user-ms"] >= 0
    assert "total-net-bytes" not in result


def test_each_command_of_a_transaction_counts(client: RawClient) -> None:
    client.command("HOTKEYS", "START", "METRICS", 1, "NET")
    commands = [["MULTI"], *[["INCR", "n"]] * 10, ["GET", "m"], ["EXEC"]]
    client.send(b"".join(" ".join(one).encode() + b"\r\n" for one in commands))
    for _ in commands:
        client.reply()
    by_bytes = pairs(found(client)["by-net-bytes"])
    increment = len(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n:1\r\n")
    get = len(b"*2\r\n$3\r\nGET\r\n$1\r\nm\r\n$-1\r\n")
    assert by_bytes == {b"n": 10 * increment + 1, b"m": get}  # the last says 10


def test_who_waits_counts_once_served(server: Server, client: RawClient) -> None:
    client.command("HOTKEYS", "START", "METRICS", 1, "NET")
    with RawClient((HOST, server.port)) as waiter:
        waiter.send(b"BLPOP list 0\r\n")
        wait_until(lambda: bool(server.services.waiters.sessions), "it waits")
        client.command("RPUSH", "list", "a")
        waiter.reply()
    push = len(b"*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$1\r\na\r\n:1\r\n")
    pop = len(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n*2\r\n$4\r\nlist\r\n$1\r\na\r\n")
    assert pairs(found(client)["by-net-bytes"]) == {b"list": push + pop}


def test_a_session_ends_in_its_time(client: RawClient, clock: ManualClock) -> None:
    client.command("HOTKEYS", "START", "METRICS", 1, "NET", "DURATION", 10)
    client.command("SET", "k", "v")
    clock.advance(9)
    assert found(client)["tracking-active"] == 1
    clock.advance(2)
    client.command("SET", "later", "v")
    result = found(client)
    assert result["tracking-active"] == 0
    assert pairs(result["by-net-bytes"]).keys() == {b"k"}
    assert client.value("HOTKEYS", "STOP") is None
    assert client.command("HOTKEYS", "RESET") == b"+OK\r\n"


def test_a_sample_finds_the_hot_key(client: RawClient) -> None:
    client.command("HOTKEYS", "START", "METRICS", 1, "NET", "SAMPLE", 10, "COUNT", 1)
    for number in range(400):
        client.send(b"SET hot v\r\n" * 4 + b"SET cold%d v\r\n" % number)
        for _ in range(5):
            client.reply()
    result = found(client)
    assert list(pairs(result["by-net-bytes"])) == [b"hot"]
    assert result["net-bytes-all-commands-all-slots"] == 10 * result["total-net-bytes"]
    assert 0 < result["total-net-bytes"] < 400 * 5 * 40 * 0.5


def test_the_shape_in_resp3(server: Server) -> None:
    with RawClient((HOST, server.port), protocol=3) as client:
        assert client.value("HOTKEYS", "GET") is None
        client.command("HOTKEYS", "START", "METRICS", 2, "CPU", "NET")
        reply = client.command("HOTKEYS", "GET")
        assert reply.startswith(b"*1\r\n%12\r\n$15\r\ntracking-active\r\n:1\r\n")
        assert b"$14\r\nselected-slots\r\n*1\r\n*2\r\n:0\r\n:16383\r\n" in reply


def test_redis_py(server: Server) -> None:
    with redis.Redis(HOST, server.port) as client:
        metrics = [HotkeysMetricsTypes.CPU, HotkeysMetricsTypes.NET]
        assert client.hotkeys_start(metrics, count=5, duration=60, sample_ratio=1)
        client.set("k", "v")
        assert client.hotkeys_stop()
        (result,) = client.hotkeys_get()
        assert (result[b"tracking-active"], result[b"by-net-bytes"][0]) == (0, b"k")
        assert client.hotkeys_reset()
