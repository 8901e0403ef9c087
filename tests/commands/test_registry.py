"""Declaring commands: what is wrong is refused where it is written, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.commands.context import Context
from tendis_py.commands.registry import REGISTRY, Keys, command
from tendis_py.errors import ReplyError


def handler(ctx: Context, args: list[bytes]) -> Any:
    """Does nothing."""


def undocumented(ctx: Context, args: list[bytes]) -> Any: ...


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": "GET"}, "lower case"),
        ({"name": "get"}, "declared twice"),
        ({"name": "nosuch|sub"}, "no such container"),
        ({"name": "client|id"}, "declared twice"),
        ({"arity": 0}, "arity"),
        ({"group": "strings"}, "unknown group"),
        ({"flags": "quick"}, "unknown flags"),
        ({"flags": "write readonly"}, "exclude each other"),
        ({"categories": "reading"}, "unknown categories"),
        ({"keys": Keys("RO", unknown=True)}, "find_keys"),
        ({"keys": Keys("RW incomplete")}, "find_keys"),
    ],
)
def test_a_wrong_declaration_is_refused(wrong: dict[str, Any], reason: str) -> None:
    before = set(REGISTRY.commands), len(REGISTRY.all())
    right: dict[str, Any] = {"name": "new", "arity": 1, "group": "string", "since": "1.0.0"}
    with pytest.raises(ValueError, match=reason):
        command(**right | wrong)(handler)
    assert (set(REGISTRY.commands), len(REGISTRY.all())) == before


def test_a_handler_without_a_summary_is_refused() -> None:
    with pytest.raises(ValueError, match="docstring"):
        command("new", 1, group="string", since="1.0.0")(undocumented)


def words(line: str) -> list[bytes]:
    return line.encode().split()


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("get a", "get"),
        ("GeT a", "get"),
        ("CLIENT id", "client|id"),
        ("client", "client"),
        ("client nosuch", None),
        ("nosuch", None),
        ("client|id", None),
    ],
)
def test_what_a_request_names(request_: str, name: str | None) -> None:
    found = REGISTRY.find(words(request_))
    assert (found and found.name) == name


def test_subcommands_are_selected_and_have_their_arity() -> None:
    client = REGISTRY.commands["client"]
    found = client.select(words("client ID"))
    assert (found.name, 2 in found.fits, 3 in found.fits) == ("client|id", True, False)
    with pytest.raises(ReplyError, match=r"unknown subcommand 'nosuch'"):
        client.select(words("client nosuch"))


@pytest.mark.parametrize(
    ("request_", "keys"),
    [
        ("get a", "a"),
        ("get", ""),
        ("mset a 1 b 2", "a b"),
        ("mget a b a", "a b a"),
        ("rename a b", "a b"),
        ("set a b get", "a"),
        ("ping a", ""),
    ],
)
def test_the_keys_to_lock(request_: str, keys: str) -> None:
    request = words(request_)
    found = REGISTRY.find(request)
    assert found is not None
    assert found.keys_in(request) == words(keys)
