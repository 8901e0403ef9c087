"""What a request brought and what it was answered are not kept until the next one comes."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.support.embedded import config_for, embedded
from tests.support.resp import RawClient
from tests.support.servers import HOST, MODELS, wait_until

MANY = 5001


def held() -> list[int]:
    """Lengths of the lists that hold so many bytes objects, frozen ones included."""
    gc.unfreeze()
    lists = [one for one in gc.get_objects() if type(one) is list and len(one) == MANY + 2]
    return [len(one) for one in lists if [type(first) for first in one[:1]] == [bytes]]


@pytest.mark.parametrize("model", MODELS)
def test_requests_are_let_go(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        for command in ("SADD", "RPUSH"):
            words = [f"{number}" for number in range(MANY)]
            assert client.command(command, command, *words) == b":%d\r\n" % MANY
            wait_until(lambda: not held(), "nobody has the request")
