"""Every declaration against the real server: what COMMAND INFO and COMMAND DOCS say of it."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.commands import FAMILIES
from tendis_py.commands.command import docs, info
from tendis_py.commands.registry import REGISTRY
from tendis_py.resp.replies import encode
from tests.support.documentation import as_pairs, spell
from tests.support.resp import Aggregate, Simple, decode

assert FAMILIES  # imported, and so declared

OUR_OWN = frozenset(command.name for command in REGISTRY.all() if command.origin)
"""Commands that the real server does not have."""

NEWER = {
    **dict.fromkeys(("zunion", "zunionstore", "zinter", "zinterstore"), " | COUNT"),
    "xreadgroup": " [CLAIM min-idle-time]",
    "set": " | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest",
}
"""What the syntax of a command has that the real server's does not."""

NAMES = [command.name for command in REGISTRY.all() if command.name not in OUR_OWN]

UNDOCUMENTED = frozenset(
    (
        *(("debug", "syntax"), ("lolwut", "complexity"), ("lolwut", "syntax")),
        *(("monitor", "complexity"), ("xread", "complexity")),
        *(("sync", "complexity"), ("psync", "complexity")),
    )
)
"""What Redis does not say of a command, and we do."""

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


@pytest.mark.parametrize("name", NAMES)
def test_command_docs(name: str, manual: dict[str, dict[str, Any]]) -> None:
    command = REGISTRY.named(name.encode())
    assert command is not None
    page = {key.decode(): value for key, value in as_pairs(decode(encode(docs(command), 3)))}
    theirs = manual[name]
    for field in ("summary", "since", "group", "complexity"):
        if (name, field) not in UNDOCUMENTED:
            assert page[field] == theirs[field], field
    if (name, "syntax") not in UNDOCUMENTED:
        ours = spell(page.get("arguments", [])).replace(NEWER.get(name, "\0"), "")
        assert ours == spell(theirs.get("arguments", []))


def test_what_is_not_compared_is_not_there(table: dict[str, list[Any]]) -> None:
    assert not OUR_OWN & set(table)
    assert {command.name for command in REGISTRY.all() if command.newer} == set(NEWER)


def test_there_is_something_to_compare() -> None:
    assert {"get", "command|docs", "client|kill", "select"} <= set(NAMES)


def test_flags_of_a_reply_are_simple_strings(table: dict[str, list[Any]]) -> None:
    """The comparison above tells simple strings from bulk strings."""
    assert table["get"][2] == Aggregate("~", [Simple("readonly"), Simple("fast")])
