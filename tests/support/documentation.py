"""COMMAND DOCS as decoded from RESP3, and the syntax in words that its arguments stand for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tendis_py.commands.syntax import Argument, parse
from tendis_py.resp.replies import OrderedSet, encode
from tests.support.resp import Aggregate, Simple, decode


def as_pairs(map_: Aggregate) -> Iterable[tuple[Any, Any]]:
    return zip(map_.items[::2], map_.items[1::2], strict=True)


def spell(arguments: list[Aggregate]) -> str:
    """Arguments as Redis' manual spells them: ``key [NX | XX] value [value ...]``."""
    return " ".join(_spell(argument) for argument in arguments)


def _spell(argument: Aggregate) -> str:
    fields = {key.decode(): value for key, value in as_pairs(argument)}
    given = fields["flags"].items if "flags" in fields else []
    flags = {flag.text for flag in given if isinstance(flag, Simple)}
    kind, token = fields["type"].decode(), fields.get("token", b"").decode()
    if token == "" and "token" in fields:
        token = '""'
    body = _body(
        kind, fields, bracketed="optional" in flags and not token and "multiple" not in flags
    )
    if "multiple" not in flags:
        shown = f"{token} {body}".strip()
    elif "multiple_token" in flags or kind == "pure-token":
        once = f"{token} {body}".strip()
        shown = f"{once} [{once} ...]"
    else:
        shown = f"{token} {body} [{body} ...]".strip()
    return f"[{shown}]" if "optional" in flags else shown


def _body(kind: str, fields: dict[str, Any], *, bracketed: bool) -> str:
    if kind == "pure-token":
        return ""
    if kind == "block":
        return spell(fields["arguments"])
    if kind == "oneof":
        choice = " | ".join(_spell(part) for part in fields["arguments"])
        return choice if bracketed else f"<{choice}>"
    text = fields.get("display_text", fields["name"])
    assert isinstance(text, bytes)
    return text.decode()


def respelt(syntax: str) -> str:
    """``syntax`` as it is spelt once it has been parsed."""
    return spell([decode(encode(as_fields(argument), 3)) for argument in parse(syntax)])


def as_fields(argument: Argument) -> dict[bytes, Any]:
    """As COMMAND DOCS has it."""
    flags = {
        "optional": argument.optional,
        "multiple": argument.multiple,
        "multiple_token": argument.repeats_token,
    }
    fields: dict[bytes, Any] = {
        b"name": argument.name.encode(),
        b"type": argument.type.encode(),
        b"flags": OrderedSet(name for name, given in flags.items() if given),
        b"arguments": [as_fields(part) for part in argument.arguments],
    }
    return fields | ({b"token": argument.token.encode()} if argument.token else {})
