"""What a user types for a server."""

from __future__ import annotations

import pytest

from tendis_py.top.address import Target, parse_target


@pytest.mark.parametrize(
    ("address", "target", "shown"),
    [
        ("localhost:7000", Target("localhost", 7000), "localhost:7000"),
        ("localhost", Target("localhost"), "localhost:6379"),
        (":7000", Target(port=7000), "127.0.0.1:7000"),
        ("[::1]:7000", Target("::1", 7000), "[::1]:7000"),
        ("[::1]", Target("::1"), "[::1]:6379"),
        ("::1", Target("::1"), "[::1]:6379"),
        ("./redis.sock", Target(path="./redis.sock"), "./redis.sock"),
        ("unix:///run/redis.sock", Target(path="/run/redis.sock"), "/run/redis.sock"),
        ("redis://h", Target("h"), "h:6379"),
        ("redis://h:1/3", Target("h", 1, database=3), "h:1"),
        ("redis://:p%40ss@h", Target("h", password="p@ss"), "h:6379"),
        ("redis://me:p@h", Target("h", user="me", password="p"), "h:6379"),
        ("redis://[::1]:7000", Target("::1", 7000), "[::1]:7000"),
    ],
)
def test_addresses(address: str, target: Target, shown: str) -> None:
    assert parse_target(address, environment={}) == target
    assert str(target) == shown


@pytest.mark.parametrize(
    "address",
    [
        "h:port",
        "h:0",
        "h:65536",
        "h:1:",
        "[::1",
        "http://h",
        "rediss://h",
        "redis://h/db",
        "redis://h:x",
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError):
        parse_target(address, environment={})


def test_what_is_given_goes_before_the_url_and_that_before_the_environment() -> None:
    environment = {"REDISCLI_AUTH": "from the environment"}
    assert parse_target("h", environment=environment).password == "from the environment"
    url = "redis://me:from-the-url@h/1"
    assert parse_target(url, environment=environment).password == "from-the-url"
    given = parse_target(url, user="you", password="", database=2, environment=environment)
    assert (given.user, given.password, given.database) == ("you", "", 2)


def test_a_user_needs_a_password() -> None:
    with pytest.raises(ValueError, match="a user needs a password"):
        parse_target("h", user="me", environment={})
