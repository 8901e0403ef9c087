"""Every declaration against the real server: what COMMAND INFO and COMMAND DOCS say of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs import redis_manual
from tendis_py.commands import FAMILIES, manual
from tendis_py.commands.command import docs, info
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.replies import encode
from tests.support.documentation import as_pairs, respelt, spell
from tests.support.resp import Aggregate, Simple, decode
from tests.support.servers import ServerProcess

assert FAMILIES  # imported, and so declared

OUR_OWN = frozenset(command.name for command in REGISTRY.all() if command.origin)
"""Commands that the real server does not have."""

LATER = frozenset((b"8.4.0", b"8.8.0"))
"""Since when there are arguments that the real server does not have."""

NAMES = [command.name for command in REGISTRY.all() if command.name not in OUR_OWN]

README = Path(__file__).resolve().parents[2] / "README.md"
MISSING = "Of Redis' own commands there are missing"

FIELDS = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "key specs")


def unordered(value: Any) -> Any:
    """The value with the members of its sets in one order."""
    if isinstance(value, Aggregate):
        members = [unordered(item) for item in value.items]
        return value.marker, sorted(members, key=repr) if value.marker == "~" else members
    return value


@pytest.mark.parametrize("name", NAMES)
def test_command_info(name: str, table: dict[str, list[Any]]) -> None:
    command = REGISTRY.named(name.encode())
    assert command is not None
    ours, theirs = decode(encode(info(command), 3)), table[name]
    for field, mine, right in zip(FIELDS, ours, theirs, strict=False):
        assert unordered(mine) == unordered(right), field
    assert ours[2] == theirs[2], "the order of the flags"
    assert ours[6] == theirs[6], "the order of the categories"
    if ours[9] == Aggregate("~", []):
        assert theirs[9] == Aggregate("~", [])
    else:
        known = {row[0] for row in theirs[9]}
        assert {row[0] for row in ours[9]} - known <= {name.encode() for name in OUR_OWN}


def without_later(value: Any) -> Any:
    """COMMAND DOCS without the arguments of later versions, and without subcommands, which are
    compared for themselves."""
    if isinstance(value, Aggregate):
        return Aggregate(value.marker, without_later(value.items))
    if not isinstance(value, list):
        return value
    if b"subcommands" in value[::2]:
        value = value[: value.index(b"subcommands")]
    return [without_later(item) for item in value if not is_later(item)]


def is_later(value: Any) -> bool:
    items = value.items if isinstance(value, Aggregate) else value
    if not isinstance(items, list) or b"since" not in items:
        return False
    return items[items.index(b"since") + 1] in LATER


@pytest.mark.parametrize("protocol", [2, 3])
def test_command_docs(protocol: int, redis_server: ServerProcess) -> None:
    """Byte for byte, but for what came later."""
    with redis_server.client(protocol=protocol) as client:
        theirs = client.pipeline([[b"COMMAND", b"DOCS", name.encode()] for name in NAMES])
    for name, reply in zip(NAMES, theirs, strict=True):
        command = REGISTRY.named(name.encode())
        assert command is not None
        ours = decode(encode({name.encode(): docs(command)}, protocol))
        assert without_later(ours) == without_later(decode(reply)), name


@pytest.mark.parametrize("name", NAMES)
def test_the_syntax_is_that_of_the_documentation(name: str) -> None:
    command = REGISTRY.named(name.encode())
    assert command is not None
    fields = dict(as_pairs(decode(encode(docs(command), 3))))
    assert spell(fields.get(b"arguments", [])) == respelt(command.docs_syntax)


def test_the_manual_is_what_redis_says(redis_server: ServerProcess) -> None:
    with redis_server.client(protocol=3) as client:
        found = dict(redis_manual.pages(redis_manual.plain(client.value("COMMAND", "DOCS"))))
    assert json.loads(manual.FILE.read_text()) == found, "run `python -m docs.redis_manual`"


def test_readme_names_all_that_is_missing(table: dict[str, list[Any]]) -> None:
    missing = sorted(set(table) - {command.name for command in REGISTRY.all()})
    said = README.read_text(encoding="utf-8").partition(MISSING)[2].partition("\n\n")[0]
    assert missing == re.findall(r"`([A-Z|-]+)`", said)


def test_what_is_not_compared_is_not_there(table: dict[str, list[Any]]) -> None:
    assert not OUR_OWN & set(table)


def test_there_is_something_to_compare() -> None:
    assert {"get", "command|docs", "client|kill", "select"} <= set(NAMES)


def test_flags_of_a_reply_are_simple_strings(table: dict[str, list[Any]]) -> None:
    """The comparison above tells simple strings from bulk strings."""
    assert table["get"][2] == Aggregate("~", [Simple("readonly"), Simple("fast")])
