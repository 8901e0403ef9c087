"""Syntax: what Redis documents of every command survives being spelt and parsed again."""

from __future__ import annotations

from typing import Any

import pytest

from tendis_py.commands.command import docs
from tendis_py.commands.registry import REGISTRY
from tendis_py.commands.syntax import parse
from tendis_py.resp.replies import encode
from tests.support.documentation import as_fields, as_pairs, respelt, spell
from tests.support.resp import Aggregate, decode


def test_every_syntax_of_redis_is_understood(manual: dict[str, dict[str, Any]]) -> None:
    spelt = {name: spell(page.get("arguments", [])) for name, page in manual.items()}
    assert len(set(spelt.values())) > 100
    assert {name: respelt(syntax) for name, syntax in spelt.items()} == spelt


def test_types_are_those_of_redis_or_string(manual: dict[str, dict[str, Any]]) -> None:
    for name, page in manual.items():
        theirs = list(_leaves(page.get("arguments", [])))
        parsed = parse(spell(page.get("arguments", [])))
        ours = list(_leaves([decode(encode(as_fields(argument), 3)) for argument in parsed]))
        assert [leaf for leaf, _ in ours] == [leaf for leaf, _ in theirs], name
        for (leaf, mine), (_, right) in zip(ours, theirs, strict=True):
            assert mine in (right, "string") or (name, leaf) == ("cluster|keyslot", "key"), name


def _leaves(arguments: list[Aggregate]) -> Any:
    for argument in arguments:
        fields = {key.decode(): value for key, value in as_pairs(argument)}
        kind = fields["type"].decode()
        if kind in ("oneof", "block"):
            yield from _leaves(fields["arguments"])
        elif kind != "pure-token":
            yield fields.get("display_text", fields["name"]).decode(), kind


def test_alternatives_may_be_repeated_without_grouping_them() -> None:
    assert respelt("[A a | B [A a | B ...]]") == "[<A a | B> [<A a | B> ...]]"


@pytest.mark.parametrize(
    "syntax",
    ["[a", "a]", "<a | b", "a [b ...]", "a | ", "a b [c b ...]", "[A | B [A | C ...]]", "[...]"],
)
def test_nonsense_is_refused(syntax: str) -> None:
    with pytest.raises(ValueError):
        parse(syntax)


def test_key_arguments_name_their_specification() -> None:
    rename = REGISTRY.named(b"rename")
    assert rename is not None
    described = docs(rename)[b"arguments"]
    assert [(one[b"type"], one[b"key_spec_index"]) for one in described] == [
        (b"key", 0),
        (b"key", 1),
    ]
    lcs = REGISTRY.named(b"lcs")
    assert lcs is not None
    assert [one.get(b"key_spec_index") for one in docs(lcs)[b"arguments"]][:3] == [0, 0, None]


@pytest.mark.parametrize("name", [command.name for command in REGISTRY.all()])
def test_every_declared_syntax_is_sound(name: str) -> None:
    command = REGISTRY.named(name.encode())
    assert command is not None
    parse(command.docs_syntax)
