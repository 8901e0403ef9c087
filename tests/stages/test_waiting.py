"""Requests that wait, where something comes in between: locks that are others', timeouts, disks."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.errors import StorageError
from tendis_py.services.waiters import Waiters
from tests.support.embedded import MovedTime
from tests.support.resp import RawClient, encode_request


def send(client: RawClient, line: str) -> None:
    client.send(encode_request(line.encode().split()))


@pytest.fixture
def stage(tendis_in_moved_time: MovedTime) -> MovedTime:
    with tendis_in_moved_time.client() as client:
        assert client.command("FLUSHALL") == b"+OK\r\n"
    return tendis_in_moved_time


@pytest.fixture
def nothing_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each waiter came after the keys of the batch were claimed that feeds it."""
    monkeypatch.setattr(Waiters, "widen", lambda self, keys: keys)


def test_its_own_reactor_runs_it_again(stage: MovedTime, nothing_widened: None) -> None:
    with stage.client() as first, stage.client() as second, stage.client() as feeder:
        send(first, "BLMOVE a b LEFT RIGHT 0")
        assert stage.waits(first)
        send(second, "BLPOP a 0")
        assert stage.waits(second)
        assert feeder.command("RPUSH", "a", "1", "2", "3") == b":3\r\n"
        assert first.reply() == b"$1\r\n1\r\n"
        assert second.reply() == b"*2\r\n$1\r\na\r\n$1\r\n2\r\n"
        assert feeder.value("LRANGE", "a", 0, -1) == [b"3"]
        assert feeder.value("LRANGE", "b", 0, -1) == [b"1"]


def test_it_waits_on_in_its_place(stage: MovedTime, nothing_widened: None) -> None:
    with stage.client() as first, stage.client() as second, stage.client() as feeder:
        send(first, "BLMOVE a b LEFT RIGHT 0")
        assert stage.waits(first)
        send(second, "BLPOP a 0")
        assert stage.waits(second)
        feeder.send(encode_request([b"RPUSH", b"a", b"1"]) + encode_request([b"DEL", b"a"]))
        assert feeder.reply() == b":1\r\n"
        popped = feeder.reply() == b":0\r\n"  # where the first was served before
        assert stage.waits(second)
        if popped:
            assert first.reply() == b"$1\r\n1\r\n"
            send(first, "BLMOVE a b LEFT RIGHT 0")
            assert stage.waits(first)
            expected = second, first
        else:
            assert stage.waits(first)
            expected = first, second
        assert feeder.command("RPUSH", "a", "2", "3") == b":2\r\n"
        assert b"2" in expected[0].reply()
        assert b"3" in expected[1].reply()


@pytest.mark.parametrize("line", ["BLPOP a 0.5", "BLMOVE a b LEFT LEFT 0.5", "BZPOPMIN a 0.5"])
def test_its_time_comes(stage: MovedTime, line: str) -> None:
    with stage.client() as client:
        send(client, line)
        assert stage.waits(client)
        stage.pass_time(0.4)
        assert stage.waits(client)
        stage.pass_time(0.11)
        assert client.reply() == b"*-1\r\n"
        assert client.command("PING") == b"+PONG\r\n"


def test_very_many_times_come(stage: MovedTime) -> None:
    with stage.client() as control:
        clients = [stage.client() for _ in range(600)]
        for client in clients:
            send(client, "BLPOP a 5")
        stage.settle(clients)
        assert b"blocked_clients:600" in control.value("INFO", "clients")
        stage.pass_time(5.1)
        assert {client.reply() for client in clients} == {b"*-1\r\n"}
        assert b"blocked_clients:0" in control.value("INFO", "clients")
        for client in clients:
            client.close()


def test_a_failing_commit_serves_nobody(stage: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits waits on: neither the push nor the pop has happened."""

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("no space left on device")

    with stage.client() as client, stage.client() as feeder:
        send(client, "BLPOP a 0")
        assert stage.waits(client)
        with monkeypatch.context() as patch:
            patch.setattr(stage.server.keyspace.engine, "write_batch", refuse)
            replies = feeder.pipeline([[b"RPUSH", b"a", b"1"], [b"RPUSH", b"a", b"2"]])
            assert all(b"no space left on device" in reply for reply in replies)
            assert stage.waits(client)
        assert feeder.command("EXISTS", "a") == b":0\r\n"
        assert feeder.command("RPUSH", "a", "3") == b":1\r\n"
        assert client.reply() == b"*2\r\n$1\r\na\r\n$1\r\n3\r\n"


def test_a_failing_sync_is_told_to_who_was_served(
    stage: MovedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StorageError("input/output error")

    with stage.client() as client, stage.client() as feeder:
        assert feeder.command("CONFIG", "SET", "appendfsync", "always") == b"+OK\r\n"
        send(client, "BLPOP a 0")
        assert stage.waits(client)
        with monkeypatch.context() as patch:
            patch.setattr(stage.server.keyspace.engine, "sync", refuse)
            assert b"may be lost" in feeder.command("RPUSH", "a", "1")
            assert b"may be lost" in client.reply()
        assert feeder.command("CONFIG", "SET", "appendfsync", "everysec") == b"+OK\r\n"


def test_a_failing_commit_of_its_own_is_its_answer(
    stage: MovedTime, monkeypatch: pytest.MonkeyPatch, nothing_widened: None
) -> None:
    engine = stage.server.keyspace.engine
    write = engine.write_batch
    calls = 0

    def refuse_second(*args: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StorageError("no space left on device")
        write(*args, **options)

    if not stage.server.config.threading_model.startswith(("kvrocks", "memcached")):
        return  # the pusher holds all keys, and its commit is the only one
    with stage.client() as client, stage.client() as feeder:
        send(client, "BLMOVE a b LEFT LEFT 0")
        assert stage.waits(client)
        monkeypatch.setattr(engine, "write_batch", refuse_second)
        assert feeder.command("RPUSH", "a", "1") == b":1\r\n"
        assert b"no space left on device" in client.reply()
        assert feeder.command("LRANGE", "a", 0, -1) == b"*1\r\n$1\r\n1\r\n"
