"""kill -9 of a server whose keys are on their way to another, and servers that move keys.
Each key is always somewhere, with its value."""

from __future__ import annotations

import contextlib
import random
import threading
from pathlib import Path

import pytest

from tests.crash.test_mixed_load import check_offline
from tests.support.resp import Disconnected, Error, Simple
from tests.support.servers import (
    HOST,
    ServerProcess,
    redis_process,
    running,
    tendis_process,
    wait_until,
)

pytestmark = pytest.mark.soak

SECONDS = 60.0
KEYS = [b"key:%05d" % number for number in range(20_000)]
AT_ONCE = 1000


def load(server: ServerProcess) -> None:
    with server.client(seconds=SECONDS) as client:
        for start in range(0, len(KEYS), AT_ONCE):
            client.command(
                "MSET", *(word for key in KEYS[start : start + AT_ONCE] for word in (key, key))
            )


def there(server: ServerProcess) -> set[bytes]:
    """The keys that a server has, which must have their values."""
    with server.client(seconds=SECONDS) as client:
        values = client.value("MGET", *KEYS)
    assert all(value in (key, None) for key, value in zip(KEYS, values, strict=True))
    return {value for value in values if value is not None}


@pytest.mark.parametrize("seed", range(6))
def test_no_key_is_lost_with_its_server(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    (tmp_path / "target").mkdir()
    source = tendis_process(tmp_path, model=draw.choice(("tendis", "redis")))
    with running(redis_process(tmp_path / "target")) as target:
        source.start()
        try:
            load(source)

            def move() -> None:
                with contextlib.suppress(Disconnected, OSError), source.client() as client:
                    for start in range(0, len(KEYS), AT_ONCE):
                        keys = KEYS[start : start + AT_ONCE]
                        client.command("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)

            mover = threading.Thread(target=move)
            mover.start()
            wanted = draw.randrange(len(KEYS))
            with target.client() as client:
                wait_until(lambda: client.value("DBSIZE") >= wanted, "some have arrived")
            source.kill()
            mover.join(SECONDS)
            check_offline(tmp_path)
            source.start()
            assert there(source) | there(target) == set(KEYS)
            source.stop()
        finally:
            source.kill()


def test_keys_that_go_to_and_fro(tmp_path: Path) -> None:
    """Two servers, four clients of each, two hundred keys: a key that one sends and the other sends
    back can wait for itself, until that is given up. None is lost."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    keys = KEYS[:200]
    errors: list[BaseException] = []
    with running(tendis_process(folders[0])) as one, running(tendis_process(folders[1])) as other:
        with one.client() as client:
            client.command("MSET", *(word for key in keys for word in (key, key)))

        def move(source: ServerProcess, target: ServerProcess, seed: int) -> None:
            draw = random.Random(seed)
            try:
                with source.client(seconds=SECONDS) as client:
                    for _ in range(60):
                        some = draw.sample(keys, draw.choice((1, 2, 20)))
                        answer = client.value(
                            "MIGRATE", HOST, target.port, "", 0, 300, "REPLACE", "KEYS", *some
                        )
                        assert isinstance(answer, Simple) or (
                            isinstance(answer, Error) and answer.message.startswith("IOERR")
                        )
            except BaseException as error:
                errors.append(error)

        movers = [
            threading.Thread(target=move, args=(*ends, seed))
            for seed in range(4)
            for ends in ((one, other), (other, one))
        ]
        for mover in movers:
            mover.start()
        for mover in movers:
            mover.join(SECONDS)
            assert not mover.is_alive()
        assert not errors, errors
        found = [client_keys(server) for server in (one, other)]
        assert found[0] | found[1] == set(keys)


def client_keys(server: ServerProcess) -> set[bytes]:
    with server.client() as client:
        return set(client.value("KEYS", "*"))
