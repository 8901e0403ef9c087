"""The keys that are hot, and waited for, on a running server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tendis_py.stages import execute
from tendis_py.storage.locks import Claim
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until


@pytest.mark.parametrize("model", MODELS)
def test_a_hot_key_is_known(tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "LOOK_NS", 0)
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        for _ in range(200):
            client.send(b"SET hot v\r\n" * 8 + b"PING\r\nGET cold\r\n")
            for _ in range(10):
                client.reply()
        shares = dict(server.services.key_sampler.hot())
        assert list(shares) == ["hot", "cold"]
        assert 0.65 < shares["hot"] < 0.95
        assert 0.01 < shares["cold"] < 0.3


def test_a_key_that_is_waited_for_is_known(tmp_path: Path) -> None:
    with embedded(config_for(tmp_path)) as server:
        locks = server.services.keyspace.locks
        claim = Claim({b"k"})
        assert locks.ask(claim)
        with RawClient((HOST, server.port)) as client:
            client.send(b"SET k v\r\n")
            wait_until(lambda: locks.statistics().waiting == 1, "the SET waits")
            locks.release(claim)
            assert client.reply() == b"+OK\r\n"
        assert server.services.key_sampler.contended() == [("k", 1.0)]


def test_any_request_may_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "LOOK_NS", 0)
    commands = [
        *(
            ["SORT"],
            ["GET"],
            ["NOSUCH"],
            ["OBJECT"],
            ["XREAD", "STREAMS"],
            ["SINTERCARD", "x", "k"],
        ),
        ["MSET", *map(str, range(5000))],
    ]
    with embedded(config_for(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        for command in commands:
            client.command(*command)
        assert client.command("PING") == b"+PONG\r\n"
