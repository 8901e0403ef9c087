"""redis-py's calls for functions and users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.support.servers import HOST, ServerProcess

SECONDS = 20.0

LIBRARY = """#!lua name=shop
redis.register_function('take', function(keys, args)
  local left = tonumber(redis.call('GET', keys[1]) or '0')
  if left < tonumber(args[1]) then return redis.error_reply('NOSTOCK only ' .. left) end
  return redis.call('DECRBY', keys[1], args[1])
end)
redis.register_function{function_name = 'left', flags = {'no-writes'},
  callback = function(keys) return redis.call('GET', keys[1]) end}
"""


@pytest.fixture(scope="session")
def server(tendis: ServerProcess) -> ServerProcess:
    """In each threading model."""
    return tendis


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with redis.Redis(
        HOST, server.port, socket_timeout=SECONDS, protocol=3, decode_responses=True
    ) as found:
        yield found


# Functions


@pytest.fixture
def shop(client: Any) -> Iterator[Any]:
    assert client.function_load(LIBRARY, replace=True) == "shop"
    yield client
    client.function_flush()


def test_functions(shop: Any) -> None:
    shop.set("apples", 5)
    assert shop.fcall("take", 1, "apples", 3) == 2
    with pytest.raises(redis.ResponseError, match="NOSTOCK only 2"):
        shop.fcall("take", 1, "apples", 3)
    assert shop.fcall_ro("left", 1, "apples") == "2"
    with pytest.raises(redis.ResponseError, match="write flag"):
        shop.fcall_ro("take", 1, "apples", 1)
    with pytest.raises(redis.ResponseError, match="already exists"):
        shop.function_load(LIBRARY)
    with pytest.raises(redis.ResponseError, match="Function not found"):
        shop.fcall("none", 0)
    with shop.pipeline() as pipe:
        pipe.fcall("take", 1, "apples", 1).fcall_ro("left", 1, "apples")
        assert pipe.execute() == [1, "1"]


def test_libraries_are_listed_dumped_and_restored(shop: Any, server: ServerProcess) -> None:
    with redis.Redis(HOST, server.port) as raw:
        dumped = raw.function_dump()
        shop.function_delete("shop")
        assert shop.function_list() == []
        assert raw.function_restore(dumped)
        with pytest.raises(redis.ResponseError, match="already exists"):
            raw.function_restore(dumped)
        assert raw.function_restore(dumped, "FLUSH")
    [library] = shop.function_list(withcode=True)
    if isinstance(library, list):  # RESP2
        library = dict(zip(library[::2], library[1::2], strict=True))
    assert library["library_name"] == "shop"
    assert library["library_code"] == LIBRARY
    assert len(library["functions"]) == 2


# Users


def test_users(client: Any, server: ServerProcess) -> None:
    assert client.acl_setuser(
        "app", enabled=True, passwords=["+secret"], keys=["app:*"], channels=["app.*"],
        categories=["+@all", "-@dangerous"], commands=["-flushall"], reset=True,
    )  # fmt: skip
    try:
        user = client.acl_getuser("app")
        assert user["enabled"]
        assert "app:*" in str(user["keys"])
        assert "app" in client.acl_users()
        with redis.Redis(HOST, server.port, username="app", password="secret") as app:
            assert app.acl_whoami() == "app"
            assert app.set("app:1", "x")
            assert app.eval("return redis.call('GET', KEYS[1])", 1, "app:1") == b"x"
            for refused in (
                lambda: app.get("other"),
                lambda: app.keys(),
                lambda: app.publish("other", "x"),
                lambda: app.eval("return redis.call('GET', KEYS[1])", 1, "other"),
            ):
                with pytest.raises(NoPermissionError):
                    refused()
            with pytest.raises(redis.ResponseError):
                app.eval("return redis.call('GET', 'other')", 0)
            assert client.acl_dryrun("app", "get", "app:2")
            assert "no permissions" in str(client.acl_dryrun("app", "flushall"))
            assert client.acl_log()[0]["username"] == "app"
        never_again = Retry(NoBackoff(), 0)
        with (
            redis.Redis(HOST, server.port, username="app", password="no", retry=never_again) as app,
            pytest.raises(redis.AuthenticationError),
        ):
            app.ping()
    finally:
        client.acl_deluser("app")
        client.acl_log_reset()
    assert "app" not in client.acl_users()
    assert len(client.acl_genpass()) == 64
