"""Clients of a cluster say of this server what they say of a real one that is none."""

from __future__ import annotations

import subprocess

import pytest
import redis

from tests.support.programs import program
from tests.support.resp import SECONDS
from tests.support.servers import HOST, ServerProcess


def test_redis_py(tendis_default: ServerProcess, redis_server: ServerProcess) -> None:
    ours, theirs = map(_refusal_to_redis_py, (tendis_default, redis_server))
    assert ours == theirs
    assert "Cluster" in ours


def _refusal_to_redis_py(server: ServerProcess) -> str:
    with pytest.raises(redis.RedisClusterException) as refusal:
        redis.RedisCluster(host=HOST, port=server.port, socket_timeout=SECONDS)
    return f"{refusal.value} {refusal.value.__cause__}".replace(str(server.port), "PORT")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cluster", "check", "{host}:{port}"],
        ["--cluster", "info", "{host}:{port}"],
        ["--cluster", "fix", "{host}:{port}"],
        ["-c", "-p", "{port}", "CLUSTER", "NODES"],
    ],
    ids=" ".join,
)
def test_redis_cli(
    tendis_default: ServerProcess, redis_server: ServerProcess, arguments: list[str]
) -> None:
    ours, theirs = (_redis_cli(server, arguments) for server in (tendis_default, redis_server))
    assert ours == theirs
    assert "cluster" in ours[1]


def _redis_cli(server: ServerProcess, arguments: list[str]) -> tuple[int, str]:
    """Exit status and output, without the port."""
    given = [word.format(host=HOST, port=server.port) for word in arguments]
    done = subprocess.run(
        [program("redis-cli", "redis-tools"), *given],
        capture_output=True,
        timeout=SECONDS,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).replace(str(server.port), "PORT")
