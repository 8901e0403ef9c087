"""MEMORY BIGKEYS: the largest keys of a database, of a sample where it is large."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tendis_py.storage import key_sizes
from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, ServerProcess


def report(client: RawClient, *options: object) -> dict[str, Any]:
    found = client.value("MEMORY", "BIGKEYS", *options)
    result = {name.decode(): value for name, value in _pairs(found)}
    result["biggest"] = [
        {name.decode(): it for name, it in _pairs(one)} for one in result["biggest"]
    ]
    return result


def _pairs(flat: list[Any]) -> list[tuple[bytes, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def fill(client: RawClient) -> None:
    client.command("SET", "long", "x" * 300_000)
    client.command("SET", "short", "x")
    client.command("RPUSH", "list", *["element" * 10] * 1000)
    client.command("HSET", "hash", *[word for n in range(700) for word in (f"f{n}", "v")])
    client.command("SADD", "small", "a", "b", "c")
    client.command("SET", "gone", "x" * 400_000, "PX", "1")
    client.command("SELECT", 1)
    client.command("SET", "elsewhere", "x" * 500_000)
    client.command("SELECT", 0)


@pytest.mark.parametrize("model", MODELS)
def test_the_largest_come_first(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        assert report(client) == {"keys": 0, "sampled": 0, "biggest": []}
        server.services.active_expiry = False
        fill(client)
        result = report(client, "COUNT", 4)
        shown = [(one["key"], one["type"], one["size"]) for one in result["biggest"]]
        assert shown == [
            (b"long", b"string", 300_000),
            (b"list", b"list", 1000),
            (b"hash", b"hash", 700),
            (b"small", b"set", 3),
        ]
        for one in result["biggest"]:
            assert one["bytes"] == client.value("MEMORY", "USAGE", one["key"], "SAMPLES", 100)


def test_of_many_keys_a_sample_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sizes, "SCANNED_KEYS", 1000)
    with embedded(config_for(tmp_path)) as server, RawClient((HOST, server.port)) as client:
        client.command("MSET", *[word for n in range(4000) for word in (f"k{n}", "x" * (n % 100))])
        result = report(client, "COUNT", 20)
        assert (result["keys"], len({one["key"] for one in result["biggest"]})) == (4000, 20)
        assert 0 < result["sampled"] <= 1000
        assert all(one["size"] > 60 for one in result["biggest"])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["COUNT", "0"], b"-ERR value is out of range"),
        (["COUNT", "x"], b"-ERR value is not an integer"),
        (["COUNT"], b"-ERR syntax error"),
        (["NOSUCH", "1"], b"-ERR syntax error"),
    ],
)
def test_options(tendis_default: ServerProcess, options: list[str], error: bytes) -> None:
    with tendis_default.client() as client:
        assert client.command("MEMORY", "BIGKEYS", *options).startswith(error)
